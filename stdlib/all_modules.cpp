#include "all_modules.h"

#include "vm/native.h"

namespace baton::stdlib {
namespace {

const Module kModules[] = {
#define BATON_MODULE(name, open_function, is_global) {name, open_function, is_global != 0},
#include "modules.def"
};

// The loader of a module that waits in package.preload: answers its first require.
template <Table* (*open)(ThreadState&)>
int load_preloaded(NativeCall& call) {
  return call.result(Value::of(open(call.thread())));
}

const NativeInfo kPreloaded[] = {
#define BATON_PRELOADED_MODULE(name, open_function) \
  {name, "loader()", "Makes the module of this name; `require` calls it once.", load_preloaded<open_function>},
#include "modules.def"
    {nullptr, nullptr, nullptr, nullptr},
};

}  // namespace

std::span<const Module> modules() noexcept { return kModules; }

const NativeInfo* preloaded_modules() noexcept { return kPreloaded; }

void open_module(ThreadState& thread, const Module& module) {
  const Value library = Value::of(module.open(thread));
  native::set_field(thread, thread.shared.loaded, module.name, library);
  if (module.is_global) native::set_field(thread, thread.shared.globals, module.name, library);
}

void open_all(ThreadState& thread) {
  for (const Module& module : modules()) open_module(thread, module);
  const Value preload = native::get_field(thread, thread.shared.registry, "_PRELOAD");
  if (preload.is_table()) native::add_functions(thread, preload.table(), kPreloaded);
}

}  // namespace baton::stdlib
