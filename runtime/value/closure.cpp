// Closures and upvalues. Open upvalues of a coroutine form a list, highest slot first, so closing from
// a level upwards takes them from its head, and two closures over one variable find the same cell.
#include "value/closure.h"

#include "value/heap_internals.h"

namespace baton::closure {

Closure* make(Heap& heap, Prototype* prototype) {
  const std::uint32_t count = prototype->upvalues.size;
  auto* c = static_cast<Closure*>(
      heap.internals().allocate_cell(sizeof(Closure) + count * sizeof(Upvalue*), ObjectKind::kClosure));
  c->count = count;
  c->prototype = prototype;
  for (std::uint32_t i = 0; i < count; ++i) c->upvalues()[i] = nullptr;
  return c;
}

Upvalue* make_closed_upvalue(Heap& heap, const Value& value) {
  auto* u = static_cast<Upvalue*>(heap.internals().allocate_cell(sizeof(Upvalue), ObjectKind::kUpvalue));
  new (&u->closed) Value(value);
  u->location = &u->closed;
  return u;
}

Native* make_native(Heap& heap, const NativeInfo* info, int upvalue_count) {
  const std::size_t bytes = sizeof(Native) + static_cast<std::size_t>(upvalue_count) * sizeof(Value);
  auto* n = static_cast<Native*>(heap.internals().allocate_cell(bytes, ObjectKind::kNative));
  n->count = static_cast<std::uint32_t>(upvalue_count);
  n->info = info;
  n->function = info->function;
  n->intrinsic = info->intrinsic;
  for (int i = 0; i < upvalue_count; ++i) new (&n->upvalues()[i]) Value();
  return n;
}

Upvalue* find_open(Heap& heap, Coroutine* co, Value* slot) {
  Upvalue** link = &co->open_upvalues;
  while (*link != nullptr && (*link)->location > slot) link = &(*link)->next_open;
  Upvalue* next = *link;
  // The collector marks the open upvalues of a coroutine with it, so what is found is alive.
  if (next != nullptr && next->location == slot) return next;
  // The allocation may sweep and so unlink a neighbour: `link` is looked up again.
  auto* u = static_cast<Upvalue*>(heap.internals().allocate_cell(sizeof(Upvalue), ObjectKind::kUpvalue));
  link = &co->open_upvalues;
  while (*link != nullptr && (*link)->location > slot) link = &(*link)->next_open;
  next = *link;
  u->location = slot;
  u->next_open = next;
  u->previous_link = link;
  if (next != nullptr) next->previous_link = &u->next_open;
  *link = u;
  return u;
}

void close_upvalues(Heap& heap, Coroutine* co, Value* level) noexcept {
  while (co->open_upvalues != nullptr && co->open_upvalues->location >= level) {
    Upvalue* u = co->open_upvalues;
    co->open_upvalues = u->next_open;
    if (u->next_open != nullptr) u->next_open->previous_link = &co->open_upvalues;
    new (&u->closed) Value(*u->location);
    u->location = &u->closed;
    heap.barrier(u, u->closed);
  }
}

}  // namespace baton::closure
