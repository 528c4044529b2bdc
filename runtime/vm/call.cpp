// Calls from C++ and the unwinding of errors.
//
// An error travels in one of two ways and is handled in one place. A failing `error` or `assert`
// returns kError with the value in thread.pending; everything else throws ScriptError. `run` is the
// only function with a catch around the interpreter: it copies the error out, leaves the catch, and
// then looks for the innermost pcall or xpcall among the frames of its own activation:
//
//   found      the message handler runs first, on top of the failing frames; then frames above the
//              pcall are dropped, their variables closed, and pcall returns false and the error
//   not found  run returns kError; vm::call throws on, through the native that called it, to the
//              next activation, which finds all frames still in place; vm::protected_call stops it
//
// So no script code runs inside a catch, CallFrames survive C++ unwinding until somebody handles the
// error, and a traceback made in a handler sees everything.
//
// Not enough memory: an instruction that fails to allocate has changed nothing (interpreter_macros.h,
// rule 4). `run` collects in emergency mode and repeats it; if it fails again and the collection freed
// nothing, the error is raised.
#include "vm/call.h"

#include <new>

#include "value/closure.h"
#include "vm/close.h"
#include "vm/coroutines.h"
#include "vm/debug_hooks.h"
#include "vm/host_call.h"
#include "vm/native.h"
#include "vm/operations.h"
#include "vm/run.h"
#include "vm/safepoint.h"

