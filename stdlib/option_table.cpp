#include "option_table.h"

#include "vm/operations.h"

namespace baton::stdlib {

OptionTable::OptionTable(NativeCall& call, int i, const char* const* known) : call_(call), argument_(i) {
  if (call.none_or_nil(i)) return;
  options_ = call.check_table(i);
  std::uint64_t position = 0;
  Value key, value;
  while (table::next_at(options_, position, key, value)) {
    if (!key.is_string()) continue;
    const char* const* name = known;
    while (*name != nullptr && key.string()->view() != *name) ++name;
    if (*name == nullptr) call.argument_error(i, ("unknown option '" + std::string(key.string()->view()) + "'").c_str());
  }
}

Value OptionTable::get(std::string_view name) const {
  return options_ != nullptr ? native::get_field(call_.thread(), options_, name) : Value();
}

String* OptionTable::text(const char* name) const {
  const Value v = get(name);
  if (v.is_nil()) return nullptr;
  if (!v.is_string()) wrong_type(name, "string", v);
  return v.string();
}

bool OptionTable::flag(const char* name) const {
  const Value v = get(name);
  if (!v.is_nil() && !v.is_boolean()) wrong_type(name, "boolean", v);
  return v.is_truthy();
}

double OptionTable::number(const char* name, double otherwise) const {
  const Value v = get(name);
  if (v.is_nil()) return otherwise;
  if (!v.is_number()) wrong_type(name, "number", v);
  return v.is_float() ? v.number : static_cast<double>(v.integer);
}

Table* OptionTable::table(const char* name) const {
  const Value v = get(name);
  if (v.is_nil()) return nullptr;
  if (!v.is_table()) wrong_type(name, "table", v);
  return v.table();
}

void OptionTable::mistake(const char* name, const std::string& message) const {
  call_.argument_error(argument_, ("option '" + std::string(name) + "': " + message).c_str());
}

void OptionTable::wrong_type(const char* name, const char* expected, const Value& got) const {
  mistake(name, std::string(expected) + " expected, got " + vm::type_name(call_.shared(), got));
}

}  // namespace baton::stdlib
