// What the files of the library `string` share. string.cpp opens the library and registers the lists of the others.
//
// Invariant: bytes of a subject stay valid while its String is reachable, and a native's arguments are; so the functions
// of this library keep pointers into arguments across polls and callbacks.
// Owner: stdlib. Threading: under the GIL.
#pragma once

#include <cstdint>

#include "vm/native.h"

namespace baton::stdlib {

// The functions of string_match.cpp, string_format.cpp, string_pack.cpp; each list ends with a null name.
extern const NativeInfo kStringMatchFunctions[];
extern const NativeInfo kStringFormatFunctions[];
extern const NativeInfo kStringPackFunctions[];

// A start position of the language (1-based, negative: from the end, 0 and too small: 1) for `length` bytes.
// Returns: 1 .. max(1, position), possibly beyond the end.
constexpr std::size_t start_position(std::int64_t position, std::size_t length) noexcept {
  if (position > 0) return static_cast<std::size_t>(position);
  if (position == 0 || position < -static_cast<std::int64_t>(length)) return 1;
  return length + static_cast<std::size_t>(position) + 1;
}

// An end position (inclusive, negative: from the end), cut to 0 .. length.
constexpr std::size_t end_position(std::int64_t position, std::size_t length) noexcept {
  if (position > static_cast<std::int64_t>(length)) return length;
  if (position >= 0) return static_cast<std::size_t>(position);
  if (position < -static_cast<std::int64_t>(length)) return 0;
  return length + static_cast<std::size_t>(position) + 1;
}

// The string of one byte. Upvalue 1 of the running native must be the table made by make_byte_strings: such strings are
// so common that they are made once and kept. Raises: kMemory.
Value byte_string(NativeCall& call, unsigned char byte);
Table* make_byte_strings(Heap& heap);

// Native loops over bytes poll after each piece of this size.
using vm::kPieceBytes;

}  // namespace baton::stdlib
