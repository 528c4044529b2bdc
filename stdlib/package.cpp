// Modules (manual 6.3): require, the searchers, paths. Shared objects are in package_native.cpp.
//
// The searchers, in order: package.preload; script files on package.path; shared objects on package.cpath, by the module's
// name and by its root; and last our own modules under their short names: `require "thread"` finds "baton.thread" only when
// nothing else is called thread, and says nothing when it finds nothing.
#include "package.h"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "all_modules.h"
#include "host/load.h"
#include "host/version.h"
#include "package_lock.h"
#include "package_search.h"
#include "vm/call.h"
#include "vm/native.h"
#include "vm/operations.h"

namespace baton::stdlib {

// --- paths -----------------------------------------------------------------------------------------------------------------

namespace {

constexpr const char* kDefaultPath =
    "/usr/local/share/lua/5.4/?.script;/usr/local/share/lua/5.4/?.lua;/usr/local/share/lua/5.4/?/init.lua;"
    "/usr/local/lib/lua/5.4/?.lua;/usr/local/lib/lua/5.4/?/init.lua;"
    "/usr/share/lua/5.4/?.lua;/usr/share/lua/5.4/?/init.lua;"
    "./?.script;./?/init.script;./?.lua;./?/init.lua";
constexpr const char* kDefaultNativePath =
    "/usr/local/lib/lua/5.4/?.so;/usr/lib/lua/5.4/?.so;/usr/local/lib/lua/5.4/loadall.so;./?.so";

const char* first_variable(std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (const char* text = std::getenv(name)) return text;
  }
  return nullptr;
}

// A path from the environment, its first ";;" replaced by the default path.
std::string path_from(const char* given, const char* otherwise) {
  if (given == nullptr) return otherwise;
  std::string path = given;
  std::size_t mark = path.find(";;");
  if (mark == std::string::npos) return path;
  std::string before = path.substr(0, mark), after = path.substr(mark + 2);
  return (before.empty() ? "" : before + ";") + otherwise + (after.empty() ? "" : ";" + after);
}

std::string replace_all(std::string_view text, std::string_view what, std::string_view by) {
  std::string result;
  std::size_t position = 0;
  for (;;) {
    std::size_t found = text.find(what, position);
    if (found == std::string_view::npos) return result.append(text.substr(position));
    result.append(text.substr(position, found - position)).append(by);
    position = found + what.size();
  }
}

bool is_readable(const std::string& path) {
  std::FILE* stream = std::fopen(path.c_str(), "r");
  if (stream == nullptr) return false;
  std::fclose(stream);
  return true;
}

std::vector<std::string> templates_of(std::string_view path) {
  std::vector<std::string> templates;
  std::size_t begin = 0;
  while (begin <= path.size()) {
    std::size_t end = std::min(path.find(';', begin), path.size());
    if (end > begin) templates.emplace_back(path.substr(begin, end - begin));
    begin = end + 1;
  }
  return templates;
}

}  // namespace

std::string search_path(std::string_view name, std::string_view path, std::string_view separator, std::string_view directory,
                        std::string& tried) {
  std::string file_name = separator.empty() ? std::string(name) : replace_all(name, separator, directory);
  tried.clear();
  for (const std::string& pattern : templates_of(path)) {
    std::string candidate = replace_all(pattern, "?", file_name);
    if (is_readable(candidate)) return candidate;
    tried += (tried.empty() ? "no file '" : "\n\tno file '") + candidate + "'";
  }
  if (tried.empty()) tried = "no file ''";
  return {};
}

std::string find_module_file(NativeCall& call, std::string_view name, const char* field, std::string& tried) {
  const Value path = vm::index_field(call.thread(), call.upvalue(1), field);
  if (!path.is_string()) call.error("'package.%s' must be a string", field);
  return search_path(name, path.string()->view(), ".", "/", tried);
}

// --- searchers -------------------------------------------------------------------------------------------------------------

