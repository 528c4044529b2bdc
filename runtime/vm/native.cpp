// What natives ask for: checked arguments, results, errors, registration.
//
// Wording is that of PUC Lua's auxiliary library, because scripts match it. The name in "bad argument
// #1 to 'insert'" is not the native's own: it is how the caller got hold of it (a field, a local, a
// method), then the name under which a loaded module holds it, then "?". In a method call the object
// is argument 0 for the user, so numbers shift by one and a bad object is "bad self".
#include "vm/native.h"

#include <cstdio>
#include <cstring>

#include "value/root.h"
#include "vm/call.h"
#include "vm/operations.h"
#include "vm/traceback.h"

namespace baton {
namespace {

// printf into a std::string. Raises: std::bad_alloc.
std::string format_text(const char* format, std::va_list arguments) {
  char small[256];
  std::va_list again;
  va_copy(again, arguments);
  const int size = std::vsnprintf(small, sizeof small, format, arguments);
  std::string text;
  if (size >= 0 && static_cast<std::size_t>(size) < sizeof small) {
    text.assign(small, static_cast<std::size_t>(size));
  } else if (size >= 0) {
    text.resize(static_cast<std::size_t>(size) + 1);
    std::vsnprintf(text.data(), text.size(), format, again);
    text.pop_back();
  }
  va_end(again);
  return text;
}

// `message` with the position of the native's caller.
Value with_position(ThreadState& thread, std::string_view message) {
  std::string text = vm::where(thread, 1);
  text.append(message);
  return Value::of(string::make(thread.heap(), text));
}

// What a type error says it got: any value's __name counts, and light userdata is told apart.
std::string argument_type_name(ThreadState& thread, const Value& v) {
  const Value& name = vm::metamethod(thread.shared, v, Metamethod::kName);
  if (name.is_string()) return std::string(name.string()->view());
  return v.tag == Tag::kLightUserdata ? "light userdata" : base_type_name(v);
}

// The values of errors are made by functions of their own, because each frame that still has something to destroy when an
// exception is thrown makes the unwinder start anew: "bad argument" took 10 us that way.
__attribute__((noinline)) Value formatted_error(ThreadState& thread, const char* format, std::va_list arguments) {
  return with_position(thread, format_text(format, arguments));
}

__attribute__((noinline)) Value argument_message(ThreadState& thread, int i, std::string_view message) {
  const Coroutine* co = thread.current;
  const vm::CallName called = vm::call_name(co, co->frame);
  std::string name = called.name;
  std::string text;
  if (std::strcmp(called.kind, "method") == 0 && --i == 0) {
    text.append("calling '").append(name).append("' on bad self (").append(message).append(")");
    return with_position(thread, text);
  }
  if (called.kind[0] == '\0') name = vm::loaded_name(thread, co->frame->base[-1]);
  if (name.empty() && called.kind[0] == '\0') name = "?";
  text.append("bad argument #").append(std::to_string(i)).append(" to '").append(name).append("' (").append(message).append(")");
  return with_position(thread, text);
}

// `got` is null where there is no argument.
__attribute__((noinline)) Value type_message(ThreadState& thread, int i, const char* expected, const Value* got) {
  std::string text = expected;
  text.append(" expected, got ").append(got == nullptr ? "no value" : argument_type_name(thread, *got));
  return argument_message(thread, i, text);
}

}  // namespace

// -----------------------------------------------------------------------------------------------------
// The window

void NativeCall::set_size(int n) {
  const int now = size();
  if (n > now) reserve(n - now);
  Value* end = base() + n;
  for (Value* slot = coroutine_->top; slot < end; ++slot) slot->set_nil();
  coroutine_->top = end;
}

void NativeCall::push_beyond(const Value& v) {
  if (coroutine_->stack_limit - coroutine_->top >= 1) return vm::push(thread_, v);
  const Root<Value> kept(heap(), v);
  reserve(1);
  vm::push(thread_, kept.value());
}

void NativeCall::push_string(std::string_view bytes) { push(Value::of(make_string(bytes))); }

void NativeCall::reserve(int slots) {
  vm::repeat_at_cap(thread_, [&] { coroutine::check_stack(heap(), coroutine_, static_cast<std::uint32_t>(slots)); });
}

// -----------------------------------------------------------------------------------------------------
// Failures of the environment

int NativeCall::failure(int error_number, std::string_view what) {
  char buffer[256];
  std::string message(what);
  if (!what.empty()) message += ": ";
  message += strerror_r(error_number, buffer, sizeof buffer);
  push(Value());
  push_string(message);
  push(Value::from(std::int64_t{error_number}));
  return 3;
}

int NativeCall::failure_named(int error_number, std::string_view what) {
  char buffer[256];
  const char* known = strerrorname_np(error_number);
  const std::string name = known != nullptr ? known : "E" + std::to_string(error_number);
  std::string description = strerror_r(error_number, buffer, sizeof buffer);
  // Lower case as in the rest of our messages; an acronym ("RPC ...") stays as it is.
  const auto is_between = [&](char c, char first, char last) { return c >= first && c <= last; };
  if (is_between(description[0], 'A', 'Z') && is_between(description[1], 'a', 'z')) description[0] |= 0x20;
  std::string message = name + ": " + description;
  if (!what.empty()) message.append(": ").append(what);
  push(Value());
  push_string(message);
  push_string(name);
  return 3;
}

// -----------------------------------------------------------------------------------------------------
// Argument checks

void NativeCall::check_any(int i) {
  if (i > count_) argument_error(i, "value expected");
}

std::int64_t NativeCall::convert_integer(int i) {
  const Value v = arg(i);
  std::int64_t result;
  if (vm::to_integer(v, result)) return result;
  Value number;
  if (vm::to_number(v, number)) argument_error(i, "number has no integer representation");
  type_error(i, "number");
}

double NativeCall::convert_number(int i) {
  const Value v = check_numeric(i);
  return v.is_float() ? v.number : static_cast<double>(v.integer);
}

Value NativeCall::check_numeric(int i) {
  Value number;
  if (!vm::to_number(arg(i), number)) type_error(i, "number");
  return number;
}

String* NativeCall::convert_string(int i) {
  const Value v = arg(i);
  if (!v.is_number()) type_error(i, "string");
  slot(i) = Value::of(vm::number_to_string(heap(), v));
  return slot(i).string();
}

std::string_view NativeCall::optional_text(int i, std::string_view otherwise) {
  return none_or_nil(i) ? otherwise : check_text(i);
}

Table* NativeCall::check_table(int i) {
  const Value v = arg(i);
  if (!v.is_table()) type_error(i, "table");
  return v.table();
}

Value NativeCall::check_function(int i) {
  const Value v = arg(i);
  if (!v.is_function()) type_error(i, "function");
  return v;
}

void* NativeCall::check_userdata(int i, const char* class_name) {
  void* block = test_userdata(i, class_name);
  if (block == nullptr) type_error(i, class_name);
  return block;
}

void* NativeCall::test_userdata(int i, const char* class_name) noexcept {
  const Value v = arg(i);
  if (!v.is_userdata() || v.userdata()->metatable == nullptr) return nullptr;
  const SharedState::KnownClass& known = shared().known_class(class_name);
  if (BATON_LIKELY(known.name == class_name)) {
    return known.metatable == v.userdata()->metatable ? v.userdata()->block() : nullptr;
  }
  try {
    const Value wanted = native::get_field(thread_, shared().registry, class_name);
    return wanted.is_table() && wanted.table() == v.userdata()->metatable ? v.userdata()->block() : nullptr;
  } catch (const ScriptError&) {
    return nullptr;  // no memory to intern a name that nothing is registered under
  }
}

String* NativeCall::make_long_string(std::string_view bytes) {
  vm::make_room(thread_, bytes.size());
  String* result = string::make_uninitialised(heap(), bytes.size());
  push(Value::of(result));
  vm::copy_bytes(thread_, result->mutable_data(), bytes.data(), bytes.size(), vm::SafepointKind::kReturn);
  pop();
  return result;
}

int NativeCall::check_option(int i, const char* otherwise, const char* const* names) {
  const std::string_view name = otherwise != nullptr ? optional_text(i, otherwise) : check_text(i);
  for (int n = 0; names[n] != nullptr; ++n) {
    if (name == names[n]) return n;
  }
  throw ScriptError(argument_message(thread_, i, "invalid option '" + std::string(name) + "'"));
}

// -----------------------------------------------------------------------------------------------------
// Raising

void NativeCall::raise(const Value& error) { throw ScriptError(error); }

void NativeCall::error(const char* format, ...) {
  std::va_list arguments;
  va_start(arguments, format);
  const Value error = formatted_error(thread_, format, arguments);
  va_end(arguments);
  throw ScriptError(error);
}

void NativeCall::argument_error(int i, const char* message) { throw ScriptError(argument_message(thread_, i, message)); }

void NativeCall::type_error(int i, const char* expected) {
  throw ScriptError(type_message(thread_, i, expected, i > count_ ? nullptr : &base()[i - 1]));
}

// -----------------------------------------------------------------------------------------------------
// Registration

namespace native {

void add_functions(ThreadState& thread, Table* target, const NativeInfo* list) {
  for (; list->name != nullptr; ++list) {
    set_field(thread, target, list->name, list->function != nullptr ? make(thread, list) : Value::boolean(false));
  }
}

void set_field(ThreadState& thread, Table* t, std::string_view name, const Value& v) {
  table::set_string(thread.heap(), t, string::make(thread.heap(), name), v);
}

Value get_field(ThreadState& thread, Table* t, std::string_view name) {
  return *table::get_string(t, string::make(thread.heap(), name));
}

Table* class_metatable(ThreadState& thread, const char* class_name, bool* created) {
  SharedState::KnownClass& known = thread.shared.known_class(class_name);
  if (BATON_LIKELY(known.name == class_name)) {
    if (created != nullptr) *created = false;
    return known.metatable;
  }
  const Value existing = get_field(thread, thread.shared.registry, class_name);
  if (created != nullptr) *created = !existing.is_table();
  if (existing.is_table()) {
    known = {class_name, existing.table()};
    return existing.table();
  }
  Table* metatable = table::make(thread.heap());
  set_field(thread, metatable, "__name", Value::of(string::make(thread.heap(), class_name)));
  set_field(thread, thread.shared.registry, class_name, Value::of(metatable));
  return metatable;
}

Table* class_with_methods(ThreadState& thread, const char* class_name, const NativeInfo* methods,
                          const NativeInfo* metamethods) {
  bool created = false;
  Table* metatable = class_metatable(thread, class_name, &created);
  if (!created) return metatable;
  const Value list = Value::of(table::make(thread.heap()));
  set_field(thread, metatable, "__index", list);
  add_functions(thread, list.table(), methods);
  for (const NativeInfo* one = metamethods; one != nullptr && one->name != nullptr; ++one) {
    const bool finds_methods = std::string_view(one->name) == "__index";
    const Value function = make(thread, one, finds_methods ? 1 : 0);
    if (finds_methods) {
      function.native()->upvalues()[0] = list;
      function.native()->intrinsic = Intrinsic::kFindMethod;
    }
    set_field(thread, metatable, one->name, function);
  }
  return metatable;
}

Value make(ThreadState& thread, const NativeInfo* info, int upvalue_count) {
  return Value::of(closure::make_native(thread.heap(), info, upvalue_count));
}

String* format(ThreadState& thread, const char* format, ...) {
  std::va_list arguments;
  va_start(arguments, format);
  const std::string text = format_text(format, arguments);
  va_end(arguments);
  return string::make(thread.heap(), text);
}

}  // namespace native
}  // namespace baton
