// The script libraries: what each file of this folder offers to open them, and opening all of them.
//
// Invariant: an open function makes its table and native functions and returns the table; it reaches no safepoint, so
// nothing needs a root. It keeps no state outside the runtime: several runtimes open the same libraries.
// Owner of the tables: the runtime's heap. Threading: under the GIL, before any script runs.
#pragma once

#include <span>

#include "vm/native.h"
#include "vm/thread_state.h"

namespace baton::stdlib {

// One function for each line of modules.def: makes the library. Returns: its table, referred to by nothing yet.
// Raises: kMemory.
#define BATON_MODULE(name, open_function, is_global) Table* open_function(ThreadState& thread);
#define BATON_PRELOADED_MODULE(name, open_function) Table* open_function(ThreadState& thread);
#include "modules.def"

// A line of modules.def that is opened at once.
struct Module {
  const char* name;
  Table* (*open)(ThreadState& thread);
  bool is_global;
};

// All of them, in the order in which they are opened.
std::span<const Module> modules() noexcept;

// The loaders of those that are opened by their first `require`: a list of natives ended by a null name.
const NativeInfo* preloaded_modules() noexcept;

// Opens one: package.loaded[name], and the global variable if it has one. Raises: kMemory.
void open_module(ThreadState& thread, const Module& module);

// Opens every library: sets package.loaded[name], the global variables, and package.preload for those opened on demand.
// Raises: kMemory.
void open_all(ThreadState& thread);

}  // namespace baton::stdlib
