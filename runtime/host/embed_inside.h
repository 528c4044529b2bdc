// How a call from the host gets to where script code may run, expanded into each kind of call that must be quick.
//
// Outside all calls a session's thread is on the stack that the operating system gave it, where nothing may wait; there the
// body is called on the stack of the kept fiber of the thread's root coroutine (sched/native_thread.h). Inside a call, that is in
// functions of the host that script code called, it is on a fiber already. Nothing is allocated either way.
//
// What a call of an empty script function costs, lock held, is these steps: the session (a thread-local pointer), two words of
// the C++ runtime (below), the stop and budget flags, the change of stacks, the frame, the interpreter, back.
//
// Exceptions. The C++ runtime keeps the exceptions that are being handled per thread of the operating system, but a call may
// switch to another task's stack. A host that calls from within a catch block therefore has that state put aside meanwhile.
// Invariant: what is performed lets nothing out. Owner: none. Threading: under the GIL.
#pragma once

#include "host/embed_state.h"
#include "host/host_code.h"
#include "vm/call.h"

namespace baton::host {

// A call into the runtime; that of a script's function is made by the caller. How it is performed says a type P with a function
// `static void perform(InsideCall&, ThreadState&) noexcept`, which sets the outcome.
using InsideCall = abi::Call;

inline ThreadState& thread_of(const InsideCall& call) noexcept { return *static_cast<ThreadState*>(call.thread); }

// Behind a body that was unwound, or failed. Raises: nothing.
Outcome end_stopped(const InsideCall& call, const vm::CallMark& mark) noexcept;
Outcome end_failed(const InsideCall& call) noexcept;

// Whether a call may begin outside all calls; what came too late for the one before is forgotten.
Outcome begin_outermost(State* state, Session& session, Failure** failure) noexcept;
// The thread is inside this runtime, but above it in a call of another one, on whose stack nothing of this one may wait.
Outcome end_entangled(const InsideCall& call) noexcept;
// There was no fiber for it.
Outcome end_without_fiber(const InsideCall& call) noexcept;

template <class P>
BATON_NOINLINE void perform_inside(void* call, void* thread) noexcept {
  P::perform(*static_cast<InsideCall*>(call), *static_cast<ThreadState*>(thread));
}

template <class P>
BATON_ALWAYS_INLINE Outcome run_inside(Session& session, InsideCall& call) noexcept;

// The same while the calling code handles exceptions: they are put aside.
template <class P>
BATON_NOINLINE Outcome run_inside_catch(Session& session, InsideCall& call) noexcept {
  const HandledExceptions kept = std::exchange(*session.handled_exceptions, HandledExceptions{});
  const Outcome outcome = run_inside<P>(session, call);
  *session.handled_exceptions = kept;
  return outcome;
}

// Performs `call` where script code may run. Outcomes: kOk, kError, kStopped. Takes: the GIL; the calling thread's session.
// Raises: nothing.
template <class P>
BATON_ALWAYS_INLINE Outcome run_inside(Session& session, InsideCall& call) noexcept {
  const LibraryCode library;
  ThreadState& thread = session.native->state();
  call.thread = &thread;
  const HandledExceptions& handled = *session.handled_exceptions;
  if (BATON_UNLIKELY(handled.caught != nullptr || handled.uncaught != 0)) return run_inside_catch<P>(session, call);
  if (session.inside.load(std::memory_order_relaxed)) {
    const Session* innermost = innermost_session;
    if (BATON_UNLIKELY(innermost != &session && innermost != nullptr)) return end_entangled(call);
    call.is_outermost = false;
    perform_inside<P>(&call, &thread);
    return call.outcome;
  }
  State* state = call.state;
  if (BATON_UNLIKELY(thread.interrupt.any() || state->is_watched || state->has_budget.load(std::memory_order_relaxed))) {
    const Outcome outcome = begin_outermost(state, session, call.failure);
    if (outcome != Outcome::kOk) return outcome;
  }
  call.is_outermost = true;
  session.inside.store(true, std::memory_order_release);
  Session* const outer = std::exchange(innermost_session, &session);
  try {
    session.native->run_on_kept_fiber(perform_inside<P>, &call);
  } catch (const ScriptError&) {
    call.outcome = end_without_fiber(call);
  }
  session.inside.store(false, std::memory_order_relaxed);
  innermost_session = outer;
  if (BATON_UNLIKELY(state->is_watched) && session.is_main) set_watched(state, true);
  return call.outcome;
}

}  // namespace baton::host
