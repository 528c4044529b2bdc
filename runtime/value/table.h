// Tables, raw: no metamethod is ever consulted here (those exist only in vm).
//
// Layout: an array part for keys 1..array_size and a hash part of 2^k nodes whose collisions are
// chained inside the node array. Nodes take 24 bytes: the key's tag and the chain live in the
// padding behind the value's tag (see value.h, "Copying"). The essay on growth, borders and `next`
// heads table.cpp.
//
// Invariants
//  - `array[i]` holds key i+1; keys in 1..array_size are never in the hash part.
//  - `nodes` is never null: the empty hash part is one shared node that is never written.
//  - `length_hint` is a guess for `#`, validated at use; any value <= array_size is correct.
//  - The order of `next` is array part, then nodes from first to last; assigning nil to an existing
//    field keeps its node (a dead key), so a traversal survives removals.
//  - `flags` bit m set means: metamethod m (of the first eight in metamethod order) is known absent
//    *in this table used as a metatable*. Whoever gives a key a value it did not have clears all.
//  - A store into a black table needs Heap::barrier_back; the setters here do it themselves,
//    callers who write through a slot pointer must.
#pragma once

#include "value/object.h"
#include "value/string.h"

namespace baton {

class Heap;

struct Node {
  std::uint64_t value_bits;
  Tag value_tag;
  Tag key_tag;
  std::uint16_t unused;
  std::int32_t next;  // distance in nodes to the next of the chain; 0 ends it
  std::uint64_t key_bits;

  Value& value() noexcept { return *reinterpret_cast<Value*>(this); }
  const Value& value() const noexcept { return *reinterpret_cast<const Value*>(this); }
};
static_assert(sizeof(Node) == 24);

enum TableMode : std::uint32_t {
  kTableWeakKeys = 1,    // the collector's note of __mode, read anew from the metatable at each traversal
  kTableWeakValues = 2,
  kTableFrozen = 4,      // sandboxing: raw writes raise (checked on the setters' slow path)
};

struct Table : TracedObject {  // `count` is the mask of the hash part: number of nodes - 1
  std::uint32_t array_size;    // slots of the array part
  std::uint32_t length_hint;
  Value* array;
  Node* nodes;
  Table* metatable;
  std::uint32_t last_free;  // all nodes at or above it are in use
  std::uint32_t mode;       // TableMode bits

  std::uint32_t node_mask() const noexcept { return count; }
};
static_assert(sizeof(Table) == 56);

namespace table {

// A new table with room for `array_slots` array values and `hash_entries` entries; white.
// Raises: kMemory, kTableOverflow.
Table* make(Heap& heap, std::uint32_t array_slots = 0, std::uint32_t hash_entries = 0);

// The slot of a key that has a value, or a pointer to a constant nil. Never null; never written
// through unless it is not nil. Valid until the next insertion into, or collection of, the table.
// Raises: nothing.
const Value* get(const Table* t, const Value& key) noexcept;          // any key, normalises floats
inline const Value* get_integer(const Table* t, std::int64_t key) noexcept;
inline const Value* get_short_string(const Table* t, const String* key) noexcept;
const Value* get_string(const Table* t, String* key) noexcept;        // short or long

// t[key] = value. Raises: kIndexIsNil, kIndexIsNaN, kTableOverflow, kMemory, kTableFrozen.
// Does the barrier and clears the metamethod cache.
void set(Heap& heap, Table* t, const Value& key, const Value& value);
void set_integer(Heap& heap, Table* t, std::int64_t key, const Value& value);
void set_string(Heap& heap, Table* t, String* key, const Value& value);

// `slot` is what get returned for `key` and it is nil (perhaps the constant nil): gives the key a
// value, reusing the slot where it exists. The second half of a VM store. Raises: as set.
void insert(Heap& heap, Table* t, const Value& key, const Value* slot, const Value& value);

// A border (manual 3.4.7), O(1) for proper sequences that grow or shrink at the end, else O(log n).
std::uint64_t length(Table* t) noexcept;

// The entry after `key` (nil: the first) in traversal order. Returns false at the end; otherwise
// key and value hold the next entry with a value. Takes: key and value are in/out.
// Raises: kInvalidNextKey if key is not in the table.
bool next(const Table* t, Value& key, Value& value);

// The position (see next_at) of the entry behind `key` in traversal order. Returns false if `key` is not in the table.
// Raises: nothing.
bool find_position(const Table* t, const Value& key, std::uint64_t& position) noexcept;

// Iteration by position, for natives and the VM: `position` starts at 0 and is advanced past the
// returned entry. Returns false at the end. Raises: nothing. Safe if the table changes in between
// (entries may be skipped or repeated).
bool next_at(const Table* t, std::uint64_t& position, Value& key, Value& value) noexcept;

// Makes room for at least the given sizes (a constructor knows them). Raises: kMemory, kTableOverflow.
void resize(Heap& heap, Table* t, std::uint32_t array_slots, std::uint32_t hash_entries);

// Bytes held by the table and its parts. Raises: nothing.
std::size_t bytes(const Table* t) noexcept;

extern const Value kAbsent;  // the constant nil that the getters return for a key without an entry
extern Node kEmptyNode;      // the shared node of empty hash parts; never written

}  // namespace table
}  // namespace baton

#include "value/table_inline.h"
