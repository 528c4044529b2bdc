// One native thread of a runtime: the thread of the operating system, its ThreadState, its root coroutine with results.
//
// Invariants
//  - The body runs on a fiber, as the root coroutine; the stack that the operating system gave hosts nothing but the
//    switch to it, so that there is always a deep stack for libraries (and the loop) to run on.
//  - Results stay where the body left them: the last `result_count` values of the root coroutine's stack; an error is the
//    root's `error`. The root is reachable through the thread's handle, and while the thread lives it is a root.
//  - The record lives as long as the native thread runs or a handle refers to it (`references`).
// Owner: itself, counted. Threading: under the GIL, except `wake`, `interrupt` and the reference count.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "fiber/stack_call.h"
#include "sched/fibers.h"
#include "sched/scheduler.h"
#include "sched/wait.h"
#include "sync/futex.h"
#include "vm/thread_state.h"

namespace baton::sched {

class ThreadGroup;

class NativeThread {
 public:
  // With one reference: the running thread's. Raises: std::bad_alloc.
  NativeThread(SharedState& shared, std::string_view name, bool is_daemon);
  NativeThread(const NativeThread&) = delete;
  NativeThread& operator=(const NativeThread&) = delete;

  ThreadState& state() noexcept { return state_; }
  Parker& parker() noexcept { return parker_; }
  Scheduler& scheduler() noexcept { return scheduler_; }
  // Its body.
  Task& root_task() noexcept { return scheduler_.root(); }
  ThreadStatus status() noexcept { return root_task().status(); }
  // Where it sleeps from now on; kept until the record goes, since wake-ups may come late. Raises: nothing.
  void give_events(std::unique_ptr<EventSource> events) noexcept {
    events_ = std::move(events);
    scheduler_.set_events(events_.get());
  }
  // The context of the stack that the operating system gave it, for the running fiber to switch to. Raises: nothing.
  FiberContext& native_context() noexcept {
    if (BATON_UNLIKELY(native_fiber_.context.machine == nullptr)) make_native_context();
    return native_fiber_.context;
  }
  bool is_daemon() const noexcept { return is_daemon_; }
  bool is_main() const noexcept { return state_.shared.main_thread == &state_; }
  bool has_ended() noexcept { return root_task().has_ended(); }
  // Whether its body waits, or the thread is in an operation of the system, at this moment.
  bool is_waiting() noexcept {
    if (root_task().state() == TaskState::kParked) return true;
    return state_.gil_slot != nullptr && state_.gil_slot->region.load() != nullptr;
  }

  // Waiters for its end.
  WaitQueue& joiners() noexcept { return root_task().waiters(); }
  int result_count() noexcept { return root_task().result_count(); }

  // Asks it to end: `reason` is raised at its next safepoint or wait, and at every later wait. Raises: nothing.
  void cancel(const Value& reason) noexcept;
  bool is_cancelled() noexcept { return root_task().is_cancelled(); }
  // Asks it to end without any more script code: it is unwound at its next safepoint or wait. Raises: nothing.
  void stop() noexcept;

  // Ends the present or next sleep of the thread, or its poll. Any thread, also a signal handler.
  void wake() noexcept;
  // A descriptor that is readable once `wake` was called, for those who wait in poll; drained by `drain_wake`.
  // Returns: -1 if the system refuses one. Its own thread only.
  int wake_descriptor() noexcept;
  void drain_wake() noexcept;

  // Runs `body(context, &state())`, which lets no exception out, on a fiber of the root that is kept for the next time. Called on the
  // stack that the operating system gave, holding the GIL. Raises: kMemory, if there is no stack for it.
  BATON_ALWAYS_INLINE void run_on_kept_fiber(void (*body)(void* context, void* state) noexcept, void* context);
  // Gives that fiber back. Called outside `run_on_kept_fiber`, holding the GIL. Raises: nothing.
  void drop_kept_fiber() noexcept;
  // Makes the calling native thread's stack the one on which the thread's loop runs. Its own thread only, or, when that one is
  // out of the runtime for good, another in its place.
  void adopt_stack() noexcept;

