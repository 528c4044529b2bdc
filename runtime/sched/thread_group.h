// The native threads of one runtime: attaching the main one, starting others, waiting for their ends.
//
// Invariants
//  - `threads()` are the main thread and all that were created and have not ended; each stands in SharedState::threads too.
//  - It is SharedState::sched, and it outlives the SharedState: the heap's last sweep gives machine stacks back.
//  - When the runtime is destroyed no native thread of it runs, or (a daemon stuck in the operating system) nothing of it
//    is ever freed and such a thread never gets the GIL again.
// Owner: the host's Runtime. Threading: under the GIL, except where a line says otherwise.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "sched/fibers.h"
#include "sched/native_thread.h"
#include "sched/observer.h"
#include "sync/os_thread.h"
#include "sync/thread_cache.h"

namespace baton::sched {

class ThreadGroup final : RootVisitor {
 public:
  // Takes the calling native thread in as the main thread `name`, attached, without the GIL. Sets the pointers of
  // SharedState that sched provides. Raises: std::bad_alloc, kMemory.
  ThreadGroup(SharedState& shared, std::string_view name);
  ~ThreadGroup() override;
  ThreadGroup(const ThreadGroup&) = delete;
  ThreadGroup& operator=(const ThreadGroup&) = delete;

  ThreadState& main_thread() noexcept { return main_->state(); }
  Fibers& fibers() noexcept { return fibers_; }
  const std::vector<NativeThread*>& threads() const noexcept { return threads_; }

  // Runs `body(thread, context)` protected on the main thread's root, on a fiber. Holds no GIL before and after.
  // Returns: kError if it raised; the value is then in main_thread().pending.
  Status run_main(void (*body)(ThreadState& thread, void* context), void* context);

  // A native thread that will call `function`, not started. The caller pushes arguments with `add_argument`, makes the
  // handle, then calls `start` or `discard`, all without a safepoint. Raises: kMemory, std::bad_alloc.
  NativeThread* create(std::string_view name, bool is_daemon, const Value& function);
  void add_argument(NativeThread& thread, const Value& v);
  // Starts it. Returns: 0, or the errno of the system's refusal (ECANCELED: native threads are being stopped); then it must
  // be discarded. Raises: nothing.
  [[nodiscard]] int start(NativeThread& thread) noexcept;
  void discard(NativeThread& thread) noexcept;

  // Takes the calling thread of the host in: it holds the GIL when this returns, with nothing running. Any thread.
  // Raises: std::bad_alloc, kMemory; then it holds nothing.
  NativeThread* attach_host_thread(std::string_view name);
  // Takes it out again and gives the GIL back. Called holding the GIL by its slot, outside all calls, by that thread or,
  // when it is out of the runtime for good, by another in its place. Raises: nothing.
  void detach_host_thread(NativeThread& thread) noexcept;

  // A number for a task, never used twice. Raises: nothing.
  std::uint64_t next_task_id() noexcept { return ++task_id_; }
  // Who looks on; call `update_observation` after telling it what to look at. Raises: nothing.
  Observer& observer() noexcept { return observer_; }
  void update_observation() noexcept;
  // The tasks of `thread`, whose body has failed, are cancelled. Called by its root. Raises: nothing.
  void cancel_tasks(NativeThread& thread) noexcept;
  // All native threads but the main one are cancelled: the program has been interrupted. Under the GIL. Raises: nothing.
  void cancel_threads() noexcept;
  // The message handler of every body: it keeps the traceback of an error with the running task. Raises: kMemory.
  Value error_recorder(ThreadState& thread);
  // The message handler of calls that hand an error on: it keeps the traceback as the error's story. Raises: kMemory.
  Value story_recorder(ThreadState& thread);

  // A default name: "thread-N". Raises: std::bad_alloc.
  std::string next_name() { return "thread-" + std::to_string(++name_count_); }

