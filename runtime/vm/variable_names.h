// Names of the values in a running function's registers and upvalues, found by looking at its code:
// what messages call "local 'x'", "field 'y'", "global 'f'".
//
// Invariant: a pure function of a prototype and a position in it; what cannot be known for certain
// has no name. Owner: the prototype keeps the bytes of a name. Threading: under the GIL.
#pragma once

#include <string_view>

#include "value/prototype.h"
#include "vm/traceback.h"

namespace baton::vm {

// `kind` is a literal: "local", "global", "field", "method", "upvalue", "constant", ... or "" (then
// there is no name). `name` stays valid as long as the prototype.
struct VariableName {
  const char* kind = "";
  std::string_view name;
  explicit operator bool() const noexcept { return kind[0] != '\0'; }
};

// How the value that instruction `pc` (0-based) finds in register `reg` is called. Raises: nothing.
VariableName register_name(const Prototype* p, std::int32_t pc, int reg) noexcept;

// The name of upvalue `index`, "?" if the prototype is stripped. Raises: nothing.
std::string_view upvalue_name(const Prototype* p, int index) noexcept;

// How the function that instruction `pc` calls is called: the callee of a call, "for iterator", or
// the metamethod that the instruction may run ("metamethod", "index"). Raises: nothing.
VariableName called_name(const Prototype* p, std::int32_t pc) noexcept;

// What `frame` is about to call, or has called: as called_name, also for hooks and finalizers.
// `frame` may be null. Raises: std::bad_alloc.
CallName callee_name(const Coroutine* co, const CallFrame* frame);

// "chunk:line: " of `frame` if it is a script function, else "". `frame` may be null. Raises: std::bad_alloc.
std::string script_position(const Coroutine* co, const CallFrame* frame);

}  // namespace baton::vm
