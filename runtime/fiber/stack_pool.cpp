// How the stacks of fibers are kept.
//
// Slabs. A slab is one mapping of up to 64 MiB (256 stacks): MAP_NORESERVE, because most of it is never touched, and
// MADV_NOHUGEPAGE, because a huge page would give every fiber 2 MiB of memory for its one page of frames. The first slab
// is small and each further one as large as all before it together, up to the limit; so a program with one coroutine does
// not hold 64 MiB of addresses, and under a small `ulimit -v` the last slabs still fit: when a mapping is refused, half
// of it is tried, down to a single stack.
//
//     slab   | stack 0 | stack 1 | ...           | stack n-1 |
//     stack  low ....... low_limit ................ top ~~ end      grows downwards; ~~ is the colour, 0 to 1984 bytes
//
// Colours. Stacks lie at multiples of 256 KiB, so their topmost frames would all fall into the same few sets of a
// processor's first-level cache; a switch among 1,000 fibers then misses at every step. Each stack therefore begins a
// different multiple of 64 bytes lower. Half a page of colours is enough for the cache, and leaves the other half of
// the page to the first frames.
//
// Pooling. Stacks come back to a list and leave it last-in-first-out: the hot one, whose pages exist and whose lines are
// in the cache, is used again. The kHot last ones keep whatever memory they ever touched. Those below them are cold; in
// batches of kTrimBatch they are cut down to their top page (one madvise each). Trimming is so late and so batched because
// a program that creates and finishes a few fibers over and over must never pay for it.
//
//     free_   [ trimmed ............. | cold, not yet trimmed, < kTrimBatch | hot, <= kHot ]
//                                  trimmed_
//
// Unmapping. When the list holds more than two slabs' worth, slabs of which no stack is handed out are unmapped, except
// enough to keep a quarter of the present use as spare. Removing a slab's stacks from the list is a pass over it; so that
// a list that cannot shrink (each slab has one stack in use) is not passed over at each return, the next attempt waits
// until the list has grown by a sixteenth. `tidy`, called once per collection cycle, takes what that leaves.
//
// Accounting. How deep a stack was used cannot be known without a fault, so the pool knows it by sampling: mincore() tells
// which pages of a slab exist. The average over a few slabs at each collection stands for all.
//
// Under AddressSanitizer a pooled stack is poisoned as a whole, so a dangling pointer into a finished fiber is found.
#include "fiber/stack_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>

#include "base/check.h"
#include "base/mapping_cache.h"

#if BATON_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace baton {

struct StackSlab {
  std::byte* low = nullptr;
  std::uint32_t stack_count = 0;
  std::uint32_t fresh = 0;   // index of the first stack never handed out
  std::uint32_t in_use = 0;
  bool leaving = false;      // marked by unmap_idle_slabs
  std::uint32_t first_colour = 0;

  std::size_t bytes() const noexcept { return std::size_t{stack_count} * kFiberStackBytes; }
};

