// Opening only what a host has granted.
//
// Every library is opened by the same functions as for the program `baton`; then what was not granted is taken away before
// any script runs: whole libraries are not opened, single functions are removed from those that are. `package` is always
// opened, because it makes `require` and the table in which our modules wait, but without the grant it shrinks to `require`
// with two searchers: modules that the host put into package.preload, and ours. Nothing that was taken away is reachable:
// the removed functions have no other name.
//
// A granted module of ours may need others inside: async is made of time and the family of thread, and the parts that are
// written in script take functions of `debug` and other libraries. Those they find in an environment of their own (script_part.h),
// which holds what was not granted and a `require` that knows the modules that were not; nothing else refers to it. Without
// `io` its place is taken by an `open` that refuses. The string metatable comes with any library that is made of such parts.
#include "host/libraries.h"

#include <cerrno>
#include <initializer_list>

#include "all_modules.h"
#include "process_library.h"
#include "process_worker.h"
#include "script_part.h"
#include "value/closure.h"
#include "value/string.h"
#include "value/table.h"
#include "vm/call.h"
#include "vm/native.h"
#include "vm/operations.h"

namespace baton::stdlib {
namespace {

// The bits of baton::libs.
enum Grant : std::uint64_t {
  kBase = 1u << 0,
  kCoroutine = 1u << 1,
  kString = 1u << 2,
  kUtf8 = 1u << 3,
  kTable = 1u << 4,
  kMath = 1u << 5,
  kOsTime = 1u << 6,
  kIo = 1u << 7,
  kOs = 1u << 8,
  kPackage = 1u << 9,
  kDebug = 1u << 10,
  kBytecode = 1u << 11,
  kAsync = 1u << 12,
  kThread = 1u << 13,
  kProcess = 1u << 14,
  kFs = 1u << 15,
  kNet = 1u << 16,
  kGil = 1u << 17,
  kTime = 1u << 18,
  kCollector = 1u << 19,
  kEverything = ~std::uint64_t{0},
};

// What a module of ours is granted by; those that are not named here need everything.
std::uint64_t grant_of(std::string_view module) {
  struct Entry {
    std::string_view name;
    std::uint64_t grants;
  };
  static constexpr Entry kEntries[] = {
      {"_G", kEverything},        {"package", kEverything},      {"coroutine", kCoroutine},
      {"table", kTable},          {"io", kIo},                   {"os", kOs | kOsTime},
      {"string", kString},        {"math", kMath},               {"utf8", kUtf8},
      {"debug", kDebug},          {"baton", kEverything},        {"baton.async", kAsync},
      {"baton.fs", kFs},          {"baton.gil", kGil},           {"baton.net", kNet},
      {"baton.process", kProcess}, {"baton.thread", kThread},    {"baton.time", kTime},
  };
  for (const Entry& entry : kEntries) {
    if (entry.name == module) return entry.grants;
  }
  return 0;
}

bool is_granted(std::uint64_t granted, std::string_view module) {
  const std::uint64_t grants = grant_of(module);
  return granted == kEverything || grants == kEverything || (granted & grants) != 0;
}

void remove_fields(ThreadState& thread, Table* library, std::initializer_list<const char*> names) {
  for (const char* name : names) native::set_field(thread, library, name, Value());
}

Table* library_named(ThreadState& thread, const char* name) {
  const Value library = native::get_field(thread, thread.shared.loaded, name);
  return library.is_table() ? library.table() : nullptr;
}

// require stays, and finds what is in package.preload, and our own modules.
void reduce_package(ThreadState& thread) {
  Table* package = library_named(thread, "package");
  remove_fields(thread, package, {"path", "cpath", "config", "searchpath", "loadlib"});
  const Value searchers = native::get_field(thread, package, "searchers");
  Table* all = searchers.table();
  const Value canonical = *table::get_integer(all, static_cast<std::int64_t>(table::length(all)));
  for (auto i = static_cast<std::int64_t>(table::length(all)); i > 1; --i) table::set_integer(thread.heap(), all, i, Value());
  table::set_integer(thread.heap(), all, 2, canonical);
}

int careful_collectgarbage(NativeCall& call) {
  static const char* const kNames[] = {"count", "collect", "step", "isrunning", nullptr};
  const int option = call.check_option(1, "collect", kNames);
  Heap& heap = call.heap();
  if (option == 0) return call.result(Value::from(static_cast<double>(heap.bytes_used()) / 1024.0));
  if (option == 3) return call.result(Value::boolean(heap.is_running()));
  if (option == 2) return call.result(Value::boolean(vm::collect_step(call.thread(), 0)));
  vm::collect_all(call.thread());
  return call.result(Value::from(std::int64_t{0}));
}

const NativeInfo kCarefulCollector[] = {
    {"collectgarbage", "collectgarbage(option?: string) -> any",
     "\"collect\" (the default), \"step\", \"count\" or \"isrunning\"; a script with limits cannot stop or tune the "
     "collector.",
     careful_collectgarbage},
    {nullptr, nullptr, nullptr, nullptr},
};

void take_away(ThreadState& thread, std::uint64_t granted) {
  Table* globals = thread.shared.globals;
  if ((granted & kIo) == 0) remove_fields(thread, globals, {"dofile", "loadfile"});
  if ((granted & kCollector) == 0) native::add_functions(thread, globals, kCarefulCollector);
  if ((granted & kPackage) == 0) reduce_package(thread);
  if ((granted & kOs) == 0) {
    if (Table* os = library_named(thread, "os")) {
      remove_fields(thread, os, {"execute", "exit", "getenv", "remove", "rename", "setlocale", "tmpname"});
    }
  }
  if ((granted & kBytecode) == 0) {
    if (Table* string = library_named(thread, "string")) remove_fields(thread, string, {"dump"});
    thread.shared.refuses_binary_chunks = true;
  }
  if ((granted & kBase) == 0) {
    std::uint64_t position = 0;
    Value key, value;
    while (table::next_at(globals, position, key, value)) {
      if (!value.is_table()) table::set(thread.heap(), globals, key, Value());
    }
  }
}

// ---- what parts of our own find ----

int refuse_open(NativeCall& call) {
  call.push(Value());
  call.push_string(std::string(call.check_text(1)) + ": files are not granted");
  call.push(Value::from(std::int64_t{EACCES}));
  return 3;
}

// Upvalue 1: modules that were not granted. The others are found as by everybody.
int require_for_part(NativeCall& call) {
  const Value hidden = native::get_field(call.thread(), call.upvalue(1).table(), call.check_text(1));
  if (!hidden.is_nil()) return call.result(hidden);
  call.push(native::get_field(call.thread(), call.shared().registry, "_REQUIRE"));
  call.push(call.arg(1));
  vm::call(call.thread(), 1, 1);
  return 1;
}

constexpr NativeInfo kRefuseOpen[] = {{"open", "open(path)", "Refuses.", refuse_open}, {nullptr, nullptr, nullptr, nullptr}};
constexpr NativeInfo kCountProcessors[] = {{"cpu_count", "cpu_count()", "The number of processors.", process_cpu_count},
                                           {nullptr, nullptr, nullptr, nullptr}};
constexpr NativeInfo kRequireForPart = {"require", "require(name)", "As require, for our own parts.", require_for_part};

// Each table is referred to by the one before it, and the first by the registry.
Table* new_field(ThreadState& thread, Table* owner, std::string_view name) {
  Table* made = table::make(thread.heap());
  native::set_field(thread, owner, name, Value::of(made));
  return made;
}

// The environment of parts. Returns: the table of hidden modules.
Table* make_part_environment(ThreadState& thread, std::uint64_t granted) {
  Table* environment = new_field(thread, thread.shared.registry, kPartEnvironment);
  Table* hidden = new_field(thread, environment, "hidden");
  vm::set_metatable(thread, Value::of(environment), new_field(thread, environment, "metatable"));
  native::set_field(thread, environment->metatable, "__index", Value::of(thread.shared.globals));
  const Value require = native::make(thread, &kRequireForPart, 1);
  require.native()->upvalues()[0] = Value::of(hidden);
  native::set_field(thread, environment, "require", require);
  for (const Module& module : modules()) {
    if (is_granted(granted, module.name) || std::string_view(module.name) == "os") continue;
    if (std::string_view(module.name) == "io") native::add_functions(thread, new_field(thread, environment, "io"), kRefuseOpen);
    else native::set_field(thread, environment, module.name, Value::of(module.open(thread)));
  }
  if (!is_granted(granted, "baton.process")) native::add_functions(thread, new_field(thread, hidden, "baton.process"), kCountProcessors);
  return hidden;
}

void require_now(ThreadState& thread, std::string_view name) {
  vm::push(thread, native::get_field(thread, thread.shared.registry, "_REQUIRE"));
  vm::push(thread, Value::of(string::make(thread.heap(), name)));
  vm::call(thread, 1, 1);
  --thread.current->top;
}

// Loads what was granted and what that is made of, and hides the latter. Takes: all loaders waiting in `preload`.
void load_waiting_modules(ThreadState& thread, Table* preload, std::uint64_t granted) {
  Table* hidden = make_part_environment(thread, granted);
  for (const char* name : {"baton.time", "baton.thread", "baton.async"}) require_now(thread, name);
  for (const NativeInfo* info = preloaded_modules(); info->name != nullptr; ++info) {
    if (is_granted(granted, info->name)) {
      require_now(thread, info->name);
    } else {
      const Value loaded = native::get_field(thread, thread.shared.loaded, info->name);
      if (!loaded.is_nil()) native::set_field(thread, hidden, info->name, loaded);
      native::set_field(thread, thread.shared.loaded, info->name, Value());
      native::set_field(thread, preload, info->name, Value());
    }
  }
}

void open_granted(ThreadState& thread, std::uint64_t granted) {
  SharedState& shared = thread.shared;
  for (const Module& module : modules()) {
    if (is_granted(granted, module.name)) open_module(thread, module);
  }
  Table* preload = native::get_field(thread, shared.registry, "_PRELOAD").table();
  if (granted == kEverything) {
    native::add_functions(thread, preload, preloaded_modules());
    return;
  }
  if ((granted & (kAsync | kThread | kNet | kProcess | kGil)) != 0) {
    native::add_functions(thread, preload, preloaded_modules());
    load_waiting_modules(thread, preload, granted);
  } else {
    for (const NativeInfo* info = preloaded_modules(); info->name != nullptr; ++info) {
      if (is_granted(granted, info->name)) native::set_field(thread, preload, info->name, native::make(thread, info));
    }
  }
  take_away(thread, granted);
}

}  // namespace
}  // namespace baton::stdlib

namespace baton::host {

void open_granted_libraries(ThreadState& thread, std::uint64_t granted) { stdlib::open_granted(thread, granted); }

void name_worker_program(ThreadState& thread, std::string_view path) { stdlib::set_worker_program(thread, path); }

}  // namespace baton::host
