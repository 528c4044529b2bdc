// Which stack code of the host runs on, told to AddressSanitizer where the program is built with it and this library is not.
//
// Its runtime keeps one pair of bounds and one "fake stack" of locals per thread of the operating system. Both must follow the
// machine stack, or what an exception leaves behind on a fiber stays poisoned and is reported when the stack is used again. Only
// the program's own code is instrumented, so it is enough to tell at the border: HostCode around functions of the host that are
// called on a fiber, LibraryCode around whatever may switch stacks before it returns to the host. In between, the library has
// bounds that nobody asks for and no fake stack, so it may switch as it likes.
// Invariant: the guards are destroyed in reverse order on each stack. In a program without the sanitizer they only look whether
// it is there. A library that is instrumented itself tells at each switch (fiber/context.cpp) and needs none of this.
// Owner: local variables. Threading: the calling thread's.
#pragma once

#include <cstddef>

#include "base/platform.h"
#include "fiber/stack_pool.h"
#include "value/coroutine.h"

namespace baton::host {

#if BATON_ASAN

class HostCode {
 public:
  explicit HostCode(const Coroutine*) noexcept {}
  ~HostCode() {}  // NOLINT: a guard that does nothing, but is no unused variable
};
class LibraryCode {
 public:
  LibraryCode() noexcept {}  // NOLINT
  ~LibraryCode() {}          // NOLINT
};

#else

extern "C" {
[[gnu::weak]] void baton_start_switch_fiber(void** fake_stack, const void* low, std::size_t bytes) noexcept
    __asm__("__sanitizer_start_switch_fiber");
[[gnu::weak]] void baton_finish_switch_fiber(void* fake_stack, const void** low, std::size_t* bytes) noexcept
    __asm__("__sanitizer_finish_switch_fiber");
}

// A visit to another stack, as the sanitizer sees it.
class StackVisit {
 public:
  StackVisit() noexcept = default;
  StackVisit(const StackVisit&) = delete;
  StackVisit& operator=(const StackVisit&) = delete;
  ~StackVisit() {
    if (BATON_LIKELY(!is_told_)) return;
    baton_start_switch_fiber(nullptr, low_, bytes_);
    baton_finish_switch_fiber(fake_stack_, nullptr, nullptr);
  }

 protected:
  static bool program_is_sanitized() noexcept { return BATON_UNLIKELY(baton_start_switch_fiber != nullptr); }
  void tell(const void* low, std::size_t bytes) noexcept {
    baton_start_switch_fiber(&fake_stack_, low, bytes);
    baton_finish_switch_fiber(nullptr, &low_, &bytes_);
    is_told_ = true;
  }

 private:
  bool is_told_ = false;
  void* fake_stack_ = nullptr;  // of the stack that was left, with its bounds
  const void* low_ = nullptr;
  std::size_t bytes_ = 0;
};

// Around a function of the host that is called for `co`, the running coroutine.
class HostCode : StackVisit {
 public:
  explicit HostCode(const Coroutine* co) noexcept {
    if (program_is_sanitized()) tell_stack_of(co);
  }

 private:
  void tell_stack_of(const Coroutine* co) noexcept {
    const char* low = co->machine_stack_limit;
    const char* here = static_cast<const char*>(__builtin_frame_address(0));
    if (here >= low && here < low + kFiberStackBytes) tell(low, kFiberStackBytes);  // else on the thread's own
  }
};

// Around a call from the host that may switch stacks.
class LibraryCode : StackVisit {
 public:
  LibraryCode() noexcept {
    constexpr std::size_t kAnyBytes = 4096;
    if (program_is_sanitized()) tell(static_cast<const char*>(__builtin_frame_address(0)) - kAnyBytes, kAnyBytes);
  }
};

#endif

}  // namespace baton::host
