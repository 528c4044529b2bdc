// Opening only what a host has granted.
//
// Every library is opened by the same functions as for the program `baton`; then what was not granted is taken away before
// any script runs: whole libraries are not opened, single functions are removed from those that are. `package` is always
// opened, because it makes `require` and the table in which our modules wait, but without the grant it shrinks to `require`
// with two searchers: modules that the host put into package.preload, and ours. Nothing that was taken away is reachable:
// the removed functions have no other name.
//
// A granted module of ours may need others inside (async uses the family of thread); those stand in the registry's table of
// waiting modules under names that only scripts of ours ask for, so they count as granted with it.
#include "host/libraries.h"

#include <initializer_list>

#include "all_modules.h"
#include "process_worker.h"
#include "value/table.h"
#include "vm/call.h"
#include "vm/native.h"

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
      {"baton.process", kProcess}, {"baton.thread", kThread | kAsync},     {"baton.time", kTime | kAsync | kThread},
      {"baton.json", kString},
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

// A collection in bounded steps: with a large heap one whole collection could not be interrupted for long.
int careful_collectgarbage(NativeCall& call) {
  static const char* const kNames[] = {"count", "collect", "step", "isrunning", nullptr};
  const int option = call.check_option(1, "collect", kNames);
  Heap& heap = call.heap();
  if (option == 0) return call.result(Value::from(static_cast<double>(heap.bytes_used()) / 1024.0));
  if (option == 3) return call.result(Value::boolean(heap.is_running()));
  if (option == 2) return call.result(Value::boolean(heap.step_explicit(0)));
  for (int cycles = 0; cycles < 2;) {  // the one that has begun, and a whole one
    cycles += heap.step_explicit(0) ? 1 : 0;
    vm::poll(call.thread());
  }
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

// Parts of our modules are written in script and take functions of `debug` and other libraries when they are loaded. Where
// those are not granted, such modules are loaded now, while they are there.
void load_waiting_modules(ThreadState& thread, std::uint64_t granted) {
  for (const Module& module : modules()) {
    if (!is_granted(granted, module.name)) open_module(thread, module);
  }
  for (const char* name : {"baton.time", "baton.thread", "baton.async", "baton.net"}) {
    if (!is_granted(granted, name)) continue;
    vm::push(thread, native::get_field(thread, thread.shared.globals, "require"));
    vm::push(thread, Value::of(string::make(thread.heap(), name)));
    vm::call(thread, 1, 0);
  }
  for (const Module& module : modules()) {
    if (is_granted(granted, module.name)) continue;
    native::set_field(thread, thread.shared.loaded, module.name, Value());
    native::set_field(thread, thread.shared.globals, module.name, Value());
  }
}

void open_granted(ThreadState& thread, std::uint64_t granted) {
  SharedState& shared = thread.shared;
  for (const Module& module : modules()) {
    if (is_granted(granted, module.name)) open_module(thread, module);
  }
  Table* preload = native::get_field(thread, shared.registry, "_PRELOAD").table();
  native::add_functions(thread, preload, preloaded_modules());
  for (const NativeInfo* info = preloaded_modules(); info->name != nullptr; ++info) {
    if (!is_granted(granted, info->name)) native::set_field(thread, preload, info->name, Value());
  }
  if (granted == kEverything) return;
  if ((granted & (kAsync | kThread | kNet)) != 0) load_waiting_modules(thread, granted);
  take_away(thread, granted);
}

}  // namespace
}  // namespace baton::stdlib

namespace baton::host {

void open_granted_libraries(ThreadState& thread, std::uint64_t granted) { stdlib::open_granted(thread, granted); }

void name_worker_program(ThreadState& thread, std::string_view path) { stdlib::set_worker_program(thread, path); }

}  // namespace baton::host
