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
    {"close", "guard:close()", "The same as release.", permit_release},
    {"release", "guard:release()", "Gives the place back that this guard stands for; later calls do nothing.", permit_release},
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
    {"acquire", "semaphore:acquire([timeout])",
     "Waits for a place and returns a guard: `local _ <close> = semaphore:acquire()`. Raises if the timeout comes first.",
     semaphore_acquire},
    {"locked", "semaphore:locked()", "Whether no place is free.", semaphore_locked},
    {"release", "semaphore:release()", "Gives one place back, or adds one.", semaphore_release},
    {"try_acquire", "semaphore:try_acquire([timeout])", "A guard if there is a place, at once or within the timeout, else false.",
     semaphore_try_acquire},
    {"with", "semaphore:with(f, ...)", "Calls f holding a place; returns its results.", semaphore_with},
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
    {"lock", "condition:lock()", "The condition's lock.", condition_lock},
    {"notify", "condition:notify([n])", "Lets the n (1) tasks go on that wait longest. The lock must be held.", condition_notify},
    {"notify_all", "condition:notify_all()", "Lets all waiting tasks go on. The lock must be held.", condition_notify_all},
    {"wait", "condition:wait([timeout])",
     "Releases the lock, waits for a notification, and acquires the lock again. True, or nil, \"timeout\", \"ETIMEDOUT\".",
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
    {"clear", "event:clear()", "From now on waits wait.", event_clear},
    {"is_set", "event:is_set()", "Whether the event is set.", event_is_set},
    {"set", "event:set()", "Lets all waiting tasks go on, and all that wait later.", event_set},
    {"wait", "event:wait([timeout])", "Waits until the event is set. True, or nil, \"timeout\", \"ETIMEDOUT\".", event_wait},
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
    {"wait", "barrier:wait([timeout])",
     "Waits until as many tasks wait as the barrier has parties; then all go on. Returns the order of arrival, from 1, or nil, "
     "\"timeout\", \"ETIMEDOUT\".",
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
    {"add", "atomic:add([n])", "Adds n (1) and returns the new value, in one step.", atomic_add},
    {"compare_exchange", "atomic:compare_exchange(old, new)",
     "Sets the value to new if it is (rawly equal to) old, in one step. Returns whether it was.", atomic_compare_exchange},
    {"get", "atomic:get()", "The value.", atomic_get},
    {"set", "atomic:set(v)", "Sets the value.", atomic_set},
    {nullptr, nullptr, nullptr, nullptr},
};

// --- the module ------------------------------------------------------------------------------------------------------------

const NativeInfo kFamily[] = {
    {"atomic", "atomic([n])", "A value (0) that changes in single steps.", thread_atomic},
    {"barrier", "barrier(n)", "A place where n tasks meet.", thread_barrier},
    {"condition", "condition([lock])", "A condition to wait for and to notify, with a lock (a new one).", thread_condition},
    {"event", "event()", "A switch that tasks can wait for; not set.", thread_event},
    {"lock", "lock()", "A new lock, free: one holder at a time, first come, first served.", thread_lock},
    {"priority_queue", "priority_queue([max])", "A queue that gives the smallest priority first.", thread_priority_queue},
    {"queue", "queue([max])", "A queue, first in, first out, of at most max values.", thread_queue},
    {"rlock", "rlock()", "A lock that its holder may acquire again, and then releases as often.", thread_rlock},
    {"semaphore", "semaphore(n)", "n places, given to who comes first.", thread_semaphore},
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
