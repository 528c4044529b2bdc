// Character classes of the language: ASCII only, whatever the locale; kEnd (-1) belongs to no class.
//
// Owner: none, pure functions. Threading: any thread.
#pragma once

#include <array>
#include <cstdint>

namespace baton::syntax::character {

enum Class : std::uint8_t { kNameStart = 1, kDigit = 2, kHexadecimal = 4, kSpace = 8, kPrintable = 16 };

inline constexpr std::array<std::uint8_t, 257> kClasses = [] {
  std::array<std::uint8_t, 257> classes{};  // entry c + 1, so that the end has one
  for (int c = 0; c < 128; ++c) {
    const int lower = c | 0x20;
    const bool letter = lower >= 'a' && lower <= 'z' && c >= 'A';
    const bool digit = c >= '0' && c <= '9';
    std::uint8_t bits = 0;
    if (letter || c == '_') bits |= kNameStart;
    if (digit) bits |= kDigit;
    if (digit || (letter && lower <= 'f')) bits |= kHexadecimal;
    if (c == ' ' || (c >= '\t' && c <= '\r')) bits |= kSpace;
    if (c >= ' ' && c <= '~') bits |= kPrintable;
    classes[static_cast<std::size_t>(c) + 1] = bits;
  }
  return classes;
}();

// Whether c, a byte or -1, is in one of the classes.
constexpr bool is(int c, int classes) { return (kClasses[static_cast<std::size_t>(c + 1)] & classes) != 0; }
constexpr bool is_name_start(int c) { return is(c, kNameStart); }
constexpr bool is_name_part(int c) { return is(c, kNameStart | kDigit); }
constexpr bool is_digit(int c) { return is(c, kDigit); }
constexpr bool is_hexadecimal(int c) { return is(c, kHexadecimal); }
constexpr bool is_space(int c) { return is(c, kSpace); }
constexpr bool is_printable(int c) { return is(c, kPrintable); }

}  // namespace baton::syntax::character
