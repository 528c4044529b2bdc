// Worker processes, for the program that starts them and the one that they run.
//
// Invariant: a program that embeds the runtime names a worker program, or has no workers: its own binary is never started
// behind its back. Owner: none. Threading: as all natives.
#pragma once

#include <string_view>

#include "vm/thread_state.h"

namespace baton::stdlib {

// The option with which a worker program is started; its other end is descriptor 3.
inline constexpr const char* kWorkerOption = "--process-worker";

// Names the program that workers run: one that calls serve_worker when it is started with kWorkerOption. Raises: kMemory.
void set_worker_program(ThreadState& thread, std::string_view path);

// What such a program does, inside Runtime::run: serves the parent until it is done or gone. Raises: what must not be raised.
void serve_worker(ThreadState& thread);

}  // namespace baton::stdlib
