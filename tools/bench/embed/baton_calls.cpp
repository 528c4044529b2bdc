// What crossing the border costs: calls into scripts and out of them, values, VMs in parallel. Prints "name nanoseconds" lines,
// each the best of several rounds; `run` puts them beside those of lua_calls.cpp. Built against libbaton's headers only.
#include <baton/baton.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <thread>

namespace {

using Clock = std::chrono::steady_clock;

// The best of many short rounds, so that some of them meet a processor that does nothing else.
template <class Body>
double best_ns(int count, Body body) {
  constexpr int kRounds = 70;
  count = std::max(1, count / 10);
  double best = 1e18;
  for (int round = 0; round < kRounds; ++round) {
    const auto began = Clock::now();
    body(count);
    best = std::min(best, std::chrono::duration<double, std::nano>(Clock::now() - began).count() / count);
  }
  return best;
}

void print(const char* name, double ns) { std::printf("%s %.1f\n", name, ns); }

constexpr const char* kWork = "local n = 0 for i = 1, 30000000 do n = n + i % 7 end return n";

void work() {
  baton::VM vm;
  vm.run<std::int64_t>(kWork);
}

double seconds_in_threads(int threads) {
  const auto began = Clock::now();
  std::vector<std::thread> all;
  for (int i = 0; i < threads; ++i) all.emplace_back(work);
  for (std::thread& thread : all) thread.join();
  return std::chrono::duration<double>(Clock::now() - began).count();
}

// The same in processes, which can share nothing but the machine. Called while there is no other thread.
double seconds_in_processes(int processes) {
  const auto began = Clock::now();
  for (int i = 0; i < processes; ++i) {
    if (fork() == 0) {
      work();
      _exit(0);
    }
  }
  while (wait(nullptr) > 0) {
  }
  return std::chrono::duration<double>(Clock::now() - began).count();
}

// What two VMs in two threads reach of what two processes do, in turn, so that both meet the same machine: medians of rounds.
void measure_parallel() {
  constexpr std::size_t kRounds = 7;
  std::vector<double> one, processes, threads, ratios;
  for (std::size_t round = 0; round < kRounds; ++round) {
    one.push_back(seconds_in_threads(1));
    processes.push_back(seconds_in_processes(2));
    threads.push_back(seconds_in_threads(2));
    ratios.push_back(processes.back() / threads.back());
  }
  for (auto* list : {&one, &processes, &threads, &ratios}) std::sort(list->begin(), list->end());
  const double alone = one[kRounds / 2];
  std::printf("two_processes %.3f\ntwo_vms_in_two_threads %.3f\nthreads_of_processes %.3f\n", 2 * alone / processes[kRounds / 2],
              2 * alone / threads[kRounds / 2], ratios[kRounds / 2]);
}

}  // namespace

int main(int argc, char**) {
  baton::VM vm;
  {
    const baton::Lock gil{vm};
    const baton::Function empty = vm.run<baton::Function>("return function() end");
    print("call_empty_script_function", best_ns(500'000, [&](int n) { for (int i = 0; i < n; ++i) empty.call<void>(); }));
    const baton::Function add = vm.run<baton::Function>("return function(a, b) return a + b end");
    double sum = 0;
    print("call_with_two_numbers", best_ns(500'000, [&](int n) { for (int i = 0; i < n; ++i) sum += add.call<double>(1.0, 2.0); }));
    vm.bind("host_add", [](double a, double b) { return a + b; });
    const baton::Function loop = vm.run<baton::Function>("local f = host_add return function(n) for i = 1, n do f(1.5, 2.5) end end");
    const baton::Function bare = vm.run<baton::Function>("return function(n) for i = 1, n do end end");
    const double with_loop = best_ns(2'000'000, [&](int n) { loop.call<void>(n); });
    print("bound_function_two_numbers", with_loop - best_ns(2'000'000, [&](int n) { bare.call<void>(n); }));
    const baton::Table t = vm.table();
    print("set_field", best_ns(500'000, [&](int n) { for (int i = 0; i < n; ++i) t.set("field", i); }));
    print("get_field", best_ns(500'000, [&](int n) { for (int i = 0; i < n; ++i) sum += t.get<int>("field"); }));
    const baton::Function text = vm.run<baton::Function>("return function(s) return s end");
    print("string_there_and_back", best_ns(200'000, [&](int n) { for (int i = 0; i < n; ++i) sum += static_cast<double>(text.call<std::string>("twenty bytes of text").size()); }));
    vm["named"] = empty;
    print("call_by_name", best_ns(500'000, [&](int n) { for (int i = 0; i < n; ++i) vm.call<void>("named"); }));
    std::vector<std::string> words;
    for (int i = 0; i < 1000; ++i) words.push_back("word " + std::to_string(i));
    print("many_strings_there", best_ns(200'000, [&](int n) { for (int i = 0; i < n; ++i) text.call<void>(words[static_cast<std::size_t>(i) % 1000]); }));
    const baton::Function fails = vm.run<baton::Function>("return function() error('x') end");
    print("error_without_throwing", best_ns(20'000, [&](int n) { for (int i = 0; i < n; ++i) (void)fails.try_call<void>(); }));
    if (sum < 0) std::puts("");
  }
  const baton::Function empty = vm.run<baton::Function>("return function() end");
  print("call_empty_taking_the_lock", best_ns(500'000, [&](int n) { for (int i = 0; i < n; ++i) empty.call<void>(); }));
  print("make_and_close_a_vm", best_ns(50, [&](int n) { for (int i = 0; i < n; ++i) baton::VM made; }));
  if (argc > 1) measure_parallel();
}
