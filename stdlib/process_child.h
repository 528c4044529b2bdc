// One child process: starting it, its pipes, signals, reaping.
//
// Invariants
//  - A started child is reaped exactly once: by `reap`, by the destructor, which kills it first, or, if it was given up with
//    `abandon`, when the next child is started.
//  - It is waited for by its own descriptor (a pidfd), never by "any child", so several native threads and libraries can have
//    children at the same time. It inherits standard input, output, error and nothing else.
//  - Nothing is forked: posix_spawn costs the same whatever the size of our heap.
//  - A child whose terminal is not ours leads a process group, and signals go to the group: what it started ends with it.
// Owner: a native's local variable or a Process. Threading: under the GIL, except `start`.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace baton::stdlib {

// Where one of the child's standard descriptors leads.
enum class Redirection : std::uint8_t {
  kPipe,            // to us
  kInherit,         // where ours leads
  kNull,            // nowhere
  kText,            // input: `text`
  kFile,            // the file `text`; outputs: emptied first, or appended to
  kAppend,
  kDescriptor,      // what `descriptor` leads to
  kStandardOutput,  // errors: where output leads
};

struct Redirect {
  Redirection kind = Redirection::kInherit;
  std::string text;
  int descriptor = -1;
};

struct ChildRequest {
  std::vector<std::string> command;
  std::vector<std::string> environment;  // "NAME=value", all of it
  std::string folder;                    // empty: ours
  Redirect input, output, errors;
  int channel = -1;  // becomes descriptor 3, if there is one
};

class ChildProcess {
 public:
  ChildProcess() noexcept = default;
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // Starts it. Returns: 0, or the errno of what failed; then `culprit` names a file that was to blame, if it was one.
  // Raises: std::bad_alloc.
  int start(const ChildRequest& request, std::string* culprit);

  pid_t pid() const noexcept { return pid_; }
  // Readable once it has ended; -1 if the system has no such thing.
  int handle() const noexcept { return handle_; }
  // Our ends of its pipes, non-blocking; the caller owns what it takes. -1: none.
  int take_input() noexcept { return take(input_); }
  int take_output() noexcept { return take(output_); }
  int take_errors() noexcept { return take(errors_); }

  // Whether it has ended, reaped or not: until it is, signals still reach what it started. Raises: nothing.
  bool is_over() const noexcept;
  // Looks whether it has ended; never blocks. Returns: whether it has. Raises: nothing.
  bool reap() noexcept;
  bool has_ended() const noexcept { return ended_; }
  int wait_status() const noexcept { return status_; }
  // Gives the handle to the caller, who closes it; for who waits for it in a loop.
  int take_handle() noexcept { return take(handle_); }

  // Sends a signal to it and what it has started. Returns: 0 or an errno (ESRCH: it has ended).
  int send_signal(int number) noexcept;
  // It may go on without us: nobody asks for its end any more. Raises: nothing.
  void abandon() noexcept;

 private:
  static int take(int& descriptor) noexcept {
    const int taken = descriptor;
    descriptor = -1;
    return taken;
  }

  pid_t pid_ = -1;
  int status_ = 0;
  bool ended_ = false;
  bool leads_group_ = false;
  int handle_ = -1;
  int input_ = -1, output_ = -1, errors_ = -1;
};

}  // namespace baton::stdlib
