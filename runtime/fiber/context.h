// The one place where a machine stack is left for another: a thin cover over Boost.Context's raw fcontext.
//
// Invariant: a FiberContext is *running* on exactly one native thread, *suspended* (its `machine` names a point inside
// `switch_to`), *fresh* (made, never entered) or *finished* (its entry returned; `machine` then means nothing and switching
// to it aborts or worse: the owner keeps book). Only suspended and fresh contexts may be switched to, and only by the
// native thread that owns them: fibers never migrate, because compilers cache thread-local addresses over calls.
// Owner: whoever embeds the FiberContext (sched's fiber record); it must outlive every switch from it.
// Threading: none of its own. All contexts of a runtime change under the GIL, the native ones on their own thread.
//
// Rule for callers: no switch inside a `catch` block, a destructor that unwinds, or with an exception in flight. The C++
// runtime keeps its exception stack per native thread; a rethrow after such a switch delivers another fiber's exception.
// Debug builds check it at every switch.
#pragma once

#include <cstddef>

#include "base/platform.h"

namespace baton {

struct FiberContext;

// What a context learns when it starts or continues: who switched to it, and the pointer that one passed.
struct Arrival {
  FiberContext* from;
  void* message;
};

// What an entry function returns when its fiber has ended: where to continue, and the pointer to pass there.
struct Departure {
  FiberContext* to;
  void* message;
};

// The body of a fiber. When it returns, every C++ frame of the fiber is gone and control leaves its stack for good; the
// stack may be reused by whoever arrives. It lets no exception out (an escaping one ends the process).
using FiberEntry = Departure (*)(FiberContext& self, Arrival first) noexcept;

struct FiberContext {
  void* machine = nullptr;            // Boost's fcontext_t: valid while fresh or suspended, else null
  FiberEntry entry = nullptr;         // null for the context of a native thread's own stack
  FiberContext* departed_to = nullptr;  // read by the arriving side of a switch from this context
  void* outgoing = nullptr;           // likewise: the message
#if BATON_ASAN
  const void* stack_low = nullptr;    // lowest address, what AddressSanitizer calls the bottom
  std::size_t stack_bytes = 0;
  void* fake_stack = nullptr;
#endif
#if BATON_TSAN
  void* tsan_fiber = nullptr;
#endif
};

// Makes `context` stand for the stack of the calling native thread. It can then switch away and be switched back to.
// Takes: a default-initialised context. Effects: raises the thread's sticky floating-point flags (see context.cpp).
void adopt_native_stack(FiberContext& context) noexcept;

// Makes `context` fresh: the first switch to it calls `entry` on the stack [low, top). `top` needs no alignment.
// Takes: a default-initialised or discarded context. Effects: writes some 100 bytes below `top`.
void make_fiber(FiberContext& context, std::byte* low, std::byte* top, FiberEntry entry) noexcept;

// Suspends `from`, which must be the running context, and continues `to`, which must be fresh or suspended.
// Returns when somebody switches to `from`: who, and with which message. Raises: nothing.
[[nodiscard]] Arrival switch_to(FiberContext& from, FiberContext& to, void* message) noexcept;

// Ends the life of a context that is finished, or is dropped while fresh or suspended: frees what sanitizers hold for it.
// Nothing on its stack is unwound. Takes: a context made by make_fiber that is not running. The context may be made again.
void discard_fiber(FiberContext& context) noexcept;

}  // namespace baton
