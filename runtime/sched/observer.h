// Who looks on while tasks take turns: a recording of their states (async.trace), and a watch over turns that take too long
// (async.debug).
//
// Invariant: schedulers ask one flag at each switch and come here only if somebody looks on.
// Owner: the ThreadGroup, one for all native threads of the runtime. Threading: under the GIL.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "vm/thread_state.h"

namespace baton::sched {

class Task;

enum class TaskChange : std::uint8_t { kReady, kRuns, kParked, kEnded };

// What a recording tells of one task: its life, a time for which it was ready, a time for which it waited.
struct TaskSegment {
  enum Kind : std::uint8_t { kLife, kReady, kParked };
  std::uint64_t task;
  Kind kind;
  std::int64_t from_ns, to_ns;
  const char* region;  // the operation it waited in, or null
};

class Observer {
 public:
  // Called with a task whose turn took longer than it should; it runs no script code.
  using Report = void (*)(ThreadState& thread, Task& task, std::int64_t turn_ns) noexcept;

  bool looks_on() const noexcept { return is_recording_ || report_ != nullptr; }

  // Begins a recording of at most `most` changes. Returns: false if there is one. Raises: nothing.
  bool start_recording(std::size_t most) noexcept;
  void stop_recording() noexcept;
  bool is_recording() const noexcept { return is_recording_; }
  // The recording until now. Raises: std::bad_alloc.
  std::vector<TaskSegment> segments() const;
  const std::unordered_map<std::uint64_t, std::string>& names() const noexcept { return names_; }
  std::size_t dropped() const noexcept { return dropped_; }

  // Turns of more than `slow_ns` are reported; null: no more. Raises: nothing.
  void watch_turns(std::int64_t slow_ns, Report report) noexcept {
    slow_ns_ = slow_ns;
    report_ = report;
  }

  // From the schedulers. Raises: nothing.
  void note(const Task& task, TaskChange change) noexcept;
  void note_turn(ThreadState& thread, Task& task, std::int64_t turn_ns) noexcept {
    if (report_ != nullptr && turn_ns > slow_ns_) report_(thread, task, turn_ns);
  }

 private:
  struct Change {
    std::uint64_t task;
    std::int64_t at_ns;
    const char* region;
    TaskChange change;
  };
  void remember(const Task& task, TaskChange change);

  bool is_recording_ = false;
  std::size_t most_ = 0;
  std::size_t dropped_ = 0;
  std::vector<Change> changes_;
  std::unordered_map<std::uint64_t, std::string> names_;
  std::int64_t slow_ns_ = 0;
  Report report_ = nullptr;
};

// The name of a task as people see it: as given, "task-N", or its native thread's. Raises: std::bad_alloc.
std::string name_of(const Task& task);

// What every task of the runtime does at this moment, with tracebacks. Takes: the GIL. Raises: std::bad_alloc.
std::string describe_all_tasks(ThreadState& thread);
// Writes that to standard error, where memory allows. Raises: nothing.
void dump_all_tasks(ThreadState& thread) noexcept;

}  // namespace baton::sched
