#include <catch2/catch.hpp>

#include <malloc.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>

#include <unistd.h>

#include "host/runtime.h"
#include "host/script.h"
#include "sched/thread_group.h"
#include "sync/clock.h"

using namespace baton;

namespace {

// Runs `body` inside the runtime.
Status inside(host::Runtime& runtime, std::function<void(ThreadState&)> body) {
  return runtime.run([](ThreadState& thread, void* context) { (*static_cast<std::function<void(ThreadState&)>*>(context))(thread); },
                     &body);
}

// The text of the one result of a chunk, or "error: ..." with its message.
std::string evaluate(ThreadState& thread, std::string_view text, std::string_view mode = "bt") {
  Status status = host::load(thread, text, "=test", mode);
  int results = 0;
  if (status == Status::kOk) status = vm::protected_call(thread, 0, 1, Value(), &results);
  if (status != Status::kOk) return "error: " + host::pending_report(thread);
  const Value result = *--thread.current->top;
  return std::string(vm::to_string(thread, result)->view());
}

class TemporaryFile {
 public:
  explicit TemporaryFile(std::string_view content) {
    int descriptor = mkstemp(path_);
    close(descriptor);
    std::ofstream(path_, std::ios::binary) << content;
  }
  ~TemporaryFile() { std::remove(path_); }
  const char* path() const { return path_; }

 private:
  char path_[32] = "/tmp/baton_test_XXXXXX";
};

}  // namespace

TEST_CASE("runtime: runs a chunk") {
  host::Runtime runtime({});
  CHECK(inside(runtime, [](ThreadState& thread) { CHECK(evaluate(thread, "return 1 + 2 * 3") == "7"); }) == Status::kOk);
}

TEST_CASE("runtime: two live side by side and share nothing") {
  host::Runtime first({}), second({});
  (void)inside(first, [](ThreadState& thread) { evaluate(thread, "x = 'mine'"); });
  (void)inside(second, [](ThreadState& thread) { CHECK(evaluate(thread, "return x") == "nil"); });
  (void)inside(first, [](ThreadState& thread) { CHECK(evaluate(thread, "return x") == "mine"); });
}

namespace {

std::ptrdiff_t entries_of(const char* folder) {
  return std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator());
}

// A native thread that runs `text`.
void start_thread(ThreadState& thread, std::string_view text, bool is_daemon) {
  REQUIRE(host::load(thread, text, "=body", "t") == Status::kOk);
  sched::ThreadGroup& group = sched::group_of(thread.shared);
  sched::NativeThread* started = group.create("worker", is_daemon, *(thread.current->top - 1));
  --thread.current->top;
  REQUIRE(group.start(*started) == 0);
}

// One runtime from start to end, with a native thread that ends and two that must be stopped.
void live_once() {
  host::Runtime runtime({});
  (void)inside(runtime, [](ThreadState& thread) {
    start_thread(thread, "local t = {} for i = 1, 100 do t[i] = {i} end", false);
    start_thread(thread, "while true do end", true);
    start_thread(thread, "local function deeper(n) if n == 0 then while true do end end return deeper(n - 1) + 1 end deeper(50)", true);
  });
  CHECK(runtime.wait_for_threads() == Status::kOk);
}

}  // namespace

TEST_CASE("runtime: a thousand with native threads leave nothing behind") {
  const int cycles = BATON_ASAN || BATON_TSAN ? 100 : 1000;
  for (int i = 0; i < cycles / 10; ++i) live_once();
  const std::ptrdiff_t descriptors = entries_of("/proc/self/fd");
  const std::size_t allocated = mallinfo2().uordblks;
  for (int i = 0; i < cycles; ++i) live_once();
  CHECK(entries_of("/proc/self/fd") == descriptors);
  CHECK(mallinfo2().uordblks < allocated + 256 * 1024);
  const std::int64_t deadline = monotonic_ns() + 20'000'000'000;  // the kernel's part of an end comes a little later
  while (entries_of("/proc/self/task") > 1 && monotonic_ns() < deadline) usleep(1000);
  CHECK((BATON_ASAN || BATON_TSAN || entries_of("/proc/self/task") == 1));
}

TEST_CASE("runtime: the stack is as before after a run") {
  host::Runtime runtime({});
  for (int i = 0; i < 1000; i++) {
    (void)inside(runtime, [](ThreadState& thread) { vm::push(thread, Value::boolean(true)); });
  }
  CHECK(runtime.main_thread().current->top - runtime.main_thread().current->stack < 100);
}

TEST_CASE("runtime: the memory limit is an error and the runtime lives on") {
  host::RuntimeOptions options;
  options.memory_limit = 8 << 20;
  host::Runtime runtime(options);
  (void)inside(runtime, [](ThreadState& thread) {
    CHECK(evaluate(thread, "local t = {} for i = 1, 1e9 do t[i] = {} end") == "error: not enough memory");
    CHECK(evaluate(thread, "return 'alive'") == "alive");
  });
}

TEST_CASE("load: the mode decides between text and binary") {
  host::Runtime runtime({});
  (void)inside(runtime, [](ThreadState& thread) {
    CHECK(evaluate(thread, "return 1", "b") == "error: attempt to load a text chunk (mode is 'b')");
    REQUIRE(host::load(thread, "return 'dumped'", "=test", "t") == Status::kOk);
    std::string bytes = host::dump(thread, thread.current->top[-1].closure(), true);
    --thread.current->top;
    CHECK(evaluate(thread, bytes) == "dumped");
    CHECK(evaluate(thread, bytes, "t") == "error: attempt to load a binary chunk (mode is 't')");
    CHECK(evaluate(thread, bytes.substr(0, bytes.size() / 2)).starts_with("error: test: bad binary format"));
  });
}

TEST_CASE("load_file: skips a byte-order mark and a first comment, keeps line numbers") {
  TemporaryFile file("\xEF\xBB\xBF#!/usr/bin/env baton\nlocal x = = 1\n");
  host::Runtime runtime({});
  (void)inside(runtime, [&file](ThreadState& thread) {
    REQUIRE(host::load_file(thread, file.path(), "bt") == Status::kError);
    CHECK(host::pending_report(thread) == std::string(file.path()) + ":2: unexpected symbol near '='");
    REQUIRE(host::load_file(thread, "/nonexistent/file", "bt") == Status::kError);
    CHECK(host::pending_report(thread) == "cannot open /nonexistent/file: No such file or directory");
  });
}

TEST_CASE("traced_call: errors carry a traceback") {
  host::Runtime runtime({});
  (void)inside(runtime, [](ThreadState& thread) {
    REQUIRE(host::load(thread, "local t = nil; t.x = 1", "=test", "t") == Status::kOk);
    int results = 0;
    REQUIRE(host::traced_call(thread, 0, 0, &results) == Status::kError);
    std::string report = host::pending_report(thread);
    CHECK(report.starts_with("test:1: attempt to index a nil value (local 't')\nstack traceback:\n\t"));
  });
}
