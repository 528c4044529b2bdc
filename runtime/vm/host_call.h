// The protected call of a host, expanded into the function of the border that makes it.
//
// What vm::protected_call does, for a caller that has the running coroutine at hand, knows where function and arguments begin,
// and puts them there itself. A script function that succeeds passes through nothing else: its frame is filled in place, and
// the interpreter entered.
// Invariant: as for protected_call. Owner: none. Threading: the running native thread.
#pragma once

#include <optional>

#include "vm/call.h"
#include "vm/frames.h"
#include "vm/interpreter.h"

namespace baton::vm {

// What was thrown, copied out of the catch.
using Thrown = std::optional<ScriptError>;

// One stretch of running: `body`, which ends in the interpreter, up to a Next or an exception. Coroutines that run in place on
// top of what is unwound die of ForcedUnwind. Raises: ForcedUnwind.
template <class Body>
BATON_ALWAYS_INLINE Next run_stretch(ThreadState& thread, Thrown* thrown, Body body) {
  try {
    return body();
  } catch (const ScriptError& error) {
    thrown->emplace(error);
  } catch (const std::bad_alloc&) {
    thrown->emplace(ErrorId::kMemory);
  } catch (const ForcedUnwind&) {
    abandon_in_place(thread);
    throw;
  }
  return Next::kError;
}

// The same where `begin` says whether to go on in the interpreter, from where the frames say.
template <class Begin>
BATON_ALWAYS_INLINE Next run_begun(ThreadState& thread, Thrown* thrown, Begin begin) {
  return run_stretch(thread, thrown, [&] {
    const Next next = begin();
    return next == Next::kContinue ? execute(thread) : next;
  });
}

// What is known of a script function's frame that was just filled.
struct Entered {
  CallFrame* frame;  // null: it was not
  Value* base;
  const Prototype* prototype;
};

// The same from there.
BATON_ALWAYS_INLINE Next run_entered(ThreadState& thread, const Entered& entered, Thrown* thrown) {
  return run_stretch(thread, thrown, [&] { return execute_entered(thread, entered.frame, entered.base, entered.prototype); });
}

// The same from the call of what is no script function, or needs a larger stack. Raises: ForcedUnwind.
Next run_call(ThreadState& thread, Value* function, int arguments, int wanted, Thrown* thrown);

// Behind a stretch that ended with `next`, not kExit: unwinds to a pcall of this activation, whose first frame has the index
// `entry`, or to the resumer of a coroutine that runs in place on top of it, or promotes that one, and goes on there. `nesting`:
// C levels where the activation began. Returns: kExit or kError. Raises: ForcedUnwind.
Next run_on(ThreadState& thread, std::ptrdiff_t entry, std::int32_t nesting, Next next, Thrown& thrown);

// Enters a script function if that can be done at once: its frame is filled here. Takes: a value with its arguments behind it.
BATON_ALWAYS_INLINE Entered enter_script(ThreadState& thread, Coroutine* co, Value* function, int arguments, int wanted) noexcept {
  if (BATON_UNLIKELY(BATON_STRESS || !function->is_closure() || thread.dispatch == nullptr || co->frame + 1 >= co->frames_limit)) return {};
  const Prototype* prototype = function->closure()->prototype;
  if (BATON_UNLIKELY(co->stack_limit - function <= static_cast<std::ptrdiff_t>(prototype->max_stack) + 1)) return {};
  return {fill_script_frame(co, function, arguments, wanted, kFrameEntry), function + 1, prototype};
}

// Where a protected call began, in bytes from the beginnings of frames and stack: what failing goes back to.
struct CallPlace {
  std::ptrdiff_t frame_bytes;
  std::ptrdiff_t slot_bytes;
  std::int32_t nesting;
};
// The place of a call whose function stands, or will stand, at `function`. Raises: nothing.
BATON_ALWAYS_INLINE CallPlace call_place(const Coroutine* co, const Value* function) noexcept {
  return {reinterpret_cast<const char*>(co->frame) - reinterpret_cast<const char*>(co->frames),
          reinterpret_cast<const char*>(function) - reinterpret_cast<const char*>(co->stack), own_nesting(co)};
}
// Where that slot is now. Raises: nothing.
BATON_ALWAYS_INLINE Value* slot_at(const Coroutine* co, const CallPlace& place) noexcept {
  return reinterpret_cast<Value*>(reinterpret_cast<char*>(co->stack) + place.slot_bytes);
}

// The same place for abandon_to. Raises: nothing.
inline CallMark mark_of(const CallPlace& place, int handler_depth) noexcept {
  return {place.frame_bytes / static_cast<std::ptrdiff_t>(sizeof(CallFrame)), place.slot_bytes / static_cast<std::ptrdiff_t>(sizeof(Value)),
          place.nesting, handler_depth};
}

// The failing half of a protected call: `next` and `thrown` say how it failed. Calls the handler, unwinds. Returns: kOk if a pcall
// of the call's own has gone on well. Raises: ForcedUnwind.
Status end_protected_call(ThreadState& thread, const CallPlace& place, Next next, Thrown& thrown, const Value& handler);
// The same where there is no room for another call. Raises: ForcedUnwind.
Status refuse_protected_call(ThreadState& thread, const CallPlace& place, const Value& handler);

// Calls the function at `place` with the `arguments` values behind it, up to `top`. On kOk the results stand from there to
// `top`. Takes: the running coroutine. Raises: ForcedUnwind.
BATON_ALWAYS_INLINE Status protected_call_at(ThreadState& thread, Coroutine* co, const CallPlace& place, int arguments, int wanted,
                                             const Value& handler) {
  if (BATON_UNLIKELY(co->nesting >= kMaxNesting || machine_stack_low(co))) return refuse_protected_call(thread, place, handler);
  ++co->nesting;
  Value* function = slot_at(co, place);
  Thrown thrown;
  Next next;
  const Entered entered = enter_script(thread, co, function, arguments, wanted);
  if (BATON_LIKELY(entered.frame != nullptr)) next = run_entered(thread, entered, &thrown);
  else next = run_call(thread, function, arguments, wanted, &thrown);
  if (BATON_UNLIKELY(next != Next::kExit)) return end_protected_call(thread, place, next, thrown, handler);
  set_own_nesting(co, place.nesting);
  return Status::kOk;
}

}  // namespace baton::vm
