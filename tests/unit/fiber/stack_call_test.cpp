// A call on another stack: it comes back like any call, unwinders see through it, and it may be left for a context meanwhile.
#include "fiber/stack_call.h"

#include <catch2/catch.hpp>

#include <cstdint>
#include <stdexcept>
#include <vector>

#if BATON_HAS_STACK_CALL
#include <unwind.h>

#include "base/check.h"
#include "fiber/context.h"
#include "fiber/stack_pool.h"

using namespace baton;

namespace {

struct Stack {
  StackPool pool;
  FiberStack stack;
  Stack() : stack(pool.take()) { BATON_CHECK(stack, "no stack for a test"); }
  ~Stack() { pool.give_back(stack); }
  std::byte* top() const { return stack.low + kFiberStackBytes / 2; }
  bool holds(const void* address) const { return address >= stack.low && address < top(); }
};

struct Visit {
  const Stack* stack = nullptr;
  void* left = nullptr;
  void* inner_left = nullptr;
  int depth = 0;
  int calls = 0;
  bool on_stack = true;
  int caught = 0;
  std::uintptr_t sought = 0;  // a return address
  bool found = false;
};

[[gnu::noinline]] void look(void* argument, void*) noexcept {
  auto& visit = *static_cast<Visit*>(argument);
  volatile char here = 0;
  visit.on_stack = visit.on_stack && visit.stack->holds(const_cast<const char*>(&here));
  ++visit.calls;
}

[[gnu::noinline]] int thrower(int depth) {
  volatile int kept = depth;
  if (depth == 0) throw std::runtime_error("inside");
  return thrower(depth - 1) + kept;
}

void catching(void* argument, void*) noexcept {
  try {
    (void)thrower(5);
  } catch (const std::runtime_error&) {
    ++static_cast<Visit*>(argument)->caught;
  }
}

_Unwind_Reason_Code seek(_Unwind_Context* context, void* argument) {
  auto& visit = *static_cast<Visit*>(argument);
  if (_Unwind_GetIP(context) == visit.sought) visit.found = true;
  return _URC_NO_REASON;
}

void walk(void* argument, void*) noexcept { _Unwind_Backtrace(seek, argument); }

// Its own return address is what the walk from the other stack must come to.
[[gnu::noinline]] void call_walk(Visit& visit, void* top) {
  visit.sought = reinterpret_cast<std::uintptr_t>(__builtin_return_address(0));
  baton_call_on_stack(&visit, nullptr, top, &visit.left, walk);
}

// Leaves the stack for a context made below the caller's frames, `depth` times, and comes back.
struct Left {
  FiberContext own;
  FiberContext native;
  void* stack_pointer = nullptr;
  int served = 0;
  int rounds = 0;
};

Departure serve(FiberContext& self, Arrival arrival) noexcept {
  auto& left = *static_cast<Left*>(arrival.message);
  for (;;) {
    volatile char used[2000];
    used[0] = 1;
    used[1999] = 1;
    left.served += used[0];
    arrival = switch_to(self, left.own, nullptr);
  }
}

void leaving(void* argument, void* rounds) noexcept {
  auto& left = *static_cast<Left*>(argument);
  BATON_CHECK(*static_cast<int*>(rounds) == left.rounds, "the second argument did not arrive");
  for (int i = 0; i < left.rounds; ++i) {
    if (left.native.machine == nullptr) {
      auto* top = static_cast<std::byte*>(left.stack_pointer);
      make_fiber(left.native, top - 1, top, serve);
    }
    (void)switch_to(left.own, left.native, &left);
  }
}

}  // namespace

TEST_CASE("a call on another stack comes back like any call") {
  const Stack stack;
  Visit visit;
  visit.stack = &stack;
  std::vector<int> kept(100);
  for (int i = 0; i < 100; ++i) {
    kept[static_cast<std::size_t>(i)] = i;
    baton_call_on_stack(&visit, nullptr, stack.top(), &visit.left, look);
    CHECK(visit.left < static_cast<void*>(&visit));  // below this frame
    CHECK_FALSE(stack.holds(visit.left));
  }
  CHECK(visit.on_stack);
  CHECK(visit.calls == 100);
  for (int i = 0; i < 100; ++i) CHECK(kept[static_cast<std::size_t>(i)] == i);
}

TEST_CASE("exceptions are thrown and caught on the other stack") {
  const Stack stack;
  Visit visit;
  for (int i = 0; i < 3; ++i) baton_call_on_stack(&visit, nullptr, stack.top(), &visit.left, catching);
  CHECK(visit.caught == 3);
}

#ifdef __GCC_HAVE_DWARF2_CFI_ASM
TEST_CASE("a walk over the frames passes from the other stack to the caller's") {
  const Stack stack;
  Visit visit;
  call_walk(visit, stack.top());
  CHECK(visit.found);
}
#endif

TEST_CASE("the other stack may be left for a context below the caller's frames") {
  const Stack stack;
  for (int rounds : {1, 3, 0, 2}) {
    Left left;
    left.rounds = rounds;
    volatile int canary[64];
    for (int i = 0; i < 64; ++i) canary[i] = i;
    baton_call_on_stack(&left, &rounds, stack.top(), &left.stack_pointer, leaving);
    CHECK(left.served == rounds);
    for (int i = 0; i < 64; ++i) CHECK(canary[i] == i);
  }
}
#endif
