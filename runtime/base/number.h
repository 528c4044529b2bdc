// Numbers of the language: conversions between text, integers and floats, and the arithmetic whose rules C++ does not share.
//
// Integers are 64-bit two's complement and wrap around; floats are IEEE doubles (manual 3.4). Nothing here allocates, raises,
// or depends on the locale. Invariant: text that `from_text` accepts is exactly what the manual's 3.4.3 accepts, and the text
// written for a float is exactly what C's "%.14g" writes, made to look like a float.
// Owner: none, pure functions. Threading: any thread.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

#include "base/platform.h"

namespace baton::number {

// ---------------------------------------------------------------------------------------------------------------------
// Text

enum class Kind : std::uint8_t { kNone, kInteger, kFloat };

// A number as read from text; kNone: the text is not a numeral.
struct Number {
  Kind kind = Kind::kNone;
  union {
    std::int64_t integer = 0;
    double number;
  };
  static constexpr Number of_integer(std::int64_t value) {
    Number result;
    result.kind = Kind::kInteger;
    result.integer = value;
    return result;
  }
  static constexpr Number of_float(double value) {
    Number result;
    result.kind = Kind::kFloat;
    result.number = value;
    return result;
  }
};

// Reads a numeral with optional surrounding white space and sign (manual 3.4.3). Takes: any bytes. Returns: an integer if
// the text is written as one and fits (hexadecimal wraps around), else a float, else kNone. Overflow gives an infinity.
[[nodiscard]] Number from_text(std::string_view text) noexcept;

// Reads an integer in a base (what tonumber(s, base) does): white space, an optional `-`, at least one alphanumeric digit,
// white space. Takes: base 2..36. Returns: true and the value modulo 2^64, or false.
[[nodiscard]] bool integer_from_text(std::string_view text, int base, std::int64_t& result) noexcept;

// Bytes that to_text needs at most.
inline constexpr std::size_t kTextBytes = 48;

// Writes the shortest decimal form of an integer. Takes: kTextBytes bytes. Returns: bytes written, no NUL.
std::size_t to_text(std::int64_t value, char* buffer) noexcept;

// Writes a float as tostring does: "%.14g", with ".0" if it would look like an integer; "inf", "-inf", "nan", "-nan".
// Takes: kTextBytes bytes. Returns: bytes written, no NUL.
std::size_t to_text(double value, char* buffer) noexcept;

// The value of a hexadecimal digit. Takes: a character for which it is one.
constexpr int hexadecimal_digit(unsigned char digit) noexcept {
  return digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10;
}

// ---------------------------------------------------------------------------------------------------------------------
// Floats to integers

// 2^63: the first float above every integer; its negative is the smallest integer.
inline constexpr double kTwoTo63 = 9223372036854775808.0;

// Whether a float lies in the range of integers. NaN does not.
constexpr bool fits_integer(double value) noexcept { return value >= -kTwoTo63 && value < kTwoTo63; }

// Converts a float that has an exact integer value. Returns: false, and leaves the result alone, if it has none.
[[nodiscard]] inline bool to_integer(double value, std::int64_t& result) noexcept {
  if (!fits_integer(value)) return false;
  const auto truncated = static_cast<std::int64_t>(value);
  if (static_cast<double>(truncated) != value) return false;
  result = truncated;
  return true;
}

// Converts the floor of a float. Returns: false if the floor is no integer value.
[[nodiscard]] inline bool to_integer_floor(double value, std::int64_t& result) noexcept {
  const double rounded = std::floor(value);
  if (!fits_integer(rounded)) return false;
  result = static_cast<std::int64_t>(rounded);
  return true;
}

// Converts the ceiling of a float. Returns: false if the ceiling is no integer value.
[[nodiscard]] inline bool to_integer_ceil(double value, std::int64_t& result) noexcept {
  const double rounded = std::ceil(value);
  if (!fits_integer(rounded)) return false;
  result = static_cast<std::int64_t>(rounded);
  return true;
}

// Converts the exact integer value of a number written in text. Returns: false if it is not a numeral or has none.
[[nodiscard]] inline bool integer_value(const Number& number, std::int64_t& result) noexcept {
  if (number.kind == Kind::kInteger) {
    result = number.integer;
    return true;
  }
  return number.kind == Kind::kFloat && to_integer(number.number, result);
}

// ---------------------------------------------------------------------------------------------------------------------
// Integer arithmetic: wraps around

constexpr std::int64_t add(std::int64_t left, std::int64_t right) noexcept {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(left) + static_cast<std::uint64_t>(right));
}
constexpr std::int64_t subtract(std::int64_t left, std::int64_t right) noexcept {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(left) - static_cast<std::uint64_t>(right));
}
constexpr std::int64_t multiply(std::int64_t left, std::int64_t right) noexcept {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(left) * static_cast<std::uint64_t>(right));
}
constexpr std::int64_t negate(std::int64_t value) noexcept { return subtract(0, value); }

