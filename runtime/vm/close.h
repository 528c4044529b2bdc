// To-be-closed variables (manual 3.3.8) and unwinding.
#pragma once

#include "vm/thread_state.h"

namespace baton::vm {

// Whether variables at or above `level` are pending. Raises: nothing.
inline bool has_pending_variables(const Coroutine* co, const Value* level) noexcept {
  return co->to_be_closed_count != 0 && co->stack + co->to_be_closed[co->to_be_closed_count - 1] >= level;
}

// Closes upvalues and calls __close of pending variables at or above `level`, last first, with nil as
// the error. `top` covers what must survive. Raises: what a __close raises; the rest stays pending.
// Effects: may move the stack.
void close_variables(ThreadState& thread, Value* level);

// As above while an error (thread.pending) is on its way: an error in a __close replaces it, and all
// variables are closed. `top` may be anywhere above them. `handler`: the slot, counted from the stack's first, of a message
// handler for such errors; 0: none. Raises: ForcedUnwind only.
void close_variables_failing(ThreadState& thread, Value* level, std::ptrdiff_t handler = 0);

// The same for coroutine.close without an error: `failed` tells whether a __close raised one.
void close_all_variables(ThreadState& thread, Value* level, bool* failed);

// "variable 'x' got a non-closable value".
[[noreturn]] void raise_not_closable(ThreadState& thread, const Value* slot);

}  // namespace baton::vm
