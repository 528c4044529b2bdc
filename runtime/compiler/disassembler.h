// A prototype as text, for people and for golden tests: one line for each instruction, from the table of opcodes.
//
// Invariant: the text depends only on the prototype (no addresses), and says all of it.
// Owner: none, pure functions. Threading: as the heap.
#pragma once

#include <string>

#include "value/prototype.h"

namespace baton::compiler {

// Returns the listing of a function and all functions inside it. Raises: std::bad_alloc.
std::string disassemble(const Prototype& prototype);

// Returns one instruction's text without its line number. Takes: an index of an instruction. Raises: std::bad_alloc.
std::string disassemble_instruction(const Prototype& prototype, std::uint32_t pc);

}  // namespace baton::compiler
