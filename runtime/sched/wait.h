// Waiting of native threads: the one place where they block for each other, and the queues in which they stand.
//
// Invariants
//  - Queues and waiters are touched under the GIL only; what crosses it is the parker of the waiting thread.
//  - A waiter that was made ready has what it waited for, and its `wait` returns kReady: a cancellation or a timeout that
//    comes together with it does not take it away.
//  - Waiting is refused inside finalizers and inside gil.hold.
// Owner: a Waiter belongs to the native function that waits, on its machine stack; a WaitQueue to the object waited for.
// Threading: the GIL; `wait` gives it up while it sleeps.
#pragma once

#include <cstdint>

#include "sync/clock.h"
#include "vm/thread_state.h"

namespace baton::sched {

class NativeThread;
class WaitQueue;

// A native thread's place in a queue. Leaves the queue when it goes out of scope.
class Waiter {
 public:
  explicit Waiter(NativeThread& thread) noexcept : thread_(thread) {}
  ~Waiter();
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  NativeThread& thread() const noexcept { return thread_; }
  bool is_ready() const noexcept { return ready_; }
  // What it waited for has come: wakes its thread. The waiter must be in no queue. Raises: nothing.
  void make_ready() noexcept;

 private:
  friend class WaitQueue;
  NativeThread& thread_;
  WaitQueue* queue_ = nullptr;
  Waiter* next_ = nullptr;
  Waiter* previous_ = nullptr;
  bool ready_ = false;
};

// First come, first served.
class WaitQueue {
 public:
  WaitQueue() noexcept = default;
  WaitQueue(const WaitQueue&) = delete;
  WaitQueue& operator=(const WaitQueue&) = delete;

  bool empty() const noexcept { return first_ == nullptr; }
  // Puts `waiter`, which is in no queue, behind the others. Raises: nothing.
  void push(Waiter& waiter) noexcept;
  // Takes the first waiter out; null if there is none. Raises: nothing.
  Waiter* pop() noexcept;
  // Takes `waiter` out wherever it stands. Raises: nothing.
  void remove(Waiter& waiter) noexcept;
  // Makes all waiters ready. Raises: nothing.
  void wake_all() noexcept;

 private:
  Waiter* first_ = nullptr;
  Waiter* last_ = nullptr;
};

enum class WaitResult : std::uint8_t { kReady, kTimedOut };

// When a wait of `seconds` from now ends: kNoDeadline for what no clock will reach; in the past for seconds <= 0.
std::int64_t deadline_after(double seconds) noexcept;

// Blocks until `waiter` is ready or the deadline has come, the GIL released. `what` names the operation in reports.
// Raises: a cancellation, "interrupted!", "attempt to wait ..." where waiting is refused.
WaitResult wait(ThreadState& thread, const Waiter& waiter, std::int64_t deadline_ns, const char* what);

// Blocks until the deadline has come, the GIL released, even inside finalizers. Raises: a cancellation, "interrupted!".
void sleep_until(ThreadState& thread, std::int64_t deadline_ns, const char* what);

// Delivers what was asked of the thread, as at a safepoint before a wait. Raises: a cancellation, also one that was
// delivered before; "interrupted!".
void before_wait(ThreadState& thread);

}  // namespace baton::sched
