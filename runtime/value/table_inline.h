// The getters of tables that the interpreter inlines. Included by table.h only.
//
// Invariant used: an integer key in 1..array_size is never in the hash part, and a node whose key
// has a live tag is on the chain that starts at the key's main position.
// Owner: table.cpp. Threading: under the GIL.
#pragma once

#include "base/hash.h"
#include "value/table.h"

namespace baton::table {

// The main position of an integer among 2^k nodes. Keys that follow each other stand beside each other, so that sequences
// meet no collision and use whole cache lines; each further block of 2^k keys is shifted by one more place, which separates
// multiples of powers of two; the high bits of a product do the same for keys far apart.
BATON_ALWAYS_INLINE std::uint32_t integer_position(std::int64_t key, std::uint32_t mask) noexcept {
  const int half = 31 ^ __builtin_clz(mask | 1);
  const std::uint64_t block = static_cast<std::uint64_t>(key) >> half >> 1;
  const std::uint64_t far = ((block >> 8) * 0x9E3779B97F4A7C15u) >> 40;
  return static_cast<std::uint32_t>(static_cast<std::uint64_t>(key) + block + far) & mask;
}

// The value of an integer key outside the array part. Raises: nothing.
BATON_ALWAYS_INLINE const Value* get_integer_from_nodes(const Table* t, std::int64_t key) noexcept {
  const Node* node = &t->nodes[integer_position(key, t->node_mask())];
  for (;;) {
    if (node->key_bits == static_cast<std::uint64_t>(key) && node->key_tag == Tag::kInteger) return &node->value();
    if (node->next == 0) return &kAbsent;
    node += node->next;
  }
}

BATON_ALWAYS_INLINE const Value* get_integer(const Table* t, std::int64_t key) noexcept {
  const std::uint64_t index = static_cast<std::uint64_t>(key) - 1;
  if (BATON_LIKELY(index < t->array_size)) return &t->array[index];
  return get_integer_from_nodes(t, key);
}

inline const Value* get_short_string(const Table* t, const String* key) noexcept {
  const Node* node = &t->nodes[key->hash & t->node_mask()];
  for (;;) {
    if (node->key_bits == reinterpret_cast<std::uint64_t>(key) && node->key_tag == Tag::kShortString) return &node->value();
    if (node->next == 0) return &kAbsent;
    node += node->next;
  }
}

}  // namespace baton::table
