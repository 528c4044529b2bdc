// The opcodes and what is known about each, expanded from opcodes.def (whose columns it documents).
// Invariant: nothing about an opcode is listed anywhere else.
#pragma once

#include <cstdint>

namespace baton {

enum class Opcode : std::uint8_t {
#define BATON_OPCODE(name, form, a, b, c, flags, base, meaning) k##name,
#include "bytecode/opcodes.def"
#undef BATON_OPCODE
};

inline constexpr int kOpcodeCount = 0
#define BATON_OPCODE(name, form, a, b, c, flags, base, meaning) +1
#include "bytecode/opcodes.def"
#undef BATON_OPCODE
    ;

enum class InstructionForm : std::uint8_t { kA, kAB, kABC, kASj, kABSj, kAU, kABU };

enum class OperandKind : std::uint8_t { kNone, kReg, kDst, kDstReg, kUp, kConst, kInt, kUInt };

enum OpcodeFlag : std::uint16_t {
  kOpJump = 1 << 0,
  kOpCall = 1 << 1,
  kOpMeta = 1 << 2,
  kOpOpen = 1 << 3,
  kOpRaise = 1 << 4,
  kOpAlloc = 1 << 5,
  kOpSafepoint = 1 << 6,
  kOpCache = 1 << 7,
  kOpFinish = 1 << 8,
  kOpGuess = 1 << 9,
};

struct OpcodeInfo {
  const char* name;
  InstructionForm form;
  OperandKind a, b, c;
  std::uint16_t flags;
  Opcode base;
  const char* meaning;
};

// Everything opcodes.def says about `op`. Raises: nothing.
const OpcodeInfo& opcode_info(Opcode op) noexcept;

}  // namespace baton
