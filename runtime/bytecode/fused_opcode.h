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

// The opcodes that poll (kOpSafepoint), and behind them the pairs that end with one: they follow each other.
inline constexpr int kPolledGenericCount = 0
#define BATON_OPCODE(name, form, a, b, c, flags, base, meaning) +(((flags)&kOpSafepoint) != 0)
#include "bytecode/opcodes.def"
#undef BATON_OPCODE
    ;
inline constexpr int kFirstPolled = kOpcodeCount - kPolledGenericCount;

// Whether generic `op` polls.
constexpr bool polls(Opcode op) noexcept {
  return static_cast<int>(op) - kFirstPolled >= 0 && static_cast<int>(op) < kOpcodeCount;
}

// Whether generic `op` ends a turn of a loop and polls before it runs; the others that poll are calls.
constexpr bool polls_in_front(Opcode op) noexcept { return polls(op) && op != Opcode::kCall && op != Opcode::kTailCall; }

inline constexpr int kPolledFusedCount = 0
#define BATON_FUSED(name, first, second, link) +polls(Opcode::k##second)
#include "bytecode/fused_opcodes.def"
#undef BATON_FUSED
    ;
inline constexpr int kPolledCount = kPolledGenericCount + kPolledFusedCount;

#define BATON_OPCODE(name, form, a, b, c, flags, base, meaning) \
  static_assert(polls(Opcode::k##name) == (((flags)&kOpSafepoint) != 0));
#include "bytecode/opcodes.def"
#undef BATON_OPCODE

constexpr bool is_fused(Opcode op) noexcept {
  return static_cast<int>(op) >= kOpcodeCount && static_cast<int>(op) < kOpcodeCount + kFusedOpcodeCount;
}

namespace detail {
inline constexpr bool kEndsWithPoll[] = {
#define BATON_FUSED(name, first, second, link) polls(Opcode::k##second),
#include "bytecode/fused_opcodes.def"
#undef BATON_FUSED
};
constexpr bool polled_pairs_come_first() noexcept {
  for (int i = 0; i < kFusedOpcodeCount; ++i) {
    if (kEndsWithPoll[i] != (i < kPolledFusedCount)) return false;
  }
  return true;
}
static_assert(polled_pairs_come_first());
}  // namespace detail

}  // namespace baton
