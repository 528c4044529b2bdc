// Mappings of one size that one runtime has given up and the next may take as they are: a host that opens and closes many
// runtimes would otherwise pay for the same mapping, and for each page of it, again and again.
//
// Invariant: a kept mapping belongs to nobody; whoever takes it finds in it what the last one wrote.
// Owner: a static variable of the file that maps. Threading: any thread.
#pragma once

#include <atomic>
#include <cstddef>

namespace baton {

template <std::size_t kMost>
class MappingCache {
 public:
  // Returns: one that was kept, or null.
  void* take() noexcept {
    for (std::atomic<void*>& place : kept_) {
      if (place.load(std::memory_order_relaxed) == nullptr) continue;
      if (void* mapping = place.exchange(nullptr, std::memory_order_acquire)) return mapping;
    }
    return nullptr;
  }
  // Returns: whether it was kept; else the caller unmaps it.
  bool keep(void* mapping) noexcept {
    for (std::atomic<void*>& place : kept_) {
      void* expected = nullptr;
      if (place.compare_exchange_strong(expected, mapping, std::memory_order_release, std::memory_order_relaxed)) return true;
    }
    return false;
  }

 private:
  std::atomic<void*> kept_[kMost]{};
};

}  // namespace baton
