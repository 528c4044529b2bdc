#include "bytecode/opcode.h"

#include "bytecode/fused_opcode.h"
#include "bytecode/instruction.h"

namespace baton {
namespace {

constexpr OpcodeInfo kGenericInfo[] = {
#define BATON_OPCODE(name, form, a, b, c, flags, base, meaning)                                  \
  {#name, InstructionForm::k##form, OperandKind::k##a, OperandKind::k##b, OperandKind::k##c, (flags), \
   Opcode::k##base, meaning},
#include "bytecode/opcodes.def"
#undef BATON_OPCODE
};
static_assert(sizeof(kGenericInfo) / sizeof(kGenericInfo[0]) == kOpcodeCount);

constexpr OpcodeInfo fused(const char* name, Opcode first) noexcept {
  OpcodeInfo info = kGenericInfo[static_cast<int>(first)];
  info.name = name;
  return info;
}

constexpr OpcodeInfo kInfo[] = {
#define BATON_OPCODE(name, form, a, b, c, flags, base, meaning) kGenericInfo[static_cast<int>(Opcode::k##name)],
#include "bytecode/opcodes.def"
#undef BATON_OPCODE
#define BATON_FUSED(name, first, second, link) fused(#name, Opcode::k##first),
#include "bytecode/fused_opcodes.def"
#undef BATON_FUSED
};

}  // namespace

const OpcodeInfo& opcode_info(Opcode op) noexcept { return kInfo[static_cast<int>(op)]; }

namespace {

bool is_offset(OperandKind kind) noexcept {
  return kind == OperandKind::kReg || kind == OperandKind::kDst || kind == OperandKind::kDstReg || kind == OperandKind::kConst;
}

}  // namespace

Instruction Instruction::encoded() const noexcept {
  Instruction i = *this;
  const OpcodeInfo& info = opcode_info(op);
  if (is_offset(info.b)) i.b = static_cast<std::uint16_t>(b * kOperandBytes);
  if (is_offset(info.c)) i.c = static_cast<std::uint16_t>(c * kOperandBytes);
  if ((info.flags & kOpJump) != 0) i.j = static_cast<std::int32_t>(static_cast<std::uint32_t>(j) * kJumpBytes);
  return i;
}

Instruction Instruction::decoded() const noexcept {
  Instruction i = *this;
  const OpcodeInfo& info = opcode_info(op);
  if (is_offset(info.b)) i.b = static_cast<std::uint16_t>(b / kOperandBytes);
  if (is_offset(info.c)) i.c = static_cast<std::uint16_t>(c / kOperandBytes);
  if ((info.flags & kOpJump) != 0) i.j = j / kJumpBytes;
  return i;
}

}  // namespace baton
