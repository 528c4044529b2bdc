// The heap's allocator: cells of fixed size classes in 64 KiB pages, and nothing about values.
//
// Invariants
//  - A page holds cells of one class and lies at a multiple of its size, so a cell's page is found by
//    masking. `used` counts the cells that are not on the page's own free list; cells on the class's
//    hand-out list (`SizeClass::free`) count as used by the current page, and all come from it.
//  - A free cell begins with a zero word (ObjectKind::kFree), which is how the sweeper, walking the
//    first `carved` cells of a page, tells free cells from objects.
//  - Cells of up to 8 KiB come from pages; whatever is larger is the caller's affair (malloc).
// Owner: the heap, which has one for objects and one for buffers over one PagePool. Threading: GIL.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/platform.h"

#if BATON_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace baton {

inline constexpr std::size_t kPageBytes = 64 * 1024;
inline constexpr std::size_t kPageHeaderBytes = 96;
inline constexpr std::size_t kMaxCellBytes = 8192;
inline constexpr std::size_t kMaxFineCellBytes = 512;  // below: a class for each 8 bytes
inline constexpr std::uint32_t kSizeClassCount = 97;

// A cell that holds nothing.
struct Cell {
  std::uint32_t header;  // zero
  std::uint32_t unused;
  Cell* next;
};

struct Chunk;

struct Page {
  Page* next;            // all pages of the class
  Page** previous;
  Page* next_available;  // pages with free cells, except the current one
  Page** previous_available;
  Cell* free;
  Chunk* chunk;
  std::uint32_t used;
  std::uint32_t carved;    // cells that were ever handed out; the rest was never touched
  std::uint32_t capacity;
  std::uint32_t cell_bytes;
  std::uint8_t size_class;
  bool is_available;       // on the available list
  std::uint16_t first_cell;  // offset of the first cell

  char* cells() noexcept { return reinterpret_cast<char*>(this) + first_cell; }
  static Page* of(const void* cell) noexcept {
    return reinterpret_cast<Page*>(reinterpret_cast<std::uintptr_t>(cell) & ~(kPageBytes - 1));
  }
};
static_assert(sizeof(Page) <= kPageHeaderBytes && kPageHeaderBytes % 16 == 0);

struct SizeClass {
  Cell* free = nullptr;       // hand-out list: cells of the current page
  Page* current = nullptr;
  Page* available = nullptr;
  Page* pages = nullptr;
  Page* unswept = nullptr;    // objects: the next page to sweep, on `pages`
  std::uint16_t place = kPageHeaderBytes;  // where the cells of a page begin that is the only one; set once
};

// Bytes of the cells of each class, and the class of each 64 bytes above kMaxFineCellBytes.
struct SizeClassTables {
  std::uint16_t bytes[kSizeClassCount] = {};
  std::uint8_t coarse[kMaxCellBytes / 64] = {};

  constexpr SizeClassTables() {
    constexpr std::uint32_t kFine = kMaxFineCellBytes / 8 + 1;
    for (std::uint32_t i = 0; i < kSizeClassCount; ++i) {
      const std::uint32_t doubling = i < kFine ? 0 : (i - kFine) / 8;
      const std::uint32_t step = i < kFine ? 0 : (i - kFine) % 8 + 1;
      bytes[i] = static_cast<std::uint16_t>(i < kFine ? i * 8 : (kMaxFineCellBytes << doubling) + step * (64u << doubling));
    }
    for (std::uint32_t slot = 0, i = 0; slot < kMaxCellBytes / 64; ++slot) {
      while (bytes[i] < (slot + 1) * 64) ++i;
      coarse[slot] = static_cast<std::uint8_t>(i);
    }
  }
};
inline constexpr SizeClassTables kSizeClasses;
static_assert(kSizeClasses.bytes[kSizeClassCount - 1] == kMaxCellBytes);

// The class whose cells hold `bytes` (1..kMaxCellBytes).
inline std::uint32_t size_class_of(std::size_t bytes) noexcept {
  if (BATON_LIKELY(bytes <= kMaxFineCellBytes)) return static_cast<std::uint32_t>((bytes + 7) >> 3);
  return kSizeClasses.coarse[(bytes - 1) >> 6];
}

// Where pages come from: chunks of the system's memory. Keeps a few free pages to avoid thrashing.
class PagePool {
 public:
  ~PagePool();
  // An unused page, contents undefined; null if the system refuses.
  Page* take() noexcept;
  void give_back(Page* page) noexcept;

 private:
  Chunk* add_chunk() noexcept;

  Chunk* with_free_pages_ = nullptr;
  Chunk* chunks_ = nullptr;
  std::uint32_t empty_chunks_ = 0;
};

class Allocator {
 public:
  explicit Allocator(PagePool& pool) : pool_(pool) {}

  // A cell of class `index`, its bytes undefined, or null: the class has no cell at hand (refill).
  void* pop(std::uint32_t index) noexcept {
    SizeClass& c = classes_[index];
    Cell* cell = c.free;
    if (BATON_UNLIKELY(cell == nullptr)) return nullptr;
    c.free = cell->next;
    unpoison(cell, kSizeClasses.bytes[index]);
    return cell;
  }
  // Fills the hand-out list from the current page or a page with free cells. Returns: false if none has any.
  bool refill(std::uint32_t index) noexcept;
  // Adds a fresh page to the class and fills the hand-out list. Returns: false if the system refuses.
  bool refill_from_new_page(std::uint32_t index) noexcept;

  // Gives a cell back at once (buffers).
  void push(void* cell, std::uint32_t index) noexcept;

  // --- for the sweeper --------------------------------------------------------------------------
  SizeClass& size_class(std::uint32_t index) noexcept { return classes_[index]; }
  // All pages become unswept; no free cell of theirs is handed out before the page was swept.
  void begin_sweep() noexcept;
  // A swept page, unlinked from the unswept list, whose `free`, `used` are right: makes it available
  // or gives it back.
  void finish_page(Page* page) noexcept;
  // Gives all pages back without looking at them.
  void release_all() noexcept;

  static void poison(void* cell, std::size_t bytes) noexcept;
  static void unpoison(void* cell, std::size_t bytes) noexcept;

 private:
  void carve(SizeClass& c, Page* page) noexcept;
  void link_available(SizeClass& c, Page* page) noexcept;
  void unlink_available(Page* page) noexcept;
  void release(Page* page) noexcept;

  PagePool& pool_;
  SizeClass classes_[kSizeClassCount];
};

inline void Allocator::poison([[maybe_unused]] void* cell, [[maybe_unused]] std::size_t bytes) noexcept {
#if BATON_ASAN
  if (bytes > sizeof(Cell)) __asan_poison_memory_region(static_cast<char*>(cell) + sizeof(Cell), bytes - sizeof(Cell));
#endif
}

inline void Allocator::unpoison([[maybe_unused]] void* cell, [[maybe_unused]] std::size_t bytes) noexcept {
#if BATON_ASAN
  __asan_unpoison_memory_region(cell, bytes);
#endif
}

}  // namespace baton
