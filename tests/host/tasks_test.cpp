#include <baton/baton.hpp>
#include <catch2/catch.hpp>

#include <poll.h>
#include <unistd.h>
#include <uv.h>

#include <atomic>
#include <coroutine>
#include <cstdio>
#include <cstdlib>
#include <thread>

using namespace std::chrono_literals;

namespace {

// A coroutine of C++ that starts at once and frees itself.
struct Detached {
  struct promise_type {
    Detached get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

Detached wait_for(baton::Future<int> future, int& place) { place = co_await future; }

// Answers from a thread of its own.
struct Service {
  std::vector<std::thread> threads;
  baton::Future<std::string> fetch(std::string url) {
    baton::Future<std::string> future;
    threads.emplace_back([future, url = std::move(url)] {
      std::this_thread::sleep_for(5ms);
      if (url == "bad") future.reject("no such host");
      else future.resolve("page " + url);
    });
    return future;
  }
  ~Service() {
    for (std::thread& thread : threads) thread.join();
  }
};

}  // namespace

TEST_CASE("a bound function that returns a future parks the calling task") {
  baton::VM vm;
  Service service;
  vm.bind("fetch", [&](std::string url) { return service.fetch(std::move(url)); });
  CHECK(vm.eval<std::string>("fetch('a')") == "page a");
  CHECK(vm.eval<std::string>("select(2, pcall(fetch, 'bad'))") == "no such host");
  // other tasks run meanwhile
  CHECK(vm.run<std::string>("local async = require 'async' local order = {} "
                            "async.scope(function(s) s:spawn(function() local page = fetch('x') order[#order + 1] = page end) "
                            "s:spawn(function() order[#order + 1] = 'other' end) end) return table.concat(order, ',')") == "other,page x");
  CHECK(vm.eval<std::string>("table.concat(require('async').map({'1', '2', '3'}, fetch), ' ')") == "page 1 page 2 page 3");
  // a timeout gives the wait up; the late answer disturbs nobody
  CHECK(vm.run<std::string>("local a, b = require('async').timeout(0.001, fetch, 'late') return b") == "timeout");
  vm.bind("ready", [] { return baton::Future<int>::ready_with(5); });
  CHECK(vm.eval<int>("ready()") == 5);
  vm.bind("done", []() { baton::Future<void> f; f.resolve(); return f; });
  CHECK(vm.eval<int>("select('#', done())") == 0);
}

TEST_CASE("a spawned task's future: get, then, co_await, errors") {
  baton::VM vm;
  const baton::Function f = vm.load("local n = ... require('async').sleep(0.002) return n * 2");
  baton::Future<int> t = vm.spawn<int>(f, 21);
  CHECK_FALSE(t.ready());
  CHECK(t.get() == 42);
  CHECK(t.get() == 42);
  const baton::Future<int> bad = vm.spawn<int>(vm.load("error('boom')", "=task"));
  CHECK_THROWS_WITH(bad.get(), "task:1: boom");
  CHECK_FALSE(bad.result().ok());
  CHECK_THROWS_AS(vm.spawn<int>(vm.load("return 'x'")).get(), baton::TypeError);
  int seen = 0, awaited = 0;
  baton::Future<int> u = vm.spawn<int>(f, 1);
  u.then([&](const baton::Result<int>& result) { seen = *result; });
  wait_for(u, awaited);
  CHECK(seen == 0);
  vm.run();
  CHECK(seen == 2);
  CHECK(awaited == 2);
  const baton::Future<int> slow = vm.spawn<int>(vm.load("require('async').sleep(5) return 1"));
  CHECK_FALSE(slow.wait_for(2ms));
}

TEST_CASE("a future is waited for by another thread") {
  baton::VM vm;
  baton::Future<std::string> t = vm.spawn<std::string>(vm.load("require('async').sleep(0.005) return 'done'"));
  std::string got;
  std::thread waiter([&] { got = t.get(); });
  vm.run();
  waiter.join();
  CHECK(got == "done");
}

TEST_CASE("functions are posted from any thread and run on the loop") {
  baton::VM vm;
  vm.run("order = {} function note(n) order[#order + 1] = n end");
  std::thread poster([&] {
    for (int i = 1; i <= 100; ++i) vm.post([&vm, i](baton::Lock&) { vm.call("note", i); });
  });
  poster.join();
  vm.run();
  CHECK(vm.eval<int>("#order") == 100);
  CHECK(vm.eval<bool>("(function() for i = 1, 100 do if order[i] ~= i then return false end end return true end)()"));
  // one that fails does not keep the others from running; one may wait
  vm.post([&vm](baton::Lock&) { vm.run("require('async').sleep(0.001) note(101)"); });
  vm.post([] {});
  vm.run();
  CHECK(vm.eval<int>("order[101]") == 101);
}

TEST_CASE("posts that come while the loop sleeps wake it") {
  baton::VM vm;
  std::atomic<bool> posted{false};
  baton::Future<void> gate;
  vm.bind("gate", [&] { return gate; });
  auto task = vm.spawn<int>(vm.load("gate() return 3"));
  std::thread poster([&] {
    std::this_thread::sleep_for(3ms);
    vm.post([&](baton::Lock&) {
      posted = true;
      gate.resolve();
    });
  });
  CHECK(task.get() == 3);
  CHECK(posted);
  poster.join();
}

TEST_CASE("run_until_idle and poll do what can be done") {
  baton::VM vm;
  vm.run("local async = require 'async' n = 0 async.spawn({detached = true}, function() n = n + 1 async.checkpoint() n = n + 1 "
         "async.sleep(0.003) n = n + 100 end)");
  vm.run_until_idle();
  CHECK(vm.get<int>("n") == 2);
  REQUIRE(vm.next_timeout().has_value());
  for (int i = 0; i < 1000 && vm.get<int>("n") < 100; ++i) vm.poll(50ms);
  CHECK(vm.get<int>("n") == 102);
  CHECK_FALSE(vm.next_timeout().has_value());
  vm.poll(0ms);
}

TEST_CASE("a foreign loop watches the backend descriptor") {
  baton::VM vm;
  const int fd = vm.backend_fd();
  REQUIRE(fd >= 0);
  int result = 0;
  vm.spawn<int>(vm.load("local async = require 'async' async.sleep(0.002) return 5")).then([&](int n) { result = n; });
  std::thread later;
  bool posted = false;
  for (int turns = 0; turns < 1000 && (result == 0 || !posted); ++turns) {
    pollfd entry{fd, POLLIN, 0};
    const auto timeout = vm.next_timeout();
    const int ms = timeout ? static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(*timeout).count()) : 2000;
    (void)::poll(&entry, 1, ms);
    vm.poll(0ms);
    if (result != 0 && !later.joinable()) {
      later = std::thread([&] {
        std::this_thread::sleep_for(2ms);
        vm.post([&] { posted = true; });
      });
    }
  }
  if (later.joinable()) later.join();
  CHECK(result == 5);
  CHECK(posted);
}

TEST_CASE("the host's libuv loop drives the VM") {
  uv_loop_t loop;
  uv_loop_init(&loop);
  int result = 0;
  {
    baton::Config config;
    config.loop = &loop;
    baton::VM vm{config};
    vm.spawn<int>(vm.load("local async = require 'async' async.sleep(0.002) return 6")).then([&](int n) { result = n; });
    uv_run(&loop, UV_RUN_DEFAULT);  // ends when the VM has nothing more to do
    CHECK(result == 6);
    vm.run("local async = require 'async' r, w = 0, nil async.spawn({detached = true}, function() async.sleep(0.001) r = 1 end)");
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK(vm.get<int>("r") == 1);
  }
  uv_run(&loop, UV_RUN_DEFAULT);
  CHECK(uv_loop_close(&loop) == 0);
}

TEST_CASE("futures of a VM that is closed fail") {
  baton::Future<int> never;
  baton::Future<int> task;
  {
    baton::VM vm;
    vm.bind("wait", [&] { return never; });
    task = vm.spawn<int>(vm.load("return wait()"));
    vm.run_until_idle();
    CHECK_FALSE(task.ready());
  }
  CHECK(task.ready());
  CHECK_THROWS_AS(task.get(), baton::Error);
  never.resolve(1);  // after everybody has gone
}

TEST_CASE("a host names the program that workers run, or has none") {
  const char* program = std::getenv("BATON_WORKER_PROGRAM");
  if (program == nullptr) return;  // started by hand
  const char* script = "local pool <close> = require 'process'.pool{workers = 1}\n"
                       "return pool:submit(function(a) return a * 2 end, 21):await()";
  baton::Config config;
  config.worker_program = program;
  baton::VM with{config};
  CHECK(with.run<int>(script) == 42);

  baton::VM without;
  const auto refused = without.try_run(script);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().message().find("worker") != std::string::npos);
}

TEST_CASE("the error of a spawned task that nobody asks about is told") {
  baton::VM vm;
  const baton::Function fail = vm.load("error('nobody asked')");
  std::fflush(stderr);
  std::FILE* const told = std::tmpfile();
  const int kept = dup(STDERR_FILENO);
  REQUIRE(dup2(fileno(told), STDERR_FILENO) >= 0);
  (void)vm.spawn(fail);
  vm.run();
  (void)vm.spawn(fail).result();
  { vm.spawn(fail).then([](const baton::Result<baton::Value>&) {}); }
  vm.run();
  std::fflush(stderr);
  dup2(kept, STDERR_FILENO);
  close(kept);
  std::rewind(told);
  char text[4096];
  const std::string output(text, std::fread(text, 1, sizeof text, told));
  std::fclose(told);
  const std::size_t place = output.find("nobody asked");
  CHECK(place != std::string::npos);
  CHECK(output.find("taken by nobody", place) == std::string::npos);  // only one of three
}
