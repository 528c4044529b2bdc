#include "base/number.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <random>
#include <string>

namespace number = baton::number;
using number::Kind;

namespace {

constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

std::string text(double value) {
  char buffer[number::kTextBytes];
  return {buffer, number::to_text(value, buffer)};
}

std::string read(std::string_view numeral) {
  const number::Number value = number::from_text(numeral);
  if (value.kind == Kind::kNone) return "none";
  return value.kind == Kind::kInteger ? std::to_string(value.integer) : text(value.number);
}

}  // namespace

TEST_CASE("number: integers are read in decimal and hexadecimal") {
  CHECK(read("0") == "0");
  CHECK(read(" \t\n\v\f\r10 ") == "10");
  CHECK(read("-9223372036854775808") == "-9223372036854775808");
  CHECK(read("9223372036854775807") == "9223372036854775807");
  CHECK(read("9223372036854775808") == "9.2233720368548e+18");
  CHECK(read("-9223372036854775809") == "-9.2233720368548e+18");
  CHECK(read("0x10") == "16");
  CHECK(read("-0X1f") == "-31");
  CHECK(read("0xffffffffffffffffff") == "-1");
}

TEST_CASE("number: floats are read as strtod reads them") {
  CHECK(read("1e1") == "10.0");
  CHECK(read(".5") == "0.5");
  CHECK(read("5.") == "5.0");
  CHECK(read("+.5E-1") == "0.05");
  CHECK(read("0x1p4") == "16.0");
  CHECK(read("0x.8") == "0.5");
  CHECK(read("0xA.8p1") == "21.0");
  CHECK(read("1e309") == "inf");
  CHECK(read("-1e309") == "-inf");
  CHECK(read("1e-400") == "0.0");
  CHECK(read("1e99999999999999999999999") == "inf");
  CHECK(read("0x1p-99999999999999999999") == "0.0");
  CHECK(read("0." + std::string(400, '0') + "1e401") == "1.0");
  CHECK(read("0." + std::string(800, '0') + "1e-1") == "0.0");
  CHECK(read(std::string(400, '9')) == "inf");
}

TEST_CASE("number: what is no numeral is refused") {
  for (const char* bad : {"", " ", "-", "+", "0x", "1e", "1e+", "1 2", "- 1", "--1", "inf", "nan", "INF", "0x-1", ".", "0x.",
                          "0xp1", "0x.p1", "0x1p", "0x1p+-1", "1f", "0b1", "e1", "1.5.2"}) {
    INFO(bad);
    CHECK(read(bad) == "none");
  }
  CHECK(read(std::string_view("1\0", 2)) == "none");
}

TEST_CASE("number: floats are written like %.14g and look like floats") {
  CHECK(text(3.0) == "3.0");
  CHECK(text(-0.0) == "-0.0");
  CHECK(text(1e15) == "1e+15");
  CHECK(text(99999999999999.0) == "99999999999999.0");
  CHECK(text(1e14) == "1e+14");
  CHECK(text(9007199254740992.0) == "9.007199254741e+15");
  CHECK(text(0.1) == "0.1");
  CHECK(text(3.14159265358979) == "3.1415926535898");
  CHECK(text(std::numeric_limits<double>::infinity()) == "inf");
  CHECK(text(-std::numeric_limits<double>::infinity()) == "-inf");
  CHECK(text(std::copysign(std::numeric_limits<double>::quiet_NaN(), 1.0)) == "nan");
  CHECK(text(std::copysign(std::numeric_limits<double>::quiet_NaN(), -1.0)) == "-nan");
}

TEST_CASE("number: random floats agree with the C library in both directions") {
  std::mt19937_64 random(7);
  for (int i = 0; i < 20000; ++i) {
    const std::uint64_t bits = random();
    double value;
    std::memcpy(&value, &bits, sizeof value);
    if (i % 3 == 1) value = static_cast<double>(static_cast<std::int64_t>(bits >> (i % 60))) / 100;
    if (value != value || value - value != 0) continue;
    char expected[64];
    std::snprintf(expected, sizeof expected, "%.14g", value);
    std::string looks = expected;
    if (looks.find_first_not_of("-0123456789") == std::string::npos) looks += ".0";
    REQUIRE(text(value) == looks);
    std::snprintf(expected, sizeof expected, i % 2 ? "%.17g" : "%a", value);
    const number::Number back = number::from_text(expected);
    INFO(expected);
    REQUIRE((back.kind == Kind::kInteger ? static_cast<double>(back.integer) : back.number) == value);
  }
}

TEST_CASE("number: integers are read in a base and wrap around") {
  std::int64_t value = 0;
  CHECK((number::integer_from_text(" -ff ", 16, value) && value == -255));
  CHECK((number::integer_from_text("zz", 36, value) && value == 1295));
  CHECK((number::integer_from_text("1111111111111111111111111111111111111111111111111111111111111111", 2, value) && value == -1));
  CHECK_FALSE(number::integer_from_text("1e1", 10, value));
  CHECK_FALSE(number::integer_from_text("12", 2, value));
  CHECK_FALSE(number::integer_from_text("-", 10, value));
  CHECK_FALSE(number::integer_from_text("", 10, value));
}

