// Switching machine stacks.
//
// A switch is four stores and one jump:
//
//     from.departed_to, from.outgoing        who is meant, and what he is told
//     jump_fcontext(to.machine, &from)       saves the callee-saved registers below our frame, takes the other's
//     --- another stack ---
//     previous.machine = where it stopped    only the arriving side learns the address to come back to
//
// so the record of a suspended context is completed by whoever arrives, never by itself. A fresh context arrives in
// `fiber_main`, all others behind the jump in `switch_to`; both do the same work in the same order.
//
// The body of the switch is in context_inline.h, because a call of it costs more than it does: after the jump the
// processor predicts a return to where the *other* fiber was called from, and every return up to there misses. Out of
// line a switch takes 13.5 ns (17.6 among 1,000 fibers), inlined 8.4 and 8.1 (measured).
//
// Sanitizers must be told. AddressSanitizer keeps bounds of the running stack and a fake stack per fiber: it is told
// before the jump where we go (`start`) and behind it where we are (`finish`). A fiber that ends passes null for its own
// fake stack, which frees it. A fiber that is dropped while suspended can no longer say so; `discard_fiber` makes a
// pretended visit on its behalf. ThreadSanitizer keeps a shadow call stack and a clock per fiber: the call that changes
// them must be the last thing it sees before the jump, hence the functions here carry no instrumentation at all. The
// switch synchronises (flag 0), as everything two fibers of one native thread do is ordered by their switches.
//
// The jump also saves and loads the control word of floating-point arithmetic, in which x86 keeps the sticky flags
// "inexact", "overflow" and so on. Loading a *different* value stalls the processor: 60 ns instead of 6 for each switch
// between a fiber that ever computed 1/3 and one that never did (measured). Nobody here reads the flags, so all are
// raised when a native stack is adopted; fibers inherit them when made, and the word never changes again.
//
// Returns behind a switch. The processor predicts a return by a stack of its own, onto which each call pushes. jump_fcontext is
// called but arrives by a jump, so its own entry stays on top and every return behind it, up to the outermost function that
// both fibers have in common, is mispredicted (some 15 cycles each). `baton_balanced_jump` hands jump_fcontext an address to
// come back to at which stands a plain return: that one takes the entry of our caller's call off, and as the fibers among
// which a scheduler switches were all left at the same place, what lies below it is right as well. Where there is no such
// assembler the plain jump serves.
//
// GNU C++ knows no attribute that removes ThreadSanitizer's function-entry hooks; such a build is refused below.
//
// The machine stack of a fiber that ends is left by a jump like any other. The frame of `fiber_main` stays there, dead,
// until the stack is made again. Should somebody continue it before that, the check at its end says so.
#include "fiber/context.h"

#include <cxxabi.h>

#include "base/check.h"
#include "fiber/context_inline.h"

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

#if BATON_TSAN && !defined(__clang__)
#error "ThreadSanitizer builds need clang: only it can leave the switch uninstrumented"
#endif

#if defined(__clang__)
#define BATON_UNINSTRUMENTED __attribute__((noinline, disable_sanitizer_instrumentation))
#else
#define BATON_UNINSTRUMENTED __attribute__((noinline))  // AddressSanitizer does not mind; g++ 12 fails on its attribute
#endif

#if BATON_BALANCED_JUMP
// Its return address is the one below the address that it pushes; the registers with the results pass through.
extern "C" __attribute__((naked, noinline)) boost::context::detail::transfer_t baton_balanced_jump(void*, void*) noexcept {
  asm("leaq 1f(%rip), %rax\n\t"
      "pushq %rax\n\t"
      "jmp jump_fcontext@PLT\n"
      "1:\n\t"
      "ret");
}
#endif

namespace baton {
namespace {

using boost::context::detail::jump_fcontext;
using boost::context::detail::make_fcontext;
using boost::context::detail::transfer_t;
using fiber_detail::announce_departure;
using fiber_detail::complete_arrival;

// Raises the flags that floating-point arithmetic leaves behind, all at once: see the essay.
void raise_sticky_float_flags() noexcept {
#if defined(__SSE__)
  _mm_setcsr(_mm_getcsr() | _MM_EXCEPT_MASK);
#endif
}

// The first frame of every fiber.
BATON_UNINSTRUMENTED void fiber_main(transfer_t transfer) noexcept {
  FiberContext& self = *static_cast<FiberContext*>(transfer.data)->departed_to;
  Arrival first = complete_arrival(self, transfer);
  Departure last = self.entry(self, first);
  BATON_CHECK(last.to != nullptr && last.to->machine != nullptr, "a finished fiber names no context to continue");
  FiberContext& next = *last.to;
  void* target = next.machine;
  next.machine = nullptr;
  self.departed_to = &next;
  self.outgoing = last.message;
  announce_departure(self, next, true);
  jump_fcontext(target, &self);
  BATON_CHECK(false, "a finished fiber was continued");
}

#if BATON_ASAN
// Frees the fake stack of a context that will not run again, by telling the sanitizer of a visit that does not happen.
BATON_UNINSTRUMENTED void free_fake_stack(FiberContext& context) noexcept {
  const void* own_low = nullptr;
  std::size_t own_bytes = 0;
  void* own_fake_stack = nullptr;
  __sanitizer_start_switch_fiber(&own_fake_stack, context.stack_low, context.stack_bytes);
  __sanitizer_finish_switch_fiber(context.fake_stack, &own_low, &own_bytes);
  __sanitizer_start_switch_fiber(nullptr, own_low, own_bytes);
  __sanitizer_finish_switch_fiber(own_fake_stack, nullptr, nullptr);
  context.fake_stack = nullptr;
}
#endif

}  // namespace

void adopt_native_stack([[maybe_unused]] FiberContext& context) noexcept {
  raise_sticky_float_flags();
#if BATON_TSAN
  context.tsan_fiber = __tsan_get_current_fiber();
#endif
}

void make_fiber(FiberContext& context, std::byte* low, std::byte* top, FiberEntry entry) noexcept {
  BATON_DCHECK(entry != nullptr && low < top);
  context.entry = entry;
  context.machine = make_fcontext(top, static_cast<std::size_t>(top - low), fiber_main);
#if BATON_ASAN
  context.stack_low = low;
  context.stack_bytes = static_cast<std::size_t>(top - low);
  context.fake_stack = nullptr;
#endif
#if BATON_TSAN
  context.tsan_fiber = __tsan_create_fiber(0);
#endif
}

BATON_UNINSTRUMENTED Arrival switch_to(FiberContext& from, FiberContext& to, void* message) noexcept {
  return fiber_detail::switch_stack(from, to, message);
}

#ifndef NDEBUG
bool fiber_detail::exception_active() noexcept {
  // The head of the C++ runtime's per-thread exception record, as the Itanium C++ ABI lays it out (2.2.2).
  struct ExceptionGlobals {
    void* caught;
    unsigned int in_flight;
  };
  auto* globals = reinterpret_cast<const ExceptionGlobals*>(abi::__cxa_get_globals());
  return globals->caught != nullptr || globals->in_flight != 0;
}
#endif

void discard_fiber(FiberContext& context) noexcept {
  BATON_DCHECK(context.entry != nullptr);
#if BATON_ASAN
  if (context.fake_stack != nullptr) free_fake_stack(context);
#endif
#if BATON_TSAN
  __tsan_destroy_fiber(context.tsan_fiber);
  context.tsan_fiber = nullptr;
#endif
  context.machine = nullptr;
  context.entry = nullptr;
}

}  // namespace baton
