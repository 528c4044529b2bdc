// A lock between tasks and native threads: first come, first served, owned by the task that acquired it.
//
// Invariant: whoever waits gets the lock from the hands of the holder, in the order of arrival; while somebody waits it is
// never free. `serial` numbers acquisitions, so that a guard releases only what it acquired.
// A reentrant one counts how often its holder acquired it; waiters get it when the count falls to zero.
// Owner: the script object around it. Threading: under the GIL.
#pragma once

#include <cstdint>

#include "sched/task.h"
#include "sched/wait.h"

namespace baton::sched {

class Lock {
 public:
  explicit Lock(bool is_reentrant = false) noexcept : is_reentrant_(is_reentrant) {}
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

  bool is_locked() const noexcept { return holder_ != 0; }
  bool is_held_by(ThreadState& thread) const noexcept { return holder_ == current_task(thread).id(); }
  // The id of the task that holds it; 0: free.
  std::uint64_t holder() const noexcept { return holder_; }
  std::uint64_t serial() const noexcept { return serial_; }

  // Takes the lock if it is free. Returns: whether the thread has it. Raises: nothing.
  bool try_acquire(ThreadState& thread) noexcept;

  // Waits until the thread has the lock; kTimedOut: it has not. Raises: what `wait` raises, "deadlock: ..." if waiting
  // without a deadline would close a circle of threads that all do.
  WaitResult acquire(ThreadState& thread, std::int64_t deadline_ns);

  // Hands the lock to the first waiter, or frees it. Takes: the holder's lock. Raises: nothing.
  void release() noexcept;

  // How often the holder has acquired it; 0: free.
  std::uint32_t depth() const noexcept { return depth_; }
  // For conditions: gives the lock up however deep it is held, and takes it back as the same acquisition, so that its guard
  // still stands for it, whatever is asked of the task meanwhile. Takes: the running task's lock. Raises: nothing.
  struct Acquisition {
    std::uint64_t serial;
    std::uint32_t depth;
  };
  Acquisition release_all() noexcept;
  void take_back(ThreadState& thread, const Acquisition& acquisition) noexcept;

 private:
  WaitQueue waiters_;
  std::uint64_t holder_ = 0;  // the id of a task, never used twice; 0: free
  std::uint64_t serial_ = 0;       // of the present acquisition
  std::uint64_t last_serial_ = 0;  // given to any
  std::uint32_t depth_ = 0;
  bool is_reentrant_;
};

}  // namespace baton::sched
