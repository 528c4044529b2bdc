// The loop around the interpreter that turns exceptions and failed instructions into unwinding.
#pragma once

#include "vm/frames.h"

namespace baton::vm {

// Calls the value at `function` with the arguments behind it and runs until it returns. Returns kExit
// (results at the function's slot, up to `top`) or kError (thread.pending; frames are left as they
// were at the error, for tracebacks and handlers). Raises: ForcedUnwind only.
Next run(ThreadState& thread, Value* function, int arguments, int wanted);

// As `run` for the function of a coroutine that was parked in a yield (coroutines.cpp): the last `values` values of its stack
// are what the yield returns. Returns, Raises: as run.
Next continue_run(ThreadState& thread, int values);

// Runs what stands at the bottom of a machine stack: `begin` finds the frames of `thread.current` to go on with, and those of
// other tasks may follow (task_turns.h). Returns: kExit or kError, as run, for the body of the coroutine that is
// `thread.current` then. Raises: ForcedUnwind only.
Next run_bottom(ThreadState& thread, Next (*begin)(ThreadState& thread));

// Ends the body of the running coroutine, for which run_bottom returned kError: calls `handler` with thread.pending, closes its
// variables; its frames are dropped. Raises: ForcedUnwind only.
void end_failed(ThreadState& thread, const Value& handler);

// As `run` for a coroutine that was promoted (coroutines.cpp): it goes on with the instruction at frame->pc, or with the error in
// thread.pending. Returns, Raises: as run.
Next run_instruction(ThreadState& thread);
Next run_error(ThreadState& thread);

// Calls the message handler of an xpcall with thread.pending, frames still as at the error; its
// result replaces thread.pending. Raises: ForcedUnwind only.
void call_handler(ThreadState& thread, const Value& handler);

// Counts a C level for its lifetime. Raises: kMachineStackOverflow.
class NestingLevel {
 public:
  explicit NestingLevel(Coroutine* co) : co_(co) {
    if (BATON_UNLIKELY(co->nesting >= kMaxNesting) || machine_stack_low(co)) raise(ErrorId::kMachineStackOverflow);
    ++co->nesting;
  }
  ~NestingLevel() { --co_->nesting; }
  NestingLevel(const NestingLevel&) = delete;
  NestingLevel& operator=(const NestingLevel&) = delete;

 private:
  Coroutine* co_;
};

}  // namespace baton::vm