namespace baton::vm {
namespace {

// What was repeated last after an emergency collection, so that it is not repeated for ever.
struct Retry {
  const CallFrame* frame = nullptr;
  const Instruction* pc = nullptr;
};

// An instruction in a loop fails now and then while the heap stays near the cap; it is repeated as
// long as the collection frees more than the attempt itself can have left behind.
constexpr std::size_t kWorthRepeating = 64 * 1024;

// The innermost protected frame at or above index `entry`, or null.
CallFrame* find_protected(Coroutine* co, std::ptrdiff_t entry) noexcept {
  for (CallFrame* frame = co->frame; frame >= co->frames + entry; --frame) {
    if (frame->flags & kFrameProtected) return frame;
  }
  return nullptr;
}

// Ends thread.pending at the pcall or xpcall `frame` of this activation.
Next recover(ThreadState& thread, CallFrame* frame) {
  Coroutine* co = thread.current;
  const std::ptrdiff_t index = frame - co->frames;
  if (frame->flags & kFrameHandler) call_handler(thread, frame->base[0]);
  co->frame = frame = co->frames + index;
  frame->flags &= static_cast<std::uint16_t>(~kFrameProtected);
  if (BATON_UNLIKELY(!co->hooks_allowed)) restore_hooks(co);
  set_own_nesting(co, static_cast<std::int32_t>(frame->scratch));
  const bool has_handler = (frame->flags & kFrameHandler) != 0;
  close_variables_failing(thread, frame->base + (has_handler ? 1 : 0), has_handler ? frame->base - co->stack : 0);
  frame = co->frames + index;
  co->frame = frame;
  // A return hook must still find the function in its slot, and the results where PUC Lua has them:
  // behind what the call was begun with and the error itself.
  Value* first = frame->base - 1;
  if (BATON_UNLIKELY(co->hook_mask != 0)) {
    const int skipped = (frame->flags & kFrameHandler) != 0 ? 4 : 2;
    for (int i = 0; i < skipped; ++i) frame->base[i].set_nil();
    first = frame->base + skipped;
  }
  first[0].set_boolean(false);
  first[1] = thread.pending;
  thread.pending.set_nil();
  co->top = first + 2;
  return finish_return(thread, first, 2);
}

// Whether the running instruction may be repeated after freeing memory.
bool retry_after_collection(ThreadState& thread, Retry* last) {
  Coroutine* co = thread.current;
  const CallFrame* frame = co->frame;
  if (!frame->is_script() || frame->pc == frame->base[-1].closure()->prototype->code.items) return false;
  const bool again = last->frame == frame && last->pc == frame->pc;
  *last = Retry{frame, frame->pc};
  const bool open = (opcode_info(frame->pc[-1].op).flags & kOpOpen) != 0;
  const std::ptrdiff_t top = co->top - co->stack;
  if (!open || co->top < frame->top) co->top = frame->top;
  const std::size_t before = thread.heap().bytes_used();
  thread.heap().collect_emergency();
  if (again && thread.heap().bytes_used() + kWorthRepeating > before) return false;
  if (open) co->top = co->stack + top;
  co->frame->pc -= 1;
  return true;
}

// Whether what the error of a coroutine that runs in place leads to, if `catcher` catches it, runs script called from C++.
bool needs_promotion(const Coroutine* co, const CallFrame* catcher) noexcept {
  return (catcher->flags & kFrameHandler) != 0 || has_pending_variables(co, catcher->base);
}

// Gives the running coroutine a machine stack of its own. Returns: false, with the error in `thrown`, if there is none.
bool promote(ThreadState& thread, Promotion how, Thrown* thrown) {
  const Next next = run_stretch(thread, thrown, [&] {
    prepare_promotion(thread, how);
    return Next::kContinue;
  });
  return next == Next::kContinue;
}

Next go_on_promoted(ThreadState& thread, Thrown* thrown) {
  return run_begun(thread, thrown, [&] { return run_promoted(thread); });
}

// thread.pending happened in the running coroutine: it goes on at `catcher`, a pcall or xpcall of this activation. Null: it
// runs in place and dies, and its resumer goes on.
Next handle_error(ThreadState& thread, CallFrame* catcher, Thrown* thrown) {
  Coroutine* co = thread.current;
  if (catcher != nullptr && (!co->in_place || !needs_promotion(co, catcher))) {
    return run_begun(thread, thrown, [&] { return recover(thread, catcher); });
  }
  if (catcher != nullptr) {
    if (BATON_LIKELY(promote(thread, Promotion::kError, thrown))) return go_on_promoted(thread, thrown);
    thread.pending = error_value(thread, **thrown);  // and of that it dies
    thrown->reset();
  }
  return run_begun(thread, thrown, [&] { return fail_in_place(thread); });
}

}  // namespace

Next run_call(ThreadState& thread, Value* function, int arguments, int wanted, Thrown* thrown) {
  if (BATON_UNLIKELY(thread.dispatch == nullptr)) update_dispatch(thread);  // a thread's first call
  return run_begun(thread, thrown, [&] { return begin_call(thread, function, arguments, wanted, kFrameEntry); });
}

// The coroutine at the bottom is not known by name: other tasks may have gone on there (task_turns.cpp).
Next run_on(ThreadState& thread, std::ptrdiff_t entry, std::int32_t nesting, Next next, Thrown& thrown) {
  Retry retry;
  while (next != Next::kExit) {
    if (next == Next::kPromote) {
      next = promote(thread, Promotion::kInstruction, &thrown) ? go_on_promoted(thread, &thrown) : Next::kError;
      continue;
    }
    Coroutine* co = thread.current;
    const bool in_place = co->in_place;
    const std::ptrdiff_t first = in_place ? 1 : entry;
    set_own_nesting(co, in_place ? 0 : nesting);
    if (thrown && thrown->id == ErrorId::kMemory && co->frame >= co->frames + first && retry_after_collection(thread, &retry)) {
      thrown.reset();
      next = run_begun(thread, &thrown, [] { return Next::kContinue; });
      continue;
    }
    if (thrown) thread.pending = error_value(thread, *thrown);
    thrown.reset();
    CallFrame* catcher = find_protected(co, first);
    if (catcher == nullptr && !in_place) return Next::kError;
    next = handle_error(thread, catcher, &thrown);
  }
  BATON_DCHECK(!thread.current->in_place);
  return next;
}

namespace {

// The heart of `run`, expanded into each kind of call: that of a script function which succeeds passes through nothing else.
BATON_ALWAYS_INLINE Next run_inline(ThreadState& thread, Value* function, int arguments, int wanted) {
  Coroutine* co = thread.current;
  const std::ptrdiff_t entry = co->frame - co->frames + 1;
  const std::int32_t nesting = own_nesting(co);
  Thrown thrown;
  Next next;
  const Entered entered = enter_script(thread, co, function, arguments, wanted);
  if (BATON_LIKELY(entered.frame != nullptr)) next = run_entered(thread, entered, &thrown);
  else next = run_call(thread, function, arguments, wanted, &thrown);
  if (BATON_LIKELY(next == Next::kExit)) return next;
  return run_on(thread, entry, nesting, next, thrown);
}

// The whole of what is left of a coroutine, begun by `begin`.
template <class Begin>
BATON_NOINLINE Next run_rest(ThreadState& thread, Begin begin) {
  Thrown thrown;
  const Next next = run_begun(thread, &thrown, begin);
  return next == Next::kExit ? next : run_on(thread, 1, 0, next, thrown);
}

}  // namespace

Next run(ThreadState& thread, Value* function, int arguments, int wanted) { return run_inline(thread, function, arguments, wanted); }

Next continue_run(ThreadState& thread, int values) {
  return run_rest(thread, [&] { return finish_return(thread, thread.current->top - values, values); });
}

Next run_instruction(ThreadState& thread) {
  return run_rest(thread, [] { return Next::kContinue; });
}

Next run_error(ThreadState& thread) {
  return run_rest(thread, [] { return Next::kError; });
}

Next run_bottom(ThreadState& thread, Next (*begin)(ThreadState& thread)) {
  if (BATON_UNLIKELY(thread.dispatch == nullptr)) update_dispatch(thread);
  return run_rest(thread, [&] { return begin(thread); });
}

namespace {

// A hook that was set from outside is called while its coroutine runs in place: it may not yield.
class CalledInPlace {
 public:
  explicit CalledInPlace(Coroutine* co) noexcept : co_(co), was_closing_(co->closing) {
    BATON_DCHECK(!co->hooks_allowed);
    const Coroutine* owner = co;  // of the machine stack
    while (owner->in_place) owner = owner->resumer;
    co->machine_stack_limit = owner->machine_stack_limit;
    co->in_place = false;
    co->closing = true;
  }
  ~CalledInPlace() {
    co_->machine_stack_limit = nullptr;
    co_->in_place = true;
    co_->closing = was_closing_;
  }
  CalledInPlace(const CalledInPlace&) = delete;
  CalledInPlace& operator=(const CalledInPlace&) = delete;

