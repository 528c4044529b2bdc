#include "program.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "diagnostics.h"
#include "host/version.h"
#include "signals.h"
#include "stdlib/package.h"
#include "stdlib/process_worker.h"
#include "tool_scripts.h"

namespace baton::program {

void print_message(std::string_view message) {
  std::fflush(stdout);
  std::fprintf(stderr, "baton: %.*s\n", static_cast<int>(message.size()), message.data());
  std::fflush(stderr);
}

Status report(ThreadState& thread, Status status) {
  if (status != Status::kOk) print_message(host::pending_report(thread));
  return status;
}

Status interruptible_call(ThreadState& thread, int arguments, int wanted, int* result_count) {
  InterruptGuard guard(thread);
  const Root<Value> handler(thread.heap(), make_report_handler(thread));
  return vm::protected_call(thread, arguments, wanted, handler.value(), result_count);
}

namespace {

// Reports that a text did not compile, if so. Returns: loaded.
Status report_loading(ThreadState& thread, Status loaded) {
  if (loaded != Status::kOk) explain_syntax_error(thread);
  return report(thread, loaded);
}

// Runs the chunk on top of the stack, if loading it succeeded, and drops its results.
Status run_chunk(ThreadState& thread, Status loaded) {
  if (report_loading(thread, loaded) != Status::kOk) return loaded;
  int results = 0;
  return report(thread, interruptible_call(thread, 0, 0, &results));
}

Status run_text(ThreadState& thread, std::string_view text, const std::string& name) {
  remember_source(thread, std::string_view(name).substr(1), text);
  return run_chunk(thread, host::load(thread, text, name, "bt"));
}

void set_global(ThreadState& thread, std::string_view name, const Value& v) {
  native::set_field(thread, thread.shared.globals, name, v);
}

// arg[0] is the script, what follows it has positive indices, what stands before it negative ones.
void make_argument_table(ThreadState& thread, const Program& program) {
  Heap& heap = thread.heap();
  int script = program.options.script < program.argc ? program.options.script : 0;
  Table* arguments = table::make(heap, static_cast<std::uint32_t>(program.argc - script), static_cast<std::uint32_t>(script) + 1);
  for (int i = 0; i < program.argc; i++) {
    table::set_integer(heap, arguments, i - script, Value::of(string::make(heap, program.argv[i])));
  }
  set_global(thread, "arg", Value::of(arguments));
}

// -l mod, -l g=mod. "mod-suffix" goes into the variable "mod".
Status require_module(ThreadState& thread, const std::string& text) {
  std::size_t equals = text.find('=');
  std::string module = equals == std::string::npos ? text : text.substr(equals + 1);
  std::string variable = equals == std::string::npos ? text.substr(0, text.find('-')) : text.substr(0, equals);
  vm::push(thread, native::get_field(thread, thread.shared.globals, "require"));
  vm::push(thread, Value::of(string::make(thread.heap(), module)));
  int results = 0;
  Status status = interruptible_call(thread, 1, 1, &results);
  if (status == Status::kOk) set_global(thread, variable, *--thread.current->top);
  return report(thread, status);
}

Status run_actions(ThreadState& thread, const Options& options) {
  for (const Action& action : options.actions) {
    Status status = action.kind == Action::Kind::kExecute ? run_text(thread, action.text, "=(command line)")
                                                          : require_module(thread, action.text);
    if (status != Status::kOk) return status;
  }
  return Status::kOk;
}

// BATON_INIT, LUA_INIT_5_4 or LUA_INIT, the first that is set: code, or "@file".
Status run_init(ThreadState& thread) {
  for (const char* name : {"BATON_INIT", "LUA_INIT_5_4", "LUA_INIT"}) {
    const char* text = std::getenv(name);
    if (text == nullptr) continue;
    if (text[0] == '@') return run_chunk(thread, host::load_file(thread, text + 1, "bt"));
    return run_text(thread, text, std::string("=") + name);
  }
  return Status::kOk;
}

// Pushes arg[1], arg[2] ... Returns: how many, or -1 if `arg` is no table any more.
int push_script_arguments(ThreadState& thread) {
  const Value arguments = native::get_field(thread, thread.shared.globals, "arg");
  if (!arguments.is_table()) return -1;
  auto count = static_cast<int>(table::length(arguments.table()));
  for (int i = 1; i <= count; i++) vm::push(thread, *table::get_integer(arguments.table(), i));
  return count;
}

// The folder that modules of this script are looked for in first.
std::string folder_of(const std::string& path) {
  std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "" : path.substr(0, slash);
}

Status load_script(ThreadState& thread, const Program& program) {
  const char* path = program.options.script_is_stdin ? nullptr : program.argv[program.options.script];
  return host::load_file(thread, path, "bt");
}

Status run_script(ThreadState& thread, const Program& program) {
  if (!program.options.script_is_stdin) stdlib::add_module_folder(thread, folder_of(program.argv[program.options.script]));
  Status status = load_script(thread, program);
  if (report_loading(thread, status) != Status::kOk) return status;
  int count = push_script_arguments(thread);
  if (count < 0) {
    print_message("'arg' is not a table");
    return Status::kError;
  }
  int results = 0;
  return report(thread, interruptible_call(thread, count, 0, &results));
}

Status dump_script(ThreadState& thread, const Program& program) {
  bool given = program.options.script < program.argc;
  Status status = given ? load_script(thread, program) : host::load_file(thread, nullptr, "bt");
  if (report_loading(thread, status) != Status::kOk) return status;
  std::string text = host::disassemble((--thread.current->top)->closure());
  std::fwrite(text.data(), 1, text.size(), stdout);
  return Status::kOk;
}

// --check: compiles all files that are named, or standard input.
bool check_scripts(ThreadState& thread, const Program& program) {
  bool fine = true;
  int index = program.options.script;
  do {
    const bool named = index < program.argc && !program.options.script_is_stdin;
    const Status status = host::load_file(thread, named ? program.argv[index] : nullptr, "bt");
    if (report_loading(thread, status) == Status::kOk) --thread.current->top;
    else fine = false;
  } while (++index < program.argc);
  return fine;
}

// The sub-commands: each is a part of the program written in script, called with the words behind its name. Its function
// `main` returns the exit status's truth.
bool run_command(ThreadState& thread, const Program& program) {
  static constexpr const char* kParts[] = {nullptr, nullptr, "testing", "benchmark", "project", "reference"};
  int count = 0;
  for (int i = program.options.script + 1; i < program.argc; ++i, ++count) {
    vm::push(thread, Value::of(string::make(thread.heap(), program.argv[i])));
  }
  const Root<Value> handler(thread.heap(), make_report_handler(thread));
  const char* part = kParts[static_cast<int>(program.options.command)];
  if (report(thread, call_tool(thread, part, "main", count, 1, handler.value())) != Status::kOk) return false;
  return (--thread.current->top)->is_truthy();
}

// A script under --profile, and what is said about it at the end.
Status with_profile(ThreadState& thread, const Program& program, Status (*body)(ThreadState& thread, const Program& program)) {
  if (program.options.profile.empty()) return body(thread, program);
  vm::push(thread, Value::of(string::make(thread.heap(), program.options.profile)));
  if (report(thread, call_tool(thread, "profiling", "start", 1, 0)) != Status::kOk) return Status::kError;
  const Status status = body(thread, program);
  const Status closed = report(thread, call_tool(thread, "profiling", "finish", 0, 0));
  return status == Status::kOk ? closed : status;
}

void print_version() {
  std::printf("%s %s (%s)\n", host::kProductName, host::kVersion, host::kLanguageVersion);
  std::fflush(stdout);
}

// The prompt: lines are edited on a terminal, else read as they come; `kind` tells who asks.
void converse(ThreadState& thread, const char* kind) {
  vm::push(thread, Value::of(string::make(thread.heap(), kind)));
  const Root<Value> handler(thread.heap(), make_report_handler(thread));
  if (report(thread, call_tool(thread, "prompt", "main", 1, 1, handler.value())) != Status::kOk) return;
  if (!(--thread.current->top)->is_truthy()) run_interactive(thread);
}

// Without a script: interactive on a terminal, else the script is standard input.
bool run_without_script(ThreadState& thread, const Options& options) {
  if (options.interactive || !options.actions.empty() || options.show_version) return true;
  if (isatty(STDIN_FILENO) == 0) return run_chunk(thread, host::load_file(thread, nullptr, "bt")) == Status::kOk;
  print_version();
  converse(thread, "");
  return true;
}

bool run_all(ThreadState& thread, Program& program) {
  const Options& options = program.options;
  if (options.show_version) print_version();
  make_argument_table(thread, program);
  if (options.check) return check_scripts(thread, program);
  if (options.dump_bytecode) return dump_script(thread, program) == Status::kOk;
  if (!options.ignore_environment && run_init(thread) != Status::kOk) return false;
  if (run_actions(thread, options) != Status::kOk) return false;
  if (options.command == Command::kRepl) {
    if (isatty(STDIN_FILENO) != 0) print_version();
    converse(thread, "repl");
    return true;
  }
  if (options.command != Command::kNone) return run_command(thread, program);
  bool fine = options.script < program.argc ? with_profile(thread, program, run_script) == Status::kOk
                                            : run_without_script(thread, options);
  if (options.interactive && fine) converse(thread, "");
  return fine;
}

}  // namespace

namespace {

Status start_gil_report(ThreadState& thread, const Options& options) {
  if (!options.gil_stats && !options.gil_trace) return Status::kOk;
  thread.shared.before_exit = [](ThreadState& running) { finish_gil_report(running, nullptr); };
  vm::push(thread, Value::boolean(options.gil_stats));
  vm::push(thread, options.gil_trace ? Value::of(string::make(thread.heap(), *options.gil_trace)) : Value());
  return report(thread, call_tool(thread, "gil_report", "start", 2, 0));
}

}  // namespace

void finish_gil_report(ThreadState& thread, void*) {
  if (thread.shared.before_exit == nullptr) return;
  thread.shared.before_exit = nullptr;
  (void)report(thread, call_tool(thread, "gil_report", "finish", 0, 0));
}

void run_program(ThreadState& thread, void* context) {
  Program& program = *static_cast<Program*>(context);
  if (program.options.warnings) thread.shared.warnings_on = true;
  thread.heap().set_mode(CollectorMode::kGenerational);  // what scripts see as the old mode, as in `lua`
  if (program.options.time_limit_s > 0) start_time_limit(thread, program.options.time_limit_s);
  if (start_gil_report(thread, program.options) != Status::kOk) return;
  stdlib::set_worker_program(thread, "/proc/self/exe");
  if (program.options.is_worker) stdlib::serve_worker(thread);
  program.succeeded = program.options.is_worker || run_all(thread, program);
}

}  // namespace baton::program
