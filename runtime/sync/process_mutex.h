// A mutex in memory that several processes share.
//
// Invariants
//  - It lies at an address that does not change while it is locked; its memory outlives every user.
//  - When a process dies holding it, the next one gets it and is told.
// Owner: the shared memory. Threading: any thread of any process; hold it for moments only.
#pragma once

#include <pthread.h>

#include <cstdint>

namespace baton {

enum class LockOutcome : std::uint8_t { kLocked, kOwnerDied, kBusy, kFailed };

class ProcessMutex {
 public:
  // Makes it, once, by whoever made the memory (zeroed). Returns: 0 or an errno.
  int initialise() noexcept;
  // Blocks; hold no GIL. kOwnerDied: locked, and what it protects may be half done.
  LockOutcome lock() noexcept;
  // Never blocks.
  LockOutcome try_lock() noexcept;
  void unlock() noexcept;

 private:
  pthread_mutex_t mutex_;
};

}  // namespace baton
