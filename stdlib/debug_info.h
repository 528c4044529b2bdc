// What the debug library finds out about running functions: getinfo, and the places of local variables.
//
// Invariant: a frame or slot found here is valid until the stack of its coroutine may move.
// Owner: none. Threading: under the GIL; the coroutine asked about is not running on another native thread.
#pragma once

#include "vm/native.h"

namespace baton::stdlib {

// debug.getinfo([thread,] f [, what]).
int debug_getinfo(NativeCall& call);

// The coroutine an optional first argument names, else the running one; `shift` is 1 if it was given.
Coroutine* target_coroutine(NativeCall& call, int& shift);

// The frame at a level of `co`, or null.
CallFrame* frame_of_level(Coroutine* co, std::int64_t level);

// The `n`-th local variable of a frame (negative: extra arguments), with its slot, or a null name. Raises: std::bad_alloc.
const char* find_local(Coroutine* co, const CallFrame* frame, std::int64_t n, Value*& slot);

}  // namespace baton::stdlib
