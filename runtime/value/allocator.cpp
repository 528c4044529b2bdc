// The size-class allocator.
//
// Why our own. Three facts of this heap are unknown to malloc: the sweeper must enumerate objects (so
// either objects carry a `next` pointer, 8 bytes each and a cache miss per dead neighbour, or the
// allocator can be walked); all use is serialised by the GIL (so no atomics, no thread caches); and
// objects die in bulk, page by page.
//
// Structure. The system gives chunks of 1 MiB, cut into pages of 64 KiB. A page serves one size
// class: each 8 bytes up to 512, then eight classes for each doubling up to 8 KiB, so at most an
// eighth is lost to rounding. A class has
//
//     free       a singly linked list of cells, all from `current`: allocation pops it (3 instructions)
//     current    the page that `free` comes from; it is on no list of pages with room
//     available  pages known to have free cells
//     pages      all of them
//
// When `free` runs dry (refill), the current page's own list (cells freed meanwhile) is taken over
// whole, or the next 4 KiB of never-touched cells are cut, or the next available page becomes
// current. A page that is neither current nor available is full. Cutting lazily keeps memory that was
// never needed untouched, so a class with three objects costs one page of the system, not sixteen.
//
// Freeing buffers. A buffer dies at a known moment (its table grows), usually soon after a sibling
// was allocated; so a cell of the current page goes on top of the hand-out list and is hot when it is
// handed out again. Others go to their page's list, and a page that becomes wholly free is returned.
//
// Freeing objects is the sweeper's alone (sweep.cpp). It treats a whole page at once: counts the
// survivors, rebuilds the page's list from scratch in address order, and calls finish_page. While a
// sweep is under way `free`, `current` and `available` only ever refer to swept or new pages;
// begin_sweep forgets them all, which loses nothing, because the walk finds free cells by their kind.
//
// Returning memory. A wholly free page goes back to its chunk; a wholly free chunk is unmapped once
// a few such are kept. The end of a heap leaves two chunks to the next one in the process, which is what a
// heap with the libraries in it occupies: mapping them and faulting their pages in was a third of what opening
// and closing a runtime costs. No spare page is kept per class: taking one from the pool is two list
// operations.
//
// Places. A processor takes a load for dependent on an earlier store whose address has the same low twelve bits, and lets it
// wait. If the cells of all pages began at the same offset, the few first cells of each class, which are all a small program
// has, would lie in one another's way, and two sorts of memory are stored to all the time: registers and frames. So the first
// page of a class may begin its cells elsewhere (SizeClass::place), and those of stacks do (coroutine.cpp).
//
// Sanitizers. Free cells are poisoned behind their first 16 bytes, so a stale pointer's use is seen.
#include "value/allocator.h"

#include <sys/mman.h>

#include <bit>
#include <cstdlib>

#include "base/check.h"
#include "base/mapping_cache.h"

