// What the files of the library `table` share: access to lists, with metamethods only where there are some.
//
// Invariant: whether a table is plain (no metatable) is asked again at every access, never remembered across something
// that may run script code or poll: another thread or a callback may change it.
// Owner: stdlib. Threading: under the GIL.
#pragma once

#include "value/table.h"
#include "vm/native.h"
#include "vm/operations.h"

namespace baton::stdlib {

// What a function does with a list; a value that is no table must have the metamethods for it.
enum ListUse : unsigned { kReads = 1, kWrites = 2, kMeasures = 4 };

// Raises: "table expected, got ..." if argument i can not be used so.
void check_list(NativeCall& call, int i, unsigned uses);

// check_list and the length of argument i, with __len. Raises: as check_list, "object length is not an integer".
std::int64_t list_length(NativeCall& call, int i, unsigned uses);

inline bool is_plain(const Value& v) noexcept { return v.is_table() && v.table()->metatable == nullptr; }

// list[i], with metamethods.
inline Value list_get(ThreadState& thread, const Value& list, std::int64_t i) {
  if (BATON_LIKELY(is_plain(list))) return *table::get_integer(list.table(), i);
  return vm::index_integer(thread, list, i);
}

// t[i] = v where the table may have to grow. Raises: kMemory, kTableOverflow, kTableFrozen.
void list_add(ThreadState& thread, Table* t, std::int64_t i, const Value& v);

// list[i] = v, with metamethods.
inline void list_set(ThreadState& thread, const Value& list, std::int64_t i, const Value& v) {
  if (BATON_LIKELY(is_plain(list))) {
    Table* t = list.table();
    if (static_cast<std::uint64_t>(i) - 1 < t->array_size && (t->mode & kTableFrozen) == 0) {
      t->array[i - 1] = v;
      return thread.heap().barrier_back(t, v);
    }
    return list_add(thread, t, i, v);
  }
  vm::set_index_integer(thread, list, i, v);
}

// Whether the values first..last (1-based) may be read and written directly in the table's array part.
inline bool in_array(const Value& list, std::int64_t first, std::int64_t last) noexcept {
  return is_plain(list) && first >= 1 && last <= static_cast<std::int64_t>(list.table()->array_size) &&
         (list.table()->mode & kTableFrozen) == 0;
}

// Must follow direct stores into the slots first..last (1-based) of the array part.
inline void array_written(Heap& heap, Table* t, std::int64_t first, std::int64_t last) noexcept {
  for (; first <= last && BATON_UNLIKELY(t->is_black()); ++first) heap.barrier_back(t, t->array[first - 1]);
}

// Slots of array parts hold nothing behind the tag, so whole slots may be moved.
inline void move_slots(Value* to, const Value* from, std::size_t count) noexcept {
  std::memmove(static_cast<void*>(to), static_cast<const void*>(from), count * sizeof(Value));
}

// table.sort (table_sort.cpp).
int table_sort(NativeCall& call);

}  // namespace baton::stdlib
