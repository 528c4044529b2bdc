#include "host/script.h"

#include "sched/task.h"
#include "vm/call.h"
#include "vm/traceback.h"

namespace baton::host {
namespace {

Value tostring_result(NativeCall& call, const Value& error) {
  call.push(vm::metamethod(call.shared(), error, Metamethod::kToString));
  call.push(error);
  vm::call(call.thread(), 1, 1);
  return call.pop();
}

// The message handler: runs where the error happened, its frames still on the stack.
int trace_error(NativeCall& call) {
  const ErrorText text = describe_error(call);
  return call.result_string(text.has_trace ? text.message + "\n" + text.trace : text.message);
}

const NativeInfo kTraceError = {"trace_error", "handler(error)",
                                "Message handler of programs: an error's text with a traceback.", trace_error};

}  // namespace

ErrorText describe_error(NativeCall& call) {
  const Value error = call.arg(1);
  ErrorText text;
  if (error.is_string()) {
    text.message = error.string()->view();
  } else if (error.is_number()) {
    text.message = vm::number_to_string(call.heap(), error)->view();
  } else {
    if (!vm::metamethod(call.shared(), error, Metamethod::kToString).is_nil()) {
      const Value converted = tostring_result(call, error);
      if (converted.is_string()) return {std::string(converted.string()->view()), "", false};
    }
    text.message = std::string("(error object is a ") + base_type_name(error) + " value)";
  }
  const std::string_view story = sched::current_task(call.thread()).story_of(error);
  if (story.starts_with(text.message) && story.size() > text.message.size()) {
    text.trace = std::string(story.substr(text.message.size() + 1)) + "\n";
  }
  text.trace += vm::traceback(call.thread(), call.coroutine(), nullptr, 1);
  return text;
}

Status traced_call(ThreadState& thread, int arguments, int wanted, int* result_count) {
  Root<Value> handler(thread.heap(), native::make(thread, &kTraceError));
  return vm::protected_call(thread, arguments, wanted, handler.value(), result_count);
}

std::string function_name(ThreadState& thread, const Value& function) { return vm::loaded_name(thread, function); }

std::string pending_report(const ThreadState& thread) {
  const Value& error = thread.pending;
  if (error.is_string()) return std::string(error.string()->view());
  return std::string("(error object is a ") + base_type_name(error) + " value)";
}

}  // namespace baton::host