 private:
  Coroutine* co_;
  bool was_closing_;
};

BATON_NOINLINE int call_in_place(ThreadState& thread, int arguments, int wanted) {
  const CalledInPlace called(thread.current);
  return call(thread, arguments, wanted);
}

// The poll of script functions that natives, and instructions in C++, call: they may call each other without end. A method of
// __close has had one that raises nothing (close.cpp).
BATON_NOINLINE void poll_callee(ThreadState& thread, const Value& function) {
  if (function.is_closure() && thread.current->closings == 0) safepoint(thread, SafepointKind::kBackEdge);
}

}  // namespace

int call(ThreadState& thread, int arguments, int wanted) {
  if (BATON_UNLIKELY(thread.interrupt.any())) poll_callee(thread, thread.current->top[-arguments - 1]);
  Coroutine* co = thread.current;
  if (BATON_UNLIKELY(co->in_place)) return call_in_place(thread, arguments, wanted);
  const std::ptrdiff_t slot = co->top - arguments - 1 - co->stack;
  const NestingLevel level(co);
  if (BATON_UNLIKELY(run_inline(thread, co->stack + slot, arguments, wanted) != Next::kExit)) throw ScriptError(thread.pending);
  return static_cast<int>(co->top - (co->stack + slot));
}

namespace {

// Restores the running coroutine to what it was before a protected call that failed.
void unwind_to(ThreadState& thread, const CallPlace& place) {
  Coroutine* co = thread.current;
  const auto frame = place.frame_bytes / static_cast<std::ptrdiff_t>(sizeof(CallFrame));
  co->frame = co->frames + frame;
  if (BATON_UNLIKELY(!co->hooks_allowed)) restore_hooks(co);
  set_own_nesting(co, place.nesting);
  close_variables_failing(thread, slot_at(co, place));
  co->frame = co->frames + frame;
  co->top = slot_at(co, place);
}

}  // namespace

void end_failed(ThreadState& thread, const Value& handler) {
  call_handler(thread, handler);
  unwind_to(thread, CallPlace{0, static_cast<std::ptrdiff_t>(sizeof(Value)), 0});  // the body stands in slot 1
}

void abandon_to(ThreadState& thread, const CallMark& mark) noexcept {
  Coroutine* co = thread.current;
  Value* level = co->stack + mark.slot;
  closure::close_upvalues(thread.heap(), co, level);
  while (co->to_be_closed_count > 0 && co->to_be_closed[co->to_be_closed_count - 1] >= mark.slot) --co->to_be_closed_count;
  co->frame = co->frames + mark.frame;
  if (BATON_UNLIKELY(!co->hooks_allowed)) restore_hooks(co);
  set_own_nesting(co, mark.nesting);
  co->top = level;
  thread.handler_depth = mark.handler_depth;
  thread.pending.set_nil();
}

Status end_protected_call(ThreadState& thread, const CallPlace& place, Next next, Thrown& thrown, const Value& handler) {
  const auto frame = place.frame_bytes / static_cast<std::ptrdiff_t>(sizeof(CallFrame));
  if (next != Next::kExit) next = run_on(thread, frame + 1, place.nesting + 1, next, thrown);
  if (next == Next::kExit) {
    set_own_nesting(thread.current, place.nesting);
    return Status::kOk;
  }
  if (!handler.is_nil()) call_handler(thread, handler);
  unwind_to(thread, place);
  return Status::kError;
}

Status refuse_protected_call(ThreadState& thread, const CallPlace& place, const Value& handler) {
  thread.pending = error_value(thread, ScriptError(ErrorId::kMachineStackOverflow));
  if (!handler.is_nil()) call_handler(thread, handler);
  unwind_to(thread, place);
  return Status::kError;
}

Status protected_call(ThreadState& thread, int arguments, int wanted, const Value& handler, int* result_count) {
  // Only natives pass a handler: their machine frames are unwound, so the root is always taken back.
  std::optional<RootBase> rooted_handler;
  if (!handler.is_nil()) rooted_handler.emplace(thread.heap(), handler);
  Coroutine* co = thread.current;
  const CallPlace place = call_place(co, co->top - arguments - 1);
  const Status status = protected_call_at(thread, co, place, arguments, wanted, rooted_handler ? rooted_handler->value() : handler);
  if (result_count != nullptr) *result_count = static_cast<int>(co->top - slot_at(co, place));
  return status;
}

Status protected_run(ThreadState& thread, void (*body)(ThreadState&, void*), void* context) {
  Coroutine* co = thread.current;
  const CallPlace place = call_place(co, co->top);
  Thrown thrown;
  (void)run_stretch(thread, &thrown, [&] {
    body(thread, context);
    return Next::kExit;
  });
  if (BATON_LIKELY(!thrown)) return Status::kOk;
  thread.pending = error_value(thread, *thrown);
  unwind_to(thread, place);
  return Status::kError;
}

void push(ThreadState& thread, const Value& v) {
  Coroutine* co = thread.current;
  const Value copy = v;
  coroutine::check_stack(thread.heap(), co, 1);
  *co->top++ = copy;
}

namespace {

struct HandlerCall {
  Value handler;
  Value error;
  Value result;
};

void run_handler(ThreadState& thread, void* context) {
  auto* handler_call = static_cast<HandlerCall*>(context);
  Coroutine* co = thread.current;
  co->top[0] = handler_call->handler;
  co->top[1] = handler_call->error;
  co->top += 2;
  call(thread, 1, 1);
  handler_call->result = *--co->top;
}

// Counts handlers while they run; they may use the stack's reserve.
class HandlerDepth {
 public:
  explicit HandlerDepth(ThreadState& thread) noexcept : thread_(thread) { ++thread.handler_depth; }
  ~HandlerDepth() { --thread_.handler_depth; }
  HandlerDepth(const HandlerDepth&) = delete;
  HandlerDepth& operator=(const HandlerDepth&) = delete;

