// Long work of the compiler in pieces: it counts what it does and calls `poll` now and then, so that others may have the lock.
//
// Invariant: at each `count` whatever the work holds on the heap is reachable from a root; `poll` may collect, and may throw.
// Owner: compile(), undump(), dump(): one for each call of them. Threading: none.
#pragma once

#include <cstdint>
#include <functional>

#include "base/platform.h"

namespace baton::compiler {

class Pieces {
 public:
  // What is counted: about one instruction or constant that is written, checked or copied; 5 to 50 ns.
  static constexpr std::uint32_t kPerStatement = 64;
  static constexpr std::uint32_t kPerFunction = 256;

  // Takes: what is called between pieces, or an empty function; it must outlive this.
  explicit Pieces(const std::function<void()>& poll) : poll_(poll) {}
  Pieces(const Pieces&) = delete;
  Pieces& operator=(const Pieces&) = delete;

  // Adds so much work, and polls when a piece is complete. Raises: what the poll throws.
  void count(std::uint32_t units = 1) {
    constexpr std::uint32_t kUnitsOfPiece = BATON_STRESS ? 512 : 16384;
    work_ += units;
    if (BATON_LIKELY(work_ < kUnitsOfPiece)) return;
    work_ = 0;
    if (poll_) poll_();
  }

 private:
  const std::function<void()>& poll_;
  std::uint32_t work_ = 0;
};

}  // namespace baton::compiler
