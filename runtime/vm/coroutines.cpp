// Resuming, yielding, closing. Values and statuses change here; the machine stack changes in
// SharedState::switch_to, which sched provides.
//
// Life of a coroutine: made suspended with its function on the stack; a resume lets it run in place, or starts a fiber that
// runs coroutine_main; `yield` suspends it wherever it is, on a fiber also below natives; it dies when the function returns or
// raises. Between machine stacks values travel as "the last transfer_count values" of the stack that is being left, copied by
// the arriving side, so neither side needs the other's frame.
//
// Closing (manual 6.2, coroutine.close). Frames of the interpreter own nothing on the machine stack,
// but natives' frames may: if there are any, the fiber is resumed once with `unwinding` set, the
// pending switch throws ForcedUnwind, which no pcall sees, and the fiber ends. Then, if variables are
// pending, a fresh fiber runs their __close in order (`closing` set; they cannot yield). A coroutine
// found dead by the collector gets the same unwind, by its own thread, but closes nothing.
//
// In place. Script that only yields needs no machine stack of its own: its call frames say everything. So a coroutine that
// has not begun, or was suspended with nothing but script and intrinsics on its frames, does not get one when a script resumes
// it. The interpreter that ran the resumer goes on with the coroutine's frames, and with the resumer's again when it yields,
// ends or dies; a resume and a yield are then a few dozen stores. While it runs so, `in_place` is set and `fiber` is the
// resumer's, so that whoever needs the machine context of the running coroutine finds the right one.
//
//     call frames      root .......... a (in place) ... b (in place)        root ... a (in place) ... b (promoted)
//     machine stack    [ vm::run, the interpreter          ]                [ vm::run ]              [ coroutine_main, vm::run ]
//
// No script function may run on top of a machine frame of such a coroutine, because it could yield there. What would call one -
// a native that is no leaf (Intrinsic::kLeaf), a metamethod that is a native, __close, a message handler - asks for kPromote
// first, before it has changed anything: begin_call, the slow paths and the handlers say so, and vm::run (call.cpp) does the
// second half of a resume, late. The coroutine gets a fiber, the machine stack is switched as resume would have, and there the
// same instruction begins anew. From then on it is an ordinary coroutine, until it has ended or gives its machine stack back.
// Only a hook that was set from outside while its coroutine was in place may run on top of it (vm::call): it cannot yield.
// A vm::run therefore unwinds errors through those in place on top, down to the first that is not: the one on which it was
// called, or at the bottom of a task's machine stack whichever task goes on there (task_turns.cpp). Tasks are left, and their
// machine stacks handed over, from their roots only, which never run in place.
//
// Parking. A machine stack costs a page or two, most of it the fault of touching it for the first time. While there are few it
// is kept for the life of a coroutine that was given one. Beyond that a coroutine that yields from script called by nothing but
// script gives it up, and goes on in place, or, if it is not a script that resumes it, on a fresh fiber: coroutine_main then
// finds call frames, completes the yield as a return of its native and lets the interpreter go on (continue_run).
//
// A script's own resume or yield is executed by the interpreter (coroutines.h); everybody else's here.
//
// C levels: `nesting` counts them along the whole chain of resumes; nesting_base is the resumers'
// part, so a coroutine resumed from another depth keeps its own.
#include "value/closure.h"
#include "vm/call.h"
#include "vm/close.h"
#include "vm/coroutines.h"
#include "vm/debug_hooks.h"
#include "vm/native.h"
#include "vm/operations.h"
#include "vm/run.h"
#include "vm/traceback.h"