constexpr bool is_power_of_two(std::int64_t value) noexcept { return value > 0 && (value & (value - 1)) == 0; }

// Quotient rounded towards minus infinity. Takes: divisor != 0. The smallest integer by -1 wraps around. Powers of two, by
// far the most common divisors, need no division: a shift rounds towards minus infinity by itself.
constexpr std::int64_t floor_divide(std::int64_t dividend, std::int64_t divisor) noexcept {
  if (is_power_of_two(divisor)) return dividend >> __builtin_ctzll(static_cast<std::uint64_t>(divisor));
  if (static_cast<std::uint64_t>(dividend | divisor) >> 32 == 0) {
    return static_cast<std::int64_t>(static_cast<std::uint32_t>(dividend) / static_cast<std::uint32_t>(divisor));
  }
  if (BATON_UNLIKELY(static_cast<std::uint64_t>(divisor) + 1u <= 1u)) return negate(dividend);  // -1 would trap
  std::int64_t quotient = dividend / divisor;
  if ((dividend ^ divisor) < 0 && quotient * divisor != dividend) quotient -= 1;
  return quotient;
}

// Remainder of floor_divide: it has the sign of the divisor. Takes: divisor != 0.
constexpr std::int64_t floor_modulo(std::int64_t dividend, std::int64_t divisor) noexcept {
  if (is_power_of_two(divisor)) return dividend & (divisor - 1);
  // Both in 32 bits and not negative: a division a third as long, and no signs to mend.
  if (static_cast<std::uint64_t>(dividend | divisor) >> 32 == 0) {
    return static_cast<std::int64_t>(static_cast<std::uint32_t>(dividend) % static_cast<std::uint32_t>(divisor));
  }
  if (BATON_UNLIKELY(static_cast<std::uint64_t>(divisor) + 1u <= 1u)) return 0;  // -1 would trap
  std::int64_t remainder = dividend % divisor;
  if (remainder != 0 && (remainder ^ divisor) < 0) remainder += divisor;
  return remainder;
}

// Logical shift to the left; a negative count shifts right; 64 bits or more give 0 (manual 3.4.2).
constexpr std::int64_t shift_left(std::int64_t value, std::int64_t count) noexcept {
  const auto bits = static_cast<std::uint64_t>(value);
  if (count >= 0) return count >= 64 ? 0 : static_cast<std::int64_t>(bits << count);
  return count <= -64 ? 0 : static_cast<std::int64_t>(bits >> -count);
}

// Logical shift to the right; a negative count shifts left. The counts whose negation would overflow give 0 before it.
constexpr std::int64_t shift_right(std::int64_t value, std::int64_t count) noexcept {
  return count <= -64 ? 0 : shift_left(value, -count);
}

// ---------------------------------------------------------------------------------------------------------------------
// Float arithmetic

// Quotient rounded towards minus infinity.
inline double floor_divide(double dividend, double divisor) noexcept { return std::floor(dividend / divisor); }

// The upper 26 of the 53 bits of a float's mantissa.
inline double high_half(double value) noexcept {
  std::uint64_t bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
  bits &= ~((std::uint64_t{1} << 27) - 1);
  __builtin_memcpy(&value, &bits, sizeof bits);
  return value;
}

