// Limits for scripts that nobody has read.
//
//   baton::Config config;  config.libs = baton::libs::safe;  config.memory_limit = 64_MiB;  // using namespace baton::literals
//   baton::VM vm{config};
//   baton::Budget budget{vm, {.instructions = 10'000'000, .wall = 2s}};
//   vm.run(source);        // throws Interrupted when a limit is exceeded
//
// A script that exceeds a limit is stopped as by VM::interrupt: it is unwound within milliseconds, also out of long library
// functions, and can neither catch it (pcall, xpcall, coroutines, __close, finalizers) nor leave finalizers behind. Memory is
// different: at the limit the script gets the error "not enough memory", which it may catch; it never gets more.
// Invariant: what exceeded a limit stays stopped until the budget ends: calls throw Interrupted at once.
// Owner: a local variable. Threading: it counts what all threads of the VM do; make and destroy it in one thread.
#pragma once

#include "baton/vm.hpp"

namespace baton {
inline namespace v0 {

// 0: no limit.
struct Limits {
  std::int64_t instructions = 0;      // of the virtual machine, all threads together
  std::chrono::nanoseconds wall{0};   // from the budget's beginning
  std::chrono::nanoseconds cpu{0};    // processor time of the threads that have entered the VM
  std::size_t memory = 0;             // bytes beyond those in use at the beginning
};

class Budget {
 public:
  using Limits = v0::Limits;

  // Throws: VMClosed, Error.
  Budget(VM& vm, const Limits& limits) : state_(vm.state()) {
    const Lock lock(state_);
    abi::Failure* failure = nullptr;
    detail::check(abi::begin_budget(state_, {limits.instructions, limits.wall.count(), limits.cpu.count(),
                                             static_cast<std::int64_t>(limits.memory)}, &budget_, &failure), failure);
  }
  ~Budget() {
    bool taken = false;
    (void)abi::enter(state_, &taken);
    abi::State* state = state_;
    abi::retain(state);
    abi::end_budget(budget_);
    if (taken) abi::leave(state);
    abi::release(state);
  }
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;

  // What was used so far, and whether a limit was exceeded, and which.
  std::int64_t instructions() const noexcept { return usage().instructions; }
  std::chrono::nanoseconds wall() const noexcept { return std::chrono::nanoseconds(usage().wall_ns); }
  std::chrono::nanoseconds cpu() const noexcept { return std::chrono::nanoseconds(usage().cpu_ns); }
  bool exceeded() const noexcept { return usage().exceeded; }
  StopReason reason() const noexcept { return static_cast<StopReason>(usage().reason); }

 private:
  abi::Usage usage() const noexcept {
    abi::Usage usage;
    abi::budget_usage(budget_, &usage);
    return usage;
  }
  abi::State* state_;
  abi::Budget* budget_ = nullptr;
};

}  // namespace v0
}  // namespace baton
