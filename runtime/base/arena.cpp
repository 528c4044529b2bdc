// Chunks come from malloc in a chain, newest first. Each is twice as large as the one before, up to a cap, so that an empty
// program costs little and a large one few calls. A request too large for a regular chunk gets one of its own, which is put
// behind the newest, so that the room left there is not lost.
#include "base/arena.h"

#include <algorithm>
#include <cstdlib>

namespace baton {
namespace {

constexpr std::size_t kFirstChunkBytes = 4096;
constexpr std::size_t kLargestChunkBytes = 256 * 1024;

}  // namespace

BATON_NOINLINE void* Arena::allocate_slowly(std::size_t bytes) {
  static_assert(sizeof(Chunk) % alignof(std::max_align_t) == 0, "the first object of a chunk is aligned");
  if (bytes > SIZE_MAX / 2) throw std::bad_alloc();
  const std::size_t regular = std::clamp(total_, kFirstChunkBytes, kLargestChunkBytes);
  const bool own_chunk = bytes + sizeof(Chunk) > regular / 2;
  const std::size_t chunk_bytes = own_chunk ? bytes + sizeof(Chunk) : regular;
  if (accountant_ != nullptr) accountant_(context_, chunk_bytes, total_ + chunk_bytes);
  void* const memory = std::malloc(chunk_bytes);
  if (memory == nullptr) throw std::bad_alloc();
  total_ += chunk_bytes;
  Chunk* const chunk = new (memory) Chunk{nullptr, chunk_bytes};
  char* const start = static_cast<char*>(memory) + sizeof(Chunk);
  if (own_chunk && newest_ != nullptr) {
    chunk->previous = newest_->previous;
    newest_->previous = chunk;
    return start;
  }
  chunk->previous = newest_;
  newest_ = chunk;
  position_ = reinterpret_cast<std::uintptr_t>(start) + bytes;
  limit_ = reinterpret_cast<std::uintptr_t>(memory) + chunk_bytes;
  return start;
}

bool Arena::release_some() noexcept {
  position_ = limit_ = 0;
  if (newest_ == nullptr) return false;
  Chunk* const chunk = newest_;
  newest_ = chunk->previous;
  total_ -= chunk->bytes;
  std::free(chunk);
  return newest_ != nullptr;
}

void Arena::release() noexcept {
  while (release_some()) {
  }
}

void Arena::swap(Arena& other) noexcept {
  std::swap(position_, other.position_);
  std::swap(limit_, other.limit_);
  std::swap(newest_, other.newest_);
  std::swap(total_, other.total_);
  std::swap(accountant_, other.accountant_);
  std::swap(context_, other.context_);
}

}  // namespace baton
