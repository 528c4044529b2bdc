// One event that happens once and that one task waits for: the end of a request to the loop, a thread pool, the system.
//
// Invariant: fulfilled exactly once, by `fulfil` (holding the GIL) or `post` (holding nothing); both are the fulfiller's last
// touch of the object. So whoever embeds it on a machine stack waits for it, shielded, before it goes.
// Owner: the native function that waits. Threading: as the functions say.
#pragma once

#include "sched/wait.h"

namespace baton::sched {

class NativeThread;

class Completion {  // not polymorphic: whoever derives from it destroys the derived object
 public:
  // For the running task.
  explicit Completion(ThreadState& thread) noexcept;
  // For nobody: `notify` is called, by the native thread `owner`, holding the GIL, when it has happened.
  Completion(NativeThread& owner, Waiter::Notify notify) noexcept : waiter_(notify), thread_(owner) {}
  Completion(const Completion&) = delete;
  Completion& operator=(const Completion&) = delete;

  // To be fulfilled again. Takes: one that is fulfilled. Raises: nothing.
  void reset() noexcept { waiter_.reset(); }
  // The completion around the waiter that Notify was given. Raises: nothing.
  static Completion& of(Waiter& waiter) noexcept { return reinterpret_cast<Completion&>(waiter); }

  bool is_fulfilled() const noexcept { return waiter_.is_ready(); }
  // It has happened. The caller holds the GIL. Raises: nothing.
  void fulfil() noexcept { waiter_.make_ready(); }
  // It has happened. Any thread, without the GIL; what it wrote before is visible to the waiting task. Raises: nothing.
  void post() noexcept;

  // Waits for it; the object must live on if this ends otherwise. Raises: as sched::wait.
  WaitResult wait(ThreadState& thread, std::int64_t deadline_ns, const char* what) {
    return sched::wait(thread, waiter_, deadline_ns, what);
  }
  // Waits for it, whatever is asked of the task meanwhile. Raises: nothing.
  void wait_shielded(ThreadState& thread, const char* what) noexcept {
    (void)sched::wait_shielded(thread, waiter_, kNoDeadline, what);
  }

 private:
  friend class Scheduler;
  Waiter waiter_;
  NativeThread& thread_;
  Completion* next_posted_ = nullptr;
};

}  // namespace baton::sched
