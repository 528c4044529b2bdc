#include "fiber/stack_pool.h"

#include <catch2/catch.hpp>

#include <cstring>
#include <set>
#include <vector>

#include <sys/resource.h>

using namespace baton;

TEST_CASE("stack_pool: the stack given back last is handed out first") {
  StackPool pool;
  FiberStack first = pool.take();
  FiberStack second = pool.take();
  REQUIRE(first);
  REQUIRE(second);
  CHECK(first.low != second.low);
  pool.give_back(first);
  pool.give_back(second);
  CHECK(pool.take().low == second.low);
  CHECK(pool.take().low == first.low);
}

TEST_CASE("stack_pool: stacks do not overlap and are writable to their ends") {
  StackPool pool;
  std::set<std::byte*> seen;
  std::vector<FiberStack> stacks;
  for (int i = 0; i < 700; ++i) {
    FiberStack stack = pool.take();
    REQUIRE(stack);
    CHECK(stack.low < stack.low_limit);
    CHECK(stack.low_limit < stack.top);
    CHECK(stack.top <= stack.low + kFiberStackBytes);
    CHECK(reinterpret_cast<std::uintptr_t>(stack.top) % 64 == 0);
    auto above = seen.upper_bound(stack.low);
    if (above != seen.end()) CHECK(*above >= stack.low + kFiberStackBytes);
    if (above != seen.begin()) CHECK(*std::prev(above) + kFiberStackBytes <= stack.low);
    seen.insert(stack.low);
    *stack.low = std::byte{1};
    stack.top[-1] = std::byte{1};
    stacks.push_back(stack);
  }
  CHECK(pool.statistics().in_use == 700);
  for (const FiberStack& stack : stacks) pool.give_back(stack);
  CHECK(pool.statistics().in_use == 0);
  CHECK(pool.statistics().in_use_high_water == 700);
}

TEST_CASE("stack_pool: tops are coloured") {
  StackPool pool;
  std::set<std::size_t> offsets;
  for (int i = 0; i < 64; ++i) {
    FiberStack stack = pool.take();
    offsets.insert(static_cast<std::size_t>(stack.low + kFiberStackBytes - stack.top));
  }
  CHECK(offsets.size() == 32);
  CHECK(*offsets.rbegin() < 2048);
}

TEST_CASE("stack_pool: address space goes back when most stacks have") {
  StackPool pool;
  std::vector<FiberStack> stacks;
  for (int i = 0; i < 10000; ++i) stacks.push_back(pool.take());
  std::size_t peak = pool.statistics().mapped_bytes;
  CHECK(peak >= 10000 * kFiberStackBytes);
  for (const FiberStack& stack : stacks) pool.give_back(stack);
  CHECK(pool.statistics().mapped_bytes < peak / 4);
  pool.tidy(4);
  CHECK(pool.statistics().mapped_bytes < peak / 10);
  pool.release_unused();
  CHECK(pool.statistics().slab_count <= 1);
  FiberStack again = pool.take();
  REQUIRE(again);
  std::memset(again.low, 7, static_cast<std::size_t>(again.top - again.low));
  pool.give_back(again);
}

TEST_CASE("stack_pool: a slab with one stack in use stays") {
  StackPool pool;
  std::vector<FiberStack> stacks;
  for (int i = 0; i < 3000; ++i) stacks.push_back(pool.take());
  FiberStack kept = stacks[5];
  std::memset(kept.top - 4096, 42, 4096);
  for (const FiberStack& stack : stacks) {
    if (stack.low != kept.low) pool.give_back(stack);
  }
  pool.release_unused();
  CHECK(kept.top[-1] == std::byte{42});
  CHECK(pool.statistics().in_use == 1);
  CHECK(pool.statistics().slab_count <= 2);
}

TEST_CASE("stack_pool: the estimate follows what stacks touch") {
  StackPool pool;
  std::vector<FiberStack> stacks;
  for (int i = 0; i < 200; ++i) {
    stacks.push_back(pool.take());
    std::memset(stacks.back().top - 100000, 1, 100000);
  }
  pool.tidy(100);
  CHECK(pool.touched_bytes_estimate() > 200u * 90000u);
  CHECK(pool.touched_bytes_estimate() < 200u * 130000u);
  for (const FiberStack& stack : stacks) pool.give_back(stack);
  pool.release_unused();
  CHECK(pool.touched_bytes_estimate() < 200u * 5000u);
}

#if !BATON_ASAN && !BATON_TSAN
TEST_CASE("stack_pool: a refused mapping is reported, and the pool lives on") {
  rlimit before{};
  getrlimit(RLIMIT_AS, &before);
  rlimit tight = before;
  tight.rlim_cur = std::size_t{1} << 30;
  REQUIRE(setrlimit(RLIMIT_AS, &tight) == 0);
  {
    StackPool pool;
    std::vector<FiberStack> stacks;
    stacks.reserve(5000);
    FiberStack stack;
    while (stacks.size() < 5000 && (stack = pool.take())) stacks.push_back(stack);
    CHECK(stacks.size() < 4096);
    CHECK(stacks.size() > 3000);
    CHECK(!pool.take());
    for (const FiberStack& one : stacks) pool.give_back(one);
    FiberStack again = pool.take();
    CHECK(again);
  }
  setrlimit(RLIMIT_AS, &before);
}
#endif
