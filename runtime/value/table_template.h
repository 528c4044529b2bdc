// Templates: what a table constructor with named fields makes, kept as the bytes of a finished table without values.
//
// `{x = 1, y = 2}` at one place makes tables that differ only in their values: sizes, keys and chains are the same each time.
// So an instruction that is executed often copies an image, whose nodes hold the keys and nil, and the stores that follow
// find the nodes in place. A node with a key and no value is what a removed entry leaves, so nothing else need know.
//
// Invariants
//  - The parts of a table that has an image lie in its cell (kMaxPartsInCell), so the image is one block.
//  - The keys live as long as the prototype that owns the template: they are constants of it, or it marks them (holds_keys).
// Owner: the prototype, in `templates`. Threading: under the GIL.
#pragma once

#include "value/table.h"

namespace baton {

struct Prototype;

struct TableTemplate {
  std::uint32_t cell_bytes;    // of the image, which follows
  std::uint32_t array_slots;
  std::uint32_t nodes_offset;  // of the hash part in the image
  std::uint16_t holds_keys;    // 1: they need not be constants of the prototype, which marks them
  std::uint16_t learned;       // executions that looked whether the tables get more fields later, see table_learning.h

  char* image() noexcept { return reinterpret_cast<char*>(this + 1); }
  const char* image() const noexcept { return reinterpret_cast<const char*>(this + 1); }
  static std::size_t bytes(std::size_t cell_bytes) noexcept { return sizeof(TableTemplate) + cell_bytes; }
};
static_assert(sizeof(TableTemplate) == 16);

inline constexpr std::uint16_t kLearnedEnough = 64;  // TableTemplate::learned does not grow further

// Operand u of NewTable: the slots of the array part and, once it was executed, what is known.
inline constexpr std::uint32_t kNewTableSlots = (1u << 30) - 1;
inline constexpr std::uint32_t kNewTableSeen = 1u << 30;      // executed before; no template yet
inline constexpr std::uint32_t kNewTableTemplate = 1u << 31;  // the other bits: index of the template
inline constexpr std::uint32_t kNewTableNever = kNewTableSeen | kNewTableTemplate;  // no template is possible

namespace table {

// Adds a template of tables with these parts and keys to `p`. Returns: its index, or -1: too large, too many.
// Raises: kMemory.
std::int32_t add_template(Heap& heap, Prototype* p, std::uint32_t array_slots, std::uint32_t hash_entries,
                          String* const* keys, std::uint32_t key_count);

// The same with names that were found in tables (table_learning.h). Raises: kMemory.
std::int32_t add_learned_template(Heap& heap, Prototype* p, std::uint32_t array_slots, String* const* keys, std::uint32_t key_count);

// A new table as the template says; white. Raises: kMemory.
Table* make_from(Heap& heap, const TableTemplate* from);

// Operand u of a NewTable of `p` as the compiler wrote it. Raises: nothing.
std::uint32_t array_slots_of(const Prototype* p, std::uint32_t operand) noexcept;

}  // namespace table
}  // namespace baton
