// The atomic phase: what must be decided without the program running in between.
//
// Order (manual 2.5.3, 2.5.4; the order is what scripts can observe):
//  1. Roots again, then everything that barriers turned gray and every running coroutine's stack.
//  2. Weak tables seen so far are traversed once more and sorted into weak values, ephemerons, all weak.
//  3. Ephemerons converge: a value counts only if its key is reached.
//  4. Weak values that are white are removed: before finalizers, so an object about to be finalized is
//     gone from weak values.
//  5. White objects with a finalizer are queued, last registered first, and marked ("resurrected");
//     candidates among dead coroutines likewise. Everything reachable from them is marked; ephemerons
//     converge again.
//  6. White keys are removed from ephemerons and all-weak tables: after 5, so a finalizer still finds
//     what a weak-keyed table says about its object. Values again, for tables reached only by 5.
//  7. The current white becomes the other one. Everything still of the old white is dead.
// Strings are values, not objects, to weak tables: one that is met there is marked.
//
// What 4 and 6 may have to remove is noted by 2 and 3, which look at every entry anyway: the places of white values and the
// nodes of white keys. Nothing changes a table in between, so the places stay right, and the removal looks at these alone
// instead of passing over all weak tables twice more. Without memory for the notes it does pass over them.
//
// Ephemerons in linear time. Repeating passes over all tables until nothing changes is quadratic for
// a chain of entries in the wrong order. Instead each entry whose key and value are both white is
// noted once in `pending` under its key, and the key gets kMarkAwaited. `mark` sees that bit when the
// key is reached and pushes it to `resolved`; its noted values are then marked, which may reach
// further keys. Each entry is handled twice at most. If the system has no memory for the notes,
// passes are repeated instead: slower, but it needs nothing.
#include "base/hash.h"
#include "value/heap_internals.h"

