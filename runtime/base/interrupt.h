// The interrupt word of a native thread: a set of reasons why running script code should stop at
// the next safepoint. Anyone may set a bit from any thread or signal handler; only the thread that
// owns the word clears bits, in vm/safepoint. Polling is one relaxed load of a line that, while
// nothing happens, only its owner reads. Payloads of a reason (a pending cancellation, a signal
// mask) are published by the release order of `set` and the acquire order of `take`.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/platform.h"

namespace baton {

enum InterruptReason : std::uint32_t {
  kInterruptGilDrop = 1u << 0,    // another native thread waits for the GIL and its turn has come
  kInterruptCollect = 1u << 1,    // the heap is in debt: step the collector
  kInterruptFinalize = 1u << 2,   // finalizers are queued
  kInterruptCancel = 1u << 3,     // this native thread was cancelled
  kInterruptSignal = 1u << 4,     // a signal (SIGINT) waits for the main thread
  kInterruptLimit = 1u << 5,      // live data has grown into the reserve below the memory cap
  kInterruptProfile = 1u << 6,    // a profile wants to know where this thread is
  kInterruptDump = 1u << 8,       // somebody wants to know what every task does
  kInterruptStop = 1u << 9,       // the host stops what runs: everything is unwound, no script code sees it
};

struct alignas(kCacheLineBytes) InterruptWord {
  std::atomic<std::uint32_t> bits{0};

  // Adds `reasons`. Any thread, also a signal handler.
  void set(std::uint32_t reasons) noexcept { bits.fetch_or(reasons, std::memory_order_release); }
  // Removes `reasons`; returns those of them that were set. Owner only.
  std::uint32_t take(std::uint32_t reasons) noexcept {
    return bits.fetch_and(~reasons, std::memory_order_acq_rel) & reasons;
  }
  // Whether anything is set: the poll of the hot paths.
  bool any() const noexcept { return BATON_UNLIKELY(bits.load(std::memory_order_relaxed) != 0); }
};

}  // namespace baton
