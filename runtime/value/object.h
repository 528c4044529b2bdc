// The header of every heap object, its kinds, and the collector's colours.
//
// Invariants
//  - Objects never move and are reached only under the GIL.
//  - `mark` holds exactly one colour: one of the two whites, gray (no bit) or black. Between
//    collections and during sweeping the *current* white means "new or not yet visited in the
//    coming cycle", the *other* white means "dead, waiting for the sweeper".
//  - A black object never points to a white one while marking (heap.h states the barriers).
//  - Only the heap creates and frees objects; constructors of kinds are private to it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "value/value.h"

namespace baton {

// Kinds that a Value can hold have the value of their Tag, so a tag is derived by a cast.
enum class ObjectKind : std::uint8_t {
  kFree = 0,  // a cell of the allocator that holds nothing
#define BATON_OBJECT_KIND(name, tag, description) k##name = static_cast<std::uint8_t>(tag),
#include "value/object_kinds.def"
#undef BATON_OBJECT_KIND
};

enum ObjectMark : std::uint8_t {
  kMarkWhite0 = 1 << 0,
  kMarkWhite1 = 1 << 1,
  kMarkBlack = 1 << 2,
  kMarkColours = kMarkWhite0 | kMarkWhite1 | kMarkBlack,
  kMarkHasFinalizer = 1 << 3,  // its metatable had __gc when set; it is in the heap's finalizer list
  kMarkFinalized = 1 << 4,     // its finalizer was queued once (cleared when it is marked again by setmetatable)
  kMarkFixed = 1 << 5,         // never collected (preallocated error strings, metamethod names)
  kMarkFrozen = 1 << 7,        // a table with kTableFrozen: stores leave the fast path
  kMarkAwaited = 1 << 6,       // atomic phase: a dead-so-far key of an ephemeron entry whose value waits for it
};

struct Object {
  ObjectKind kind;
  std::uint8_t mark;
  std::uint8_t flags;       // by kind: Table: cache of absent metamethods; String: see string.h
  std::uint8_t size_class;  // allocator's; kLargeObject for cells of their own

  bool is_white() const noexcept { return (mark & (kMarkWhite0 | kMarkWhite1)) != 0; }
  bool is_black() const noexcept { return (mark & kMarkBlack) != 0; }
  bool is_gray() const noexcept { return (mark & kMarkColours) == 0; }
};
static_assert(sizeof(Object) == 4);

inline constexpr std::uint8_t kLargeObject = 255;  // size_class of cells that come from the system's allocator

// Objects that contain references are linked through `gray_next` while they wait to be traversed.
// `count` belongs to the kind: Table: mask of its hash part; Closure, Native: upvalues; Userdata: user values.
struct TracedObject : Object {
  std::uint32_t count;
  TracedObject* gray_next;
};
static_assert(sizeof(TracedObject) == 16);

inline Tag tag_of(const Object* o) noexcept { return static_cast<Tag>(o->kind); }

}  // namespace baton