namespace baton::vm {
namespace {

// Moves the last `count` values of `from` to the top of `to`, which has room.
void move_values(Coroutine* from, Coroutine* to, int count) noexcept {
  const Value* source = from->top - count;
  for (int i = 0; i < count; ++i) to->top[i] = source[i];
  from->top -= count;
  to->top += count;
}

// Why `co` cannot be resumed, or null.
const char* refusal(const ThreadState& thread, const Coroutine* co) noexcept {
  if (co->status == CoroutineStatus::kDead) return "cannot resume dead coroutine";
  if (co->status != CoroutineStatus::kSuspended) return "cannot resume non-suspended coroutine";
  if (thread.current->nesting >= kMaxNesting) return "C stack overflow";
  return nullptr;
}

ResumeResult refuse(ThreadState& thread, int arguments, int* count, std::string_view message) {
  Coroutine* from = thread.current;
  from->top -= arguments;
  const Value text = Value::of(string::make(thread.heap(), message));
  push(thread, text);
  *count = 1;
  return ResumeResult::kRefused;
}

// A fresh machine stack for `co` if it has none. Raises: kMemory.
void ensure_fiber(ThreadState& thread, Coroutine* co) {
  if (co->fiber == nullptr) thread.shared.start_fiber(thread, co);
}

// Switches to `co`, on a fresh machine stack if it has none, and comes back when it yields or ends. Raises: kMemory.
void run_coroutine(ThreadState& thread, Coroutine* co) {
  ensure_fiber(thread, co);
  coroutine::note_run(thread.heap(), co);
  switch_into(thread, thread.current, co);
}

// Pushes what `co` yielded, returned or raised on the running coroutine that resumed it.
ResumeResult take_results(ThreadState& thread, Coroutine* co, int* count) {
  Coroutine* from = thread.current;
  if (co->status == CoroutineStatus::kDead && co->transfer_count < 0) {
    push(thread, co->error);
    *count = 1;
    return ResumeResult::kFailed;
  }
  const int values = co->transfer_count;
  if (static_cast<std::ptrdiff_t>(kMaxStackSlots) - (from->top - from->stack) <= values) {
    co->top -= values;
    return refuse(thread, 0, count, "too many results to resume");
  }
  coroutine::check_stack(thread.heap(), from, static_cast<std::uint32_t>(values) + 1);
  move_values(co, from, values);
  *count = values;
  if (co->status == CoroutineStatus::kDead) coroutine::retire(thread.heap(), co);
  return co->status == CoroutineStatus::kDead ? ResumeResult::kReturned : ResumeResult::kYielded;
}

}  // namespace

ResumeResult resume(ThreadState& thread, Coroutine* co, int arguments, int* count) {
  Coroutine* from = thread.current;
  if (const char* message = refusal(thread, co)) return refuse(thread, arguments, count, message);
  if (co->thread != nullptr && co->thread != &thread) {
    return refuse(thread, arguments, count, "cannot resume a coroutine of native thread '" + co->thread->name + "'");
  }
  coroutine::note_run(thread.heap(), co);
  coroutine::check_stack(thread.heap(), co, static_cast<std::uint32_t>(arguments) + 1);
  ensure_fiber(thread, co);  // what fails fails before values have moved
  move_values(from, co, arguments);
  co->transfer_count = arguments;
  run_coroutine(thread, co);
  return take_results(thread, co, count);
}

Value wrap_error(ThreadState& thread, Coroutine* co, bool refused) {
  Value error = thread.current->top[-1];
  if (!refused && co->status == CoroutineStatus::kDead && close_coroutine(thread, co) == Status::kError) error = thread.pending;
  if (!error.is_string() || error.string() == thread.shared.memory_error) return error;
  std::string text = where(thread, 1);
  text.append(error.string()->view());
  return Value::of(string::make(thread.heap(), text));
}

Value* copy_values(Value* target, const Value* source, int count, int wanted) noexcept {
  if (wanted < 0) wanted = count;
  for (int i = 0; i < count && i < wanted; ++i) target[i] = source[i];
  for (int i = count; i < wanted; ++i) target[i].set_nil();
  return target + wanted;
}

Next finish_resume(ThreadState& thread, Coroutine* co, bool wrapped) {
  Coroutine* from = thread.current;
  int count = 0;
  const ResumeResult how = take_results(thread, co, &count);
  const bool fine = how == ResumeResult::kYielded || how == ResumeResult::kReturned;
  if (wrapped && !fine) {
    thread.pending = wrap_error(thread, co, how == ResumeResult::kRefused);
    return Next::kError;
  }
  if (wrapped) return finish_return(thread, from->top - count, count);
  from->frame->base[0].set_boolean(fine);
  return finish_return(thread, from->top - count - 1, count + 1);
}

bool is_yieldable(ThreadState& thread) noexcept { return !thread.current->is_root && !thread.current->closing; }

namespace {

// Whether the running native is `yield` itself: its machine frames own nothing, so they may be dropped.
bool is_plain_yield(const CallFrame* frame) noexcept {
  return !frame->is_script() && frame->base[-1].is_native() && frame->base[-1].native()->intrinsic == Intrinsic::kCoroutineYield;
}

}  // namespace

void unwind_yield() { throw ForcedUnwind{}; }

namespace {

// transfer_count of a coroutine that is promoted.
constexpr std::int32_t kGoOnWithInstruction = -2;
constexpr std::int32_t kGoOnWithError = -3;

}  // namespace

CallFrame* enter_in_place(ThreadState& thread, CallFrame* frame, Value* function, Coroutine* co, int arguments, int wanted, bool wrapped) {
  coroutine::note_run(thread.heap(), co);
  const bool begins = co->frame == co->frames;
  if (begins) coroutine::check_stack(thread.heap(), co, static_cast<std::uint32_t>(arguments) + co->stack[1].closure()->prototype->max_stack + 2u);
  Value* values = function + (wrapped ? 1 : 2);
  push_intrinsic_frame(thread.current, frame, function, values, wanted, wrapped ? kFrameWrapped : 0);
  run_in_place(thread, co);
  if (!begins) return give_values(co, co->frame, co->frame->base - 1, values, arguments, co->frame->wanted());
  co->thread = &thread;
  thread.has_parked = true;
  for (int i = 0; i < arguments; ++i) co->top[i] = values[i];
  return fill_script_frame(co, co->stack + 1, arguments, kMultipleResults, kFrameEntry);
}

Next leave_in_place(ThreadState& thread, Coroutine* co, CoroutineStatus status, int count) {
  co->transfer_count = count;
  Coroutine* from = return_to_resumer(thread, co, status);
  coroutine::note_run(thread.heap(), from);
  if (BATON_UNLIKELY((from->hook_mask | co->hook_mask) != 0)) update_dispatch(thread);
  return finish_resume(thread, co, (from->frame->flags & kFrameWrapped) != 0);
}

Next end_in_place(ThreadState& thread) {
  Coroutine* co = thread.current;
  const Value* first = co->stack + 1;
  const int count = static_cast<int>(co->top - first);
  co->thread = nullptr;
  if (BATON_UNLIKELY(count > kFewValues || co->hook_mask != 0 || !is_plain_resumer(thread, co->resumer))) {
    return leave_in_place(thread, co, CoroutineStatus::kDead, count);
  }
  co->transfer_count = count;
  co->top = co->stack + 1;
  (void)give_to_resumer(return_to_resumer(thread, co, CoroutineStatus::kDead), first, count);
  coroutine::retire(thread.heap(), co);
  return Next::kContinue;
}

Next fail_in_place(ThreadState& thread) {
  Coroutine* co = thread.current;
  co->error = thread.pending;
  thread.pending.set_nil();
  cover_frame(co);
  co->thread = nullptr;
  return leave_in_place(thread, co, CoroutineStatus::kDead, -1);
}

void abandon_in_place(ThreadState& thread) noexcept {
  if (BATON_LIKELY(!thread.current->in_place)) return;
  while (thread.current->in_place) {
    Coroutine* co = thread.current;
    co->thread = nullptr;
    co->transfer_count = 0;
    coroutine::note_run(thread.heap(), return_to_resumer(thread, co, CoroutineStatus::kDead));
  }
  update_dispatch(thread);
}

void prepare_promotion(ThreadState& thread, Promotion how) {
  Coroutine* co = thread.current;
  void* const fiber = std::exchange(co->fiber, nullptr);
  try {
    thread.shared.start_fiber(thread, co);
  } catch (...) {
    co->fiber = fiber;
    throw;
  }
  co->in_place = false;
  co->transfer_count = how == Promotion::kInstruction ? kGoOnWithInstruction : kGoOnWithError;
  if (how == Promotion::kInstruction) --co->frame->pc;
}

Next run_promoted(ThreadState& thread) {
  Coroutine* co = thread.current;
  Coroutine* from = co->resumer;
  switch_until_back(thread, from, co);
  return finish_resume(thread, co, (from->frame->flags & kFrameWrapped) != 0);
}

// What runs in place continues in script and ends in script. A yield called by pcall or as a metamethod ends in something else,
// and so does a body that is a native, pcall for one: such coroutines keep their machine stacks.
void park(ThreadState& thread, Coroutine* co) noexcept {
  if (co->frame->flags != kPlainYieldFlags || !co->frames[1].is_script()) return;
  if (coroutine::needs_no_machine_stack(co)) thread.shared.park_fiber(thread, co);
}

int yield(ThreadState& thread, int values) {
  Coroutine* co = thread.current;
  BATON_DCHECK(!co->in_place);
  if (co->is_root) raise_text(thread, "attempt to yield from outside a coroutine");
  if (co->closing) raise_text(thread, "attempt to yield across a C-call boundary");
  co->transfer_count = values;
  co->status = CoroutineStatus::kSuspended;
  Coroutine* to = co->resumer;
  if (is_plain_yield(co->frame)) co->frame->flags |= kFrameIntrinsic;
  switch_machine_stack(thread, co, to);
  if (BATON_UNLIKELY(co->unwinding)) throw ForcedUnwind{};
  return co->transfer_count;
}

namespace {

// Runs the coroutine's function, or what is left of it if it was suspended without a machine stack or promoted.
Next run_function(ThreadState& thread, Coroutine* co) {
  if (co->transfer_count == kGoOnWithInstruction) return run_instruction(thread);
  if (co->transfer_count == kGoOnWithError) return run_error(thread);
  if (co->frame != co->frames) return continue_run(thread, co->transfer_count);
  const int arguments = static_cast<int>(co->top - co->stack) - 2;
  return run(thread, co->stack + 1, arguments, kMultipleResults);
}

// Runs the coroutine; its results or its error are left as resume expects them.
void run_body(ThreadState& thread) {
  const Next next = run_function(thread, thread.current);
  Coroutine* co = thread.current;
  if (next == Next::kExit) {
    co->transfer_count = static_cast<int>(co->top - (co->stack + 1));
    return;
  }
  co->error = thread.pending;
  thread.pending.set_nil();
  cover_frame(co);
  co->transfer_count = -1;
}

// coroutine.close of a coroutine with pending variables.
void run_closing(ThreadState& thread, Coroutine* co) {
  co->frame = co->frames;
  bool failed = false;
  const bool had_error = co->transfer_count < 0;
  thread.pending = co->error;
  if (had_error) close_variables_failing(thread, co->stack + 1);
  else close_all_variables(thread, co->stack + 1, &failed);
  if (had_error || failed) co->error = thread.pending;
  thread.pending.set_nil();
  co->transfer_count = had_error || failed ? -1 : 0;
}

}  // namespace

// `current` is read anew behind the body: who ends on this machine stack need not be who began on it.
void coroutine_main(ThreadState& thread) noexcept {
  try {
    if (thread.current->closing) run_closing(thread, thread.current);
    else run_body(thread);
  } catch (const ForcedUnwind&) {
    thread.current->transfer_count = 0;
  } catch (const ScriptError& error) {
    thread.current->error = error.id == ErrorId::kValue ? error.value : Value::of(thread.shared.memory_error);
    thread.current->transfer_count = -1;
  }
  thread.current->status = CoroutineStatus::kDead;
}

namespace {

// Whether natives have frames on the machine stack of the suspended coroutine.
bool has_machine_frames(const Coroutine* co) noexcept {
  for (const CallFrame* frame = co->frames + 1; frame <= co->frame; ++frame) {
    if ((frame->flags & (kFrameNative | kFrameIntrinsic)) == kFrameNative) return true;
  }
  return false;
}

// Ends the machine stack of a suspended coroutine.
void end_fiber(ThreadState& thread, Coroutine* co) {
  if (co->fiber == nullptr) return;
  co->unwinding = true;
  run_coroutine(thread, co);
  co->unwinding = false;
}

}  // namespace

void unwind_abandoned(ThreadState& thread, Coroutine* co) {
  if (co->fiber == nullptr || co->status != CoroutineStatus::kSuspended) return;
  co->to_be_closed_count = 0;  // an abandoned coroutine closes nothing (manual 3.3.8)
  end_fiber(thread, co);
  co->status = CoroutineStatus::kDead;
}

Status close_coroutine(ThreadState& thread, Coroutine* co) {
  if (co->fiber != nullptr && co->status == CoroutineStatus::kSuspended) {
    if (has_machine_frames(co) || thread.shared.drop_fiber == nullptr) end_fiber(thread, co);
    else thread.shared.drop_fiber(thread, co);
  }
  coroutine::note_run(thread.heap(), co);
  if (co->to_be_closed_count > 0) {
    co->closing = true;
    co->status = CoroutineStatus::kSuspended;
    run_coroutine(thread, co);
    co->closing = false;
  }
  closure::close_upvalues(thread.heap(), co, co->stack);
  co->status = CoroutineStatus::kDead;
  co->frame = co->frames;
  co->top = co->stack + 1;
  if (co->fiber == nullptr) co->thread = nullptr;
  if (co->transfer_count >= 0) return Status::kOk;
  thread.pending = co->error;
  co->error.set_nil();
  co->transfer_count = 0;
  return Status::kError;
}

}  // namespace baton::vm
