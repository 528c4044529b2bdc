#include "bytecode/opcode.h"

namespace baton {
namespace {

constexpr OpcodeInfo kInfo[] = {
#define BATON_OPCODE(name, form, a, b, c, flags, base, meaning)                                  \
  {#name, InstructionForm::k##form, OperandKind::k##a, OperandKind::k##b, OperandKind::k##c, (flags), \
   Opcode::k##base, meaning},
#include "bytecode/opcodes.def"
#undef BATON_OPCODE
};
static_assert(sizeof(kInfo) / sizeof(kInfo[0]) == kOpcodeCount);

}  // namespace

const OpcodeInfo& opcode_info(Opcode op) noexcept { return kInfo[static_cast<int>(op)]; }

}  // namespace baton
