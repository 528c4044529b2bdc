// Machine stacks for coroutines: SharedState::switch_to, and the pool of stacks of one runtime.
//
// Invariants
//  - A coroutine that was started and has not ended has a Fiber in `co->fiber`; a root on its native thread's own stack
//    has that thread's `native_fiber`. Everybody else's is null, and then `co->thread` and `co->machine_stack_limit` are
//    null too: a coroutine belongs to a native thread for as long as it has a machine stack. The exception are parked ones
//    (vm/coroutines.cpp) and tasks that wait without one (vm/task_turns.cpp): they are their thread's all the same.
//  - A fiber of tasks may have no coroutine, and goes from one to another (`bind`, `unbind`).
//  - A fiber's record lies at the top of its own stack, so starting a coroutine allocates nothing.
//  - A fiber that has ended is freed by whoever arrives behind the switch that left it, never by itself.
// Owner: the runtime's ThreadGroup; it outlives the heap, whose last sweep still gives stacks back.
// Threading: under the GIL; a switch happens on the native thread that owns both fibers.
#pragma once

#include "base/check.h"
#include "fiber/context.h"
#include "fiber/stack_pool.h"
#include "value/coroutine.h"
#include "value/heap.h"
#include "vm/thread_state.h"

namespace baton::sched {

class NativeThread;

// The machine side of a coroutine. `context` comes first: entries find their record by it.
struct Fiber {
  FiberContext context;
  FiberStack stack;  // none: the native thread's own
  Coroutine* coroutine = nullptr;
  NativeThread* owner = nullptr;
  Fiber* next = nullptr;  // for whoever must collect fibers without memory
};

// `co`, which has no machine stack (or a native thread's own), runs on that of `fiber`, which serves nobody. Raises: nothing.
inline void bind(Fiber& fiber, Coroutine* co) noexcept {
  BATON_DCHECK(fiber.coroutine == nullptr);
  fiber.coroutine = co;
  co->fiber = &fiber;
  co->machine_stack_limit = reinterpret_cast<char*>(fiber.stack.low_limit);
}

// `co` has no machine stack any more; its fiber serves nobody. Returns: that fiber. Raises: nothing.
inline Fiber& unbind(Coroutine* co) noexcept {
  Fiber& fiber = *static_cast<Fiber*>(co->fiber);
  fiber.coroutine = nullptr;
  co->fiber = nullptr;
  co->machine_stack_limit = nullptr;
  return fiber;
}

class Fibers final : RootVisitor {
 public:
  // Becomes the heap's releaser of machine stacks. Raises: std::bad_alloc.
  explicit Fibers(Heap& heap);
  // The heap may be gone, or has released every stack.
  ~Fibers() override = default;
  Fibers(const Fibers&) = delete;
  Fibers& operator=(const Fibers&) = delete;

  // Stops watching the heap's cycles; call it before the heap is destroyed. Raises: nothing.
  void detach() noexcept { heap_.remove_root_visitor(this); }

  // Gives `co`, which has none, a fresh fiber on the native thread `owner` that will run `entry`.
  // Raises: kMemory. Effects: charges the heap for the pages that a stack touches.
  Fiber* start(NativeThread& owner, Coroutine* co, FiberEntry entry);

  // Frees a fiber that has ended, or that is suspended or fresh and owns nothing that needs unwinding. Raises: nothing.
  void release(Fiber* fiber) noexcept;

  // As release, but the coroutine will go on, on another machine stack of the same native thread. Raises: nothing.
  void park(Fiber* fiber) noexcept;

  // Unmaps what no fiber uses: for an emergency. Raises: nothing.
  void release_unused() noexcept { pool_.release_unused(); }

  StackPoolStatistics statistics() const noexcept { return pool_.statistics(); }

 private:
  void mark_roots(Heap&) override { tidy_due_ = true; }  // a cycle began or ends
  FiberStack take_stack();
  void give_up_stack(Fiber* fiber) noexcept;
  void note_use(NativeThread& owner) noexcept;
  void tidy() noexcept;

  Heap& heap_;
  StackPool pool_;
  bool tidy_due_ = false;
};

// SharedState::start_fiber.
void start_fiber(ThreadState& thread, Coroutine* co);

// SharedState::switch_to.
SwitchRecord switch_coroutines(Coroutine* from, Coroutine* to) noexcept;

// SharedState::leave_task.
SwitchRecord leave_task(ThreadState& thread) noexcept;

// SharedState::rotate_task.
SwitchRecord rotate_task(ThreadState& thread) noexcept;

// SharedState::drop_fiber.
void drop_fiber(ThreadState& thread, Coroutine* co) noexcept;

// SharedState::park_fiber.
void park_fiber(ThreadState& thread, Coroutine* co) noexcept;

}  // namespace baton::sched
