// What the program prints about an error: Lua's first line, the line of source with a caret, hints, a traceback that goes
// through tasks and generators.
//
// Invariant: only the printed report says more than Lua does; an error value is never changed. When the report cannot be made
// (no memory, no stack), it is Lua's.
// Owner: none. Threading: the running thread, under the GIL.
#pragma once

#include <string_view>

#include "host/script.h"

namespace baton::program {

// The message handler that makes such a report. Raises: kMemory.
Value make_report_handler(ThreadState& thread);

// The error itself that was reported last. Raises: kMemory.
Value last_error(ThreadState& thread);

// thread.pending is the message of a text that did not compile: adds the excerpt and hints to it. Raises: nothing but kMemory.
void explain_syntax_error(ThreadState& thread);

// Remembers the text of a chunk that is in no file ("(command line)"), so that messages can show its lines. Raises: kMemory.
void remember_source(ThreadState& thread, std::string_view name, std::string_view text);

}  // namespace baton::program
