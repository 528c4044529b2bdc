#include "value/prototype.h"

#include "value/heap_internals.h"

namespace baton::prototype {

Prototype* make(Heap& heap) {
  auto* p = static_cast<Prototype*>(heap.allocate_object(sizeof(Prototype), ObjectKind::kPrototype));
  p->count = 0;
  p->parameter_count = 0;
  p->is_vararg = 0;
  p->max_stack = 2;
  p->needs_close = 0;
  p->line_defined = 0;
  p->last_line_defined = 0;
  p->source = nullptr;
  p->code = {};
  p->constants = {};
  p->prototypes = {};
  p->upvalues = {};
  p->lines = {};
  p->locals = {};
  return p;
}

void* allocate_items(Heap& heap, std::size_t size, std::size_t item_bytes) {
  return size == 0 ? nullptr : heap.allocate_buffer(size * item_bytes);
}

const String* local_name(const Prototype* p, int n, std::uint32_t pc) noexcept {
  for (const LocalDescription& local : p->locals) {
    if (local.start_pc > pc) break;
    if (pc < local.end_pc && --n == 0) return local.name;
  }
  return nullptr;
}

}  // namespace baton::prototype
