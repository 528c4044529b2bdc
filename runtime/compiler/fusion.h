// Gives pairs of instructions the opcodes that do both (bytecode/fused_opcodes.def).
// Threading: as the heap; the prototypes are not running yet.
#pragma once

#include "compiler/pieces.h"
#include "value/prototype.h"

namespace baton::compiler {

// Fuses what can be fused in `main` and in all functions inside it, whose code is valid and encoded. Takes: a function that
// stays reachable. Raises: what a poll throws.
void fuse(Prototype& main, Pieces& pieces);

}  // namespace baton::compiler
