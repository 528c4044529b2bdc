// Text and numbers.
//
// Reading. A numeral is tried as an integer first: optional sign, then decimal digits that fit 64 bits, or `0x` and
// hexadecimal digits that wrap around. Everything else is a float, read by std::from_chars, which rounds correctly, knows no
// locale and allocates nothing. Three things it does differently from what the language wants are handled around it:
//   - it takes no `+`, no white space and no `0x`: these are consumed here;
//   - it takes "inf" and "nan", which are no numerals: the first character after the sign must be a digit or a point;
//   - out of range it leaves the value alone, where the language wants an infinity or a zero. Which one follows from the
//     decimal (or binary) exponent of the first non-zero digit: the two cases are more than 600 decimal orders apart, so
//     its sign is enough.
//
// Writing. std::to_chars with a precision is specified as printf's "%.14g" in the C locale. Most floats that scripts print
// are small whole numbers; they take the integer path, which is exact below 10^14, where %.14g prints all digits.
#include "base/number.h"

#include <charconv>
#include <system_error>

namespace baton::number {
namespace {

constexpr bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_hexadecimal(char c) { return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f'); }

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

// A numeral cut into sign, base and digits.
struct Pieces {
  bool negative = false;
  bool hexadecimal = false;
  std::string_view digits;
};

Pieces cut(std::string_view text) {
  Pieces pieces;
  text = trim(text);
  if (!text.empty() && (text.front() == '-' || text.front() == '+')) {
    pieces.negative = text.front() == '-';
    text.remove_prefix(1);
  }
  if (text.size() >= 2 && text[0] == '0' && (text[1] | 0x20) == 'x') {
    pieces.hexadecimal = true;
    text.remove_prefix(2);
  }
  pieces.digits = text;
  return pieces;
}

bool hexadecimal_integer(std::string_view digits, std::uint64_t& magnitude) {
  magnitude = 0;
  for (const char c : digits) {
    if (!is_hexadecimal(c)) return false;
    magnitude = magnitude * 16 + static_cast<unsigned>(hexadecimal_digit(static_cast<unsigned char>(c)));
  }
  return !digits.empty();
}

bool decimal_integer(std::string_view digits, bool negative, std::uint64_t& magnitude) {
  const std::uint64_t limit = (std::uint64_t{1} << 63) - (negative ? 0 : 1);
  magnitude = 0;
  for (const char c : digits) {
    if (!is_digit(c)) return false;
    const auto digit = static_cast<unsigned>(c - '0');
    if (magnitude > (limit - digit) / 10) return false;
    magnitude = magnitude * 10 + digit;
  }
  return !digits.empty();
}

// The written exponent after its mark, saturated far outside the range of doubles and of any possible count of digits.
std::int64_t written_exponent(std::string_view text) {
  constexpr std::int64_t kSaturated = std::int64_t{1} << 56;
  bool negative = false;
  if (!text.empty() && (text.front() == '-' || text.front() == '+')) {
    negative = text.front() == '-';
    text.remove_prefix(1);
  }
  std::int64_t value = 0;
  for (const char c : text) {
    if (!is_digit(c)) break;
    if (value < kSaturated) value = value * 10 + (c - '0');
  }
  return negative ? -value : value;
}

// What a numeral out of the range of doubles stands for: an infinity or zero.
double out_of_range_value(const Pieces& pieces) {
  const std::string_view digits = pieces.digits;
  const char mark = pieces.hexadecimal ? 'p' : 'e';
  const std::int64_t digit_weight = pieces.hexadecimal ? 4 : 1;
  std::int64_t integer_digits = 0;  // digits from the first non-zero one to the point; negative: zeros after the point
  bool significant = false;
  bool fraction = false;
  std::int64_t exponent = 0;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    const char c = digits[i];
    if ((c | 0x20) == mark) {
      exponent = written_exponent(digits.substr(i + 1));
      break;
    }
    if (c == '.') {
      fraction = true;
    } else {
      significant = significant || c != '0';
      if (significant && !fraction) ++integer_digits;
      if (!significant && fraction) --integer_digits;
    }
  }
  if (!significant) return 0.0;
  return exponent + integer_digits * digit_weight > 0 ? std::numeric_limits<double>::infinity() : 0.0;
}

Number read_float(const Pieces& pieces) {
  const std::string_view digits = pieces.digits;
  if (digits.empty()) return {};
  const char first = digits.front();
  if (first != '.' && !(pieces.hexadecimal ? is_hexadecimal(first) : is_digit(first))) return {};
  if (digits.find("+-") != std::string_view::npos) return {};  // a hexadecimal exponent of libstdc++ takes both signs
  double value = 0;
  const auto format = pieces.hexadecimal ? std::chars_format::hex : std::chars_format::general;
  const char* const end = digits.data() + digits.size();
  const std::from_chars_result read = std::from_chars(digits.data(), end, value, format);
  if (read.ptr != end || read.ec == std::errc::invalid_argument) return {};
  if (read.ec == std::errc::result_out_of_range) value = out_of_range_value(pieces);
  return Number::of_float(pieces.negative ? -value : value);
}

}  // namespace

Number from_text(std::string_view text) noexcept {
  const Pieces pieces = cut(text);
  std::uint64_t magnitude;
  const bool is_integer = pieces.hexadecimal ? hexadecimal_integer(pieces.digits, magnitude)
                                             : decimal_integer(pieces.digits, pieces.negative, magnitude);
  if (!is_integer) return read_float(pieces);
  return Number::of_integer(static_cast<std::int64_t>(pieces.negative ? 0 - magnitude : magnitude));
}

bool integer_from_text(std::string_view text, int base, std::int64_t& result) noexcept {
  text = trim(text);
  bool negative = false;
  if (!text.empty() && text.front() == '-') {
    negative = true;
    text.remove_prefix(1);
  }
  if (text.empty()) return false;
  std::uint64_t magnitude = 0;
  for (const char c : text) {
    const char lower = static_cast<char>(c | 0x20);
    int digit;
    if (is_digit(c)) {
      digit = c - '0';
    } else if (lower >= 'a' && lower <= 'z') {
      digit = lower - 'a' + 10;
    } else {
      return false;
    }
    if (digit >= base) return false;
    magnitude = magnitude * static_cast<unsigned>(base) + static_cast<unsigned>(digit);
  }
  result = static_cast<std::int64_t>(negative ? 0 - magnitude : magnitude);
  return true;
}

std::size_t to_text(std::int64_t value, char* buffer) noexcept {
  return static_cast<std::size_t>(std::to_chars(buffer, buffer + kTextBytes, value).ptr - buffer);
}

std::size_t to_text(double value, char* buffer) noexcept {
  constexpr double kWholeLimit = 1e14;  // %.14g prints whole numbers below this digit by digit
  char* end;
  if (value > -kWholeLimit && value < kWholeLimit && value == std::trunc(value) && (value != 0 || !std::signbit(value))) {
    end = std::to_chars(buffer, buffer + kTextBytes, static_cast<std::int64_t>(value)).ptr;
  } else {
    end = std::to_chars(buffer, buffer + kTextBytes, value, std::chars_format::general, 14).ptr;
    for (const char* c = buffer; c != end; ++c) {
      if (*c != '-' && !is_digit(*c)) return static_cast<std::size_t>(end - buffer);
    }
  }
  *end++ = '.';
  *end++ = '0';
  return static_cast<std::size_t>(end - buffer);
}

}  // namespace baton::number
