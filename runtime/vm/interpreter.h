// The interpreter's entry points. The essay on dispatch heads interpreter.cpp.
#pragma once

#include "vm/frames.h"

namespace baton::vm {

// Runs script frames of the running coroutine until the entry frame returns (kExit) or an instruction
// fails (kError). Takes: the running frame is a script frame; its pc and base are saved.
// Raises: what natives and slow paths raise. Called by vm::run only.
Next execute(ThreadState& thread);

// The same for the frame of the function of `prototype` that was just filled: what is known of it need not be read again.
Next execute_entered(ThreadState& thread, CallFrame* frame, Value* base, const Prototype* prototype);

// Fills a thread's own table of handlers and lets its interrupt word direct the entries that poll.
void prepare_dispatch(DispatchTable& table, InterruptWord& word) noexcept;

// The table for hooks, seeded switches and counted instructions, the same for all threads.
const DispatchTable* traced_table() noexcept;

}  // namespace baton::vm
