// Strings and the intern table.
//
// Short strings are interned: the table holds one object per content, so a comparison or a table
// lookup by name is one of pointers. Chains go through String::next, so an entry costs no node.
//
// Growth without a pause. When there are as many strings as chains, a table of twice the size is
// allocated (fresh zero pages from the system: nothing is touched) and `old` keeps the old one. Each
// insertion moves two chains of `old` over, so the move ends before the next growth is due, and the
// collector's steps help. While it lasts, chain i of `old` is in use iff i >= moved; since sizes are
// powers of two, the rule that finds the chain of a hash is
//
//     old != null and (hash & old_mask) >= moved  ?  old[hash & old_mask]  :  buckets[hash & mask]
//
// for growing and for shrinking alike.
//
// A chain is a word: the address of its first string, and in the 16 bits above it a filter, one bit for each hash in the
// chain, by four bits of the hash. A text that is new is mostly known to be so from this word alone. Otherwise the first
// string would have to be looked at, and until the word has come from memory the processor could only guess whether there is
// one: half of these guesses were wrong. Bits of strings that were removed may stay until their chain is empty or moved.
//
// The table is weak. Dead strings stay in their chains until their page is swept, one by one, so no
// phase has to clean the table as a whole. A lookup may meet a string that is dead but not yet swept;
// it repaints it with the current white, which is all that "alive" means to the sweeper.
//
// Long strings are not interned; their hash is computed when one first serves as a key. Until then the
// field holds the seed, so that a lookup needs no heap.
#include "value/string.h"

#include <bit>
#include <clocale>
#include <cstring>

#include "base/hash.h"
#include "value/heap_internals.h"

