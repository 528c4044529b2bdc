// Userdata: a block of host memory with a metatable and optional user values.
//
// Invariants: the block is 16-byte aligned, zeroed at creation and does not move. What it holds is
// released by the host class's `__gc`/`__close` natives, or by `release`, which the sweeper calls
// without any right to touch values. Threading: under the GIL.
#pragma once

#include "value/object.h"

namespace baton {

class Heap;

struct Userdata : TracedObject {  // `count`: number of user values
  Table* metatable;
  std::size_t size;  // bytes of the block
  void (*release)(void* block) noexcept;  // may be null; called once when the object is freed
  std::uint64_t unused;

  Value* user_values() noexcept { return reinterpret_cast<Value*>(this + 1); }
  void* block() noexcept { return reinterpret_cast<char*>(this + 1) + count * sizeof(Value); }
};
static_assert(sizeof(Userdata) == 48);

namespace userdata {

// A userdata of `size` bytes and `user_value_count` nil user values, no metatable. Raises: kMemory.
Userdata* make(Heap& heap, std::size_t size, int user_value_count = 0);

}  // namespace userdata
}  // namespace baton
