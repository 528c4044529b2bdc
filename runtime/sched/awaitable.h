// What tasks, native threads and futures have in common: a state that ends once, and a queue of who waits for that.
//
// Invariant: `status` passes kPending -> kRunning -> one of the ended ones, never back; waiters are woken when it ends.
// Owner: embedded. Threading: under the GIL.
#pragma once

#include <cstdint>

#include "sched/wait.h"

namespace baton::sched {

enum class ThreadStatus : std::uint8_t { kPending, kRunning, kDone, kFailed, kCancelled };

class Awaitable {
 public:
  Awaitable() noexcept = default;
  // Who still watches it forgets it.
  ~Awaitable() { waiters_.detach_all(); }
  Awaitable(const Awaitable&) = delete;
  Awaitable& operator=(const Awaitable&) = delete;

  ThreadStatus status() const noexcept { return status_; }
  bool has_ended() const noexcept { return status_ > ThreadStatus::kRunning; }
  // Who waits for its end.
  WaitQueue& waiters() noexcept { return waiters_; }
  // Begins. Raises: nothing.
  void begin() noexcept { status_ = ThreadStatus::kRunning; }
  // Ends: wakes all who wait. Raises: nothing.
  void end(ThreadStatus status) noexcept {
    status_ = status;
    waiters_.wake_all();
  }

 private:
  WaitQueue waiters_;
  ThreadStatus status_ = ThreadStatus::kPending;
};

}  // namespace baton::sched
