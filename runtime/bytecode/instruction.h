// The instruction word: 8 bytes.
//
//      0      1      2        4        6        8
//      | op   |  a   |   b    |   c    |   d    |     ABC, AB, A
//      | op   |  a   |   b    |     j or u      |     ABSj, ABU, ASj, AU
//
// Invariants
//  - `a` is a register (0..254), `b` and `c` are registers, constants (0..4095) or immediates as
//    opcodes.def says; constants further away are loaded by LoadConstant first.
//  - In a prototype, registers and constants in `b` and `c` are byte offsets (16 times the index): the
//    interpreter adds them to an address as they are. Everyone else reads decoded().
//  - `d` is no operand but a hint that the interpreter may overwrite at any time (the node where a
//    field was last found); the compiler writes 0 and the dump format writes 0. Only arithmetic with
//    a constant uses it as an operand that stays (opcodes.def: flipped operands).
//  - Jumps are relative to the *next* instruction, in instructions, 32 bits signed; in a prototype in bytes, too.
#pragma once

#include <cstdint>

#include "bytecode/opcode.h"

namespace baton {

struct Instruction {
  Opcode op;
  std::uint8_t a;
  std::uint16_t b;
  union {
    struct {
      std::uint16_t c;
      std::uint16_t d;
    };
    std::int32_t j;
    std::uint32_t u;
  };

  static Instruction abc(Opcode op, int a, int b = 0, int c = 0) noexcept {
    Instruction i;
    i.op = op;
    i.a = static_cast<std::uint8_t>(a);
    i.b = static_cast<std::uint16_t>(b);
    i.c = static_cast<std::uint16_t>(c);
    i.d = 0;
    return i;
  }
  static Instruction abj(Opcode op, int a, int b, std::int32_t jump) noexcept {
    Instruction i;
    i.op = op;
    i.a = static_cast<std::uint8_t>(a);
    i.b = static_cast<std::uint16_t>(b);
    i.j = jump;
    return i;
  }
  static Instruction abu(Opcode op, int a, int b, std::uint32_t u) noexcept {
    return abj(op, a, b, static_cast<std::int32_t>(u));
  }

  // As a prototype keeps it, and back. Takes: indices up to kMaxShortConstant where opcodes.def says Reg, Dst or Const.
  // Raises: nothing.
  Instruction encoded() const noexcept;
  Instruction decoded() const noexcept;

  // Where a jump of `distance`, as a prototype keeps it, leads from `next`. Raises: nothing.
  static const Instruction* jump_from(const Instruction* next, std::int32_t distance) noexcept {
    return reinterpret_cast<const Instruction*>(reinterpret_cast<const char*>(next) + distance);
  }

  // `b` and `c` as signed immediates.
  std::int32_t signed_b() const noexcept { return static_cast<std::int16_t>(b); }
  std::int32_t signed_c() const noexcept { return static_cast<std::int16_t>(c); }
};
static_assert(sizeof(Instruction) == 8);

inline constexpr int kMaxRegisters = 255;         // max_stack of a function
inline constexpr int kMaxUpvalues = 255;
inline constexpr int kJumpBytes = 8;              // an instruction: what a jump is multiplied by
inline constexpr unsigned kOperandBytes = 16;     // a value: what an index in b or c is multiplied by
inline constexpr int kMaxShortConstant = 4095;    // largest index that fits b or c
inline constexpr std::int64_t kMinImmediate = -32768;
inline constexpr std::int64_t kMaxImmediate = 32767;
inline constexpr int kSetListBatch = 50;          // constructor items gathered before a SetList

}  // namespace baton
