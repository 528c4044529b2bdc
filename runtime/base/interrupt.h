// The interrupt word of a native thread: a set of reasons why running script code should stop at
// the next safepoint. Anyone may set a bit from any thread or signal handler; only the thread that
// owns the word clears bits, in vm/safepoint. Polling is one relaxed load of a line that, while
// nothing happens, only its owner reads. Payloads of a reason (a pending cancellation, a signal
// mask) are published by the release order of `set` and the acquire order of `take`.
//
// The loops of script code do not even load it. Their thread finds its handlers in a table of its own, and `set` makes the
// entries of the instructions in question lead to the poll ("Polls" in vm/interpreter.cpp says which). `settle` puts them
// back. Both write `bits` by an atomic read-modify-write: the setter first that and then the entries, the owner first the
// entries and then that. So either the owner sees the bit, and writes what `set` writes, or its entries are older than
// the setter's. A setter that is late causes one poll that finds nothing. There is no lock, so a signal handler may set.
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

// What the entries of a table of handlers that poll hold while nothing is asked, and while something is.
struct PolledEntries {
  static constexpr unsigned kMost = 32;
  unsigned count = 0;
  std::uintptr_t quiet[kMost] = {};
  std::uintptr_t asked[kMost] = {};
};

struct alignas(kCacheLineBytes) InterruptWord {
  std::atomic<std::uint32_t> bits{0};
  const PolledEntries* polled = nullptr;           // null: nobody runs script code by this word
  std::atomic<std::uintptr_t>* entries = nullptr;  // the first of them in the owner's table

  // From now on `first` and those behind it follow the word. Owner only, before anybody else knows the word.
  void direct(const PolledEntries& what, std::atomic<std::uintptr_t>* first) noexcept {
    polled = &what;
    entries = first;
    write(what.quiet);
  }
  // Adds `reasons`. Any thread, also a signal handler.
  void set(std::uint32_t reasons) noexcept {
    bits.fetch_or(reasons, std::memory_order_acq_rel);
    if (BATON_LIKELY(polled != nullptr)) write(polled->asked);
  }
  // Lets the entries lead to their instructions again, unless something is set. Owner only.
  void settle() noexcept {
    if (BATON_UNLIKELY(polled == nullptr)) return;
    write(polled->quiet);
    if (bits.fetch_or(0, std::memory_order_acq_rel) != 0) write(polled->asked);
  }
  // Removes `reasons`; returns those of them that were set. Owner only.
  std::uint32_t take(std::uint32_t reasons) noexcept {
    return bits.fetch_and(~reasons, std::memory_order_acq_rel) & reasons;
  }
  // Whether anything is set: the poll of the hot paths.
  bool any() const noexcept { return BATON_UNLIKELY(bits.load(std::memory_order_relaxed) != 0); }

 private:
  void write(const std::uintptr_t* what) noexcept {
    for (unsigned i = 0; i < polled->count; ++i) entries[i].store(what[i], std::memory_order_relaxed);
  }
};

}  // namespace baton
