// A sampling profiler: at every tick, where all native threads and tasks of a runtime are.
//
// Invariants
//  - One per runtime at a time. Samples are taken by whoever holds the GIL, at a safepoint, so that all stacks stand still.
//  - What is counted is time, not ticks: a sample stands for the time since the one before, so all samples of a thread add up to
//    the time of the profile.
//  - Prototypes that occur in it are roots: an address names one function for as long as the profile lives.
// Owner: the script's object. Threading: under the GIL, except the body of its own thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "sync/futex.h"
#include "sync/gil.h"
#include "sync/os_thread.h"
#include "vm/thread_state.h"

namespace baton::sched {
class Task;
}

namespace baton::stdlib {

class Sampler final : public RootVisitor {
 public:
  enum State : std::uint8_t { kRunning, kWaitsForLock, kWaits, kStateCount };

  struct Frame {
    std::string name;    // "parse", "string.rep", "task 'io'", "sleep"
    std::string source;  // chunk name for display; empty for natives and labels
    std::int64_t line = 0;  // where the function begins
  };
  // One path of calls: `parent` is its caller's, 0 the tree's root. Ordered by age, so a parent comes first.
  struct Node {
    std::uint32_t parent;
    std::uint32_t frame;
    std::uint32_t thread;  // index in threads()
    State state;
    std::uint64_t samples = 0;   // that ended here
    std::int64_t self_ns = 0;
  };
  struct Thread {
    std::uint32_t id;
    std::string name;
  };
  // Time in which `frame` itself ran at `line`.
  struct Line {
    std::uint32_t frame;
    std::int64_t line;
    std::int64_t self_ns;
  };

  // Raises: std::bad_alloc.
  Sampler(SharedState& shared, double hz);
  ~Sampler() override;  // under the GIL
  Sampler(const Sampler&) = delete;
  Sampler& operator=(const Sampler&) = delete;

  // Starts sampling, once. Returns: 0, or the errno of the system's refusal. Raises: std::bad_alloc.
  int start();
  // Ends sampling; what was recorded stays. Idempotent. Raises: nothing.
  void stop() noexcept;
  bool is_running() const noexcept { return running_; }

  const std::vector<Frame>& frames() const noexcept { return frames_; }
  const std::vector<Node>& nodes() const noexcept { return nodes_; }
  const std::vector<Thread>& threads() const noexcept { return threads_; }
  std::vector<Line> lines() const;  // Raises: std::bad_alloc
  std::int64_t duration_ns() const noexcept { return last_ns_ - began_ns_; }
  std::uint64_t ticks() const noexcept { return ticks_; }  // samples taken, each of all threads

  void mark_roots(Heap& heap) override;

 private:
  static void run(void* sampler) noexcept;
  static void sample_at_safepoint(ThreadState& thread) noexcept;
  void release() noexcept;
  void take(ThreadState* running) noexcept;
  void sample_thread(ThreadState& thread, bool runs, std::int64_t weight_ns);
  void sample_parked(sched::Task& task, ThreadState& thread, std::int64_t weight_ns);
  std::uint32_t path_of(std::uint32_t node, const Coroutine* co);
  std::uint32_t wait_node(std::uint32_t node, const char* what);
  std::uint32_t task_node(std::uint32_t node, sched::Task& task);
  std::uint32_t root_of(const ThreadState& thread, State state);
  std::uint32_t child(std::uint32_t parent, std::uint32_t frame);
  std::uint32_t frame_of(const Coroutine* co, const CallFrame* frame);
  std::uint32_t label(const std::string& text);
  void add(std::uint32_t node, std::int64_t weight_ns) noexcept;
  void add_line(const Coroutine* co, std::int64_t weight_ns);

  SharedState& shared_;
  std::int64_t period_ns_;
  GilSlot* slot_ = nullptr;
  InterruptWord interrupt_;
  OsThread thread_;
  Parker sleep_;
  std::atomic<bool> ends_{false};
  bool running_ = false;
  std::int64_t began_ns_ = 0;
  std::int64_t last_ns_ = 0;
  std::int64_t parked_ns_ = 0;  // when parked tasks were last looked at
  std::uint64_t ticks_ = 0;

  std::vector<Frame> frames_;
  std::vector<Node> nodes_;
  std::vector<Thread> threads_;
  std::vector<Prototype*> prototypes_;
  std::unordered_map<const void*, std::uint32_t> frame_of_key_;  // prototypes, NativeInfos
  std::unordered_map<std::string, std::uint32_t> frame_of_label_;
  std::unordered_map<std::uint64_t, std::uint32_t> child_of_;  // parent and frame -> node
  std::unordered_map<std::uint64_t, std::uint32_t> tree_of_;   // thread id and state -> node
  std::unordered_map<std::uint64_t, std::int64_t> line_ns_;    // frame and line -> time
};

}  // namespace baton::stdlib
