// Semaphores, conditions, events, barriers, atomic numbers. Each is a few words under the GIL and a queue of waiting tasks.
//
// All hand over directly: who releases gives what it has to the first waiter, so first come is first served, and a wait that
// was cancelled or timed out has taken nothing (sched/wait.h). A native has no safepoint between looking and queueing, so
// nothing can happen in between.
#include <new>
#include <type_traits>

#include "script_part.h"
#include "thread_library.h"
#include "vm/call.h"
#include "vm/operations.h"

namespace baton::stdlib {
namespace {

using sched::WaitQueue;
using sched::Waiter;
using sched::WaitResult;

// A new object of a class: T in the block of a userdata, which needs no release.
template <typename T, typename... Arguments>
Userdata* make_object(NativeCall& call, Table* metatable, int user_values, Arguments... arguments) {
  static_assert(std::is_trivially_destructible_v<T>);
  Userdata* object = userdata::make(call.heap(), sizeof(T), user_values);
  new (object->block()) T{arguments...};
  vm::set_metatable(call.thread(), Value::of(object), metatable);
  return object;
}

template <typename T>
T& check(NativeCall& call, const char* class_name) {
  return *static_cast<T*>(call.check_userdata(1, class_name));
}

// --- semaphore -------------------------------------------------------------------------------------------------------------

constexpr std::string_view kThreadFamily =
#include "thread_family.inc"
    ;

constexpr const char* kSemaphoreClass = "Semaphore";
constexpr const char* kPermitClass = "Permit";

struct Semaphore {
  std::int64_t free;
  WaitQueue waiters = {};

  bool try_acquire() noexcept {
    if (free == 0) return false;
    --free;
    return true;
  }
  bool acquire(ThreadState& thread, std::int64_t deadline_ns) {
    if (try_acquire()) return true;
    Waiter waiter(thread);
    waiters.push(waiter);
    return sched::wait(thread, waiter, deadline_ns, "semaphore.acquire") == WaitResult::kReady;
  }
  void release() noexcept {
    if (Waiter* next = waiters.pop()) {
      next->make_ready();
    } else {
      ++free;
    }
  }
};

// The right to release one place, once. The semaphore's userdata is user value 1.
struct Permit {
  bool is_held;
};

int permit_release(NativeCall& call) {
  Permit& permit = check<Permit>(call, kPermitClass);
  if (!permit.is_held) return call.result(Value::boolean(true));
  permit.is_held = false;
  static_cast<Semaphore*>(call.slot(1).userdata()->user_values()[0].userdata()->block())->release();
  return call.result(Value::boolean(true));
}

const NativeInfo kPermitMethods[] = {
    {"close", "Permit:close()", "The same as release.", permit_release},
    {"release", "Permit:release()",
     "Gives the place back that this guard stands for; later calls do nothing.",
     permit_release},
    {nullptr, nullptr, nullptr, nullptr},
};
const NativeInfo kPermitMetamethods[] = {
    {"__close", "guard:__close()", "Gives the place back at the end of the guard's scope.",
     permit_release},
    {nullptr, nullptr, nullptr, nullptr},
};

Permit& push_permit(NativeCall& call) {
  Table* metatable = native::class_with_methods(call.thread(), kPermitClass, kPermitMethods, kPermitMetamethods);
  Userdata* permit = make_object<Permit>(call, metatable, 1, false);
  permit->user_values()[0] = call.arg(1);
  call.push(Value::of(permit));
  return *static_cast<Permit*>(permit->block());
}

// Who finds a place takes it before others have their turn: who asks first is served first.
bool acquire(ThreadState& thread, Semaphore& semaphore, std::int64_t deadline_ns) {
  if (!semaphore.try_acquire()) return semaphore.acquire(thread, deadline_ns);
  try {
    sched::before_wait(thread);
  } catch (...) {
    semaphore.release();  // a cancelled acquire has taken nothing
    throw;
  }
  return true;
}

int semaphore_acquire(NativeCall& call) {
  Semaphore& semaphore = check<Semaphore>(call, kSemaphoreClass);
  const std::int64_t deadline = timeout_argument(call, 2);
  Permit& permit = push_permit(call);  // first, so that nothing can fail once there is a place
  if (!acquire(call.thread(), semaphore, deadline)) {
    call.error("timeout: the semaphore had no place within %g seconds", call.check_number(2));
  }
  permit.is_held = true;
  return 1;
}

int semaphore_try_acquire(NativeCall& call) {
  Semaphore& semaphore = check<Semaphore>(call, kSemaphoreClass);
  const bool may_wait = !call.none_or_nil(2);
  const std::int64_t deadline = timeout_argument(call, 2);
  Permit& permit = push_permit(call);
  const bool has_it = may_wait ? semaphore.acquire(call.thread(), deadline) : semaphore.try_acquire();
  if (!has_it) return call.result(Value::boolean(false));
  permit.is_held = true;
  return 1;
}

int semaphore_release(NativeCall& call) {
  check<Semaphore>(call, kSemaphoreClass).release();
  return call.result(Value::boolean(true));
}

int semaphore_locked(NativeCall& call) {
  return call.result(Value::boolean(check<Semaphore>(call, kSemaphoreClass).free == 0));
}

class Place {
 public:
  explicit Place(Semaphore& semaphore) noexcept : semaphore_(semaphore) {}
  ~Place() { semaphore_.release(); }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

