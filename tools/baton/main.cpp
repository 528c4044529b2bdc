// The program `baton`: reads the command line, creates a runtime with all libraries, runs what was asked for.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include "host/runtime.h"
#include "host/version.h"
#include "options.h"
#include "program.h"
#include "signals.h"
#include "stdlib/all_modules.h"

namespace baton::program {
namespace {

double switch_interval(const Options& options) {
  if (options.switch_interval_s > 0) return options.switch_interval_s;
  const char* text = options.ignore_environment ? nullptr : std::getenv("BATON_SWITCH_INTERVAL");
  return text != nullptr ? std::strtod(text, nullptr) : 0;
}

int run(const Options& options, int argc, char* const* argv) {
  host::RuntimeOptions runtime_options;
  runtime_options.memory_limit = options.memory_limit;
  runtime_options.switch_interval_s = switch_interval(options);
  runtime_options.sched_seed = options.sched_seed;
  runtime_options.owns_main_thread = true;
  runtime_options.ignore_environment = options.ignore_environment;
  runtime_options.open_libraries = stdlib::open_all;
  host::Runtime runtime(runtime_options);
  Program program{options, argc, argv};
  answer_dump_requests(runtime.main_thread());
  Status status = runtime.run(run_program, &program);
  if (status != Status::kOk) print_message(host::pending_report(runtime.main_thread()));
  using enum host::Runtime::MainEnd;
  const bool has_failed = status != Status::kOk || !program.succeeded;
  if (runtime.wait_for_threads(!has_failed ? kDone : was_interrupted() ? kInterrupted : kFailed) != Status::kOk) {
    print_message(host::pending_report(runtime.main_thread()));
    status = Status::kError;
    if (!has_failed) (void)runtime.wait_for_threads(was_interrupted() ? kInterrupted : kFailed);  // they may close what they hold
  }
  (void)runtime.run(finish_gil_report, &program);
  ignore_dump_requests();
  runtime.close();
  bool succeeded = status == Status::kOk && program.succeeded && runtime.uncollected_errors() == 0;
  return succeeded ? EXIT_SUCCESS : EXIT_FAILURE;
}

int start(int argc, char* const* argv) {
  // Static, so that a leak checker still sees it when os.exit ends the process on a coroutine's machine stack.
  static const Options options = parse_options(argc, argv);
  if (!options.problem.empty()) {
    print_message(options.problem);
    std::fputs(short_usage().c_str(), stderr);
    if (!options.advice.empty()) std::fprintf(stderr, "%s\n", options.advice.c_str());
    return EXIT_FAILURE;
  }
  if (options.show_help) {
    std::fputs(usage().c_str(), stdout);
    return EXIT_SUCCESS;
  }
  if (options.exit_after_version) {
    std::printf("%s %s (%s)\n", host::kProductName, host::kVersion, host::kLanguageVersion);
    return EXIT_SUCCESS;
  }
  try {
    return run(options, argc, argv);
  } catch (const std::exception&) {
    print_message("cannot create the runtime: not enough memory");
  } catch (const ScriptError&) {
    print_message("cannot create the runtime: not enough memory");
  }
  return EXIT_FAILURE;
}

}  // namespace
}  // namespace baton::program

int main(int argc, char** argv) { return baton::program::start(argc, argv); }
