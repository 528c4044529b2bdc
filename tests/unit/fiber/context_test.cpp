// Fibers as sched will use them: switch both ways, errors caught inside, stacks used again, fibers dropped half-way.
#include "fiber/context.h"

#include <catch2/catch.hpp>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "base/check.h"
#include "fiber/context_inline.h"
#include "fiber/stack_pool.h"

using namespace baton;

namespace {

void* number(std::intptr_t value) { return reinterpret_cast<void*>(value); }
std::intptr_t as_number(void* value) { return reinterpret_cast<std::intptr_t>(value); }

struct TestFiber {
  FiberContext context;
  FiberStack stack;
  StackPool& pool;

  TestFiber(StackPool& owner, FiberEntry entry) : stack(owner.take()), pool(owner) {
    BATON_CHECK(stack, "no stack for a test");  // not the framework's check: it may run beside the main thread
    make_fiber(context, stack.low, stack.top, entry);
  }
  ~TestFiber() {
    discard_fiber(context);
    pool.give_back(stack);
  }
};

// Answers each number with its double until it is told zero; then ends with the sum of all.
Departure doubling(FiberContext& self, Arrival arrival) noexcept {
  std::intptr_t sum = 0;
  while (as_number(arrival.message) != 0) {
    sum += as_number(arrival.message);
    arrival = switch_to_inline(self, *arrival.from, number(2 * as_number(arrival.message)));
  }
  return {arrival.from, number(sum)};
}

[[gnu::noinline]] int thrower(int depth) {
  volatile char frame[200];
  frame[0] = static_cast<char>(depth);
  if (depth == 0) throw std::runtime_error("inside");
  return thrower(depth - 1) + frame[0];
}

// Throws and catches inside the fiber, switches away outside the handler, and does so again.
Departure throwing(FiberContext& self, Arrival arrival) noexcept {
  std::intptr_t caught = 0;
  for (int round = 0; round < 3; ++round) {
    bool failed = false;
    try {
      thrower(20);
    } catch (const std::exception& error) {
      failed = std::string(error.what()) == "inside";
    }
    if (failed) ++caught;
    arrival = switch_to(self, *arrival.from, number(caught));
  }
  return {arrival.from, number(caught)};
}

Departure using_depth(FiberContext&, Arrival arrival) noexcept {
  volatile char block[100 * 1024];
  for (std::size_t i = 0; i < sizeof block; i += 512) block[i] = 1;
  return {arrival.from, number(block[512])};
}

}  // namespace

TEST_CASE("context: messages travel both ways and the last one with the end") {
  StackPool pool;
  FiberContext native;
  adopt_native_stack(native);
  TestFiber fiber(pool, doubling);
  Arrival answer = switch_to(native, fiber.context, number(3));
  CHECK(answer.from == &fiber.context);
  CHECK(as_number(answer.message) == 6);
  answer = switch_to(native, fiber.context, number(10));
  CHECK(as_number(answer.message) == 20);
  answer = switch_to(native, fiber.context, number(0));
  CHECK(as_number(answer.message) == 13);
}

TEST_CASE("context: an exception thrown inside a fiber is caught inside it") {
  StackPool pool;
  FiberContext native;
  adopt_native_stack(native);
  TestFiber first(pool, throwing);
  TestFiber second(pool, throwing);
  for (std::intptr_t round = 1; round <= 3; ++round) {
    CHECK(as_number(switch_to(native, first.context, nullptr).message) == round);
    CHECK(as_number(switch_to(native, second.context, nullptr).message) == round);
    CHECK_THROWS_AS(thrower(5), std::runtime_error);
  }
  CHECK(as_number(switch_to(native, first.context, nullptr).message) == 3);
  CHECK(as_number(switch_to(native, second.context, nullptr).message) == 3);
}

namespace {

// A chain: each fiber starts the next on its own behalf and passes back what that one ends with, plus one.
struct Chain {
  StackPool* pool;
  int remaining;
};

Departure chained(FiberContext& self, Arrival arrival) noexcept {
  auto* chain = static_cast<Chain*>(arrival.message);
  FiberContext* resumer = arrival.from;
  if (--chain->remaining == 0) return {resumer, number(1)};
  TestFiber inner(*chain->pool, chained);
  Arrival answer = switch_to(self, inner.context, chain);
  return {resumer, number(as_number(answer.message) + 1)};
}

}  // namespace

TEST_CASE("context: fibers start fibers") {
  StackPool pool;
  FiberContext native;
  adopt_native_stack(native);
  Chain chain{&pool, 150};
  TestFiber outer(pool, chained);
  CHECK(as_number(switch_to(native, outer.context, &chain).message) == 150);
  CHECK(pool.statistics().in_use == 1);
}

TEST_CASE("context: a stack is used again many times") {
  StackPool pool;
  FiberContext native;
  adopt_native_stack(native);
  for (int round = 0; round < 2000; ++round) {
    TestFiber fiber(pool, round % 3 == 0 ? using_depth : doubling);
    std::intptr_t answer = as_number(switch_to(native, fiber.context, number(0)).message);
    REQUIRE(answer == (round % 3 == 0 ? 1 : 0));
  }
  CHECK(pool.statistics().in_use_high_water == 1);
}

TEST_CASE("context: fibers are dropped fresh and suspended, and their stacks used again") {
  StackPool pool;
  FiberContext native;
  adopt_native_stack(native);
  for (int round = 0; round < 200; ++round) {
    TestFiber fresh(pool, doubling);
    TestFiber suspended(pool, doubling);
    CHECK(as_number(switch_to(native, suspended.context, number(round + 1)).message) == 2 * (round + 1));
  }
  CHECK(pool.statistics().stack_count < 100);
}

TEST_CASE("context: many fibers live at once, resumed in turn") {
  StackPool pool;
  FiberContext native;
  adopt_native_stack(native);
  const int count = BATON_TSAN ? 500 : 5000;
  std::vector<std::unique_ptr<TestFiber>> fibers;
  for (int i = 0; i < count; ++i) fibers.push_back(std::make_unique<TestFiber>(pool, doubling));
  for (int round = 1; round <= 3; ++round) {
    for (auto& fiber : fibers) {
      REQUIRE(as_number(switch_to(native, fiber->context, number(round)).message) == 2 * round);
    }
  }
  for (auto& fiber : fibers) REQUIRE(as_number(switch_to(native, fiber->context, number(0)).message) == 6);
}

TEST_CASE("context: native threads have fibers of their own") {
  auto body = [] {
    StackPool pool;
    FiberContext native;
    adopt_native_stack(native);
    std::intptr_t total = 0;
    for (int round = 0; round < 500; ++round) {
      TestFiber fiber(pool, doubling);
      total += as_number(switch_to(native, fiber.context, number(1)).message);
      total += as_number(switch_to(native, fiber.context, number(0)).message);
    }
    if (total != 1500) std::abort();
  };
  std::thread first(body);
  std::thread second(body);
  first.join();
  second.join();
  SUCCEED();
}