 private:
  Semaphore& semaphore_;
};

int semaphore_with(NativeCall& call) {
  Semaphore& semaphore = check<Semaphore>(call, kSemaphoreClass);
  call.check_any(2);
  (void)acquire(call.thread(), semaphore, kNoDeadline);
  const Place place(semaphore);
  return vm::call(call.thread(), call.count() - 2, kMultipleResults);
}

const NativeInfo kSemaphoreMethods[] = {
    {"acquire", "Semaphore:acquire(timeout?: number) -> Permit",
     "Waits for a place, first come, first served, and returns a guard, whose __close gives it back.\n"
     "Raises: \"timeout: the semaphore had no place within ... seconds\".\n"
     "Waits: parks the task.",
     semaphore_acquire},
    {"locked", "Semaphore:locked() -> boolean",
     "Whether no place is free.",
     semaphore_locked},
    {"release", "Semaphore:release()",
     "Gives one place back, or adds one.",
     semaphore_release},
    {"try_acquire", "Semaphore:try_acquire(timeout?: number) -> Permit|boolean",
     "A guard if there is a place, at once or within the timeout (0 seconds), else false.\n"
     "Waits: parks the task, with a timeout only.",
     semaphore_try_acquire},
    {"with", "Semaphore:with(f: function, ...: any) -> any ...",
     "Calls f holding a place and returns its results.\n"
     "Waits: parks the task.",
     semaphore_with},
    {nullptr, nullptr, nullptr, nullptr},
};

// --- condition -------------------------------------------------------------------------------------------------------------

constexpr const char* kConditionClass = "Condition";

// User value 1: its lock.
struct Condition {
  WaitQueue waiters = {};
};

sched::Lock& lock_of(NativeCall& call) {
  return *static_cast<sched::Lock*>(call.slot(1).userdata()->user_values()[0].userdata()->block());
}

sched::Lock& held_lock_of(NativeCall& call) {
  sched::Lock& lock = lock_of(call);
  if (!lock.is_locked()) call.error("the condition's lock is not held");
  if (!lock.is_held_by(call.thread())) call.error("the condition's lock is held by another task");
  return lock;
}

// Waits for a notification without the lock, which is held again in any case. An error of the wait (a cancellation) must not
// be on its way while the lock is waited for: no fiber switches inside a catch. So it is put onto the window, where the
// collector sees it, and raised anew.
int condition_wait(NativeCall& call) {
  Condition& condition = check<Condition>(call, kConditionClass);
  const std::int64_t deadline = timeout_argument(call, 2);
  sched::Lock& lock = held_lock_of(call);
  call.reserve(1);
  sched::before_wait(call.thread());
  Waiter waiter(call.thread());
  condition.waiters.push(waiter);
  const sched::Lock::Acquisition acquisition = lock.release_all();
  WaitResult result = WaitResult::kReady;
  ScriptError failure(ErrorId::kValue);
  bool failed = false;
  try {
    result = sched::wait(call.thread(), waiter, deadline, "condition.wait");
  } catch (const ScriptError& error) {
    failed = true;
    failure = error;
  }
  if (failed) call.push(failure.value);
  lock.take_back(call.thread(), acquisition);
  if (failed) throw failure;
  if (result == WaitResult::kTimedOut) return timeout_result(call);
  return call.result(Value::boolean(true));
}

void notify(Condition& condition, std::int64_t count) noexcept {
  while (count-- > 0) {
    Waiter* waiter = condition.waiters.pop();
    if (waiter == nullptr) return;
    waiter->make_ready();
  }
}

int condition_notify(NativeCall& call) {
  Condition& condition = check<Condition>(call, kConditionClass);
  const std::int64_t count = call.optional_integer(2, 1);
  if (count < 0) call.argument_error(2, "number of waiters expected");
  (void)held_lock_of(call);
  notify(condition, count);
  return call.result(Value::boolean(true));
}

int condition_notify_all(NativeCall& call) {
  Condition& condition = check<Condition>(call, kConditionClass);
  (void)held_lock_of(call);
  condition.waiters.wake_all();
  return call.result(Value::boolean(true));
}

int condition_lock(NativeCall& call) {
  (void)check<Condition>(call, kConditionClass);
  return call.result(call.slot(1).userdata()->user_values()[0]);
}

const NativeInfo kConditionMethods[] = {
    {"lock", "Condition:lock() -> Lock",
     "The lock that belongs to the condition.",
     condition_lock},
    {"notify", "Condition:notify(n?: integer)",
     "Lets the n (1) tasks go on that wait longest. The lock must be held.\n"
     "Raises: \"the condition's lock is not held\"; \"the condition's lock is held by another task\".",
     condition_notify},
    {"notify_all", "Condition:notify_all()",
     "Lets all waiting tasks go on. The lock must be held.\n"
     "Raises: as notify.",
     condition_notify_all},
    {"wait", "Condition:wait(timeout?: number) -> boolean?",
     "Releases the lock, waits for a notification and acquires the lock again. True, or nil, \"timeout\", \"ETIMEDOUT\".\n"
     "Raises: as notify.\n"
     "Waits: parks the task.",
     condition_wait},
    {nullptr, nullptr, nullptr, nullptr},
};

// --- event -----------------------------------------------------------------------------------------------------------------

constexpr const char* kEventClass = "Event";

struct Event {
  bool is_set = false;
  WaitQueue waiters = {};
};

int event_set(NativeCall& call) {
  Event& event = check<Event>(call, kEventClass);
  event.is_set = true;
  event.waiters.wake_all();
  return call.result(Value::boolean(true));
}

int event_clear(NativeCall& call) {
  check<Event>(call, kEventClass).is_set = false;
  return call.result(Value::boolean(true));
}

int event_is_set(NativeCall& call) { return call.result(Value::boolean(check<Event>(call, kEventClass).is_set)); }

int event_wait(NativeCall& call) {
  Event& event = check<Event>(call, kEventClass);
  const std::int64_t deadline = timeout_argument(call, 2);
  sched::before_wait(call.thread());
  if (!event.is_set) {
    Waiter waiter(call.thread());
    event.waiters.push(waiter);
    if (sched::wait(call.thread(), waiter, deadline, "event.wait") == WaitResult::kTimedOut) return timeout_result(call);
  }
  return call.result(Value::boolean(true));
}

const NativeInfo kEventMethods[] = {
    {"clear", "Event:clear()",
     "From now on waits wait.",
     event_clear},
    {"is_set", "Event:is_set() -> boolean",
     "Whether the event is set.",
     event_is_set},
    {"set", "Event:set()",
     "Lets all waiting tasks go on, and all that wait later.",
     event_set},
    {"wait", "Event:wait(timeout?: number) -> boolean?",
     "Waits until the event is set. True, or nil, \"timeout\", \"ETIMEDOUT\".\n"
     "Waits: parks the task.",
     event_wait},
    {nullptr, nullptr, nullptr, nullptr},
};

// --- barrier ---------------------------------------------------------------------------------------------------------------

constexpr const char* kBarrierClass = "Barrier";

struct Barrier {
  std::int64_t parties;
  std::int64_t arrived = 0;
  WaitQueue waiters = {};
};

// One who gives up (a timeout, a cancellation) has not arrived: the others wait for somebody else.
class Arrival {
 public:
  Arrival(Barrier& barrier, ThreadState& thread) noexcept : barrier_(barrier), waiter_(thread) {
    barrier.waiters.push(waiter_);
  }
  ~Arrival() {
    if (!waiter_.is_ready()) --barrier_.arrived;
  }
  Arrival(const Arrival&) = delete;
  Arrival& operator=(const Arrival&) = delete;

