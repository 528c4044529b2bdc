// Equality, order and length on any values (manual 3.4.4, 3.4.7).
#include "base/number.h"
#include "value/string.h"
#include "value/table.h"
#include "value/userdata.h"
#include "vm/call.h"
#include "vm/operations.h"
#include "vm/traceback.h"

namespace baton::vm {
namespace {

// Calls a metamethod on two operands. Takes copies: the originals may stand on the stack.
Value call_metamethod(ThreadState& thread, Value function, Value a, Value b) {
  push(thread, function);
  push(thread, a);
  push(thread, b);
  call(thread, 2, 1);
  return *--thread.current->top;
}

bool numbers_less(const Value& a, const Value& b) noexcept {
  if (a.is_integer()) return b.is_integer() ? a.integer < b.integer : number::less(a.integer, b.number);
  return b.is_float() ? a.number < b.number : number::less(a.number, b.integer);
}

bool numbers_less_equal(const Value& a, const Value& b) noexcept {
  if (a.is_integer()) return b.is_integer() ? a.integer <= b.integer : number::less_equal(a.integer, b.number);
  return b.is_float() ? a.number <= b.number : number::less_equal(a.number, b.integer);
}

bool order_by_metamethod(ThreadState& thread, const Value& a, const Value& b, Metamethod event) {
  Value function = metamethod(thread.shared, a, event);
  if (function.is_nil()) function = metamethod(thread.shared, b, event);
  if (function.is_nil()) raise_order(thread, a, b);
  return call_metamethod(thread, function, a, b).is_truthy();
}

}  // namespace

bool equal(ThreadState& thread, const Value& a, const Value& b) {
  if (a.tag != b.tag || !(a.is_table() || a.is_userdata())) return raw_equal(a, b);
  if (a.object == b.object) return true;
  Value function = metamethod(thread.shared, a, Metamethod::kEqual);
  if (function.is_nil()) function = metamethod(thread.shared, b, Metamethod::kEqual);
  return !function.is_nil() && call_metamethod(thread, function, a, b).is_truthy();
}

bool less(ThreadState& thread, const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) return numbers_less(a, b);
  if (a.is_string() && b.is_string()) return string::compare(a.string(), b.string()) < 0;
  return order_by_metamethod(thread, a, b, Metamethod::kLess);
}

bool less_equal(ThreadState& thread, const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) return numbers_less_equal(a, b);
  if (a.is_string() && b.is_string()) return string::compare(a.string(), b.string()) <= 0;
  return order_by_metamethod(thread, a, b, Metamethod::kLessEqual);
}

Value length(ThreadState& thread, const Value& v) {
  if (v.is_string()) return Value::from(static_cast<std::int64_t>(v.string()->length));
  const Value& function = metamethod(thread.shared, v, Metamethod::kLength);
  if (!function.is_nil()) return call_metamethod(thread, function, v, v);
  if (!v.is_table()) raise_type(thread, v, "get length of");
  return Value::from(static_cast<std::int64_t>(table::length(v.table())));
}

std::int64_t length_integer(ThreadState& thread, const Value& v) {
  std::int64_t result;
  if (to_integer(length(thread, v), result)) return result;
  // Only natives ask; the message has their caller's position.
  const std::string message = where(thread, 1) + "object length is not an integer";
  raise_value(thread, Value::of(string::make(thread.heap(), message)));
}

}  // namespace baton::vm
