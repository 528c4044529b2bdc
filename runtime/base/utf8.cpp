// A sequence of n > 1 bytes starts with n one bits and a zero, and carries 6 bits in each later byte:
//   bytes  first byte  payload bits   smallest code
//     1    0xxxxxxx         7               0
//     2    110xxxxx        11              80
//     3    1110xxxx        16             800
//     4    11110xxx        21           10000
//     5    111110xx        26          200000
//     6    1111110x        31         4000000
#include "base/utf8.h"

#include <bit>

namespace baton::utf8 {
namespace {

constexpr std::uint32_t kSmallest[kMaxBytes + 1] = {0, 0, 0x80, 0x800, 0x10000, 0x200000, 0x4000000};

}  // namespace

std::size_t encode(std::uint32_t code, char* buffer) noexcept {
  if (code < 0x80) {
    buffer[0] = static_cast<char>(code);
    return 1;
  }
  std::size_t length = 2;
  while (length < kMaxBytes && code >= kSmallest[length + 1]) ++length;
  for (std::size_t i = length - 1; i > 0; --i) {
    buffer[i] = static_cast<char>(0x80 | (code & 0x3F));
    code >>= 6;
  }
  buffer[0] = static_cast<char>((0xFF00u >> length) | code);
  return length;
}

Decoded decode(std::string_view text, Strictness strictness) noexcept {
  if (text.empty()) return {};
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) return {first, 1};
  const auto length = static_cast<std::uint32_t>(std::countl_one(first));
  if (length < 2 || length > kMaxBytes || length > text.size()) return {};
  std::uint32_t code = first & (0x7Fu >> length);
  for (std::uint32_t i = 1; i < length; ++i) {
    if (!is_continuation(text[i])) return {};
    code = code << 6 | (static_cast<unsigned char>(text[i]) & 0x3Fu);
  }
  if (code < kSmallest[length]) return {};
  if (strictness == Strictness::kStrict && (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))) return {};
  return {code, length};
}

}  // namespace baton::utf8
