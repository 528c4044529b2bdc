// Conversions between numbers and strings (manual 3.4.3), and what messages call a value.
#include <cstdio>

#include "base/number.h"
#include "value/string.h"
#include "value/table.h"
#include "vm/call.h"
#include "vm/operations.h"
#include "vm/traceback.h"

namespace baton::vm {
namespace {

// "table: 0x...": what identifies an object that has no text of its own.
String* identity_text(ThreadState& thread, const Value& v, std::string_view kind) {
  char address[32];
  const int size = std::snprintf(address, sizeof address, ": %p", v.pointer);
  std::string text(kind);
  text.append(address, static_cast<std::size_t>(size));
  return string::make(thread.heap(), text);
}

// The result of `__tostring`; a number passes as PUC Lua lets it pass.
String* checked_string(ThreadState& thread, const Value& result) {
  if (result.is_string()) return result.string();
  if (result.is_number()) return number_to_string(thread.heap(), result);
  raise_value(thread, Value::of(string::make(thread.heap(), where(thread, 1) + "'__tostring' must return a string")));
}

}  // namespace

bool to_number(const Value& v, Value& result) noexcept {
  if (v.is_number()) {
    result = v;
    return true;
  }
  if (!v.is_string()) return false;
  const number::Number n = number::from_text(v.string()->view());
  if (n.kind == number::Kind::kNone) return false;
  result = n.kind == number::Kind::kInteger ? Value::from(n.integer) : Value::from(n.number);
  return true;
}

bool to_integer_strict(const Value& v, std::int64_t& result) noexcept {
  if (v.is_integer()) {
    result = v.integer;
    return true;
  }
  return v.is_float() && number::to_integer(v.number, result);
}

bool to_integer(const Value& v, std::int64_t& result) noexcept {
  if (!v.is_string()) return to_integer_strict(v, result);
  return number::integer_value(number::from_text(v.string()->view()), result);
}

String* number_to_string(Heap& heap, const Value& v) {
  char text[number::kTextBytes];
  const std::size_t size = v.is_integer() ? number::to_text(v.integer, text) : number::to_text(v.number, text);
  return string::make(heap, {text, size});
}

String* to_string(ThreadState& thread, const Value& v) {
  if (v.is_string()) return v.string();
  const Value& convert = metamethod(thread.shared, v, Metamethod::kToString);
  if (!convert.is_nil()) {
    const Value function = convert, operand = v;
    push(thread, function);
    push(thread, operand);
    call(thread, 1, 1);
    return checked_string(thread, *--thread.current->top);
  }
  switch (base_type(v.tag)) {
    case BaseType::kNumber: return number_to_string(thread.heap(), v);
    case BaseType::kBoolean: return string::make(thread.heap(), v.is_truthy() ? "true" : "false");
    case BaseType::kNil: return string::make(thread.heap(), "nil");
    default: break;
  }
  const Value& name = metamethod(thread.shared, v, Metamethod::kName);
  return identity_text(thread, v, name.is_string() ? name.string()->view() : base_type_name(v));
}

std::string type_name(const SharedState& shared, const Value& v) {
  if (v.is_table() || v.is_userdata()) {
    const Value& name = metamethod(shared, v, Metamethod::kName);
    if (name.is_string()) return std::string(name.string()->view());
  }
  return base_type_name(v);
}

}  // namespace baton::vm
