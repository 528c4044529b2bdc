#include "host/script.h"

#include "vm/call.h"
#include "vm/traceback.h"

namespace baton::host {
namespace {

// The message handler: runs where the error happened, its frames still on the stack.
int describe_error(NativeCall& call) {
  const Value error = call.arg(1);
  std::string message;
  if (error.is_string()) {
    message = error.string()->view();
  } else if (error.is_number()) {
    message = vm::number_to_string(call.heap(), error)->view();
  } else {
    const Value convert = vm::metamethod(call.shared(), error, Metamethod::kToString);
    if (!convert.is_nil()) {
      call.push(convert);
      call.push(error);
      vm::call(call.thread(), 1, 1);
      const Value text = call.pop();
      if (text.is_string()) return call.result(text);
    }
    message = std::string("(error object is a ") + base_type_name(error) + " value)";
  }
  return call.result_string(vm::traceback(call.thread(), call.coroutine(), message.c_str(), 1));
}

const NativeInfo kDescribeError = {"describe_error", "handler(error)",
                                   "Message handler of programs: an error's text with a traceback.", describe_error};

}  // namespace

Status traced_call(ThreadState& thread, int arguments, int wanted, int* result_count) {
  Root<Value> handler(thread.heap(), native::make(thread, &kDescribeError));
  return vm::protected_call(thread, arguments, wanted, handler.value(), result_count);
}

std::string pending_report(const ThreadState& thread) {
  const Value& error = thread.pending;
  if (error.is_string()) return std::string(error.string()->view());
  return std::string("(error object is a ") + base_type_name(error) + " value)";
}

}  // namespace baton::host