 private:
  ThreadState& thread_;
};

}  // namespace

namespace {

// The message of an id without a position.
Value plain_error(ThreadState& thread, ErrorId id) {
  try {
    return Value::of(string::make(thread.heap(), error_text(id)));
  } catch (const ScriptError&) {
    return Value::of(thread.shared.memory_error);
  }
}

bool is_text(const Value& v, ErrorId id) noexcept { return v.is_string() && v.string()->view() == error_text(id); }

}  // namespace

// A handler that fails is called again with its own error, as if each error had happened inside the handler of the one
// before: when the levels of C calls are used up it is told "C stack overflow", and is given up a little later.
void call_handler(ThreadState& thread, const Value& handler) {
  constexpr int kLevelsToRecover = 20;
  const HandlerDepth depth(thread);
  Coroutine* co = thread.current;
  cover_frame(co);
  HandlerCall handler_call{handler, thread.pending, Value()};
  if (handler_call.error.is_string() && handler_call.error.string() == thread.shared.memory_error) return;
  for (int level = co->nesting; level < kMaxNesting + kLevelsToRecover; ++level) {
    if (protected_run(thread, run_handler, &handler_call) == Status::kOk) {
      thread.pending = handler_call.result;
      return;
    }
    if (is_text(thread.pending, ErrorId::kErrorInErrorHandling)) return;
    handler_call.error = thread.pending;
    if (level == kMaxNesting - 1) handler_call.error = plain_error(thread, ErrorId::kMachineStackOverflow);
  }
  thread.pending = plain_error(thread, ErrorId::kErrorInErrorHandling);
}

}  // namespace baton::vm