namespace {

int search_preload(NativeCall& call) {
  String* name = call.check_string(1);
  const Value preload = native::get_field(call.thread(), call.shared().registry, "_PRELOAD");
  const Value loader = vm::index(call.thread(), preload, Value::of(name));
  if (loader.is_nil()) return call.result_string("no field package.preload['" + std::string(name->view()) + "']");
  call.push(loader);
  call.push_string(":preload:");
  return 2;
}

int search_script(NativeCall& call) {
  const std::string name(call.check_text(1));
  std::string tried;
  std::string file = find_module_file(call, name, "path", tried);
  if (file.empty()) return call.result_string(tried);
  if (host::load_file(call.thread(), file.c_str(), "bt") != Status::kOk) {
    const Value message = call.thread().pending;
    call.error("error loading module '%s' from file '%s':\n\t%s", name.c_str(), file.c_str(),
               message.is_string() ? message.string()->data() : "?");
  }
  call.push_string(file);
  return 2;
}

// The loader of a short name: requires the canonical one.
int load_canonical(NativeCall& call) {
  call.push(native::get_field(call.thread(), call.shared().registry, "_REQUIRE"));
  call.push(call.arg(2));
  vm::call(call.thread(), 1, 1);
  return 1;
}

const NativeInfo kLoadCanonical = {"load_canonical", "loader(name, canonical)", "Requires a module of ours by its full name.",
                                   load_canonical};

int search_canonical(NativeCall& call) {
  std::string canonical = "baton." + std::string(call.check_text(1));
  ThreadState& thread = call.thread();
  const Value preload = native::get_field(thread, call.shared().registry, "_PRELOAD");
  bool waiting = preload.is_table() && !native::get_field(thread, preload.table(), canonical).is_nil();
  if (!waiting && native::get_field(thread, call.shared().loaded, canonical).is_nil()) return call.result(Value());
  call.push(native::make(thread, &kLoadCanonical));
  call.push_string(canonical);
  return 2;
}

// --- require ---------------------------------------------------------------------------------------------------------------

// Asks the searchers for the module in argument 1; pushes its loader and the loader data.
void push_loader(NativeCall& call) {
  const Value searchers = vm::index_field(call.thread(), call.upvalue(1), "searchers");
  if (!searchers.is_table()) call.error("'package.searchers' must be a table");
  call.push(searchers);
  int list = call.size();
  std::string tried;
  for (std::int64_t i = 1;; i++) {
    const Value searcher = *table::get_integer(call.slot(list).table(), i);
    if (searcher.is_nil()) break;
    call.push(searcher);
    call.push(call.arg(1));
    vm::call(call.thread(), 1, 2);
    const Value& first = call.slot(call.size() - 1);
    if (first.is_function()) return;
    if (first.is_string()) tried.append("\n\t").append(first.string()->view());
    else if (first.is_number()) tried.append("\n\t").append(vm::number_to_string(call.heap(), first)->view());
    call.set_size(list);
  }
  call.error("module '%s' not found:%s", call.arg(1).string()->data(), tried.c_str());
}

int package_require(NativeCall& call) {
  const Value name = Value::of(call.check_string(1));
  ThreadState& thread = call.thread();
  call.set_size(1);
  const Value loaded = native::get_field(thread, call.shared().registry, "_LOADED");
  call.push(loaded);  // slot 2
  const Value present = vm::index(thread, loaded, name);
  if (present.is_truthy()) return call.result(present);
  ModuleLock lock(call, name);
  if (lock.waited()) {
    const Value by_others = vm::index(thread, loaded, name);
    if (by_others.is_truthy()) return call.result(by_others);
  }
  push_loader(call);
  int data = call.size();
  call.push(call.slot(data - 1));
  call.push(name);
  call.push(call.slot(data));
  vm::call(thread, 2, 1);
  const Value result = call.slot(call.size());
  if (!result.is_nil()) vm::set_index(thread, call.slot(2), name, result);
  Value final = vm::index(thread, call.slot(2), name);
  if (final.is_nil()) {
    final = Value::boolean(true);
    vm::set_index(thread, call.slot(2), name, final);
  }
  call.push(final);
  call.push(call.slot(data));
  return 2;
}

int package_searchpath(NativeCall& call) {
  std::string tried;
  std::string found = search_path(call.check_text(1), call.check_text(2), call.optional_text(3, "."),
                                  call.optional_text(4, "/"), tried);
  if (!found.empty()) return call.result_string(found);
  call.push(Value());
  call.push_string(tried);
  return 2;
}

// --- the library -------------------------------------------------------------------------------------------------------------

const NativeInfo kRequire = {
    "require", "require(name: string) -> any, any",
    "The module of that name, loaded the first time: package.loaded[name], else what the loader returns that one of "
    "package.searchers finds (true if it returns nothing). The second result is what the searcher found, a file name mostly. "
    "Native threads and tasks that ask meanwhile wait for the first.\n"
    "Raises: \"module 'x' not found:\" with all places looked at, and what the module raises.\n"
    "Waits: runs the module, which may wait."
    R"lua(

local f = io.open("shapes.script", "w")
f:write "return {sides = 4}" f:close()
print(require("shapes").sides)  --> 4
print(require "async" == require "baton.async")  --> true)lua",
    package_require};
