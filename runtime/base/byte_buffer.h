// Bytes that arrive in pieces and wait to be taken from the front: what a stream has read ahead.
//
// Unlike std::string it grows by realloc, which moves the pages of a large block instead of copying it: nobody waits for a copy
// of a hundred megabytes.
//
// Invariant: `size_` <= `capacity_`; the block is null if and only if the capacity is 0.
// Owner: whoever has it as a member or variable (movable, not copyable). Threading: none; callers serialize.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>

namespace baton {

class ByteBuffer {
 public:
  ByteBuffer() = default;
  ~ByteBuffer() { std::free(bytes_); }
  ByteBuffer(ByteBuffer&& other) noexcept { swap(other); }
  ByteBuffer& operator=(ByteBuffer&& other) noexcept {
    swap(other);
    return *this;
  }
  ByteBuffer(const ByteBuffer&) = delete;
  ByteBuffer& operator=(const ByteBuffer&) = delete;

  std::size_t size() const noexcept { return size_; }
  std::string_view view() const noexcept { return {bytes_, size_}; }

  // Raises: std::bad_alloc; nothing has changed then.
  void append(std::string_view more) {
    if (more.empty()) return;
    if (more.size() > capacity_ - size_) grow(more.size());
    std::memcpy(bytes_ + size_, more.data(), more.size());
    size_ += more.size();
  }
  void append(const char* more, std::size_t count) { append({more, count}); }

  // Removes the first `count` bytes; the others move. Raises: nothing.
  void remove_front(std::size_t count) noexcept {
    size_ -= count;
    if (size_ != 0) std::memmove(bytes_, bytes_ + count, size_);
  }

  // Keeps the first `size` bytes. Raises: nothing.
  void truncate(std::size_t size) noexcept { size_ = size; }

  // Keeps no bytes, and no more than a moderate block for the next ones. Raises: nothing.
  void clear() noexcept {
    constexpr std::size_t kKept = std::size_t{1} << 20;
    size_ = 0;
    if (capacity_ <= kKept) return;
    std::free(bytes_);
    bytes_ = nullptr;
    capacity_ = 0;
  }

 private:
  void grow(std::size_t more) {
    constexpr std::size_t kFirst = 256;
    if (more > SIZE_MAX / 4 - size_) throw std::bad_alloc();
    const std::size_t wanted = std::max({kFirst, capacity_ * 2, size_ + more});
    void* const bigger = std::realloc(bytes_, wanted);
    if (bigger == nullptr) throw std::bad_alloc();
    bytes_ = static_cast<char*>(bigger);
    capacity_ = wanted;
  }
  void swap(ByteBuffer& other) noexcept {
    std::swap(bytes_, other.bytes_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }

  char* bytes_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace baton
