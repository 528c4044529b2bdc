// What is asked of the program from outside: SIGINT, SIGQUIT, and the limit of --max-time.
//
// Invariant: handlers do nothing but interrupt the main thread (a bit in its word, the end of its wait); the second SIGINT
// finds the system's default action and ends the process. The library underneath installs no handlers: these belong to the
// program.
// Owner: the program, one at a time in a process. Threading: set up by the main thread; handlers run anywhere.
#pragma once

#include "host/runtime.h"

namespace baton::program {

// While it lives, SIGINT raises "interrupted!" in the main task.
class InterruptGuard {
 public:
  explicit InterruptGuard(ThreadState& main_thread);
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
};

// Whether a SIGINT has ever interrupted the main task. Raises: nothing.
bool was_interrupted();

// From now on SIGQUIT makes the main thread tell on standard error what every task does. The program goes on.
void answer_dump_requests(ThreadState& main_thread);
// The main thread is about to go; later requests do nothing. Raises: nothing.
void ignore_dump_requests();

// From now on SIGINT never ends the program: it ends what an InterruptGuard protects, else nothing. For the prompt.
void keep_interrupts(bool keep);

// After `seconds` of wall time "time limit exceeded" is raised in the main task, again every 100 ms; a second later the process
// ends. Called inside Runtime::run. Raises: kMemory.
void start_time_limit(ThreadState& main_thread, double seconds);

}  // namespace baton::program
