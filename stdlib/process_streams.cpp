// Standard input, output and error as streams of tasks.
//
// Their descriptors are shared with other processes, so they are not made non-blocking: before each read or write the
// descriptor is asked whether it would block, and a write to what is no regular file is cut into pieces that a pipe takes whole.
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "loop/event_loop.h"
#include "process_library.h"
#include "sched/wait.h"
#include "stream.h"

namespace baton::stdlib {
namespace {

constexpr std::size_t kAtomicPipeWrite = 4096;

class StandardStream final : public ByteStream {
 public:
  explicit StandardStream(int descriptor) noexcept : descriptor_(descriptor) {
    struct stat information;
    is_file_ = fstat(descriptor, &information) == 0 && S_ISREG(information.st_mode);
  }

  bool fill(ThreadState& thread) override {
    sched::before_wait(thread);
    error_ = wait_until(thread, loop::Direction::kRead, POLLIN, "stdin.read");
    if (error_ != 0) return false;
    char bytes[kAtomicPipeWrite];
    ssize_t got;
    do got = ::read(descriptor_, bytes, sizeof bytes);
    while (got < 0 && errno == EINTR);
    if (got < 0) error_ = errno;
    if (got <= 0) return false;
    buffer_.append(bytes, static_cast<std::size_t>(got));
    return true;
  }

  int write(ThreadState& thread, std::string_view bytes) override {
    sched::before_wait(thread);
    std::fflush(descriptor_ == STDERR_FILENO ? stderr : stdout);  // what print has buffered comes first
    while (!bytes.empty()) {
      const int error = wait_until(thread, loop::Direction::kWrite, POLLOUT, "stdout.write");
      if (error != 0) return error;
      const std::size_t piece = is_file_ ? bytes.size() : std::min(bytes.size(), kAtomicPipeWrite);
      const ssize_t written = ::write(descriptor_, bytes.data(), piece);
      if (written < 0 && errno != EINTR && errno != EAGAIN) return errno;
      if (written > 0) bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return 0;
  }

  int shut_down(ThreadState&) override { return ENOTSOCK; }
  // The descriptor stays open: it belongs to the process.
  void close(ThreadState* thread) noexcept override {
    if (is_closed_) return;
    is_closed_ = true;
    if (thread != nullptr) loop::EventLoop::forget(*thread, descriptor_);
  }
  bool is_closed() const noexcept override { return is_closed_; }

 private:
  int wait_until(ThreadState& thread, loop::Direction direction, short events, const char* what) {
    for (;;) {
      if (is_closed_) return EBADF;
      pollfd entry{descriptor_, events, 0};
      if (is_file_ || poll(&entry, 1, 0) > 0) return 0;
      int refusal = 0;
      (void)loop::EventLoop::of(thread).wait_for(thread, descriptor_, direction, kNoDeadline, what, &refusal);
      if (refusal == EPERM) return 0;  // a kind of file that is always ready
      if (refusal != 0) return refusal;
    }
  }

  int descriptor_;
  bool is_file_ = false;
  bool is_closed_ = false;
};

// The one Stream of a descriptor, so that nothing buffered is lost between two calls.
int standard_stream(NativeCall& call, const char* key, int descriptor) {
  const Value known = native::get_field(call.thread(), call.shared().registry, key);
  if (!known.is_nil()) return call.result(known);
  push_stream(call, std::make_unique<StandardStream>(descriptor), false);
  const Value made = call.slot(call.size());
  native::set_field(call.thread(), call.shared().registry, key, made);
  return 1;
}

}  // namespace

int process_stdin(NativeCall& call) { return standard_stream(call, "_STDIN_STREAM", STDIN_FILENO); }
int process_stdout(NativeCall& call) { return standard_stream(call, "_STDOUT_STREAM", STDOUT_FILENO); }
int process_stderr(NativeCall& call) { return standard_stream(call, "_STDERR_STREAM", STDERR_FILENO); }

}  // namespace baton::stdlib
