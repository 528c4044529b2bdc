// Closures and upvalues. Open upvalues of a coroutine form a list, highest slot first, so closing from
// a level upwards takes them from its head, and two closures over one variable find the same cell.
#include "value/closure.h"

#include "value/heap_internals.h"

namespace baton::closure {

namespace {

// `make`, expanded where closures are made by the million.
BATON_ALWAYS_INLINE Closure* make_here(Heap& heap, Prototype* prototype) {
  const std::uint32_t count = prototype->upvalues.size;
  auto* c = static_cast<Closure*>(
      heap.internals().allocate_cell(sizeof(Closure) + count * sizeof(Upvalue*), ObjectKind::kClosure));
  c->count = count;
  c->prototype = prototype;
  BATON_SHORT_LOOP
  for (std::uint32_t i = 0; i < count; ++i) c->upvalues()[i] = nullptr;
  return c;
}

}  // namespace

Closure* make(Heap& heap, Prototype* prototype) { return make_here(heap, prototype); }

namespace {

// An open upvalue for `slot` between what `link` points at and points from.
Upvalue* insert_open(Upvalue* u, Value* slot, Upvalue** link) noexcept {
  Upvalue* next = *link;
  u->location = slot;
  u->next_open = next;
  u->previous_link = link;
  if (next != nullptr) next->previous_link = &u->next_open;
  *link = u;
  return u;
}

// Where the upvalue for `slot` stands in the list of `co`, or belongs.
BATON_ALWAYS_INLINE Upvalue** link_of(Coroutine* co, const Value* slot) noexcept {
  Upvalue** link = &co->open_upvalues;
  while (*link != nullptr && (*link)->location > slot) link = &(*link)->next_open;
  return link;
}

}  // namespace

// Nothing is collected between the allocations and what is new is white, so no barrier is needed; if one of them fails,
// closure and upvalues are garbage, or found again by whoever repeats the instruction.
Closure* capture(Heap& heap, Coroutine* co, Closure* outer, std::uint32_t index, Value* base) {
  Prototype* prototype = outer->prototype->prototypes[index];
  Closure* c = make_here(heap, prototype);
  const UpvalueDescription* description = prototype->upvalues.items;
  BATON_SHORT_LOOP
  for (std::uint32_t i = 0, count = c->count; i < count; ++i, ++description) {
    c->upvalues()[i] = description->in_stack ? find_open(heap, co, base + description->index) : outer->upvalues()[description->index];
  }
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
  Upvalue* found = *link_of(co, slot);
  // The collector marks the open upvalues of a coroutine with it, so what is found is alive.
  if (found != nullptr && found->location == slot) return found;
  // The allocation may sweep and so unlink a neighbour: the place is looked up again.
  auto* u = static_cast<Upvalue*>(heap.internals().allocate_cell(sizeof(Upvalue), ObjectKind::kUpvalue));
  return insert_open(u, slot, link_of(co, slot));
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
