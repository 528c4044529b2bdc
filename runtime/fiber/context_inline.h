// The body of a switch, for the one or two places where a call around it would cost as much again (resume and yield).
//
// Invariant: the same as `switch_to`, which is this body out of line; the two may be mixed freely. Under a sanitizer
// `switch_to_inline` is that call, since the body must not be instrumented and its caller is.
// Everything in `fiber_detail` belongs to this file and context.cpp alone; the essay is there.
#pragma once

#include <boost/context/detail/fcontext.hpp>

#include "base/check.h"
#include "fiber/context.h"

#if BATON_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#if BATON_TSAN
#include <sanitizer/tsan_interface.h>
#endif

// jump_fcontext, but behind it the processor still knows where this function's callers return to; see the essay in context.cpp.
#if defined(__x86_64__) && defined(__ELF__) && !BATON_ASAN && !BATON_TSAN && !defined(__CET__)
#define BATON_BALANCED_JUMP 1
extern "C" [[gnu::visibility("hidden")]] boost::context::detail::transfer_t baton_balanced_jump(void* to, void* data) noexcept;
#else
#define BATON_BALANCED_JUMP 0
#endif

namespace baton {
namespace fiber_detail {

#ifndef NDEBUG
// Whether the calling native thread is inside a `catch` block or has an exception in flight.
bool exception_active() noexcept;
#endif

// Before the jump, on the stack that is left. `finished`: it is left for good.
BATON_ALWAYS_INLINE void announce_departure([[maybe_unused]] FiberContext& from, [[maybe_unused]] FiberContext& to,
                                            [[maybe_unused]] bool finished) noexcept {
#if BATON_ASAN
  __sanitizer_start_switch_fiber(finished ? nullptr : &from.fake_stack, to.stack_low, to.stack_bytes);
#endif
#if BATON_TSAN
  // A native context is left from wherever the thread is: inside a call of another runtime that is a fiber of that one's.
  if (from.entry == nullptr) from.tsan_fiber = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(to.tsan_fiber, 0);
#endif
}

// Behind the jump, on the stack that is entered. Completes the record of the context that was left.
BATON_ALWAYS_INLINE Arrival complete_arrival([[maybe_unused]] FiberContext& self,
                                             boost::context::detail::transfer_t transfer) noexcept {
  auto& previous = *static_cast<FiberContext*>(transfer.data);
  previous.machine = transfer.fctx;
#if BATON_ASAN
  const void* left_low = nullptr;
  std::size_t left_bytes = 0;
  __sanitizer_finish_switch_fiber(self.fake_stack, &left_low, &left_bytes);
  self.fake_stack = nullptr;
  if (previous.entry == nullptr) {  // only here is a native stack's extent learned
    previous.stack_low = left_low;
    previous.stack_bytes = left_bytes;
  }
#endif
  return {&previous, previous.outgoing};
}

BATON_ALWAYS_INLINE Arrival switch_stack(FiberContext& from, FiberContext& to, void* message) noexcept {
  BATON_DCHECK(to.machine != nullptr);
  BATON_DCHECK(!exception_active());
  void* target = to.machine;
  to.machine = nullptr;
  from.departed_to = &to;
  from.outgoing = message;
  announce_departure(from, to, false);
#if BATON_BALANCED_JUMP
  boost::context::detail::transfer_t transfer = baton_balanced_jump(target, &from);
#else
  boost::context::detail::transfer_t transfer = boost::context::detail::jump_fcontext(target, &from);
#endif
  return complete_arrival(from, transfer);
}

}  // namespace fiber_detail

// `switch_to`, expanded where it is called.
[[nodiscard]] BATON_ALWAYS_INLINE Arrival switch_to_inline(FiberContext& from, FiberContext& to, void* message) noexcept {
#if BATON_ASAN || BATON_TSAN
  return switch_to(from, to, message);
#else
  return fiber_detail::switch_stack(from, to, message);
#endif
}

// What `leave_for` returns: the context that was left for the running one and the point where it stopped. Whoever gets it
// must store `machine` into `left->machine` before anything else: so an arrival needs no frame of its own around the switch.
struct RawArrival {
  void* machine;
  FiberContext* left;
};

// As switch_to without a message, expanded where it is called, but for the last step, which is the caller's. As the last
// expression of a function it becomes a jump, and the return address that the processor predicts stays right.
[[nodiscard]] BATON_ALWAYS_INLINE RawArrival leave_for(FiberContext& from, FiberContext& to) noexcept {
#if BATON_ASAN || BATON_TSAN
  FiberContext* left = switch_to(from, to, nullptr).from;
  return {left->machine, left};
#else
  BATON_DCHECK(to.machine != nullptr);
  BATON_DCHECK(!fiber_detail::exception_active());
  void* target = to.machine;
  to.machine = nullptr;
  from.departed_to = &to;
  from.outgoing = nullptr;
  // It lets no exception through, but its declaration does not say so, and then this could not become a jump.
  using Jump = boost::context::detail::transfer_t (*)(void*, void*) noexcept;
  const auto jump = reinterpret_cast<Jump>(boost::context::detail::jump_fcontext);
  const boost::context::detail::transfer_t transfer = jump(target, &from);
  return {transfer.fctx, static_cast<FiberContext*>(transfer.data)};
#endif
}

}  // namespace baton
