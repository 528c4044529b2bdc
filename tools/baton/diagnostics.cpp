#include "diagnostics.h"

#include <string>

#include "tool_scripts.h"

namespace baton::program {
namespace {

constexpr const char* kSourcesKey = "baton.program.sources";

// Asks the part "diagnose" about a message. Returns: what it says, or "".
std::string details_of(ThreadState& thread, std::string_view function, std::string_view message) {
  if (message == "not enough memory" || message.find("stack overflow") != std::string_view::npos) return "";
  const Root<Value> in_flight(thread.heap(), thread.pending);
  const int depth = thread.handler_depth;
  vm::push(thread, Value::of(string::make(thread.heap(), message)));
  vm::push(thread, native::get_field(thread, thread.shared.registry, kSourcesKey));
  std::string details;
  if (call_tool(thread, "diagnose", function, 2, 1) == Status::kOk) {
    const Value result = *--thread.current->top;
    if (result.is_string()) details = result.string()->view();
  }
  thread.handler_depth = depth;
  thread.pending = in_flight.value();
  return details;
}

constexpr const char* kErrorKey = "baton.program.error";

int report_error(NativeCall& call) {
  native::set_field(call.thread(), call.shared().registry, kErrorKey, call.arg(1));
  const host::ErrorText text = host::describe_error(call);
  if (!text.has_trace) return call.result_string(text.message);
  const std::string details = details_of(call.thread(), "runtime", text.message);
  return call.result_string(text.message + (details.empty() ? "" : "\n" + details) + "\n" + text.trace);
}

constexpr NativeInfo kReportError = {"report_error", "report_error(error)", "Message handler: all that is printed about an error.",
                                     report_error};

}  // namespace

Value make_report_handler(ThreadState& thread) { return native::make(thread, &kReportError); }

Value last_error(ThreadState& thread) { return native::get_field(thread, thread.shared.registry, kErrorKey); }

void explain_syntax_error(ThreadState& thread) {
  if (!thread.pending.is_string()) return;
  const std::string message(thread.pending.string()->view());
  const std::string details = details_of(thread, "syntax", message);
  if (!details.empty()) thread.pending = Value::of(string::make(thread.heap(), message + "\n" + details));
}

void remember_source(ThreadState& thread, std::string_view name, std::string_view text) {
  Value known = native::get_field(thread, thread.shared.registry, kSourcesKey);
  if (known.is_nil()) {
    known = Value::of(table::make(thread.heap()));
    native::set_field(thread, thread.shared.registry, kSourcesKey, known);
  }
  native::set_field(thread, known.table(), name, Value::of(string::make(thread.heap(), text)));
}

}  // namespace baton::program