const NativeInfo kFunctions[] = {
    {"searchpath", "package.searchpath(name: string, path: string, separator?: string, replacement?: string) -> string?, string",
     "The first readable file of a path: templates between semicolons, with ? replaced by the name, whose separators "
     "(\".\") become replacements (\"/\").\n"
     "Fails: nil and a message with all names tried."
     R"lua(

print((package.searchpath("no.module", "./?.script")))  --> nil)lua",
     package_searchpath},
    {"loadlib", "package.loadlib(library: string, name: string) -> function?, string, string",
     "Opens a shared object and returns its C function of that name as a function; \"*\" only links it.\n"
     "Fails: nil, message, \"open\" or \"init\"."
     R"lua(

print(select(3, package.loadlib("./missing.so", "*")))  --> open)lua",
     package_loadlib},
    {nullptr, nullptr, nullptr, nullptr},
};
const NativeInfo kSearchers[] = {
    {"search_preload", "searcher(name)", "Finds loaders in package.preload.", search_preload},
    {"search_script", "searcher(name)", "Finds script files on package.path.", search_script},
    {"search_native", "searcher(name)", "Finds shared objects on package.cpath.", search_native},
    {"search_native_root", "searcher(name)", "Finds submodules in the shared object of their root.", search_native_root},
    {"search_canonical", "searcher(name)", "Finds our own modules by their short names.", search_canonical},
};

// A native whose upvalue is the package table.
Value make_with_package(ThreadState& thread, const NativeInfo* info, Table* package) {
  Value function = native::make(thread, info, 1);
  function.native()->upvalues()[0] = Value::of(package);
  thread.heap().barrier(function.native(), Value::of(package));
  return function;
}

void set_paths(ThreadState& thread, Table* package) {
  bool ignored = native::get_field(thread, thread.shared.registry, "LUA_NOENV").is_truthy();
  const char* path = ignored ? nullptr : first_variable({"BATON_PATH", "LUA_PATH_5_4", "LUA_PATH"});
  const char* native_path = ignored ? nullptr : first_variable({"BATON_CPATH", "LUA_CPATH_5_4", "LUA_CPATH"});
  Heap& heap = thread.heap();
  native::set_field(thread, package, "path", Value::of(string::make(heap, path_from(path, kDefaultPath))));
  native::set_field(thread, package, "cpath", Value::of(string::make(heap, path_from(native_path, kDefaultNativePath))));
}

}  // namespace

void add_module_folder(ThreadState& thread, std::string_view folder) {
  const Value package = native::get_field(thread, thread.shared.loaded, "package");
  if (!package.is_table()) return;
  const Value old_path = native::get_field(thread, package.table(), "path");
  std::string path;
  std::vector<std::string> own;
  for (const char* pattern : {"/?.script", "/?/init.script", "/?.lua", "/?/init.lua"}) {
    own.push_back(std::string(folder) + pattern);
    path += (path.empty() ? "" : ";") + own.back();
  }
  for (const std::string& pattern : templates_of(old_path.is_string() ? old_path.string()->view() : std::string_view())) {
    bool repeated = false;
    for (const std::string& first : own) repeated = repeated || first == pattern;
    if (!repeated) path += ";" + pattern;
  }
  native::set_field(thread, package.table(), "path", Value::of(string::make(thread.heap(), path)));
}

Table* open_package(ThreadState& thread) {
  Heap& heap = thread.heap();
  Table* registry = thread.shared.registry;
  Table* package = table::make(heap, 0, 8);
  Table* preload = table::make(heap);
  Table* searchers = table::make(heap, 5, 0);
  native::add_functions(thread, package, kFunctions);
  std::int64_t position = 1;
  for (const NativeInfo& searcher : kSearchers) {
    table::set_integer(heap, searchers, position++, make_with_package(thread, &searcher, package));
  }
  native::set_field(thread, package, "searchers", Value::of(searchers));
  native::set_field(thread, package, "preload", Value::of(preload));
  native::set_field(thread, package, "loaded", Value::of(thread.shared.loaded));
  native::set_field(thread, package, "config", Value::of(string::make(heap, "/\n;\n?\n!\n-\n")));
  set_paths(thread, package);
  native::set_field(thread, registry, "_PRELOAD", Value::of(preload));
  native::set_field(thread, registry, "_LOADED", Value::of(thread.shared.loaded));
  const Value require = make_with_package(thread, &kRequire, package);
  native::set_field(thread, registry, "_REQUIRE", require);
  native::set_field(thread, thread.shared.globals, "require", require);
  return package;
}

Table* open_baton(ThreadState& thread) {
  Table* library = table::make(thread.heap());
  native::set_field(thread, library, "_VERSION", Value::of(string::make(thread.heap(), host::kVersion)));
  return library;
}

}  // namespace baton::stdlib
