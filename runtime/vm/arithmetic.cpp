// Arithmetic and bitwise operators on any values (manual 3.4.1, 3.4.2).
//
// Order of attempts: numbers, then the first operand's metamethod, then the second's, then an error.
// Numeric strings are not converted here: the string library gives strings arithmetic metamethods,
// and bitwise operators do not take strings at all.
#include "base/number.h"
#include "vm/call.h"
#include "vm/operations.h"

namespace baton::vm {
namespace {

ArithmeticStatus done(Value& result, std::int64_t i) noexcept {
  result = Value::from(i);
  return ArithmeticStatus::kDone;
}

ArithmeticStatus done(Value& result, double d) noexcept {
  result = Value::from(d);
  return ArithmeticStatus::kDone;
}

double as_float(const Value& v) noexcept { return v.is_float() ? v.number : static_cast<double>(v.integer); }

ArithmeticStatus integer_arithmetic(Operator op, std::int64_t a, std::int64_t b, Value& result) noexcept {
  switch (op) {
    case Operator::kAdd: return done(result, number::add(a, b));
    case Operator::kSubtract: return done(result, number::subtract(a, b));
    case Operator::kMultiply: return done(result, number::multiply(a, b));
    case Operator::kNegate: return done(result, number::negate(a));
    case Operator::kModulo:
      return b == 0 ? ArithmeticStatus::kModuloByZero : done(result, number::floor_modulo(a, b));
    default:
      BATON_DCHECK(op == Operator::kFloorDivide);
      return b == 0 ? ArithmeticStatus::kDivideByZero : done(result, number::floor_divide(a, b));
  }
}

ArithmeticStatus float_arithmetic(Operator op, double a, double b, Value& result) noexcept {
  switch (op) {
    case Operator::kAdd: return done(result, a + b);
    case Operator::kSubtract: return done(result, a - b);
    case Operator::kMultiply: return done(result, a * b);
    case Operator::kDivide: return done(result, a / b);
    case Operator::kModulo: return done(result, number::floor_modulo(a, b));
    case Operator::kPower: return done(result, number::power(a, b));
    case Operator::kNegate: return done(result, -a);
    default: BATON_DCHECK(op == Operator::kFloorDivide); return done(result, number::floor_divide(a, b));
  }
}

ArithmeticStatus bitwise(Operator op, const Value& a, const Value& b, Value& result) noexcept {
  std::int64_t left, right;
  if (!to_integer_strict(a, left) || !to_integer_strict(b, right)) return ArithmeticStatus::kNoInteger;
  switch (op) {
    case Operator::kBitAnd: return done(result, left & right);
    case Operator::kBitOr: return done(result, left | right);
    case Operator::kBitXor: return done(result, left ^ right);
    case Operator::kShiftLeft: return done(result, number::shift_left(left, right));
    case Operator::kShiftRight: return done(result, number::shift_right(left, right));
    default: BATON_DCHECK(op == Operator::kBitNot); return done(result, ~left);
  }
}

bool is_bitwise(Operator op) noexcept {
  return (op >= Operator::kBitAnd && op <= Operator::kShiftRight) || op == Operator::kBitNot;
}

}  // namespace

ArithmeticStatus raw_arithmetic(Operator op, const Value& a, const Value& b, Value& result) noexcept {
  if (!a.is_number() || !b.is_number()) return ArithmeticStatus::kNotNumbers;
  if (is_bitwise(op)) return bitwise(op, a, b, result);
  if (a.is_integer() && b.is_integer() && op != Operator::kDivide && op != Operator::kPower) {
    return integer_arithmetic(op, a.integer, b.integer, result);
  }
  return float_arithmetic(op, as_float(a), as_float(b), result);
}

Value arithmetic(ThreadState& thread, Operator op, const Value& a, const Value& b) {
  Value result;
  switch (raw_arithmetic(op, a, b, result)) {
    case ArithmeticStatus::kDone: return result;
    case ArithmeticStatus::kDivideByZero: raise_text(thread, "attempt to divide by zero");
    case ArithmeticStatus::kModuloByZero: raise_text(thread, "attempt to perform 'n%0'");
    default: break;
  }
  const Metamethod event = metamethod_of(op);
  Value function = metamethod(thread.shared, a, event);
  if (function.is_nil()) function = metamethod(thread.shared, b, event);
  if (function.is_nil()) raise_arithmetic(thread, op, a, b);
  const Value left = a, right = b;  // the operands may stand on the stack, which a push may move
  push(thread, function);
  push(thread, left);
  push(thread, right);
  call(thread, 2, 1);
  return *--thread.current->top;
}

}  // namespace baton::vm
