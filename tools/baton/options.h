// The command line of `baton`: the grammar of `lua`, and long options of our own.
//
//   baton [options] [script [arguments]]
//
// Invariant: parsing has no effects; it reads argv and makes an Options value. Owner: main. Threading: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace baton::program {

// -e and -l, in the order given: both act before the script.
struct Action {
  enum class Kind : std::uint8_t { kExecute, kRequire };
  Kind kind;
  std::string text;
};

struct Options {
  std::vector<Action> actions;
  bool interactive = false;
  bool show_version = false;
  bool show_help = false;
  bool exit_after_version = false;  // --version
  bool ignore_environment = false;
  bool warnings = false;
  bool gil_stats = false;
  bool dump_bytecode = false;
  std::size_t memory_limit = SIZE_MAX;  // bytes
  double switch_interval_s = 0;         // 0: not given
  double time_limit_s = 0;              // 0: none
  int script = 0;         // index in argv of the script, "-" included; argc if there is none
  bool script_is_stdin = false;
  std::string problem;    // not empty: what is wrong with the command line
};

// Reads argv[1..argc-1]. Returns: the options; `problem` says whether they can be used.
Options parse_options(int argc, char* const* argv);

// The text of --help.
std::string usage();

}  // namespace baton::program
