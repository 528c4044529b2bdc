// Calls that wait: each enters the VM on a stack of its own and may be left for the native stack and other tasks at any depth.
#include <baton/baton.hpp>
#include <catch2/catch.hpp>

#include <array>
#include <thread>

using namespace std::chrono_literals;

namespace {

// Frames of the host around a call: what it keeps must be as it was, wherever the call has been meanwhile.
template <class Body>
[[gnu::noinline]] int with_kept_frame(int seed, Body body) {
  volatile int kept[200];
  for (int i = 0; i < 200; ++i) kept[i] = seed + i;
  const int result = body();
  for (int i = 0; i < 200; ++i) {
    if (kept[i] != seed + i) return -1;
  }
  return result;
}

constexpr const char* kFunctions =
    "async = require 'async' "
    "function plain(n) return n + 1 end "
    "function waiting(n) async.sleep(0.0005) return n + 1 end "
    "function rotating(n) local t = async.spawn(function() async.checkpoint() return n end) async.checkpoint() return t:await() + 1 end "
    "function nested(n) if n == 0 then return 0 end async.sleep(0.0002) return host(n - 1) + 1 end "
    "function failing(n) async.sleep(0.0002) error('after a wait', 0) end "
    "function beside(n) local d = 0 "
    "  async.scope(function(s) for i = 1, n do s:spawn(function() local r = host(2) d = d + r end) end end) return d end";

}  // namespace

TEST_CASE("calls that wait and calls that do not follow each other") {
  baton::VM vm;
  vm.run(kFunctions);
  for (int i = 0; i < 20; ++i) {
    CHECK(with_kept_frame(i, [&] { return vm.call<int>("plain", i); }) == i + 1);
    CHECK(with_kept_frame(i, [&] { return vm.call<int>("waiting", i); }) == i + 1);
    CHECK(with_kept_frame(i, [&] { return vm.call<int>("rotating", i); }) == i + 1);
  }
  const baton::Lock gil{vm};
  for (int i = 0; i < 20; ++i) {
    CHECK(vm.call<int>("plain", i) == i + 1);
    CHECK(vm.call<int>("waiting", i) == i + 1);
  }
}

TEST_CASE("host and script call each other and wait at every level") {
  baton::VM vm;
  vm.run(kFunctions);
  vm.bind("host", [&](int n) { return with_kept_frame(n, [&] { return vm.call<int>("nested", n); }); });
  for (int depth : {1, 2, 7}) CHECK(with_kept_frame(depth, [&] { return vm.call<int>("nested", depth); }) == depth);
  CHECK(vm.call<int>("beside", 5) == 10);
  CHECK(vm.call<int>("plain", 1) == 2);
}

TEST_CASE("errors come out of calls that have waited, into a host that handles another exception") {
  baton::VM vm;
  vm.run(kFunctions);
  vm.bind("host", [&](int n) -> int { return vm.call<int>("failing", n); });
  for (int i = 0; i < 3; ++i) {
    CHECK_THROWS_WITH(vm.call<int>("failing", 1), "after a wait");
    CHECK_THROWS_WITH(vm.call<int>("nested", 1), "after a wait");
    try {
      throw std::runtime_error("outer");
    } catch (const std::runtime_error& error) {
      CHECK(vm.call<int>("waiting", 1) == 2);
      CHECK_FALSE(vm.try_call<int>("failing", 1).ok());
      CHECK(std::string(error.what()) == "outer");
    }
    CHECK(vm.call<int>("plain", 1) == 2);
  }
}

TEST_CASE("a task that a call has left behind goes on in later calls") {
  baton::VM vm;
  vm.run(kFunctions);
  vm.run("count = 0 async.spawn({detached = true}, function() while true do count = count + 1 async.checkpoint() end end)");
  int last = 0;
  for (int i = 0; i < 10; ++i) {
    CHECK(vm.call<int>("waiting", i) == i + 1);
    CHECK(vm.call<int>("plain", i) == i + 1);
    const int now = vm.get<int>("count");
    CHECK(now > last);
    last = now;
  }
}

TEST_CASE("calls of several threads wait beside each other") {
  baton::VM vm;
  vm.run(kFunctions);
  vm.bind("host", [&](int n) { return with_kept_frame(n, [&] { return vm.call<int>("nested", n); }); });
  std::array<std::atomic<int>, 4> sums{};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < sums.size(); ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 10; ++i) sums[t] += vm.call<int>("nested", 3) + vm.call<int>("waiting", 0) + vm.call<int>("plain", 0);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::atomic<int>& sum : sums) CHECK(sum == 50);
}

TEST_CASE("a call that waits for ever is stopped, and the next one runs") {
  baton::VM vm;
  vm.run(kFunctions);
  for (int i = 0; i < 3; ++i) {
    std::atomic<bool> ended{false};
    std::thread stopper([&] {
      while (!ended) {
        vm.interrupt();
        std::this_thread::sleep_for(1ms);
      }
    });
    CHECK_THROWS_AS(vm.run("async.sleep(1000)"), baton::Interrupted);
    ended = true;
    stopper.join();
    baton::Result<int> next = vm.try_call<int>("waiting", 1);
    CHECK((!next.ok() || *next == 2));  // the last interrupt may have come late
    CHECK(vm.call<int>("plain", 1) == 2);
  }
}
