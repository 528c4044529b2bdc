// Tasks of one native thread: order, waiting, waking, deadlines, cancellation, ends.
#include "sched/scheduler.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "fixture.h"
#include "value/root.h"

using namespace baton;
using namespace baton::test;
using sched::Task;
using sched::TaskState;
using sched::ThreadStatus;
using sched::WaitResult;

namespace {

std::string trace;

// Appends its first argument as a letter, passes a checkpoint, as often as the second says.
int stepping(NativeCall& call) {
  const char letter = static_cast<char>(call.check_integer(1));
  for (std::int64_t i = call.check_integer(2); i > 0; --i) {
    trace += letter;
    sched::checkpoint(call.thread());
  }
  return call.result(Value::from(std::int64_t{letter}));
}

// Sleeps as many milliseconds as its first argument says, then appends its second as a letter.
int sleeping(NativeCall& call) {
  sched::sleep_task_until(call.thread(), monotonic_ns() + call.check_integer(1) * 1'000'000, "test.sleep");
  trace += static_cast<char>(call.check_integer(2));
  return 0;
}

sched::WaitQueue* queue = nullptr;

// Waits in `queue`.
int queueing(NativeCall& call) {
  sched::Waiter waiter(call.thread());
  queue->push(waiter);
  (void)sched::wait(call.thread(), waiter, kNoDeadline, "test.queue");
  trace += 'q';
  return 0;
}

int failing(NativeCall& call) { call.error("it fails"); }

// Yields inside a coroutine that the task runs, whose body passes checkpoints.
int nesting(NativeCall& call);

constexpr NativeInfo kStepping = {"stepping", "", "", stepping};
constexpr NativeInfo kSleeping = {"sleeping", "", "", sleeping};
constexpr NativeInfo kQueueing = {"queueing", "", "", queueing};
constexpr NativeInfo kFailing = {"failing", "", "", failing};
constexpr NativeInfo kNesting = {"nesting", "", "", nesting};

int nesting(NativeCall& call) {
  Coroutine* co = coroutine::make(call.heap());
  call.push(Value::of(co));
  *co->top++ = native::make(call.thread(), &kStepping);
  call.push(call.arg(1));
  call.push(Value::from(std::int64_t{3}));
  int count = 0;
  CHECK(vm::resume(call.thread(), co, 2, &count) == vm::ResumeResult::kReturned);
  return count;
}

Task& spawn(ThreadState& thread, const NativeInfo& info, std::initializer_list<std::int64_t> arguments,
            sched::Scheduler* on = nullptr) {
  sched::Scheduler& scheduler = on != nullptr ? *on : sched::scheduler_of(thread);
  Userdata* handle = scheduler.create(thread, native::make(thread, &info), sched::current_task(thread));
  vm::push(thread, Value::of(handle));
  Task& task = *static_cast<Task*>(handle->block());
  for (const std::int64_t argument : arguments) scheduler.add_argument(task, Value::from(argument));
  scheduler.start(task);
  return task;
}

WaitResult join(ThreadState& thread, Task& task, std::int64_t deadline_ns = kNoDeadline) {
  sched::Waiter waiter(thread);
  if (task.has_ended()) return WaitResult::kReady;
  task.waiters().push(waiter);
  return sched::wait(thread, waiter, deadline_ns, "test.join");
}

}  // namespace

TEST_CASE("scheduler: tasks take turns in the order of their spawning") {
  Machine machine;
  trace.clear();
  machine.run([&](ThreadState& thread) {
    Task& a = spawn(thread, kStepping, {'a', 3});
    Task& b = spawn(thread, kStepping, {'b', 2});
    Task& c = spawn(thread, kStepping, {'c', 1});
    CHECK(trace.empty());
    CHECK(a.state() == TaskState::kReady);
    CHECK(join(thread, a) == WaitResult::kReady);
    CHECK(trace == "abcaba");
    CHECK(b.has_ended());
    CHECK(c.status() == ThreadStatus::kDone);
    CHECK(a.root()->top[-1].integer == 'a');
    CHECK(machine.group->fibers().statistics().in_use == 2);  // the root's, and one for the next task
    CHECK(sched::scheduler_of(thread).task_count() == 0);
  });
}

TEST_CASE("scheduler: timers fire in the order of their deadlines") {
  Machine machine;
  trace.clear();
  machine.run([&](ThreadState& thread) {
    spawn(thread, kSleeping, {30, '3'});
    spawn(thread, kSleeping, {10, '1'});
    Task& last = spawn(thread, kSleeping, {50, '5'});
    spawn(thread, kSleeping, {20, '2'});
    spawn(thread, kSleeping, {40, '4'});
    CHECK(join(thread, last) == WaitResult::kReady);
    CHECK(trace == "12345");
  });
}

