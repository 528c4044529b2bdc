// The clock of everything that waits: nanoseconds of CLOCK_MONOTONIC, as the futex system call takes them.
// Invariant: never goes backwards; not comparable between machines or boots. No owner; any thread.
#pragma once

#include <ctime>
#include <cstdint>

namespace baton {

// A deadline that never comes.
inline constexpr std::int64_t kNoDeadline = 0;

// Now, in nanoseconds; > 0. Costs about 20 ns.
inline std::int64_t monotonic_ns() noexcept {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace baton
