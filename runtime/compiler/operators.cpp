// Operators with two operands (manual 3.4.1 to 3.4.5).
//
// Constants as operands. A numeral on the right goes into the instruction: as an immediate, else as a constant. On the left
// it does so only where the operator commutes, and `d` then tells the interpreter's slow path that the operands stand in the
// other order, because a metamethod must see them as they were written. Comparisons have a form for each side instead.
// Only integers become immediates of comparisons: a metamethod must see 3.0 as a float.
//
// Comparisons are jumps (kJump) that are taken if the comparison holds; `a > b` is `b < a` on registers that were filled in
// the written order. `not (a < b)` is another instruction, not `b <= a`, for the sake of NaN.
//
// `and` and `or` leave their left operand as a jump in one of the two lists and become their right operand.
#include "compiler/generator.h"

namespace baton::compiler {

using syntax::BinaryOperator;

namespace {

struct ArithmeticForms {
  Opcode registers;
  Opcode constant;
  bool commutes;
  bool bitwise;
};

// In the order of BinaryOperator.
constexpr ArithmeticForms kArithmetic[] = {
    {Opcode::kAdd, Opcode::kAddK, true, false},
    {Opcode::kSubtract, Opcode::kSubtractK, false, false},
    {Opcode::kMultiply, Opcode::kMultiplyK, true, false},
    {Opcode::kModulo, Opcode::kModuloK, false, false},
    {Opcode::kPower, Opcode::kPowerK, false, false},
    {Opcode::kDivide, Opcode::kDivideK, false, false},
    {Opcode::kFloorDivide, Opcode::kFloorDivideK, false, false},
    {Opcode::kBitAnd, Opcode::kBitAndK, true, true},
    {Opcode::kBitOr, Opcode::kBitOrK, true, true},
    {Opcode::kBitXor, Opcode::kBitXorK, true, true},
    {Opcode::kShiftLeft, Opcode::kShiftLeftK, false, true},
    {Opcode::kShiftRight, Opcode::kShiftRightK, false, true},
};
static_assert(std::size(kArithmetic) == static_cast<std::size_t>(BinaryOperator::kEqual));

const ArithmeticForms& forms(BinaryOperator op) { return kArithmetic[static_cast<std::size_t>(op)]; }

bool is_immediate(std::int64_t value) { return value >= kMinImmediate && value <= kMaxImmediate; }

bool is_immediate(const Operand& e) { return e.is_integer() && is_immediate(e.literal->integer); }

// Values of `d`: see opcodes.def.
constexpr int kWritten = 0;
constexpr int kFlipped = 1;
constexpr int kSubtraction = 2;

// `variable op immediate` and `immediate op variable`.
Opcode immediate_form(BinaryOperator op, bool constant_is_left) {
  switch (op) {
    case BinaryOperator::kLess: return constant_is_left ? Opcode::kJumpIfGreaterI : Opcode::kJumpIfLessI;
    case BinaryOperator::kLessEqual: return constant_is_left ? Opcode::kJumpIfGreaterEqualI : Opcode::kJumpIfLessEqualI;
    case BinaryOperator::kGreater: return constant_is_left ? Opcode::kJumpIfLessI : Opcode::kJumpIfGreaterI;
    default: return constant_is_left ? Opcode::kJumpIfLessEqualI : Opcode::kJumpIfGreaterEqualI;
  }
}

}  // namespace

Operand Generator::binary(const syntax::BinaryExpression& node, Operand left) {
  if (is_logical(node.op)) return logical(node, left);
  if (is_arithmetic(node.op)) return arithmetic(node, left);
  const bool is_equality = node.op == BinaryOperator::kEqual || node.op == BinaryOperator::kNotEqual;
  return is_equality ? equality(node, left) : order(node, left);
}

Operand Generator::logical(const syntax::BinaryExpression& node, Operand left) {
  const bool is_and = node.op == BinaryOperator::kAnd;
  if (is_and) fall_if_true(left);
  else fall_if_false(left);
  Operand right = expression(*node.right);
  discharge(right);
  if (is_and) f().join(right.false_list, left.false_list);
  else f().join(right.true_list, left.true_list);
  return right;
}

// ---------------------------------------------------------------------------------------------------------------------
// Arithmetic

Operand Generator::arithmetic(const syntax::BinaryExpression& node, Operand left) {
  if (!left.is_numeral()) to_any_register(left);
  Operand right = expression(*node.right);
  Operand result;
  if (left.is_numeral() && !right.is_numeral()) {
    to_any_register(right);
    if (try_constant_arithmetic(node.op, right, left, /*flipped=*/true, node.line, result)) return result;
  }
  to_any_register(left);
  if (try_constant_arithmetic(node.op, left, right, /*flipped=*/false, node.line, result)) return result;
  to_any_register(right);
  release_pair(left, right);
  return {OperandKind::kPending, f().emit(forms(node.op).registers, kNoRegister, left.info, right.info, node.line), node.line};
}

Operand Generator::emit_arithmetic(const Operand& variable, Opcode op, int c, int d, syntax::Line line) {
  release(variable);
  Instruction instruction = Instruction::abc(op, kNoRegister, variable.info, c);
  instruction.d = static_cast<std::uint16_t>(d);
  return {OperandKind::kPending, f().emit(instruction, line), line};
}

// Takes: a variable in a register. x - 0 is no addition, for the sake of -0.0.
bool Generator::try_constant_arithmetic(BinaryOperator op, const Operand& variable, const Operand& constant, bool flipped,
                                        syntax::Line line, Operand& result) {
  const ArithmeticForms& form = forms(op);
  if (!constant.is_numeral() || (flipped && !form.commutes) || (form.bitwise && !constant.is_integer())) return false;
  if (op == BinaryOperator::kAdd && is_immediate(constant)) {
    const int immediate = static_cast<int>(constant.literal->integer);
    result = emit_arithmetic(variable, Opcode::kAddInteger, immediate, flipped ? kFlipped : kWritten, line);
    return true;
  }
  if (op == BinaryOperator::kSubtract && constant.is_integer() && constant.literal->integer != 0 &&
      constant.literal->integer >= -kMaxImmediate && constant.literal->integer <= -kMinImmediate) {
    const int immediate = static_cast<int>(-constant.literal->integer);
    result = emit_arithmetic(variable, Opcode::kAddInteger, immediate, kSubtraction, line);
    return true;
  }
  const int index = short_constant(constant);
  if (index < 0) return false;
  result = emit_arithmetic(variable, form.constant, index, flipped ? kFlipped : kWritten, line);
  return true;
}

// ---------------------------------------------------------------------------------------------------------------------
// Comparisons

// Takes: a variable in a register; its partner: a register, a constant or an immediate, as `op` wants.
Operand Generator::comparison(Opcode op, const Operand& first, int second, syntax::Line line) {
  return {OperandKind::kJump, f().emit_jump(op, first.info, second, line), line};
}

Operand Generator::equality(const syntax::BinaryExpression& node, Operand left) {
  if (!left.is_plain_literal()) to_any_register(left);
  Operand right = expression(*node.right);
  discharge(right);
  if (left.is_plain_literal() && !right.is_plain_literal()) std::swap(left, right);
  to_any_register(left);
  const int constant = short_constant(right);
  if (constant < 0) to_any_register(right);
  release_pair(left, right);
  Operand result = comparison(constant < 0 ? Opcode::kJumpIfEqual : Opcode::kJumpIfEqualK, left,
                              constant < 0 ? right.info : constant, node.line);
  if (node.op == BinaryOperator::kNotEqual) f().negate(result.info);
  return result;
}

Operand Generator::order(const syntax::BinaryExpression& node, Operand left) {
  if (!is_immediate(left)) to_any_register(left);
  Operand right = expression(*node.right);
  const bool left_is_constant = is_immediate(left) && !right.is_plain_literal();
  if (left_is_constant) {
    to_any_register(right);
    release(right);
    return comparison(immediate_form(node.op, true), right, static_cast<int>(left.literal->integer), node.line);
  }
  to_any_register(left);
  if (is_immediate(right)) {
    release(left);
    return comparison(immediate_form(node.op, false), left, static_cast<int>(right.literal->integer), node.line);
  }
  to_any_register(right);
  release_pair(left, right);
  const bool swaps = node.op == BinaryOperator::kGreater || node.op == BinaryOperator::kGreaterEqual;
  const bool strict = node.op == BinaryOperator::kLess || node.op == BinaryOperator::kGreater;
  const Operand& first = swaps ? right : left;
  const Operand& second = swaps ? left : right;
  return comparison(strict ? Opcode::kJumpIfLess : Opcode::kJumpIfLessEqual, first, second.info, node.line);
}

}  // namespace baton::compiler