// std::fmod, but without its division bit by bit where the quotient is small. Nothing is rounded, in units of the divisor's
// last place: with a quotient below 2^25 and the divisor cut in two both products are exact; a dividend of 2^53 and more is
// even, so the first difference, which is below 2^54 then, fits; the second is not larger than the divisor. The quotient may
// have been rounded up to an integer, never down: then the second difference is negative.
inline double float_remainder(double dividend, double divisor) noexcept {
  const double size = std::fabs(dividend), by = std::fabs(divisor);
  const double quotient = size / by;
  if (BATON_UNLIKELY(!(quotient < 33554432.0 && by >= 1e-290 && by < 1e290))) return std::fmod(dividend, divisor);
  const auto whole = static_cast<double>(static_cast<std::int32_t>(quotient));
  const double high = high_half(by);
  double remainder = (size - whole * high) - whole * (by - high);
  if (remainder < 0) remainder += by;
  return std::copysign(remainder, dividend);
}

// dividend - floor(dividend / divisor) * divisor without its rounding error: it has the sign of the divisor.
inline double floor_modulo(double dividend, double divisor) noexcept {
  // Whole numbers, by far the most common case, need no bit by bit fmod. The bounds exclude zero
  // divisors, NaN, infinities and the zero whose sign would matter.
  if (dividend >= 0 && dividend < 9007199254740992.0 && divisor >= 1 && divisor < 9007199254740992.0) {
    const auto a = static_cast<std::int64_t>(dividend), b = static_cast<std::int64_t>(divisor);
    if (static_cast<double>(a) == dividend && static_cast<double>(b) == divisor && (a != 0)) return static_cast<double>(floor_modulo(a, b));
  }
  double remainder = float_remainder(dividend, divisor);
  if (remainder > 0 ? divisor < 0 : (remainder < 0 && divisor > 0)) remainder += divisor;
  return remainder;
}

// base to the power of exponent. Squares and roots are common, and no less exact this way.
inline double power(double base, double exponent) noexcept {
  if (exponent == 2) return base * base;
  if (exponent == 0.5 && base > 0) return __builtin_sqrt(base);
  return std::pow(base, exponent);
}

// ---------------------------------------------------------------------------------------------------------------------
// Comparison of an integer with a float: exact mathematical values, never by rounding the integer (manual 3.4.4).
// NaN is neither less than, equal to, nor greater than anything.

// Whether every integer of this magnitude is exact as a float, so that the comparison may be made in floats.
constexpr bool is_exact_as_float(std::int64_t value) noexcept {
  constexpr std::int64_t kLimit = std::int64_t{1} << std::numeric_limits<double>::digits;
  return value >= -kLimit && value <= kLimit;
}

inline bool equal(std::int64_t left, double right) noexcept {
  std::int64_t exact;
  return to_integer(right, exact) && exact == left;
}

inline bool less(std::int64_t left, double right) noexcept {
  if (is_exact_as_float(left)) return static_cast<double>(left) < right;
  std::int64_t bound;
  if (to_integer_ceil(right, bound)) return left < bound;
  return right > 0;  // beyond all integers; NaN is not
}

inline bool less_equal(std::int64_t left, double right) noexcept {
  if (is_exact_as_float(left)) return static_cast<double>(left) <= right;
  std::int64_t bound;
  if (to_integer_floor(right, bound)) return left <= bound;
  return right > 0;
}

inline bool less(double left, std::int64_t right) noexcept {
  if (is_exact_as_float(right)) return left < static_cast<double>(right);
  std::int64_t bound;
  if (to_integer_floor(left, bound)) return bound < right;
  return left < 0;
}

inline bool less_equal(double left, std::int64_t right) noexcept {
  if (is_exact_as_float(right)) return left <= static_cast<double>(right);
  std::int64_t bound;
  if (to_integer_ceil(left, bound)) return bound <= right;
  return left < 0;
}

}  // namespace baton::number
