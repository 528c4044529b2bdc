// The command line of `baton`: the grammar of `lua`, and long options of our own.
//
//   baton [options] [script [arguments]]
//   baton [options] repl|test|bench|init [arguments]
//
// Invariant: parsing has no effects; it reads argv and makes an Options value. Owner: main. Threading: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace baton::program {

// -e and -l, in the order given: both act before the script.
struct Action {
  enum class Kind : std::uint8_t { kExecute, kRequire };
  Kind kind;
  std::string text;
};

// The first word that is no option may name one of these instead of a script.
enum class Command : std::uint8_t { kNone, kRepl, kTest, kBench, kInit, kDoc };

struct Options {
  Command command = Command::kNone;
  std::vector<Action> actions;
  bool interactive = false;
  bool show_version = false;
  bool show_help = false;
  bool exit_after_version = false;  // --version
  bool ignore_environment = false;
  bool warnings = false;
  bool gil_stats = false;
  std::optional<std::string> gil_trace;  // --gil-trace: where to write it; empty: as text to standard error
  std::optional<std::uint64_t> sched_seed;
  bool dump_bytecode = false;
  bool is_worker = false;               // --process-worker: started by process.worker or process.pool
  bool check = false;                   // --check: compile the files, run nothing
  std::string profile;                  // --profile: where to write it; empty: no profile
  std::size_t memory_limit = SIZE_MAX;  // bytes
  double switch_interval_s = 0;         // 0: not given
  double time_limit_s = 0;              // 0: none
  int script = 0;         // index in argv of the script or sub-command, "-" included; argc if there is none
  bool script_is_stdin = false;
  std::string problem;    // not empty: what is wrong with the command line
  std::string advice;     // not empty: what may have been meant
};

// Reads argv[1..argc-1]. Returns: the options; `problem` says whether they can be used.
Options parse_options(int argc, char* const* argv);

// The text of --help, and the line of it that follows a complaint.
std::string usage();
std::string short_usage();

}  // namespace baton::program