namespace {

constexpr std::size_t kPageBytes = 4096;
constexpr std::size_t kSmallestFirstSlabBytes = 4 * 1024 * 1024;
constexpr std::uint32_t kColourCount = 32;
constexpr std::size_t kHot = 128;
constexpr std::size_t kTrimBatch = 128;
constexpr std::size_t kUnmapStep = 2 * kLargestSlabBytes / kFiberStackBytes;
constexpr std::size_t kInitialBytesPerStack = 2 * kPageBytes;

void poison([[maybe_unused]] std::byte* low, [[maybe_unused]] std::size_t bytes) noexcept {
#if BATON_ASAN
  ASAN_POISON_MEMORY_REGION(low, bytes);
#endif
}

void unpoison([[maybe_unused]] std::byte* low, [[maybe_unused]] std::size_t bytes) noexcept {
#if BATON_ASAN
  ASAN_UNPOISON_MEMORY_REGION(low, bytes);
#endif
}

#if !BATON_ASAN && !BATON_TSAN
MappingCache<1> spare_slab;  // of kSmallestFirstSlabBytes
void* take_spare_slab() noexcept { return spare_slab.take(); }
bool keep_spare_slab(std::byte* low) noexcept { return spare_slab.keep(low); }
#else
void* take_spare_slab() noexcept { return nullptr; }
bool keep_spare_slab(std::byte*) noexcept { return false; }
#endif

std::byte* map_bytes(std::size_t bytes) noexcept {
  if (bytes == kSmallestFirstSlabBytes) {
    if (void* spare = take_spare_slab()) return static_cast<std::byte*>(spare);
  }
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  // Fails only on a kernel without huge pages, where there is nothing to prevent.
  (void)madvise(memory, bytes, MADV_NOHUGEPAGE);
  return static_cast<std::byte*>(memory);
}

void unmap(const StackSlab& slab) noexcept {
  unpoison(slab.low, slab.bytes());
  BATON_CHECK(munmap(slab.low, slab.bytes()) == 0, "the system refused to take back a slab of stacks");
}

void trim(const FiberStack& stack) noexcept {
  // A refusal leaves the memory in place, which is the only harm.
  (void)madvise(stack.low, kFiberStackBytes - kPageBytes, MADV_DONTNEED);
}

// The number of pages of [low, low + bytes) that occupy memory. `bytes` <= kLargestSlabBytes.
std::size_t resident_pages(std::byte* low, std::size_t bytes) noexcept {
  constexpr std::size_t kChunkPages = 1024;
  unsigned char pages[kChunkPages];
  std::size_t resident = 0;
  for (std::size_t offset = 0; offset < bytes; offset += kChunkPages * kPageBytes) {
    std::size_t length = std::min(bytes - offset, kChunkPages * kPageBytes);
    if (mincore(low + offset, length, pages) != 0) return resident;
    for (std::size_t i = 0; i < length / kPageBytes; ++i) resident += pages[i] & 1u;
  }
  return resident;
}

}  // namespace

StackPool::StackPool() noexcept : bytes_per_stack_(kInitialBytesPerStack) {}

// The first slab of a pool that never had another serves the next pool: one runtime's at the end, another's in the beginning.
StackPool::~StackPool() {
  for (const auto& slab : slabs_) {
    const bool is_small = slabs_.size() == 1 && slab->bytes() == kSmallestFirstSlabBytes;
    if (!is_small || !keep_spare_slab(slab->low)) unmap(*slab);
  }
}

FiberStack StackPool::take() noexcept {
  FiberStack stack;
  if (!free_.empty()) {
    stack = free_.back();
    free_.pop_back();
    trimmed_ = std::min(trimmed_, free_.size());
    unpoison(stack.low, kFiberStackBytes);
  } else {
    if ((fresh_slab_ == nullptr || fresh_slab_->fresh == fresh_slab_->stack_count) && !map_slab()) return {};
    stack = stack_at(*fresh_slab_, fresh_slab_->fresh);
    ++fresh_slab_->fresh;
  }
  ++stack.slab->in_use;
  ++in_use_;
  high_water_ = std::max(high_water_, in_use_);
  return stack;
}

void StackPool::give_back(const FiberStack& stack) noexcept {
  BATON_DCHECK(stack.low != nullptr && stack.slab->in_use > 0);
  poison(stack.low, kFiberStackBytes);
  --stack.slab->in_use;
  --in_use_;
  free_.push_back(stack);  // never allocates: map_slab reserved the room
  if (BATON_UNLIKELY(free_.size() >= trimmed_ + kHot + kTrimBatch)) trim_cold();
  if (BATON_UNLIKELY(free_.size() >= next_unmap_at_)) unmap_idle_slabs(in_use_ / 4);
}

void StackPool::release_unused() noexcept {
  unmap_idle_slabs(0);
  for (std::size_t i = trimmed_; i < free_.size(); ++i) trim(free_[i]);
  trimmed_ = free_.size();
}

std::size_t StackPool::touched_bytes_estimate() const noexcept {
  return (in_use_ + free_.size() - trimmed_) * bytes_per_stack_ + trimmed_ * kPageBytes;
}

void StackPool::tidy(std::size_t slab_limit) noexcept {
  unmap_idle_slabs(std::max(in_use_ / 4, kHot));
  std::size_t pages = 0;
  std::size_t stacks = 0;
  for (std::size_t i = 0; i < std::min(slab_limit, slabs_.size()); ++i) {
    measure_cursor_ = (measure_cursor_ + 1) % slabs_.size();
    const StackSlab& slab = *slabs_[measure_cursor_];
    pages += resident_pages(slab.low, std::size_t{slab.fresh} * kFiberStackBytes);
    stacks += slab.in_use;
  }
  // Memory of pooled stacks in the sample is charged to those in use: the estimate errs upwards.
  if (stacks > 0) bytes_per_stack_ = std::clamp(pages * kPageBytes / stacks, kPageBytes, kFiberStackBytes);
}

