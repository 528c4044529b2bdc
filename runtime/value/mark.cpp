// Marking: from roots to everything reachable, in bounded pieces.
//
// Colours. White: not reached. Gray: reached, its references not yet looked at; it is on a list
// through gray_next. Black: done. Strings have no references and go from white to black at once, and
// so do upvalues (one reference, looked at on the spot; no recursion follows, since a value is never
// an upvalue). All other kinds take the list, so marking never recurses, however long a chain is.
//
// `propagate` takes gray objects and traverses them until its budget is used up. Budgets count slots:
// an object costs a few plus one for each reference it may hold. A table of more than kLargeTableSlots
// slots (and a prototype with as many constants) becomes `slice`: it is painted black at once and
// traversed piece by piece with a cursor. That is sound because
//   - stores of white objects into it mark them (barrier_backward treats large tables so),
//   - moving a node inside the hash part marks what it moves while the table is black (table.cpp),
//   - new parts after a rehash reset the cursor (table_rebuilt).
//
// Marking waits for memory most of the time: an object's first touch is a cache miss. So tables, which
// hold most references, put visits off (`visit_later`): the object is prefetched and looked at sixteen
// visits later. Nothing may conclude from whiteness before flush_ring, which ends `propagate`; the atomic
// traversal of ephemerons may meet a key that is still in the ring, notes it as awaited, and gets it
// resolved when the ring is flushed. A slice proceeds by small portions, only when nothing else is gray.
//
// Traversal of a table also buries dead keys: a node whose value is nil keeps its place for `next`,
// but its key is no reference any more (Tag::kDeadKey); only the address stays, to be compared with.
//
// Weak tables. `__mode` is read raw from the metatable when the table is traversed. During the mark
// phase a weak table is traversed for what it holds strongly (weak values: the keys; ephemeron: the
// values whose keys are marked already). If all it holds is marked, nothing can be removed from it in this
// cycle, and it is black like any table. Otherwise it is put on `weak_again`, gray, so that no barrier looks at it; the
// first round traverses it again, when nearly all that lives is marked; what is left then is for the atomic phase, which
// traverses it once more and decides (atomic.cpp).
//
// Coroutines. [stack, top) is live. The slots behind `top` hold leftovers of frames that have returned;
// a later frame may cover such a slot without writing it before a safepoint, so that the leftover is
// scanned as if it were alive. To make that harmless, scanning sets every leftover to nil: then
// whatever a slot holds was stored after the scan and is younger than the white that gets swept.
// A running coroutine is not painted black: it is scanned, then waits on `gray_again` for the next round and the atomic phase.
#include <algorithm>

#include "value/heap_internals.h"

