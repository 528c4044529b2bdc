// Locks between native threads: order, timeouts, deadlocks.
#include "sched/lock.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "fixture.h"

using namespace baton;
using namespace baton::test;
using sched::Lock;
using sched::NativeThread;
using sched::WaitResult;

namespace {

// What natives of the threads share with the test; all under the GIL.
struct Shared {
  Lock first, second;
  std::vector<std::int64_t> order;
  int inside = 0, most_inside = 0;
} * shared = nullptr;

// Takes the lock, notes its number, gives the lock back.
int taking(NativeCall& call) {
  (void)shared->first.acquire(call.thread(), kNoDeadline);
  shared->order.push_back(call.check_integer(1));
  shared->first.release();
  return 0;
}

int crowding(NativeCall& call) {
  for (int i = 0; i < 200; ++i) {
    (void)shared->first.acquire(call.thread(), kNoDeadline);
    shared->most_inside = std::max(shared->most_inside, ++shared->inside);
    (void)call.shared().gil.switch_now(call.thread().gil_slot);
    --shared->inside;
    shared->first.release();
  }
  return 0;
}

// Takes both locks, the second one first.
int crossing(NativeCall& call) {
  (void)shared->second.acquire(call.thread(), kNoDeadline);
  (void)shared->first.acquire(call.thread(), kNoDeadline);
  shared->first.release();
  shared->second.release();
  return 0;
}

constexpr NativeInfo kTaking = {"taking", "", "", taking};
constexpr NativeInfo kCrowding = {"crowding", "", "", crowding};
constexpr NativeInfo kCrossing = {"crossing", "", "", crossing};

void join_all(ThreadState& self, const std::vector<NativeThread*>& threads) {
  for (NativeThread* thread : threads) {
    CHECK(Machine::join(self, *thread) == WaitResult::kReady);
    CHECK(thread->status() == sched::ThreadStatus::kDone);
    thread->release_reference();
  }
}

}  // namespace

TEST_CASE("lock: first come, first served") {
  Machine machine;
  Shared state;
  shared = &state;
  machine.run([&](ThreadState& self) {
    REQUIRE(state.first.try_acquire(self));
    std::vector<NativeThread*> threads;
    for (std::int64_t i = 1; i <= 6; ++i) {
      threads.push_back(machine.spawn(kTaking, {i}));
      CHECK(eventually(self, [&] { return threads.back()->root_task().awaited_lock() == &state.first; }));
    }
    state.first.release();
    CHECK(state.first.is_locked());  // handed over, not freed
    CHECK_FALSE(state.first.try_acquire(self));
    join_all(self, threads);
    CHECK(state.order == std::vector<std::int64_t>{1, 2, 3, 4, 5, 6});
    CHECK_FALSE(state.first.is_locked());
  });
}

TEST_CASE("lock: never two inside") {
  Machine machine;
  Shared state;
  shared = &state;
  machine.run([&](ThreadState& self) {
    std::vector<NativeThread*> threads;
    for (int i = 0; i < 4; ++i) threads.push_back(machine.spawn(kCrowding, {}));
    join_all(self, threads);
    CHECK(state.most_inside == 1);
  });
}

TEST_CASE("lock: an acquisition that times out takes nothing") {
  Machine machine;
  Shared state;
  shared = &state;
  machine.run([&](ThreadState& self) {
    REQUIRE(state.first.try_acquire(self));
    CHECK(state.first.acquire(self, sched::deadline_after(0.02)) == WaitResult::kTimedOut);
    CHECK(state.first.is_held_by(self));
    state.first.release();
    CHECK_FALSE(state.first.is_locked());
  });
}

TEST_CASE("lock: who closes a circle of waiting threads gets an error") {
  Machine machine;
  Shared state;
  shared = &state;
  machine.run([&](ThreadState& self) {
    REQUIRE(state.first.try_acquire(self));
    NativeThread* thread = machine.spawn(kCrossing, {});
    CHECK(eventually(self, [&] { return thread->root_task().awaited_lock() == &state.first; }));
    std::string message;
    try {
      (void)state.second.acquire(self, kNoDeadline);
    } catch (const ScriptError& error) {
      message = error.value.string()->view();
    }
    CHECK(message.find("deadlock: native thread 'main' waits for 'thread-1', which waits for 'main'") != std::string::npos);
    state.first.release();
    join_all(self, {thread});
  });
}

TEST_CASE("lock: its holder cannot wait for it") {
  Machine machine;
  machine.run([&](ThreadState& self) {
    Lock lock;
    REQUIRE(lock.try_acquire(self));
    CHECK_THROWS_AS(lock.acquire(self, kNoDeadline), ScriptError);
    lock.release();
  });
}
