// Script errors inside C++: the one exception type that natives, the heap and the value layer
// throw, and the ids of the errors that layers below vm raise without knowing positions or names.
//
// Rules
//  - Thrown as ScriptError by value; caught in three places only: the interpreter's entry (for
//    pcall), a fiber's entry, the host boundary. std::bad_alloc is converted to kMemory there.
//  - Nobody runs script code, closes variables or switches fibers inside a catch: copy the error
//    out, leave the catch, act then.
//  - The carried value needs no root while in flight: unwinding reaches no safepoint.
//  - An id without text gets its message, position and variable names from the catcher in vm.
#pragma once

#include "value/value.h"

namespace baton {

enum class ErrorId : std::uint8_t {
#define BATON_ERROR_MESSAGE(name, text) k##name,
#include "value/error_messages.def"
#undef BATON_ERROR_MESSAGE
};

struct ScriptError {
  ErrorId id;
  Value value;  // kValue: the error value itself, complete with position

  explicit ScriptError(ErrorId error_id) noexcept : id(error_id) {}
  explicit ScriptError(const Value& error_value) noexcept : id(ErrorId::kValue), value(error_value) {}
};

// An abandoned or closed coroutine's natives are unwound with this; no pcall sees it and nothing
// but fiber entries and vm::run's clean-up may catch it (and must rethrow or end the fiber).
struct ForcedUnwind {};

// The fixed text of an id (without position). Raises: nothing.
const char* error_text(ErrorId id) noexcept;

// Throws ScriptError(id). Keeps the throw out of callers' hot paths.
[[noreturn]] void raise(ErrorId id);

}  // namespace baton
