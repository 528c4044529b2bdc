// From operands to registers and jumps.
//
// An expression is generated into an Operand, and code for its value is finished only when its consumer says where it wants
// it. That is why an assignment `x = a + b` to a local needs one instruction: the Add is emitted with an open destination
// (kPending) and the store fills in the register of `x`.
//
// A value with jump lists (an `and`, an `or`, a comparison) is finished in to_register:
//
//       <plain value to R>            not for a comparison, which is only a jump
//       Jump end                      if the next two are there
//    F: LoadFalseSkip R               jumps that know the value is false, but carry none
//    T: LoadTrue R                    the same for true
//  end:
//
// and F and T exist only if some jump of the lists carries no value.
#include "compiler/generator.h"
#include "value/string.h"

namespace baton::compiler {

using syntax::LiteralExpression;
using syntax::LiteralKind;

// ---------------------------------------------------------------------------------------------------------------------
// Registers

void Generator::release(const Operand& e) {
  if (e.kind == OperandKind::kRegister || e.kind == OperandKind::kLocal) f().release(e.info);
}

void Generator::release_pair(const Operand& first, const Operand& second) {
  const bool has_first = first.kind == OperandKind::kRegister || first.kind == OperandKind::kLocal;
  const bool has_second = second.kind == OperandKind::kRegister || second.kind == OperandKind::kLocal;
  if (has_first && has_second) f().release_pair(first.info, second.info);
  else release(has_first ? first : second);
}

void Generator::emit_access(Operand& e, Opcode op, int b, int c) {
  e.info = f().emit(op, kNoRegister, b, c, e.line);
  e.kind = OperandKind::kPending;
}

void Generator::discharge(Operand& e) {
  switch (e.kind) {
    case OperandKind::kLocal: e.kind = OperandKind::kRegister; break;
    case OperandKind::kUpvalue: emit_access(e, Opcode::kGetUpvalue, e.info, 0); break;
    case OperandKind::kIndexedUpvalue: emit_access(e, Opcode::kGetGlobal, e.info, e.key); break;
    case OperandKind::kIndexed:
      f().release_pair(e.info, e.key);
      emit_access(e, Opcode::kGetTable, e.info, e.key);
      break;
    case OperandKind::kIndexedField:
      f().release(e.info);
      emit_access(e, Opcode::kGetField, e.info, e.key);
      break;
    case OperandKind::kIndexedInteger:
      f().release(e.info);
      emit_access(e, Opcode::kGetInteger, e.info, e.key);
      break;
    case OperandKind::kCall:
    case OperandKind::kVararg: set_results(e, 1); break;
    default: break;
  }
}

// One result makes the operand a value; any other number leaves results in registers from the top on.
void Generator::set_results(Operand& e, int count) {
  Instruction& instruction = f().at(e.info);
  if (e.kind == OperandKind::kCall) {
    instruction.c = static_cast<std::uint16_t>(count + 1);
    if (count == 1) {
      e.kind = OperandKind::kRegister;
      e.info = instruction.a;
    }
    return;
  }
  instruction.b = static_cast<std::uint16_t>(count + 1);
  if (count == 1) {
    e.kind = OperandKind::kPending;
  } else {
    instruction.a = static_cast<std::uint8_t>(f().free_register());
    f().check_registers(1);
  }
}

void Generator::plain_to_register(Operand& e, int target) {
  discharge(e);
  switch (e.kind) {
    case OperandKind::kLiteral: f().emit_literal(*e.literal, target); break;
    case OperandKind::kPending: f().at(e.info).a = static_cast<std::uint8_t>(target); break;
    case OperandKind::kRegister:
      if (e.info != target) f().emit(Opcode::kMove, target, e.info);
      break;
    default: return;  // a comparison: no value yet
  }
  e.kind = OperandKind::kRegister;
  e.info = target;
}

void Generator::plain_to_any_register(Operand& e) {
  discharge(e);
  if (e.kind == OperandKind::kRegister) return;
  f().reserve(1);
  plain_to_register(e, f().free_register() - 1);
}

void Generator::to_register(Operand& e, int target) {
  plain_to_register(e, target);
  if (e.kind == OperandKind::kJump) f().add_jump(e.true_list, e.info);
  if (e.has_jumps()) {
    int load_false = kNoJump;
    int load_true = kNoJump;
    if (f().needs_boolean(e.true_list) || f().needs_boolean(e.false_list)) {
      const int behind = e.kind == OperandKind::kJump ? kNoJump : f().emit_jump();
      load_false = f().mark_target();
      f().emit(Opcode::kLoadFalseSkip, target);
      load_true = f().mark_target();
      f().emit(Opcode::kLoadTrue, target);
      f().patch_to_here(behind);
    }
    const int end = f().mark_target();
    f().patch(e.false_list, end, target, load_false);
    f().patch(e.true_list, end, target, load_true);
  }
  e.true_list = e.false_list = kNoJump;
  e.kind = OperandKind::kRegister;
  e.info = target;
}

void Generator::to_next_register(Operand& e) {
  discharge(e);
  release(e);
  f().reserve(1);
  to_register(e, f().free_register() - 1);
}

int Generator::to_any_register(Operand& e) {
  discharge(e);
  if (e.kind == OperandKind::kRegister) {
    if (!e.has_jumps()) return e.info;
    if (e.info >= f().active_registers()) {
      to_register(e, e.info);
      return e.info;
    }
  }
  to_next_register(e);
  return e.info;
}

// ---------------------------------------------------------------------------------------------------------------------
// Constants as operands

int Generator::short_constant(const Operand& e) {
  if (!e.is_plain_literal()) return -1;
  const int index = f().constants().index(*e.literal);
  return index <= kMaxShortConstant ? index : -1;
}

int Generator::short_string(std::string_view text) {
  if (text.size() > kShortStringMax) return -1;
  const int index = f().constants().string(text);
  return index <= kMaxShortConstant ? index : -1;
}

// ---------------------------------------------------------------------------------------------------------------------
// Conditions

// `not x` is a jump on x with the opposite condition: its instruction, the last one, is dropped.
int Generator::jump_on(Operand& e, bool condition) {
  if (e.kind == OperandKind::kPending && f().at(e.info).op == Opcode::kNot) {
    const int source = f().at(e.info).b;
    f().remove_last();
    return f().emit_jump(condition ? Opcode::kJumpUnless : Opcode::kJumpIf, source, 0, f().line());
  }
  plain_to_any_register(e);
  release(e);
  return f().emit_jump(condition ? Opcode::kMoveJumpIf : Opcode::kMoveJumpUnless, kNoRegister, e.info, f().line());
}

void Generator::fall_if_true(Operand& e) {
  discharge(e);
  int jump = kNoJump;
  if (e.kind == OperandKind::kJump) {
    f().negate(e.info);
    jump = e.info;
  } else if (e.kind != OperandKind::kLiteral) {
    jump = jump_on(e, false);
  } else if (e.is_falsy_literal()) {
    jump = f().emit_literal_jump(*e.literal);
  }
  f().add_jump(e.false_list, jump);
  f().patch_to_here(e.true_list);
  e.true_list = kNoJump;
}

void Generator::fall_if_false(Operand& e) {
  discharge(e);
  int jump = kNoJump;
  if (e.kind == OperandKind::kJump) {
    jump = e.info;
  } else if (e.kind != OperandKind::kLiteral) {
    jump = jump_on(e, true);
  } else if (!e.is_falsy_literal()) {
    jump = f().emit_literal_jump(*e.literal);
  }
  f().add_jump(e.true_list, jump);
  f().patch_to_here(e.false_list);
  e.false_list = kNoJump;
}

Operand Generator::negation(Operand e, syntax::Line line) {
  static const LiteralExpression kFalseLiteral(LiteralKind::kFalse, 0);
  static const LiteralExpression kTrueLiteral(LiteralKind::kTrue, 0);
  discharge(e);
  if (e.kind == OperandKind::kJump) {
    f().negate(e.info);
  } else if (e.kind == OperandKind::kLiteral) {
    e.literal = e.is_falsy_literal() ? &kTrueLiteral : &kFalseLiteral;
  } else {
    plain_to_any_register(e);
    release(e);
    e.info = f().emit(Opcode::kNot, kNoRegister, e.info, 0, line);
    e.kind = OperandKind::kPending;
    e.line = line;
  }
  std::swap(e.true_list, e.false_list);
  f().drop_values(e.true_list);
  f().drop_values(e.false_list);
  return e;
}

int Generator::jumps_if_false(const syntax::Expression& condition) {
  Operand e = expression(condition);
  fall_if_true(e);
  return e.false_list;
}

}  // namespace baton::compiler
