#include "value/userdata.h"

#include "value/heap_internals.h"

namespace baton::userdata {

Userdata* make(Heap& heap, std::size_t size, int user_value_count) {
  const std::size_t values = static_cast<std::size_t>(user_value_count) * sizeof(Value);
  if (size > SIZE_MAX / 2) raise(ErrorId::kMemory);
  const std::size_t bytes = (sizeof(Userdata) + values + size + 15) & ~std::size_t{15};  // keeps cells 16-byte aligned
  auto* u = static_cast<Userdata*>(heap.allocate_object(bytes, ObjectKind::kUserdata));
  u->count = static_cast<std::uint32_t>(user_value_count);
  u->metatable = nullptr;
  u->size = size;
  u->release = nullptr;
  u->unused = 0;
  for (int i = 0; i < user_value_count; ++i) new (&u->user_values()[i]) Value();
  std::memset(u->block(), 0, size);
  return u;
}

}  // namespace baton::userdata
