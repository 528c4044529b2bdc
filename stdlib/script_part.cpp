#include "script_part.h"

#include "host/load.h"
#include "value/closure.h"
#include "vm/call.h"
#include "vm/operations.h"

namespace baton::stdlib {

void run_script_part(ThreadState& thread, Table* library, const Value& internals, std::string_view source,
                     const char* chunk_name) {
  vm::push(thread, Value::of(library));
  vm::push(thread, internals);
  if (host::load(thread, source, chunk_name, "t") != Status::kOk) throw ScriptError(thread.pending);
  const Value environment = native::get_field(thread, thread.shared.registry, kPartEnvironment);
  if (environment.is_table()) {
    Upvalue* globals = thread.current->top[-1].closure()->upvalues()[0];
    *globals->location = environment;
    thread.heap().barrier(globals, environment.table());
  }
  vm::push(thread, Value::of(library));
  vm::push(thread, internals);
  vm::call(thread, 2, 0);
  thread.current->top -= 2;
}

void run_script_part(ThreadState& thread, Table* library, const NativeInfo* internals, std::string_view source,
                     const char* chunk_name) {
  const Value list = Value::of(table::make(thread.heap()));
  native::add_functions(thread, list.table(), internals);
  run_script_part(thread, library, list, source, chunk_name);
}

}  // namespace baton::stdlib