TEST_CASE("scheduler: a wait ends at its deadline and takes nothing") {
  Machine machine;
  sched::WaitQueue waiting;
  machine.run([&](ThreadState& thread) {
    sched::Waiter waiter(thread);
    waiting.push(waiter);
    CHECK(sched::wait(thread, waiter, monotonic_ns() + 1'000'000, "test") == WaitResult::kTimedOut);
    CHECK(sched::scheduler_of(thread).timers().size() == 0);
  });
  CHECK(waiting.empty());
}

TEST_CASE("scheduler: a task waits from inside a coroutine") {
  Machine machine;
  trace.clear();
  machine.run([&](ThreadState& thread) {
    Task& a = spawn(thread, kNesting, {'n'});
    spawn(thread, kStepping, {'b', 2});
    CHECK(join(thread, a) == WaitResult::kReady);
    CHECK(trace == "nbnbn");
    CHECK(a.root()->top[-1].integer == 'n');
  });
}

TEST_CASE("scheduler: an error ends a task and is reported once if nobody takes it") {
  Machine machine;
  machine.run([&](ThreadState& thread) {
    Task& task = spawn(thread, kFailing, {});
    Task& taken = spawn(thread, kFailing, {});
    CHECK(join(thread, taken) == WaitResult::kReady);
    taken.mark_collected();
    CHECK(task.status() == ThreadStatus::kFailed);
    CHECK(task.root()->error.string()->view() == "it fails");
    CHECK(task.report().find("stack traceback") != std::string::npos);
  });
  CHECK(machine.stop() == 1);
}

TEST_CASE("scheduler: a cancelled task leaves the queue") {
  Machine machine;
  sched::WaitQueue waiting;
  queue = &waiting;
  trace.clear();
  machine.run([&](ThreadState& thread) {
    Task& task = spawn(thread, kQueueing, {});
    sched::checkpoint(thread);
    CHECK(task.state() == TaskState::kParked);
    task.cancel(Value::from(std::int64_t{7}));
    CHECK(join(thread, task) == WaitResult::kReady);
    CHECK(task.status() == ThreadStatus::kCancelled);
    CHECK(task.root()->error.integer == 7);
  });
  CHECK(waiting.empty());
  CHECK(trace.empty());
}

TEST_CASE("scheduler: another native thread's task is woken") {
  Machine machine;
  sched::WaitQueue waiting;
  queue = &waiting;
  trace.clear();
  machine.run([&](ThreadState& thread) {
    sched::NativeThread* other = machine.spawn(kSleeping, {30, 's'});
    Task& task = spawn(thread, kQueueing, {}, &other->scheduler());
    CHECK(eventually(thread, [&] { return task.state() == TaskState::kParked; }));
    waiting.pop()->make_ready();
    CHECK(Machine::join(thread, *other) == WaitResult::kReady);
    CHECK(task.status() == ThreadStatus::kDone);
    other->release_reference();
  });
  CHECK(trace.find('q') != std::string::npos);
}

TEST_CASE("scheduler: a completion is posted without the lock") {
  Machine machine;
  machine.run([&](ThreadState& thread) {
    for (int i = 0; i < 100; ++i) {
      sched::Completion completion(thread);
      std::thread other([&] { completion.post(); });
      completion.wait_shielded(thread, "test.completion");
      CHECK(completion.is_fulfilled());
      other.join();
    }
  });
}

TEST_CASE("scheduler: tasks that still wait at the end are unwound") {
  sched::WaitQueue waiting;
  queue = &waiting;
  Machine machine;
  machine.run([&](ThreadState& thread) {
    for (int i = 0; i < 10; ++i) spawn(thread, kQueueing, {});
    for (int i = 0; i < 10; ++i) spawn(thread, kNesting, {'n'});
    sched::checkpoint(thread);
    spawn(thread, kStepping, {'x', 5});
    sched::scheduler_of(thread).stop_tasks(thread);
    CHECK(sched::scheduler_of(thread).task_count() == 0);
    CHECK(waiting.empty());
    CHECK(machine.group->fibers().statistics().in_use == 1);
  });
}

namespace {
struct Recorded : sched::Timer {
  Recorded() : Timer([](Timer& timer) noexcept { fired.push_back(static_cast<Recorded&>(timer).deadline); }) {}
  std::int64_t deadline = 0;
  static inline std::vector<std::int64_t> fired;
};
}  // namespace

TEST_CASE("timers: a million random deadlines fire in order") {
  constexpr int kCount = 1'000'000;
  sched::TimerHeap heap;
  std::unique_ptr<Recorded[]> timers(new Recorded[kCount]);
  std::uint64_t random = 1;
  for (int i = 0; i < kCount; ++i) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    timers[i].deadline = 1 + static_cast<std::int64_t>(random >> 40);
    heap.arm(timers[i], timers[i].deadline);
  }
  for (int i = 0; i < kCount; i += 3) heap.disarm(timers[i]);
  Recorded::fired.reserve(kCount);
  while (heap.size() > 0) (void)heap.fire_due(heap.next_deadline() + 1000);
  CHECK(Recorded::fired.size() == kCount - (kCount + 2) / 3);
  CHECK(std::is_sorted(Recorded::fired.begin(), Recorded::fired.end()));
}
