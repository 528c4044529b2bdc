// The verifier: whether a prototype is code that the interpreter may run without checks of its own.
//
// Invariant: what it accepts never reads or writes a register, constant, upvalue or prototype that does not exist, never
// leaves its code, and meets a safepoint in every cycle. It does not promise sensible programs.
// Owner: none, pure functions. Threading: as the heap. Used after each compilation in debug builds, and on every loaded
// binary chunk in all builds.
#pragma once

#include <cstdint>

#include "compiler/pieces.h"
#include "value/prototype.h"

namespace baton::compiler {

struct VerifierResult {
  bool is_valid = true;
  const char* problem = "";   // a sentence
  std::uint32_t pc = 0;       // where, in the function concerned
};

// Checks a function and all functions inside it. Takes: a prototype that has not run and stays reachable. Raises:
// std::bad_alloc, what a poll throws.
[[nodiscard]] VerifierResult verify(const Prototype& prototype, Pieces& pieces);
// The same in one piece. Raises: std::bad_alloc.
[[nodiscard]] VerifierResult verify(const Prototype& prototype);

}  // namespace baton::compiler
