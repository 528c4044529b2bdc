#include "net_stream.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <ctime>

#include "loop/event_loop.h"
#include "net_address.h"
#include "sched/wait.h"
#include "thread_scratch.h"

namespace baton::stdlib {
namespace {

constexpr std::size_t kLargestRead = 65536;

bool would_block(int error) noexcept { return error == EAGAIN || error == EWOULDBLOCK; }

// Counts a task that reads.
struct Reading {
  explicit Reading(int& readers) noexcept : count(readers) { ++count; }
  ~Reading() { --count; }
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;
  int& count;
};

// write() for what is no socket: a reader that is gone is EPIPE, not a signal.
long write_without_signal(int descriptor, std::string_view bytes) noexcept {
  sigset_t pipe_signal, before, pending;
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  sigpending(&pending);
  pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
  const long written = ::write(descriptor, bytes.data(), bytes.size());
  const int error = errno;
  if (written < 0 && error == EPIPE && sigismember(&pending, SIGPIPE) == 0) {
    const timespec now{0, 0};
    while (sigtimedwait(&pipe_signal, nullptr, &now) < 0 && errno == EINTR) {
    }
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return written;
}

}  // namespace

DescriptorStream::DescriptorStream(int descriptor, bool is_socket, SharedState* shared) noexcept
    : descriptor_(descriptor), shared_(shared), kind_(is_socket ? Kind::kSocket : Kind::kOther) {
  int domain = 0;
  socklen_t size = sizeof domain;
  if (is_socket && getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && (domain == AF_INET || domain == AF_INET6)) {
    kind_ = Kind::kTcp;
  }
}

void close_descriptor(SharedState* shared, int descriptor) noexcept {
  if (shared != nullptr) loop::EventLoop::forget(*shared, descriptor);
  ::close(descriptor);
}

DescriptorStream::Received DescriptorStream::receive(ThreadState& thread, std::int64_t deadline_ns, std::string_view* bytes) {
  error_ = EBADF;
  if (descriptor_ < 0) return Received::kFailed;
  loop::EventLoop* loop = kind_ == Kind::kTcp ? loop::EventLoop::existing(thread) : nullptr;
  if (loop == nullptr || loop->may_be_readable(descriptor_)) {
    long got;
    do got = ::read(descriptor_, thread_scratch<kLargestRead>(), kLargestRead);
    while (got < 0 && errno == EINTR);
    error_ = got < 0 ? errno : 0;
    if (got == 0) return Received::kEnd;
    if (got < 0 && !would_block(error_)) return Received::kFailed;
    if (loop != nullptr && got < static_cast<long>(kLargestRead)) loop->note_drained(descriptor_);
    if (got > 0) {
      *bytes = {thread_scratch<kLargestRead>(), static_cast<std::size_t>(got)};
      return Received::kBytes;
    }
  }
  shared_ = &thread.shared;
  int refusal = 0;
  const Reading reading(readers_);
  const auto result = loop::EventLoop::of(thread).wait_for(thread, descriptor_, loop::Direction::kRead, deadline_ns, "stream.read",
                                                           &refusal);
  error_ = result == sched::WaitResult::kTimedOut ? ETIMEDOUT : refusal;
  return error_ == 0 ? Received::kNothingYet : Received::kFailed;
}

bool DescriptorStream::fill(ThreadState& thread) {
  sched::before_wait(thread);
  for (;;) {
    std::string_view bytes;
    switch (receive(thread, kNoDeadline, &bytes)) {
      case Received::kNothingYet: continue;
      case Received::kBytes: buffer_.append(bytes); return true;
      default: return false;
    }
  }
}

bool DescriptorStream::drain() {
  while (descriptor_ >= 0) {
    const long got = ::read(descriptor_, thread_scratch<kLargestRead>(), kLargestRead);
    if (got > 0) buffer_.append(thread_scratch<kLargestRead>(), static_cast<std::size_t>(got));
    else if (got < 0 && errno == EINTR) continue;
    else return got < 0 && would_block(errno);
  }
  return false;
}

long DescriptorStream::put(std::string_view bytes) noexcept {
  if (is_socket()) return ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  return write_without_signal(descriptor_, bytes);
}

int DescriptorStream::wait_to_put(ThreadState& thread, std::int64_t deadline_ns) {
  shared_ = &thread.shared;
  int refusal = 0;
  const auto result = loop::EventLoop::of(thread).wait_for(thread, descriptor_, loop::Direction::kWrite, deadline_ns,
                                                           "stream.write", &refusal);
  return result == sched::WaitResult::kTimedOut ? ETIMEDOUT : refusal;
}

int DescriptorStream::write(ThreadState& thread, std::string_view bytes) {
  sched::before_wait(thread);
  while (!bytes.empty()) {
    if (descriptor_ < 0) return EBADF;
    const long written = put(bytes);
    if (written >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(written));
      continue;
    }
    if (errno == EINTR) continue;
    if (!would_block(errno)) return errno;
    const int refusal = wait_to_put(thread, kNoDeadline);
    if (refusal != 0) return refusal;
  }
  return 0;
}

int DescriptorStream::shut_down(ThreadState& thread) {
  if (!is_socket()) {
    close(&thread);
    return 0;
  }
  return ::shutdown(descriptor_, SHUT_WR) == 0 ? 0 : errno;
}

void DescriptorStream::close(ThreadState* thread) noexcept {
  if (descriptor_ < 0) return;
  const int descriptor = descriptor_;
  descriptor_ = -1;
  close_descriptor(thread != nullptr ? &thread->shared : shared_, descriptor);
}

int DescriptorStream::peer(std::string* host, int* port) const {
  if (!is_socket()) return ENOTSOCK;
  Address address;
  address.length = sizeof address.storage;
  if (getpeername(descriptor_, address.any(), &address.length) != 0) return errno;
  *host = address.host();
  *port = address.port();
  return 0;
}

}  // namespace baton::stdlib
