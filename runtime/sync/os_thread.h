// Threads of the operating system: start, name, join, count, and the extent of the machine stack one runs on.
//
// Invariant: a started OsThread is joined or detached exactly once. The body lets no exception out. Asynchronous signals
// are blocked in threads started here, so they reach the program's main thread.
// Owner: sched's native threads, the loop's helpers. Threading: a handle is used by one thread at a time.
#pragma once

#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "sync/clock.h"

namespace baton {

// How many threads of a group run. A thread is counted from before it starts until its body has returned.
class ThreadCount {
 public:
  std::uint32_t running() const noexcept { return running_.load(std::memory_order_acquire) & ~kAwaited; }

  // Blocks until none runs or the deadline has come; hold no GIL. Returns: whether none runs.
  bool wait_until_none(std::int64_t deadline_ns) noexcept;

 private:
  friend class OsThread;
  static constexpr std::uint32_t kAwaited = std::uint32_t{1} << 31;  // somebody sleeps until none runs
  void add() noexcept { running_.fetch_add(1, std::memory_order_relaxed); }
  void remove() noexcept;

  std::atomic<std::uint32_t> running_{0};
};

class OsThread {
 public:
  using Body = void (*)(void* argument) noexcept;

  OsThread() noexcept = default;
  OsThread(const OsThread&) = delete;
  OsThread& operator=(const OsThread&) = delete;
  // Checks that the thread, if one was started, was joined or detached.
  ~OsThread();

  // Starts `body(argument)` with a stack of at least `stack_bytes` (0: the system's default). `name` is shown by the
  // operating system, cut to 15 bytes. `count` may be null; it must outlive the thread.
  // Returns: 0, or the errno of the refusal (EAGAIN: no more threads, ENOMEM). Raises: nothing.
  [[nodiscard]] int start(std::string_view name, std::size_t stack_bytes, ThreadCount* count, Body body,
                          void* argument) noexcept;

  // Blocks until the thread has ended. Hold no GIL: the thread may need it to end.
  void join() noexcept;

  // Lets the thread end on its own.
  void detach() noexcept;

  bool joinable() const noexcept { return started_; }

 private:
  pthread_t handle_{};
  bool started_ = false;
};

// Names the calling thread for the operating system: the first 15 bytes, cut between UTF-8 characters.
void set_current_thread_name(std::string_view name) noexcept;

// Asks the kernel to end this thread's timed waits as exactly as it can, instead of up to 50 us late.
void sharpen_timed_waits() noexcept;

// A thread's slice: how long the kernel lets it run before it looks at others who want the processor. A thread that wakes
// takes the processor from one with a longer slice at once; against one with the same it waits, often for milliseconds.
enum class Slice : std::uint8_t {
  kUsual,  // what the kernel gives
  kShort,  // for who must be quick when woken
  kLong,   // for who computes and can be interrupted: it keeps nobody waiting, also no other process
};

// Lets `set_slice` work for the calling thread: for threads of our own, not for those of a host. A slice that was changed is not
// inherited by threads and processes that this one starts. Nothing happens where policy or priority are not the usual ones.
void allow_slices() noexcept;

// Gives the calling thread that slice. A system call, unless it has it already or may not have it (`allow_slices`, a kernel
// before Linux 6.12 or one that refuses): then nothing.
void set_slice(Slice slice) noexcept;
// The calling thread's slice.
Slice current_slice() noexcept;
// Gives it to another thread of this process, which is asleep and has given itself another one before. That thread calls
// `note_slice` when it runs again. Nothing if the thread has ended.
void set_slice_of(int kernel_thread, Slice slice) noexcept;
// Another thread has given the calling thread that slice.
void note_slice(Slice slice) noexcept;

// Lets this thread's asynchronous signals wait for another thread. Synchronous ones (SIGSEGV ...) stay.
void block_asynchronous_signals() noexcept;

// Processors on which a native thread may run.
using ProcessorSet = cpu_set_t;

// The calling thread's number at the kernel.
int current_kernel_thread() noexcept;

// Reads where a native thread of this process may run. Returns: false if it has ended.
bool thread_processors(int kernel_thread, ProcessorSet& result) noexcept;
// Sets it; 0 is the calling thread. Returns: whether the system agreed.
bool set_thread_processors(int kernel_thread, const ProcessorSet& processors) noexcept;
// Binds a native thread to the processor on which the caller runs. Returns: whether the system agreed.
bool call_thread_here(int kernel_thread) noexcept;

struct StackExtent {
  std::byte* low;  // lowest address that may be used
  std::byte* top;
};

// The machine stack the calling native thread began on; call it on that stack, not on a fiber. For the main thread `low`
// is a careful guess from the resource limit, without reading files.
StackExtent current_native_stack() noexcept;

// The number of processors this process may run on; >= 1.
int usable_processors() noexcept;

}  // namespace baton
