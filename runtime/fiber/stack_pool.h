// The machine stacks of one runtime's fibers: 256 KiB of addresses each, carved from slabs, most of it never touched.
//
// Invariant: every stack of every slab is in exactly one of three places: handed out, in the free list, or above the
// slab's `fresh` mark (never handed out since the slab was mapped). The free list has room for all of them, so giving back
// never allocates. Slabs are mapped one by one when needed and never ahead.
// Owner: the runtime's scheduler. Threading: guarded by the GIL; one pool serves all native threads of a runtime.
//
// There are no guard pages: two mappings per stack would stop a program at 32,742 fibers. Overflow is prevented in
// software: every native call compares its frame address with `low_limit`, which leaves head-room for one native's own
// frames and the library functions it calls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/platform.h"

namespace baton {

#if BATON_ASAN || BATON_TSAN
inline constexpr std::size_t kFiberStackBytes = 512 * 1024;  // instrumented frames are two to three times as large
inline constexpr std::size_t kFiberHeadRoomBytes = 96 * 1024;
#else
inline constexpr std::size_t kFiberStackBytes = 256 * 1024;
inline constexpr std::size_t kFiberHeadRoomBytes = 32 * 1024;
#endif
inline constexpr std::size_t kLargestSlabBytes = 64 * 1024 * 1024;

struct StackSlab;

// One machine stack. A value; the bytes it names belong to the pool.
struct FiberStack {
  std::byte* low = nullptr;        // lowest address; null: there is no stack
  std::byte* top = nullptr;        // where the first frame begins, one past the highest usable byte
  std::byte* low_limit = nullptr;  // a frame below this address must raise "stack overflow" instead of calling on
  StackSlab* slab = nullptr;

  explicit operator bool() const noexcept { return low != nullptr; }
};

struct StackPoolStatistics {
  std::size_t mapped_bytes = 0;      // address space held, not memory
  std::size_t stack_count = 0;       // stacks in all slabs
  std::size_t in_use = 0;            // stacks handed out
  std::size_t in_use_high_water = 0;
  std::size_t pooled = 0;            // stacks in the free list
  std::size_t slab_count = 0;
};

class StackPool {
 public:
  StackPool() noexcept;
  ~StackPool();
  StackPool(const StackPool&) = delete;
  StackPool& operator=(const StackPool&) = delete;

  // Hands out a stack, the one given back last if there is any. Returns: an empty FiberStack when the system refuses
  // more memory. Raises: nothing. Effects: may map a slab.
  [[nodiscard]] FiberStack take() noexcept;

  // Takes a stack back. Nothing may run on it or refer into it any more. Raises: nothing.
  // Effects: may trim pooled stacks to a page each, may unmap slabs of which no stack is handed out.
  void give_back(const FiberStack& stack) noexcept;

  // Unmaps every slab of which no stack is handed out, except the newest, and trims the other pooled stacks. For an emergency collection.
  void release_unused() noexcept;

  // An estimate of the memory that the stacks occupy, in bytes, from the last measurement. O(1).
  std::size_t touched_bytes_estimate() const noexcept;

  // Once per collection cycle: unmaps idle slabs beyond a reserve, measures how much of at most `slab_limit` slabs is
  // resident, in turn, and corrects the estimate. Effects: up to sixteen system calls per slab, some 10 us together.
  void tidy(std::size_t slab_limit) noexcept;

  // Stacks handed out.
  std::size_t in_use() const noexcept { return in_use_; }

  StackPoolStatistics statistics() const noexcept;

 private:
  bool map_slab() noexcept;
  void trim_cold() noexcept;
  void unmap_idle_slabs(std::size_t spare_stacks) noexcept;
  FiberStack stack_at(StackSlab& slab, std::size_t index) const noexcept;

  std::vector<FiberStack> free_;  // last in, first out; the first `trimmed_` of them occupy one page each
  std::vector<std::unique_ptr<StackSlab>> slabs_;
  StackSlab* fresh_slab_ = nullptr;  // the slab mapped last: the only one with stacks never handed out
  std::size_t trimmed_ = 0;
  std::size_t in_use_ = 0;
  std::size_t high_water_ = 0;
  std::size_t mapped_bytes_ = 0;
  std::size_t stack_count_ = 0;
  std::size_t next_unmap_at_ = 0;   // length of the free list at which unmapping is tried again
  std::size_t measure_cursor_ = 0;
  std::size_t bytes_per_stack_;     // the estimate, for a stack that is handed out
  std::uint32_t next_colour_ = 0;
};

}  // namespace baton
