// Hostile scripts, one after the other in one VM: each ends, by itself, with an error or stopped; memory stays within the cap;
// the next script is unharmed. How long stopping took beyond the limit is printed, not asserted.
#include <baton/baton.hpp>
#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <thread>

using namespace std::chrono_literals;
using namespace baton::literals;

namespace {

struct Script {
  std::string name, source;
};

std::vector<Script> read_scripts() {
  std::ifstream file(BATON_HOSTILE_SCRIPTS);
  std::vector<Script> scripts;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("## ")) scripts.push_back({line.substr(3), ""});
    else if (!scripts.empty()) scripts.back().source += line + "\n";
  }
  return scripts;
}

constexpr std::size_t kCap = 32_MiB;
constexpr auto kLimit = 20ms;

enum class End { returned, raised, stopped };

End run_hostile(baton::VM& vm, const Script& script, std::vector<double>& late_ms) {
  const baton::Budget budget{vm, {.wall = kLimit}};
  const auto began = std::chrono::steady_clock::now();
  try {
    vm.run(script.source, "=hostile");
    return End::returned;
  } catch (const baton::Interrupted&) {
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - began;
    late_ms.push_back(took.count() - std::chrono::duration<double, std::milli>(kLimit).count());
    return End::stopped;
  } catch (const baton::Error&) {
    return End::raised;
  }
}

void print_times(const char* what, std::vector<double> times) {
  if (times.empty()) return;
  std::sort(times.begin(), times.end());
  std::printf("%s: %zu stops, p50 %.2f ms, p99 %.2f ms, max %.2f ms late\n", what, times.size(), times[times.size() / 2],
              times[(times.size() - 1) * 99 / 100], times.back());
}

}  // namespace

TEST_CASE("hostile scripts end, and leave the VM as it was") {
  const std::vector<Script> scripts = read_scripts();
  REQUIRE(scripts.size() >= 120);
  baton::Config config;
  config.libs = baton::libs::safe;
  config.memory_limit = kCap;
  baton::VM vm{config};
  std::vector<double> late_ms;
  int ends[3] = {};
  std::size_t most_memory = 0;
  for (const Script& script : scripts) {
    INFO(script.name);
    const bool is_verbose = std::getenv("BATON_HOSTILE_VERBOSE") != nullptr;
    const std::size_t stops = late_ms.size();
    const End end = run_hostile(vm, script, late_ms);
    ++ends[static_cast<int>(end)];
    if (is_verbose) {
      std::printf("%-60s %d %8.2f\n", script.name.c_str(), static_cast<int>(end), late_ms.size() > stops ? late_ms.back() : 0.0);
      std::fflush(stdout);
    }
    most_memory = std::max(most_memory, vm.memory_used());
    CHECK(vm.memory_used() <= kCap);
    const baton::Budget budget{vm, {.wall = 30s}};
    CHECK(vm.run<int>("local n, t = 0, {} for i = 1, 100 do t[i] = tostring(i) n = n + #t[i] end return n + #string.rep('x', 1000) "
                      "+ select(2, pcall(error, 5)) + coroutine.wrap(function() return 3 end)()") == 1200);
  }
  std::printf("%zu hostile scripts: %d returned, %d raised, %d were stopped; most memory %.1f of %.0f MiB\n", scripts.size(), ends[0], ends[1],
              ends[2], static_cast<double>(most_memory) / (1 << 20), static_cast<double>(kCap) / (1 << 20));
  print_times("stopping", late_ms);
  CHECK(ends[2] > 0);
}

// The same by VM::interrupt from another thread, for what loops inside long functions of the library.
TEST_CASE("an interrupt reaches long functions of the library") {
  const std::vector<Script> scripts = read_scripts();
  baton::Config config;
  config.libs = baton::libs::safe;
  config.memory_limit = kCap;
  baton::VM vm{config};
  std::vector<double> late_ms;
  for (const Script& script : scripts) {
    if (!script.name.starts_with("cpu: ")) continue;
    INFO(script.name);
    std::atomic<bool> over{false};
    std::chrono::steady_clock::time_point asked;
    std::thread killer([&] {
      std::this_thread::sleep_for(5ms);
      asked = std::chrono::steady_clock::now();
      while (!over) {
        vm.interrupt();
        std::this_thread::sleep_for(1ms);
      }
    });
    bool stopped = false;
    try {
      vm.run(script.source, "=hostile");
    } catch (const baton::Interrupted&) {
      stopped = true;
    } catch (const baton::Error&) {
    }
    const auto end = std::chrono::steady_clock::now();
    over = true;
    killer.join();
    if (stopped) late_ms.push_back(std::chrono::duration<double, std::milli>(end - asked).count());
    CHECK(vm.run<int>("return 1") == 1);
  }
  print_times("interrupting", late_ms);
}