  Waiter& waiter() noexcept { return waiter_; }

 private:
  Barrier& barrier_;
  Waiter waiter_;
};

int barrier_wait(NativeCall& call) {
  Barrier& barrier = check<Barrier>(call, kBarrierClass);
  const std::int64_t deadline = timeout_argument(call, 2);
  sched::before_wait(call.thread());
  const std::int64_t index = ++barrier.arrived;
  if (index >= barrier.parties) {
    barrier.arrived = 0;
    barrier.waiters.wake_all();
    return call.result(Value::from(index));
  }
  Arrival arrival(barrier, call.thread());
  if (sched::wait(call.thread(), arrival.waiter(), deadline, "barrier.wait") == WaitResult::kTimedOut) {
    return timeout_result(call);
  }
  return call.result(Value::from(index));
}

const NativeInfo kBarrierMethods[] = {
    {"wait", "Barrier:wait(timeout?: number) -> integer?",
     "Waits until as many tasks wait as the barrier has parties; then all go on. The order of arrival, from 1, or nil, "
     "\"timeout\", \"ETIMEDOUT\".\n"
     "Waits: parks the task.",
     barrier_wait},
    {nullptr, nullptr, nullptr, nullptr},
};

// --- atomic ----------------------------------------------------------------------------------------------------------------

constexpr const char* kAtomicClass = "Atomic";

// User value 1: the value.
struct Atomic {
  char unused;
};

Value& value_of(NativeCall& call) {
  (void)check<Atomic>(call, kAtomicClass);
  return call.slot(1).userdata()->user_values()[0];
}

void store(NativeCall& call, const Value& v) {
  value_of(call) = v;
  call.heap().barrier_back(call.slot(1).userdata(), v);
}

int atomic_get(NativeCall& call) { return call.result(value_of(call)); }

int atomic_set(NativeCall& call) {
  call.check_any(2);
  store(call, call.arg(2));
  return call.result(Value::boolean(true));
}

int atomic_add(NativeCall& call) {
  Value sum;
  const Value amount = call.none_or_nil(2) ? Value::from(std::int64_t{1}) : call.check_numeric(2);
  if (vm::raw_arithmetic(Operator::kAdd, value_of(call), amount, sum) != vm::ArithmeticStatus::kDone) {
    call.error("the atomic's value is not a number");
  }
  store(call, sum);
  return call.result(sum);
}

int atomic_compare_exchange(NativeCall& call) {
  const bool is_equal = raw_equal(value_of(call), call.arg(2));
  if (is_equal) store(call, call.arg(3));
  return call.result(Value::boolean(is_equal));
}

const NativeInfo kAtomicMethods[] = {
    {"add", "Atomic:add(n?: number) -> number",
     "Adds n (1) and returns the new value, in one step.\n"
     "Raises: \"the atomic's value is not a number\".",
     atomic_add},
    {"compare_exchange", "Atomic:compare_exchange(old: any, new: any) -> boolean",
     "Sets the value to new if it is (rawly equal to) old, in one step. Whether it was.",
     atomic_compare_exchange},
    {"get", "Atomic:get() -> any",
     "The value.",
     atomic_get},
    {"set", "Atomic:set(v: any)",
     "Sets the value.",
     atomic_set},
    {nullptr, nullptr, nullptr, nullptr},
};

// --- the module ------------------------------------------------------------------------------------------------------------

const NativeInfo kFamily[] = {
    {"atomic", "thread.atomic(n?: any) -> Atomic",
     "A value (0) that changes in single steps."
     R"lua(

local hits = thread.atomic()
local function count() for _ = 1, 100 do hits:add() end end
local a, b = thread.spawn(count), thread.spawn(count)
a:join() b:join()
print(hits:get())  --> 200)lua",
     thread_atomic},
    {"barrier", "thread.barrier(n: integer) -> Barrier",
     "A place where n tasks meet."
     R"lua(

local b = thread.barrier(2)
local t = thread.spawn(function() return b:wait() end)
print(b:wait() + t:join())  --> 3)lua",
     thread_barrier},
    {"condition", "thread.condition(lock?: Lock) -> Condition",
     "A condition to wait for and to notify, with a lock (a new one by default)."
     R"lua(

local c, ready = thread.condition(), false
local t = thread.spawn(function()
  local _ <close> = c:acquire()
  return c:wait_for(function() return ready end)
end)
do
  local _ <close> = c:acquire()
  ready = true
  c:notify_all()
end
print(t:join())  --> true)lua",
     thread_condition},
    {"event", "thread.event() -> Event",
     "A switch that tasks can wait for, not set."
     R"lua(

local go = thread.event()
local t = thread.spawn(function() go:wait() return "gone" end)
go:set()
print(t:join())  --> gone)lua",
     thread_event},
    {"lock", "thread.lock() -> Lock",
     "A new lock, free. A task holds it, not a native thread."
     R"lua(

local l, sum = thread.lock(), 0
local function add(n)
  local _ <close> = l:acquire()
  sum = sum + n
end
local a, b = thread.spawn(add, 1), thread.spawn(add, 2)
a:join() b:join()
print(sum)  --> 3)lua",
     thread_lock},
    {"priority_queue", "thread.priority_queue(max?: integer) -> PriorityQueue",
     "A queue of at most max values that gives the smallest priority first: put(v, priority)."
     R"lua(

local q = thread.priority_queue()
q:put("later", 2)
q:put("now", 1)
print(q:get(), q:get())  --> now	later)lua",
     thread_priority_queue},
    {"queue", "thread.queue(max?: integer) -> Queue",
     "A queue, first in, first out, of at most max values."
     R"lua(

local q = thread.queue(10)
local t = thread.spawn(function() for i = 1, 3 do q:put(i) end q:close() end)
local sum = 0
for v in q:iter() do sum = sum + v end
print(sum)  --> 6)lua",
     thread_queue},
    {"rlock", "thread.rlock() -> RLock",
     "A lock that its holder may acquire again, and then releases as often."
     R"lua(

local l = thread.rlock()
l:acquire() l:acquire()
l:release()
print(l:locked())  --> true)lua",
     thread_rlock},
    {"semaphore", "thread.semaphore(n: integer) -> Semaphore",
     "n places, given to who comes first."
     R"lua(

local places = thread.semaphore(2)
places:acquire() places:acquire()
print(places:try_acquire())  --> false)lua",
     thread_semaphore},
    {nullptr, nullptr, nullptr, nullptr},
};

}  // namespace

