// The two halves of the kernel's futex, private to the process, and what stands directly on them: a mutex of four bytes
// for sections of well under a microsecond, and the parker every native thread waits in.
//
// Invariant: the system call orders nothing. All ordering comes from the atomic words, so ThreadSanitizer sees it.
// Owner: whoever embeds the words. Threading: made to be shared; a Parker is parked in by one thread only.
//
// Why not the C library: its condition variables lost wake-ups (bug 25847), std::atomic::wait has no timeout.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/platform.h"
#include "sync/clock.h"

namespace baton {

enum class FutexResult : std::uint8_t {
  kWoken,     // woken, interrupted by a signal, or the word had another value: look again
  kTimedOut,
};

// Sleeps while `word` holds `expected`, at most until `deadline_ns` (kNoDeadline: for ever). May return early.
FutexResult futex_wait(std::atomic<std::uint32_t>& word, std::uint32_t expected, std::int64_t deadline_ns) noexcept;

// Wakes at most `count` threads that sleep on `word`. Safe even if the word's memory has gone since.
void futex_wake(std::atomic<std::uint32_t>& word, int count) noexcept;

// A mutex for sections of a few dozen instructions without system calls. Not recursive, not fair.
class ShortMutex {
 public:
  void lock() noexcept {
    std::uint32_t expected = kFree;
    if (BATON_UNLIKELY(!word_.compare_exchange_strong(expected, kLocked, std::memory_order_acquire))) lock_slow();
  }
  void unlock() noexcept {
    if (BATON_UNLIKELY(word_.exchange(kFree, std::memory_order_release) == kContended)) futex_wake(word_, 1);
  }

 private:
  enum : std::uint32_t { kFree, kLocked, kContended };
  void lock_slow() noexcept;

  std::atomic<std::uint32_t> word_{kFree};
};

// Holds a ShortMutex for a block.
class ShortLock {
 public:
  explicit ShortLock(ShortMutex& mutex) noexcept : mutex_(mutex) { mutex_.lock(); }
  ~ShortLock() { mutex_.unlock(); }
  ShortLock(const ShortLock&) = delete;
  ShortLock& operator=(const ShortLock&) = delete;

 private:
  ShortMutex& mutex_;
};

// One thread's place to sleep. A notification that comes first is remembered; several are one.
//
//     empty --park--> parked --unpark--> notified --park returns--> empty
//       +-----------------unpark-----------^
class Parker {
 public:
  // Sleeps until notified or until `deadline_ns`; consumes the notification. Its owner only.
  // Returns: whether there was a notification.
  bool park(std::int64_t deadline_ns) noexcept;

  // Notifies. Any thread. What it wrote before is visible to the thread whose park returns true.
  void unpark() noexcept {
    if (notify()) wake_sleeper();
  }
  // Its first half. Returns: whether `wake_sleeper` must follow.
  [[nodiscard]] bool notify() noexcept { return state_.exchange(kNotified, std::memory_order_acq_rel) == kParked; }
  // Its second half. Safe even if the parker has gone since.
  void wake_sleeper() noexcept { futex_wake(state_, 1); }

  // Whether a notification waits to be consumed; for spinning before park.
  bool notified() const noexcept { return state_.load(std::memory_order_relaxed) == kNotified; }

 private:
  enum : std::uint32_t { kEmpty, kParked, kNotified };

  std::atomic<std::uint32_t> state_{kEmpty};
};

}  // namespace baton
