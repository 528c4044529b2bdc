#include "options.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "stdlib/process_worker.h"

namespace baton::program {
namespace {

// "64", "512K", "64M", "2G". Returns: false if it is no size.
bool parse_size(const char* text, std::size_t& bytes) {
  char* end = nullptr;
  errno = 0;
  double number = std::strtod(text, &end);
  if (end == text || errno != 0 || !(number > 0)) return false;
  static constexpr char kUnits[] = "KMG";
  if (*end != '\0') {
    const char* unit = std::strchr(kUnits, *end & ~0x20);
    if (unit == nullptr || end[1] != '\0') return false;
    number *= std::ldexp(1.0, 10 * static_cast<int>(unit - kUnits + 1));
  }
  if (number >= 9e18) return false;
  bytes = static_cast<std::size_t>(number);
  return true;
}

bool parse_seconds(const char* text, double& seconds) {
  char* end = nullptr;
  seconds = std::strtod(text, &end);
  return end != text && *end == '\0' && std::isfinite(seconds) && seconds > 0;
}

bool parse_seed(const char* text, std::optional<std::uint64_t>& seed) {
  char* end = nullptr;
  errno = 0;
  seed = std::strtoull(text, &end, 0);
  return end != text && *end == '\0' && errno == 0 && *text != '-';
}

// The value of "--name=value", or null if `argument` is not that option.
const char* value_of(std::string_view argument, std::string_view name) {
  if (!argument.starts_with(name) || argument.size() <= name.size() || argument[name.size()] != '=') return nullptr;
  return argument.data() + name.size() + 1;
}

constexpr const char* kLongOptions[] = {"--check", "--dump-bytecode", "--gil-stats", "--gil-trace", "--help", "--max-memory",
                                        "--max-time", "--profile", "--sched-seed", "--switch-interval", "--version"};

// Edits (insert, remove, replace a byte) that make `b` of `a`.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

// "did you mean --check?" for a word that is no option, or "".
std::string advice_for(std::string_view word) {
  const std::string_view name = word.substr(0, word.find('='));
  const std::string dashed = name.starts_with("--") ? std::string(name) : "-" + std::string(name);
  std::size_t least = 4;
  const char* best = nullptr;
  for (const char* known : kLongOptions) {
    const bool is_start = dashed.size() > 3 && std::string_view(known).starts_with(dashed);
    const std::size_t edits = is_start ? 0 : distance(dashed, known);
    if (edits >= least || edits * 2 > dashed.size()) continue;
    least = edits;
    best = known;
  }
  return best != nullptr ? std::string("did you mean '") + best + "'?" : "";
}

// Several letters behind one dash: `lua` knows none of these.
std::string advice_for_letters(std::string_view word) {
  const std::string advice = advice_for(word);
  if (!advice.empty()) return advice;
  if (word.substr(1).find_first_not_of("ivEW") == std::string_view::npos) return "options of one letter stand alone: -i -v";
  return "";
}

void parse_long_option(Options& options, const char* argument) {
  const std::string_view name = argument;
  bool fine = true;
  if (name == "--help") options.show_help = true;
  else if (name == "--version") options.show_version = options.exit_after_version = true;
  else if (name == "--gil-stats") options.gil_stats = true;
  else if (name == "--gil-trace") options.gil_trace = "";
  else if (const char* trace = value_of(name, "--gil-trace")) fine = *(options.gil_trace = trace)->c_str() != '\0';
  else if (const char* seed = value_of(name, "--sched-seed")) fine = parse_seed(seed, options.sched_seed);
  else if (name == stdlib::kWorkerOption) options.is_worker = true;
  else if (name == "--dump-bytecode") options.dump_bytecode = true;
  else if (name == "--check") options.check = true;
  else if (name == "--profile") options.profile = "profile.html";
  else if (const char* path = value_of(name, "--profile")) fine = *(options.profile = path).c_str() != '\0';
  else if (const char* size = value_of(name, "--max-memory")) fine = parse_size(size, options.memory_limit);
  else if (const char* interval = value_of(name, "--switch-interval")) fine = parse_seconds(interval, options.switch_interval_s);
  else if (const char* limit = value_of(name, "--max-time")) fine = parse_seconds(limit, options.time_limit_s);
  else {
    options.problem = "unrecognized option '" + std::string(name) + "'";
    options.advice = advice_for(name);
  }
  if (!fine) options.problem = "invalid value in '" + std::string(name) + "'";
}

// -e and -l take the rest of their word or the next one. Returns: the index of the last word used.
int parse_action(Options& options, int argc, char* const* argv, int index) {
  const char* word = argv[index];
  Action::Kind kind = word[1] == 'e' ? Action::Kind::kExecute : Action::Kind::kRequire;
  const char* text = word + 2;
  if (*text == '\0') {
    bool missing = index + 1 >= argc || argv[index + 1][0] == '-';
    if (missing) {
      options.problem = "'" + std::string(word) + "' needs argument";
      return index;
    }
    text = argv[++index];
  }
  options.actions.push_back({kind, text});
  return index;
}

// A word of one dash and one letter. Returns: the index of the last word used.
int parse_short_option(Options& options, int argc, char* const* argv, int index) {
  const char* word = argv[index];
  if (word[1] == 'e' || word[1] == 'l') return parse_action(options, argc, argv, index);
  if (word[2] != '\0') {
    options.problem = "unrecognized option '" + std::string(word) + "'";
    options.advice = advice_for_letters(word);
    return index;
  }
  switch (word[1]) {
    case 'i': options.interactive = options.show_version = true; break;
    case 'v': options.show_version = true; break;
    case 'E': options.ignore_environment = true; break;
    case 'W': options.warnings = true; break;
    default: options.problem = "unrecognized option '" + std::string(word) + "'";
  }
  return index;
}

Command command_of(std::string_view word) {
  if (word == "repl") return Command::kRepl;
  if (word == "test") return Command::kTest;
  if (word == "bench") return Command::kBench;
  if (word == "init") return Command::kInit;
  if (word == "doc") return Command::kDoc;
  return Command::kNone;
}

}  // namespace

Options parse_options(int argc, char* const* argv) {
  Options options;
  int index = 1;
  for (; index < argc && options.problem.empty(); index++) {
    const char* word = argv[index];
    if (word[0] != '-') break;
    if (word[1] == '\0') {
      options.script_is_stdin = true;
      break;
    }
    if (word[1] != '-') {
      index = parse_short_option(options, argc, argv, index);
    } else if (word[2] == '\0') {
      index++;
      break;
    } else {
      parse_long_option(options, word);
    }
  }
  options.script = index < argc ? index : argc;
  const bool named = options.script < argc && !options.script_is_stdin && !options.check && !options.dump_bytecode;
  if (named && std::string_view(argv[options.script - 1]) != "--") options.command = command_of(argv[options.script]);
  return options;
}

std::string short_usage() { return "usage: baton [options] [script [arguments]]   (baton --help tells more)\n"; }

std::string usage() {
  return "usage: baton [options] [script [arguments]]\n"
         "       baton repl | test [path...] | bench file | init [folder] | doc [name]\n"
         "  -e code   run the text 'code'             -v, --version  print the version\n"
         "  -l mod    require into a global, or g=mod -i  the prompt, after the script\n"
         "  -E        ignore the environment          -W  turn warnings on\n"
         "  -         the script is standard input    --  end of the options\n"
         "  --check                compile the files, report mistakes, run nothing\n"
         "  --dump-bytecode        print the script's instructions instead of running it\n"
         "  --profile[=FILE]       write where time goes: .html, .svg, .json (speedscope)\n"
         "  --gil-stats            print the GIL's figures and advice at the end\n"
         "  --gil-trace[=FILE]     draw who held the GIL when: .json, .svg, .html, .txt\n"
         "  --sched-seed=N         native threads switch by a seed, at any instruction\n"
         "  --max-memory=SIZE      limit of the heap in bytes, or with K, M, G\n"
         "  --max-time=SECONDS     stop the program after so much time\n"
         "  --switch-interval=S    how long a thread keeps the GIL while others wait\n"
         "sub-commands (their names win over files: run those as ./test)\n"
         "  repl      the prompt; also without a script on a terminal. '.help' explains it\n"
         "  test      run *_test.script files: describe, it, expect; 'baton test --help'\n"
         "  bench     a file's function in sequence, threads, tasks and processes\n"
         "  init      write editor, linter and formatter configuration into a folder\n"
         "  doc       what a module, class or function does: baton doc string.rep\n"
         "environment: BATON_PATH, BATON_INIT, BATON_SWITCH_INTERVAL, NO_COLOR: baton(1)\n";
}

}  // namespace baton::program
