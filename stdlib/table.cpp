// The library `table` (manual 6.6), except sort.
//
// Every function works on any value with the needed metamethods; a plain table (no metatable) whose elements lie in the
// array part is handled by moving slots. insert and remove of plain tables are atomic; concat, move and unpack poll, so
// other threads may run in between when lists are long.
#include <limits>

#include "all_modules.h"
#include "base/number.h"
#include "table_library.h"
#include "value/root.h"
#include "vm/library_intrinsics.h"
#include "vm/safepoint.h"
#include "vm/string_builder.h"

namespace baton::stdlib {

namespace {

constexpr std::int64_t kMaxInteger = std::numeric_limits<std::int64_t>::max();
constexpr std::uint64_t kPollElements = 1024;
constexpr std::int64_t kMovedAtOnce = 1 << 16;

// Polls at every kPollElements-th call.
class Poller {
 public:
  explicit Poller(ThreadState& thread) noexcept : thread_(thread) {}
  void count() { if (BATON_UNLIKELY(++count_ % kPollElements == 0)) vm::poll(thread_); }

 private:
  ThreadState& thread_;
  std::uint64_t count_ = 0;
};

bool has_metamethods(const SharedState& shared, const Value& v, unsigned uses) noexcept {
  const auto has = [&](Metamethod which) { return !vm::metamethod(shared, v, which).is_nil(); };
  return (!(uses & kReads) || has(Metamethod::kIndex)) && (!(uses & kWrites) || has(Metamethod::kNewIndex)) &&
         (!(uses & kMeasures) || has(Metamethod::kLength));
}

}  // namespace

void check_list(NativeCall& call, int i, unsigned uses) {
  const Value v = call.arg(i);
  if (v.is_table()) return;
  if (vm::metatable_of(call.shared(), v) == nullptr || !has_metamethods(call.shared(), v, uses)) call.check_table(i);
}

std::int64_t list_length(NativeCall& call, int i, unsigned uses) {
  const Value v = call.arg(i);
  if (BATON_LIKELY(is_plain(v))) return static_cast<std::int64_t>(table::length(v.table()));
  check_list(call, i, uses | kMeasures);
  return vm::length_integer(call.thread(), v);
}

void list_add(ThreadState& thread, Table* t, std::int64_t i, const Value& v) {
  const Root<Value> kept(thread.heap(), v);
  vm::repeat_at_cap(thread, [&] { table::set_integer(thread.heap(), t, i, v); });
}

namespace {

// --- insert and remove -----------------------------------------------------------------------------------------------

// list[position] = the last argument, after list[position .. end - 1] moved up by one.
void insert_inside(NativeCall& call, const Value& list, std::int64_t position, std::int64_t end) {
  ThreadState& thread = call.thread();
  if (in_array(list, position, end)) {
    Table* t = list.table();
    move_slots(t->array + position, t->array + position - 1, static_cast<std::size_t>(end - position));
    t->array[position - 1] = call.arg(3);
    return array_written(call.heap(), t, position, end);
  }
  Poller poller(thread);
  for (std::int64_t i = end; i > position; --i) {
    list_set(thread, list, i, list_get(thread, list, i - 1));
    if (!is_plain(list)) poller.count();
  }
  list_set(thread, list, position, call.arg(3));
}

int table_insert(NativeCall& call) {
  const Value list = call.arg(1);
  const std::int64_t end = number::add(list_length(call, 1, kReads | kWrites), 1);  // the first free position
  if (call.count() == 2) {
    list_set(call.thread(), list, end, call.arg(2));
    return 0;
  }
  if (call.count() != 3) call.error("wrong number of arguments to 'insert'");
  const std::int64_t position = call.check_integer(2);
  if (static_cast<std::uint64_t>(position) - 1 >= static_cast<std::uint64_t>(end)) {
    call.argument_error(2, "position out of bounds");
  }
  insert_inside(call, list, position, end);
  return 0;
}

int table_remove(NativeCall& call) {
  const Value list = call.arg(1);
  ThreadState& thread = call.thread();
  const std::int64_t size = list_length(call, 1, kReads | kWrites);
  if (call.count() == 1 && in_array(list, size, size)) {  // the last of a plain list
    Value& last = list.table()->array[size - 1];
    const Value removed = last;
    last.set_nil();
    list.table()->length_hint = static_cast<std::uint32_t>(size - 1);
    return call.result(removed);
  }
  std::int64_t position = call.optional_integer(2, size);
  if (position != size && static_cast<std::uint64_t>(position) - 1 > static_cast<std::uint64_t>(size)) {
    call.argument_error(1, "position out of bounds");
  }
  call.push(list_get(thread, list, position));  // the result, a root from here on
  if (position < size && in_array(list, position, size)) {
    Table* t = list.table();
    move_slots(t->array + position - 1, t->array + position, static_cast<std::size_t>(size - position));
    t->array[size - 1].set_nil();
    array_written(call.heap(), t, position, size);
    return 1;
  }
  Poller poller(thread);
  for (; position < size; ++position) {
    list_set(thread, list, position, list_get(thread, list, position + 1));
    if (!is_plain(list)) poller.count();
  }
  list_set(thread, list, position, Value());
  return 1;
}

// --- a brief form ----------------------------------------------------------------------------------------------------

int brief_unpack(SharedState&, Value* function, int arguments) {
  if (arguments < 1 || arguments > 3 || !is_plain(function[1])) return kNotBrief;
  for (int i = 2; i <= arguments; ++i) {
    if (!function[i].is_integer()) return kNotBrief;
  }
  Table* t = function[1].table();
  const std::uint64_t first = arguments >= 2 ? static_cast<std::uint64_t>(function[2].integer) : 1;
  const std::uint64_t last = arguments == 3 ? static_cast<std::uint64_t>(function[3].integer) : table::length(t);
  if (first - 1 >= last || last > t->array_size || last - first >= kMostBriefResults) return kNotBrief;
  const Value* from = t->array + first - 1;
  const int count = static_cast<int>(last - first + 1);
  for (int i = 0; i < count; ++i) function[i] = from[i];
  return count;
}

// --- move ------------------------------------------------------------------------------------------------------------

// Makes room in an empty list for what comes from an array part.
void make_room_to_move(NativeCall& call, const Value& from, std::int64_t first, std::int64_t count, const Value& to, std::int64_t target) {
  if (!in_array(from, first, first + (count - 1)) || !is_plain(to)) return;
  Table* destination = to.table();
  const bool is_empty = destination->array_size == 0 && destination->nodes == &table::kEmptyNode;
  if (!is_empty || target != 1 || (destination->mode & kTableFrozen) != 0) return;
  vm::repeat_at_cap(call.thread(), [&] { table::resize(call.heap(), destination, static_cast<std::uint32_t>(count), 0); });
}

// Copies within array parts if both ranges lie there.
bool move_directly(NativeCall& call, const Value& from, std::int64_t first, std::int64_t count, const Value& to, std::int64_t target) {
  if (!in_array(from, first, first + (count - 1)) || !in_array(to, target, target + (count - 1))) return false;
  Table* destination = to.table();
  move_slots(destination->array + target - 1, from.table()->array + first - 1, static_cast<std::size_t>(count));
  array_written(call.heap(), destination, target, target + (count - 1));
  return true;
}

void move_one_by_one(ThreadState& thread, const Value& from, std::int64_t first, std::int64_t count, const Value& to,
                     std::int64_t target, bool upwards) {
  Poller poller(thread);
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t offset = upwards ? i : count - 1 - i;
    list_set(thread, to, target + offset, list_get(thread, from, first + offset));
    poller.count();
  }
}

int table_move(NativeCall& call) {
  const std::int64_t first = call.check_integer(2);
  const std::int64_t last = call.check_integer(3);
  const std::int64_t target = call.check_integer(4);
  const int to_argument = call.none_or_nil(5) ? 1 : 5;
  check_list(call, 1, kReads);
  check_list(call, to_argument, kWrites);
  const Value from = call.arg(1), to = call.arg(to_argument);
  if (last < first) return call.result(to);
  if (first <= 0 && last >= number::add(kMaxInteger, first)) call.argument_error(3, "too many elements to move");
  const std::int64_t count = last - first + 1;
  if (target > kMaxInteger - count + 1) call.argument_error(4, "destination wrap around");
  make_room_to_move(call, from, first, count, to, target);
  if (count <= kMovedAtOnce && move_directly(call, from, first, count, to, target)) return call.result(to);
  ThreadState& thread = call.thread();
  const bool upwards = target > last || target <= first || (to_argument != 1 && !vm::equal(thread, from, to));
  for (std::int64_t done = 0; done < count;) {  // in pieces: others may change both tables in between
    const std::int64_t piece = count - done < kMovedAtOnce ? count - done : kMovedAtOnce;
    const std::int64_t start = upwards ? done : count - done - piece;
    if (!move_directly(call, from, first + start, piece, to, target + start)) {
      move_one_by_one(thread, from, first + start, piece, to, target + start, upwards);
    }
    done += piece;
    vm::poll(thread);
  }
  return call.result(to);
}

// --- concat ----------------------------------------------------------------------------------------------------------

[[noreturn]] void fail_concat(NativeCall& call, const Value& v, std::int64_t i) {
  call.error("invalid value (%s) at index %lld in table for 'concat'", base_type_name(v), static_cast<long long>(i));
}

// Many strings in the array part become one long string without a detour: first their lengths, then their bytes.
// Returns: null if they are not all strings, too many for one go, or too short together.
String* concat_directly(NativeCall& call, const Value& list, std::string_view separator, std::int64_t first, std::int64_t last) {
  constexpr std::int64_t kMaxElements = 1 << 16;
  if (last - first >= kMaxElements || last <= first || !in_array(list, first, last)) return nullptr;
  const Value* const from = list.table()->array + first - 1;
  const Value* const end = list.table()->array + last;
  std::size_t total = separator.size() * static_cast<std::size_t>(last - first);
  for (const Value* v = from; v < end; ++v) {
    if (!v->is_string()) return nullptr;
    total += v->string()->length;
  }
  if (total < 512 || total > kPollElements * 4096) return nullptr;
  vm::make_room(call.thread(), total);
  String* result = string::make_uninitialised(call.heap(), total);
  char* to = result->mutable_data();
  for (const Value* v = from; v < end; ++v) {
    if (v != from && !separator.empty()) {
      std::memcpy(to, separator.data(), separator.size());
      to += separator.size();
    }
    const String* piece = v->string();
    std::memcpy(to, piece->data(), piece->length);
    to += piece->length;
  }
  return result;
}

void append_element(NativeCall& call, StringBuilder& result, const Value& list, std::int64_t i) {
  const Value v = list_get(call.thread(), list, i);
  if (BATON_LIKELY(v.is_string())) {
    call.push(v);  // only a metamethod may have it
    result.append(v.string()->view());
    call.pop();
    return;
  }
  if (!v.is_number()) fail_concat(call, v, i);
  char* to = result.reserve(number::kTextBytes);
  result.commit(v.is_integer() ? number::to_text(v.integer, to) : number::to_text(v.number, to));
}

int table_concat(NativeCall& call) {
  const Value list = call.arg(1);
  const std::int64_t length = list_length(call, 1, kReads);
  const std::string_view separator = call.optional_text(2, {});
  std::int64_t i = call.optional_integer(3, 1);
  const std::int64_t last = call.optional_integer(4, length);
  if (String* whole = concat_directly(call, list, separator, i, last)) return call.result(Value::of(whole));
  StringBuilder result(call.thread());
  Poller poller(call.thread());
  std::size_t polled_at = 0;
  for (; i < last; ++i) {
    append_element(call, result, list, i);
    result.append(separator);
    poller.count();
    if (BATON_LIKELY(result.size() - polled_at < vm::kPieceBytes)) continue;
    polled_at = result.size();
    vm::poll(call.thread());
  }
  if (i == last) append_element(call, result, list, i);
  return call.result(Value::of(result.finish()));
}

// --- pack and unpack -------------------------------------------------------------------------------------------------

int table_pack(NativeCall& call) {
  const auto count = static_cast<std::uint32_t>(call.count());
  Table* t = vm::repeat_at_cap(call.thread(), [&] { return table::make(call.heap(), count, 1); });
  for (std::uint32_t i = 0; i < count; ++i) t->array[i] = call.slot(static_cast<int>(i) + 1);
  t->length_hint = count;
  const Value result = Value::of(t);
  native::set_field(call.thread(), t, "n", Value::from(static_cast<std::int64_t>(count)));
  return call.result(result);
}

int table_unpack(NativeCall& call) {
  const Value list = call.arg(1);
  ThreadState& thread = call.thread();
  const std::int64_t first = call.optional_integer(2, 1);
  const std::int64_t last = call.none_or_nil(3) ? vm::length_integer(thread, list) : call.check_integer(3);
  if (first > last) return 0;
  Coroutine* co = call.coroutine();
  const std::uint64_t distance = static_cast<std::uint64_t>(last) - static_cast<std::uint64_t>(first);
  const std::uint64_t count = distance + 1;
  if (distance >= kMaxStackSlots || static_cast<std::uint64_t>(co->top - co->stack) + count >= kMaxStackSlots) {
    call.error("too many results to unpack");
  }
  call.reserve(static_cast<int>(count));
  if (is_plain(list) && first >= 1 && last <= static_cast<std::int64_t>(list.table()->array_size)) {
    const Value* from = list.table()->array + first - 1;
    for (std::uint64_t i = 0; i < count; ++i) co->top[i] = from[i];
    co->top += count;
    return static_cast<int>(count);
  }
  Poller poller(thread);
  for (std::uint64_t i = 0; i < count; ++i) {
    call.push(list_get(thread, list, first + static_cast<std::int64_t>(i)));
    poller.count();
  }
  return static_cast<int>(count);
}

const NativeInfo kFunctions[] = {
    {"insert", "table.insert(list: table, [position: integer,] value: any)",
     "Inserts the value at the position, moving up the elements from there on; at the end if no position is given.\n"
     "Raises: \"position out of bounds\" outside 1..#list+1, \"wrong number of arguments to 'insert'\"."
     R"lua(

local t = {1, 3}
table.insert(t, 2, 2)
table.insert(t, 4)
print(table.concat(t, " "))  --> 1 2 3 4)lua",
     table_insert, intrinsic_of(LibraryIntrinsic::kTableInsert)},
    {"remove", "table.remove(list: table, position?: integer) -> any",
     "Removes the element at the position (the last one by default), moving down those behind it, and returns it. The "
     "position may also be #list + 1, or #list if that is 0."
     R"lua(

local t = {"a", "b", "c"}
print(table.remove(t, 1), table.remove(t), #t)  --> a	c	1)lua",
     table_remove, intrinsic_of(LibraryIntrinsic::kTableRemove)},
    {"concat", "table.concat(list: table, separator?: string, i?: integer, j?: integer) -> string",
     "The strings and numbers list[i] .. list[j] (all by default) in one string with the separator between them. Another "
     "value is an error that names its index."
     R"lua(

print(table.concat({1, 2, "x"}, ", "))  --> 1, 2, x)lua",
     table_concat},
    {"move", "table.move(from: table, first: integer, last: integer, target: integer, to?: table) -> table",
     "Copies from[first..last] to to[target..], `from` itself by default; the ranges may overlap. Returns `to`."
     R"lua(

print(table.concat(table.move({1, 2, 3}, 2, 3, 1), " "))  --> 2 3 3)lua",
     table_move},
    {"sort", "table.sort(list: table, less?: function)",
     "Sorts the list in place so that no element is less than the one before it; less(a, b) replaces `<`. Equal elements may "
     "change places. A function that is no order may raise \"invalid order function for sorting\"."
     R"lua(

local t = {3, 1, 2}
table.sort(t, function(a, b) return a > b end)
print(table.concat(t, " "))  --> 3 2 1)lua",
     table_sort},
    {"pack", "table.pack(...: any) -> table",
     "A new table with the arguments as 1, 2, ... and their number as field n."
     R"lua(

print(table.pack("a", nil, "c").n)  --> 3)lua",
     table_pack},
    {"unpack", "table.unpack(list: table, i?: integer, j?: integer) -> any ...",
     "The values list[i], ..., list[j]; i is 1 and j is #list by default."
     R"lua(

print(table.unpack({1, 2, 3}, 2))  --> 2	3)lua",
     table_unpack, Intrinsic::kBrief,
     brief_unpack},
    {nullptr, nullptr, nullptr, nullptr},
};

}  // namespace

Table* open_table(ThreadState& thread) {
  Table* library = table::make(thread.heap(), 0, 8);
  native::add_functions(thread, library, kFunctions);
  return library;
}

}  // namespace baton::stdlib
