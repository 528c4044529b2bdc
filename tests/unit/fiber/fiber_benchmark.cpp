// What fibers cost: a switch, a life, memory of many. Prints one line per figure; checks nothing.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "base/check.h"
#include "fiber/context.h"
#include "fiber/context_inline.h"
#include "fiber/stack_pool.h"

using namespace baton;

namespace {

double now_ns() {
  auto since = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<double>(std::chrono::duration_cast<std::chrono::nanoseconds>(since).count());
}

std::size_t resident_bytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  unsigned long total = 0, resident = 0;
  if (file == nullptr || std::fscanf(file, "%lu %lu", &total, &resident) != 2) std::abort();
  std::fclose(file);
  return resident * 4096;
}

Departure echo(FiberContext& self, Arrival arrival) noexcept {
  while (arrival.message != nullptr) arrival = switch_to_inline(self, *arrival.from, arrival.message);
  return {arrival.from, nullptr};
}

struct Fiber {
  FiberContext context;
  FiberStack stack;
};

void start(StackPool& pool, Fiber& fiber) {
  fiber.stack = pool.take();
  BATON_CHECK(fiber.stack, "no more stacks");
  make_fiber(fiber.context, fiber.stack.low, fiber.stack.top, echo);
}

void finish(StackPool& pool, Fiber& fiber) {
  discard_fiber(fiber.context);
  pool.give_back(fiber.stack);
}

// Nanoseconds per switch among `count` fibers resumed in turn.
void measure_switches(int count, int rounds) {
  StackPool pool;
  FiberContext native;
  adopt_native_stack(native);
  std::vector<Fiber> fibers(static_cast<std::size_t>(count));
  for (Fiber& fiber : fibers) start(pool, fiber);
  for (Fiber& fiber : fibers) (void)switch_to_inline(native, fiber.context, &pool);
  double best = 1e18;
  for (int repeat = 0; repeat < 5; ++repeat) {
    double begin = now_ns();
    for (int round = 0; round < rounds; ++round) {
      for (Fiber& fiber : fibers) (void)switch_to_inline(native, fiber.context, &pool);
    }
    double each = (now_ns() - begin) / (2.0 * rounds * count);
    if (each < best) best = each;
  }
  std::printf("switch, %6d fibers in turn          %8.1f ns\n", count, best);
  for (Fiber& fiber : fibers) (void)switch_to_inline(native, fiber.context, nullptr);
  for (Fiber& fiber : fibers) finish(pool, fiber);
}

void measure_life() {
  StackPool pool;
  FiberContext native;
  adopt_native_stack(native);
  const int count = 1000000;
  double best = 1e18;
  for (int repeat = 0; repeat < 5; ++repeat) {
    double begin = now_ns();
    for (int i = 0; i < count; ++i) {
      Fiber fiber;
      start(pool, fiber);
      (void)switch_to_inline(native, fiber.context, nullptr);
      finish(pool, fiber);
    }
    double each = (now_ns() - begin) / count;
    if (each < best) best = each;
  }
  std::printf("create + run + finish, pooled         %8.1f ns\n", best);
}

void measure_many(int count) {
  StackPool pool;
  FiberContext native;
  adopt_native_stack(native);
  std::vector<Fiber> fibers(static_cast<std::size_t>(count));
  for (int repeat = 0; repeat < 2; ++repeat) {
    std::size_t before = resident_bytes();
    double begin = now_ns();
    for (Fiber& fiber : fibers) {
      start(pool, fiber);
      (void)switch_to_inline(native, fiber.context, &pool);
    }
    double created = now_ns();
    std::size_t after = resident_bytes();
    for (Fiber& fiber : fibers) (void)switch_to_inline(native, fiber.context, nullptr);
    double ended = now_ns();
    for (Fiber& fiber : fibers) finish(pool, fiber);
    double returned = now_ns();
    std::printf("%d live, pass %d: create+start %.0f ns, end %.0f ns, give back %.0f ns each, %.0f bytes resident each\n",
                count, repeat + 1, (created - begin) / count, (ended - created) / count, (returned - ended) / count,
                (static_cast<double>(after) - static_cast<double>(before)) / count);
    StackPoolStatistics left = pool.statistics();
    std::printf("  afterwards %zu pooled in %zu slabs, %zu MiB of addresses, %zu KiB resident in the process\n", left.pooled,
                left.slab_count, left.mapped_bytes >> 20, resident_bytes() >> 10);
  }
}

}  // namespace

int main() {
  measure_switches(1, 5000000);
  measure_switches(10, 500000);
  measure_switches(1000, 5000);
  measure_switches(10000, 100);
  measure_life();
  measure_many(100000);
}
