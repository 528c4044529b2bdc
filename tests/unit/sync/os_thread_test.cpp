#include "sync/os_thread.h"

#include <catch2/catch.hpp>

#include <sys/syscall.h>
#include <unistd.h>

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

struct Scheduling {  // the kernel's struct sched_attr
  std::uint32_t size = sizeof(Scheduling);
  std::uint32_t policy = 0;
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t slice_ns = 0, deadline_ns = 0, period_ns = 0;
};

Scheduling scheduling() {
  Scheduling result;
  syscall(SYS_sched_getattr, 0, &result, sizeof result, 0);
  return result;
}

struct Slices {
  bool kernel_agrees = false;
  Scheduling before, as_short, as_long, given, usual, child;
};

void note_scheduling(void* data) noexcept { *static_cast<Scheduling*>(data) = scheduling(); }

void change_slices(void* data) noexcept {
  auto& result = *static_cast<Slices*>(data);
  result.before = scheduling();
  Scheduling same = result.before;
  same.flags = 1;  // SCHED_FLAG_RESET_ON_FORK
  const bool may = same.slice_ns != 0 && same.policy == SCHED_OTHER && same.nice >= 0;
  result.kernel_agrees = may && syscall(SYS_sched_setattr, 0, &same, 0) == 0;
  set_slice(Slice::kShort);
  result.as_short = scheduling();
  set_slice(Slice::kLong);
  result.as_long = scheduling();
  OsThread child;
  if (child.start("child", 0, nullptr, note_scheduling, &result.child) == 0) child.join();
  set_slice_of(current_kernel_thread(), Slice::kShort);  // as another thread would
  note_slice(Slice::kShort);
  result.given = scheduling();
  set_slice(Slice::kUsual);
  result.usual = scheduling();
}

}  // namespace

TEST_CASE("os_thread: slices change for threads of our own, where the kernel has them, and are not inherited") {
  Slices own;
  OsThread thread;
  REQUIRE(thread.start("slices", 0, nullptr, change_slices, &own) == 0);
  thread.join();
  CHECK(own.usual.slice_ns == own.before.slice_ns);
  CHECK(own.child.slice_ns == own.before.slice_ns);
  CHECK(own.as_short.policy == own.before.policy);
  CHECK(own.as_long.nice == own.before.nice);
  if (own.kernel_agrees) {
    CHECK(own.as_short.slice_ns < own.before.slice_ns);
    CHECK(own.as_long.slice_ns > own.before.slice_ns);
    CHECK(own.given.slice_ns == own.as_short.slice_ns);
  }
  const std::uint64_t of_host = scheduling().slice_ns;
  set_slice(Slice::kShort);
  CHECK(scheduling().slice_ns == of_host);
}

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
