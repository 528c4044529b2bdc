// What a program needs to run script code on the running coroutine: the whole API of natives, and calls whose errors become
// reports. For programs that are linked with the runtime's own libraries; the stable API of embedders is in include/baton.
//
// Invariant: everything here is called inside Runtime::run, holding the GIL. Owner: none. Threading: the running thread.
#pragma once

#include <string>

#include "host/load.h"
#include "vm/call.h"
#include "vm/native.h"
#include "vm/operations.h"
#include "vm/safepoint.h"
#include "vm/thread_state.h"

namespace baton::host {

// vm::protected_call with a message handler that adds a traceback to texts and describes other error values.
// Returns: kError with the report in thread.pending, a string unless memory or stack ran out.
Status traced_call(ThreadState& thread, int arguments, int wanted, int* result_count);

// An error as a message handler sees it, where it happened: its text, and a traceback ("stack traceback:\n...") that goes on
// through the tasks and generators that handed the error on. Error objects with a text of their own have no trace.
struct ErrorText {
  std::string message;
  std::string trace;
  bool has_trace = true;
};

// For message handlers: describes argument 1 of `call`. Raises: what __tostring raises, kMemory.
ErrorText describe_error(NativeCall& call);

// The text of the error in thread.pending. Raises: std::bad_alloc.
std::string pending_report(const ThreadState& thread);

// "string.format", "print": under which name the loaded modules hold a function, else "". Raises: std::bad_alloc.
std::string function_name(ThreadState& thread, const Value& function);

}  // namespace baton::host
