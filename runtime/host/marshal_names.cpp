#include "host/marshal_names.h"

#include <unistd.h>

#include <new>
#include <string>

#include "value/prototype.h"
#include "value/userdata.h"
#include "vm/native.h"

namespace baton::host::marshal {
namespace {

constexpr const char* kNamesKey = "_TRAVEL_NAMES";
constexpr std::string_view kStandard[] = {"_G", "package", "coroutine", "table", "io", "os", "string", "math", "utf8", "debug"};

bool is_standard(std::string_view module) noexcept {
  for (const std::string_view name : kStandard) {
    if (module == name) return true;
  }
  return false;
}

bool is_ours(std::string_view module) noexcept {
  return is_standard(module) || module == "baton" || module.substr(0, 6) == "baton.";
}

// Whether `require` could find the module's file: one that was put into package.loaded by hand exists only here.
bool has_file(ThreadState& thread, std::string_view module) {
  const Value package = native::get_field(thread, thread.shared.loaded, "package");
  if (!package.is_table()) return false;
  std::string file(module);
  for (char& c : file) {
    if (c == '.') c = '/';
  }
  for (const char* field : {"path", "cpath"}) {
    const Value path = native::get_field(thread, package.table(), field);
    if (!path.is_string()) continue;
    std::string_view rest = path.string()->view();
    while (!rest.empty()) {
      const std::string_view pattern = rest.substr(0, rest.find(';'));
      rest.remove_prefix(std::min(rest.size(), pattern.size() + 1));
      std::string candidate;
      for (const char c : pattern) {
        if (c == '?') candidate += file;
        else candidate += c;
      }
      if (access(candidate.c_str(), R_OK) == 0) return true;
    }
  }
  return false;
}

// Functions that a program adds to one of our libraries exist only here.
bool is_embedded(const Value& v) noexcept {
  if (!v.is_closure()) return true;
  const String* source = v.closure()->prototype->source;
  return source != nullptr && source->length > 0 && source->view()[0] == '=';
}

std::uint64_t fingerprint_of(const Table* loaded) noexcept {
  std::uint64_t position = 0, sum = 0;
  Value key, value;
  while (table::next_at(loaded, position, key, value)) sum = (sum ^ value.bits) * 0x9E3779B97F4A7C15u + key.bits;
  return sum;
}

}  // namespace

Names& Names::of(ThreadState& thread) {
  const Value known = native::get_field(thread, thread.shared.registry, kNamesKey);
  if (known.is_userdata()) return *static_cast<Names*>(known.userdata()->block());
  Userdata* made = userdata::make(thread.heap(), sizeof(Names));
  new (made->block()) Names();
  made->release = [](void* block) noexcept { static_cast<Names*>(block)->~Names(); };
  native::set_field(thread, thread.shared.registry, kNamesKey, Value::of(made));
  return *static_cast<Names*>(made->block());
}

void Names::refresh(ThreadState& thread) {
  const std::uint64_t now = fingerprint_of(thread.shared.loaded);
  if (now == fingerprint_) return;
  build(thread);
  fingerprint_ = now;
}

void Names::add_members(std::string_view module, const Table* globals, Table* members, bool is_ours) {
  const bool is_globals = members == globals;
  std::uint64_t position = 0;
  Value key, value;
  while (table::next_at(members, position, key, value)) {
    if (!key.is_string()) continue;
    const bool wanted = is_globals ? value.is_native() : value.is_function() || (value.is_table() && !is_ours);
    if (!wanted || (is_ours && !is_embedded(value))) continue;
    names_.emplace(value.object, Name{std::string(module), std::string(key.string()->view()), is_standard(module)});
  }
}

void Names::build(ThreadState& thread) {
  names_.clear();
  std::uint64_t position = 0;
  Value key, value;
  for (const bool ours_first : {true, false}) {
    position = 0;
    while (table::next_at(thread.shared.loaded, position, key, value)) {
      if (!key.is_string() || !value.is_heap()) continue;
      const std::string_view name = key.string()->view();
      const bool ours = is_ours(name);
      if (ours != ours_first || (!ours && !has_file(thread, name))) continue;
      if (value.is_table() || value.is_function()) {
        names_.emplace(value.object, Name{std::string(name), "", is_standard(name)});
      }
      if (value.is_table()) add_members(name, thread.shared.globals, value.table(), ours);
    }
  }
}

const Name* Names::find(ThreadState& thread, const Value& v) {
  const auto found = names_.find(v.object);
  if (found == names_.end()) return nullptr;
  const Name& name = found->second;
  const Value module = native::get_field(thread, thread.shared.loaded, name.module);
  if (name.member.empty()) return module.is_heap() && module.object == v.object ? &name : nullptr;
  if (!module.is_table()) return nullptr;
  const Value member = native::get_field(thread, module.table(), name.member);
  return member.is_heap() && member.object == v.object ? &name : nullptr;
}

}  // namespace baton::host::marshal
