// Native threads that take turns by a seed: the same seed and input give the same switches, at any instruction.
//
// For finding and replaying races (`--sched-seed=N`). The traced dispatch table counts every instruction; when a number drawn
// from the seed has run, the lock goes to whoever waits for it longest. Time plays no part: no thread asks for the lock, none
// goes first (Gil::set_timed). What a native thread is woken for by another is in line before the other goes on, and so is a
// new thread (sched), so the line's order repeats as well. What comes from outside, sleeps and input, comes when it comes.
//
// Invariant: switches happen between two instructions, where a count hook could run. Owner: SharedState. Threading: the GIL.
#pragma once

#include "vm/thread_state.h"

namespace baton::vm {

// From now on native threads of this runtime switch by `seed`. Before any script code runs. Raises: nothing.
void seed_switches(SharedState& shared, std::uint64_t seed) noexcept;

// An instruction is about to run; its `top` covers all live values. Effects: other native threads may run.
inline void count_seeded_instruction(ThreadState& thread) noexcept {
  void switch_by_seed(ThreadState & thread) noexcept;
  if (--thread.shared.instructions_left <= 0) switch_by_seed(thread);
}

}  // namespace baton::vm
