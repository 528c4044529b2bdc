// The half of resume and yield that the interpreter expands in its handlers.
//
// A script's call of coroutine.resume, coroutine.yield or a function of coroutine.wrap is executed by the interpreter: no
// machine frame of a native lies around the switch, so only one return is mispredicted behind it. The frame of the native
// exists all the same (kFrameIntrinsic), for tracebacks and debug functions. What is not the common case - hooks, errors,
// full stacks, a coroutine that cannot be resumed - is left to vm::resume and vm::yield or to the functions named here.
// Both halves follow the same protocol (coroutines.cpp), so either side of a switch may be of either kind.
//
// Threading: the running native thread. Owner: vm; included by the interpreter and coroutines.cpp only.
#pragma once

#include <utility>

#include "vm/debug_hooks.h"
#include "vm/frames.h"

namespace baton::vm {

// `co` runs from now on, or again. Raises: nothing.
BATON_ALWAYS_INLINE void note_running(ThreadState& thread, Coroutine* co) noexcept {
  thread.current = co;
  co->status = CoroutineStatus::kRunning;
  coroutine::note_run(thread.shared.heap, co);
}

BATON_ALWAYS_INLINE void switch_machine_stack(ThreadState& thread, Coroutine* from, Coroutine* to) noexcept {
  const SwitchRecord record = thread.shared.switch_to(from, to);
  *record.place = record.machine;
}

// `co` was suspended just now: gives its machine stack back if it can be continued on another one. Raises: nothing.
void park(ThreadState& thread, Coroutine* co) noexcept;

// Lets `co`, which counts as the running coroutine already, run on its machine stack until it yields or ends; then its resumer
// `from` is the running one. Raises: nothing.
BATON_ALWAYS_INLINE void switch_until_back(ThreadState& thread, Coroutine* from, Coroutine* co) noexcept {
  const int handlers = std::exchange(thread.handler_depth, 0);  // a message handler in `co` may yield, and never go on
  switch_machine_stack(thread, from, co);
  if (co->status == CoroutineStatus::kDead) thread.shared.drop_fiber(thread, co);
  else if (BATON_UNLIKELY(thread.shared.parks_coroutines)) park(thread, co);
  thread.handler_depth = handlers;
  co->resumer = nullptr;
  note_running(thread, from);
  if (BATON_UNLIKELY((from->hook_mask | co->hook_mask) != 0)) update_dispatch(thread);
}

// Switches from the running coroutine to `co`, for which note_run was called and which has a machine stack, and comes back when
// `co` yields or ends. Raises: nothing.
BATON_ALWAYS_INLINE void switch_into(ThreadState& thread, Coroutine* from, Coroutine* co) noexcept {
  co->thread = &thread;
  co->resumer = from;
  const std::int32_t own = own_nesting(co);
  co->nesting_base = from->nesting + 1;
  set_own_nesting(co, own);
  from->status = CoroutineStatus::kNormal;
  thread.current = co;
  co->status = CoroutineStatus::kRunning;
  if (BATON_UNLIKELY((from->hook_mask | co->hook_mask) != 0)) update_dispatch(thread);
  switch_until_back(thread, from, co);
}

// Whether there is room for the window of a native at `function` above the script frame `frame`.
BATON_ALWAYS_INLINE bool has_room_for_native(const Coroutine* co, const CallFrame* frame, const Value* function,
                                             int arguments) noexcept {
  return frame + 1 < co->frames_limit && co->stack_limit - function > static_cast<std::ptrdiff_t>(kMinNativeSlots) + 1 + arguments;
}

// Whether there is room for the frame of a native that the interpreter executes above the script frame `frame`. It needs no
// slots but those of its arguments.
BATON_ALWAYS_INLINE bool has_room_for_intrinsic(const Coroutine* co, const CallFrame* frame) noexcept {
  return frame + 1 < co->frames_limit;
}

// The frame of a yield that script called. Every coroutine that is suspended without a machine stack, having begun, has it on top.
inline constexpr std::uint16_t kPlainYieldFlags = kFrameNative | kFrameIntrinsic;

// Pushes the frame of a native that the interpreter executes, with a window that ends at `top`.
BATON_ALWAYS_INLINE void push_intrinsic_frame(Coroutine* co, CallFrame* caller, Value* function, Value* top, int wanted,
                                              std::uint16_t flags = 0) noexcept {
  CallFrame* frame = caller + 1;
  frame->base = function + 1;
  frame->pc = nullptr;
  frame->top = top;
  frame->flags = kFrameNative | kFrameIntrinsic | flags;
  frame->set_wanted(wanted);
  co->top = top;
  co->frame = frame;
}

// Whether resume_here or enter_in_place may resume `co` with `arguments` values.
BATON_ALWAYS_INLINE bool can_resume_here(const ThreadState& thread, const CallFrame* frame, const Coroutine* co,
                                         int arguments) noexcept {
  const Coroutine* from = thread.current;
  return co->status == CoroutineStatus::kSuspended && (co->thread == &thread || co->thread == nullptr) &&
         (from->hook_mask | co->hook_mask) == 0 && from->nesting < kMaxNesting && has_room_for_intrinsic(from, frame) &&
         co->stack_limit - co->top > static_cast<std::ptrdiff_t>(arguments) + 1;
}

// Completes what resume_here left undone: errors, hooks, results for which the stack must grow. `wrapped`: the running frame
// is that of a function of coroutine.wrap. Returns: kContinue, or kError for a wrapped coroutine's error.
// Raises: kStackOverflow, kMemory; what closing a wrapped coroutine raises.
Next finish_resume(ThreadState& thread, Coroutine* co, bool wrapped);

// Moves `count` values from `source` to `target`, padded with nil or cut to `wanted` (kMultipleResults: as many as there
// are). Returns: the end of what was written. Raises: nothing.
Value* copy_values(Value* target, const Value* source, int count, int wanted) noexcept;

// Moves `count` results from `first` to `result`, padded or cut to `wanted`; the frame of the native is popped.
BATON_ALWAYS_INLINE void leave_intrinsic(Coroutine* co, CallFrame* native, Value* result, const Value* first, int count,
                                         int wanted) noexcept {
  co->frame = native - 1;
  if (BATON_LIKELY(count == 1 && wanted == 1)) {  // a loop costs more than a value
    *result = *first;
    return;
  }
  if (count == 0 && wanted == 0) return;
  Value* end = copy_values(result, first, count, wanted);
  if (wanted < 0) co->top = end;
}

// The call of resume (`arguments` behind the coroutine in function[1]) or of a wrapped function (behind function[0]) by the
// script frame `frame`; the caller asked can_resume_here. Returns, Raises: as finish_resume; kMemory.
template <bool wrapped>
BATON_ALWAYS_INLINE Next resume_here(ThreadState& thread, CallFrame* frame, Value* function, Coroutine* co, int arguments, int wanted) {
  Coroutine* from = thread.current;
  Value* values = function + (wrapped ? 1 : 2);
  push_intrinsic_frame(from, frame, function, values, wanted, wrapped ? kFrameWrapped : 0);
  if (BATON_UNLIKELY(co->fiber == nullptr)) thread.shared.start_fiber(thread, co);
  coroutine::note_run(thread.shared.heap, co);
  if (BATON_LIKELY(arguments == 1)) *co->top = *values;
  else copy_values(co->top, values, arguments, arguments);
  co->top += arguments;
  co->transfer_count = arguments;
  switch_into(thread, from, co);
  const int count = co->transfer_count;
  CallFrame* native = from->frame;
  Value* result = native->base - 1;
  if (BATON_UNLIKELY(count < 0 || from->hook_mask != 0 || from->stack_limit - result <= static_cast<std::ptrdiff_t>(count) + 2)) {
    return finish_resume(thread, co, wrapped);
  }
  co->top -= count;
  const Value* source = co->top;
  if (!wrapped) {
    if (BATON_UNLIKELY(wanted == 0)) ++wanted;  // the status may stand in a free slot
    result->set_boolean(true);
    leave_intrinsic(from, native, result + 1, source, count, wanted < 0 ? wanted : wanted - 1);
  } else {
    leave_intrinsic(from, native, result, source, count, wanted);
  }
  if (BATON_UNLIKELY(co->status == CoroutineStatus::kDead)) coroutine::retire(thread.shared.heap, co);
  return Next::kContinue;
}

// Whether yield_here or leave_in_place may suspend the running coroutine.
BATON_ALWAYS_INLINE bool can_yield_here(const Coroutine* co, const CallFrame* frame) noexcept {
  return !co->is_root && !co->closing && (co->hook_mask | co->resumer->hook_mask) == 0 && has_room_for_intrinsic(co, frame);
}

// Throws ForcedUnwind: the coroutine was resumed to be ended.
[[noreturn]] void unwind_yield();

// The call of yield by the script frame `frame`; the caller asked can_yield_here. Returns: kContinue.
// Raises: ForcedUnwind; what a return hook raises that was set meanwhile.
BATON_ALWAYS_INLINE Next yield_here(ThreadState& thread, CallFrame* frame, Value* function, int arguments, int wanted) {
  Coroutine* co = thread.current;
  push_intrinsic_frame(co, frame, function, function + 1 + arguments, wanted);
  co->transfer_count = arguments;
  co->status = CoroutineStatus::kSuspended;
  switch_machine_stack(thread, co, co->resumer);
  if (BATON_UNLIKELY(co->unwinding)) unwind_yield();
  const int count = co->transfer_count;
  Value* first = co->top - count;
  if (BATON_UNLIKELY(co->hook_mask != 0)) return finish_return(thread, first, count);
  leave_intrinsic(co, co->frame, co->frame->base - 1, first, count, wanted);
  return Next::kContinue;
}

// ---------------------------------------------------------------------------------------------------------------------
// Coroutines that run in place (coroutines.cpp, "In place")

// Up to so many values fit above every coroutine's top without a check.
inline constexpr int kFewValues = 8;
static_assert(kFewValues + 2 < static_cast<int>(kStackMargin));

inline constexpr std::uint32_t kSuspendedState = coroutine::plain_state(CoroutineStatus::kSuspended, false);
inline constexpr std::uint32_t kRunningInPlaceState = coroutine::plain_state(CoroutineStatus::kRunning, true);

// Whether `from`, whose script frame is `frame`, may resume or be resumed in place: no hook is due, nothing is to be marked.
BATON_ALWAYS_INLINE bool is_plain_resumer(const ThreadState& thread, const Coroutine* from) noexcept {
  return from->hook_mask == 0 && !thread.shared.heap.is_marking();
}

// The common case of may_enter_in_place: `co` was suspended in place, and the values are few.
BATON_ALWAYS_INLINE bool may_continue_in_place(const ThreadState& thread, const CallFrame* frame, const Coroutine* co, int values) noexcept {
  const Coroutine* from = thread.current;
  return coroutine::state_of(co) == kSuspendedState && co->fiber == nullptr && co->thread == &thread && values <= kFewValues &&
         is_plain_resumer(thread, from) && from->nesting < kMaxNesting && thread.handler_depth == 0 && has_room_for_intrinsic(from, frame);
}

// Whether `co`, which can_resume_here, may be entered by enter_in_place.
inline bool may_enter_in_place(const ThreadState& thread, const Coroutine* co) noexcept {
  return co->fiber == nullptr && !co->is_root && thread.handler_depth == 0 && (co->frame != co->frames || co->stack[1].is_closure());
}

// Moves the `count` values at `source` to where the call of the intrinsic frame `native` of `co` wants them, and pops that
// frame. Returns: the script frame below it.
BATON_ALWAYS_INLINE CallFrame* give_values(Coroutine* co, CallFrame* native, Value* result, const Value* source, int count, int wanted) noexcept {
  co->frame = native - 1;
  if (BATON_LIKELY(count == 1 && wanted == 1)) {
    *result = *source;
    return native - 1;
  }
  const int kept = wanted < 0 || count < wanted ? count : wanted;
  BATON_SHORT_LOOP
  for (int i = 0; i < kept; ++i) result[i] = source[i];
  BATON_SHORT_LOOP
  for (int i = kept; i < wanted; ++i) result[i].set_nil();
  if (wanted < 0) co->top = result + count;
  return native - 1;
}

// `co`, for which the running coroutine pushed the frame of the native that resumes it, runs from now on, in place.
BATON_ALWAYS_INLINE void run_in_place(ThreadState& thread, Coroutine* co) noexcept {
  Coroutine* from = thread.current;
  const std::int32_t levels = from->nesting + 1;
  co->nesting += levels - co->nesting_base;
  co->nesting_base = levels;
  co->resumer = from;
  co->fiber = from->fiber;
  coroutine::set_state(co, kRunningInPlaceState);
  co->ran_since_mark = true;
  from->status = CoroutineStatus::kNormal;
  thread.current = co;
}

// The call of resume or of a wrapped function, as in resume_here: `co`, which may_continue_in_place, goes on where it yielded.
// Returns: the script frame with which the interpreter goes on. Raises: nothing.
template <bool wrapped>
BATON_ALWAYS_INLINE CallFrame* continue_in_place(ThreadState& thread, CallFrame* frame, Value* function, Coroutine* co, int arguments,
                                                 int wanted) noexcept {
  Value* values = function + (wrapped ? 1 : 2);
  push_intrinsic_frame(thread.current, frame, function, values, wanted, wrapped ? kFrameWrapped : 0);
  run_in_place(thread, co);
  CallFrame* yield = co->frame;
  return give_values(co, yield, yield->base - 1, values, arguments, yield->wanted());
}

// The same for any coroutine that may_enter_in_place, also for one that has not begun. Raises: kMemory; then nothing has changed.
CallFrame* enter_in_place(ThreadState& thread, CallFrame* frame, Value* function, Coroutine* co, int arguments, int wanted, bool wrapped);

// The common case of a yield in place, by the script frame `frame` of `co`, of `values` values.
BATON_ALWAYS_INLINE bool may_yield_in_place(const ThreadState& thread, const CallFrame* frame, const Coroutine* co, int values) noexcept {
  return coroutine::state_of(co) == kRunningInPlaceState && values <= kFewValues && is_plain_resumer(thread, co->resumer) &&
         has_room_for_intrinsic(co, frame);
}

// The coroutine `co`, which ran in place, goes back to its resumer, which runs from now on. `state`: of `co`.
BATON_ALWAYS_INLINE Coroutine* return_to_resumer(ThreadState& thread, Coroutine* co, CoroutineStatus status) noexcept {
  Coroutine* from = co->resumer;
  co->status = status;
  co->in_place = false;
  co->fiber = nullptr;
  co->resumer = nullptr;
  from->status = CoroutineStatus::kRunning;
  thread.current = from;
  return from;
}

// Gives `count` values at `source` of a coroutine that ran in place to the call by which the running one had resumed it.
// Returns: the script frame of that call.
BATON_ALWAYS_INLINE CallFrame* give_to_resumer(Coroutine* from, const Value* source, int count) noexcept {
  from->ran_since_mark = true;
  CallFrame* native = from->frame;
  Value* result = native->base - 1;
  int wanted = native->wanted();
  if ((native->flags & kFrameWrapped) == 0) {
    (result++)->set_boolean(true);  // if nothing is wanted, in a free slot
    if (wanted > 0) --wanted;
  }
  return give_values(from, native, result, source, count, wanted);
}

// The call of yield by the script frame `frame` of `co`, which may_yield_in_place. Returns: the resumer's script frame, with
// which the interpreter goes on. Raises: nothing.
BATON_ALWAYS_INLINE CallFrame* yield_in_place(ThreadState& thread, CallFrame* frame, Coroutine* co, Value* function, int arguments,
                                              int wanted) noexcept {
  push_intrinsic_frame(co, frame, function, function + 1, wanted);
  Coroutine* from = co->resumer;
  coroutine::set_state(co, kSuspendedState);
  co->fiber = nullptr;
  co->resumer = nullptr;
  from->status = CoroutineStatus::kRunning;
  thread.current = from;
  return give_to_resumer(from, function + 1, arguments);
}

// A coroutine that ran in place is suspended or dead, as `status` says: its last `count` values, or if `count` < 0 its error,
// go to its resumer. Returns: kContinue, or kError for a wrapped coroutine's error. Raises: as finish_resume.
Next leave_in_place(ThreadState& thread, Coroutine* co, CoroutineStatus status, int count);

// The running coroutine, which runs in place, has returned: its results stand from slot 1 on. Returns, Raises: as leave_in_place.
Next end_in_place(ThreadState& thread);

// The same for an error that nothing in it caught, thread.pending.
Next fail_in_place(ThreadState& thread);

// How a promoted coroutine goes on.
enum class Promotion : std::uint8_t {
  kInstruction,  // with the instruction before frame->pc
  kError,        // with thread.pending, which one of its frames will catch
};

// Gives the running coroutine, which runs in place, a machine stack of its own. Raises: kMemory; then nothing has changed.
void prepare_promotion(ThreadState& thread, Promotion how);

// Lets the coroutine for which prepare_promotion was called run until it yields or ends, and delivers what it gives to its
// resumer, which runs then. Returns, Raises: as finish_resume.
Next run_promoted(ThreadState& thread);

}  // namespace baton::vm
