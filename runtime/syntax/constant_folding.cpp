// Folding is part of parsing because it is visible: `local x <const> = 2 * 3` is a compile-time constant, which is no
// upvalue of the functions that use it and does not count against their limit.
//
// Rules (they follow the reference implementation): both operands are numerals; a divisor is not zero; bitwise operators have
// exact integers; the result is neither NaN nor a float zero. Strings are never coerced here.
#include "syntax/constant_folding.h"

#include "base/number.h"

namespace baton::syntax {
namespace {

bool is_numeral(const LiteralExpression& literal) {
  return literal.literal == LiteralKind::kInteger || literal.literal == LiteralKind::kFloat;
}

const LiteralExpression* numeral(const Expression& expression) {
  const auto* literal = as_if<LiteralExpression>(&expression);
  return literal != nullptr && is_numeral(*literal) ? literal : nullptr;
}

double as_float(const LiteralExpression& literal) {
  return literal.literal == LiteralKind::kInteger ? static_cast<double>(literal.integer) : literal.number;
}

bool as_integer(const LiteralExpression& literal, std::int64_t& value) {
  if (literal.literal == LiteralKind::kFloat) return number::to_integer(literal.number, value);
  value = literal.integer;
  return true;
}

LiteralExpression* make_integer(Arena& arena, std::int64_t value, Line line) {
  auto* literal = arena.make<LiteralExpression>(LiteralKind::kInteger, line);
  literal->integer = value;
  return literal;
}

LiteralExpression* make_float(Arena& arena, double value, Line line) {
  if (value == 0 || value != value) return nullptr;
  auto* literal = arena.make<LiteralExpression>(LiteralKind::kFloat, line);
  literal->number = value;
  return literal;
}

bool is_bitwise(BinaryOperator op) { return op >= BinaryOperator::kBitAnd && op <= BinaryOperator::kShiftRight; }

std::int64_t bitwise(BinaryOperator op, std::int64_t left, std::int64_t right) {
  switch (op) {
    case BinaryOperator::kBitAnd: return left & right;
    case BinaryOperator::kBitOr: return left | right;
    case BinaryOperator::kBitXor: return left ^ right;
    case BinaryOperator::kShiftLeft: return number::shift_left(left, right);
    default: return number::shift_right(left, right);
  }
}

// Takes: an operator that stays among integers; a divisor other than zero.
std::int64_t integer_arithmetic(BinaryOperator op, std::int64_t left, std::int64_t right) {
  switch (op) {
    case BinaryOperator::kAdd: return number::add(left, right);
    case BinaryOperator::kSubtract: return number::subtract(left, right);
    case BinaryOperator::kMultiply: return number::multiply(left, right);
    case BinaryOperator::kModulo: return number::floor_modulo(left, right);
    default: return number::floor_divide(left, right);
  }
}

double float_arithmetic(BinaryOperator op, double left, double right) {
  switch (op) {
    case BinaryOperator::kAdd: return left + right;
    case BinaryOperator::kSubtract: return left - right;
    case BinaryOperator::kMultiply: return left * right;
    case BinaryOperator::kModulo: return number::floor_modulo(left, right);
    case BinaryOperator::kPower: return number::power(left, right);
    case BinaryOperator::kDivide: return left / right;
    default: return number::floor_divide(left, right);
  }
}

LiteralExpression* fold_not(Arena& arena, const Expression& operand, Line line) {
  const auto* literal = as_if<LiteralExpression>(&operand);
  if (literal == nullptr) return nullptr;
  const bool falsy = literal->literal == LiteralKind::kNil || literal->literal == LiteralKind::kFalse;
  return arena.make<LiteralExpression>(falsy ? LiteralKind::kTrue : LiteralKind::kFalse, line);
}

}  // namespace

LiteralExpression* fold_unary(Arena& arena, UnaryOperator op, const Expression& operand, Line line) {
  if (op == UnaryOperator::kNot) return fold_not(arena, operand, line);
  const LiteralExpression* literal = numeral(operand);
  if (literal == nullptr || op == UnaryOperator::kLength) return nullptr;
  std::int64_t integer;
  if (op == UnaryOperator::kBitNot) return as_integer(*literal, integer) ? make_integer(arena, ~integer, line) : nullptr;
  if (literal->literal == LiteralKind::kInteger) return make_integer(arena, number::negate(literal->integer), line);
  return make_float(arena, -literal->number, line);
}

LiteralExpression* fold_binary(Arena& arena, BinaryOperator op, const Expression& left, const Expression& right,
                               Line line) {
  const LiteralExpression* a = numeral(left);
  const LiteralExpression* b = numeral(right);
  if (a == nullptr || b == nullptr || !is_arithmetic(op)) return nullptr;
  if (is_bitwise(op)) {
    std::int64_t x;
    std::int64_t y;
    return as_integer(*a, x) && as_integer(*b, y) ? make_integer(arena, bitwise(op, x, y), line) : nullptr;
  }
  const bool divides = op == BinaryOperator::kModulo || op == BinaryOperator::kDivide || op == BinaryOperator::kFloorDivide;
  if (divides && as_float(*b) == 0) return nullptr;
  const bool to_float = op == BinaryOperator::kPower || op == BinaryOperator::kDivide;
  if (!to_float && a->literal == LiteralKind::kInteger && b->literal == LiteralKind::kInteger) {
    return make_integer(arena, integer_arithmetic(op, a->integer, b->integer), line);
  }
  return make_float(arena, float_arithmetic(op, as_float(*a), as_float(*b)), line);
}

}  // namespace baton::syntax
