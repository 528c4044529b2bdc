// Waiting: the one way in which tasks and native threads wait for each other. THE CONTRACT FOR EVERY WAITING OBJECT.
//
// Who waits is always a task: a native thread's body is its root task (task.h), so the same code serves both. An object
// that is waited for has a WaitQueue; a native that may wait goes
//
//     sched::before_wait(thread);                    // a waiting point: cancellation, fairness. May switch tasks
//     if (object.try_take(...)) return ...;          // satisfied at once: no switch
//     sched::Waiter waiter(thread);                  // the running task's place in a queue, on its machine stack
//     object.queue.push(waiter);
//     if (sched::wait(thread, waiter, deadline, "object.take") == WaitResult::kTimedOut) ...
//
// and whoever gives something away takes a waiter out of the queue and calls `make_ready`, from any native thread, holding
// the GIL. It must hand the thing over at that moment (direct hand-over: note it in the waiter, by deriving from Waiter).
//
// Invariants
//  - Queues and waiters are touched under the GIL only. Without it: Completion::post.
//  - A waiter that was made ready has what it waited for, and its `wait` returns kReady: a cancellation or a timeout that
//    comes together with it does not take it away. A wait that times out or raises has taken nothing; the Waiter's
//    destructor takes it out of its queue.
//  - Everything may have changed when `wait` or `before_wait` returns: other tasks and native threads have run.
//  - A task may stand in several queues at once, with a Waiter each: park in a loop and look at all of them.
//  - Waiting is refused inside finalizers, hooks and gil.hold, but a wait that is ready returns.
// Owner: a Waiter belongs to the native function that waits; a WaitQueue to the object waited for.
// Threading: the GIL; a native thread gives it up only when none of its tasks can run.
#pragma once

#include <cstdint>

#include "sync/clock.h"
#include "vm/native.h"
#include "vm/thread_state.h"

namespace baton::sched {

class Task;
class WaitQueue;

// A place in a queue. Leaves the queue when it goes out of scope. Derive from it to carry what is handed over.
class Waiter {
 public:
  // The running task waits.
  explicit Waiter(ThreadState& thread) noexcept;
  explicit Waiter(Task& task) noexcept : task_(&task) {}
  // Nobody waits: `notify` is called when it is made ready. It runs no script code.
  using Notify = void (*)(Waiter& waiter) noexcept;
  explicit Waiter(Notify notify) noexcept : notify_(notify) {}
  ~Waiter();
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  // Who waits. Takes: a waiter of a task.
  Task& task() const noexcept { return *task_; }
  bool is_task() const noexcept { return task_ != nullptr; }
  bool is_ready() const noexcept { return ready_; }
  bool is_queued() const noexcept { return queue_ != nullptr; }
  // What it waited for has come: its task can run. The waiter must be in no queue. Raises: nothing.
  void make_ready() noexcept;
  // It will never come, as what was waited for has been closed: the task can run, too. The waiter must be in no queue.
  void refuse() noexcept {
    refused_ = true;
    make_ready();
  }
  bool is_refused() const noexcept { return refused_; }
  // Leaves its queue, if it is in one. Raises: nothing.
  void leave() noexcept;
  // To be pushed again. Takes: a waiter in no queue.
  void reset() noexcept { ready_ = refused_ = false; }

 private:
  friend class WaitQueue;
  Task* task_ = nullptr;
  Notify notify_ = nullptr;
  WaitQueue* queue_ = nullptr;
  Waiter* next_ = nullptr;
  Waiter* previous_ = nullptr;
  bool ready_ = false;
  bool refused_ = false;
};

// First come, first served.
class WaitQueue {
 public:
  WaitQueue() noexcept = default;
  WaitQueue(const WaitQueue&) = delete;
  WaitQueue& operator=(const WaitQueue&) = delete;

  bool empty() const noexcept { return first_ == nullptr; }
  Waiter* first() const noexcept { return first_; }
  // The waiter behind `waiter`, or null.
  static Waiter* next(const Waiter& waiter) noexcept { return waiter.next_; }
  // Puts `waiter`, which is in no queue, behind the others. Raises: nothing.
  void push(Waiter& waiter) noexcept;
  // Takes the first waiter out; null if there is none. Raises: nothing.
  Waiter* pop() noexcept;
  // Takes `waiter` out wherever it stands. Raises: nothing.
  void remove(Waiter& waiter) noexcept;
  // Takes all waiters out; none becomes ready. Raises: nothing.
  void detach_all() noexcept {
    while (pop() != nullptr) {
    }
  }
  // Makes all waiters that stand in it now ready. Raises: nothing.
  void wake_all() noexcept;

