// How coroutines get onto machine stacks.
//
// A resume or a yield is one switch between two Fibers, and nothing else: statuses, values and the running coroutine are
// vm's affair. The first resume of a coroutine takes a stack from the pool, writes the record to its top, and enters
// `run_coroutine` below it:
//
//     top   +---------------------+
//           | Fiber (the record)  |
//           | frames of natives   |   grows down
//           | ...                 |
//           | low_limit           |   a native called below it raises "stack overflow"
//     low   +---------------------+
//
// When the body ends, `run_coroutine` returns the resumer's context as the place to go. The resumer sees that the coroutine is
// dead and drops the fiber: by then nothing runs on that stack. The resumer of an ended coroutine is still in `resumer`,
// which vm clears after the arrival.
//
// What a stack costs. A stack is 256 KiB of addresses of which two pages are touched as a rule: the heap is charged for
// them when the coroutine starts and credited when its stack goes back, so the memory cap and the pace of the collector
// count machine stacks. If the heap is at its cap or the system gives no more, pooled stacks are unmapped and the attempt
// is repeated once; then it is "not enough memory", an ordinary script error of the resume.
//
// A dead coroutine's stack comes back from the sweeper (`release_from_sweep`), inside some allocation. Only stacks without
// frames of natives get there: the heap keeps the others alive until their owner has unwound them.
//
// While more than kKeptStacks machine stacks are in use, coroutines that yield give theirs up where they can (vm/coroutines.cpp).
// It costs each further switch about as much as a call of a native, and saves a page of memory and the fault that brings it.
// Tasks do so always, because there it costs nothing: what one leaves the next goes on with (scheduler.cpp, "Machine stacks").
//
// Once per collection cycle the pool measures and unmaps what is idle. The heap announces cycles by asking its root
// visitors; since that happens in a pause, the work itself is put off to the next start or end of a coroutine.
#include "sched/fibers.h"

#include <cstddef>
#include <new>

#include "fiber/context_inline.h"
#include "sched/native_thread.h"
#include "sched/thread_group.h"
#include "vm/call.h"

namespace baton::sched {
namespace {

constexpr std::size_t kTouchedBytes = 4 * 1024;  // the page that a started coroutine occupies; 4.1 KB measured
constexpr std::size_t kSlabsMeasuredPerCycle = 4;
constexpr std::size_t kKeptStacks = BATON_STRESS ? 2 : 512;
constexpr std::size_t kRecordBytes = (sizeof(Fiber) + 63) / 64 * 64;

Fiber* fiber_of(const Coroutine* co) noexcept { return static_cast<Fiber*>(co->fiber); }

// The body of every coroutine's fiber.
Departure run_coroutine(FiberContext& self, Arrival) noexcept {
  Fiber& fiber = reinterpret_cast<Fiber&>(self);
  vm::coroutine_main(fiber.owner->state());
  return {&fiber_of(fiber.coroutine->resumer)->context, nullptr};
}

void release_from_sweep(void* context, Coroutine* co) {
  static_cast<Fibers*>(context)->release(fiber_of(co));
}

}  // namespace

Fibers::Fibers(Heap& heap) : heap_(heap) {
  heap.add_root_visitor(this);
  heap.set_fiber_release(release_from_sweep, this);
}

FiberStack Fibers::take_stack() {
  heap_.add_external(kTouchedBytes);
  FiberStack stack = pool_.take();
  if (BATON_UNLIKELY(!stack)) {
    pool_.release_unused();
    stack = pool_.take();
  }
  if (BATON_UNLIKELY(!stack)) {
    heap_.remove_external(kTouchedBytes);
    raise(ErrorId::kMemory);
  }
  return stack;
}

Fiber* Fibers::start(NativeThread& owner, Coroutine* co, FiberEntry entry) {
  if (BATON_UNLIKELY(tidy_due_)) tidy();
  const FiberStack stack = take_stack();
  auto* fiber = new (stack.top - kRecordBytes) Fiber;
  fiber->stack = stack;
  fiber->owner = &owner;
  make_fiber(fiber->context, stack.low, stack.top - kRecordBytes, entry);
  bind(*fiber, co);
  owner.count_fiber(1);
  note_use(owner);
  return fiber;
}

void Fibers::note_use(NativeThread& owner) noexcept { owner.state().shared.parks_coroutines = pool_.in_use() > kKeptStacks; }

void Fibers::release(Fiber* fiber) noexcept {
  if (fiber->coroutine != nullptr) fiber->coroutine->thread = nullptr;
  give_up_stack(fiber);
}

void Fibers::park(Fiber* fiber) noexcept {
  fiber->owner->state().has_parked = true;
  give_up_stack(fiber);
}

void Fibers::give_up_stack(Fiber* fiber) noexcept {
  NativeThread& owner = *fiber->owner;
  if (Coroutine* co = fiber->coroutine) {
    co->fiber = nullptr;
    co->machine_stack_limit = nullptr;
  }
  owner.count_fiber(-1);
  discard_fiber(fiber->context);
  const FiberStack stack = fiber->stack;
  pool_.give_back(stack);
  heap_.remove_external(kTouchedBytes);
  note_use(owner);
  if (BATON_UNLIKELY(tidy_due_)) tidy();
}

void Fibers::tidy() noexcept {
  tidy_due_ = false;
  pool_.tidy(kSlabsMeasuredPerCycle);
}

void start_fiber(ThreadState& thread, Coroutine* co) {
  group_of(thread.shared).fibers().start(native_thread_of(thread), co, run_coroutine);
}

SwitchRecord switch_coroutines(Coroutine* from, Coroutine* to) noexcept {
  static_assert(offsetof(FiberContext, machine) == 0);
  const RawArrival arrival = leave_for(fiber_of(from)->context, fiber_of(to)->context);
  return {arrival.machine, reinterpret_cast<void**>(arrival.left)};
}

// Jumps at their ends, as in switch_coroutines: the interpreter has no frame that a return would lead back to.
SwitchRecord leave_task(ThreadState& thread) noexcept {
  Scheduler& scheduler = scheduler_of(thread);
  const Scheduler::Switch chosen = scheduler.leave_current(thread);
  if (chosen.to == nullptr) return scheduler.nothing_left();
  const RawArrival arrival = leave_for(*chosen.from, *chosen.to);
  return {arrival.machine, reinterpret_cast<void**>(arrival.left)};
}

SwitchRecord rotate_task(ThreadState& thread) noexcept {
  Scheduler& scheduler = scheduler_of(thread);
  if (BATON_UNLIKELY(!scheduler.begin_rotation(thread))) return {nullptr, nullptr};
  const Scheduler::Switch chosen = scheduler.leave_current(thread);
  if (BATON_LIKELY(chosen.to == nullptr)) return scheduler.nothing_left();
  const RawArrival arrival = leave_for(*chosen.from, *chosen.to);
  return {arrival.machine, reinterpret_cast<void**>(arrival.left)};
}

void drop_fiber(ThreadState& thread, Coroutine* co) noexcept {
  if (co->fiber != nullptr) group_of(thread.shared).fibers().release(fiber_of(co));
}

void park_fiber(ThreadState& thread, Coroutine* co) noexcept { group_of(thread.shared).fibers().park(fiber_of(co)); }

}  // namespace baton::sched
