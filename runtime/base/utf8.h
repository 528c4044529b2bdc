// UTF-8, strict (Unicode) and in the language's original form of up to six bytes and 31 bits (manual 6.5).
//
// Invariant: encode and a lax decode are inverse to each other for every value below 2^31; overlong forms are never accepted.
// Owner: none, pure functions. Threading: any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace baton::utf8 {

inline constexpr std::uint32_t kMaxCode = 0x7FFFFFFF;
inline constexpr std::size_t kMaxBytes = 6;

enum class Strictness : std::uint8_t {
  kStrict,  // no surrogates, nothing above 10FFFF
  kLax,     // every value up to kMaxCode
};

struct Decoded {
  std::uint32_t code = 0;
  std::uint32_t bytes = 0;  // length of the sequence; 0: the bytes are no valid sequence
};

// Writes one character. Takes: a code up to kMaxCode, kMaxBytes bytes of room. Returns: bytes written, 1..6, no NUL.
std::size_t encode(std::uint32_t code, char* buffer) noexcept;

// Reads the character at the start of the text. Takes: any bytes. Returns: bytes == 0 for an empty text, a stray
// continuation byte, a truncated, overlong or (strict) not permitted sequence.
[[nodiscard]] Decoded decode(std::string_view text, Strictness strictness) noexcept;

// Whether a byte continues a sequence (10xxxxxx).
constexpr bool is_continuation(char byte) noexcept { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

}  // namespace baton::utf8
