// Seeded hashing of byte strings and integers, for the string table, for tables and for the parser's names.
//
// Invariant: equal bytes and equal seed give equal hashes; without the seed, collisions cannot be made to order cheaply (the
// seed enters before the first multiplication). Not cryptographic. Values differ between machines of different endianness.
// Owner: none, pure functions. Threading: any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/platform.h"

namespace baton::hash {

// Odd constants with about half of their bits set (the fractional parts of the square roots of 2, 3 and 5).
inline constexpr std::uint64_t kFactor1 = 0x6A09E667F3BCC909;
inline constexpr std::uint64_t kFactor2 = 0xBB67AE8584CAA73B;
inline constexpr std::uint64_t kFactor3 = 0x3C6EF372FE94F82B;

// Folds the 128-bit product of two words into one: every bit of the result depends on every bit of both.
constexpr std::uint64_t fold_multiply(std::uint64_t left, std::uint64_t right) noexcept {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(left) * right;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

// Mixes a 64-bit word (an integer key, an address, the bits of a float) so that its low bits can index a table.
constexpr std::uint64_t mix(std::uint64_t word) noexcept { return fold_multiply(word ^ kFactor1, kFactor2); }

// Eight bytes, any alignment.
inline std::uint64_t load_word(const char* bytes) noexcept {
  std::uint64_t word;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}

// Four bytes, any alignment.
inline std::uint64_t load_half(const char* bytes) noexcept {
  std::uint32_t word;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}

// Hashes all bytes of a string. Takes: any bytes. Costs about one multiplication for each 16 bytes; up to 16 bytes are read
// as at most two overlapping words, without a loop.
inline std::uint64_t of_string(std::string_view text, std::uint64_t seed) noexcept {
  const char* bytes = text.data();
  std::size_t length = text.size();
  std::uint64_t state = seed ^ kFactor1;
  std::uint64_t low;
  std::uint64_t high;
  if (BATON_UNLIKELY(length > 16)) {
    while (length > 16) {
      state = fold_multiply(load_word(bytes) ^ kFactor2, load_word(bytes + 8) ^ state);
      bytes += 16;
      length -= 16;
    }
    // The last 16 bytes, which may overlap what was read.
    low = load_word(bytes + length - 16);
    high = load_word(bytes + length - 8);
  } else if (length >= 8) {
    low = load_word(bytes);
    high = load_word(bytes + length - 8);
  } else if (length >= 4) {
    low = load_half(bytes);
    high = load_half(bytes + length - 4);
  } else if (length > 0) {
    low = static_cast<unsigned char>(bytes[0]);
    high = static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[length / 2])) << 8 |
           static_cast<unsigned char>(bytes[length - 1]);
  } else {
    low = high = 0;
  }
  state = fold_multiply(low ^ kFactor2, high ^ state);
  return fold_multiply(state ^ kFactor3, text.size() ^ kFactor2);
}

}  // namespace baton::hash
