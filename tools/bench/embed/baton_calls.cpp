// What crossing the border costs: calls into scripts and out of them, values, VMs in parallel. Prints "name nanoseconds" lines,
// each the best of several rounds; `run` puts them beside those of lua_calls.cpp. Built against libbaton's headers only.
#include <baton/baton.hpp>

#include <atomic>
#include <cstdio>
#include <thread>

namespace {

using Clock = std::chrono::steady_clock;

template <class Body>
double best_ns(int count, Body body) {
  double best = 1e18;
  for (int round = 0; round < 7; ++round) {
    const auto began = Clock::now();
    body(count);
    best = std::min(best, std::chrono::duration<double, std::nano>(Clock::now() - began).count() / count);
  }
  return best;
}

void print(const char* name, double ns) { std::printf("%s %.1f\n", name, ns); }

constexpr const char* kWork = "local n = 0 for i = 1, 30000000 do n = n + i % 7 end return n";

// A loop of the processor alone, for what two of them can do at once on this machine.
double spin_seconds(int threads) {
  const auto began = Clock::now();
  std::vector<std::thread> all;
  std::atomic<std::uint64_t> sum{0};
  for (int i = 0; i < threads; ++i) {
    all.emplace_back([&sum] {
      std::uint64_t n = 1;
      for (std::uint64_t k = 0; k < 300'000'000; ++k) n = n * 6364136223846793005u + 1442695040888963407u;
      sum += n;
    });
  }
  for (std::thread& thread : all) thread.join();
  return std::chrono::duration<double>(Clock::now() - began).count();
}

double vm_seconds(int threads) {
  const auto began = Clock::now();
  std::vector<std::thread> all;
  for (int i = 0; i < threads; ++i) {
    all.emplace_back([] {
      baton::VM vm;
      vm.run<std::int64_t>(kWork);
    });
  }
  for (std::thread& thread : all) thread.join();
  return std::chrono::duration<double>(Clock::now() - began).count();
}

void measure_parallel() {
  double capacity = 0, reached = 0;
  for (int round = 0; round < 3; ++round) {
    capacity = std::max(capacity, 2 * spin_seconds(1) / spin_seconds(2));
    reached = std::max(reached, 2 * vm_seconds(1) / vm_seconds(2));
  }
  std::printf("capacity_of_two_cores %.3f\ntwo_vms_in_two_threads %.3f\nratio_to_capacity %.3f\n", capacity, reached, reached / capacity);
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
    const baton::Function fails = vm.run<baton::Function>("return function() error('x') end");
    print("error_without_throwing", best_ns(20'000, [&](int n) { for (int i = 0; i < n; ++i) (void)fails.try_call<void>(); }));
    if (sum < 0) std::puts("");
  }
  const baton::Function empty = vm.run<baton::Function>("return function() end");
  print("call_empty_taking_the_lock", best_ns(500'000, [&](int n) { for (int i = 0; i < n; ++i) empty.call<void>(); }));
  print("make_and_close_a_vm", best_ns(50, [&](int n) { for (int i = 0; i < n; ++i) baton::VM made; }));
  if (argc > 1) measure_parallel();
}
