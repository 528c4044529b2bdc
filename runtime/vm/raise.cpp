// Error values and their wording.
//
// Two positions exist, as in PUC Lua. An operation that fails (raise_text and everything built on it)
// puts "chunk:line: " in front only if the running function is a script function: inside a native,
// say a comparison made by table.sort, there is no position to tell. A native that rejects something
// (native.cpp) tells its caller's position.
#include "value/string.h"
#include "vm/operations.h"
#include "vm/traceback.h"
#include "vm/variable_names.h"

namespace baton::vm {
namespace {

// Whether the message of an id is a native's own complaint, so that the caller's position goes in front.
bool is_native_complaint(ErrorId id) noexcept {
  return id == ErrorId::kResultTooLarge || id == ErrorId::kTableFrozen;
}

std::string position_of(ThreadState& thread, ErrorId id) {
  const CallFrame* frame = frame_at(thread.current, 0);
  if (frame == nullptr || id == ErrorId::kErrorInErrorHandling) return "";
  if (!frame->is_script() && is_native_complaint(id)) return where(thread, 1);
  return script_position(thread.current, frame);
}

Value wrong_type(ThreadState& thread, const Value& culprit, const char* action, const std::string& variable) {
  const std::string type = type_name(thread.shared, culprit);
  return error::text(thread, std::string("attempt to ") + action + " a " + type + " value" + variable);
}

}  // namespace

namespace error {

Value text(ThreadState& thread, std::string_view message) {
  std::string complete = script_position(thread.current, frame_at(thread.current, 0));
  complete.append(message);
  return Value::of(string::make(thread.heap(), complete));
}

Value type(ThreadState& thread, const Value& culprit, const char* action) {
  return wrong_type(thread, culprit, action, variable_description(thread, &culprit));
}

// The name comes from the call instruction where there is one: it knows methods, metamethods and iterators.
Value call(ThreadState& thread, const Value& culprit) {
  const CallName name = callee_name(thread.current, frame_at(thread.current, 0));
  if (name.kind[0] == '\0') return type(thread, culprit, "call");
  return wrong_type(thread, culprit, "call", std::string(" (") + name.kind + " '" + name.name + "')");
}

Value arithmetic(ThreadState& thread, Operator op, const Value& a, const Value& b) {
  const bool bitwise = (op >= Operator::kBitAnd && op <= Operator::kShiftRight) || op == Operator::kBitNot;
  if (bitwise && a.is_number() && b.is_number()) {
    std::int64_t ignored;
    const Value& culprit = to_integer_strict(a, ignored) ? b : a;
    return text(thread, "number" + variable_description(thread, &culprit) + " has no integer representation");
  }
  return type(thread, a.is_number() ? b : a, bitwise ? "perform bitwise operation on" : "perform arithmetic on");
}

Value order(ThreadState& thread, const Value& a, const Value& b) {
  const std::string left = type_name(thread.shared, a), right = type_name(thread.shared, b);
  if (left == right) return text(thread, "attempt to compare two " + left + " values");
  return text(thread, "attempt to compare " + left + " with " + right);
}

}  // namespace error

void raise_value(ThreadState&, const Value& error) { throw ScriptError(error); }

void raise_text(ThreadState& thread, std::string_view message) { throw ScriptError(error::text(thread, message)); }

void raise_type(ThreadState& thread, const Value& culprit, const char* action) {
  throw ScriptError(error::type(thread, culprit, action));
}

void raise_call(ThreadState& thread, const Value& culprit) { throw ScriptError(error::call(thread, culprit)); }

void raise_arithmetic(ThreadState& thread, Operator op, const Value& a, const Value& b) {
  throw ScriptError(error::arithmetic(thread, op, a, b));
}

void raise_order(ThreadState& thread, const Value& a, const Value& b) { throw ScriptError(error::order(thread, a, b)); }

void raise_concat(ThreadState& thread, const Value& a, const Value& b) {
  raise_type(thread, a.is_string() || a.is_number() ? b : a, "concatenate");
}

void raise_for(ThreadState& thread, const Value& culprit, const char* what) {
  const std::string type = type_name(thread.shared, culprit);
  raise_text(thread, std::string("bad 'for' ") + what + " (number expected, got " + type + ")");
}

Value error_value(ThreadState& thread, const ScriptError& error) noexcept {
  if (error.id == ErrorId::kValue) return error.value;
  const Value memory_error = Value::of(thread.shared.memory_error);
  if (error.id == ErrorId::kMemory) return memory_error;
  try {
    return Value::of(string::make(thread.heap(), position_of(thread, error.id) + error_text(error.id)));
  } catch (const ScriptError&) {
    return memory_error;
  } catch (const std::bad_alloc&) {
    return memory_error;
  }
}

}  // namespace baton::vm
