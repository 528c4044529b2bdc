// Shared objects as modules.
//
// A module a.b exports `extern "C" int batonopen_a_b(baton::NativeCall&)`. Objects are opened with RTLD_NOW, so one that needs
// symbols which this program does not have is an error with the linker's text, not a death at the first call. They stay open
// until the process ends: natives made from them may outlive every table that knows them. An object with only the C API's
// entry point (luaopen_a_b) is refused by name: that API is another library's promise.
#include <dlfcn.h>

#include <algorithm>
#include <new>

#include "host/blocking.h"
#include "package_search.h"
#include "value/userdata.h"

namespace baton::stdlib {
namespace {

enum class Failure : std::uint8_t { kNone, kOpen, kFunction };

struct Lookup {
  Failure failure = Failure::kNone;
  std::string message;
  Value function;  // nil when only linking was asked for
};

void* open_object(ThreadState& thread, const std::string& path, int visibility, std::string& message) {
  host::Blocking pause(thread, "package.open");
  void* object = dlopen(path.c_str(), RTLD_NOW | visibility);
  if (object == nullptr) {
    const char* text = dlerror();
    message = text != nullptr ? text : "cannot open " + path;
  }
  return object;
}

// A native function for an address. Its description lives in a userdata that the registry keeps, so it is never freed before
// the runtime.
Value make_foreign(ThreadState& thread, const std::string& path, const std::string& symbol, NativeFunction function) {
  Heap& heap = thread.heap();
  const std::string key = "native:" + path + ":" + symbol;
  Value block = native::get_field(thread, thread.shared.registry, key);
  if (!block.is_userdata()) {
    Userdata* keeper = userdata::make(heap, sizeof(NativeInfo) + symbol.size() + 1);
    char* name = static_cast<char*>(keeper->block()) + sizeof(NativeInfo);
    std::copy(symbol.begin(), symbol.end(), name);
    new (keeper->block()) NativeInfo{name, name, "A function of a shared object.", function, Intrinsic::kNone};
    block = Value::of(keeper);
    native::set_field(thread, thread.shared.registry, key, block);
  }
  return native::make(thread, static_cast<const NativeInfo*>(block.userdata()->block()));
}

Lookup look_up(ThreadState& thread, const std::string& path, const std::string& symbol) {
  Lookup result;
  bool only_link = symbol == "*";
  void* object = open_object(thread, path, only_link ? RTLD_GLOBAL : RTLD_LOCAL, result.message);
  if (object == nullptr) {
    result.failure = Failure::kOpen;
    return result;
  }
  if (only_link) return result;
  void* address = dlsym(object, symbol.c_str());
  if (address == nullptr) {
    const char* text = dlerror();
    result.failure = Failure::kFunction;
    result.message = text != nullptr ? text : "no symbol " + symbol;
    return result;
  }
  result.function = make_foreign(thread, path, symbol, reinterpret_cast<NativeFunction>(address));
  return result;
}

// The opening function of a module: dots become underscores; what stands before a '-' names it, or else what follows.
Lookup look_up_module(ThreadState& thread, const std::string& path, std::string name) {
  std::replace(name.begin(), name.end(), '.', '_');
  std::size_t mark = name.find('-');
  if (mark != std::string::npos) {
    Lookup first = look_up(thread, path, "batonopen_" + name.substr(0, mark));
    if (first.failure != Failure::kFunction) return first;
    name.erase(0, mark + 1);
  }
  return look_up(thread, path, "batonopen_" + name);
}

[[noreturn]] void raise_loading(NativeCall& call, const std::string& name, const std::string& path, const std::string& message) {
  call.error("error loading module '%s' from file '%s':\n\t%s", name.c_str(), path.c_str(), message.c_str());
}

}  // namespace

int package_loadlib(NativeCall& call) {
  const std::string path(call.check_text(1)), symbol(call.check_text(2));
  Lookup found = look_up(call.thread(), path, symbol);
  if (found.failure == Failure::kNone) return call.result(found.function.is_nil() ? Value::boolean(true) : found.function);
  call.push(Value());
  call.push_string(found.message);
  call.push_string(found.failure == Failure::kOpen ? "open" : "init");
  return 3;
}

int search_native(NativeCall& call) {
  const std::string name(call.check_text(1));
  std::string tried;
  std::string path = find_module_file(call, name, "cpath", tried);
  if (path.empty()) return call.result_string(tried);
  Lookup found = look_up_module(call.thread(), path, name);
  if (found.failure != Failure::kNone) raise_loading(call, name, path, found.message);
  call.push(found.function);
  call.push_string(path);
  return 2;
}

int search_native_root(NativeCall& call) {
  const std::string name(call.check_text(1));
  std::size_t dot = name.find('.');
  if (dot == std::string::npos) return 0;
  std::string tried;
  std::string path = find_module_file(call, name.substr(0, dot), "cpath", tried);
  if (path.empty()) return call.result_string(tried);
  Lookup found = look_up_module(call.thread(), path, name);
  if (found.failure == Failure::kOpen) raise_loading(call, name, path, found.message);
  if (found.failure == Failure::kFunction) return call.result_string("no module '" + name + "' in file '" + path + "'");
  call.push(found.function);
  call.push_string(path);
  return 2;
}

}  // namespace baton::stdlib
