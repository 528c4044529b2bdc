// process.on: signals become calls of script functions, in tasks of the native thread that asked.
//
// The handler writes the signal's number to a pipe of the runtime's; a task (of which the program's end takes no notice) reads
// it and spawns the functions. So a handler may do whatever a task may, and the program's own handling of SIGINT comes back
// when the last function for it is taken away.
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "async_library.h"
#include "loop/event_loop.h"
#include "process_library.h"
#include "sched/scheduler.h"
#include "sched/wait.h"
#include "vm/operations.h"

namespace baton::stdlib {
namespace {

constexpr const char* kHandlersKey = "_SIGNAL_HANDLERS";
constexpr int kSignals[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, SIGQUIT, SIGCHLD, SIGPIPE, SIGALRM, SIGCONT};

// Signals belong to the process: the pipe does too.
std::atomic<int> pipe_end{-1};
struct sigaction replaced[NSIG];
bool is_replaced[NSIG];

extern "C" void pass_on(int number) {
  const int saved = errno;
  const auto byte = static_cast<unsigned char>(number);
  [[maybe_unused]] const ssize_t written = write(pipe_end.load(std::memory_order_relaxed), &byte, 1);
  errno = saved;
}

int number_of(NativeCall& call, int i) {
  std::string_view name = call.check_text(i);
  for (const int number : kSignals) {
    const std::string_view known = sigabbrev_np(number);
    if (name == known || (name.substr(0, 3) == "SIG" && name.substr(3) == known)) return number;
  }
  call.argument_error(i, "unknown signal");
}

Table* handlers(NativeCall& call) {
  const Value known = native::get_field(call.thread(), call.shared().registry, kHandlersKey);
  if (known.is_table()) return known.table();
  Table* made = table::make(call.heap());
  native::set_field(call.thread(), call.shared().registry, kHandlersKey, Value::of(made));
  return made;
}

// The body of the task that reads the pipe (argument 1: its descriptor).
int dispatch_signals(NativeCall& call) {
  const auto descriptor = static_cast<int>(call.check_integer(1));
  for (;;) {
    sched::before_wait(call.thread());
    unsigned char number = 0;
    const ssize_t got = read(descriptor, &number, 1);
    if (got == 1) {
      const Value f = *table::get_integer(handlers(call), number);
      if (f.is_nil()) continue;
      sched::Scheduler& scheduler = sched::scheduler_of(call.thread());
      Userdata* handle = scheduler.create(call.thread(), f, sched::current_task(call.thread()));
      handle->metatable = task_metatable(call.thread());
      call.push(Value::of(handle));
      auto& task = *static_cast<sched::Task*>(handle->block());
      scheduler.add_argument(task, Value::of(string::make(call.heap(), std::string("SIG") + sigabbrev_np(number))));
      scheduler.start(task);
      (void)call.pop();
      continue;
    }
    int refusal = 0;
    (void)loop::EventLoop::of(call.thread()).wait_for(call.thread(), descriptor, loop::Direction::kRead, kNoDeadline, "signal",
                                                      &refusal);
    if (refusal != 0) return 0;
  }
}

constexpr NativeInfo kDispatch = {"signals", "signals(descriptor)", "Calls the functions given to process.on.", dispatch_signals};

// Makes the pipe and its reader, once in a process. Returns: 0 or an errno.
int open_pipe(NativeCall& call) {
  if (pipe_end.load(std::memory_order_relaxed) >= 0) return 0;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return errno;
  sched::Scheduler& scheduler = sched::scheduler_of(call.thread());
  Userdata* handle = scheduler.create(call.thread(), native::make(call.thread(), &kDispatch), scheduler.current());
  handle->metatable = task_metatable(call.thread());
  call.push(Value::of(handle));
  auto& task = *static_cast<sched::Task*>(handle->block());
  scheduler.add_argument(task, Value::from(std::int64_t{ends[0]}));
  scheduler.start(task);
  scheduler.make_daemon(task);
  (void)call.pop();
  pipe_end.store(ends[1], std::memory_order_relaxed);
  return 0;
}

}  // namespace

int check_signal(NativeCall& call, int i) {
  if (call.arg(i).is_number()) {
    const std::int64_t number = call.check_integer(i);
    if (number < 0 || number >= NSIG) call.argument_error(i, "unknown signal");
    return static_cast<int>(number);
  }
  std::string_view name = call.check_text(i);
  if (name.substr(0, 3) == "SIG") name.remove_prefix(3);
  for (int number = 1; number < NSIG; ++number) {
    const char* known = sigabbrev_np(number);
    if (known != nullptr && name == known) return number;
  }
  call.argument_error(i, "unknown signal");
}

int process_on(NativeCall& call) {
  const int number = number_of(call, 1);
  const bool removes = call.none_or_nil(2);
  if (!removes) call.check_function(2);
  if (const int error = open_pipe(call); error != 0) return call.failure_named(error, "cannot watch for signals");
  table::set_integer(call.heap(), handlers(call), number, call.arg(2));
  if (removes) {
    if (is_replaced[number]) sigaction(number, &replaced[number], nullptr);
    is_replaced[number] = false;
    return call.result(Value::boolean(true));
  }
  struct sigaction action = {};
  action.sa_handler = pass_on;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_ONSTACK | SA_RESTART;
  if (sigaction(number, &action, is_replaced[number] ? nullptr : &replaced[number]) != 0) return call.failure_named(errno, "");
  is_replaced[number] = true;
  return call.result(Value::boolean(true));
}

}  // namespace baton::stdlib
