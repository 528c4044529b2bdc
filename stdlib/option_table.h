// Reading the one table of options that a function takes: `thread.spawn({name = "io"}, f)`.
//
// Invariant: an option that is not known raises, so a misspelt one is never ignored. Reads are raw.
// Owner: a local variable of a native; the table stays on the window. Threading: the running native thread.
#pragma once

#include <string>
#include <string_view>

#include "vm/native.h"

namespace baton::stdlib {

class OptionTable {
 public:
  // `known`: the names, ended by null. Integer keys are the caller's affair. Argument i nil or none: no options.
  // Raises: "table expected", "unknown option 'x'".
  OptionTable(NativeCall& call, int i, const char* const* known);

  // The option's value, or nil. Raises: kMemory.
  Value get(std::string_view name) const;
  // Typed reads; each raises "option 'x': string expected, got ...".
  String* text(const char* name) const;  // null if absent; numbers are no texts
  bool flag(const char* name) const;     // false if absent
  double number(const char* name, double otherwise) const;
  Table* table(const char* name) const;  // null if absent
  int argument() const noexcept { return argument_; }
  // Raises a mistake in the option: "bad argument #i to 'f' (option 'name': message)".
  [[noreturn]] void mistake(const char* name, const std::string& message) const;

 private:
  [[noreturn]] void wrong_type(const char* name, const char* expected, const Value& got) const;

  NativeCall& call_;
  int argument_;
  Table* options_ = nullptr;
};

}  // namespace baton::stdlib
