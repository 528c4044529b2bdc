// Compiled patterns of a native thread, kept for the next call with the same pattern.
//
// The cache is direct-mapped: a short pattern has one place, found by its length and a few of its bytes. An entry that a
// call is using (it may have suspended in a replacement function, or another coroutine runs while it polls) is never
// compiled over: the newcomer compiles for itself. Coroutines stay on their native thread, so nothing here is shared.
// Measured: with it the compiler's share of a JSON decoder (a fifth of its time) is gone.
#include <cstring>
#include <memory>
#include <new>

#include "base/hash.h"
#include "pattern.h"

namespace baton::stdlib::pattern {
namespace {

constexpr std::size_t kEntries = 64;
constexpr std::size_t kMaxLength = 24;

struct Entry {
  std::uint32_t users = 0;
  std::uint32_t length = UINT32_MAX;  // of source; UINT32_MAX: empty
  char source[kMaxLength];
  alignas(Pattern) char pattern[sizeof(Pattern)];
  alignas(16) char storage[Pattern::storage_bytes(kMaxLength)];

  bool holds(std::string_view text) const noexcept { return length == text.size() && std::memcmp(source, text.data(), length) == 0; }
  const Pattern* get() const noexcept { return std::launder(reinterpret_cast<const Pattern*>(pattern)); }
  void compile(std::string_view text) noexcept {
    length = static_cast<std::uint32_t>(text.size());
    std::memcpy(source, text.data(), length);
    new (pattern) Pattern(storage, {source, length}, Anchors::kYes);
  }
};

struct Cache {
  Entry entries[kEntries];
};

// The entry for `text`, or null if there is no memory for a cache.
Entry* entry_of(std::string_view text) noexcept {
  static thread_local std::unique_ptr<Cache> cache;
  if (BATON_UNLIKELY(cache == nullptr)) {
    cache.reset(new (std::nothrow) Cache);
    if (cache == nullptr) return nullptr;
  }
  std::uint64_t first = 0, last = 0;
  const std::size_t bytes = text.size() < 8 ? text.size() : 8;
  std::memcpy(&first, text.data(), bytes);
  std::memcpy(&last, text.data() + text.size() - bytes, bytes);
  const std::uint64_t mixed = (first ^ (last << 1) ^ text.size()) * hash::kFactor3;
  return &cache->entries[mixed >> 58];
}
static_assert(kEntries == 64, "the upper six bits choose the entry");

}  // namespace

PatternUse::PatternUse(Heap& heap, std::string_view source) : heap_(heap) {
  Entry* entry = source.size() <= kMaxLength ? entry_of(source) : nullptr;
  if (BATON_LIKELY(entry != nullptr && (entry->holds(source) || entry->users == 0))) {
    if (!entry->holds(source)) entry->compile(source);
    users_ = &entry->users;
    ++*users_;
    pattern_ = entry->get();
    return;
  }
  void* storage = inline_;
  if (source.size() > kInlineLength) {
    buffer_bytes_ = Pattern::storage_bytes(source.size());
    storage = buffer_ = heap.allocate_buffer(buffer_bytes_);
  }
  pattern_ = new (place_) Pattern(storage, source, Anchors::kYes);
}

PatternUse::~PatternUse() {
  if (users_ != nullptr) --*users_;
  if (buffer_ != nullptr) heap_.free_buffer(buffer_, buffer_bytes_);
}

}  // namespace baton::stdlib::pattern
