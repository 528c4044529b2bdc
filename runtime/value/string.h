// Strings: immutable byte sequences with a terminating NUL that is not counted.
//
// Invariants
//  - Up to kShortStringMax bytes a string is interned in its heap: one object per content, so
//    equality is identity. Longer ones are compared by content and hashed when first used as a key.
//  - Bytes are never written after creation. Objects do not move: `data()` stays valid as long as
//    the string is reachable.
//  - Owner: the heap. Threading: under the GIL, except that bytes of a reachable string may be read
//    without it (natives that release the lock around a write).
#pragma once

#include <string_view>

#include "value/object.h"

namespace baton {

class Heap;

inline constexpr std::size_t kShortStringMax = 40;
inline constexpr std::size_t kMaxStringBytes = std::size_t{1} << 62;

enum StringFlag : std::uint8_t {
  kStringHashed = 1 << 0,  // long strings: `hash` is valid; until then it holds the heap's seed
};

struct String : Object {
  std::uint32_t hash;
  std::size_t length;  // bytes, without the NUL
  String* next;        // short strings: chain of the intern table

  const char* data() const noexcept { return reinterpret_cast<const char*>(this + 1); }
  char* mutable_data() noexcept { return reinterpret_cast<char*>(this + 1); }  // creation only
  std::string_view view() const noexcept { return {data(), length}; }
  bool is_short() const noexcept { return kind == ObjectKind::kShortString; }
};
static_assert(sizeof(String) == 24);

inline Value Value::of(const String* s) noexcept { return of(s, tag_of(s)); }

namespace string {

// The string with these bytes; interned if short. Takes any bytes. Raises: kMemory (no room),
// kStringTooLong. Effects: none besides allocation.
String* make(Heap& heap, std::string_view bytes);

// A long string (length > kShortStringMax) whose bytes the caller fills through mutable_data()
// before anything else can see it; the NUL is in place. Raises: as make.
String* make_uninitialised(Heap& heap, std::size_t length);

// A text in a buffer of the heap (allocate_buffer) of block_bytes(capacity) bytes, kTextOffset from its start, can become a
// string where it lies, if block_bytes(length) >= kAdoptedBytes. The buffer belongs to the string then. Raises: kMemory; the
// buffer is the caller's as before.
inline constexpr std::size_t kTextOffset = 16 + sizeof(String);
inline constexpr std::size_t kAdoptedBytes = std::size_t{4} << 20;
constexpr std::size_t block_bytes(std::size_t capacity) noexcept { return kTextOffset + capacity + 1; }
String* adopt(Heap& heap, void* buffer, std::size_t buffer_bytes, std::size_t length);

// Same content. Raises: nothing.
bool equal(const String* a, const String* b) noexcept;

// The hash of any string; computes and keeps that of a long one. Raises: nothing.
std::uint32_t hash(String* s) noexcept;

// Three-way order as the manual's `<` on strings: strcoll per piece between NULs, a proper prefix
// is smaller. Returns <0, 0, >0. Raises: nothing.
int compare(const String* a, const String* b) noexcept;

}  // namespace string
}  // namespace baton