  // The program ends: from now on the main thread goes before all others whenever it asks for the GIL in `run_main`. Raises: nothing.
  void note_end() noexcept { is_ending_ = true; }
  // Blocks until all native threads but daemons have ended. Called inside run_main. Raises: what `wait` raises.
  void wait_for_threads();
  // Stops what still runs (daemons). Returns: false if one is stuck and nothing may ever be freed. Called by the main
  // thread, holding no GIL. Raises: nothing.
  bool stop_threads() noexcept { return stop_threads(kGraceOfStoppedThreadsNs); }
  bool stop_threads(std::int64_t grace_ns) noexcept;
  // Ends the calling thread's tasks and unwinds the natives of its suspended coroutines; they are dead afterwards. Raises: nothing.
  void unwind_coroutines(ThreadState& thread) noexcept;
  // Takes the main thread out. Nothing runs any more; holds no GIL. Raises: nothing.
  void detach_main() noexcept;

  // Somebody takes the results or the error of an ended thread: it will not be reported. Raises: nothing.
  void mark_collected(NativeThread& thread) noexcept;
  // Reports the error of an ended thread whose error nobody took, once. Raises: nothing.
  void report_if_uncollected(NativeThread& thread) noexcept;
  // A task has failed, and nobody has taken its error yet. Raises: nothing.
  void note_failed(Task& task) noexcept;
  // Reports its error, if it is such a task, once. Raises: nothing.
  void report_if_uncollected(Task& task) noexcept;
  // Writes a line about an error that nobody took (as printf), and counts it. Raises: nothing.
  [[gnu::format(printf, 2, 3)]] void report_error(const char* format, ...) noexcept;
  // How many such reports were written.
  int reported_errors() const noexcept { return reported_errors_; }

  // Native threads that sleep, or are about to, with no task ready; see deadlock.h. Raises: nothing.
  void count_idle(int change) noexcept { idle_count_ += change; }
  bool all_idle() const noexcept { return static_cast<std::size_t>(idle_count_) == threads_.size(); }
  // Whether nobody can wake anybody any more, and the main task could be told.
  bool is_stuck() const noexcept;
  // What the main task is to raise; empty: nothing.
  void set_stall(std::string&& text) noexcept { stall_ = std::move(text); }
  std::string take_stall() noexcept { return std::exchange(stall_, std::string()); }
  // Threads that are not the group's own and may wake tasks at any time (Completion::post) begin or end to exist. While
  // there are any, no stall is reported. Under the GIL. Raises: nothing.
  void count_foreign(int change) noexcept { foreign_count_ += change; }


 private:
  static constexpr std::int64_t kGraceOfStoppedThreadsNs = 200'000'000;
  static void thread_main(void* argument) noexcept;
  void mark_roots(Heap& heap) override;
  void attach(NativeThread& thread, const char* outside = nullptr);
  void leave(NativeThread& thread) noexcept;
  bool only_daemons_left() const noexcept;
  void report_failed_tasks() noexcept;

  SharedState& shared_;
  Fibers fibers_;
  ThreadCount running_;
  ThreadCache cache_;
  std::vector<NativeThread*> threads_;
  std::vector<NativeThread*> failed_;  // ended with an error that nobody has taken yet; each holds a reference
  NativeThread* main_;
  Task* failed_tasks_ = nullptr;  // the same for tasks, the newest first
  Value error_recorder_;
  Value story_recorder_;
  WaitQueue enders_;  // who waits for any thread's end
  std::uint32_t name_count_ = 0;
  std::uint64_t task_id_ = 0;
  std::string stall_;
  Observer observer_;
  int idle_count_ = 0;
  int foreign_count_ = 0;
  int reported_errors_ = 0;
  bool is_ending_ = false;
  bool is_stopping_ = false;  // no native thread may start any more
};

inline ThreadGroup& group_of(SharedState& shared) noexcept { return *static_cast<ThreadGroup*>(shared.sched); }

}  // namespace baton::sched
