// Which script libraries a runtime of an embedding host gets.
//
// Invariant: bits are those of baton::libs (include/baton/config.hpp). Defined in stdlib, which stands above this layer: only
// programs that embed, and therefore link the libraries, refer to it. Owner: none. Threading: under the GIL.
#pragma once

#include <cstdint>
#include <string_view>

#include "vm/thread_state.h"

namespace baton::host {

// Opens the granted libraries and nothing else: what was not granted is reachable from nowhere. Called once, before any
// script runs. Raises: kMemory.
void open_granted_libraries(ThreadState& thread, std::uint64_t granted);

// Names the program that process.pool and process.worker start, which has to be `baton`; without a name they refuse. Called
// after the libraries are open. Raises: kMemory.
void name_worker_program(ThreadState& thread, std::string_view path);

}  // namespace baton::host
