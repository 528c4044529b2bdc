// Native threads: results, errors, waits, cancellation, being stopped.
#include "sched/thread_group.h"

#include <catch2/catch.hpp>

#include <atomic>
#include <string>
#include <vector>

#include "fixture.h"

using namespace baton;
using namespace baton::test;
using sched::NativeThread;
using sched::ThreadStatus;
using sched::WaitResult;

namespace {

std::atomic<int> destroyed{0};

struct Witness {
  ~Witness() { ++destroyed; }
};

int adding(NativeCall& call) {
  call.push(Value::from(call.check_integer(1) + call.check_integer(2)));
  call.push_string("second");
  return 2;
}

int failing(NativeCall& call) { call.error("it fails"); }

int sleeping(NativeCall& call) {
  const Witness witness;
  sched::sleep_until(call.thread(), monotonic_ns() + call.check_integer(1) * 1'000'000, "test.sleep");
  return 0;
}

// Works until it is told otherwise.
int spinning(NativeCall& call) {
  const Witness witness;
  for (;;) vm::poll(call.thread());
}

int suspended_body(NativeCall& call) {
  const Witness witness;
  return vm::yield(call.thread(), 0);
}

constexpr NativeInfo kAdding = {"adding", "", "", adding};
constexpr NativeInfo kFailing = {"failing", "", "", failing};
constexpr NativeInfo kSleeping = {"sleeping", "", "", sleeping};
constexpr NativeInfo kSpinning = {"spinning", "", "", spinning};
constexpr NativeInfo kSuspendedBody = {"suspended_body", "", "", suspended_body};

int catching_sleeps(NativeCall& call) {
  for (int i = 0; i < 3; ++i) {
    call.set_size(0);
    call.push(native::make(call.thread(), &kSleeping));
    call.push(Value::from(std::int64_t{10'000}));
    int count = 0;
    if (vm::protected_call(call.thread(), 1, 0, Value(), &count) == Status::kOk) return 0;
  }
  return call.result_string("cancelled three times");
}

// Leaves a suspended coroutine with natives behind.
int leaving_a_coroutine(NativeCall& call) {
  Coroutine* co = coroutine::make(call.heap());
  *co->top++ = native::make(call.thread(), &kSuspendedBody);
  call.push(Value::of(co));
  int count = 0;
  (void)vm::resume(call.thread(), co, 0, &count);
  return call.result(Value::of(co));
}

constexpr NativeInfo kCatchingSleeps = {"catching_sleeps", "", "", catching_sleeps};
constexpr NativeInfo kLeavingACoroutine = {"leaving_a_coroutine", "", "", leaving_a_coroutine};

Value result(NativeThread& thread, int i) { return thread.state().root->top[i - 1 - thread.result_count()]; }

}  // namespace

TEST_CASE("native threads: results stay on the root's stack until they are fetched") {
  Machine machine;
  machine.run([&](ThreadState& self) {
    NativeThread* thread = machine.spawn(kAdding, {2, 3});
    Root<Coroutine> root(self.heap(), thread->state().root);
    CHECK(Machine::join(self, *thread) == WaitResult::kReady);
    CHECK(thread->status() == ThreadStatus::kDone);
    vm::collect_all(self);
    REQUIRE(thread->result_count() == 2);
    CHECK(result(*thread, 1).integer == 5);
    CHECK(result(*thread, 2).string()->view() == "second");
    CHECK(machine.group->threads().size() == 1);
    CHECK(root->status == CoroutineStatus::kDead);
    thread->release_reference();
  });
}

TEST_CASE("native threads: many at once") {
  Machine machine;
  machine.run([&](ThreadState& self) {
    std::vector<NativeThread*> threads;
    for (std::int64_t i = 0; i < 40; ++i) threads.push_back(machine.spawn(kSleeping, {i % 5}));
    for (NativeThread* thread : threads) {
      CHECK(Machine::join(self, *thread) == WaitResult::kReady);
      thread->release_reference();
    }
    CHECK(machine.group->fibers().statistics().in_use == 1);
  });
}

TEST_CASE("native threads: an error is kept, and reported only if nobody takes it") {
  Machine machine;
  machine.run([&](ThreadState& self) {
    NativeThread* taken = machine.spawn(kFailing, {});
    Root<Userdata> handle(self.heap(), userdata::make(self.heap(), 0));  // without one it would be reported at its end
    taken->set_handle(handle.get());
    NativeThread* not_taken = machine.spawn(kFailing, {});
    Root<Coroutine> root(self.heap(), taken->state().root);
    CHECK(Machine::join(self, *taken) == WaitResult::kReady);
    CHECK(Machine::join(self, *not_taken) == WaitResult::kReady);
    CHECK(taken->status() == ThreadStatus::kFailed);
    CHECK(root->error.string()->view() == "it fails");
    machine.group->mark_collected(*taken);
    taken->release_reference();
    not_taken->release_reference();
  });
  CHECK(machine.stop() == 1);
}

TEST_CASE("native threads: a wait ends at its deadline") {
  Machine machine;
  machine.run([&](ThreadState& self) {
    NativeThread* thread = machine.spawn(kSleeping, {300});
    const std::int64_t began = monotonic_ns();
    CHECK(Machine::join(self, *thread, began + 20'000'000) == WaitResult::kTimedOut);
    CHECK(monotonic_ns() - began >= 20'000'000);
    CHECK(thread->joiners().empty());
    CHECK(Machine::join(self, *thread) == WaitResult::kReady);
    thread->release_reference();
  });
}

TEST_CASE("native threads: cancellation is raised at every later wait") {
  Machine machine;
  machine.run([&](ThreadState& self) {
    NativeThread* thread = machine.spawn(kCatchingSleeps, {});
    CHECK(eventually(self, [&] { return thread->is_waiting(); }));
    const std::int64_t began = monotonic_ns();
    thread->cancel(Value::of(string::make(self.heap(), "stop it")));
    CHECK(Machine::join(self, *thread) == WaitResult::kReady);
    CHECK(monotonic_ns() - began < 5'000'000'000);
    REQUIRE(thread->status() == ThreadStatus::kDone);
    CHECK(result(*thread, 1).string()->view() == "cancelled three times");
    thread->release_reference();
  });
}

TEST_CASE("native threads: one that lets the cancellation through is cancelled") {
  Machine machine;
  machine.run([&](ThreadState& self) {
    NativeThread* thread = machine.spawn(kSpinning, {});
    thread->cancel(Value::of(string::make(self.heap(), "stop it")));
    CHECK(Machine::join(self, *thread) == WaitResult::kReady);
    CHECK(thread->status() == ThreadStatus::kCancelled);
    thread->release_reference();
  });
}

TEST_CASE("native threads: daemons are stopped at the end, waiting or working") {
  destroyed = 0;
  Machine machine;
  machine.run([&](ThreadState& self) {
    NativeThread* sleeper = machine.spawn(kSleeping, {100'000}, true);
    NativeThread* spinner = machine.spawn(kSpinning, {}, true);
    CHECK(eventually(self, [&] { return sleeper->is_waiting() && spinner->status() == ThreadStatus::kRunning; }));
    machine.group->wait_for_threads();
    sleeper->release_reference();
    spinner->release_reference();
  });
  CHECK(machine.stop() == 0);
  CHECK(machine.stopped);
  CHECK(destroyed == 2);
}

TEST_CASE("native threads: the program waits for all but daemons") {
  destroyed = 0;
  Machine machine;
  machine.run([&](ThreadState&) {
    for (int i = 1; i <= 3; ++i) machine.spawn(kSleeping, {20 * i})->release_reference();
    machine.group->wait_for_threads();
    CHECK(destroyed == 3);
  });
}

TEST_CASE("native threads: their coroutines die with them") {
  destroyed = 0;
  Machine machine;
  machine.run([&](ThreadState& self) {
    NativeThread* thread = machine.spawn(kLeavingACoroutine, {});
    Root<Coroutine> root(self.heap(), thread->state().root);
    CHECK(Machine::join(self, *thread) == WaitResult::kReady);
    CHECK(destroyed == 1);
    Coroutine* co = result(*thread, 1).coroutine();
    CHECK(co->status == CoroutineStatus::kDead);
    CHECK(co->thread == nullptr);
    thread->release_reference();
  });
}

TEST_CASE("native threads: one that is not started leaves nothing behind") {
  Machine machine;
  machine.run([&](ThreadState& self) {
    NativeThread* thread = machine.group->create("unborn", false, native::make(self, &kAdding));
    CHECK(machine.group->threads().size() == 2);
    machine.group->discard(*thread);
    CHECK(machine.group->threads().size() == 1);
  });
}
