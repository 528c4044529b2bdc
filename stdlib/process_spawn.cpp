// process.spawn: a Process is a child whose pipes are Streams and whose end any task may wait for.
//
// Who waits takes what the child writes into the Streams' buffers unless somebody reads there, so waiting before reading is no
// deadlock. The end is noticed through the child's own descriptor, by whichever task looks first; that one reaps.
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <memory>

#include "host/blocking.h"
#include "loop/event_loop.h"
#include "net_stream.h"
#include "process_child.h"
#include "process_library.h"
#include "process_request.h"
#include "sched/wait.h"
#include "thread_library.h"
#include "vm/operations.h"

namespace baton::stdlib {

namespace {
constexpr std::int64_t kLookAgainNs = 10'000'000;  // where there is no descriptor for a child's end
}

bool wait_for_child(ThreadState& thread, const ChildProcess* child, const DescriptorStream* output,
                    const DescriptorStream* errors, std::int64_t deadline_ns, const char* what) {
  loop::EventLoop::Interest interests[3];
  std::size_t count = 0;
  if (child != nullptr && child->handle() >= 0) interests[count++] = {child->handle(), loop::Direction::kRead};
  for (const DescriptorStream* stream : {output, errors}) {
    if (stream != nullptr && !stream->is_closed()) interests[count++] = {stream->descriptor(), loop::Direction::kRead};
  }
  std::int64_t until = deadline_ns;
  if (child != nullptr && child->handle() < 0) until = std::min(until, monotonic_ns() + kLookAgainNs);
  int refusal = 0;
  const auto result = loop::EventLoop::of(thread).wait_for_any(thread, interests, count, until, what, &refusal);
  if (refusal != 0) raise(ErrorId::kMemory);
  return result == sched::WaitResult::kReady || until != deadline_ns;
}

void forget_handle(ThreadState& thread, ChildProcess& child) noexcept {
  if (const int handle = child.take_handle(); handle >= 0) close_descriptor(&thread.shared, handle);
}

void push_status(NativeCall& call, int status) {
  Table* result = table::make(call.heap(), 0, 8);
  call.push(Value::of(result));
  native::set_field(call.thread(), result, "ok", Value::boolean(WIFEXITED(status) && WEXITSTATUS(status) == 0));
  if (WIFEXITED(status)) native::set_field(call.thread(), result, "code", Value::from(std::int64_t{WEXITSTATUS(status)}));
  if (WIFSIGNALED(status)) native::set_field(call.thread(), result, "signal", Value::from(std::int64_t{WTERMSIG(status)}));
}

std::string status_text(int status) {
  return WIFEXITED(status) ? "exit code " + std::to_string(WEXITSTATUS(status)) : "signal " + std::to_string(WTERMSIG(status));
}

namespace {

constexpr const char* kProcessClass = "Process";
enum PipeSlot { kInput, kOutput, kErrors, kPipeCount };

struct Block {
  ChildProcess* child;
  SharedState* shared;
};

ChildProcess& check_process(NativeCall& call) { return *static_cast<Block*>(call.check_userdata(1, kProcessClass))->child; }

DescriptorStream* pipe_of(NativeCall& call, PipeSlot slot) {
  return static_cast<DescriptorStream*>(test_stream(call.thread(), call.slot(1).userdata()->user_values()[slot]));
}

bool has_ended(ThreadState& thread, ChildProcess& child) {
  if (!child.reap()) return false;
  forget_handle(thread, child);  // wakes others who wait for it
  return true;
}

// A pipe that this task may empty: open, and nobody reads there. What cannot be taken any more is left to its readers.
DescriptorStream* drained(DescriptorStream* stream) {
  if (stream == nullptr || stream->is_closed() || stream->has_reader()) return nullptr;
  return stream->drain() ? stream : nullptr;
}

int process_wait(NativeCall& call) {
  ChildProcess& child = check_process(call);
  const std::int64_t deadline = timeout_argument(call, 2);
  ThreadState& thread = call.thread();
  for (;;) {
    sched::before_wait(thread);
    if (has_ended(thread, child)) break;
    const DescriptorStream* output = drained(pipe_of(call, kOutput));
    const DescriptorStream* errors = drained(pipe_of(call, kErrors));
    if (!wait_for_child(thread, &child, output, errors, deadline, "process.wait")) {
      if (has_ended(thread, child)) break;
      return timeout_result(call);
    }
  }
  push_status(call, child.wait_status());
  return 1;
}

int signal_process(NativeCall& call, int number) {
  ChildProcess& child = check_process(call);
  const int error = has_ended(call.thread(), child) ? ESRCH : child.send_signal(number);
  if (error != 0) return call.failure_named(error, "process " + std::to_string(child.pid()));
  return call.result(Value::boolean(true));
}

int process_kill(NativeCall& call) { return signal_process(call, call.none_or_nil(2) ? SIGKILL : check_signal(call, 2)); }

int process_terminate(NativeCall& call) { return signal_process(call, SIGTERM); }

int process_close(NativeCall& call) {
  ChildProcess& child = check_process(call);
  ThreadState& thread = call.thread();
  for (const PipeSlot slot : {kInput, kOutput, kErrors}) {
    if (DescriptorStream* stream = pipe_of(call, slot)) stream->close(&thread);
  }
  if (has_ended(thread, child)) return call.result(Value::boolean(true));
  (void)child.send_signal(SIGKILL);
  if (child.handle() < 0) {
    host::Blocking released(thread, "process.close");
    while (!child.reap()) usleep(1000);
  }
  while (!has_ended(thread, child)) (void)wait_for_child(thread, &child, nullptr, nullptr, kNoDeadline, "process.close");
  return call.result(Value::boolean(true));
}

// Fields pid, stdin, stdout and stderr, else methods (upvalue 1).
int process_index(NativeCall& call) {
  const ChildProcess& child = check_process(call);
  const Value key = call.arg(2);
  if (key.is_string()) {
    const std::string_view name = key.string()->view();
    Value* pipes = call.arg(1).userdata()->user_values();
    if (name == "pid") return call.result(Value::from(std::int64_t{child.pid()}));
    if (name == "stdin") return call.result(pipes[kInput]);
    if (name == "stdout") return call.result(pipes[kOutput]);
    if (name == "stderr") return call.result(pipes[kErrors]);
  }
  return call.result(*table::get(call.upvalue(1).table(), key));
}

int process_to_string(NativeCall& call) {
  const ChildProcess& child = check_process(call);
  const std::string state = child.has_ended() ? status_text(child.wait_status()) : "running";
  return call.result_string("Process " + std::to_string(child.pid()) + " (" + state + ")");
}

const NativeInfo kMethods[] = {
    {"close", "Process:close() -> boolean",
     "Kills it, if it has not ended, and waits for that; closes its pipes.\n"
     "Waits: parks the task.",
     process_close},
    {"kill", "Process:kill(signal?: string|integer) -> boolean?",
     "Sends a signal, by name or number; without one SIGKILL.\n"
     "Fails: nil, message, code (ESRCH when it has ended).",
     process_kill},
    {"terminate", "Process:terminate() -> boolean?",
     "Asks it to end: SIGTERM.\n"
     "Fails: nil, message, code.",
     process_terminate},
    {"wait", "Process:wait(timeout?: number) -> table?",
     "Waits for its end: {ok, code, signal}; nil, \"timeout\", \"ETIMEDOUT\" if the timeout (seconds) comes first. What "
     "it wrote can be read afterwards.\n"
     "Waits: parks the task.",
     process_wait},
    {nullptr, nullptr, nullptr, nullptr},
};

const NativeInfo kMetamethods[] = {
    {"__close", "process:__close()", "Kills it at the end of the scope, if it has not ended.", process_close},
    {"__tostring", "tostring(process)", "Its number and state.", process_to_string},
    {nullptr, nullptr, nullptr, nullptr},
};

const NativeInfo kIndex = {"__index", "process[key]", "Fields pid, stdin, stdout, stderr, and the methods of a process.",
                           process_index};

Table* process_metatable(ThreadState& thread) {
  bool created = false;
  Table* metatable = native::class_metatable(thread, kProcessClass, &created);
  if (!created) return metatable;
  Table* methods = table::make(thread.heap());
  native::add_functions(thread, methods, kMethods);
  native::add_functions(thread, metatable, kMetamethods);
  const Value index = native::make(thread, &kIndex, 1);
  index.native()->upvalues()[0] = Value::of(methods);
  native::set_field(thread, metatable, "__index", index);
  return metatable;
}

// Nobody can ask for it any more: it may go on.
void release_process(void* block) noexcept {
  const auto [child, shared] = *static_cast<Block*>(block);
  if (const int handle = child->take_handle(); handle >= 0) close_descriptor(shared, handle);
  child->abandon();
  delete child;
}

void add_pipe(NativeCall& call, int process, PipeSlot slot, int descriptor) {
  if (descriptor < 0) return;
  push_stream(call, std::make_unique<DescriptorStream>(descriptor, false, &call.shared()));
  const Value stream = call.pop();
  Userdata* handle = call.slot(process).userdata();
  handle->user_values()[slot] = stream;
  call.heap().barrier(handle, stream);
}

}  // namespace

int process_spawn(NativeCall& call) {
  static constexpr const char* kOptions[] = {"stdin", "cwd", "env", "stdout", "stderr", nullptr};
  (void)call.check_table(1);
  const OptionTable options(call, 1, kOptions);
  const ChildRequest request = read_request(call, options, true);
  sched::before_wait(call.thread());
  auto child = std::make_unique<ChildProcess>();
  std::string culprit;
  int error;
  {
    host::Blocking released(call.thread(), "process.start");
    error = child->start(request, &culprit);
  }
  if (error != 0) return call.failure_named(error, culprit);
  Userdata* handle = userdata::make(call.heap(), sizeof(Block), kPipeCount);
  call.push(Value::of(handle));
  const int process = call.size();
  *static_cast<Block*>(handle->block()) = {child.release(), &call.shared()};
  handle->release = release_process;
  handle->metatable = process_metatable(call.thread());
  ChildProcess& started = *static_cast<Block*>(handle->block())->child;
  add_pipe(call, process, kInput, started.take_input());
  add_pipe(call, process, kOutput, started.take_output());
  add_pipe(call, process, kErrors, started.take_errors());
  call.set_size(process);
  return 1;
}

}  // namespace baton::stdlib
