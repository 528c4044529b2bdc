// The heap's own proof-reader: walks every cell and checks the invariants that the collector needs.
// For tests and debugging.
#include "value/heap_internals.h"

namespace baton {

namespace {

// Checks one object; `reference` is asked for everything that the object refers to.
struct Verifier {
  Heap::Internals& h;
  const Object* owner = nullptr;

  void reference(const Object* target) const noexcept {
    if (target == nullptr) return;
    BATON_CHECK(target->kind != ObjectKind::kFree, "an object refers to a free cell");
    if (h.heap.is_marking()) {
      BATON_CHECK(!owner->is_black() || !target->is_white(), "a black object refers to a white one");
    } else if (!h.is_dead(owner)) {
      BATON_CHECK(!h.is_dead(target), "a live object refers to a dead one");
    }
  }
  void value(const Value& v) const noexcept {
    if (!v.is_heap()) return;
    reference(v.object);
    BATON_CHECK(tag_of(v.object) == v.tag, "a value's tag is not its object's kind");
  }

  void table(Table* t) const noexcept {
    reference(t->metatable);
    if (h.slice == t) return;  // partly traversed
    for (std::uint32_t i = 0; i < t->array_size; ++i) value(t->array[i]);
    for (std::size_t i = 0; i < node_count(t); ++i) {
      const Node& node = t->nodes[i];
      if (node.value().is_nil()) continue;
      value(Value::of(reinterpret_cast<Object*>(node.key_bits), node.key_tag));
      value(node.value());
    }
  }

  void prototype(Prototype* p) const noexcept {
    reference(p->source);
    for (Prototype* inner : p->prototypes) reference(inner);
    if (h.slice == p) return;
    for (const Value& constant : p->constants) value(constant);
  }

  void coroutine(Coroutine* co) const noexcept {
    if (h.heap.is_marking() && co->is_black()) {
      BATON_CHECK(!co->ran_since_mark && co->status != CoroutineStatus::kRunning && co->status != CoroutineStatus::kNormal,
                  "a coroutine ran without coroutine::note_run");
    }
    for (const Value* slot = co->stack; slot < co->top; ++slot) value(*slot);
    value(co->hook);
    value(co->error);
  }

  void object(Object* o) noexcept {
    owner = o;
    switch (o->kind) {
      case ObjectKind::kTable: table(static_cast<Table*>(o)); break;
      case ObjectKind::kClosure: {
        auto* c = static_cast<Closure*>(o);
        reference(c->prototype);
        for (std::uint32_t i = 0; i < c->count; ++i) reference(c->upvalues()[i]);
        break;
      }
      case ObjectKind::kNative: {
        auto* n = static_cast<Native*>(o);
        for (std::uint32_t i = 0; i < n->count; ++i) value(n->upvalues()[i]);
        break;
      }
      case ObjectKind::kUserdata: {
        auto* u = static_cast<Userdata*>(o);
        reference(u->metatable);
        for (std::uint32_t i = 0; i < u->count; ++i) value(u->user_values()[i]);
        break;
      }
      case ObjectKind::kUpvalue: {
        auto* u = static_cast<Upvalue*>(o);
        if (!u->is_open()) value(*u->location);
        break;
      }
      case ObjectKind::kCoroutine: coroutine(static_cast<Coroutine*>(o)); break;
      case ObjectKind::kPrototype: prototype(static_cast<Prototype*>(o)); break;
      default: break;
    }
  }
};

}  // namespace

void Heap::verify() noexcept {
  Internals& h = *internals_;
  Verifier verifier{h};
  const auto check = [&](Object* object) {
    if (object->kind == ObjectKind::kFree) return;
    // The dead are not asked: what they refer to may be gone.
    if (h.phase == CyclePhase::kSweep && h.is_dead(object)) return;
    verifier.object(object);
  };
  for (std::uint32_t index = 0; index < kSizeClassCount; ++index) {
    for (Page* page = h.objects.size_class(index).pages; page != nullptr; page = page->next) {
      char* cell = page->cells();
      for (std::uint32_t i = 0; i < page->carved; ++i, cell += page->cell_bytes) check(reinterpret_cast<Object*>(cell));
    }
  }
  for (LargeHeader* list : {h.large, h.large_unswept}) {
    for (; list != nullptr; list = list->next) check(list->object());
  }
}

}  // namespace baton