StackPoolStatistics StackPool::statistics() const noexcept {
  StackPoolStatistics result;
  result.mapped_bytes = mapped_bytes_;
  result.stack_count = stack_count_;
  result.in_use = in_use_;
  result.in_use_high_water = high_water_;
  result.pooled = free_.size();
  result.slab_count = slabs_.size();
  return result;
}

// Maps one more slab and makes it the fresh one. Returns: whether there is one.
bool StackPool::map_slab() noexcept {
  std::unique_ptr<StackSlab> slab(new (std::nothrow) StackSlab);
  if (slab == nullptr) return false;
  std::size_t bytes = std::clamp(mapped_bytes_, kSmallestFirstSlabBytes, kLargestSlabBytes);
  for (; bytes >= kFiberStackBytes; bytes /= 2) {
    bytes -= bytes % kFiberStackBytes;
    slab->low = map_bytes(bytes);
    if (slab->low != nullptr) break;
  }
  if (slab->low == nullptr) return false;
  slab->stack_count = static_cast<std::uint32_t>(bytes / kFiberStackBytes);
  slab->first_colour = next_colour_;
  try {
    std::size_t needed = stack_count_ + slab->stack_count;
    if (free_.capacity() < needed) free_.reserve(std::max(needed, 2 * free_.capacity()));
    slabs_.push_back(std::move(slab));
  } catch (const std::bad_alloc&) {
    if (slab != nullptr) unmap(*slab);
    return false;
  }
  fresh_slab_ = slabs_.back().get();
  next_colour_ = (next_colour_ + fresh_slab_->stack_count) % kColourCount;
  stack_count_ += fresh_slab_->stack_count;
  mapped_bytes_ += fresh_slab_->bytes();
  next_unmap_at_ = std::max(next_unmap_at_, kUnmapStep);
  return true;
}

// Cuts all cold stacks down to their top page; if most stacks have touched no more, that is not worth a system call each.
void StackPool::trim_cold() noexcept {
  const std::size_t cold_end = free_.size() - kHot;
  if (bytes_per_stack_ > kPageBytes + kPageBytes / 8) {
    for (std::size_t i = trimmed_; i < cold_end; ++i) trim(free_[i]);
  }
  trimmed_ = cold_end;
}

// Unmaps slabs of which no stack is handed out, as long as `spare_stacks` pooled ones remain.
void StackPool::unmap_idle_slabs(std::size_t spare_stacks) noexcept {
  std::size_t leaving = 0;
  std::size_t remaining = free_.size();
  for (const auto& slab : slabs_) {
    bool idle = slab->in_use == 0 && slab.get() != fresh_slab_;
    if (!idle || remaining < spare_stacks + slab->stack_count) continue;
    slab->leaving = true;
    remaining -= slab->stack_count;
    ++leaving;
  }
  if (leaving > 0) {
    auto trimmed_end = free_.begin() + static_cast<std::ptrdiff_t>(trimmed_);
    auto gone = [](const FiberStack& stack) { return stack.slab->leaving; };
    trimmed_ -= static_cast<std::size_t>(std::count_if(free_.begin(), trimmed_end, gone));
    std::erase_if(free_, gone);
    std::erase_if(slabs_, [this](const std::unique_ptr<StackSlab>& slab) {
      if (!slab->leaving) return false;
      mapped_bytes_ -= slab->bytes();
      stack_count_ -= slab->stack_count;
      unmap(*slab);
      return true;
    });
  }
  next_unmap_at_ = free_.size() + std::max(kUnmapStep, free_.size() / 16);
}

FiberStack StackPool::stack_at(StackSlab& slab, std::size_t index) const noexcept {
  std::size_t colour = (slab.first_colour + index) % kColourCount;
  FiberStack stack;
  stack.low = slab.low + index * kFiberStackBytes;
  stack.top = stack.low + kFiberStackBytes - colour * kCacheLineBytes;
  stack.low_limit = stack.low + kFiberHeadRoomBytes;
  stack.slab = &slab;
  return stack;
}

}  // namespace baton
