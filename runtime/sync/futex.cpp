#include "sync/futex.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/check.h"

namespace baton {
namespace {

std::uint32_t* address_of(std::atomic<std::uint32_t>& word) noexcept {
  static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t));
  return reinterpret_cast<std::uint32_t*>(&word);
}

}  // namespace

FutexResult futex_wait(std::atomic<std::uint32_t>& word, std::uint32_t expected, std::int64_t deadline_ns) noexcept {
  timespec deadline;
  timespec* limit = nullptr;
  if (deadline_ns != kNoDeadline) {
    deadline.tv_sec = deadline_ns / 1'000'000'000;
    deadline.tv_nsec = deadline_ns % 1'000'000'000;
    limit = &deadline;
  }
  // Of the two waits only the one with a bit set takes an absolute time.
  long result = syscall(SYS_futex, address_of(word), FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expected, limit, nullptr,
                        FUTEX_BITSET_MATCH_ANY);
  if (result == 0) return FutexResult::kWoken;
  BATON_DCHECK(errno == ETIMEDOUT || errno == EAGAIN || errno == EINTR);
  return errno == ETIMEDOUT ? FutexResult::kTimedOut : FutexResult::kWoken;
}

void futex_wake(std::atomic<std::uint32_t>& word, int count) noexcept {
  (void)syscall(SYS_futex, address_of(word), FUTEX_WAKE | FUTEX_PRIVATE_FLAG, count, nullptr, nullptr, 0);
}

void ShortMutex::lock_slow() noexcept {
  for (int spins = 0; spins < 50; ++spins) {
    BATON_PAUSE_PROCESSOR();
    std::uint32_t expected = kFree;
    if (word_.load(std::memory_order_relaxed) == kFree &&
        word_.compare_exchange_weak(expected, kLocked, std::memory_order_acquire)) {
      return;
    }
  }
  // Whoever slept takes it as contended, since others may sleep still; one needless wake is the price.
  while (word_.exchange(kContended, std::memory_order_acquire) != kFree) {
    (void)futex_wait(word_, kContended, kNoDeadline);
  }
}

bool Parker::park(std::int64_t deadline_ns) noexcept {
  std::uint32_t seen = kEmpty;
  if (state_.compare_exchange_strong(seen, kParked, std::memory_order_acq_rel)) {
    while (state_.load(std::memory_order_relaxed) == kParked) {
      if (futex_wait(state_, kParked, deadline_ns) == FutexResult::kTimedOut) break;
    }
  }
  // A notification that came together with the timeout counts.
  return state_.exchange(kEmpty, std::memory_order_acq_rel) == kNotified;
}

}  // namespace baton
