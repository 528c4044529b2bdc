// One runtime: a heap with its GIL, the main native thread and its root coroutine, from creation to close.
//
// Invariants
//  - Several runtimes live in one process and share nothing but what the process shares.
//  - The native thread that creates a runtime is its main thread: it alone calls `run` and destroys it, and it does not hold
//    the GIL outside `run`.
//  - Closing runs every finalizer, in the order of the manual, before any memory goes.
// Owner: the program or the embedding host. Threading: as above.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "sched/thread_group.h"
#include "vm/thread_state.h"

namespace baton::host {

struct RuntimeOptions {
  std::string name = "main";
  std::uint64_t seed = 0;             // of string hashes; 0: random (or BATON_SEED, for runs that must repeat)
  std::size_t memory_limit = SIZE_MAX;  // bytes
  double switch_interval_s = 0;       // 0: the default
  std::optional<std::uint64_t> sched_seed;  // native threads switch by this seed instead of by time
  bool owns_main_thread = false;      // the creating thread runs nothing else: its slice at the kernel may be changed
  bool ignore_environment = false;    // no BATON_PATH, LUA_PATH ...
  void (*open_libraries)(ThreadState& thread) = nullptr;  // called once, under the GIL; null: no libraries
};

class Runtime {
 public:
  // Raises: std::bad_alloc, ScriptError(kMemory).
  explicit Runtime(const RuntimeOptions& options);
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  SharedState& shared() noexcept { return *shared_; }
  sched::ThreadGroup& threads() noexcept { return *threads_; }
  ThreadState& main_thread() noexcept { return threads_->main_thread(); }

  // Runs `body(thread, context)` on the main thread's root coroutine, on a fiber, holding the GIL. What it pushed is dropped.
  // Returns: kError if it raised; the error value is then in main_thread().pending until the next run.
  Status run(void (*body)(ThreadState& thread, void* context), void* context);

  // The end of a program: waits for the main thread's tasks and all native threads but daemons, after the main chunk has
  // ended like that: if it has failed, its tasks are cancelled first; if it was interrupted, the native threads too.
  // Returns: kError if the wait was interrupted or cancelled; the error value is then in main_thread().pending.
  enum class MainEnd { kDone, kFailed, kInterrupted };
  Status wait_for_threads(MainEnd end = MainEnd::kDone);

  // Stops daemons, closes what is still open on the root coroutine, runs all finalizers; nothing but the destructor may
  // follow. Prints errors of native threads that nobody has taken.
  // Effects: an error in a finalizer is a warning. Idempotent.
  void close() { close(kCloseTimeoutNs); }
  // The same with another limit for the native threads. Returns: whether they all ended, so that the destructor frees everything.
  bool close(std::int64_t timeout_ns);

  // Native threads that failed with an error that nobody took, until now: such a program has failed. Final after `close`.
  int uncollected_errors() const noexcept { return threads_->reported_errors(); }

 private:
  static constexpr std::int64_t kCloseTimeoutNs = 200'000'000;

  std::unique_ptr<SharedState> shared_;
  std::unique_ptr<sched::ThreadGroup> threads_;
  bool closed_ = false;
  bool leaks_ = false;  // a native thread is stuck in the operating system and may come back
};

// Sets `reasons` in the thread's interrupt word and ends its present wait, if it waits. Any thread, also a signal handler.
void interrupt(ThreadState& thread, std::uint32_t reasons) noexcept;

// os.exit(code, true) and the end of the program: closes the root coroutine's pending to-be-closed variables and runs all
// finalizers, from wherever the running thread is. The process is about to exit: nothing is freed. Raises: nothing.
void close_state(ThreadState& thread);

}  // namespace baton::host
