// Names and positions: what messages and tracebacks say about running functions and variables.
#pragma once

#include <string>

#include "vm/thread_state.h"

namespace baton::vm {

// "chunk:line: " of the function at `level` (0: the running one, 1: its caller ...), or "". Raises: nothing.
std::string where(ThreadState& thread, int level);

// "chunk:line" of the newest script function of `co`, or "". Raises: std::bad_alloc.
std::string position_of(const Coroutine* co);
// "chunk:line" of the instruction before `pc` of the script function `function`, or "". Raises: std::bad_alloc.
std::string position_in(const Value& function, const Instruction* pc);

// Current line of a script frame, or -1. `frame` may be any frame of `co`. Raises: nothing.
int current_line(const Coroutine* co, const CallFrame* frame) noexcept;

// The frame at `level` of `co` (0: the running function), or null. Skips the sentinel.
CallFrame* frame_at(const Coroutine* co, int level) noexcept;

// How the function of `frame` was called, judged by its caller's instruction: "global", "local",
// "method", "field", "upvalue", "metamethod", "for iterator", "hook" or "" and the name.
struct CallName { const char* kind; std::string name; };
CallName call_name(const Coroutine* co, const CallFrame* frame);

// " (local 'x')" / " (field 'y')" / " (constant 'z')" ... for a value that sits in a register or upvalue of the
// running script frame, or "". Used by messages.
std::string variable_description(ThreadState& thread, const Value* slot);

// Lua's traceback of `co` from `level` on: "stack traceback:\n\t..." ; `message` (may be null) goes in front.
std::string traceback(ThreadState& thread, const Coroutine* co, const char* message, int level);

// "string.format", "print": the name under which package.loaded holds the function ("_G." removed), else "". Raises: nothing.
std::string loaded_name(ThreadState& thread, const Value& function);

// "function 'name'" for a global function found in package.loaded ("_G." removed), else "". Raises: nothing.
std::string loaded_function_name(ThreadState& thread, const Value& function);

}  // namespace baton::vm
