// How a VM is made: its libraries, limits, loop.
//
//   baton::Config config;
//   config.libs = baton::libs::safe | baton::libs::async;
//   config.memory_limit = 64_MiB;             // using namespace baton::literals
//   baton::VM vm{config};
//
// Owner: the program; a VM copies what it needs. Threading: a plain structure.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

struct uv_loop_s;

namespace baton {
inline namespace v0 {

// Which script libraries a VM has; combined with |. What is not granted is reachable from nowhere: `async` without `thread`, say,
// has no require "thread", though async is made of it. Strings have their methods with each of async, thread, process, net, gil.
enum class libs : std::uint64_t {
  none = 0,
  base = 1u << 0,        // print, pcall, pairs, setmetatable, load (text) ...; dofile and loadfile come with io
  coroutine = 1u << 1,
  string = 1u << 2,
  utf8 = 1u << 3,
  table = 1u << 4,
  math = 1u << 5,
  os_time = 1u << 6,     // os.time, os.clock, os.date, os.difftime and nothing else of os
  io = 1u << 7,          // files
  os = 1u << 8,          // all of os: commands, environment, exit
  package = 1u << 9,     // modules from files, shared objects; without it `require` finds preloaded and granted modules
  debug = 1u << 10,
  bytecode = 1u << 11,   // load of binary chunks, string.dump
  async = 1u << 12,      // require "async": tasks, the synchronisation family; to_thread runs functions on native threads of its own
  thread = 1u << 13,     // require "thread"
  process = 1u << 14,    // require "process"
  fs = 1u << 15,         // require "fs"
  net = 1u << 16,        // require "net"
  gil = 1u << 17,        // require "gil"
  time = 1u << 18,       // require "time"
  collector = 1u << 19,  // all of collectgarbage: stopping and tuning
  // For scripts that nobody has read: no files, network, processes, threads, bytecode or debug.
  safe = base | coroutine | string | utf8 | table | math | os_time,
  // What Lua's own libraries are.
  standard = safe | io | os | package | debug | bytecode | collector,
  all = ~std::uint64_t{0},
};

constexpr libs operator|(libs a, libs b) noexcept {
  return static_cast<libs>(static_cast<std::uint64_t>(a) | static_cast<std::uint64_t>(b));
}
constexpr libs operator&(libs a, libs b) noexcept {
  return static_cast<libs>(static_cast<std::uint64_t>(a) & static_cast<std::uint64_t>(b));
}
constexpr libs operator~(libs a) noexcept { return static_cast<libs>(~static_cast<std::uint64_t>(a)); }
constexpr libs& operator|=(libs& a, libs b) noexcept { return a = a | b; }

struct Config {
  std::string name = "main";                   // in reports
  v0::libs libs = v0::libs::all;
  std::size_t memory_limit = 0;                // bytes that values, stacks and code may take; 0: no limit
  std::size_t stack_limit = 0;                 // values on one coroutine's stack; 0: the language's 1,000,000
  std::chrono::nanoseconds switch_interval{0};  // how long a native thread keeps the lock while others want it; 0: 5 ms
  std::uint64_t seed = 0;                      // of string hashes; 0: random
  bool use_environment = false;                // BATON_PATH, LUA_PATH ... decide where modules are looked for
  std::string worker_program;                  // what process.pool and process.worker start: a path of `baton`; empty: none
  uv_loop_s* loop = nullptr;                   // a libuv loop of the host that drives the VM; null: the VM's own
  std::chrono::nanoseconds close_timeout = std::chrono::seconds(5);     // how long closing waits for native threads
  std::chrono::nanoseconds finalizer_limit = std::chrono::seconds(1);   // how long finalizers may run at the end; 0: for ever
};

namespace literals {
constexpr std::size_t operator""_KiB(unsigned long long n) noexcept { return static_cast<std::size_t>(n) << 10; }
constexpr std::size_t operator""_MiB(unsigned long long n) noexcept { return static_cast<std::size_t>(n) << 20; }
constexpr std::size_t operator""_GiB(unsigned long long n) noexcept { return static_cast<std::size_t>(n) << 30; }
}  // namespace literals
using namespace literals;

}  // namespace v0
}  // namespace baton
