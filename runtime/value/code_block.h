// The block that a prototype's instructions lie in: in front of the first one stands a word with the address of the constants.
//
// The interpreter guesses where a call leads (vm/interpreter.cpp) before it has seen the prototype; from a guessed first
// instruction the constants are one load away, so that nothing of a call waits for the chain closure, prototype, constants.
//
// Invariant: `code.items` of every prototype that runs was allocated here; allocate_constants fills the word.
// Owner: the prototype. Threading: under the GIL.
#pragma once

#include "value/prototype.h"

namespace baton::prototype {

inline constexpr std::size_t kCodeHeaderBytes = sizeof(Value*);

// Room for `size` instructions, which the caller fills before anybody reads them. Called once, before allocate_constants.
// Raises: kMemory.
void allocate_code(Heap& heap, Prototype* p, std::uint32_t size);

// The constants of the function whose first instruction is `code`. Raises: nothing.
inline const Value* constants_at(const Instruction* code) noexcept { return reinterpret_cast<const Value* const*>(code)[-1]; }

}  // namespace baton::prototype
