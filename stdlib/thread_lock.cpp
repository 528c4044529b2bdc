// Locks and their guards. The waiting is sched's; here is what scripts see.
#include <new>
#include <type_traits>

#include "sched/lock.h"
#include "thread_library.h"
#include "vm/call.h"
#include "vm/operations.h"

namespace baton::stdlib {
namespace {

using sched::Lock;

constexpr const char* kLockClass = "Lock";
constexpr const char* kReentrantClass = "RLock";
constexpr const char* kGuardClass = "Guard";

static_assert(std::is_trivially_destructible_v<Lock>);  // so the userdata needs no release

constexpr const char* kHeldByAnother = "the lock is held by another task";

// The right to release one acquisition, once. The lock's userdata is user value 1 of the guard's.
struct Guard {
  std::uint64_t serial;  // 0: nothing to release
};

Lock& check_lock(NativeCall& call) {
  if (void* reentrant = call.test_userdata(1, kReentrantClass)) return *static_cast<Lock*>(reentrant);
  return *static_cast<Lock*>(call.check_userdata(1, kLockClass));
}

// Gives the lock back, if it still is what was acquired under that number.
void release_acquisition(Lock& lock, std::uint64_t serial) noexcept {
  if (lock.is_locked() && lock.serial() == serial) lock.release();
}

int guard_release(NativeCall& call) {
  auto& guard = *static_cast<Guard*>(call.check_userdata(1, kGuardClass));
  if (guard.serial == 0) return call.result(Value::boolean(true));
  Lock& lock = *static_cast<Lock*>(call.slot(1).userdata()->user_values()[0].userdata()->block());
  const bool is_current = lock.is_locked() && lock.serial() == guard.serial;
  if (is_current && !lock.is_held_by(call.thread())) call.error(kHeldByAnother);
  release_acquisition(lock, guard.serial);
  guard.serial = 0;
  return call.result(Value::boolean(true));
}

const NativeInfo kGuardMethods[] = {
    {"close", "Guard:close()", "The same as release.", guard_release},
    {"release", "Guard:release()",
     "Releases the lock that this guard stands for; later calls do nothing.",
     guard_release},
    {nullptr, nullptr, nullptr, nullptr},
};

const NativeInfo kGuardMetamethods[] = {
    {"__close", "guard:__close()", "Releases the lock at the end of the guard's scope.",
     guard_release},
    {nullptr, nullptr, nullptr, nullptr},
};

// Pushes a guard of the lock in argument 1, which has nothing to release yet.
Guard& push_guard(NativeCall& call) {
  Table* metatable = native::class_with_methods(call.thread(), kGuardClass, kGuardMethods, kGuardMetamethods);
  Userdata* guard = userdata::make(call.heap(), sizeof(Guard), 1);
  guard->user_values()[0] = call.arg(1);
  vm::set_metatable(call.thread(), Value::of(guard), metatable);
  call.push(Value::of(guard));
  return *static_cast<Guard*>(guard->block());
}

// --- methods ---------------------------------------------------------------------------------------------------------------

// Who finds the lock free takes it before others have their turn: who asks first is served first.
sched::WaitResult acquire(ThreadState& thread, Lock& lock, std::int64_t deadline_ns) {
  if (!lock.try_acquire(thread)) return lock.acquire(thread, deadline_ns);
  try {
    sched::before_wait(thread);
  } catch (...) {
    lock.release();  // a cancelled acquire has taken nothing
    throw;
  }
  return sched::WaitResult::kReady;
}

int lock_acquire(NativeCall& call) {
  Lock& lock = check_lock(call);
  const std::int64_t deadline = timeout_argument(call, 2);
  Guard& guard = push_guard(call);  // first, so that nothing can fail once the lock is held
  if (acquire(call.thread(), lock, deadline) == sched::WaitResult::kTimedOut) {
    call.error("timeout: the lock did not become free within %g seconds", call.check_number(2));
  }
  guard.serial = lock.serial();
  return 1;
}

int lock_try_acquire(NativeCall& call) {
  Lock& lock = check_lock(call);
  const bool may_wait = !call.none_or_nil(2);
  const std::int64_t deadline = timeout_argument(call, 2);
  Guard& guard = push_guard(call);
  const bool has_it = may_wait ? lock.acquire(call.thread(), deadline) == sched::WaitResult::kReady
                               : lock.try_acquire(call.thread());
  if (!has_it) return call.result(Value::boolean(false));
  guard.serial = lock.serial();
  return 1;
}

int lock_release(NativeCall& call) {
  Lock& lock = check_lock(call);
  if (!lock.is_locked()) call.error("the lock is not held");
  if (!lock.is_held_by(call.thread())) call.error(kHeldByAnother);
  lock.release();
  return call.result(Value::boolean(true));
}

int lock_locked(NativeCall& call) { return call.result(Value::boolean(check_lock(call).is_locked())); }

class Held {
 public:
  explicit Held(Lock& lock) noexcept : lock_(lock), serial_(lock.serial()) {}
  ~Held() { release_acquisition(lock_, serial_); }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;

 private:
  Lock& lock_;
  std::uint64_t serial_;
};

int lock_with(NativeCall& call) {
  Lock& lock = check_lock(call);
  call.check_any(2);
  (void)acquire(call.thread(), lock, kNoDeadline);
  const Held held(lock);
  return vm::call(call.thread(), call.count() - 2, kMultipleResults);
}

const NativeInfo kLockMethods[] = {
    {"acquire", "Lock:acquire(timeout?: number) -> Guard",
     "Waits until the running task holds the lock, first come, first served, and returns a guard, whose __close releases it: "
     "`local _ <close> = l:acquire()`.\n"
     "Raises: \"timeout: the lock did not become free within ... seconds\"; \"deadlock: ...\" if a cycle of waits is "
     "closed by this one.\n"
     "Waits: parks the task."
     R"lua(

local l = thread.lock()
do
  local _ <close> = l:acquire()
  print(l:locked())  --> true
end
print(l:locked())    --> false)lua",
     lock_acquire},
    {"locked", "Lock:locked() -> boolean",
     "Whether somebody holds the lock.",
     lock_locked},
    {"release", "Lock:release()",
     "Releases the lock.\n"
     "Raises: \"the lock is not held\"; another message if another task holds it.",
     lock_release},
    {"try_acquire", "Lock:try_acquire(timeout?: number) -> Guard|boolean",
     "A guard if the lock is free, or becomes free within the timeout (0 seconds), else false.\n"
     "Waits: parks the task, with a timeout only.",
     lock_try_acquire},
    {"with", "Lock:with(f: function, ...: any) -> any ...",
     "Calls f holding the lock and returns its results.\n"
     "Waits: parks the task.",
     lock_with},
    {nullptr, nullptr, nullptr, nullptr},
};

int make_lock(NativeCall& call, const char* class_name, bool is_reentrant) {
  Userdata* lock = userdata::make(call.heap(), sizeof(Lock));
  new (lock->block()) Lock(is_reentrant);
  vm::set_metatable(call.thread(), Value::of(lock), native::class_with_methods(call.thread(), class_name, kLockMethods));
  return call.result(Value::of(lock));
}

}  // namespace

int thread_lock(NativeCall& call) { return make_lock(call, kLockClass, false); }

int thread_rlock(NativeCall& call) { return make_lock(call, kReentrantClass, true); }

sched::Lock* test_lock(NativeCall& call, int i) noexcept {
  void* lock = call.test_userdata(i, kLockClass);
  return static_cast<Lock*>(lock != nullptr ? lock : call.test_userdata(i, kReentrantClass));
}

}  // namespace baton::stdlib
