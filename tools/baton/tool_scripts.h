// The parts of the program that are written in script: messages, prompt, tests, benchmarks.
//
// Each is one file beside this one, embedded, run at its first use with a function `use(name)` that gives the value of another.
// They see copies of the standard libraries, taken when the first of them is loaded, so that a script that changes its
// globals does not change the program; `_G` is the scripts' own.
// Owner: the registry of the runtime. Threading: the running thread, under the GIL.
#pragma once

#include <string_view>

#include "host/script.h"

namespace baton::program {

// Pushes the value of the part called `name`. Returns: kError with the error in thread.pending; then nothing was pushed.
Status push_tool(ThreadState& thread, std::string_view name);

// Calls `part.function` with the last `arguments` values, which it takes off the stack; exactly `wanted` results are pushed.
// `handler` (may be nil) is a message handler. Returns: kError with the error in thread.pending.
Status call_tool(ThreadState& thread, std::string_view part, std::string_view function, int arguments, int wanted,
                 const Value& handler = Value());

// Natives of these parts, by the name under which `use` gives them; each makes its table. In the files that name them.
Table* open_terminal(ThreadState& thread);
Table* open_shell(ThreadState& thread);

}  // namespace baton::program
