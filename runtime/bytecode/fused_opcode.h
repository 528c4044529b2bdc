// Opcodes for two instructions, expanded from fused_opcodes.def (which says what they are).
// Invariant: they are numbered behind the generic ones, in the order of the file; opcode_info knows them by their First's row.
#pragma once

#include "bytecode/opcode.h"

namespace baton {

inline constexpr int kFusedOpcodeCount = 0
#define BATON_FUSED(name, first, second, link) +1
#include "bytecode/fused_opcodes.def"
#undef BATON_FUSED
    ;
static_assert(kOpcodeCount + kFusedOpcodeCount <= 256);

constexpr bool is_fused(Opcode op) noexcept {
  return static_cast<int>(op) >= kOpcodeCount && static_cast<int>(op) < kOpcodeCount + kFusedOpcodeCount;
}

}  // namespace baton
