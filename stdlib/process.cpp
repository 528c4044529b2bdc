// The module process: running programs to their end, and facts about this process.
#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "all_modules.h"
#include "host/blocking.h"
#include "loop/event_loop.h"
#include "net_stream.h"
#include "process_channel.h"
#include "process_child.h"
#include "process_library.h"
#include "process_request.h"
#include "sched/wait.h"
#include "script_part.h"
#include "vm/call.h"
#include "vm/native.h"
#include "vm/operations.h"

extern char** environ;

namespace baton::stdlib {
namespace {

constexpr std::string_view kPool =
#include "process_pool.inc"
    ;

constexpr std::int64_t kGraceNs = 2'000'000'000;  // between asking a late child to end and killing it

// --- running ---------------------------------------------------------------------------------------------------------------

constexpr const char* kOptions[] = {"stdin", "timeout", "cwd", "env", "check", "stdout", "stderr", nullptr};

struct Run {
  ChildRequest request;
  std::int64_t deadline = kNoDeadline;
  bool check = false;
};

// A child with what it has written so far. Its end closes the pipes before it ends the child.
struct Running {
  Running(ThreadState& thread, ChildProcess& process) noexcept
      : thread(thread), child(process), output(child.take_output(), false), errors(child.take_errors(), false) {}
  ~Running() {
    output.close(&thread);
    errors.close(&thread);
    forget_handle(thread, child);
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  bool are_outputs_open() const noexcept { return !output.is_closed() || !errors.is_closed(); }

  ThreadState& thread;
  ChildProcess& child;
  DescriptorStream output, errors;
};

// Waits until the child is over (not reaped) and, unless `until_exit`, its outputs are at their end.
// Returns: false at the deadline.
bool wait_for(ThreadState& thread, Running& running, std::int64_t deadline, bool until_exit) {
  for (;;) {
    sched::before_wait(thread);
    const bool is_over = running.child.is_over();
    for (DescriptorStream* stream : {&running.output, &running.errors}) {
      if (!stream->drain()) stream->close(&thread);
    }
    if (is_over && (until_exit || !running.are_outputs_open())) return true;
    if (!wait_for_child(thread, is_over ? nullptr : &running.child, &running.output, &running.errors, deadline, "process.run")) {
      return false;
    }
  }
}

// Ends a child that is late: asks first.
void end_child(ThreadState& thread, Running& running) {
  (void)running.child.send_signal(SIGTERM);
  if (!wait_for(thread, running, monotonic_ns() + kGraceNs, true)) {
    (void)running.child.send_signal(SIGKILL);
    (void)wait_for(thread, running, kNoDeadline, true);
  }
  (void)running.child.send_signal(SIGKILL);  // it is not reaped yet: this reaches what it has left behind
}

void push_result(NativeCall& call, const ChildRequest& request, const Running& running) {
  push_status(call, running.child.wait_status());
  const Value result = call.slot(call.size());
  ThreadState& thread = call.thread();
  if (request.output.kind == Redirection::kPipe) {
    const Value text = Value::of(call.make_string(running.output.buffered()));
    native::set_field(thread, result.table(), "stdout", text);
  }
  if (request.errors.kind == Redirection::kPipe) {
    const Value text = Value::of(call.make_string(running.errors.buffered()));
    native::set_field(thread, result.table(), "stderr", text);
  }
}

std::string failure_text(const ChildRequest& request, const Running& running) {
  std::string text = "command '" + request.command.back() + "' failed: ";
  if (request.command[0] != "/bin/sh") text = "command '" + request.command[0] + "' failed: ";
  text += status_text(running.child.wait_status());
  std::string errors(running.errors.buffered());
  while (!errors.empty() && errors.back() == '\n') errors.pop_back();
  return errors.empty() ? text : text + "\n" + errors;
}

int late_results(NativeCall& call, const Run& run, const Running& running) {
  if (run.check) call.error("command '%s' failed: timeout", run.request.command[0].c_str());
  call.push(Value());
  call.push_string("timeout");
  call.push_string("ETIMEDOUT");
  push_result(call, run.request, running);
  return 4;
}

int run_to_end(NativeCall& call, const Run& run) {
  ChildProcess child;
  std::string culprit;
  int error;
  sched::before_wait(call.thread());
  {
    host::Blocking released(call.thread(), "process.start");
    error = child.start(run.request, &culprit);
  }
  if (error != 0) {
    const int results = call.failure_named(error, culprit);
    if (run.check) vm::raise_text(call.thread(), call.slot(call.size() - 1).string()->view());
    return results;
  }
  Running running(call.thread(), child);
  const bool in_time = wait_for(call.thread(), running, run.deadline, false);
  if (!in_time) end_child(call.thread(), running);
  (void)child.reap();
  if (!in_time) return late_results(call, run, running);
  const int status = child.wait_status();
  const bool fine = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  if (run.check && !fine) vm::raise_text(call.thread(), failure_text(run.request, running));
  push_result(call, run.request, running);
  return 1;
}

void read_run_options(const OptionTable& options, Run& run) {
  run.check = options.flag("check");
  const double timeout = options.number("timeout", HUGE_VAL);
  if (std::isnan(timeout)) options.mistake("timeout", "not a number");
  run.deadline = sched::deadline_after(timeout);
}

int process_run(NativeCall& call) {
  (void)call.check_table(1);
  const OptionTable options(call, 1, kOptions);
  Run run;
  run.request = read_request(call, options, false);
  read_run_options(options, run);
  return run_to_end(call, run);
}

int process_shell(NativeCall& call) {
  const OptionTable options(call, 2, kOptions);
  Run run;
  run.request = read_shell_request(call, options);
  read_run_options(options, run);
  return run_to_end(call, run);
}

// --- this process ----------------------------------------------------------------------------------------------------------

int process_executable(NativeCall& call) {
  char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path);
  if (length < 0) return call.failure_named(errno, "/proc/self/exe");
  return call.result_string({path, static_cast<std::size_t>(length)});
}

}  // namespace

int process_cpu_count(NativeCall& call) {
  cpu_set_t set;
  std::int64_t count = 0;
  if (sched_getaffinity(0, sizeof set, &set) == 0) count = CPU_COUNT(&set);
  if (count < 1) count = sysconf(_SC_NPROCESSORS_ONLN);
  return call.result(Value::from(count < 1 ? std::int64_t{1} : count));
}

namespace {

int process_pid(NativeCall& call) { return call.result(Value::from(std::int64_t{getpid()})); }

int process_env(NativeCall& call) {
  Table* result = table::make(call.heap());
  for (char** setting = environ; *setting != nullptr; ++setting) {
    const std::string_view text = *setting;
    const std::string_view name = name_of_setting(text);
    if (name.size() == text.size()) continue;
    native::set_field(call.thread(), result, name, Value::of(string::make(call.heap(), text.substr(name.size() + 1))));
  }
  return call.result(Value::of(result));
}

// A figure of "/proc/PID/status" in bytes; it stands there in kB. Returns: -1 if it is not there.
std::int64_t memory_figure(const std::string& path, const char* name) {
  std::FILE* file = std::fopen(path.c_str(), "re");
  if (file == nullptr) return -1;
  char line[256];
  long long kilobytes = -1;
  while (kilobytes < 0 && std::fgets(line, sizeof line, file) != nullptr) {
    const std::string_view text = line;
    const std::string_view wanted = name;
    if (text.substr(0, wanted.size()) == wanted) kilobytes = std::atoll(line + wanted.size());
  }
  std::fclose(file);
  return kilobytes < 0 ? -1 : kilobytes * 1024;
}

// User and system seconds from "/proc/PID/stat". Returns: whether there is such a process.
bool cpu_seconds(const std::string& path, double* user, double* system) {
  std::FILE* file = std::fopen(path.c_str(), "re");
  if (file == nullptr) return false;
  char text[1024];
  const std::size_t length = std::fread(text, 1, sizeof text - 1, file);
  std::fclose(file);
  text[length] = '\0';
  const char* rest = std::strrchr(text, ')');  // the name in front may hold anything
  unsigned long user_ticks = 0, system_ticks = 0;
  if (rest == nullptr ||
      std::sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user_ticks, &system_ticks) != 2) {
    return false;
  }
  const auto per_second = static_cast<double>(sysconf(_SC_CLK_TCK));
  *user = static_cast<double>(user_ticks) / per_second;
  *system = static_cast<double>(system_ticks) / per_second;
  return true;
}

double seconds_of(const timeval& time) { return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6; }

int process_usage(NativeCall& call) {
  const std::int64_t pid = call.optional_integer(1, getpid());
  const std::string folder = "/proc/" + std::to_string(pid);
  double user = 0, system = 0;
  if (pid <= 0 || !cpu_seconds(folder + "/stat", &user, &system)) return call.failure_named(ESRCH, std::to_string(pid));
  rusage own;
  if (pid == getpid() && getrusage(RUSAGE_SELF, &own) == 0) {
    user = seconds_of(own.ru_utime);
    system = seconds_of(own.ru_stime);
  }
  Table* result = table::make(call.heap(), 0, 4);
  call.push(Value::of(result));
  const std::int64_t rss = memory_figure(folder + "/status", "VmRSS:");
  const std::int64_t peak = memory_figure(folder + "/status", "VmHWM:");
  native::set_field(call.thread(), result, "rss", Value::from(rss < 0 ? 0 : rss));  // a zombie has none
  native::set_field(call.thread(), result, "peak", Value::from(peak < 0 ? 0 : peak));
  native::set_field(call.thread(), result, "user", Value::from(user));
  native::set_field(call.thread(), result, "system", Value::from(system));
  return 1;
}

const NativeInfo kFunctions[] = {
    {"cpu_count", "process.cpu_count() -> integer",
     "The number of processors that this process may use."
     R"lua(

print(process.cpu_count() >= 1)  --> true)lua",
     process_cpu_count},
    {"env", "process.env() -> table",
     "A table of the environment variables."
     R"lua(

print(type(process.env().PATH))  --> string)lua",
     process_env},
    {"executable", "process.executable() -> string",
     "The path of the running interpreter."
     R"lua(

print(process.executable():match "[^/]*$")  --> baton)lua",
     process_executable},
    {"on", "process.on(signal: string, f: function?)",
     "Calls f(signal) in a task whenever the signal comes (\"SIGTERM\", \"SIGHUP\" ...); nil: as it was before.\n"
     "Raises: \"unknown signal\"."
     R"lua(

process.on("SIGUSR1", function(name) print("got", name) end)
process.on("SIGUSR1", nil))lua",
     process_on},
    {"pid", "process.pid() -> integer",
     "The number of this process."
     R"lua(

print(process.pid() > 0)  --> true)lua",
     process_pid},
    {"queue", "process.queue(max?: integer) -> ProcessQueue?",
     "A queue of at most max values that can be sent to other processes.\n"
     "Fails: nil, message, code."
     R"lua(

local q = process.queue()
local w <close> = process.worker(function(channel, q) q:put("from a process") end, q)
print(q:get())  --> from a process)lua",
     process_queue},
    {"run", "process.run(command: table) -> table?",
     "Runs a program to its end, without a shell: {\"program\", \"argument\", ..., options}. Returns {ok, code, signal, "
     "stdout, stderr}. Options: stdin, the text it reads, {file=path}, an open file or stream, or false for nothing "
     "(default: our standard input); stdout and stderr: \"capture\" (default), \"inherit\", \"null\", {file=path, "
     "append=}, an open file or stream, and for stderr \"stdout\"; cwd, a folder; env: variables to set, or to remove "
     "(false), in its environment; timeout in seconds, after which it is killed; check=true raises whenever it does not end "
     "with exit code 0.\n"
     "Fails: nil, message, code if it cannot be started; nil, \"timeout\", \"ETIMEDOUT\" and the result so far.\n"
     "Raises: with check=true.\n"
     "Waits: parks the task."
     R"lua(

local result = process.run{"sh", "-c", "cat; exit 3", stdin = "text"}
print(result.ok, result.code, result.stdout)  --> false	3	text)lua",
     process_run},
    {"shared", "process.shared(bytes: integer) -> Shared?",
     "Memory that is sent to other processes without being copied: cells of 64 bits, counted from 1, or bytes.\n"
     "Fails: nil, message, code."
     R"lua(

local counter = process.shared(8)
local w <close> = process.worker(function(channel, counter) counter:add(1, 5) end, counter)
w:join()
print(counter:get(1))  --> 5)lua",
     process_shared},
    {"shell", "process.shell(command: string, options?: table) -> table?",
     "Runs a command line by /bin/sh; options and results as process.run.\n"
     "Fails: as process.run.\n"
     "Waits: parks the task."
     R"lua(

print(process.shell("echo one | tr o 0").stdout)  --> 0ne
-->)lua",
     process_shell},
    {"spawn", "process.spawn(command: table) -> Process?",
     "Starts a program: {\"program\", \"argument\", ..., options}. stdin, stdout and stderr are pipes, Streams of the "
     "Process, unless options stdin, stdout, stderr say otherwise (\"inherit\", \"null\", as process.run); cwd and env "
     "as there. Closing the Process kills it.\n"
     "Fails: nil, message, code if it cannot be started.\n"
     "Waits: parks the task."
     R"lua(

local p <close> = assert(process.spawn{"cat"})
p.stdin:write("hello\n")
print(p.stdout:read "l")  --> hello
p.stdin:close()
print(p:wait().code)      --> 0)lua",
     process_spawn},
    {"stderr", "process.stderr() -> Stream",
     "Standard error as a Stream."
     R"lua(

process.stderr():write("note\n")  --> stderr: note)lua",
     process_stderr},
    {"stdin", "process.stdin() -> Stream",
     "Standard input as a Stream: other tasks run while it is waited for."
     R"lua(

print(process.stdin():read "l")  --> nil)lua",
     process_stdin},
    {"stdout", "process.stdout() -> Stream",
     "Standard output as a Stream: unbuffered, behind what print wrote before."
     R"lua(

process.stdout():write("direct\n")  --> direct)lua",
     process_stdout},
    {"usage", "process.usage(pid?: integer) -> table?",
     "{rss, peak, user, system} of a process, ours by default: bytes of memory now and at most, seconds of CPU.\n"
     "Fails: nil, message, code."
     R"lua(

print(process.usage().rss > 0)  --> true)lua",
     process_usage},
    {nullptr, nullptr, nullptr, nullptr},
};

}  // namespace

Table* open_process(ThreadState& thread) {
  Table* library = table::make(thread.heap(), 0, 32);
  native::add_functions(thread, library, kFunctions);
  register_travellers(thread);
  run_script_part(thread, library, kWorkerNatives, kPool, "=process");
  return library;
}

}  // namespace baton::stdlib
