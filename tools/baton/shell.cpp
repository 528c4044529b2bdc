// What the prompt and the sub-commands need of the program: running a function so that Ctrl-C ends it and nothing else, texts
// of natives, what the command line said.
#include <cstdio>
#include <string>

#include "diagnostics.h"
#include "host/version.h"
#include "program.h"
#include "signals.h"
#include "stdlib/package.h"
#include "tool_scripts.h"

namespace baton::program {
namespace {

// run(f, ...): true and f's results, or false, the report of its error and the error. SIGINT raises "interrupted!" in f.
int shell_run(NativeCall& call) {
  call.check_any(1);
  int results = 0;
  const int base = call.size() - call.count();
  const Status status = interruptible_call(call.thread(), call.count() - 1, kMultipleResults, &results);
  if (status == Status::kOk) {
    call.push(Value::boolean(true));
    Value* top = call.coroutine()->top;
    for (int i = 0; i < results; ++i) top[-1 - i] = top[-2 - i];
    top[-1 - results] = Value::boolean(true);
    return results + 1;
  }
  call.set_size(base);
  const std::string report = host::pending_report(call.thread());
  call.push(Value::boolean(false));
  call.push_string(report);
  call.push(last_error(call.thread()));
  return 3;
}

// add_folder(path): modules are looked for there first.
int shell_add_folder(NativeCall& call) {
  stdlib::add_module_folder(call.thread(), std::string(call.check_text(1)));
  return 0;
}

// load(text, name): a function, or nil, its message, and the message with excerpt and hints.
int shell_load(NativeCall& call) {
  const std::string text(call.check_text(1));
  const std::string name(call.check_text(2));
  if (host::load(call.thread(), text, name, "t") == Status::kOk) return 1;
  const std::string message = host::pending_report(call.thread());
  call.push(Value());
  call.push_string(message);
  return 2;
}

// explain(message): the message of a text that did not compile, with excerpt and hints.
int shell_explain(NativeCall& call) {
  call.thread().pending = Value::of(call.check_string(1));
  explain_syntax_error(call.thread());
  const std::string text = host::pending_report(call.thread());
  call.thread().pending.set_nil();
  return call.result_string(text);
}

int shell_remember(NativeCall& call) {
  remember_source(call.thread(), call.check_text(1), call.check_text(2));
  return 0;
}

// about(f): usage and text of a native, nil for other values; and the name under which it is found in the loaded modules.
int shell_about(NativeCall& call) {
  const Value f = call.arg(1);
  if (f.is_native()) {
    const NativeInfo* info = f.native()->info;
    call.push_string(info->signature != nullptr ? info->signature : info->name);
    call.push_string(info->text != nullptr ? info->text : "");
  } else {
    call.push(Value());
    call.push(Value());
  }
  call.push_string(host::function_name(call.thread(), f));
  return 3;
}

int shell_version(NativeCall& call) {
  return call.result_string(std::string(host::kProductName) + " " + host::kVersion + " (" + host::kLanguageVersion + ")");
}

int shell_disassemble(NativeCall& call) {
  const Value f = call.check_function(1);
  if (!f.is_closure()) call.argument_error(1, "script function expected");
  return call.result_string(host::disassemble(f.closure()));
}

// keep_interrupts(yes): SIGINT ends statements, however many come, and never the program.
int shell_keep_interrupts(NativeCall& call) {
  keep_interrupts(call.truthy(1));
  return 0;
}

int shell_flush(NativeCall&) {
  std::fflush(stdout);
  std::fflush(stderr);
  return 0;
}

const NativeInfo kShell[] = {
    {"about", "about(f)", "Usage and text of a native.", shell_about},
    {"add_folder", "add_folder(path)", "Modules are looked for there first.", shell_add_folder},
    {"disassemble", "disassemble(f)", "The instructions of a function.", shell_disassemble},
    {"explain", "explain(message)", "A message of the compiler with excerpt and hints.", shell_explain},
    {"flush", "flush()", "Writes what is buffered.", shell_flush},
    {"keep_interrupts", "keep_interrupts(yes)", "Whether SIGINT never ends the program.", shell_keep_interrupts},
    {"load", "load(text, name)", "A function, or nil and a message.", shell_load},
    {"remember", "remember(name, text)", "Keeps a text for messages.", shell_remember},
    {"run", "run(f, ...)", "Runs a function, interruptible.", shell_run},
    {"version", "version()", "Name and version of the program.", shell_version},
    {nullptr, nullptr, nullptr, nullptr},
};

}  // namespace

Table* open_shell(ThreadState& thread) {
  Table* t = table::make(thread.heap());
  vm::push(thread, Value::of(t));
  native::add_functions(thread, t, kShell);
  --thread.current->top;
  return t;
}

}  // namespace baton::program
