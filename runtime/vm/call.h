// Calling functions from C++, protected calls, closing variables.
//
// Convention: the function and its arguments are the last values of the running coroutine's stack;
// they are replaced by the results (exactly `wanted`, or all for kMultipleResults).
#pragma once

#include "vm/thread_state.h"

namespace baton::vm {

// Calls the function at top[-arguments-1] (a value with __call will do). Returns the number of
// results now on top. Raises: what the function raises (ScriptError(kValue)), kStackOverflow, kMachineStackOverflow.
int call(ThreadState& thread, int arguments, int wanted);

// As call, but an error ends here: returns kError with the error value in thread.pending, stack
// and frames as before the call without function and arguments, to-be-closed variables closed.
// `handler` (may be nil) is called with the error value at the point of the error, before
// unwinding, and its result becomes the error value. `result_count` receives the number of results.
// Must not be called inside a catch. ForcedUnwind passes through.
Status protected_call(ThreadState& thread, int arguments, int wanted, const Value& handler, int* result_count);

// Where a call from C++ begins: what `abandon_to` restores.
struct CallMark {
  std::ptrdiff_t frame;
  std::ptrdiff_t slot;
  std::int32_t nesting;
  int handler_depth;
};
// The mark of the running coroutine, `values` of whose stack belong to what follows. Raises: nothing.
inline CallMark mark_call(const ThreadState& thread, int values) noexcept {
  const Coroutine* co = thread.current;
  return {co->frame - co->frames, co->top - values - co->stack, co->nesting - co->nesting_base, thread.handler_depth};
}
// Behind a ForcedUnwind that was caught: drops frames and values above the mark, running no __close. Raises: nothing.
void abandon_to(ThreadState& thread, const CallMark& mark) noexcept;

// Runs `body(context)` (C++ code that may raise) protected: as protected_call, for natives and hosts.
Status protected_run(ThreadState& thread, void (*body)(ThreadState&, void*), void* context);

// Pushes a value on the running coroutine's stack; grows it. Raises: kStackOverflow, kMemory.
void push(ThreadState& thread, const Value& v);

// The body of every fiber: runs the coroutine's function (stack[1], arguments above it) to its end.
// On return the status is kDead and results are its last values, or `error` holds its error.
// Raises: nothing.
void coroutine_main(ThreadState& thread) noexcept;

enum class ResumeResult : std::uint8_t { kYielded, kReturned, kFailed, kRefused };

// Resumes `co` with the last `arguments` values of the running coroutine (popped). Returns how it
// came back; `count` values (results, or one error value) were pushed on the running coroutine.
// kRefused: the coroutine could not be resumed (the pushed value is the message).
// Raises: kStackOverflow, kMemory, ForcedUnwind, a cancellation.
ResumeResult resume(ThreadState& thread, Coroutine* co, int arguments, int* count);

// The error of a function of coroutine.wrap whose coroutine did not come back well; resume left its value on top. The pending
// variables of a coroutine that died are closed, a string gets the position of the function's caller. Raises: kMemory,
// kStackOverflow. `refused`: the coroutine was not resumed.
Value wrap_error(ThreadState& thread, Coroutine* co, bool refused);

// Suspends the running coroutine; its last `values` values travel to the resumer. Returns, when
// resumed again, the number of values that the resumer passed (the last ones of the stack).
// Raises: "attempt to yield from outside a coroutine", ForcedUnwind.
int yield(ThreadState& thread, int values);

// coroutine.close: closes a suspended or dead coroutine's pending variables and drops its frames.
// Returns kError with the error value in thread.pending if it died with or closing raised an error.
Status close_coroutine(ThreadState& thread, Coroutine* co);

// Ends the machine stack of a suspended coroutine that nothing refers to any more: its natives are
// unwound, nothing is closed. Takes: a coroutine of this native thread. Raises: nothing.
void unwind_abandoned(ThreadState& thread, Coroutine* co);

// Whether the running coroutine may yield (it is not a root).
bool is_yieldable(ThreadState& thread) noexcept;

}  // namespace baton::vm
