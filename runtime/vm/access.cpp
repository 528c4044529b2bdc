// Indexing on any values (manual 2.4, `__index` and `__newindex`).
//
// An access walks a chain: a raw field ends it, a function metamethod is called and ends it, any
// other metamethod takes the object's place. The walk reaches no safepoint before that call, so the
// objects on it stay valid without roots. A chain of more than kLongestChain links is taken for a loop.
#include "value/string.h"
#include "value/table.h"
#include "vm/call.h"
#include "vm/operations.h"

namespace baton::vm {
namespace {

constexpr int kLongestChain = 2000;

// Result of a chain's walk: either a value, or the function to be called with `object` and the key.
struct Lookup {
  Value object;
  Value result;
  bool is_function = false;
};

// The raw getters of the three kinds of keys that callers have; one walk serves all.
struct AnyKey {
  const Value& key;
  const Value* get(const Table* t) const noexcept { return table::get(t, key); }
};
struct IntegerKey {
  std::int64_t key;
  const Value* get(const Table* t) const noexcept { return table::get_integer(t, key); }
};

template <class Key>
Lookup look_up(ThreadState& thread, const Value& object, const Key& key) {
  Lookup found;
  const Value* link = &object;  // the caller's own slot at first: messages name its variable
  for (int i = 0; i < kLongestChain; ++i) {
    const Value* next;
    if (link->is_table()) {
      Table* t = link->table();
      const Value* slot = key.get(t);
      if (!slot->is_nil()) {
        found.result = *slot;
        return found;
      }
      next = &cached_metamethod(thread.shared, t->metatable, Metamethod::kIndex);
      if (next->is_nil()) return found;
    } else {
      next = &metamethod(thread.shared, *link, Metamethod::kIndex);
      if (next->is_nil()) raise_type(thread, *link, "index");
    }
    if (next->is_function()) {
      found.object = *link;
      found.result = *next;
      found.is_function = true;
      return found;
    }
    link = next;
  }
  raise_text(thread, "'__index' chain too long; possible loop");
}

Value call_index(ThreadState& thread, const Lookup& found, const Value& key) {
  const Value key_copy = key;  // it may stand on the stack, which a push may move
  push(thread, found.result);
  push(thread, found.object);
  push(thread, key_copy);
  call(thread, 2, 1);
  return *--thread.current->top;
}

void call_new_index(ThreadState& thread, Value function, Value object, Value key, Value value) {
  push(thread, function);
  push(thread, object);
  push(thread, key);
  push(thread, value);
  call(thread, 3, 0);
}

// A store into a field that has a value. The slot is a field of `t`, so it may be written.
void overwrite(Heap& heap, Table* t, const Value* slot, const Value& value) {
  *const_cast<Value*>(slot) = value;
  heap.barrier_back(t, value);
}

template <class Key>
void store(ThreadState& thread, const Value& object, const Key& access, const Value& key, const Value& value) {
  const Value* link = &object;
  for (int i = 0; i < kLongestChain; ++i) {
    const Value* next;
    if (link->is_table()) {
      Table* t = link->table();
      const Value* slot = access.get(t);
      if (!slot->is_nil() && (t->mode & kTableFrozen) == 0) return overwrite(thread.heap(), t, slot, value);
      if (!slot->is_nil()) return table::set(thread.heap(), t, key, value);  // raises: frozen
      next = &cached_metamethod(thread.shared, t->metatable, Metamethod::kNewIndex);
      if (next->is_nil()) return table::insert(thread.heap(), t, key, slot, value);
    } else {
      next = &metamethod(thread.shared, *link, Metamethod::kNewIndex);
      if (next->is_nil()) raise_type(thread, *link, "index");
    }
    if (next->is_function()) return call_new_index(thread, *next, *link, key, value);
    link = next;
  }
  raise_text(thread, "'__newindex' chain too long; possible loop");
}

}  // namespace

Value index(ThreadState& thread, const Value& object, const Value& key) {
  const Lookup found = look_up(thread, object, AnyKey{key});
  return found.is_function ? call_index(thread, found, key) : found.result;
}

Value index_field(ThreadState& thread, const Value& object, std::string_view name) {
  return index(thread, object, Value::of(string::make(thread.heap(), name)));
}

Value index_integer(ThreadState& thread, const Value& object, std::int64_t key) {
  const Lookup found = look_up(thread, object, IntegerKey{key});
  return found.is_function ? call_index(thread, found, Value::from(key)) : found.result;
}

void set_index(ThreadState& thread, const Value& object, const Value& key, const Value& value) {
  store(thread, object, AnyKey{key}, key, value);
}

void set_index_integer(ThreadState& thread, const Value& object, std::int64_t key, const Value& value) {
  store(thread, object, IntegerKey{key}, Value::from(key), value);
}

}  // namespace baton::vm