  void count_fiber(int change) noexcept { fiber_count_ += change; }
  int fiber_count() const noexcept { return fiber_count_; }

  // The script's object for this thread; weak: the object's release clears it. Raises: nothing.
  Userdata* handle() const noexcept { return handle_; }
  void set_handle(Userdata* handle) noexcept { handle_ = handle; }
  void add_reference() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  // Gives a reference back; the last one destroys the record. Any thread.
  void release_reference() noexcept;

 private:
  friend class ThreadGroup;
  ~NativeThread();

  // Runs `body(thread, context)` on a fiber, as the root coroutine, and comes back when it has returned.
  // Holds the GIL. Raises: kMemory, if there is no stack for it.
  void run_on_fiber(void (*body)(NativeThread& thread, void* context) noexcept, void* context);
  static Departure enter_root(FiberContext& self, Arrival first) noexcept;
  static Departure enter_kept(FiberContext& self, Arrival first) noexcept;
  void make_kept_fiber();  // Raises: kMemory
  // While a body on the kept fiber is called: makes the context of the stack that it was called from.
  void make_native_context() noexcept;
  static Departure serve_natively(FiberContext& self, Arrival first) noexcept;
  void switch_to_kept_fiber(void (*body)(void* context, void* state) noexcept, void* context) noexcept;
  void refresh_dispatch() noexcept;
  // The body of a spawned thread: calls the function on the root's stack.
  void call_function() noexcept;
  // The outcome of the body, kept on the root; its tasks are not waited for.
  ThreadStatus run_function(Value* error) noexcept;
  void wait_for_tasks() noexcept;
  // Keeps the outcome of the body; wakes who waits for it.
  void conclude(ThreadStatus status, const Value& error) noexcept;

  ThreadState state_;
  Parker parker_;
  Fiber native_fiber_;
  Fiber* kept_fiber_ = nullptr;
  void* stack_pointer_ = nullptr;  // of the stack from which the kept fiber's body was called
  void (*kept_body_)(void* context, void* state) noexcept = nullptr;  // null: done
  void* kept_context_ = nullptr;
  Scheduler scheduler_;
  std::unique_ptr<EventSource> events_;
  Userdata* handle_ = nullptr;
  int argument_count_ = 0;
  int fiber_count_ = 0;
  bool is_daemon_;
  bool is_collected_ = false;
  std::atomic<int> wake_descriptor_{-1};
  std::atomic<int> references_{1};
};

inline void NativeThread::run_on_kept_fiber(void (*body)(void* context, void* state) noexcept, void* context) {
  if (BATON_UNLIKELY(kept_fiber_ == nullptr)) make_kept_fiber();
  Coroutine* root = state_.root;
  char* const native_limit = root->machine_stack_limit;
  root->fiber = kept_fiber_;
  root->machine_stack_limit = reinterpret_cast<char*>(kept_fiber_->stack.low_limit);
  if (BATON_UNLIKELY(state_.dispatch == nullptr || root->hook_mask != 0)) {
    refresh_dispatch();  // else it is as the root's last switch, or whoever counts instructions, has left it
  }
#if BATON_HAS_STACK_CALL
  baton_call_on_stack(context, &state_, kept_fiber_, &stack_pointer_, body);
  if (BATON_UNLIKELY(native_fiber_.context.machine != nullptr)) native_fiber_.context = FiberContext{};  // it has served
#else
  switch_to_kept_fiber(body, context);
#endif
  root->fiber = &native_fiber_;
  root->machine_stack_limit = native_limit;
}

inline NativeThread& native_thread_of(ThreadState& thread) noexcept { return *static_cast<NativeThread*>(thread.sched); }

// With seeded switches: returns when `thread`, which was woken or started, stands in line for the GIL, which the caller holds;
// after a second in any case. Raises: nothing.
void await_arrival(ThreadState& thread) noexcept;

// Sets `reasons` in the thread's interrupt word and wakes it if it waits. Any thread, also a signal handler.
void interrupt(ThreadState& thread, std::uint32_t reasons) noexcept;

}  // namespace baton::sched
