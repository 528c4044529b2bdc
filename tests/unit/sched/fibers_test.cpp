// Coroutines on machine stacks: starting, switching, ending, dropping, accounting.
#include "sched/fibers.h"

#include <catch2/catch.hpp>

#include <string>

#include "fixture.h"

using namespace baton;
using namespace baton::test;

namespace {

int destroyed = 0;

struct Witness {
  ~Witness() { ++destroyed; }
};

// Yields its arguments' double until it is resumed with zero; owns something meanwhile.
int doubling(NativeCall& call) {
  const Witness witness;
  std::int64_t value = call.check_integer(1);
  while (value != 0) {
    call.set_size(0);
    call.push(Value::from(2 * value));
    const int count = vm::yield(call.thread(), 1);
    value = call.slot(call.size() - count + 1).integer;
  }
  return call.result_string("end");
}

int failing(NativeCall& call) { call.error("it fails"); }

// Calls itself until the machine stack is too low.
int recursing(NativeCall& call) {
  call.push(Value::of(call.callee()));
  return vm::call(call.thread(), 0, 0);
}

constexpr NativeInfo kDoubling = {"doubling", "", "", doubling};
constexpr NativeInfo kFailing = {"failing", "", "", failing};
constexpr NativeInfo kRecursing = {"recursing", "", "", recursing};

// A coroutine of `info`, kept on the running coroutine's stack.
Coroutine* make(ThreadState& thread, const NativeInfo& info) {
  Coroutine* co = coroutine::make(thread.heap());
  *co->top++ = native::make(thread, &info);
  vm::push(thread, Value::of(co));
  return co;
}

Value resume(ThreadState& thread, Coroutine* co, std::int64_t argument, vm::ResumeResult expected) {
  vm::push(thread, Value::from(argument));
  int count = 0;
  CHECK(vm::resume(thread, co, 1, &count) == expected);
  REQUIRE(count == 1);
  return *--thread.current->top;
}

}  // namespace

TEST_CASE("fibers: the main root runs on a stack of the pool") {
  Machine machine;
  CHECK(machine.group->fibers().statistics().in_use == 0);
  machine.run([&](ThreadState& thread) {
    const char* here = static_cast<char*>(__builtin_frame_address(0));  // a local may lie in a sanitizer's own memory
    CHECK(machine.group->fibers().statistics().in_use == 1);
    CHECK(here > thread.current->machine_stack_limit);
    CHECK(here < thread.current->machine_stack_limit + kFiberStackBytes);
  });
  CHECK(machine.group->fibers().statistics().in_use == 0);
}

TEST_CASE("fibers: a coroutine is started, yields, ends, and its stack goes back") {
  Machine machine;
  machine.run([&](ThreadState& thread) {
    const std::size_t bytes = thread.heap().bytes_used();
    Coroutine* co = make(thread, kDoubling);
    CHECK(co->fiber == nullptr);
    CHECK(resume(thread, co, 21, vm::ResumeResult::kYielded).integer == 42);
    CHECK(co->fiber != nullptr);
    CHECK(co->thread == &thread);
    CHECK(thread.heap().bytes_used() > bytes + 4096);
    CHECK(resume(thread, co, 5, vm::ResumeResult::kYielded).integer == 10);
    CHECK(resume(thread, co, 0, vm::ResumeResult::kReturned).string()->view() == "end");
    CHECK(co->status == CoroutineStatus::kDead);
    CHECK(co->fiber == nullptr);
    CHECK(co->thread == nullptr);
    CHECK(machine.group->fibers().statistics().in_use == 1);
    CHECK(resume(thread, co, 1, vm::ResumeResult::kRefused).string()->view() == "cannot resume dead coroutine");
  });
}

TEST_CASE("fibers: an error inside a coroutine ends it") {
  Machine machine;
  machine.run([&](ThreadState& thread) {
    Coroutine* co = make(thread, kFailing);
    CHECK(resume(thread, co, 1, vm::ResumeResult::kFailed).string()->view() == "it fails");
    CHECK(co->fiber == nullptr);
  });
}

TEST_CASE("fibers: recursion of natives ends in an error, not in a crash") {
  Machine machine;
  machine.run([&](ThreadState& thread) {
    Coroutine* co = make(thread, kRecursing);
    const Value error = resume(thread, co, 1, vm::ResumeResult::kFailed);
    CHECK(error.string()->view().find("stack overflow") != std::string_view::npos);
  });
}

TEST_CASE("fibers: a closed coroutine's natives are unwound") {
  Machine machine;
  destroyed = 0;
  machine.run([&](ThreadState& thread) {
    Coroutine* co = make(thread, kDoubling);
    (void)resume(thread, co, 1, vm::ResumeResult::kYielded);
    CHECK(vm::close_coroutine(thread, co) == Status::kOk);
    CHECK(destroyed == 1);
    CHECK(co->fiber == nullptr);
    CHECK(machine.group->fibers().statistics().in_use == 1);
  });
}

TEST_CASE("fibers: abandoned coroutines are unwound by a collection") {
  Machine machine;
  destroyed = 0;
  machine.run([&](ThreadState& thread) {
    for (int i = 0; i < 200; ++i) {
      Coroutine* co = make(thread, kDoubling);
      (void)resume(thread, co, 1, vm::ResumeResult::kYielded);
      --thread.current->top;
    }
    CHECK(machine.group->fibers().statistics().in_use == 201);
    vm::collect_all(thread);
    vm::collect_all(thread);
    CHECK(destroyed == 200);
    CHECK(machine.group->fibers().statistics().in_use == 1);
  });
}

TEST_CASE("fibers: at the end of the runtime suspended natives are unwound") {
  destroyed = 0;
  {
    Machine machine;
    machine.run([&](ThreadState& thread) { (void)resume(thread, make(thread, kDoubling), 1, vm::ResumeResult::kYielded); });
  }
  CHECK(destroyed == 1);
}

TEST_CASE("fibers: the memory cap counts machine stacks") {
  Machine machine;
  machine.run([&](ThreadState& thread) {
    Coroutine* co = make(thread, kDoubling);
    thread.heap().set_limit(thread.heap().bytes_used() + 2048);
    int count = 0;
    CHECK_THROWS_AS(vm::resume(thread, co, 0, &count), ScriptError);
    thread.heap().set_limit(SIZE_MAX);
    CHECK(co->status == CoroutineStatus::kSuspended);
    CHECK(resume(thread, co, 4, vm::ResumeResult::kYielded).integer == 8);
  });
}
