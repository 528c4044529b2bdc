#include "options.h"

#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string_view>

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

// The value of "--name=value", or null if `argument` is not that option.
const char* value_of(std::string_view argument, std::string_view name) {
  if (!argument.starts_with(name) || argument.size() <= name.size() || argument[name.size()] != '=') return nullptr;
  return argument.data() + name.size() + 1;
}

void parse_long_option(Options& options, const char* argument) {
  const std::string_view name = argument;
  bool fine = true;
  if (name == "--help") options.show_help = true;
  else if (name == "--version") options.show_version = options.exit_after_version = true;
  else if (name == "--gil-stats") options.gil_stats = true;
  else if (name == "--dump-bytecode") options.dump_bytecode = true;
  else if (const char* size = value_of(name, "--max-memory")) fine = parse_size(size, options.memory_limit);
  else if (const char* interval = value_of(name, "--switch-interval")) fine = parse_seconds(interval, options.switch_interval_s);
  else if (const char* limit = value_of(name, "--max-time")) fine = parse_seconds(limit, options.time_limit_s);
  else options.problem = "unrecognized option '" + std::string(name) + "'";
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
  return options;
}

std::string usage() {
  return "usage: baton [options] [script [arguments]]\n"
         "  -e code     run the text 'code'\n"
         "  -l mod      require module 'mod' into a global variable of that name\n"
         "  -l g=mod    require module 'mod' into the global variable 'g'\n"
         "  -i          be interactive after running the script\n"
         "  -v          print the version\n"
         "  -E          pay no attention to environment variables\n"
         "  -W          turn warnings on\n"
         "  --          end of the options\n"
         "  -           end of the options; the script comes from standard input\n"
         "  --max-memory=SIZE      limit of the heap in bytes, or with K, M, G\n"
         "  --max-time=SECONDS     stop the program after so much time\n"
         "  --switch-interval=S    how long a native thread keeps the GIL while others wait\n"
         "  --gil-stats            print the GIL's figures at the end\n"
         "  --dump-bytecode        print the script's instructions instead of running it\n"
         "  --version, --help\n";
}

}  // namespace baton::program
