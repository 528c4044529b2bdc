// A growing byte buffer for natives that build strings: small results stay in the object, larger
// ones live in a buffer that counts against the memory cap. At the cap, growing and finishing collect:
// both are safepoints for pointers that no root holds, also for the bytes that are being appended.
// Invariant: owns at most one heap buffer, freed by the destructor (also during unwinding).
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
  ~StringBuilder() { if (data_ != inline_) thread_.heap().free_buffer(data_, capacity_); }
  StringBuilder(const StringBuilder&) = delete;
  StringBuilder& operator=(const StringBuilder&) = delete;

  // Raises (all appends): kMemory, kStringTooLong ("resulting string too large").
  void append(char c) { if (size_ == capacity_) grow(1); data_[size_++] = c; }
  void append(std::string_view bytes) {
    if (bytes.empty()) return;
    if (bytes.size() > capacity_ - size_) grow(bytes.size());
    std::memcpy(data_ + size_, bytes.data(), bytes.size());
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
    vm::make_room(thread_, size_);
    return string::make(thread_.heap(), view());
  }

 private:
  void grow(std::size_t more) {
    if (more > kMaxStringBytes - size_) raise(ErrorId::kResultTooLarge);
    std::size_t wanted = size_ + more > capacity_ * 2 ? size_ + more : capacity_ * 2;
    vm::make_room(thread_, wanted);
    char* bigger = static_cast<char*>(thread_.heap().allocate_buffer(wanted));
    std::memcpy(bigger, data_, size_);
    if (data_ != inline_) thread_.heap().free_buffer(data_, capacity_);
    data_ = bigger;
    capacity_ = wanted;
  }

  ThreadState& thread_;
  char* data_;
  std::size_t size_, capacity_;
  char inline_[1000];
};

}  // namespace baton
