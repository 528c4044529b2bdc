#include "process_child.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "sched/wait.h"

namespace baton::stdlib {
namespace {

constexpr std::size_t kBlockBytes = 16 * 1024;  // on a fiber's stack
constexpr std::int64_t kPollWithoutHandleNs = 5'000'000;  // only where the system has no descriptors of processes

void close_descriptor(int& descriptor) noexcept {
  if (descriptor >= 0) close(descriptor);
  descriptor = -1;
}

void set_nonblocking(int descriptor) noexcept { fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK); }

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> result;
  result.reserve(texts.size() + 1);
  for (const std::string& text : texts) result.push_back(const_cast<char*>(text.c_str()));
  result.push_back(nullptr);
  return result;
}

// Writes without being killed when nobody reads: the signal is blocked and, if the write caused it, taken.
ssize_t write_without_signal(int descriptor, const char* bytes, std::size_t count) noexcept {
  sigset_t broken_pipe, before;
  sigemptyset(&broken_pipe);
  sigaddset(&broken_pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &broken_pipe, &before);
  const ssize_t written = write(descriptor, bytes, count);
  const int error = errno;
  if (written < 0 && error == EPIPE && sigismember(&before, SIGPIPE) == 0) {
    const timespec at_once = {0, 0};
    (void)sigtimedwait(&broken_pipe, nullptr, &at_once);
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return written;
}

int milliseconds_until(std::int64_t deadline_ns) noexcept {
  if (deadline_ns == kNoDeadline) return -1;
  const std::int64_t left = deadline_ns - monotonic_ns();
  if (left <= 0) return 0;
  return static_cast<int>(std::min<std::int64_t>((left + 999'999) / 1'000'000, 1'000'000'000));
}

}  // namespace

// What the child does with its descriptors before it becomes the command.
class ChildProcess::FileActions {
 public:
  FileActions() noexcept { posix_spawn_file_actions_init(&actions_); }
  ~FileActions() { posix_spawn_file_actions_destroy(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;

  void redirect(OutputTo to, int pipe_end, int descriptor) noexcept {
    if (to == OutputTo::kCapture) posix_spawn_file_actions_adddup2(&actions_, pipe_end, descriptor);
    if (to == OutputTo::kDiscard) posix_spawn_file_actions_addopen(&actions_, descriptor, "/dev/null", O_WRONLY, 0);
    if (to == OutputTo::kStandardOutput) posix_spawn_file_actions_adddup2(&actions_, STDOUT_FILENO, descriptor);
  }
  void read_from(int pipe_end) noexcept { posix_spawn_file_actions_adddup2(&actions_, pipe_end, STDIN_FILENO); }
  void change_folder(const char* folder) noexcept { posix_spawn_file_actions_addchdir_np(&actions_, folder); }
  const posix_spawn_file_actions_t* get() const noexcept { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

ChildProcess::~ChildProcess() {
  if (pid_ > 0 && !ended_) {
    kill(pid_, SIGKILL);
    while (waitpid(pid_, &status_, 0) < 0 && errno == EINTR) {
    }
  }
  for (int* pipe : {input_, output_pipe_, error_pipe_}) {
    close_descriptor(pipe[0]);
    close_descriptor(pipe[1]);
  }
  close_descriptor(handle_);
}

int ChildProcess::open_pipes() noexcept {
  if (request_.has_input && pipe2(input_, O_CLOEXEC) != 0) return errno;
  if (request_.output == OutputTo::kCapture && pipe2(output_pipe_, O_CLOEXEC) != 0) return errno;
  if (request_.errors == OutputTo::kCapture && pipe2(error_pipe_, O_CLOEXEC) != 0) return errno;
  for (int end : {input_[1], output_pipe_[0], error_pipe_[0]}) {
    if (end >= 0) set_nonblocking(end);
  }
  return 0;
}

// The child begins with no signal blocked, whatever this native thread blocks.
int ChildProcess::spawn() {
  std::vector<char*> arguments = pointers(request_.command);
  std::vector<char*> environment = pointers(request_.environment);
  FileActions actions;
  if (request_.has_input) actions.read_from(input_[0]);
  actions.redirect(request_.output, output_pipe_[1], STDOUT_FILENO);
  actions.redirect(request_.errors, error_pipe_[1], STDERR_FILENO);
  if (!request_.folder.empty()) actions.change_folder(request_.folder.c_str());
  sigset_t none, broken_pipe;
  sigemptyset(&none);
  sigemptyset(&broken_pipe);
  sigaddset(&broken_pipe, SIGPIPE);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &broken_pipe);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = -1;
  const int error = posix_spawnp(&pid, arguments[0], actions.get(), &attributes, arguments.data(), environment.data());
  posix_spawnattr_destroy(&attributes);
  if (error == 0) pid_ = pid;
  return error;
}

int ChildProcess::start() {
  int error = open_pipes();
  if (error == 0) error = spawn();
  if (error != 0) return error;
  close_descriptor(input_[0]);
  close_descriptor(output_pipe_[1]);
  close_descriptor(error_pipe_[1]);
  handle_ = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
  return 0;
}

void ChildProcess::send_signal(int number) noexcept {
  if (!ended_) kill(pid_, number);
}

void ChildProcess::feed() noexcept {
  while (fed_ < request_.input.size()) {
    const ssize_t count = write_without_signal(input_[1], request_.input.data() + fed_, request_.input.size() - fed_);
    if (count < 0 && errno == EAGAIN) return;
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) break;  // it reads no more
    fed_ += static_cast<std::size_t>(count);
  }
  close_descriptor(input_[1]);
}

// Reads what is there; closes the pipe at its end.
void ChildProcess::drain(int& descriptor, std::string& text) {
  char block[kBlockBytes];
  while (descriptor >= 0) {
    const ssize_t count = read(descriptor, block, sizeof block);
    if (count > 0) text.append(block, static_cast<std::size_t>(count));
    else if (count < 0 && errno == EINTR) continue;
    else if (count < 0 && errno == EAGAIN) return;
    else close_descriptor(descriptor);
  }
}

void ChildProcess::reap_if_ended() noexcept {
  pid_t result;
  do {
    result = waitpid(pid_, &status_, WNOHANG);
  } while (result < 0 && errno == EINTR);
  if (result != 0) ended_ = true;
}

ChildProcess::Pump ChildProcess::pump(std::int64_t deadline_ns, int wake_descriptor, bool until_exit) {
  for (;;) {
    if (input_[1] >= 0) feed();
    drain(output_pipe_[0], output_);
    drain(error_pipe_[0], errors_);
    if (!ended_) reap_if_ended();
    const bool at_end = output_pipe_[0] < 0 && error_pipe_[0] < 0;
    if (ended_ && (at_end || until_exit)) {
      drain(output_pipe_[0], output_);
      drain(error_pipe_[0], errors_);
      return Pump::kEnded;
    }
    if (deadline_ns != kNoDeadline && monotonic_ns() >= deadline_ns) return Pump::kTimedOut;
    pollfd watched[] = {{input_[1], POLLOUT, 0},
                        {output_pipe_[0], POLLIN, 0},
                        {error_pipe_[0], POLLIN, 0},
                        {ended_ ? -1 : handle_, POLLIN, 0},
                        {wake_descriptor, POLLIN, 0}};
    int limit = milliseconds_until(deadline_ns);
    if (handle_ < 0 && !ended_) {
      const int often = milliseconds_until(monotonic_ns() + kPollWithoutHandleNs);
      limit = limit < 0 ? often : std::min(limit, often);
    }
    if (poll(watched, std::size(watched), limit) < 0 && errno == EINTR) return Pump::kWoken;
    if (watched[4].revents != 0) return Pump::kWoken;
  }
}

}  // namespace baton::stdlib
