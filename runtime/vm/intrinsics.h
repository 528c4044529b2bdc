// What the handlers of library functions (handlers/library.inc) do to tables and strings, where nothing can go wrong.
//
// Each function either does exactly what the native of that name does, or changes nothing and says so; then the native runs.
// None calls script, and none reaches a safepoint, so no frame is needed.
//
// Owner: vm; included by the interpreter only. Threading: the running native thread.
#pragma once

#include "value/closure.h"
#include "value/heap.h"
#include "value/string.h"
#include "value/table.h"
#include "vm/shared_state.h"

namespace baton::vm::intrinsics {

// Whether `length_hint` is the border that `#` gives, not zero, with the element before it in the array part: a list whose
// end was looked at, appended to or removed from last. Raises: nothing.
BATON_ALWAYS_INLINE bool knows_border(const Table* t) noexcept {
  const std::uint32_t hint = t->length_hint;
  return t->metatable == nullptr && hint - 1 < t->array_size && !t->array[hint - 1].is_nil() &&
         (hint < t->array_size ? t->array[hint].is_nil() : t->nodes == &table::kEmptyNode);
}

// The border of a list that was appended to last or whose end is known; 0: not found here. Raises: nothing.
BATON_ALWAYS_INLINE std::uint32_t find_border(Table* t) noexcept {
  const std::uint32_t hint = t->length_hint;
  if (hint < t->array_size && !t->array[hint].is_nil() && t->metatable == nullptr) {
    const std::uint32_t border = hint + 1;
    const bool ends = border < t->array_size ? t->array[border].is_nil() : t->nodes == &table::kEmptyNode;
    if (BATON_LIKELY(ends)) return t->length_hint = border;
    return 0;
  }
  return knows_border(t) ? hint : 0;
}

// t[#t + 1] = value, if the array part has room for it. Raises: nothing.
BATON_ALWAYS_INLINE bool append(Table* t, const Value& value) noexcept {
  if (BATON_UNLIKELY(!knows_border(t) || t->length_hint == t->array_size || value.is_nil())) return false;
  if (BATON_UNLIKELY((t->mark & (kMarkBlack | kMarkFrozen)) != 0 && ((t->mark & kMarkFrozen) != 0 || value.is_heap()))) return false;
  t->array[t->length_hint++] = value;
  return true;
}

// The last element of a list, removed and stored to `result`. Raises: nothing.
BATON_ALWAYS_INLINE bool remove_last(Table* t, Value* result) noexcept {
  if (BATON_UNLIKELY(!knows_border(t) || (t->mark & kMarkFrozen) != 0)) return false;
  Value& last = t->array[--t->length_hint];
  *result = last;
  last.set_nil();
  return true;
}

// Gives a table without a metatable one without finalizer. Raises: nothing.
BATON_ALWAYS_INLINE bool set_first_metatable(Table* t, Table* metatable) noexcept {
  constexpr unsigned kNoFinalizer = 1u << static_cast<int>(Metamethod::kFinalize);  // known to be absent
  if (BATON_UNLIKELY(t->metatable != nullptr || (t->mark & (kMarkBlack | kMarkFrozen)) != 0 || (metatable->flags & kNoFinalizer) == 0)) return false;
  t->metatable = metatable;
  return true;
}

// math.max and math.min of two numbers of one kind: whether the second is the result; false in `*same_kind`: not done here.
BATON_ALWAYS_INLINE bool less_of_kind(const Value& a, const Value& b, bool* same_kind) noexcept {
  *same_kind = a.tag == b.tag && a.is_number();
  return a.is_integer() ? a.integer < b.integer : a.number < b.number;
}

// The bytes from `first` to `last`, as string.sub counts them, of a string with `length` bytes: where they begin, and their
// number in `*count`, which is below 1 if there are none. Raises: nothing.
BATON_ALWAYS_INLINE std::int64_t substring_range(std::int64_t length, std::int64_t first, std::int64_t last, std::int64_t* count) noexcept {
  if (first <= 0) first = first == 0 || first < -length ? 1 : first + length + 1;
  if (last < 0) last = last < -length ? 0 : last + length + 1;
  else if (last > length) last = length;
  *count = first > last ? 0 : last - first + 1;
  return first - 1;
}

// s:sub(first, last) where it is no long string; nil: not done here. `bytes` keeps strings of one byte. Raises: kMemory.
BATON_ALWAYS_INLINE Value substring(Heap& heap, const Table* bytes, String* s, std::int64_t first, std::int64_t last) {
  std::int64_t count;
  const std::int64_t offset = substring_range(static_cast<std::int64_t>(s->length), first, last, &count);
  if (BATON_UNLIKELY(count < 1 || count > static_cast<std::int64_t>(kShortStringMax))) return Value();
  const char* text = s->data() + offset;
  if (count == 1) {
    const auto byte = static_cast<unsigned char>(*text);
    return byte < bytes->array_size ? bytes->array[byte] : Value();
  }
  if (static_cast<std::size_t>(count) == s->length) return Value::of(s);
  return Value::of(string::make(heap, {text, static_cast<std::size_t>(count)}));
}

}  // namespace baton::vm::intrinsics
