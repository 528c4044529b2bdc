// One child process from start to reaping: its pipes are pumped until it has ended and everything is read.
//
// Invariants
//  - A started child is reaped exactly once: by `pump` when it ends, or by the destructor, which kills it first.
//  - It is waited for by its own descriptor, never by "any child", so several native threads and libraries can have
//    children at the same time. All descriptors close on exec.
//  - Nothing here touches values: everything but the constructor's caller runs without the GIL.
// Owner: a local variable of process.run. Threading: one native thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace baton::stdlib {

enum class OutputTo : std::uint8_t { kCapture, kInherit, kDiscard, kStandardOutput };

struct ChildRequest {
  std::vector<std::string> command;
  std::vector<std::string> environment;  // "NAME=value", all of it
  std::string folder;                    // empty: ours
  std::string input;
  bool has_input = false;                // else standard input is ours
  OutputTo output = OutputTo::kCapture;
  OutputTo errors = OutputTo::kCapture;
};

class ChildProcess {
 public:
  explicit ChildProcess(const ChildRequest& request) noexcept : request_(request) {}
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // Starts it. Returns: 0, or the errno of what failed. Raises: std::bad_alloc.
  int start();

  enum class Pump : std::uint8_t { kEnded, kTimedOut, kWoken };
  // Feeds and reads until the child has ended and its outputs are at their end (`until_exit`: until it has ended), the
  // deadline has come, or `wake_descriptor` is readable or a signal came. Raises: std::bad_alloc.
  Pump pump(std::int64_t deadline_ns, int wake_descriptor, bool until_exit);

  // Sends a signal, if it has not ended. Raises: nothing.
  void send_signal(int number) noexcept;

  int wait_status() const noexcept { return status_; }
  const std::string& output() const noexcept { return output_; }
  const std::string& errors() const noexcept { return errors_; }

 private:
  class FileActions;
  int open_pipes() noexcept;
  int spawn();
  void feed() noexcept;
  static void drain(int& descriptor, std::string& text);
  void reap_if_ended() noexcept;

  const ChildRequest& request_;
  std::string output_, errors_;
  std::size_t fed_ = 0;
  pid_t pid_ = -1;
  int status_ = 0;
  bool ended_ = false;
  int handle_ = -1;  // pidfd; -1: the system has none
  int input_[2] = {-1, -1}, output_pipe_[2] = {-1, -1}, error_pipe_[2] = {-1, -1};  // reading end, writing end
};

}  // namespace baton::stdlib
