// The region around an operation that may block: the GIL is given up on entry and held again on exit.
//
// Invariant: inside, no value, no heap object and no script state is touched; what the operation reads and writes was
// pinned or copied before. No fiber switch inside. Exit always succeeds, also during unwinding; errno survives it.
// Owner: a local variable. Threading: the thread that owns the slot.
//
// A native that may find its operation ready tries it without blocking first and comes here only if it would block.
#pragma once

#include <cerrno>

#include "sync/gil.h"

namespace baton {

class Released {
 public:
  // `what` names the operation in reports ("sleep", "file.read"); a literal.
  Released(Gil& gil, GilSlot* slot, const char* what) noexcept : gil_(gil), slot_(slot) {
    gil.go_outside(slot, what);
    longest_ns_ = slot->longest_ns.load(std::memory_order_relaxed);
    gil.release(slot);
    if (BATON_LIKELY(slot->longest_ns.load(std::memory_order_relaxed) == longest_ns_)) longest_ns_ = -1;
  }

  ~Released() {
    int saved_errno = errno;
    const char* what = slot_->region.load(std::memory_order_relaxed);
    gil_.come_back(slot_);
    if (BATON_UNLIKELY(longest_ns_ >= 0)) slot_->longest_where = std::string("before ") + what;
    errno = saved_errno;
  }

  Released(const Released&) = delete;
  Released& operator=(const Released&) = delete;

 private:
  Gil& gil_;
  GilSlot* slot_;
  std::int64_t longest_ns_;  // -1, unless the turn that ended here was the longest of its thread
};

}  // namespace baton
