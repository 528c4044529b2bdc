// From source text to a prototype: the one entry of this layer.
//
// compile = parse (syntax) + code generation. The tree lives in an arena that is gone when compile
// returns; only the prototype stays. No script code runs and no safepoint is reached, except
// through `poll`, which the caller may use to let others in while a huge source is compiled.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "value/heap.h"
#include "value/prototype.h"

namespace baton::compiler {

struct CompileOptions {
  // Called every few thousand tokens while the text is parsed, then every few hundred statements while code is generated, and
  // so on: it may reach a safepoint, for which the generator is a root visitor. It may throw to stop.
  std::function<void()> poll;
  // The chunk's name as a string that stays reachable during the call, or null: then one is made.
  String* source = nullptr;
};

// A syntax error: the complete message, "chunk:line: text near 'token'", as PUC Lua words it.
struct CompileError {
  std::string message;
};

// Compiles `text` (a chunk without leading `#` line) named `chunk_name` ("@file", "=name" or the
// text itself). Returns the main function's prototype: vararg, no parameters, upvalue 0 is _ENV.
// Raises: CompileError (also for exceeded limits), ScriptError(kMemory), what `poll` throws.
Prototype* compile(Heap& heap, std::string_view text, std::string_view chunk_name, const CompileOptions& options = {});

}  // namespace baton::compiler
