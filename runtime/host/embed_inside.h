// How a call from the host gets to where script code may run, expanded into each kind of call that must be quick.
//
// Outside all calls a session's thread is on the stack that the operating system gave it, where nothing may wait; there the
// call switches to the kept fiber of the thread's root coroutine and back. Inside a call, that is in functions of the host
// that script code called, it is on a fiber already. Nothing is allocated either way.
//
// What a call of an empty script function costs, lock held, is these steps: the session (a thread-local pointer), two words of
// the C++ runtime (below), the stop and budget flags, the switch, a mark for ForcedUnwind, the frame, the interpreter, back.
//
// Exceptions. The C++ runtime keeps the exceptions that are being handled per thread of the operating system, but a call may
// switch to another task's stack. A host that calls from within a catch block therefore has that state put aside meanwhile.
// Invariant: `body` lets out nothing but ForcedUnwind. Owner: none. Threading: under the GIL.
#pragma once

#include "host/embed_state.h"
#include "vm/call.h"

namespace baton::host {

// Puts the exceptions that the calling code handles at this moment aside.
class NoHandledExceptions {
 public:
  explicit NoHandledExceptions(HandledExceptions* place) noexcept : place_(place), kept_(*place) {
    if (BATON_UNLIKELY(kept_.caught != nullptr || kept_.uncaught != 0)) *place_ = {};
  }
  ~NoHandledExceptions() {
    if (BATON_UNLIKELY(kept_.caught != nullptr || kept_.uncaught != 0)) *place_ = kept_;
  }
  NoHandledExceptions(const NoHandledExceptions&) = delete;
  NoHandledExceptions& operator=(const NoHandledExceptions&) = delete;

 private:
  HandledExceptions* place_;
  HandledExceptions kept_;
};

template <class Body>
struct InsideCall {
  State* state;
  ThreadState* thread;
  Body& body;
  Failure** failure;
  bool is_outermost;
  Outcome outcome;
};

// Behind a body that was unwound, or failed. Raises: nothing.
Outcome end_stopped(State* state, ThreadState& thread, const vm::CallMark& mark, bool is_outermost, Failure** failure) noexcept;
Outcome end_failed(State* state, ThreadState& thread, Failure** failure) noexcept;

template <class Body>
void perform_inside(InsideCall<Body>& call) noexcept {
  ThreadState& thread = *call.thread;
  const vm::CallMark mark = vm::mark_call(thread, 0);
  Status status = Status::kOk;
  bool stopped = false;
  try {
    status = call.body(thread);
  } catch (const ForcedUnwind&) {
    stopped = true;
  }
  if (BATON_UNLIKELY(stopped)) {
    call.outcome = end_stopped(call.state, thread, mark, call.is_outermost, call.failure);
    return;
  }
  call.outcome = BATON_LIKELY(status == Status::kOk) ? Outcome::kOk : end_failed(call.state, thread, call.failure);
  thread.current->top = thread.current->stack + mark.slot;
}

// Whether a call may begin outside all calls; what came too late for the one before is forgotten.
Outcome begin_outermost(State* state, Session& session, Failure** failure) noexcept;
// There was no fiber for it.
Outcome end_without_fiber(State* state, ThreadState& thread, Failure** failure) noexcept;

// Runs `body(thread)`, which returns a Status, where script code may run. What it leaves on the stack is dropped.
// Outcomes: kOk, kError (thread.pending was an error), kStopped. Takes: the GIL. Raises: nothing.
template <class Body>
BATON_ALWAYS_INLINE Outcome run_inside_with(State* state, Body& body, Failure** failure) noexcept {
  Session& session = present_session(state);
  ThreadState& thread = session.native->state();
  InsideCall<Body> call{state, &thread, body, failure, false, Outcome::kOk};
  const NoHandledExceptions aside(session.handled_exceptions);
  if (session.inside.load(std::memory_order_relaxed)) {
    perform_inside(call);
    return call.outcome;
  }
  const bool watched = session.is_main && state->is_watched;
  if (BATON_UNLIKELY(thread.interrupt.any() || watched || state->has_budget.load(std::memory_order_relaxed))) {
    const Outcome outcome = begin_outermost(state, session, failure);
    if (outcome != Outcome::kOk) return outcome;
  }
  call.is_outermost = true;
  session.inside.store(true, std::memory_order_release);
  try {
    session.native->run_on_kept_fiber([](void* place) noexcept { perform_inside(*static_cast<InsideCall<Body>*>(place)); }, &call);
  } catch (const ScriptError&) {
    call.outcome = end_without_fiber(state, thread, failure);
  }
  session.inside.store(false, std::memory_order_relaxed);
  if (BATON_UNLIKELY(watched)) set_watched(state, true);
  return call.outcome;
}

}  // namespace baton::host