int thread_semaphore(NativeCall& call) {
  const std::int64_t places = call.check_integer(1);
  if (places < 0) call.argument_error(1, "number of places expected");
  Table* metatable = native::class_with_methods(call.thread(), kSemaphoreClass, kSemaphoreMethods);
  return call.result(Value::of(make_object<Semaphore>(call, metatable, 0, places)));
}

int thread_condition(NativeCall& call) {
  if (call.none_or_nil(1)) {
    call.set_size(1);
    (void)thread_lock(call);
    call.slot(1) = call.base()[-1];
  } else if (test_lock(call, 1) == nullptr) {
    call.type_error(1, "Lock");
  }
  Table* metatable = native::class_with_methods(call.thread(), kConditionClass, kConditionMethods);
  Userdata* condition = make_object<Condition>(call, metatable, 1);
  condition->user_values()[0] = call.slot(1);
  return call.result(Value::of(condition));
}

int thread_event(NativeCall& call) {
  return call.result(Value::of(make_object<Event>(call, native::class_with_methods(call.thread(), kEventClass, kEventMethods), 0)));
}

int thread_barrier(NativeCall& call) {
  const std::int64_t parties = call.check_integer(1);
  if (parties < 1) call.argument_error(1, "number of parties expected");
  Table* metatable = native::class_with_methods(call.thread(), kBarrierClass, kBarrierMethods);
  return call.result(Value::of(make_object<Barrier>(call, metatable, 0, parties)));
}

int thread_atomic(NativeCall& call) {
  Userdata* atomic = make_object<Atomic>(call, native::class_with_methods(call.thread(), kAtomicClass, kAtomicMethods), 1);
  atomic->user_values()[0] = call.count() == 0 ? Value::from(std::int64_t{0}) : call.arg(1);
  return call.result(Value::of(atomic));
}

void add_sync_family(ThreadState& thread, Table* library) {
  native::add_functions(thread, library, kFamily);
  const Value conditions = Value::of(native::class_with_methods(thread, kConditionClass, kConditionMethods));
  run_script_part(thread, library, conditions, kThreadFamily, "=thread");
}

}  // namespace baton::stdlib
