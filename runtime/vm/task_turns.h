// Tasks taking turns on one machine stack: the half that the interpreter expands in its handlers.
//
// Invariant: a native frame with kFrameIntrinsic on top of a task's coroutine says that nothing of it lies on the machine stack
// that the native needs in order to go on. Two kinds of natives stand so while their task is left:
//   async.checkpoint          flags == native and intrinsic: it ends, without results, when the task goes on
//   those of kResumable       kFrameResumable besides: they returned kNativeWaits and are called again, with the same window
// Whoever calls `rotate_task` or `leave_task` finds any task running behind it and goes on with that one's frames; so it keeps
// nothing on the machine stack either, and every such place can serve every task. The essay heads task_turns.cpp.
//
// Threading: the running native thread. Owner: vm; included by the interpreter and task_turns.cpp only.
#pragma once

#include "vm/coroutines.h"
#include "vm/native.h"

namespace baton::vm {

inline constexpr std::uint16_t kCheckpointFlags = kFrameNative | kFrameIntrinsic;

// Whether the running task may be left here, in a native at `function` that script called: on the machine stack of a coroutine,
// which does not run in place.
BATON_ALWAYS_INLINE bool can_leave_here(const ThreadState& thread, const CallFrame* frame, const Value* function,
                                        int arguments) noexcept {
  return !thread.interrupt.any() && coroutine::runs_plainly(thread.current) && has_room_for_native(thread.current, frame, function, arguments);
}

// Goes on with the task that runs now, whose innermost frame is a native's that can be completed, or which is new: until a script
// frame is the running one (kContinue), or as begin_call. May leave that task, too. Raises: what its native raises; ForcedUnwind.
Next continue_task(ThreadState& thread);

// The same, behind a switch or a hand-over.
BATON_ALWAYS_INLINE Next continue_task_here(ThreadState& thread) {
  Coroutine* co = thread.current;
  CallFrame* frame = co->frame;
  if (BATON_UNLIKELY(frame->flags != kCheckpointFlags || thread.arrival_is_open || thread.interrupt.any() || co->hook_mask != 0)) {
    return continue_task(thread);
  }
  leave_intrinsic(co, frame, frame->base - 1, co->top, 0, frame->wanted());
  return Next::kContinue;
}

// The call of async.checkpoint by the script frame `frame`; the caller asked can_leave_here. `done`: false if nothing was done,
// because this is no common case; the frame is as it was. Returns, Raises: as continue_task.
BATON_ALWAYS_INLINE Next rotate_here(ThreadState& thread, CallFrame* frame, Value* function, int arguments, int wanted, bool* done) {
  push_intrinsic_frame(thread.current, frame, function, function + 1 + arguments, wanted);
  const SwitchRecord record = thread.shared.rotate_task(thread);
  *done = record.place != nullptr;
  if (BATON_UNLIKELY(record.place == nullptr)) {
    thread.current->frame = frame;
    return Next::kContinue;
  }
  *record.place = record.machine;
  return continue_task_here(thread);
}

// The call of a native of kResumable; the caller asked can_leave_here. `left`: whether its task was left, so that any task may
// run now. Returns, Raises: as continue_task.
BATON_ALWAYS_INLINE Next call_resumable_here(ThreadState& thread, CallFrame* frame, Value* function, int arguments, int wanted,
                                             bool* left) {
  Coroutine* co = thread.current;
  push_intrinsic_frame(co, frame, function, function + 1 + arguments, wanted);
  co->frame->flags = kFrameNative | kFrameResumable;
  Native* native = function->native();
  NativeCall call(thread, arguments);
  const int count = native->function(call);
  *left = count == kNativeWaits;
  if (!*left) return finish_native(thread, native, count);
  const SwitchRecord record = thread.shared.leave_task(thread);
  *record.place = record.machine;
  return continue_task_here(thread);
}

}  // namespace baton::vm
