#include <baton/baton.hpp>
#include <catch2/catch.hpp>

#include <atomic>
#include <cstdio>
#include <ctime>
#include <dirent.h>
#include <thread>

using namespace std::chrono_literals;

namespace {

int open_descriptors() {
  int count = 0;
  if (DIR* folder = opendir("/proc/self/fd")) {
    while (readdir(folder) != nullptr) ++count;
    closedir(folder);
  }
  return count;
}

int running_threads() {
  int count = 0;
  if (DIR* folder = opendir("/proc/self/task")) {
    while (readdir(folder) != nullptr) ++count;
    closedir(folder);
  }
  return count;
}

}  // namespace

TEST_CASE("many threads of the host call into one VM") {
  baton::VM vm;
  vm.run("n = 0 function add(k) for i = 1, k do n = n + 1 end return n end");
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 50; ++j) {
        const baton::Lock gil{vm};
        const int before = vm.get<int>("n");
        vm.call<int>("add", 1);
        CHECK(vm.get<int>("n") >= before + 1);
      }
      vm.call<int>("add", 100);  // without a guard: the call takes the lock
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(vm.get<int>("n") >= 8 * 50);
}

TEST_CASE("guards nest, and Unlock lets others in") {
  baton::VM vm;
  baton::Lock outer{vm};
  {
    baton::Lock inner{vm};
    vm["x"] = 1;
  }
  std::atomic<bool> entered{false};
  std::thread other([&] {
    const baton::Lock gil{vm};
    vm["x"] = 2;
    entered = true;
  });
  {
    const baton::Unlock nogil{vm};
    other.join();
    CHECK(vm.get<int>("x") == 2);  // an operation takes the lock again
  }
  CHECK(entered);
  vm["x"] = 3;
  CHECK(vm.get<int>("x") == 3);
}

TEST_CASE("release_gil lets other threads run during a bound function") {
  baton::VM vm;
  std::atomic<bool> stop{false};
  std::atomic<int> others{0};
  vm.bind("blocking", [&](int n) {
    while (others.load() < 3 && !stop) std::this_thread::sleep_for(1ms);
    return n + 1;
  }, baton::release_gil);
  vm.run("function tick() end");
  std::thread other([&] {
    for (int i = 0; i < 3; ++i) {
      vm.call("tick");
      ++others;
    }
  });
  CHECK(vm.eval<int>("blocking(1)") == 2);
  other.join();
}

TEST_CASE("native threads of scripts call functions of the host") {
  baton::VM vm;
  std::atomic<int> calls{0};
  vm.bind("note", [&](const baton::Function& f) {
    ++calls;
    return f.call<int>(1);
  });
  vm.run("local thread = require 'thread' local all = {} "
         "for i = 1, 4 do all[i] = thread.spawn(function() local n = 0 for j = 1, 25 do n = n + note(function(x) return x end) end return n end) end "
         "sum = 0 for i = 1, 4 do sum = sum + all[i]:join() end");
  CHECK(vm.get<int>("sum") == 100);
  CHECK(calls == 100);
}

TEST_CASE("native threads of scripts call functions of the host, one after the other") {
  baton::VM vm;
  vm.bind("note", [](const baton::Function& f) { return f.call<int>(1); });
  vm.run("local thread = require 'thread' sum = 0 "
         "for i = 1, 20 do sum = sum + thread.spawn(function() return note(function(x) return x end) end):join() end");
  CHECK(vm.get<int>("sum") == 20);
}

