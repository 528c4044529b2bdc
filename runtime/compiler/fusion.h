// Gives pairs of instructions the opcodes that do both (bytecode/fused_opcodes.def).
// Threading: as the heap; the prototypes are not running yet.
#pragma once

#include "value/prototype.h"

namespace baton::compiler {

// Fuses what can be fused in `main` and in all functions inside it, whose code is valid and encoded. Raises: nothing.
void fuse(Prototype& main) noexcept;

}  // namespace baton::compiler
