// What the compiler's unit tests share. Owner: each test its own heap. Threading: none.
#pragma once

#include <string>

#include "compiler/compiler.h"
#include "compiler/disassembler.h"

namespace baton::test {

// Compiles a text named "=t". Raises: CompileError.
inline Prototype* compile(Heap& heap, std::string_view text) { return compiler::compile(heap, text, "=t"); }

// Returns the message of the error a text gives, or "" if it compiles.
inline std::string error_of(Heap& heap, std::string_view text) {
  try {
    compile(heap, text);
    return {};
  } catch (const compiler::CompileError& error) {
    return error.message;
  }
}

// Returns `count` times `piece`, joined by `separator`.
inline std::string repeated(const std::string& piece, int count, const std::string& separator = "") {
  std::string text;
  for (int i = 0; i < count; ++i) text.append(i == 0 ? "" : separator).append(piece);
  return text;
}

// Returns the first instruction with an opcode, or null.
inline const Instruction* find(const Prototype& prototype, Opcode op) {
  for (const Instruction& instruction : prototype.code) {
    if (opcode_info(instruction.op).base == op) return &instruction;
  }
  return nullptr;
}

}  // namespace baton::test
