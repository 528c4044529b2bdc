// The module process: running programs, and facts about this process.
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <csignal>
#include <optional>

#include "all_modules.h"
#include "host/blocking.h"
#include "option_table.h"
#include "process_child.h"
#include "process_library.h"
#include "sched/native_thread.h"
#include "sched/wait.h"
#include "vm/native.h"
#include "vm/operations.h"

extern char** environ;

namespace baton::stdlib {
namespace {

constexpr std::int64_t kGraceNs = 2'000'000'000;  // between asking a late child to end and killing it

// --- the request -----------------------------------------------------------------------------------------------------------

// A text for the operating system. Raises: "NUL character".
std::string system_text(NativeCall& call, const std::string& what, const Value& v) {
  if (!v.is_string() && !v.is_number()) {
    call.argument_error(1, (what + ": string expected, got " + vm::type_name(call.shared(), v)).c_str());
  }
  const String* text = v.is_string() ? v.string() : vm::number_to_string(call.heap(), v);
  if (text->view().find('\0') != std::string_view::npos) call.argument_error(1, (what + ": contains a NUL character").c_str());
  return std::string(text->view());
}

std::vector<std::string> read_command(NativeCall& call, Table* request) {
  std::vector<std::string> command;
  const std::uint64_t count = table::length(request);
  for (std::uint64_t i = 1; i <= count; ++i) {
    const Value word = *table::get_integer(request, static_cast<std::int64_t>(i));
    command.push_back(system_text(call, "element " + std::to_string(i) + " of the command", word));
  }
  if (command.empty() || command[0].empty()) call.argument_error(1, "the command is empty");
  return command;
}

std::string_view name_of(std::string_view setting) { return setting.substr(0, setting.find('=')); }

// Our environment, changed by the option `env`: a text sets a variable, false removes it.
std::vector<std::string> read_environment(NativeCall& call, const Table* changes) {
  std::vector<std::string> result;
  for (char** setting = environ; *setting != nullptr; ++setting) result.emplace_back(*setting);
  std::uint64_t position = 0;
  Value key, value;
  while (changes != nullptr && table::next_at(changes, position, key, value)) {
    const std::string name = system_text(call, "name in option 'env'", key);
    if (name.empty() || name.find('=') != std::string::npos) call.argument_error(1, "option 'env': invalid name");
    std::erase_if(result, [&](const std::string& setting) { return name_of(setting) == name; });
    if (value.tag != Tag::kFalse) result.push_back(name + "=" + system_text(call, "option 'env': '" + name + "'", value));
  }
  return result;
}

OutputTo read_output(const OptionTable& options, const char* name, bool may_join) {
  const String* text = options.text(name);
  if (text == nullptr || text->view() == "capture") return OutputTo::kCapture;
  if (text->view() == "inherit") return OutputTo::kInherit;
  if (text->view() == "null") return OutputTo::kDiscard;
  if (may_join && text->view() == "stdout") return OutputTo::kStandardOutput;
  options.mistake(name, "invalid value '" + std::string(text->view()) + "'");
}

// Refuses what is neither an option nor an element of the command.
void check_keys(NativeCall& call, const Table* request) {
  std::uint64_t position = 0;
  Value key, value;
  while (table::next_at(request, position, key, value)) {
    if (!key.is_string() && !key.is_integer()) call.argument_error(1, "keys must be options or positions");
  }
}

// --- running ---------------------------------------------------------------------------------------------------------------

struct Run {
  ChildRequest request;
  std::int64_t deadline = kNoDeadline;
  bool check = false;
};

Run read_request(NativeCall& call) {
  static constexpr const char* kOptions[] = {"stdin", "timeout", "cwd", "env", "check", "stdout", "stderr", nullptr};
  Table* table = call.check_table(1);
  const OptionTable options(call, 1, kOptions);
  check_keys(call, table);
  Run run;
  run.request.command = read_command(call, table);
  run.request.environment = read_environment(call, options.table("env"));
  if (options.text("cwd") != nullptr) run.request.folder = system_text(call, "option 'cwd'", options.get("cwd"));
  if (const String* input = options.text("stdin")) {
    run.request.input = input->view();
    run.request.has_input = true;
  }
  run.request.output = read_output(options, "stdout", false);
  run.request.errors = read_output(options, "stderr", true);
  run.check = options.flag("check");
  const double timeout = options.number("timeout", HUGE_VAL);
  if (std::isnan(timeout)) options.mistake("timeout", "not a number");
  run.deadline = sched::deadline_after(timeout);
  return run;
}

// Pumps until the end or the deadline, delivering what is asked of this native thread meanwhile.
// Returns: whether the child has ended.
bool wait_for(NativeCall& call, ChildProcess& child, std::int64_t deadline, bool until_exit) {
  sched::NativeThread& self = sched::native_thread_of(call.thread());
  const int wake = self.wake_descriptor();
  for (;;) {
    sched::before_wait(call.thread());
    ChildProcess::Pump pumped;
    {
      host::Blocking released(call.thread(), "process.run");
      pumped = child.pump(deadline, wake, until_exit);
    }
    if (pumped != ChildProcess::Pump::kWoken) return pumped == ChildProcess::Pump::kEnded;
    self.drain_wake();
  }
}

// Ends a child that is late: asks first.
void end_child(NativeCall& call, ChildProcess& child) {
  child.send_signal(SIGTERM);
  if (wait_for(call, child, monotonic_ns() + kGraceNs, true)) return;
  child.send_signal(SIGKILL);
  (void)wait_for(call, child, kNoDeadline, true);
}

void push_result(NativeCall& call, const ChildRequest& request, const ChildProcess& child) {
  ThreadState& thread = call.thread();
  Table* result = table::make(call.heap(), 0, 8);
  call.push(Value::of(result));
  const int status = child.wait_status();
  native::set_field(thread, result, "ok", Value::boolean(WIFEXITED(status) && WEXITSTATUS(status) == 0));
  if (WIFEXITED(status)) native::set_field(thread, result, "code", Value::from(std::int64_t{WEXITSTATUS(status)}));
  if (WIFSIGNALED(status)) native::set_field(thread, result, "signal", Value::from(std::int64_t{WTERMSIG(status)}));
  if (request.output == OutputTo::kCapture) {
    native::set_field(thread, result, "stdout", Value::of(string::make(call.heap(), child.output())));
  }
  if (request.errors == OutputTo::kCapture) {
    native::set_field(thread, result, "stderr", Value::of(string::make(call.heap(), child.errors())));
  }
}

std::string failure_text(const ChildRequest& request, const ChildProcess& child) {
  const int status = child.wait_status();
  std::string text = "command '" + request.command[0] + "' failed: ";
  text += WIFEXITED(status) ? "exit code " + std::to_string(WEXITSTATUS(status)) : "signal " + std::to_string(WTERMSIG(status));
  std::string errors = child.errors();
  while (!errors.empty() && errors.back() == '\n') errors.pop_back();
  return errors.empty() ? text : text + "\n" + errors;
}

// The folder, if that is what could not be found, else the command.
const std::string& culprit(const ChildRequest& request) {
  struct stat information;
  const bool folder_is_missing = !request.folder.empty() && stat(request.folder.c_str(), &information) != 0;
  return folder_is_missing ? request.folder : request.command[0];
}

// nil, message, name; or raises the message.
int start_failure(NativeCall& call, const Run& run, int error) {
  const int results = call.failure_named(error, culprit(run.request));
  if (run.check) vm::raise_text(call.thread(), call.slot(call.size() - 1).string()->view());
  return results;
}

int process_run(NativeCall& call) {
  const Run run = read_request(call);
  ChildProcess child(run.request);
  int error;
  {
    host::Blocking released(call.thread(), "process.start");
    error = child.start();
  }
  if (error != 0) return start_failure(call, run, error);
  const bool in_time = wait_for(call, child, run.deadline, false);
  if (!in_time) end_child(call, child);
  if (in_time) {
    const int status = child.wait_status();
    const bool fine = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (run.check && !fine) vm::raise_text(call.thread(), failure_text(run.request, child));
    push_result(call, run.request, child);
    return 1;
  }
  if (run.check) call.error("command '%s' failed: timeout", run.request.command[0].c_str());
  call.push(Value());
  call.push_string("timeout");
  call.push_string("ETIMEDOUT");
  push_result(call, run.request, child);
  return 4;
}

// --- this process ----------------------------------------------------------------------------------------------------------

int process_executable(NativeCall& call) {
  char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path);
  if (length < 0) return call.failure_named(errno, "/proc/self/exe");
  return call.result_string({path, static_cast<std::size_t>(length)});
}

int process_cpu_count(NativeCall& call) {
  cpu_set_t set;
  std::int64_t count = 0;
  if (sched_getaffinity(0, sizeof set, &set) == 0) count = CPU_COUNT(&set);
  if (count < 1) count = sysconf(_SC_NPROCESSORS_ONLN);
  return call.result(Value::from(count < 1 ? std::int64_t{1} : count));
}

int process_pid(NativeCall& call) { return call.result(Value::from(std::int64_t{getpid()})); }

int process_env(NativeCall& call) {
  Table* result = table::make(call.heap());
  for (char** setting = environ; *setting != nullptr; ++setting) {
    const std::string_view text = *setting;
    const std::string_view name = name_of(text);
    if (name.size() == text.size()) continue;
    native::set_field(call.thread(), result, name, Value::of(string::make(call.heap(), text.substr(name.size() + 1))));
  }
  return call.result(Value::of(result));
}

const NativeInfo kFunctions[] = {
    {"cpu_count", "process.cpu_count()", "The number of processors that this process may use.", process_cpu_count},
    {"env", "process.env()", "A table of the environment variables.", process_env},
    {"executable", "process.executable()", "The path of the running interpreter.", process_executable},
    {"on", "process.on(signal, f)",
     "Calls f(signal) in a task whenever the signal comes (\"SIGTERM\", \"SIGHUP\" ...); nil: as it was before.", process_on},
    {"pid", "process.pid()", "The number of this process.", process_pid},
    {"run", "process.run{\"command\", \"argument\", ..., stdin=, timeout=, cwd=, env=, check=, stdout=, stderr=}",
     "Runs a program to its end and returns {ok, code, signal, stdout, stderr}. No shell is involved. stdin: the text it "
     "reads (default: our standard input); env: variables to set, or to remove (false), in its environment; stdout, stderr: "
     "\"capture\" (default), \"inherit\", \"null\", and for stderr \"stdout\". Returns nil, message, code if it cannot be "
     "started, and nil, \"timeout\", \"ETIMEDOUT\" and the result so far if it was ended after timeout seconds. check=true "
     "raises whenever it does not end with exit code 0.",
     process_run},
    {"stderr", "process.stderr()", "Standard error as a Stream.", process_stderr},
    {"stdin", "process.stdin()", "Standard input as a Stream: other tasks run while it is waited for.", process_stdin},
    {"stdout", "process.stdout()", "Standard output as a Stream.", process_stdout},
    {nullptr, nullptr, nullptr, nullptr},
};

}  // namespace

Table* open_process(ThreadState& thread) {
  Table* library = table::make(thread.heap(), 0, 8);
  native::add_functions(thread, library, kFunctions);
  return library;
}

}  // namespace baton::stdlib
