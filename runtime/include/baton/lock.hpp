// The lock of a VM in the host's hands.
//
//   { baton::Lock gil{vm};  table["x"] = 1;  { baton::Unlock nogil{vm};  read(fd, b, n); }  table["y"] = 2; }
//
// Every operation of this library takes the lock for itself if the thread does not hold it; a Lock around several of them
// makes them one step for everybody else, and faster. It also attaches the thread: any thread of the host may take it.
// Invariant: guards are destroyed in reverse order, by the thread that made them; no Lock is kept while waiting for another
// thread that needs it. Scripts of several VMs that call each other through bound functions: bind these with release_gil, or two
// threads that call in opposite directions wait for each other; and a VM cannot be called back into from the call it has made of
// another one in the same thread. Owner: a local variable. Threading: any thread; guards nest.
#pragma once

#include "baton/error.hpp"

namespace baton {
inline namespace v0 {

class VM;

// The lock is held for the guard's lifetime.
class Lock {
 public:
  explicit Lock(VM& vm);  // Throws: VMClosed. Defined in vm.hpp
  // For this library.
  explicit Lock(abi::State* state) : state_(state) {
    const abi::Outcome outcome = abi::enter(state, &taken_);
    if (__builtin_expect(outcome != abi::Outcome::kOk, 0)) throw VMClosed();
  }
  ~Lock() {
    if (taken_) abi::leave(state_);
  }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  abi::State* state_;
  bool taken_ = false;
};

namespace detail {

// The lock for an operation that consists of one function of the border: that one takes it, so that the border is crossed
// once, and this gives it back when the results are converted.
class Crossing {
 public:
  explicit Crossing(abi::State* state) noexcept : state_(state) {}
  ~Crossing() {
    if (taken_before_ || taken_) abi::leave(state_);
  }
  Crossing(const Crossing&) = delete;
  Crossing& operator=(const Crossing&) = delete;
  // Takes it now, for what must be converted before.
  void enter() {
    const abi::Outcome outcome = abi::enter(state_, &taken_before_);
    if (__builtin_expect(outcome != abi::Outcome::kOk, 0)) throw VMClosed();
  }
  // For the function of the border.
  bool* taken() noexcept { return &taken_; }

 private:
  abi::State* state_;
  bool taken_before_ = false;
  bool taken_ = false;
};

}  // namespace detail

// The lock is given up for the guard's lifetime, if the thread holds it: around code that blocks. Inside, handles may be
// copied but their values not touched, except through operations, which take the lock again.
class Unlock {
 public:
  explicit Unlock(VM& vm);  // Defined in vm.hpp
  explicit Unlock(abi::State* state) noexcept : state_(state), paused_(abi::pause(state, "host")) {}
  ~Unlock() {
    if (paused_) abi::resume(state_);
  }
  Unlock(const Unlock&) = delete;
  Unlock& operator=(const Unlock&) = delete;

 private:
  abi::State* state_;
  bool paused_;
};

}  // namespace v0
}  // namespace baton
