// Native threads whose body has ended and which wait a moment for the next one, so that starting a thread needs no new one.
//
// Invariant: a thread that waits here has left nothing of its body behind but its machine stack's memory; it counts as running for
// `count` alone, until it ends. It ends when it has waited a second, when there are enough others, or with `close`.
// Owner: sched's thread group. Threading: `start` and `close` by any thread; after `close` nothing is kept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "sync/futex.h"
#include "sync/os_thread.h"

namespace baton {

class ThreadCache {
 public:
  static constexpr int kMostIdle = 8;
  static constexpr std::int64_t kIdleNs = 1'000'000'000;

  // All threads started have stacks of at least `stack_bytes` and are counted by `count`, from before they start until they have
  // ended; it must outlive them, and so must the cache.
  ThreadCache(std::size_t stack_bytes, ThreadCount& count) noexcept : stack_bytes_(stack_bytes), count_(count) {}
  ThreadCache(const ThreadCache&) = delete;
  ThreadCache& operator=(const ThreadCache&) = delete;

  // Runs `body(argument)` in a native thread with that name, detached. Returns: 0, or the errno of the refusal. Raises: nothing.
  [[nodiscard]] int start(std::string_view name, OsThread::Body body, void* argument) noexcept;

  // Those who wait end now, all others with their body. Raises: nothing.
  void close() noexcept;

  // How many wait, at this moment.
  int idle_count() noexcept;

  // The calling native thread ends with its body: something is kept for it that only its end takes away. Raises: nothing.
  static void end_with_body() noexcept;

  // What the calling native thread had used of a processor when its body began; 0 in others. Raises: nothing.
  static std::int64_t processor_ns_before_body() noexcept;

 private:
  struct Job {
    OsThread::Body body = nullptr;
    void* argument = nullptr;
    char name[20] = {};  // what Linux keeps, with the rest of a character and an end
  };
  struct Idle {
    Parker parker;
    Job job;  // `body` is set: taken out of the list for it
    Idle* next = nullptr;
  };
  struct First {
    ThreadCache* cache;
    Job job;
  };
  static void serve(void* first) noexcept;
  bool wait_for_job(Idle& own) noexcept;
  bool give_to_idle(std::string_view name, OsThread::Body body, void* argument) noexcept;

  const std::size_t stack_bytes_;
  ThreadCount& count_;
  ShortMutex mutex_;  // guards all below, and what is in the list
  Idle* idle_ = nullptr;  // the last to come is the first to go
  int idle_count_ = 0;
  bool is_closed_ = false;
};

}  // namespace baton
