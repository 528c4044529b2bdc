// Workers: the natives with which process_pool.script starts and feeds them, and the program that a worker process runs.
//
// A worker is the same binary with an internal option. It finds one end of a socket pair as descriptor 3; standard output and
// error are free. It takes frames in order: functions are decoded once and kept under their numbers, calls are answered
// one by one, each answer written before the next call begins. So when a worker dies, the first call without an answer is
// the one that may have run, and the calls behind it have not: they can be given to others without running twice.
//
// When the parent is gone the socket says so at once (POLLHUP). A thread of the operating system watches for that, since
// the worker may be computing; it leaves half a second for an orderly end.
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "all_modules.h"
#include "async_library.h"
#include "host/blocking.h"
#include "loop/event_loop.h"
#include "net_stream.h"
#include "process_channel.h"
#include "process_library.h"
#include "process_request.h"
#include "process_worker.h"
#include "sched/scheduler.h"
#include "sched/thread_group.h"
#include "sync/os_thread.h"
#include "thread_library.h"
#include "vm/call.h"
#include "vm/operations.h"

namespace baton::stdlib {
namespace {

constexpr int kWorkerDescriptor = 3;
constexpr unsigned kAnyFrame = ~0u;
constexpr const char* kProgramKey = "_WORKER_PROGRAM";
constexpr const char* kBlobClass = "Message";
constexpr useconds_t kOrderlyEndUs = 500'000;
constexpr std::size_t kWatcherStackBytes = 512 * 1024;

// --- messages as values ------------------------------------------------------------------------------------------------------

struct Blob {
  host::Message* message;
};

host::Message& check_blob(NativeCall& call, int i) { return *static_cast<Blob*>(call.check_userdata(i, kBlobClass))->message; }

host::Message& push_blob(NativeCall& call) {
  Userdata* handle = userdata::make(call.heap(), sizeof(Blob));
  static_cast<Blob*>(handle->block())->message = new host::Message();
  handle->release = [](void* block) noexcept { delete static_cast<Blob*>(block)->message; };
  handle->metatable = native::class_metatable(call.thread(), kBlobClass);
  call.push(Value::of(handle));
  return *static_cast<Blob*>(handle->block())->message;
}

// encode(what, ...): a message of the values; encode_function(f): of a function, whose upvalues stand in front in refusals.
int core_encode(NativeCall& call) {
  const std::string what(call.check_text(1));
  const int last = call.count();
  host::Message message;
  encode_arguments(call, 2, last, {what.c_str()}, message);
  push_blob(call) = std::move(message);
  return 1;
}

int core_encode_function(NativeCall& call) {
  host::Message message;
  encode_arguments(call, 1, 1, {"argument", true}, message);
  push_blob(call) = std::move(message);
  return 1;
}

// same(a, b): whether two messages have the same bytes (and no descriptors).
int core_same(NativeCall& call) {
  const host::Message& a = check_blob(call, 1);
  const host::Message& b = check_blob(call, 2);
  return call.result(Value::boolean(a.bytes.view() == b.bytes.view() && a.descriptors.empty() && b.descriptors.empty()));
}

int core_size(NativeCall& call) { return call.result(Value::from(static_cast<std::int64_t>(check_blob(call, 1).bytes.size()))); }

// --- the parent's side -------------------------------------------------------------------------------------------------------

// start(): a worker process, as a channel to it.
int core_start(NativeCall& call) {
  const Value program = native::get_field(call.thread(), call.shared().registry, kProgramKey);
  if (!program.is_string()) call.error("this program has not named a program for workers");
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return call.failure_named(errno, "");
  for (int& end : ends) {
    const int high = fcntl(end, F_DUPFD_CLOEXEC, kWorkerDescriptor + 1);
    close(end);
    end = high;
  }
  auto channel = std::make_unique<Channel>(call.shared(), ends[0]);
  (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
  ChildRequest request;
  request.command = {std::string(program.string()->view()), kWorkerOption};
  const std::size_t memory_limit = call.heap().statistics().bytes_limit;  // holds for workers too
  if (memory_limit != SIZE_MAX) request.command.push_back("--max-memory=" + std::to_string(memory_limit));
  request.environment = read_environment(call, nullptr, 1);
  request.input.kind = Redirection::kNull;
  request.channel = ends[1];
  channel->child = std::make_unique<ChildProcess>();
  std::string culprit;
  int error = ends[0] < 0 || ends[1] < 0 ? EMFILE : 0;
  if (error == 0) {
    host::Blocking released(call.thread(), "process.start");
    error = channel->child->start(request, &culprit);
  }
  if (ends[1] >= 0) close(ends[1]);
  if (error != 0) return call.failure_named(error, culprit);
  push_channel(call, std::move(channel));
  return 1;
}

int core_pid(NativeCall& call) {
  const Channel& channel = check_channel(call, 1);
  return call.result(Value::from(std::int64_t{channel.child != nullptr ? channel.child->pid() : getpid()}));
}

// post(channel, kind, number, id, message): appends a frame. Returns whether there is another end.
int core_post(NativeCall& call) {
  Channel& channel = check_channel(call, 1);
  const auto kind = static_cast<FrameKind>(call.check_integer(2));
  const host::Message& message = check_blob(call, 5);
  const int error = channel.post(kind, static_cast<std::uint32_t>(call.check_integer(3)),
                                 static_cast<std::uint64_t>(call.check_integer(4)), message.bytes.view(), message.descriptors);
  return call.result(Value::boolean(error == 0));
}

// finish(channel): nothing more will be sent.
int core_finish(NativeCall& call) {
  Channel& channel = check_channel(call, 1);
  (void)channel.post(FrameKind::kEnd, 0, 0, "", {});
  if (channel.flush() == EAGAIN) write_later(call, call.arg(1));
  return 0;
}

int core_flush(NativeCall& call) {
  Channel& channel = check_channel(call, 1);
  if (channel.flush() == EAGAIN) write_later(call, call.arg(1));
  return 0;
}

// receive(channel, kinds[, timeout]): kind, id, number, values; nil at the end; false at the timeout.
int core_receive(NativeCall& call) {
  Channel& channel = check_channel(call, 1);
  const auto kinds = static_cast<unsigned>(call.check_integer(2));
  Frame frame;
  bool ended = false;
  if (channel.receive(call.thread(), kinds, timeout_argument(call, 3), frame, &ended) == sched::WaitResult::kTimedOut) {
    return call.result(Value::boolean(false));
  }
  if (ended) return call.result(Value());
  call.push(Value::from(static_cast<std::int64_t>(frame.header.kind)));
  call.push(Value::from(static_cast<std::int64_t>(frame.header.id)));
  call.push(Value::from(std::int64_t{frame.header.number}));
  if (frame.bytes.empty()) return 3;
  std::string problem;
  const int count = host::decode_bytes(call.thread(), frame.bytes, frame.descriptors, host::GlobalsPolicy::kKeep, problem);
  if (count >= 0) return 3 + count;
  call.slot(call.size() - 2) = Value::from(static_cast<std::int64_t>(FrameKind::kError));
  call.push_string(problem);
  return 4;
}

// reap(channel[, kill]): waits for the worker's end; returns "signal 9" or "exit code 1", and the exit code.
int core_reap(NativeCall& call) {
  Channel& channel = check_channel(call, 1);
  ThreadState& thread = call.thread();
  ChildProcess& child = *channel.child;
  if (call.truthy(2)) (void)child.send_signal(SIGKILL);
  while (!child.reap()) (void)wait_for_child(thread, &child, nullptr, nullptr, kNoDeadline, "worker.end");
  forget_handle(thread, child);
  call.push_string(status_text(child.wait_status()));
  call.push(WIFEXITED(child.wait_status()) ? Value::from(std::int64_t{WEXITSTATUS(child.wait_status())}) : Value());
  return 2;
}

int core_kill(NativeCall& call) {
  Channel& channel = check_channel(call, 1);
  return call.result(Value::boolean(channel.child != nullptr && channel.child->send_signal(SIGKILL) == 0));
}

// reject(future, error, story): its error, and how it came about in the other process.
int core_reject(NativeCall& call) {
  auto& future = *static_cast<sched::Future*>(call.check_userdata(1, kFutureClass));
  if (future.has_ended()) return 0;
  if (call.arg(3).is_string()) {
    Userdata* handle = future.handle();
    handle->user_values()[1] = call.arg(3);
    call.heap().barrier(handle, call.arg(3));
  }
  (void)future.settle(call.heap(), sched::ThreadStatus::kFailed, call.arg(2));
  return 0;
}

// report(text): an error that nobody took; the program's exit status says so.
int core_report(NativeCall& call) {
  const std::string_view text = call.check_text(1);
  sched::group_of(call.shared()).report_error("%.*s", static_cast<int>(text.size()), text.data());
  return 0;
}

int core_remember(NativeCall& call) {
  if (call.arg(2).is_string()) {
    sched::current_task(call.thread()).remember_story(call.arg(1), std::string(call.arg(2).string()->view()));
  }
  return 0;
}

int core_daemon(NativeCall& call) {
  auto& task = *static_cast<sched::Task*>(call.check_userdata(1, kTaskClass));
  if (!task.has_ended()) task.scheduler().make_daemon(task);
  return 0;
}

}  // namespace

const NativeInfo kWorkerNatives[] = {
    {"daemon", "daemon(task)", "The program does not wait for this task.", core_daemon},
    {"encode", "encode(what, ...)", "A message of the values.", core_encode},
    {"encode_function", "encode_function(f)", "A message of a function.", core_encode_function},
    {"finish", "finish(channel)", "Nothing more will be sent.", core_finish},
    {"flush", "flush(channel)", "Writes what was posted.", core_flush},
    {"kill", "kill(channel)", "Kills the worker.", core_kill},
    {"pid", "pid(channel)", "The worker's number.", core_pid},
    {"post", "post(channel, kind, number, id, message)", "Appends a frame.", core_post},
    {"reap", "reap(channel [, kill])", "Waits for the worker's end.", core_reap},
    {"receive", "receive(channel, kinds [, timeout])", "The next frame of these kinds.", core_receive},
    {"reject", "reject(future, error, story)", "Ends a future with another process's error.", core_reject},
    {"report", "report(text)", "Tells of an error that nobody took.", core_report},
    {"remember", "remember(error, story)", "Keeps how an error came about.", core_remember},
    {"same", "same(a, b)", "Whether two messages are equal.", core_same},
    {"size", "size(message)", "Its bytes.", core_size},
    {"start", "start()", "A worker process: the channel to it.", core_start},
    {nullptr, nullptr, nullptr, nullptr},
};

void set_worker_program(ThreadState& thread, std::string_view path) {
  native::set_field(thread, thread.shared.registry, kProgramKey, Value::of(string::make(thread.heap(), path)));
}

// --- the worker's side -------------------------------------------------------------------------------------------------------

namespace {

void watch_parent(void*) noexcept {
  pollfd entry{kWorkerDescriptor, 0, 0};
  while (poll(&entry, 1, -1) < 0 && errno == EINTR) {
  }
  usleep(kOrderlyEndUs);
  _exit(1);
}

enum Slots { kChannelSlot = 1, kFunctionsSlot, kSetupSlot, kSlotCount };

// Loads what the parent says about itself: {path =, cpath =, arg =, gives_channel =}.
void set_up(NativeCall& call, const Table* setup) {
  ThreadState& thread = call.thread();
  const Value package = native::get_field(thread, call.shared().loaded, "package");
  for (const char* field : {"path", "cpath"}) {
    const Value path = native::get_field(thread, const_cast<Table*>(setup), field);
    if (package.is_table() && path.is_string()) native::set_field(thread, package.table(), field, path);
  }
  const Value arguments = native::get_field(thread, const_cast<Table*>(setup), "arg");
  if (arguments.is_table()) native::set_field(thread, call.shared().globals, "arg", arguments);
}

// Writes an answer: the last `count` values, or their kind of failure. Returns: whether there still is a parent.
bool answer(NativeCall& call, Channel& channel, FrameKind kind, std::uint64_t id, std::uint32_t time, int count) {
  host::Message message;
  std::string refusal;
  bool fine = host::encode(call.thread(), call.thread().current->top - count, count, {"result"}, message, refusal);
  if (!fine && kind == FrameKind::kError) {  // an error that cannot travel arrives as its text
    call.slot(call.size() - 1) = Value::of(vm::to_string(call.thread(), call.slot(call.size() - 1)));
    fine = host::encode(call.thread(), call.thread().current->top - count, count, {"error"}, message, refusal);
  } else if (!fine) {
    kind = FrameKind::kError;
    call.push_string("cannot send: " + refusal);
    fine = host::encode(call.thread(), call.thread().current->top - 1, 1, {"error"}, message, refusal);
  }
  int error = channel.post(kind, time, id, message.bytes.view(), message.descriptors);
  if (error == 0) error = channel.flush();
  if (error == EAGAIN) error = channel.wait_written(call.thread(), 0);
  return fine && error == 0;
}

// to_string may call script code, so it is done as a call of its own.
int error_text(NativeCall& call) { return call.result(Value::of(vm::to_string(call.thread(), call.arg(1)))); }
constexpr NativeInfo kErrorText = {"error_text", "error_text(e)", "The text of an error that cannot travel.", error_text};

// The error in thread.pending and its story, as two values on the window.
void push_error(NativeCall& call) {
  const Value error = call.thread().pending;
  call.push(error);
  std::string story(sched::current_task(call.thread()).story_of(error));
  if (!story.empty()) story += "\nin process " + std::to_string(getpid());
  call.push_string(story);
  if (error.is_string() || error.is_table() || error.is_nil() || error.is_number() || error.is_boolean()) return;
  const int place = call.size() - 1;
  call.push(native::make(call.thread(), &kErrorText));
  call.push(error);
  int results = 0;
  if (call_protected(call.thread(), 1, &results) == Status::kOk && results > 0) call.slot(place) = call.slot(call.size());
  call.set_size(place + 1);
}

bool run_call(NativeCall& call, Channel& channel, Frame& frame, bool gives_channel) {
  const int floor = call.size();
  const std::int64_t began = monotonic_ns();
  const Value f = *table::get_integer(call.slot(kFunctionsSlot).table(), frame.header.number);
  call.push(f);
  if (gives_channel) call.push(call.slot(kChannelSlot));
  std::string problem;
  const int count = host::decode_bytes(call.thread(), frame.bytes, frame.descriptors, host::GlobalsPolicy::kDefine, problem);
  Status status = Status::kError;
  int results = 0;
  if (count < 0) call.thread().pending = Value::of(string::make(call.heap(), problem));
  else if (f.is_string()) call.thread().pending = f;  // why it could not be read
  else status = call_protected(call.thread(), count + (gives_channel ? 1 : 0), &results);
  const std::int64_t took = std::min<std::int64_t>((monotonic_ns() - began) / 1000, UINT32_MAX);
  if (status != Status::kOk) {
    call.set_size(floor);
    push_error(call);
    results = 2;
  }
  const bool goes_on = answer(call, channel, status == Status::kOk ? FrameKind::kResult : FrameKind::kError, frame.header.id,
                              static_cast<std::uint32_t>(took), results);
  call.set_size(floor);
  return goes_on;
}

// Decoding may run a module's code, which may raise: protected.
int decode_function(NativeCall& call) {
  auto& frame = *static_cast<Frame*>(call.arg(1).pointer);
  std::string problem;
  const int count = host::decode_bytes(call.thread(), frame.bytes, frame.descriptors, host::GlobalsPolicy::kDefine, problem);
  if (count != 1) call.error("%s", count < 0 ? problem.c_str() : "malformed message");
  return 1;
}
constexpr NativeInfo kDecodeFunction = {"decode", "decode(frame)", "The function in a frame.", decode_function};

void define_function(NativeCall& call, Frame& frame) {
  const int floor = call.size();
  call.push(native::make(call.thread(), &kDecodeFunction));
  call.push(Value::light(&frame));
  int results = 0;
  Value f;
  if (call_protected(call.thread(), 1, &results) == Status::kOk) f = call.slot(call.size());
  else f = Value::of(vm::to_string(call.thread(), call.thread().pending));
  table::set_integer(call.heap(), call.slot(kFunctionsSlot).table(), frame.header.number, f);
  call.set_size(floor);
}

// The worker's program: takes frames until the end.
int serve(NativeCall& call) {
  call.set_size(0);
  push_channel(call, std::make_unique<Channel>(call.shared(), kWorkerDescriptor));
  call.push(Value::of(table::make(call.heap())));
  call.push(Value());
  Channel& channel = channel_of(call.slot(kChannelSlot));
  bool gives_channel = false;
  for (;;) {
    Frame frame;
    bool ended = false;
    constexpr unsigned kOwn = kAnyFrame & ~(1u << static_cast<unsigned>(FrameKind::kMessage));
    (void)channel.receive(call.thread(), kOwn, kNoDeadline, frame, &ended);
    if (ended || frame.header.kind == FrameKind::kEnd) return 0;
    if (frame.header.kind == FrameKind::kSetup) {
      std::string problem;
      const int count = host::decode_bytes(call.thread(), frame.bytes, frame.descriptors, host::GlobalsPolicy::kDefine, problem);
      if (count != 1 || !call.slot(call.size()).is_table()) return 0;
      const Value setup = call.slot(call.size());
      set_up(call, setup.table());
      gives_channel = native::get_field(call.thread(), setup.table(), "gives_channel").is_truthy();
      call.set_size(kSetupSlot);
      (void)channel.post(FrameKind::kReady, 0, 0, "", {});
      if (channel.wait_written(call.thread(), 0) != 0) return 0;
    } else if (frame.header.kind == FrameKind::kFunction) {
      define_function(call, frame);
    } else if (frame.header.kind == FrameKind::kCall) {
      if (!run_call(call, channel, frame, gives_channel)) return 0;
      if (gives_channel) return 0;  // its one call
    }
  }
}
constexpr NativeInfo kServe = {"serve", "serve()", "What a worker process does.", serve};

}  // namespace

void serve_worker(ThreadState& thread) {
  if (fcntl(kWorkerDescriptor, F_GETFL) < 0) return;
  (void)fcntl(kWorkerDescriptor, F_SETFL, O_NONBLOCK);
  (void)fcntl(kWorkerDescriptor, F_SETFD, FD_CLOEXEC);
  std::signal(SIGINT, SIG_IGN);  // Ctrl-C is the parent's affair
  set_current_thread_name("baton worker");
  static OsThread watcher;
  if (watcher.start("baton watcher", kWatcherStackBytes, nullptr, watch_parent, nullptr) != 0) return;  // it would outlive us
  watcher.detach();
  register_travellers(thread);  // the module itself is opened when a job asks for it
  vm::push(thread, native::make(thread, &kServe));
  vm::call(thread, 0, 0);
}

}  // namespace baton::stdlib