TEST_CASE("several VMs run in parallel, also on one thread and inside each other") {
  baton::VM a, b;
  a.bind("other", [&](int n) { return b.call<int>("twice", n); });
  b.run("function twice(n) return n * 2 end");
  CHECK(a.eval<int>("other(4)") == 8);
  CHECK_THROWS_AS(a.set("x", b.table()), baton::Error);
  std::vector<std::thread> threads;
  std::atomic<int> sum{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&sum, i] {
      baton::VM own;
      sum += own.run<int>("local n = 0 for i = 1, 1000 do n = n + 1 end return n") + i;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(sum == 4006);
}

TEST_CASE("figures and timeline of the lock") {
  baton::VM vm;
  std::string json;
  {
    auto trace = vm.trace_to([&](std::string_view text) { json = text; });
    CHECK_THROWS_AS(vm.trace_to([](std::string_view) {}), baton::Error);
    std::thread other([&] { vm.run("for i = 1, 1e5 do end"); });
    vm.run("for i = 1, 1e5 do end");
    other.join();
  }
  CHECK(json.find("traceEvents") != std::string::npos);
  const baton::GilStats stats = vm.gil_stats();
  CHECK(stats.held.count() > 0);
  CHECK_FALSE(stats.threads.empty());
}

TEST_CASE("closing stops tasks, threads of scripts and calls of other threads, and runs finalizers") {
  auto vm = std::make_unique<baton::VM>();
  std::atomic<int> finalized{0};
  vm->bind("note", [&] { ++finalized; });
  vm->run("keep = setmetatable({}, {__gc = function() note() end}) local async, thread = require 'async', require 'thread' "
          "async.spawn({detached = true}, function() async.sleep(100) end) thread.spawn(function() while true do end end)");
  std::atomic<bool> running{false}, stopped{false};
  std::thread caller([&] {
    vm->bind("started", [&] { running = true; });
    try {
      vm->run("started() while true do end");
    } catch (const baton::Error&) {
      stopped = true;
    }
  });
  while (!running) std::this_thread::sleep_for(1ms);
  CHECK(vm->close().empty());
  caller.join();
  CHECK(stopped);
  CHECK(finalized == 1);
  CHECK_THROWS_AS(vm->run("return 1"), baton::VMClosed);
  CHECK(vm->is_closed());
}

TEST_CASE("a thread that does not come back is named") {
  baton::Config config;
  config.close_timeout = 30ms;
  auto* vm = new baton::VM(config);
  std::atomic<bool> inside{false}, release{false};
  vm->bind("stuck", [&] {
    inside = true;
    while (!release) std::this_thread::sleep_for(1ms);
  }, baton::release_gil);
  std::thread caller([&] {
    pthread_setname_np(pthread_self(), "patient");
    try {
      vm->run("stuck()");
    } catch (const baton::Error&) {
    }
  });
  while (!inside) std::this_thread::sleep_for(1ms);
  const std::vector<std::string> stuck = vm->close();
  CHECK(stuck == std::vector<std::string>{"patient"});
  release = true;
  caller.join();
  delete vm;
}

TEST_CASE("a thousand VMs leave nothing behind") {
  auto cycle = [](int i) {
    baton::Config config;
    if (i % 10 != 0) config.libs = baton::libs::safe;
    baton::VM vm{config};
    vm.bind("f", [](int n) { return n; });
    const baton::Value kept = vm.eval("{f(1)}");
    vm.run("local co = coroutine.wrap(function() coroutine.yield(1) end) co() t = setmetatable({}, {__gc = function() end})");
    if (i % 10 == 0) {
      vm.run("local thread, async = require 'thread', require 'async' thread.spawn(function() return 1 end):join() async.sleep(0)");
      baton::Budget budget{vm, {.wall = 5s}};
      vm.run("local n = 0 for i = 1, 100 do n = n + i end");
      vm.poll(0ms);
      (void)vm.backend_fd();
    }
  };
  for (int i = 0; i < 10; ++i) cycle(i);
  const int descriptors = open_descriptors(), threads = running_threads();
  for (int i = 0; i < 1000; ++i) cycle(i);
  for (int i = 0; i < 100 && running_threads() > threads; ++i) std::this_thread::sleep_for(10ms);
  CHECK(open_descriptors() == descriptors);
  CHECK(running_threads() <= threads);
}

TEST_CASE("a VM is not called back into from the call that it has made of another one") {
  baton::VM a, b;
  a.bind("cross", [&b](int n) { return n == 0 ? 0 : 1 + b.call<int>("cross", n - 1); });
  b.bind("cross", [&a](int n) { return n == 0 ? 0 : 1 + a.call<int>("cross", n - 1); });
  for (int round = 0; round < 2; ++round) {
    CHECK(a.call<int>("cross", 1) == 1);
    CHECK(b.call<int>("cross", 1) == 1);
    CHECK_THROWS_WITH(a.call<int>("cross", 2), Catch::Contains("call of another VM"));
    CHECK_THROWS_WITH(b.call<int>("cross", 3), Catch::Contains("call of another VM"));
  }
}