 private:
  Waiter* first_ = nullptr;
  Waiter* last_ = nullptr;
};

enum class WaitResult : std::uint8_t {
  kReady,
  kTimedOut,
  kLeft,  // of a ResumableWait only: the native is to return kNativeWaits
};

// When a wait of `seconds` from now ends: kNoDeadline for what no clock will reach; in the past for seconds <= 0.
std::int64_t deadline_after(double seconds) noexcept;

// The beginning of every operation that may wait, also if it will not have to: delivers a cancellation or interrupt of the
// running task, and lets others run if this task has gone on for 64 such points or a millisecond without waiting.
// Raises: a cancellation (again and again, until the scope it belongs to ends), "interrupted!". Effects: may switch tasks.
void before_wait(ThreadState& thread);

// Suspends the running task until `waiter` is ready or the deadline has come. `what`, a literal, names the operation.
// Raises: a cancellation, "interrupted!", "attempt to wait ..." where waiting is refused, kMemory.
WaitResult wait(ThreadState& thread, const Waiter& waiter, std::int64_t deadline_ns, const char* what);

// The same for what must not be abandoned (an operation that writes to this stack, children of a scope): neither a
// cancellation nor an interrupt ends it. Raises: nothing but kMemory when a deadline is given.
WaitResult wait_shielded(ThreadState& thread, const Waiter& waiter, std::int64_t deadline_ns, const char* what);

// Delivers what was asked of the running task or its native thread. Returns: when to look again at the latest. Raises: as
// before_wait.
std::int64_t look(ThreadState& thread);

// The wait of a native of Intrinsic::kResumable, which leaves its machine stack if it can: the native then returns kNativeWaits,
// and is called again when the task goes on (vm/task_turns.h):
//
//     Box& box = check_box(call);
//     sched::ResumableWait wait(call);
//     if (!wait.is_resumed()) {
//       sched::before_wait(call.thread());
//       if (box.is_full()) return call.result(box.take());
//       box.takers.push(wait.begin(deadline));
//     }
//     const WaitResult result = wait.wait("box.take");
//     if (result == WaitResult::kLeft) return kNativeWaits;
//     ...
//
// Invariant: a task has one such waiter, since it waits in one native at a time; its arguments are all that the native's window
// holds when it leaves. Owner: the native. Threading: the GIL.
class ResumableWait {
 public:
  explicit ResumableWait(NativeCall& call) noexcept : call_(call) {
    if (BATON_UNLIKELY((call.coroutine()->frame->flags & kFrameIntrinsic) != 0)) resume();
  }
  ~ResumableWait() {
    if (begun_) waiter().leave();
  }
  ResumableWait(const ResumableWait&) = delete;
  ResumableWait& operator=(const ResumableWait&) = delete;

  // Whether the native had left and is called again.
  bool is_resumed() const noexcept { return resumed_; }
  // Begins to wait: the waiter to be pushed to a queue, if there is one. Raises: "attempt to wait ..." where that is refused.
  Waiter& begin(std::int64_t deadline_ns);
  // As sched::wait, once begun. kLeft: the task is about to be left. Raises: as sched::wait.
  WaitResult wait(const char* what);
  // Whether it was made ready by Waiter::refuse.
  bool is_refused() const noexcept { return waiter().is_refused(); }
  // As sched::checkpoint. Returns: kNativeWaits, if the native is to leave and to end with that, or 0. Raises: as checkpoint.
  int checkpoint();

 private:
  void resume() noexcept;
  bool may_leave() const noexcept;
  Waiter& waiter() const noexcept;

  NativeCall& call_;
  bool resumed_ = false;
  bool begun_ = false;
};

// The lowest level: suspends the running task until Task::wake, the deadline, or something asked of it; it may return for no
// reason. Callers look at what they wait for in a loop, calling before_wait (or not, if shielded). Raises: kMemory.
void park(ThreadState& thread, std::int64_t deadline_ns, const char* what);

// Suspends the running task until the deadline has come. Raises: as `wait`.
void sleep_task_until(ThreadState& thread, std::int64_t deadline_ns, const char* what);

// Lets all other tasks that are ready run first, and events be served; the task stays ready. Raises: as before_wait.
void checkpoint(ThreadState& thread);

// Blocks the whole native thread, its other tasks included, until the deadline has come, the GIL released, even inside
// finalizers. Raises: a cancellation, "interrupted!".
void sleep_until(ThreadState& thread, std::int64_t deadline_ns, const char* what);

// Whether the running task is where waiting is refused: inside finalizers, hooks and gil.hold. Raises: nothing.
bool may_not_wait(const ThreadState& thread) noexcept;

// Raises "attempt to wait ..." inside finalizers and gil.hold.
void refuse_where_waiting_is_forbidden(ThreadState& thread);

}  // namespace baton::sched
