// A runtime of shared state and native threads, without compiler and libraries: bodies are natives.
// Invariant: destroyed as the host's Runtime does it. Owner: a test. Threading: the test's thread is the main one.
#pragma once

#include <functional>
#include <memory>

#include "base/check.h"
#include "sched/lock.h"
#include "sched/thread_group.h"
#include "vm/call.h"
#include "vm/native.h"
#include "vm/safepoint.h"

namespace baton::test {

struct Machine {
  std::unique_ptr<SharedState> shared = std::make_unique<SharedState>(1);
  std::unique_ptr<sched::ThreadGroup> group = std::make_unique<sched::ThreadGroup>(*shared, "main");
  bool stopped = true;

  ~Machine() {
    stop();
    group->detach_main();
    shared.reset();
  }

  // Stops what still runs. Returns: how many errors were reported until now.
  int stop() {
    stopped = group->stop_threads();
    run([this](ThreadState& thread) { group->unwind_coroutines(thread); });
    return group->reported_errors();
  }

  // Runs `body`, which lets no error out, on the main thread's root, holding the GIL.
  void run(std::function<void(ThreadState&)> body) {
    const Status status = group->run_main(
        [](ThreadState& thread, void* context) { (*static_cast<std::function<void(ThreadState&)>*>(context))(thread); }, &body);
    BATON_CHECK(status == Status::kOk, "an error left the body of a test");
  }

  // Starts a native thread that calls `info` with integers.
  sched::NativeThread* spawn(const NativeInfo& info, std::initializer_list<std::int64_t> arguments, bool is_daemon = false) {
    const Value function = Value::of(closure::make_native(shared->heap, &info));
    sched::NativeThread* thread = group->create(group->next_name(), is_daemon, function);
    for (const std::int64_t argument : arguments) group->add_argument(*thread, Value::from(argument));
    thread->add_reference();  // the test's, in place of a handle
    const int refusal = group->start(*thread);
    BATON_CHECK(refusal == 0, "no native thread for a test");
    return thread;
  }

  // Waits for the end of a thread; call it inside run.
  static sched::WaitResult join(ThreadState& self, sched::NativeThread& thread, std::int64_t deadline_ns = kNoDeadline) {
    if (thread.has_ended()) return sched::WaitResult::kReady;
    sched::Waiter waiter(self);
    thread.joiners().push(waiter);
    return sched::wait(self, waiter, deadline_ns, "test.join");
  }
};

// Waits, giving up the GIL, until `condition` holds. Returns: false after ten seconds.
template <class Condition>
bool eventually(ThreadState& thread, Condition&& condition) {
  for (int i = 0; i < 10'000; ++i) {
    if (condition()) return true;
    sched::sleep_until(thread, monotonic_ns() + 1'000'000, "test.wait");
  }
  return condition();
}

}  // namespace baton::test
