// One machine stack for many tasks.
//
// A machine stack of its own costs a task a page or two, the faults of touching them for the first time and, at each switch, the
// cache lines on which its registers were saved. Most tasks do not need it while they wait: a task that waits in script called by
// nothing but script has nothing on it that its call frames do not say. So when such a task leaves and the next one stands like
// that, or is new, no machine stack is left at all: the fiber is handed over, and the same activation of the interpreter goes on
// with the other task's frames.
//
//     interpreter: call of async.checkpoint, queue:get ...
//       rotate_task / leave_task      sched chooses the next task and makes it `thread.current`; if it has a machine stack of its
//                                     own it is switched to, and whoever comes back here later finds yet another one running
//       continue_task                 completes the native in which that one was left; its script frame goes on
//
// The bottom of such a stack is sched's loop around `run_bottom` (scheduler.cpp): when a body has returned or failed, it is the
// one of the coroutine that runs then, whichever the activation was begun for. An error passes through frames of the task that
// raised it only: nothing else has frames on this stack.
//
// Natives that wait. A native of Intrinsic::kResumable finds kFrameResumable on its frame when it was called by somebody who can
// call it again. It may then return kNativeWaits, having noted somewhere that its task waits, instead of waiting on the
// machine stack. When the task goes on it is called again with the same window, kFrameIntrinsic set, and finds out by that.
// It has pushed nothing before, as its arguments are all there is in the window. sched::ResumableWait (sched/wait.h) does all this.
#include "vm/task_turns.h"

#include "vm/run.h"

namespace baton::vm {
namespace {

// Calls the native in whose frame the running task stands, and ends it unless it waits. Returns: as continue_task; `waits`: whether
// it does.
Next call_again(ThreadState& thread, bool* waits) {
  Coroutine* co = thread.current;
  const CallFrame* frame = co->frame;
  Native* native = frame->base[-1].native();
  NativeCall call(thread, static_cast<int>(co->top - frame->base));
  const int count = native->function(call);
  *waits = count == kNativeWaits;
  return *waits ? Next::kContinue : finish_native(thread, native, count);
}

// The end of a checkpoint.
Next end_checkpoint(ThreadState& thread) {
  thread.shared.look(thread);
  return finish_return(thread, thread.current->top, 0);
}

// The first turn of the running task. Returns, `waits`: as call_again.
Next begin_body(ThreadState& thread, bool* waits) {
  const int arguments = thread.shared.begin_task(thread);
  Coroutine* co = thread.current;
  Value* function = co->stack + 1;
  const bool resumable = function->is_native() && function->native()->intrinsic == Intrinsic::kResumable;
  if (!resumable || co->hook_mask != 0 || !has_room_for_native(co, co->frame, function, arguments)) {
    return begin_call(thread, function, arguments, kMultipleResults, kFrameEntry);
  }
  push_intrinsic_frame(co, co->frame, function, function + 1 + arguments, kMultipleResults);
  co->frame->flags = kFrameNative | kFrameResumable | kFrameEntry;
  return call_again(thread, waits);
}

}  // namespace

Next continue_task(ThreadState& thread) {
  for (;;) {
    if (thread.arrival_is_open) thread.shared.complete_arrival(thread);
    const Coroutine* co = thread.current;
    bool waits = false;
    Next next;
    if (co->frame == co->frames) next = begin_body(thread, &waits);
    else if (co->frame->flags == kCheckpointFlags) next = end_checkpoint(thread);
    else next = call_again(thread, &waits);
    if (!waits) return next;
    const SwitchRecord record = thread.shared.leave_task(thread);
    *record.place = record.machine;
  }
}

}  // namespace baton::vm
