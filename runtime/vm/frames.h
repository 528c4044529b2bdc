// Pushing and popping call frames: what the interpreter's calls and returns, vm::call and the
// unwinder share. Nothing here recurses into the interpreter; natives are called.
//
// A function that returns Next has left the coroutine's frames consistent:
//   kContinue  the running frame is a script frame and its saved pc says where to go on
//   kExit      the entry frame of this vm::run has returned; its results stand below `top`
//   kError     ThreadState::pending holds an error; no frame was popped
//   kPromote   the coroutine runs in place and needs a machine stack of its own for what the running instruction is about to
//              do; nothing has changed, so the instruction can begin anew there (coroutines.cpp)
// Threading: the running native thread.
#pragma once

#include "value/closure.h"
#include "value/coroutine.h"
#include "vm/thread_state.h"

namespace baton::vm {

enum class [[nodiscard]] Next : int { kContinue = 0, kExit = 1, kError = 2, kPromote = 3 };

// Calls the value in `*function` with the `arguments` values behind it (`top` need not be set). A
// script function gets a frame; a native runs now; pcall and xpcall become frames and call on.
// Takes: frame flags of the new frame (kFrameEntry, kFrameFinish, kFrameUnderIntrinsic).
// Raises: kStackOverflow, kMachineStackOverflow, kMemory, what a native raises, "attempt to call ...".
Next begin_call(ThreadState& thread, Value* function, int arguments, int wanted, std::uint16_t flags);

// Grows the stack of the running coroutine so that `slots` fit above `top`. While a message handler runs, the reserve may
// be used instead of failing again. Raises: kStackOverflow, kErrorInErrorHandling, kMemory.
void make_stack_room(ThreadState& thread, std::uint32_t slots);

// The rare half of push_script_frame: the stack or the frame array must grow first.
CallFrame* push_script_frame_growing(ThreadState& thread, Value* function, int arguments, int wanted, std::uint16_t flags);

// Fills the next frame of `co` for the script function at `function`, whose room has been checked. Raises: nothing.
BATON_ALWAYS_INLINE CallFrame* fill_script_frame(Coroutine* co, Value* function, int arguments, int wanted, std::uint16_t flags) noexcept {
  const Prototype* p = function->closure()->prototype;
  BATON_SHORT_LOOP
  for (int i = arguments; i < p->parameter_count; ++i) function[1 + i].set_nil();
  CallFrame* frame = co->frame + 1;
  frame->base = function + 1;
  frame->pc = p->code.items;
  frame->constants = p->constants.items;
  frame->top = function + 1 + p->max_stack;
  frame->flags = flags;
  frame->set_wanted(wanted);
  frame->argument_count = static_cast<std::uint32_t>(arguments);
  frame->scratch = 0;
  co->frame = frame;
  return frame;
}

// Makes room for a script function's frame at `function` and pushes it; missing parameters become
// nil. Returns the new frame. Raises: kStackOverflow, kMemory.
BATON_ALWAYS_INLINE CallFrame* push_script_frame(ThreadState& thread, Value* function, int arguments, int wanted, std::uint16_t flags) {
  Coroutine* co = thread.current;
  const std::ptrdiff_t room = co->stack_limit - function;
  if (BATON_UNLIKELY(BATON_STRESS || room <= static_cast<std::ptrdiff_t>(function->closure()->prototype->max_stack) + 1 ||
                     co->frame + 1 >= co->frames_limit)) {
    return push_script_frame_growing(thread, function, arguments, wanted, flags);
  }
  return fill_script_frame(co, function, arguments, wanted, flags);
}

// Returns from the running frame with `count` results that begin at `first`: moves them to where
// the caller wants them, pops the frame and completes callers that are intrinsics or instructions.
Next finish_return(ThreadState& thread, Value* first, int count);

// Ends the running native `native`, whose function returned `count`. Returns: as finish_return; kError.
Next finish_native(ThreadState& thread, Native* native, int count);

// Puts the __call metamethod of `*function` in front of it, so that the value becomes the first
// argument; `level` counts how often that was done for one call, the first being 1: a value that is its own __call would
// move all arguments again for each slot of the stack. Returns where the function stands now, or null with the error in
// thread.pending. Raises: kStackOverflow, kMemory, kCallChainTooLong above kMostCallLevels.
inline constexpr int kMostCallLevels = 200;
Value* insert_call_metamethod(ThreadState& thread, Value* function, int arguments, int level);

// Completes the instruction before frame->pc of the running script frame with the metamethod's
// result, which stands at frame->top[0]. Raises: nothing.
void finish_instruction(CallFrame* frame) noexcept;

// ForcedUnwind passes: the coroutines that run in place are dead, and the one below them runs. Raises: nothing.
void abandon_in_place(ThreadState& thread) noexcept;

// The end of the live values of the running frame: its registers or its window. Raises: nothing.
inline void cover_frame(Coroutine* co) noexcept {
  if (co->frame->is_script() || co->top < co->frame->base) co->top = co->frame->top;
}

// The C levels that belong to `co` itself: what it was resumed with may have changed since. Raises: nothing.
inline std::int32_t own_nesting(const Coroutine* co) noexcept { return co->nesting - co->nesting_base; }
inline void set_own_nesting(Coroutine* co, std::int32_t own) noexcept { co->nesting = co->nesting_base + own; }

// Whether the machine stack of the running coroutine is too low for another native. Raises: nothing.
inline bool machine_stack_low(const Coroutine* co) noexcept {
  return BATON_UNLIKELY(static_cast<char*>(__builtin_frame_address(0)) < co->machine_stack_limit);
}

}  // namespace baton::vm