TEST_CASE("number: floats become integers exactly or not at all") {
  std::int64_t value = 0;
  CHECK((number::to_integer(3.0, value) && value == 3));
  CHECK((number::to_integer(-number::kTwoTo63, value) && value == kMin));
  CHECK_FALSE(number::to_integer(number::kTwoTo63, value));
  CHECK_FALSE(number::to_integer(3.5, value));
  CHECK_FALSE(number::to_integer(std::nan(""), value));
  CHECK_FALSE(number::to_integer(HUGE_VAL, value));
  CHECK((number::to_integer_floor(-3.5, value) && value == -4));
  CHECK((number::to_integer_ceil(-3.5, value) && value == -3));
  CHECK_FALSE(number::to_integer_floor(HUGE_VAL, value));
  CHECK_FALSE(number::to_integer_ceil(std::nan(""), value));
}

TEST_CASE("number: division and remainder of integers round towards minus infinity") {
  CHECK(number::floor_divide(std::int64_t{-7}, std::int64_t{2}) == -4);
  CHECK(number::floor_divide(std::int64_t{7}, std::int64_t{-2}) == -4);
  CHECK(number::floor_modulo(std::int64_t{-7}, std::int64_t{2}) == 1);
  CHECK(number::floor_modulo(std::int64_t{7}, std::int64_t{-2}) == -1);
  CHECK(number::floor_modulo(std::int64_t{-6}, std::int64_t{2}) == 0);
  CHECK(number::floor_divide(kMin, std::int64_t{-1}) == kMin);
  CHECK(number::floor_modulo(kMin, std::int64_t{-1}) == 0);
  CHECK(number::add(kMax, 1) == kMin);
  CHECK(number::multiply(kMin, kMin) == 0);
  CHECK(number::negate(kMin) == kMin);
}

TEST_CASE("number: remainder of floats has the sign of the divisor") {
  const double infinity = HUGE_VAL;
  CHECK(number::floor_modulo(5.3, -2.0) == Approx(-0.7));
  CHECK(number::floor_modulo(-5.0, infinity) == infinity);
  CHECK(number::floor_modulo(5.0, -infinity) == -infinity);
  CHECK(number::floor_modulo(5.0, infinity) == 5.0);
  CHECK(std::signbit(number::floor_modulo(-0.0, 1.0)));
  CHECK(number::floor_modulo(-1.0, 0.0) != number::floor_modulo(-1.0, 0.0));
  CHECK(number::floor_divide(-7.0, 2.0) == -4.0);
}

TEST_CASE("number: shifts are logical and take any count") {
  CHECK(number::shift_left(1, 63) == kMin);
  CHECK(number::shift_left(1, 64) == 0);
  CHECK(number::shift_left(-1, -63) == 1);
  CHECK(number::shift_left(1, kMin) == 0);
  CHECK(number::shift_right(-1, 63) == 1);
  CHECK(number::shift_right(1, kMin) == 0);
  CHECK(number::shift_right(1, -63) == kMin);
  CHECK(number::shift_right(1, kMax) == 0);
}

TEST_CASE("number: the remainder of floats is the one of fmod") {
  std::mt19937_64 random(7);
  const auto draw = [&random]() -> double {
    const std::uint64_t bits = random();
    switch (random() % 5) {
      case 0: return static_cast<double>(static_cast<std::int64_t>(bits >> 40));
      case 1: return static_cast<double>(bits >> 11) * 0x1p-45;
      case 2: return -static_cast<double>(bits % 1000) * 0.1;
      case 3: return std::ldexp(static_cast<double>(bits >> 11), static_cast<int>(bits % 60) - 80);
      default: {
        double value;
        std::memcpy(&value, &bits, sizeof value);
        return value;
      }
    }
  };
  for (int i = 0; i < 200000; ++i) {
    const double divisor = draw();
    // Every fourth dividend lies at, just below or just above a multiple of the divisor.
    double dividend = i % 4 != 0 ? draw() : divisor * static_cast<double>(random() % 40000000);
    if (i % 8 == 0) dividend = std::nextafter(dividend, i % 16 == 0 ? HUGE_VAL : -HUGE_VAL);
    const double expected = std::fmod(dividend, divisor), result = number::float_remainder(dividend, divisor);
    const bool same = std::isnan(expected) ? std::isnan(result) : expected == result && std::signbit(expected) == std::signbit(result);
    if (!same) FAIL(dividend << " by " << divisor << ": " << result << " instead of " << expected);
  }
}

TEST_CASE("number: integers and floats compare by their exact values") {
  const double top = static_cast<double>(kMax);  // 2^63
  CHECK(number::less(kMax, top));
  CHECK_FALSE(number::less_equal(top, kMax));
  CHECK_FALSE(number::equal(kMax, top));
  CHECK(number::equal(kMin, -number::kTwoTo63));
  const std::int64_t odd = (std::int64_t{1} << 53) + 1;
  CHECK(number::less(9007199254740992.0, odd));
  CHECK_FALSE(number::less_equal(odd, 9007199254740992.0));
  CHECK(number::less(kMin, HUGE_VAL));
  CHECK(number::less(-HUGE_VAL, kMin));
  CHECK(number::less_equal(kMin, -9.2e18) );
  for (const std::int64_t integer : {std::int64_t{0}, kMin, kMax}) {
    const double nan = std::nan("");
    CHECK_FALSE(number::less(integer, nan));
    CHECK_FALSE(number::less(nan, integer));
    CHECK_FALSE(number::less_equal(integer, nan));
    CHECK_FALSE(number::less_equal(nan, integer));
    CHECK_FALSE(number::equal(integer, nan));
  }
}