namespace baton {

namespace {

constexpr std::size_t kObjectUnits = 4;   // cost of an object besides its slots
constexpr std::size_t kSliceSlots = 256;  // of a slice at once, so that what it reaches is traversed while in the cache

}  // namespace

void Heap::Internals::mark(Object* object) noexcept {
  BATON_DCHECK(object->kind != ObjectKind::kFree);
  BATON_DCHECK(!is_dead(object));
  if (BATON_UNLIKELY((object->mark & kMarkAwaited) != 0)) {
    object->mark &= static_cast<std::uint8_t>(~kMarkAwaited);
    if (!pending.resolved.push(object)) pending.failed = true;
  }
  switch (object->kind) {
    case ObjectKind::kShortString:
    case ObjectKind::kLongString:
      blacken(object);
      return;
    case ObjectKind::kUpvalue:
      blacken(object);
      visit(*static_cast<Upvalue*>(object)->location);
      return;
    default:
      if (object->kind == ObjectKind::kTable) {
        __builtin_prefetch(static_cast<Table*>(object)->nodes);
        __builtin_prefetch(static_cast<Table*>(object)->array);
      }
      push_gray(static_cast<TracedObject*>(object), gray);
      return;
  }
}

void Heap::Internals::mark_roots() noexcept {
  for (std::size_t i = 0; i < visitors.size; ++i) visitors.items[i]->mark_roots(heap);
  for (const RootBase* root = roots; root != nullptr; root = HeapRoots::next(root)) visit(root->value());
  for (std::size_t i = 0; i < fixed.size; ++i) visit(fixed.items[i]);
  for (std::size_t i = finalizer_queue.head; i < finalizer_queue.list.size; ++i) visit(finalizer_queue.list.items[i]);
  for (std::size_t i = abandoned.head; i < abandoned.list.size; ++i) visit(abandoned.list.items[i]);
}

std::size_t Heap::Internals::propagate(std::size_t budget) noexcept {
  std::size_t done = 0;
  while (done < budget) {
    TracedObject* object = gray;
    if (object == nullptr) {
      flush_ring();
      if (gray != nullptr) continue;
      if (slice == nullptr) break;
      done += continue_slice(std::min(budget - done, kSliceSlots));
      continue;
    }
    gray = object->gray_next;
    blacken(object);
    done += traverse(object);
  }
  flush_ring();
  return done + 1;
}

void Heap::Internals::flush_ring() noexcept {
  for (std::uint32_t i = 0; i < kRingSize; ++i) {
    Object*& place = ring[ring_position++ % kRingSize];
    Object* due = place;
    place = nullptr;
    if (due != nullptr && due->is_white()) mark(due);
  }
}

void Heap::Internals::propagate_all() noexcept {
  while (gray != nullptr || slice != nullptr) propagate(SIZE_MAX / 2);
}

void Heap::Internals::begin_round() noexcept {
  ++rounds;
  TracedObject* list = gray_again;
  gray_again = nullptr;
  gray_again_count = 0;
  while (list != nullptr) {
    TracedObject* object = list;
    list = object->gray_next;
    push_gray(object, gray);
  }
  TracedObject* weak = weak_again;
  weak_again = nullptr;
  while (weak != nullptr) {
    TracedObject* object = weak;
    weak = object->gray_next;
    push_gray(object, gray);
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Kinds

std::size_t Heap::Internals::traverse(TracedObject* object) noexcept {
  switch (object->kind) {
    case ObjectKind::kTable:
      return traverse_table(static_cast<Table*>(object));
    case ObjectKind::kClosure: {
      auto* c = static_cast<Closure*>(object);
      visit_optional(c->prototype);
      Upvalue** upvalues = c->upvalues();
      for (std::uint32_t i = 0; i < c->count; ++i) visit_optional(upvalues[i]);
      return kObjectUnits + c->count;
    }
    case ObjectKind::kNative: {
      auto* n = static_cast<Native*>(object);
      for (std::uint32_t i = 0; i < n->count; ++i) visit(n->upvalues()[i]);
      return kObjectUnits + n->count;
    }
    case ObjectKind::kUserdata: {
      auto* u = static_cast<Userdata*>(object);
      visit_optional(reinterpret_cast<Object*>(u->metatable));
      for (std::uint32_t i = 0; i < u->count; ++i) visit(u->user_values()[i]);
      return kObjectUnits + u->count;
    }
    case ObjectKind::kCoroutine:
      return traverse_coroutine(static_cast<Coroutine*>(object));
    case ObjectKind::kPrototype:
      return traverse_prototype(static_cast<Prototype*>(object));
    default:
      check_failed(__FILE__, __LINE__, "a gray object has a kind without references");
  }
}

void Heap::Internals::visit_keys(const TableTemplate& t) noexcept {
  if (t.holds_keys == 0) return;
  const auto* nodes = reinterpret_cast<const Node*>(t.image() + t.nodes_offset);
  const std::size_t count = reinterpret_cast<const Table*>(t.image())->node_mask() + std::size_t{1};
  for (std::size_t i = 0; i < count; ++i) {
    if (nodes[i].key_tag == Tag::kShortString) visit_optional(reinterpret_cast<String*>(nodes[i].key_bits));
  }
}

std::size_t Heap::Internals::traverse_prototype(Prototype* p) noexcept {
  visit_optional(p->source);
  for (Prototype* inner : p->prototypes) visit_optional(inner);
  for (const UpvalueDescription& u : p->upvalues) visit_optional(u.name);
  for (const LocalDescription& l : p->locals) visit_optional(l.name);
  for (const TableTemplate* t : p->templates) visit_keys(*t);
  const std::size_t units = kObjectUnits + p->prototypes.size + p->upvalues.size + p->locals.size + p->templates.size;
  if (p->constants.size > kLargeTableSlots && !in_atomic && slice == nullptr) {
    slice = p;
    slice_position = 0;
    return units;
  }
  for (const Value& constant : p->constants) visit(constant);
  return units + p->constants.size;
}

std::size_t Heap::Internals::traverse_coroutine(Coroutine* co) noexcept {
  const bool is_running = co->status == CoroutineStatus::kRunning || co->status == CoroutineStatus::kNormal;
  if (is_running && !in_atomic) {
    // Most of a heap may be reachable from local variables alone: it is marked now, so that the atomic phase need not.
    for (const Value* slot = co->stack; slot < co->top; ++slot) visit(*slot);
    push_gray(co, gray_again);  // not counted: the last round includes it anyway
    return kObjectUnits + static_cast<std::size_t>(co->top - co->stack);
  }
  for (const Value* slot = co->stack; slot < co->top; ++slot) visit(*slot);
  for (Upvalue* u = co->open_upvalues; u != nullptr; u = u->next_open) visit(u);
  visit(co->hook);
  visit(co->error);
  visit_optional(co->resumer);
  co->ran_since_mark = false;
  if (co->stack == nullptr) return kObjectUnits;
  const bool may_move = co->status != CoroutineStatus::kLeft || co->fiber == nullptr;  // no native that waits is in it
  if (!is_running && may_move && !in_emergency) coroutine::shrink_stack(heap, co);
  Value* const end = coroutine::stack_end(co);
  for (Value* slot = co->top; slot < end; ++slot) {
    if (!slot->is_nil()) slot->set_nil();
  }
  return kObjectUnits + static_cast<std::size_t>(end - co->stack);
}

// ---------------------------------------------------------------------------------------------------------------------
// Tables

std::uint32_t Heap::Internals::weak_mode(Table* metatable) noexcept {
  if (metatable == mode_metatable) return mode_memo;
  std::uint32_t result = 0;
  const Value* mode = table::get_short_string(metatable, mode_name);
  if (mode->is_string()) {
    const std::string_view text = mode->string()->view();
    if (text.find('k') != std::string_view::npos) result |= kTableWeakKeys;
    if (text.find('v') != std::string_view::npos) result |= kTableWeakValues;
  }
  mode_metatable = metatable;
  mode_memo = result;
  return result;
}

std::size_t Heap::Internals::traverse_table(Table* t) noexcept {
  std::uint32_t weak = 0;
  if (t->metatable != nullptr) {
    visit(t->metatable);
    weak = weak_mode(t->metatable);
  }
  t->mode = (t->mode & ~(kTableWeakKeys | kTableWeakValues)) | weak;
  if (BATON_UNLIKELY(weak != 0)) return traverse_weak(t);
  const std::size_t slots = t->array_size + node_count(t);
  if (BATON_UNLIKELY(slots > kLargeTableSlots) && !in_atomic && slice == nullptr) {
    slice = t;
    slice_position = 0;
    return kObjectUnits;
  }
  return kObjectUnits + traverse_slots(t, 0, slots);
}

std::size_t Heap::Internals::traverse_slots(Table* t, std::size_t from, std::size_t to) noexcept {
  const std::size_t array_end = to < t->array_size ? to : t->array_size;
  for (std::size_t i = from; i < array_end; ++i) visit_later(t->array[i]);
  if (to <= t->array_size) return to - from;
  Node* node = t->nodes + (from < t->array_size ? 0 : from - t->array_size);
  Node* const end = t->nodes + (to - t->array_size);
  for (; node < end; ++node) {
    if (node->value().is_nil()) {
      bury_key(node);
      continue;
    }
    if ((static_cast<std::uint8_t>(node->key_tag) & kTagHeapBit) != 0) visit_later(reinterpret_cast<Object*>(node->key_bits));
    visit_later(node->value());
  }
  return to - from;
}

std::size_t Heap::Internals::continue_slice(std::size_t budget) noexcept {
  std::size_t slots;
  if (slice->kind == ObjectKind::kTable) {
    Table* t = static_cast<Table*>(slice);
    slots = t->array_size + node_count(t);
    const std::size_t end = slots - slice_position < budget ? slots : slice_position + budget;
    traverse_slots(t, slice_position, end);
    budget = end - slice_position;
    slice_position = end;
  } else {
    const Prototype* p = static_cast<const Prototype*>(slice);
    slots = p->constants.size;
    const std::size_t end = slots - slice_position < budget ? slots : slice_position + budget;
    for (std::size_t i = slice_position; i < end; ++i) visit(p->constants[i]);
    budget = end - slice_position;
    slice_position = end;
  }
  if (slice_position == slots) slice = nullptr;
  return budget + 1;
}

bool Heap::Internals::is_white_after_strings(const Value& v) noexcept {
  if (!v.is_heap() || !v.object->is_white()) return false;
  if (!v.is_string()) return true;
  mark(v.object);
  return false;
}

std::size_t Heap::Internals::traverse_weak(Table* t) noexcept {
  const std::size_t units = kObjectUnits + t->array_size + node_count(t);
  const bool weak_keys = (t->mode & kTableWeakKeys) != 0;
  const bool is_weak_valued = (t->mode & kTableWeakValues) != 0;
  if (in_atomic && weak_keys && !is_weak_valued) return traverse_ephemeron_atomically(t);
  bool has_white = false;
  for (std::uint32_t i = 0; i < t->array_size; ++i) {
    if (!is_weak_valued) visit(t->array[i]);
    else if (is_white_after_strings(t->array[i])) {
      has_white = true;
      if (in_atomic) note_white_value(&t->array[i], nullptr);
    }
  }
  Node* const end = t->nodes + node_count(t);
  for (Node* node = t->nodes; node < end; ++node) {
    if (node->value().is_nil()) {
      bury_key(node);
      continue;
    }
    prefetch_entry(node + kEntriesAhead, end);
    const Value key = Value::of(reinterpret_cast<Object*>(node->key_bits), node->key_tag);
    if (!weak_keys) visit(key);
    const bool key_is_white = weak_keys && is_white_after_strings(key);
    if (!is_weak_valued && !key_is_white) visit(node->value());
    const bool value_is_white = is_weak_valued && is_white_after_strings(node->value());
    has_white |= key_is_white || value_is_white;
    if (!in_atomic) continue;
    if (value_is_white) note_white_value(&node->value(), node);
    if (key_is_white) note_white_key(node);
  }
  // All it holds is marked: it stays black, as if it held it strongly, and barriers watch over it.
  if (!has_white) return units;
  if (!in_atomic) {
    push_gray(t, weak_again);
  } else {
    push_gray(t, weak_keys ? all_weak : weak_values);
  }
  return units;
}

// ---------------------------------------------------------------------------------------------------------------------
// Dead coroutines with frames of natives

namespace {

// Whether the machine stack of a coroutine holds frames of natives, which own things that must be
// released by unwinding. A suspension in an intrinsic leaves only the interpreter's frames there.
bool has_native_frames(const Coroutine* co) noexcept {
  if (co->fiber == nullptr || co->frames == nullptr) return false;
  for (const CallFrame* frame = co->frames + 1; frame <= co->frame; ++frame) {
    if ((frame->flags & (kFrameNative | kFrameIntrinsic)) == kFrameNative) return true;
  }
  return false;
}

}  // namespace

std::size_t Heap::Internals::scan_coroutines(std::size_t budget) noexcept {
  std::size_t done = 1;
  for (; coroutine_cursor != nullptr && done < budget; coroutine_cursor = coroutine_cursor->all_next) {
    done += kObjectUnits;
    if (!coroutine_cursor->is_white() || !has_native_frames(coroutine_cursor)) continue;
    // Without memory to remember it, it is kept for this cycle: marking it is always sound.
    if (!abandoned_candidates.push(coroutine_cursor)) mark(coroutine_cursor);
  }
  if (coroutine_cursor == nullptr) {
    coroutines_scanned = true;
    phase = CyclePhase::kMark;
  }
  return done;
}

}  // namespace baton
