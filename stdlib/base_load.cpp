#include "base_load.h"

#include "host/load.h"
#include "vm/call.h"
#include "vm/operations.h"
#include "vm/safepoint.h"
#include "vm/string_builder.h"
#include "vm/traceback.h"

namespace baton::stdlib {
namespace {

// Names and modes are C strings: they end at a NUL.
std::string_view until_nul(std::string_view text) { return text.substr(0, text.find('\0')); }

// The string that a chunk without a name of its own is called by: its text.
String* name_argument(NativeCall& call) {
  const Value& name = call.arg(call.none_or_nil(2) ? 1 : 2);
  return name.is_string() ? name.string() : nullptr;
}

// Results of a load: the function on top of the window, its environment set if argument `env_index` was given.
int load_results(NativeCall& call, Status status, int env_index) {
  if (status != Status::kOk) {
    call.push(Value());
    call.push(call.thread().pending);
    return 2;
  }
  if (env_index <= call.count()) {
    Closure* function = call.slot(call.size()).closure();
    if (function->count > 0) {
      Upvalue* environment = function->upvalues()[0];
      environment->closed = call.arg(env_index);
      call.heap().barrier(environment, environment->closed);
    }
  }
  return 1;
}

// Collects the pieces that the reader (argument 1) returns. Returns: kError with the message or error in thread.pending.
Status read_pieces(NativeCall& call, StringBuilder& text) {
  for (;;) {
    vm::poll(call.thread());  // what the reader raises is a result, what is asked of the thread is not
    call.push(call.arg(1));
    int results = 0;
    if (vm::protected_call(call.thread(), 0, 1, Value(), &results) != Status::kOk) return Status::kError;
    const Value piece = call.slot(call.size());  // a root until it is appended
    if (piece.is_nil()) return Status::kOk;
    if (piece.is_string()) {
      if (piece.string()->length == 0) return Status::kOk;
      text.append(piece.string()->view());
    } else if (piece.is_number()) {
      text.append(vm::number_to_string(call.heap(), piece)->view());
    } else {
      std::string message = vm::where(call.thread(), 1) + "reader function must return a string";
      call.thread().pending = Value::of(string::make(call.heap(), message));
      return Status::kError;
    }
    call.pop();
  }
}

}  // namespace

int base_load(NativeCall& call) {
  std::string_view mode = until_nul(call.optional_text(3, "bt"));
  if (call.arg(1).is_string() || call.arg(1).is_number()) {
    std::string_view text = call.check_text(1);
    const std::string_view given = call.optional_text(2, text);
    const std::string_view name = until_nul(given);
    String* name_string = name.size() == given.size() ? name_argument(call) : nullptr;
    return load_results(call, host::load(call.thread(), text, name, mode, name_string), 4);
  }
  std::string name(until_nul(call.optional_text(2, "=(load)")));
  call.check_function(1);
  StringBuilder text(call.thread());
  Status status = read_pieces(call, text);
  if (status == Status::kOk) status = host::load(call.thread(), text.view(), name, mode);
  return load_results(call, status, 4);
}

int base_loadfile(NativeCall& call) {
  const char* path = call.none_or_nil(1) ? nullptr : call.check_string(1)->data();
  std::string_view mode = until_nul(call.optional_text(2, "bt"));
  return load_results(call, host::load_file(call.thread(), path, mode), 3);
}

int base_dofile(NativeCall& call) {
  const char* path = call.none_or_nil(1) ? nullptr : call.check_string(1)->data();
  call.set_size(1);
  if (host::load_file(call.thread(), path, "bt") != Status::kOk) return call.fail(call.thread().pending);
  return vm::call(call.thread(), 0, kMultipleResults);
}

}  // namespace baton::stdlib
