// Watching files and folders: one inotify descriptor for each watch, waited for like a socket.
#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <deque>
#include <utility>

#include "birthplace.h"
#include "fs_job.h"
#include "loop/event_loop.h"
#include "sched/wait.h"
#include "thread_library.h"

namespace baton::stdlib {
namespace {

constexpr const char* kWatchClass = "FileWatch";

struct Change {
  std::string path;
  const char* kind;
};

struct FileWatch {
  int descriptor = -1;
  Birthplace birthplace;
  SharedState* shared = nullptr;  // of who has waited for it
  std::string path;
  std::deque<Change> changes;

  void close() noexcept {
    if (descriptor < 0) return;
    const int closed = std::exchange(descriptor, -1);
    if (shared != nullptr) loop::EventLoop::forget(*shared, closed);
    ::close(closed);
  }

  // Takes what the system has told. Returns: 0, or an errno (EAGAIN: nothing).
  int collect() {
    alignas(inotify_event) char bytes[4096];
    const ssize_t got = read(descriptor, bytes, sizeof bytes);
    if (got < 0) return errno;
    for (ssize_t at = 0; at < got;) {
      const auto* event = reinterpret_cast<const inotify_event*>(bytes + at);
      at += static_cast<ssize_t>(sizeof *event + event->len);
      note(*event);
    }
    return 0;
  }

 private:
  static const char* kind_of(std::uint32_t mask) noexcept {
    if ((mask & (IN_CREATE | IN_MOVED_TO)) != 0) return "created";
    if ((mask & (IN_DELETE | IN_DELETE_SELF | IN_MOVED_FROM | IN_MOVE_SELF)) != 0) return "removed";
    if ((mask & (IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB)) != 0) return "changed";
    return (mask & IN_Q_OVERFLOW) != 0 ? "overflow" : nullptr;
  }

  void note(const inotify_event& event) {
    const char* kind = kind_of(event.mask);
    if (kind == nullptr) return;
    std::string subject = event.len > 0 ? path + "/" + event.name : path;
    // Several writes in a row are one change until somebody has looked.
    if (!changes.empty() && changes.back().path == subject && std::strcmp(changes.back().kind, kind) == 0) return;
    changes.push_back({std::move(subject), kind});
  }
};

FileWatch& any_watch(NativeCall& call) { return **static_cast<FileWatch**>(call.check_userdata(1, kWatchClass)); }

int next_change(NativeCall& call, std::int64_t deadline_ns) {
  FileWatch& watch = any_watch(call);
  sched::before_wait(call.thread());
  while (watch.changes.empty()) {
    if (watch.descriptor < 0) return call.result(Value());
    const int error = watch.collect();
    if (error == 0 || error == EINTR) continue;
    if (error != EAGAIN) return call.failure_named(error, watch.path);
    int refusal = 0;
    watch.shared = &call.thread().shared;
    const auto result = loop::EventLoop::of(call.thread()).wait_for(call.thread(), watch.descriptor, loop::Direction::kRead,
                                                                    deadline_ns, "fs.watch", &refusal);
    if (refusal != 0) return call.failure_named(refusal, watch.path);
    if (result == sched::WaitResult::kTimedOut) return timeout_result(call);
  }
  const Change change = std::move(watch.changes.front());
  watch.changes.pop_front();
  Table* result = table::make(call.heap(), 0, 2);
  call.push(Value::of(result));
  native::set_field(call.thread(), result, "path", Value::of(string::make(call.heap(), change.path)));
  native::set_field(call.thread(), result, "kind", Value::of(string::make(call.heap(), change.kind)));
  return 1;
}

int watch_next(NativeCall& call) { return next_change(call, timeout_argument(call, 2)); }
int watch_call(NativeCall& call) { return next_change(call, kNoDeadline); }

int watch_close(NativeCall& call) {
  any_watch(call).close();
  return call.result(Value::boolean(true));
}

const NativeInfo kMethods[] = {
    {"close", "FileWatch:close()",
     "Ends the watch.",
     watch_close},
    {"next", "FileWatch:next(timeout?: number) -> table?",
     "Waits for the next change: {path=, kind=\"created\"|\"changed\"|\"removed\"}. nil, \"timeout\", "
     "\"ETIMEDOUT\" when late; nil when closed.\n"
     "Waits: parks the task.",
     watch_next},
    {nullptr, nullptr, nullptr, nullptr},
};

const NativeInfo kMetamethods[] = {
    {"__call", "watch()", "The next change.", watch_call},
    {"__close", "watch:__close()", "Ends the watch at the end of its scope.", watch_close},
    {nullptr, nullptr, nullptr, nullptr},
};

Table* watch_metatable(ThreadState& thread) {
  return native::class_with_methods(thread, kWatchClass, kMethods, kMetamethods);
}

}  // namespace

int fs_watch(NativeCall& call) {
  auto watch = std::make_unique<FileWatch>();
  watch->path = path_argument(call, 1);
  watch->descriptor = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (watch->descriptor < 0) return call.failure_named(errno, watch->path);
  constexpr std::uint32_t kEvents = IN_CREATE | IN_DELETE | IN_MODIFY | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF;
  if (inotify_add_watch(watch->descriptor, watch->path.c_str(), kEvents) < 0) {
    const int error = errno;
    watch->close();
    return call.failure_named(error, watch->path);
  }
  while (watch->path.size() > 1 && watch->path.back() == '/') watch->path.pop_back();
  watch->birthplace.note(call);
  Userdata* handle = userdata::make(call.heap(), sizeof(FileWatch*));
  call.push(Value::of(handle));
  *static_cast<FileWatch**>(handle->block()) = watch.release();
  handle->release = [](void* block) noexcept {
    FileWatch* owned = *static_cast<FileWatch**>(block);
    if (owned->descriptor >= 0) owned->birthplace.complain("FileWatch");
    owned->close();
    delete owned;
  };
  handle->metatable = watch_metatable(call.thread());
  const Value iterator = call.pop();
  call.push(iterator);
  call.push(Value());
  call.push(Value());
  call.push(iterator);
  return 4;
}

}  // namespace baton::stdlib
