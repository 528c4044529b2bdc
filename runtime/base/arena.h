// A bump allocator for data that dies together: a syntax tree, scratch lists of the compiler.
//
// Invariant: memory is never freed or moved before the arena dies, and no destructor of what lies in it runs, so only
// trivially destructible types may live here. Fresh memory is not zeroed.
// Owner: one owner at a time (movable, not copyable). Threading: none; callers serialize.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/platform.h"

namespace baton {

class Arena {
 public:
  // Called before the arena takes `bytes` more from the system, with the total it will then hold. It may throw
  // std::bad_alloc to refuse (a memory cap); the arena stays valid.
  using Accountant = void (*)(void* context, std::size_t bytes, std::size_t total);

  Arena() = default;
  Arena(Accountant accountant, void* context) : accountant_(accountant), context_(context) {}
  ~Arena() { release(); }
  Arena(Arena&& other) noexcept { swap(other); }
  Arena& operator=(Arena&& other) noexcept {
    swap(other);
    return *this;
  }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Returns `bytes` bytes aligned to `alignment` (a power of two up to 16), never null. Raises: std::bad_alloc.
  void* allocate(std::size_t bytes, std::size_t alignment = alignof(std::max_align_t)) {
    const std::size_t start = (position_ + alignment - 1) & ~(alignment - 1);
    if (BATON_UNLIKELY(start > limit_ || bytes > limit_ - start)) return allocate_slowly(bytes);
    position_ = start + bytes;
    return reinterpret_cast<void*>(start);
  }

  // Constructs one object. Raises: std::bad_alloc, and what the constructor raises.
  template <class T, class... Arguments>
  T* make(Arguments&&... arguments) {
    static_assert(std::is_trivially_destructible_v<T>, "the arena runs no destructors");
    return new (allocate(sizeof(T), alignof(T))) T(std::forward<Arguments>(arguments)...);
  }

  // Returns room for `count` objects, not constructed. Raises: std::bad_alloc.
  template <class T>
  T* allocate_array(std::size_t count) {
    static_assert(std::is_trivially_destructible_v<T>, "the arena runs no destructors");
    if (BATON_UNLIKELY(count > SIZE_MAX / 2 / sizeof(T))) throw std::bad_alloc();
    return static_cast<T*>(allocate(count * sizeof(T), alignof(T)));
  }

  // Copies bytes into the arena. Returns: the copy, not NUL-terminated; never a null pointer. Raises: std::bad_alloc.
  std::string_view copy(std::string_view text) {
    char* bytes = static_cast<char*>(allocate(text.size() + 1, 1));
    if (!text.empty()) std::memcpy(bytes, text.data(), text.size());
    return {bytes, text.size()};
  }

  // Enlarges the most recent allocation in place. Takes: its address, its bytes, more bytes. Returns: false if something
  // was allocated after it or the chunk is full; then nothing changed.
  bool try_extend(void* block, std::size_t bytes, std::size_t more) noexcept {
    if (reinterpret_cast<std::uintptr_t>(block) + bytes != position_ || more > limit_ - position_) return false;
    position_ += more;
    return true;
  }

  // Bytes held from the system, in use or not.
  std::size_t bytes() const noexcept { return total_; }

  // Gives everything back; all pointers into the arena dangle.
  void release() noexcept;
  // Gives some of it back, so that a large arena can be released in pieces; all pointers into the arena dangle. Returns: whether
  // something is left.
  bool release_some() noexcept;

 private:
  struct Chunk {
    Chunk* previous;
    std::size_t bytes;
  };

  void* allocate_slowly(std::size_t bytes);
  void swap(Arena& other) noexcept;

  std::uintptr_t position_ = 0;  // next free byte of the newest chunk
  std::uintptr_t limit_ = 0;     // its end
  Chunk* newest_ = nullptr;
  std::size_t total_ = 0;
  Accountant accountant_ = nullptr;
  void* context_ = nullptr;
};

// A list that grows inside an arena. Growing abandons the old array (at most as much as is in use), unless it is the most
// recent allocation. Invariant: elements are trivially copyable; the list itself needs no destructor.
template <class T>
class ArenaVector {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  void push_back(Arena& arena, const T& value) {
    const T copy = value;
    if (size_ == capacity_) grow(arena);
    new (data_ + size_) T(copy);
    ++size_;
  }
  T& operator[](std::size_t index) { return data_[index]; }
  const T& operator[](std::size_t index) const { return data_[index]; }
  T& back() { return data_[size_ - 1]; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  void truncate(std::size_t size) { size_ = static_cast<std::uint32_t>(size); }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  // The elements; valid as long as the arena, if the list is not changed any more.
  std::span<T> span() const { return {data_, size_}; }

 private:
  void grow(Arena& arena) {
    constexpr std::uint32_t kFirst = 4;
    if (capacity_ > UINT32_MAX / 2) throw std::bad_alloc();
    const std::uint32_t capacity = capacity_ == 0 ? kFirst : capacity_ * 2;
    if (data_ == nullptr || !arena.try_extend(data_, capacity_ * sizeof(T), (capacity - capacity_) * sizeof(T))) {
      T* data = arena.allocate_array<T>(capacity);
      if (size_ != 0) std::memcpy(static_cast<void*>(data), data_, size_ * sizeof(T));
      data_ = data;
    }
    capacity_ = capacity;
  }

  T* data_ = nullptr;
  std::uint32_t size_ = 0;
  std::uint32_t capacity_ = 0;
};

}  // namespace baton