namespace baton {

void Heap::Internals::atomic() noexcept {
  in_atomic = true;
  clear_spare_stacks();
  table_sites.forget_samples();
  mode_metatable = nullptr;
  mark_roots();
  propagate_all();
  TracedObject* again = gray_again;
  gray_again = nullptr;
  gray_again_count = 0;
  while (again != nullptr) {
    TracedObject* object = again;
    again = object->gray_next;
    push_gray(object, gray);
  }
  propagate_all();
  TracedObject* weak = weak_again;
  weak_again = nullptr;
  while (weak != nullptr) {
    TracedObject* object = weak;
    weak = object->gray_next;
    push_gray(object, gray);
  }
  converge_ephemerons();
  clear_noted_values();
  const bool has_finalizers = separate_finalizers();
  const bool has_unwinding = separate_abandoned();
  converge_ephemerons();
  clear_noted_keys();
  clear_noted_values();
  white_values.release();
  white_keys.release();
  notes_failed = false;
  pending.entries.release();
  pending.resolved.release();
  std::free(pending.heads);
  pending.heads = nullptr;
  pending.mask = 0;
  pending.failed = false;
  weak_values = ephemerons = all_weak = nullptr;
  white = other_white();
  in_atomic = false;
  heap.marking_ = false;
  if (has_finalizers || has_unwinding) announce(kInterruptFinalize);
}

// ---------------------------------------------------------------------------------------------------------------------
// Ephemerons

std::size_t Heap::Internals::traverse_ephemeron_atomically(Table* t) noexcept {
  for (std::uint32_t i = 0; i < t->array_size; ++i) visit(t->array[i]);
  bool has_white = false;
  Node* const end = t->nodes + node_count(t);
  for (Node* node = t->nodes; node < end; ++node) {
    if (node->value().is_nil()) {
      bury_key(node);
      continue;
    }
    prefetch_entry(node + kEntriesAhead, end);
    const Value key = Value::of(reinterpret_cast<Object*>(node->key_bits), node->key_tag);
    const bool key_is_white = is_white_after_strings(key);
    if (key_is_white) note_white_key(node);
    has_white |= key_is_white;
    const Value& value = node->value();
    if (!value.is_heap() || !value.object->is_white()) continue;
    if (!key_is_white) {
      mark(value.object);
    } else {
      await(key.object, value.object);
    }
  }
  if (!has_white) return t->array_size + node_count(t);  // nothing to be removed: black
  push_gray(t, ephemerons);
  return t->array_size + node_count(t);
}

namespace {

std::uint32_t position_of(const Object* key, std::uint32_t mask) noexcept {
  return static_cast<std::uint32_t>(hash::mix(reinterpret_cast<std::uint64_t>(key))) & mask;
}

// Doubles the index of `pending`. Returns: false without memory.
bool grow_heads(PendingTable& pending) noexcept {
  const std::uint32_t size = pending.heads == nullptr ? 64 : (pending.mask + 1) * 2;
  auto* heads = static_cast<std::uint32_t*>(std::calloc(size, sizeof(std::uint32_t)));
  if (heads == nullptr) return false;
  std::free(pending.heads);
  pending.heads = heads;
  pending.mask = size - 1;
  for (std::uint32_t i = 0; i < pending.entries.size; ++i) {
    PendingEntry& entry = pending.entries.items[i];
    std::uint32_t& head = heads[position_of(entry.key, pending.mask)];
    entry.next = head;
    head = i + 1;
  }
  return true;
}

}  // namespace

void Heap::Internals::await(Object* key, Object* value) noexcept {
  if (pending.failed) return;
  if (pending.heads == nullptr || pending.entries.size > pending.mask) {
    if (pending.entries.size > UINT32_MAX / 4 || !grow_heads(pending)) {
      pending.failed = true;
      return;
    }
  }
  std::uint32_t& head = pending.heads[position_of(key, pending.mask)];
  if (!pending.entries.push({key, value, head})) {
    pending.failed = true;
    return;
  }
  head = static_cast<std::uint32_t>(pending.entries.size);
  key->mark |= kMarkAwaited;
}

void Heap::Internals::converge_ephemerons() noexcept {
  for (;;) {
    propagate_all();
    if (pending.resolved.size == 0) {
      if (!pending.failed || !repeat_ephemeron_pass()) return;
      continue;
    }
    const Object* key = pending.resolved.items[--pending.resolved.size];
    std::uint32_t index = pending.heads[position_of(key, pending.mask)];
    while (index != 0) {
      const PendingEntry& entry = pending.entries.items[index - 1];
      if (entry.key == key) visit(entry.value);
      index = entry.next;
    }
  }
}

bool Heap::Internals::repeat_ephemeron_pass() noexcept {
  bool changed = false;
  for (TracedObject* object = ephemerons; object != nullptr; object = object->gray_next) {
    const Table* t = static_cast<const Table*>(object);
    for (std::size_t i = 0; i < node_count(t); ++i) {
      const Node& node = t->nodes[i];
      const bool has_object_key = (static_cast<std::uint8_t>(node.key_tag) & kTagHeapBit) != 0;
      if (has_object_key && reinterpret_cast<const Object*>(node.key_bits)->is_white()) continue;
      if (!node.value().is_heap() || !node.value().object->is_white()) continue;
      mark(node.value().object);
      changed = true;
    }
  }
  return changed;
}

// ---------------------------------------------------------------------------------------------------------------------
// Removal from weak tables

void Heap::Internals::clear_value(Value* place, Node* node) noexcept {
  if (is_white_after_strings(*place)) place->set_nil();
  if (node != nullptr && node->value().is_nil()) bury_key(node);
}

void Heap::Internals::clear_key(Node* node) noexcept {
  const Value key = Value::of(reinterpret_cast<Object*>(node->key_bits), node->key_tag);
  if (!node->value().is_nil() && is_white_after_strings(key)) node->value().set_nil();
  if (node->value().is_nil()) bury_key(node);
}

void Heap::Internals::clear_all_values(TracedObject* list) noexcept {
  for (; list != nullptr; list = list->gray_next) {
    Table* t = static_cast<Table*>(list);
    for (std::uint32_t i = 0; i < t->array_size; ++i) clear_value(&t->array[i], nullptr);
    for (std::size_t i = 0; i < node_count(t); ++i) clear_value(&t->nodes[i].value(), &t->nodes[i]);
  }
}

void Heap::Internals::clear_all_keys(TracedObject* list) noexcept {
  for (; list != nullptr; list = list->gray_next) {
    Table* t = static_cast<Table*>(list);
    for (std::size_t i = 0; i < node_count(t); ++i) clear_key(&t->nodes[i]);
  }
}

void Heap::Internals::clear_noted_values() noexcept {
  if (BATON_UNLIKELY(notes_failed)) {
    clear_all_values(weak_values);
    clear_all_values(all_weak);
    return;
  }
  for (std::size_t i = 0; i < white_values.size; ++i) {
    if (i + kEntriesAhead < white_values.size) __builtin_prefetch(white_values.items[i + kEntriesAhead].place->object);
    clear_value(white_values.items[i].place, white_values.items[i].node);
  }
  white_values.size = 0;  // more may be noted when what finalizers need has been marked
}

void Heap::Internals::clear_noted_keys() noexcept {
  if (BATON_UNLIKELY(notes_failed)) {
    clear_all_keys(ephemerons);
    clear_all_keys(all_weak);
    return;
  }
  for (std::size_t i = 0; i < white_keys.size; ++i) {
    if (i + kEntriesAhead < white_keys.size) __builtin_prefetch(reinterpret_cast<void*>(white_keys.items[i + kEntriesAhead]->key_bits));
    clear_key(white_keys.items[i]);
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// The dead that are needed once more

bool Heap::Internals::separate_finalizers() noexcept {
  bool found = false;
  const std::size_t queued = finalizer_queue.list.size;
  for (std::size_t i = finalizable.size; i-- > 0;) {
    Object* object = finalizable.items[i];
    if (!object->is_white()) continue;
    if (finalizer_queue.push(object)) {
      finalizable.items[i] = nullptr;
      found = true;
    } else {
      mark(object);  // no memory for the queue: it lives until the next cycle
    }
  }
  if (!found) return false;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < finalizable.size; ++i) {
    if (finalizable.items[i] != nullptr) finalizable.items[kept++] = finalizable.items[i];
  }
  finalizable.size = kept;
  for (std::size_t i = queued; i < finalizer_queue.list.size; ++i) visit(finalizer_queue.list.items[i]);
  return true;
}

bool Heap::Internals::separate_abandoned() noexcept {
  bool found = false;
  for (std::size_t i = 0; i < abandoned_candidates.size; ++i) {
    Coroutine* co = abandoned_candidates.items[i];
    if (!co->is_white()) continue;
    if (abandoned.push(co)) found = true;
    mark(co);
  }
  abandoned_candidates.release();
  return found;
}

}  // namespace baton