namespace baton {

namespace {

constexpr std::uint32_t kFirstBuckets = 512;
constexpr std::uint32_t kMaxBuckets = 1u << 30;

std::uint32_t hash_of(std::string_view bytes, std::uint32_t seed) noexcept {
  const std::uint64_t wide = hash::of_string(bytes, seed);
  return static_cast<std::uint32_t>(wide ^ (wide >> 32));
}

constexpr int kAddressBits = 48;
constexpr std::uint64_t kAddressMask = (std::uint64_t{1} << kAddressBits) - 1;

inline std::uint64_t filter_bit(std::uint32_t hash) noexcept { return std::uint64_t{1} << kAddressBits << (hash >> 28); }
inline String* first_of(std::uint64_t chain) noexcept { return reinterpret_cast<String*>(chain & kAddressMask); }

inline void add_to_chain(std::uint64_t& chain, String* s) noexcept {
  s->next = first_of(chain);
  chain = (chain & ~kAddressMask) | filter_bit(s->hash) | reinterpret_cast<std::uint64_t>(s);
}

inline std::uint64_t& chain_of(InternTable& table, std::uint32_t hash) noexcept {
  if (BATON_UNLIKELY(table.old != nullptr) && (hash & table.old_mask) >= table.moved) return table.old[hash & table.old_mask];
  return table.buckets[hash & table.mask];
}

std::uint64_t* zeroed_buckets(Heap::Internals& h, std::size_t count) {
  const std::size_t bytes = count * sizeof(std::uint64_t);
  if (bytes <= kMaxCellBytes) {
    void* buckets = h.allocate_buffer(bytes);
    std::memset(buckets, 0, bytes);
    return static_cast<std::uint64_t*>(buckets);
  }
  h.charge(bytes);
  void* buckets = std::calloc(count, sizeof(std::uint64_t));  // free_buffer frees it
  if (buckets != nullptr) return static_cast<std::uint64_t*>(buckets);
  h.discharge(bytes);
  raise(ErrorId::kMemory);
}

}  // namespace

void Heap::Internals::create_intern_table() {
  strings.buckets = zeroed_buckets(*this, kFirstBuckets);
  strings.mask = kFirstBuckets - 1;
}

void Heap::Internals::resize_intern_table(std::uint32_t buckets) noexcept {
  std::uint64_t* fresh;
  try {
    fresh = zeroed_buckets(*this, buckets);
  } catch (const ScriptError&) {
    return;  // longer chains are no error
  }
  strings.old = strings.buckets;
  strings.old_mask = strings.mask;
  strings.moved = 0;
  strings.buckets = fresh;
  strings.mask = buckets - 1;
}

void Heap::Internals::move_chains(std::uint32_t count) noexcept {
  for (; count > 0; --count) {
    String* s = first_of(strings.old[strings.moved++]);
    while (s != nullptr) {
      String* next = s->next;
      add_to_chain(strings.buckets[s->hash & strings.mask], s);
      s = next;
    }
    if (strings.moved > strings.old_mask) {
      free_buffer(strings.old, (std::size_t{strings.old_mask} + 1) * sizeof *strings.old);
      strings.old = nullptr;
      return;
    }
  }
}

void Heap::Internals::shrink_intern_table() noexcept {
  if (strings.old != nullptr || in_emergency) return;
  if (strings.mask + 1 > kFirstBuckets && strings.count < (strings.mask + 1) / 8) resize_intern_table((strings.mask + 1) / 2);
}

void Heap::Internals::unlink_short_string(String* s) noexcept {
  --strings.count;
  std::uint64_t& chain = chain_of(strings, s->hash);
  String* before = first_of(chain);
  if (before == s) {
    chain = s->next == nullptr ? 0 : (chain & ~kAddressMask) | reinterpret_cast<std::uint64_t>(s->next);
    return;
  }
  while (before->next != s) before = before->next;
  before->next = s->next;
}

namespace {

// Copies a short text without a call: words may overlap.
inline void copy_short(char* to, const char* from, std::size_t bytes) noexcept {
  if (bytes < sizeof(std::uint64_t)) {
    if (bytes >= 4) {
      std::memcpy(to, from, 4);
      std::memcpy(to + bytes - 4, from + bytes - 4, 4);
    } else if (bytes > 0) {
      to[0] = from[0];
      to[bytes / 2] = from[bytes / 2];
      to[bytes - 1] = from[bytes - 1];
    }
    return;
  }
  const std::size_t last = bytes - sizeof(std::uint64_t);
  for (std::size_t i = 0; i < last; i += sizeof(std::uint64_t)) std::memcpy(to + i, from + i, sizeof(std::uint64_t));
  std::memcpy(to + last, from + last, sizeof(std::uint64_t));
}

String* add_short(Heap::Internals& h, std::string_view bytes, std::uint32_t hash) {
  InternTable& table = h.strings;
  if (BATON_UNLIKELY(table.old != nullptr)) {
    h.move_chains(2);
  } else if (BATON_UNLIKELY(table.count > table.mask) && table.mask + 1 < kMaxBuckets) {
    h.resize_intern_table((table.mask + 1) * 2);
  }
  auto* s = static_cast<String*>(h.allocate_cell(sizeof(String) + bytes.size() + 1, ObjectKind::kShortString));
  s->hash = hash;
  s->length = bytes.size();
  copy_short(s->mutable_data(), bytes.data(), bytes.size());
  s->mutable_data()[bytes.size()] = '\0';
  add_to_chain(chain_of(table, hash), s);
  ++table.count;
  return s;
}

// Whether two short texts of one length are equal. Words may overlap instead of being cut.
inline bool same_bytes(const char* a, const char* b, std::size_t bytes) noexcept {
  if (bytes < sizeof(std::uint64_t)) {
    if (bytes >= 4) return hash::load_half(a) == hash::load_half(b) && hash::load_half(a + bytes - 4) == hash::load_half(b + bytes - 4);
    return bytes == 0 || (a[0] == b[0] && a[bytes / 2] == b[bytes / 2] && a[bytes - 1] == b[bytes - 1]);
  }
  for (std::size_t i = 0; i < bytes - sizeof(std::uint64_t); i += sizeof(std::uint64_t)) {
    if (hash::load_word(a + i) != hash::load_word(b + i)) return false;
  }
  const std::size_t last = bytes - sizeof(std::uint64_t);
  return hash::load_word(a + last) == hash::load_word(b + last);
}

void init_long(const Heap::Internals& h, String* s, std::size_t length) noexcept {
  s->hash = h.seed;
  s->length = length;
  s->next = nullptr;
  s->mutable_data()[length] = '\0';
}

String* make_long(Heap::Internals& h, std::size_t length) {
  if (BATON_UNLIKELY(length > kMaxStringBytes)) raise(ErrorId::kStringTooLong);
  auto* s = static_cast<String*>(h.allocate_cell(sizeof(String) + length + 1, ObjectKind::kLongString));
  init_long(h, s, length);
  return s;
}

}  // namespace

namespace string {

String* make(Heap& heap, std::string_view bytes) {
  Heap::Internals& h = heap.internals();
  if (BATON_UNLIKELY(bytes.size() > kShortStringMax)) {
    String* s = make_long(h, bytes.size());
    std::memcpy(s->mutable_data(), bytes.data(), bytes.size());
    return s;
  }
  const std::uint32_t hash = hash_of(bytes, h.seed);
  const std::uint64_t chain = chain_of(h.strings, hash);
  if ((chain & filter_bit(hash)) == 0) return add_short(h, bytes, hash);
  for (String* s = first_of(chain); s != nullptr; s = s->next) {
    if (s->hash != hash || s->length != bytes.size()) continue;
    if (BATON_UNLIKELY(!same_bytes(s->data(), bytes.data(), bytes.size()))) continue;
    if (BATON_UNLIKELY(h.is_dead(s))) s->mark ^= kMarkWhite0 | kMarkWhite1;
    return s;
  }
  return add_short(h, bytes, hash);
}

String* make_uninitialised(Heap& heap, std::size_t length) {
  BATON_DCHECK(length > kShortStringMax);
  return make_long(heap.internals(), length);
}

static_assert(kTextOffset == sizeof(LargeHeader) + sizeof(String));
static_assert(kAdoptedBytes == kMappedBufferBytes);  // so that making it shorter copies nothing

String* adopt(Heap& heap, void* buffer, std::size_t buffer_bytes, std::size_t length) {
  BATON_DCHECK(block_bytes(length) >= kAdoptedBytes && block_bytes(length) <= buffer_bytes);
  Heap::Internals& h = heap.internals();
  void* block = heap.resize_buffer(buffer, buffer_bytes, block_bytes(length));
  auto* s = static_cast<String*>(h.adopt_block(block, block_bytes(length), ObjectKind::kLongString));
  init_long(h, s, length);
  return s;
}

bool equal(const String* a, const String* b) noexcept {
  if (a == b) return true;
  if (a->is_short() || b->is_short() || a->length != b->length) return false;
  return std::memcmp(a->data(), b->data(), a->length) == 0;
}

std::uint32_t hash(String* s) noexcept {
  if (!s->is_short() && (s->flags & kStringHashed) == 0) {
    s->hash = hash_of(s->view(), s->hash);
    s->flags |= kStringHashed;
  }
  return s->hash;
}

namespace {

bool collates_by_bytes() noexcept {
  const char* locale = std::setlocale(LC_COLLATE, nullptr);
  return locale == nullptr || (locale[0] == 'C' && locale[1] == '\0') || std::strcmp(locale, "POSIX") == 0;
}

// Eight or four bytes as a number that orders as they do.
inline std::uint64_t ordered_word(const char* bytes) noexcept {
  const std::uint64_t word = hash::load_word(bytes);
  return std::endian::native == std::endian::little ? __builtin_bswap64(word) : word;
}
inline std::uint32_t ordered_half(const char* bytes) noexcept {
  const auto half = static_cast<std::uint32_t>(hash::load_half(bytes));
  return std::endian::native == std::endian::little ? __builtin_bswap32(half) : half;
}

inline int order_of(std::uint64_t left, std::uint64_t right) noexcept { return left < right ? -1 : left > right; }

// memcmp; short texts, which most are, without a call. The last word may overlap the first: what overlaps is equal then.
inline int order_of_bytes(const char* a, const char* b, std::size_t bytes) noexcept {
  if (bytes < 4) {
    for (std::size_t i = 0; i < bytes; ++i) {
      if (a[i] != b[i]) return order_of(static_cast<unsigned char>(a[i]), static_cast<unsigned char>(b[i]));
    }
    return 0;
  }
  if (bytes < 8) {
    const int order = order_of(ordered_half(a), ordered_half(b));
    return order != 0 ? order : order_of(ordered_half(a + bytes - 4), ordered_half(b + bytes - 4));
  }
  const int order = order_of(ordered_word(a), ordered_word(b));
  if (order != 0) return order;
  if (bytes <= 16) return order_of(ordered_word(a + bytes - 8), ordered_word(b + bytes - 8));
  return std::memcmp(a + 8, b + 8, bytes - 8);
}

int compare_bytes(const String* a, const String* b) noexcept {
  const int order = order_of_bytes(a->data(), b->data(), a->length < b->length ? a->length : b->length);
  return order != 0 ? order : order_of(a->length, b->length);
}

}  // namespace

int compare(const String* a, const String* b) noexcept {
  if (a == b) return 0;
  if (BATON_LIKELY(collates_by_bytes())) return compare_bytes(a, b);
  const char* left = a->data();
  const char* right = b->data();
  std::size_t left_bytes = a->length;
  std::size_t right_bytes = b->length;
  for (;;) {
    const int order = std::strcoll(left, right);  // up to the first NUL of each
    if (order != 0) return order;
    const std::size_t left_piece = std::strlen(left);
    const std::size_t right_piece = std::strlen(right);
    if (right_piece == right_bytes) return left_piece == left_bytes ? 0 : 1;
    if (left_piece == left_bytes) return -1;
    left += left_piece + 1;
    right += right_piece + 1;
    left_bytes -= left_piece + 1;
    right_bytes -= right_piece + 1;
  }
}

}  // namespace string
}  // namespace baton
