// Debug hooks (manual 6.10 debug.sethook): a function that runs at calls, returns, new lines, and
// every so many instructions of one coroutine.
//
// How they are reached: while the running coroutine has a hook, the interpreter uses the traced
// dispatch table, whose every entry asks for trace_instruction before the real handler, and for
// hook_call before a function's first instruction; returns from traced functions take a slow path.
//
// Invariants
//  - While a hook runs, no other hook of that coroutine does (Coroutine::hooks_allowed), and the frame
//    under the hook function carries kFrameHooked.
//  - `scratch` of a script frame holds the position (0-based) of the instruction traced last in it.
//  - ThreadState::dispatch fits the running coroutine: whoever switches coroutines or changes a hook
//    calls update_dispatch.
// Threading: the running native thread. A hook is ordinary script code: it may raise (the error
// passes through the hooked function) and it may yield.
#pragma once

#include "vm/thread_state.h"

namespace baton::vm {

enum HookMask : std::uint8_t {
  kHookCall = 1 << 0,
  kHookReturn = 1 << 1,
  kHookLine = 1 << 2,
  kHookCount = 1 << 3,
};

// Installs `function` for the events of `mask`; `count` instructions between count events. A nil
// function, or no mask, removes the hook. Takes: `co` may be any coroutine. Call update_dispatch
// afterwards if it is the running one. Raises: nothing.
void set_hook(Heap& heap, Coroutine* co, const Value& function, int mask, std::int32_t count) noexcept;

// Gives a new coroutine the hook of its creator. Raises: nothing.
void inherit_hook(Heap& heap, const Coroutine* creator, Coroutine* created) noexcept;

// After an error has dropped frames: allows hooks again unless one runs in the frames that are left.
// Raises: nothing.
void restore_hooks(Coroutine* co) noexcept;

// Chooses the plain or the traced dispatch table for the running coroutine. Raises: nothing.
void update_dispatch(ThreadState& thread) noexcept;

// `pc` is about to run in the running script frame; its `top` covers all live values. Fires the count
// and line hooks that are due. Raises: what the hook raises. Effects: may move the stack and the frames.
void trace_instruction(ThreadState& thread, const Instruction* pc);

// The running frame is about to execute its first instruction (a script function's), or its function
// (a native's). Raises, Effects: as trace_instruction.
void hook_call(ThreadState& thread, bool is_tail);

// The running frame is about to return `count` values from `first` on, which stand below `top`. Raises, Effects: as
// trace_instruction.
void hook_return(ThreadState& thread, const Value* first, int count);

}  // namespace baton::vm
