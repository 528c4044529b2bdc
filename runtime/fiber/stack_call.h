// A plain call on another machine stack: for a body that returns soon, and only now and then has to be left before it does.
//
// Invariant: it is a call like any other. Who returns from `function` is back behind the call, nothing of the stack's context is
// saved, and callers, unwinders and debuggers see one row of frames across both stacks. The stack pointer that the caller had
// is written to `left` before anything runs: what lies below it on the caller's stack is free until the return, so a context
// for the caller's side can be made there if the body is left for another (native_thread.cpp does).
// Exists where BATON_HAS_STACK_CALL is 1; sanitizers must be told of each change of stacks, so there only contexts switch.
// Owner: none. Threading: none of its own.
#pragma once

#include "base/platform.h"

#if defined(__x86_64__) && defined(__ELF__) && !BATON_ASAN && !BATON_TSAN && !defined(__CET__)
#define BATON_HAS_STACK_CALL 1

// Calls `function(first, second)` on the stack that grows down from `top`, a multiple of 16. Raises: nothing, and `function` lets
// nothing out.
extern "C" [[gnu::visibility("hidden")]] void baton_call_on_stack(void* first, void* second, void* top, void** left,
                                                                  void (*function)(void* first, void* second) noexcept) noexcept;
#else
#define BATON_HAS_STACK_CALL 0
#endif
