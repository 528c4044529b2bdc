// A clock that costs a few nanoseconds and whose unit nobody needs to know: for "has it been about a millisecond?".
//
// Invariant: it ticks at least as fast as it takes for kCyclesBelowMillisecond ticks to pass within a millisecond, and on one
// native thread it does not go back noticeably. No owner; any thread.
#pragma once

#include <cstdint>

#include "base/platform.h"

namespace baton {

#if BATON_HAS_CYCLE_COUNTER
inline std::uint64_t cycle_clock() noexcept { return BATON_CYCLE_COUNTER(); }
inline constexpr std::uint64_t kCyclesBelowMillisecond = 1'000'000;  // processors with this counter run at 1 GHz or more
#else
inline std::uint64_t cycle_clock() noexcept { return 0; }  // counts of points and switches alone decide
inline constexpr std::uint64_t kCyclesBelowMillisecond = 1;
#endif

}  // namespace baton
