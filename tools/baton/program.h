// What the program does inside the runtime: `arg`, -e and -l, the script, the interactive loop; reports of errors.
//
// Invariant: every script call is protected and reported as "baton: message" with a traceback on standard error.
// Owner: main. Threading: the main thread, inside Runtime::run.
#pragma once

#include <string>
#include <string_view>

#include "host/script.h"
#include "options.h"

namespace baton::program {

struct Program {
  const Options& options;
  int argc;
  char* const* argv;
  bool succeeded = false;
};

// Runs what the command line asks for; sets program.succeeded. The body of Runtime::run.
void run_program(ThreadState& thread, void* program);

// "baton: message" on standard error.
void print_message(std::string_view message);

// Ends what --gil-trace and --gil-stats began: writes and prints. The second call does nothing. Called inside Runtime::run.
void finish_gil_report(ThreadState& thread, void* program);

// Reports the error in thread.pending if `status` is one. Returns: status.
Status report(ThreadState& thread, Status status);

// Calls the function below the last `arguments` values, interruptible by SIGINT, errors with traceback in thread.pending.
Status interruptible_call(ThreadState& thread, int arguments, int wanted, int* result_count);

// The interactive loop: reads, runs and prints until the end of standard input.
void run_interactive(ThreadState& thread);

}  // namespace baton::program
