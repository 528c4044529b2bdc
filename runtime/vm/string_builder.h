// A growing byte buffer for natives that build strings: small results stay in the object, larger
// ones live in a buffer that counts against the memory cap; a very large one becomes the string itself.
// At the cap growing and finishing collect, and appending much text polls: safepoints for pointers that
// no root holds, also for the bytes that are being appended.
// Invariant: owns at most one heap buffer, freed by the destructor (also during unwinding). The text in it
// has string::kTextOffset bytes before it and a byte behind it, so that string::adopt can take it over.
// Owner: a local variable of a native. Threading: under the GIL.
#pragma once

#include <cstring>
#include <string_view>

#include "value/heap.h"
#include "value/string.h"
#include "vm/safepoint.h"

namespace baton {

class StringBuilder {
 public:
  explicit StringBuilder(ThreadState& thread) noexcept : thread_(thread), data_(inline_), size_(0), capacity_(sizeof inline_) {}
  ~StringBuilder() { if (data_ != inline_) thread_.heap().free_buffer(block(), block_bytes(capacity_)); }
  StringBuilder(const StringBuilder&) = delete;
  StringBuilder& operator=(const StringBuilder&) = delete;

  // Raises (all appends): kMemory, kStringTooLong ("resulting string too large").
  void append(char c) { if (size_ == capacity_) grow(1); data_[size_++] = c; }
  void append(std::string_view bytes) {
    if (bytes.empty()) return;
    if (bytes.size() > capacity_ - size_) grow(bytes.size());
    if (BATON_LIKELY(bytes.size() <= vm::kPieceBytes)) std::memcpy(data_ + size_, bytes.data(), bytes.size());
    else vm::copy_bytes(thread_, data_ + size_, bytes.data(), bytes.size(), vm::SafepointKind::kBackEdge);
    size_ += bytes.size();
  }
  // Room for `bytes` more; write there, then commit what was used. The pointer dies at the next append.
  char* reserve(std::size_t bytes) { if (bytes > capacity_ - size_) grow(bytes); return data_ + size_; }
  void commit(std::size_t bytes) noexcept { size_ += bytes; }
  void truncate(std::size_t size) noexcept { size_ = size; }
  std::size_t size() const noexcept { return size_; }
  std::string_view view() const noexcept { return {data_, size_}; }
  char* data() noexcept { return data_; }
  String* finish() {
    if (string::block_bytes(size_) >= string::kAdoptedBytes) {
      String* result = string::adopt(thread_.heap(), block(), block_bytes(capacity_), size_);
      data_ = inline_;
      size_ = 0;
      capacity_ = sizeof inline_;
      return result;
    }
    vm::make_room(thread_, size_);
    return string::make(thread_.heap(), view());
  }

 private:
  static std::size_t block_bytes(std::size_t capacity) noexcept { return string::block_bytes(capacity); }
  void* block() noexcept { return data_ - string::kTextOffset; }

  void grow(std::size_t more) {
    if (more > kMaxStringBytes - size_) raise(ErrorId::kResultTooLarge);
    const std::size_t wanted = size_ + more > capacity_ * 2 ? size_ + more : capacity_ * 2;
    vm::make_room(thread_, wanted);
    Heap& heap = thread_.heap();
    if (data_ != inline_) {
      void* bigger = heap.resize_buffer(block(), block_bytes(capacity_), block_bytes(wanted));
      data_ = static_cast<char*>(bigger) + string::kTextOffset;
    } else {
      char* bigger = static_cast<char*>(heap.allocate_buffer(block_bytes(wanted))) + string::kTextOffset;
      std::memcpy(bigger, inline_, size_);
      data_ = bigger;
    }
    capacity_ = wanted;
  }

  ThreadState& thread_;
  char* data_;
  std::size_t size_, capacity_;
  char inline_[1000];
};

}  // namespace baton
