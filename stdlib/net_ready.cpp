// async.wait_readable and async.wait_writable: waiting for descriptors that other libraries own.
#include <poll.h>

#include <cerrno>

#include "async_library.h"
#include "loop/event_loop.h"
#include "thread_library.h"

namespace baton::stdlib {
namespace {

bool is_ready(int descriptor, short events) noexcept {
  pollfd entry{descriptor, events, 0};
  return poll(&entry, 1, 0) != 0;  // errors too: whoever uses it next will see them
}

// Whose descriptor it is may close it at any time, and its number be used again: the loop must not go on watching it.
class Watch {
 public:
  Watch(ThreadState& thread, int descriptor) noexcept : thread_(thread), descriptor_(descriptor) {}
  ~Watch() { loop::EventLoop::forget(thread_, descriptor_); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

 private:
  ThreadState& thread_;
  int descriptor_;
};

int wait_ready(NativeCall& call, loop::Direction direction, short events) {
  const std::int64_t descriptor = call.check_integer(1);
  if (descriptor < 0 || descriptor > INT32_MAX) call.argument_error(1, "invalid descriptor");
  const std::int64_t deadline_ns = timeout_argument(call, 2);
  sched::before_wait(call.thread());
  const int number = static_cast<int>(descriptor);
  if (is_ready(number, events)) return call.result(Value::boolean(true));
  const Watch watch(call.thread(), number);
  while (!is_ready(number, events)) {
    int error = 0;
    loop::EventLoop& loop = loop::EventLoop::of(call.thread());
    const auto result = loop.wait_for(call.thread(), number, direction, deadline_ns, "async.wait", &error);
    if (error != 0) return call.failure_named(error, "cannot wait for the descriptor");
    if (result == sched::WaitResult::kTimedOut) return timeout_result(call);
  }
  return call.result(Value::boolean(true));
}

}  // namespace

int async_wait_readable(NativeCall& call) { return wait_ready(call, loop::Direction::kRead, POLLIN); }
int async_wait_writable(NativeCall& call) { return wait_ready(call, loop::Direction::kWrite, POLLOUT); }

}  // namespace baton::stdlib