namespace baton {

namespace {

constexpr std::uint32_t kPagesPerChunk = 16;
constexpr std::size_t kChunkBytes = kPagesPerChunk * kPageBytes;
constexpr std::uint32_t kAllPagesFree = (1u << kPagesPerChunk) - 1;
constexpr std::uint32_t kSpareChunks = 4;       // wholly free chunks that are kept
constexpr std::size_t kCarveBytes = 4096;       // cut from a fresh page at once

}  // namespace

struct Chunk {
  Chunk* next;            // all chunks
  Chunk** previous;
  Chunk* next_with_free;  // chunks with free pages
  Chunk** previous_with_free;
  char* base;
  std::uint32_t free_pages;  // bit i: page i is free
};

namespace {

// Intrusive doubly linked lists: `previous` points at whatever points here.
template <class T>
void list_insert(T*& head, T* item, T* T::*next, T** T::*previous) noexcept {
  item->*next = head;
  item->*previous = &head;
  if (head != nullptr) head->*previous = &(item->*next);
  head = item;
}

template <class T>
void list_remove(T* item, T* T::*next, T** T::*previous) noexcept {
  *(item->*previous) = item->*next;
  if (item->*next != nullptr) (item->*next)->*previous = item->*previous;
}

#if !BATON_ASAN && !BATON_TSAN
MappingCache<2> spare_chunks;
void* take_spare_chunk() noexcept { return spare_chunks.take(); }
bool keep_spare_chunk(void* base) noexcept { return spare_chunks.keep(base); }
#else
void* take_spare_chunk() noexcept { return nullptr; }
bool keep_spare_chunk(void*) noexcept { return false; }
#endif

// Address space aligned to kPageBytes, or null.
char* map_chunk() noexcept {
  if (void* spare = take_spare_chunk()) return static_cast<char*>(spare);
  constexpr std::size_t kReserve = kChunkBytes + kPageBytes;
  void* mapping = mmap(nullptr, kReserve, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) return nullptr;
  char* start = static_cast<char*>(mapping);
  char* base = reinterpret_cast<char*>((reinterpret_cast<std::uintptr_t>(start) + kPageBytes - 1) & ~(kPageBytes - 1));
  if (base != start) munmap(start, static_cast<std::size_t>(base - start));
  const std::size_t behind = kReserve - kChunkBytes - static_cast<std::size_t>(base - start);
  if (behind != 0) munmap(base + kChunkBytes, behind);
  return base;
}

}  // namespace

// ---------------------------------------------------------------------------------------------------------------------
// Pages

PagePool::~PagePool() {
  while (chunks_ != nullptr) {
    Chunk* chunk = chunks_;
    chunks_ = chunk->next;
    Allocator::unpoison(chunk->base, kChunkBytes);
    if (!keep_spare_chunk(chunk->base)) munmap(chunk->base, kChunkBytes);
    std::free(chunk);
  }
}

Chunk* PagePool::add_chunk() noexcept {
  auto* chunk = static_cast<Chunk*>(std::malloc(sizeof(Chunk)));
  if (chunk == nullptr) return nullptr;
  chunk->base = map_chunk();
  if (chunk->base == nullptr) {
    std::free(chunk);
    return nullptr;
  }
  chunk->free_pages = kAllPagesFree;
  list_insert(chunks_, chunk, &Chunk::next, &Chunk::previous);
  list_insert(with_free_pages_, chunk, &Chunk::next_with_free, &Chunk::previous_with_free);
  ++empty_chunks_;
  return chunk;
}

Page* PagePool::take() noexcept {
  Chunk* chunk = with_free_pages_;
  if (chunk == nullptr) {
    chunk = add_chunk();
    if (chunk == nullptr) return nullptr;
  }
  if (chunk->free_pages == kAllPagesFree) --empty_chunks_;
  const int index = std::countr_zero(chunk->free_pages);
  chunk->free_pages &= chunk->free_pages - 1;
  if (chunk->free_pages == 0) list_remove(chunk, &Chunk::next_with_free, &Chunk::previous_with_free);
  Page* page = reinterpret_cast<Page*>(chunk->base + static_cast<std::size_t>(index) * kPageBytes);
  Allocator::unpoison(page, kPageBytes);
  page->chunk = chunk;
  return page;
}

void PagePool::give_back(Page* page) noexcept {
  Chunk* chunk = page->chunk;
  const auto index = static_cast<std::uint32_t>((reinterpret_cast<char*>(page) - chunk->base) / static_cast<std::ptrdiff_t>(kPageBytes));
  if (chunk->free_pages == 0) {
    list_insert(with_free_pages_, chunk, &Chunk::next_with_free, &Chunk::previous_with_free);
  }
  chunk->free_pages |= 1u << index;
  if (chunk->free_pages != kAllPagesFree) return;
  if (empty_chunks_ < kSpareChunks) {
    ++empty_chunks_;
    return;
  }
  list_remove(chunk, &Chunk::next_with_free, &Chunk::previous_with_free);
  list_remove(chunk, &Chunk::next, &Chunk::previous);
  munmap(chunk->base, kChunkBytes);
  std::free(chunk);
}

// ---------------------------------------------------------------------------------------------------------------------
// Cells

void Allocator::link_available(SizeClass& c, Page* page) noexcept {
  list_insert(c.available, page, &Page::next_available, &Page::previous_available);
  page->is_available = true;
}

void Allocator::unlink_available(Page* page) noexcept {
  list_remove(page, &Page::next_available, &Page::previous_available);
  page->is_available = false;
}

void Allocator::carve(SizeClass& c, Page* page) noexcept {
  const std::uint32_t batch = page->cell_bytes >= kCarveBytes ? 1 : static_cast<std::uint32_t>(kCarveBytes / page->cell_bytes);
  const std::uint32_t left = page->capacity - page->carved;
  const std::uint32_t count = left < batch ? left : batch;
  char* start = page->cells() + static_cast<std::size_t>(page->carved) * page->cell_bytes;
  Cell* next = nullptr;
  for (std::uint32_t i = count; i-- > 0;) {
    Cell* cell = reinterpret_cast<Cell*>(start + static_cast<std::size_t>(i) * page->cell_bytes);
    cell->header = 0;
    cell->next = next;
    next = cell;
    poison(cell, page->cell_bytes);
  }
  page->carved += count;
  page->used += count;
  c.free = next;
}

bool Allocator::refill(std::uint32_t index) noexcept {
  SizeClass& c = classes_[index];
  if (c.current == nullptr) {
    if (c.available == nullptr) return false;
    c.current = c.available;
    unlink_available(c.current);
  }
  for (;;) {
    Page* page = c.current;
    if (page->free != nullptr) {
      c.free = page->free;
      page->free = nullptr;
      page->used = page->carved;
      return true;
    }
    if (page->carved < page->capacity) {
      carve(c, page);
      return true;
    }
    c.current = c.available;
    if (c.current == nullptr) return false;
    unlink_available(c.current);
  }
}

bool Allocator::refill_from_new_page(std::uint32_t index) noexcept {
  SizeClass& c = classes_[index];
  Page* page = pool_.take();
  if (page == nullptr) return false;
  const std::uint32_t bytes = kSizeClasses.bytes[index];
  page->free = nullptr;
  page->used = 0;
  page->carved = 0;
  page->first_cell = c.pages == nullptr ? c.place : static_cast<std::uint16_t>(kPageHeaderBytes);
  page->capacity = static_cast<std::uint32_t>((kPageBytes - page->first_cell) / bytes);
  page->cell_bytes = bytes;
  page->size_class = static_cast<std::uint8_t>(index);
  page->is_available = false;
  list_insert(c.pages, page, &Page::next, &Page::previous);
  c.current = page;
  carve(c, page);
  return true;
}

void Allocator::push(void* memory, std::uint32_t index) noexcept {
  SizeClass& c = classes_[index];
  Page* page = Page::of(memory);
  Cell* cell = static_cast<Cell*>(memory);
  cell->header = 0;
  poison(cell, page->cell_bytes);
  if (page == c.current) {
    cell->next = c.free;
    c.free = cell;
    return;
  }
  cell->next = page->free;
  page->free = cell;
  if (--page->used == 0) {
    if (page->is_available) unlink_available(page);
    release(page);
  } else if (!page->is_available) {
    link_available(c, page);
  }
}

void Allocator::release(Page* page) noexcept {
  list_remove(page, &Page::next, &Page::previous);
  pool_.give_back(page);
}

// ---------------------------------------------------------------------------------------------------------------------
// Sweeping

void Allocator::begin_sweep() noexcept {
  for (SizeClass& c : classes_) {
    c.free = nullptr;
    c.current = nullptr;
    c.available = nullptr;
    c.unswept = c.pages;
  }
}

void Allocator::finish_page(Page* page) noexcept {
  SizeClass& c = classes_[page->size_class];
  page->is_available = false;
  if (page->used == 0) {
    release(page);
  } else if (page->free != nullptr || page->carved < page->capacity) {
    link_available(c, page);
  }
}

void Allocator::release_all() noexcept {
  for (SizeClass& c : classes_) {
    while (c.pages != nullptr) release(c.pages);
    c = SizeClass();
  }
}

}  // namespace baton
