// Fusion. An instruction costs a dispatch and, where the next one reads its result, a way through memory: the register is
// stored, loaded and its tag is tested again. For the pairs that programs execute most a handler does both instructions
// without that way. The pair stays two instructions; only the first one's opcode says that its handler goes on with the
// second, so jumps, lines, names of variables and error positions are what they were.
//
// The scan goes forward and lets pairs overlap: in A B C with A B and B C fusable both A and B are marked. Running through,
// A's handler does B and then C is dispatched; a jump to B does B and C at once.
//
// Recursion over nested functions is bounded by the parser's limit of levels, and for binary chunks by the loader's.
#include "compiler/fusion.h"

#include "bytecode/fused_opcode.h"

namespace baton::compiler {
namespace {

enum class Link : std::uint8_t { ka, kb, kc, knone };

struct Pair {
  Opcode first, second;
  Link link;
};

constexpr Pair kPairs[] = {
#define BATON_FUSED(name, first, second, link) {Opcode::k##first, Opcode::k##second, Link::k##link},
#include "bytecode/fused_opcodes.def"
#undef BATON_FUSED
};

// Where the pairs of a First begin in the list; kFusedOpcodeCount if there are none.
struct FirstPairs {
  std::uint8_t begin[kOpcodeCount];
  constexpr FirstPairs() noexcept : begin() {
    for (std::uint8_t& first : begin) first = kFusedOpcodeCount;
    for (int i = kFusedOpcodeCount; i-- > 0;) begin[static_cast<int>(kPairs[i].first)] = static_cast<std::uint8_t>(i);
  }
};
constexpr FirstPairs kFirstPairs;

// Whether the operand of `second` that `link` names is register `a`.
bool reads(const Instruction& second, Link link, std::uint8_t a) noexcept {
  switch (link) {
    case Link::ka: return second.a == a;
    case Link::kb: return second.b == a * kOperandBytes;
    case Link::kc: return second.c == a * kOperandBytes;
    default: return true;
  }
}

Opcode fused(const Instruction& first, const Instruction& second) noexcept {
  const Opcode behind = opcode_info(second.op).base;
  for (int i = kFirstPairs.begin[static_cast<int>(first.op)]; i < kFusedOpcodeCount; ++i) {
    const Pair& pair = kPairs[i];
    if (pair.first == first.op && pair.second == behind && reads(second, pair.link, first.a)) {
      return static_cast<Opcode>(kOpcodeCount + i);
    }
  }
  return first.op;
}

}  // namespace

void fuse(Prototype& main, Pieces& pieces) {
  pieces.count();
  for (std::uint32_t i = 0; i + 1 < main.code.size; ++i) {
    main.code[i].op = fused(main.code[i], main.code[i + 1]);
    pieces.count();
  }
  for (Prototype* child : main.prototypes) fuse(*child, pieces);
}

}  // namespace baton::compiler
