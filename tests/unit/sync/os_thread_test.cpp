#include "sync/os_thread.h"

#include <catch2/catch.hpp>

#include <atomic>
#include <csignal>
#include <cstring>
#include <string>

using namespace baton;

namespace {

struct Report {
  std::atomic<bool> go{false};
  char name[16] = {};
  std::size_t stack_bytes = 0;
  bool on_stack = false;
  bool interrupt_blocked = false;
};

void report(void* data) noexcept {
  auto& result = *static_cast<Report*>(data);
  pthread_getname_np(pthread_self(), result.name, sizeof result.name);
  StackExtent stack = current_native_stack();
  auto* here = static_cast<std::byte*>(__builtin_frame_address(0));
  result.stack_bytes = static_cast<std::size_t>(stack.top - stack.low);
  result.on_stack = stack.low < here && here < stack.top;
  sigset_t mask;
  pthread_sigmask(SIG_BLOCK, nullptr, &mask);
  result.interrupt_blocked = sigismember(&mask, SIGINT) == 1 && sigismember(&mask, SIGSEGV) == 0;
}

void wait_for_go(void* data) noexcept {
  auto& result = *static_cast<Report*>(data);
  while (!result.go.load()) sched_yield();
}

}  // namespace

TEST_CASE("os_thread: name, stack and signals are as asked") {
  Report result;
  OsThread thread;
  REQUIRE(thread.start("worker", 512 * 1024, nullptr, report, &result) == 0);
  CHECK(thread.joinable());
  thread.join();
  CHECK_FALSE(thread.joinable());
  CHECK(std::string(result.name) == "worker");
  CHECK(result.stack_bytes >= 512 * 1024);
  CHECK(result.stack_bytes < 1024 * 1024);
  CHECK(result.on_stack);
  CHECK(result.interrupt_blocked);
}

TEST_CASE("os_thread: a long name is cut between characters") {
  Report result;
  OsThread thread;
  REQUIRE(thread.start("Zähler-ünd-mä-x", 0, nullptr, report, &result) == 0);
  thread.join();
  CHECK(std::string(result.name) == "Zähler-ünd-m");
}

TEST_CASE("os_thread: running threads are counted, also detached ones") {
  ThreadCount count;
  CHECK(count.wait_until_none(kNoDeadline));
  Report first;
  Report second;
  OsThread one;
  OsThread two;
  REQUIRE(one.start("one", 0, &count, wait_for_go, &first) == 0);
  REQUIRE(two.start("two", 0, &count, wait_for_go, &second) == 0);
  CHECK(count.running() == 2);
  CHECK_FALSE(count.wait_until_none(monotonic_ns() + 1'000'000));
  two.detach();
  second.go = true;
  first.go = true;
  CHECK(count.wait_until_none(monotonic_ns() + 10'000'000'000));
  one.join();
  CHECK(count.running() == 0);
}

TEST_CASE("os_thread: a refusal is reported") {
  ThreadCount count;
  OsThread thread;
  CHECK(thread.start("huge", std::size_t{1} << 60, &count, report, nullptr) != 0);
  CHECK_FALSE(thread.joinable());
  CHECK(count.running() == 0);
}

TEST_CASE("os_thread: the main thread's stack is known") {
  StackExtent stack = current_native_stack();
  CHECK(stack.top - stack.low >= 64 * 1024);
}
