#include "vm/seeded_switches.h"

#include "base/hash.h"

namespace baton::vm {
namespace {

// Few enough that a loop of four instructions is left in its middle every dozen rounds; a switch costs as much as a thousand
// instructions, so such a run is slow anyway.
constexpr std::uint64_t kMostInstructionsPerTurn = 128;

}  // namespace

// The state is Weyl's sequence; what is drawn is its mixed value.
void switch_by_seed(ThreadState& thread) noexcept {
  SharedState& shared = thread.shared;
  shared.seed_state += 0x9e3779b97f4a7c15u;
  shared.instructions_left = static_cast<std::int32_t>(1 + hash::mix(shared.seed_state) % kMostInstructionsPerTurn);
  GilSlot* slot = thread.gil_slot;
  if (slot != nullptr && slot->hold_depth == 0) (void)shared.gil.switch_now(slot);
}

void seed_switches(SharedState& shared, std::uint64_t seed) noexcept {
  shared.is_seeded = true;
  shared.seed_state = seed;
  shared.instructions_left = 1;
  shared.gil.set_timed(false);
}

}  // namespace baton::vm
