// Calls and returns below the interpreter.
//
// A call replaces the function and its arguments by the results, always at the function's slot. The
// frame array holds one CallFrame per active function; what the caller wants is noted in the
// callee's frame, so a return needs to look at nothing else:
//
//   flags == 0            a script function called by a script function: the interpreter's fast path
//   kFrameEntry           vm::run must return to C++
//   kFrameFinish          the caller's instruction called a metamethod and is completed with one value
//   kFrameUnderIntrinsic  the caller is a pcall or xpcall that has no machine frame: it returns too,
//                         with `true` in front of the results
//
// pcall(f, ...) keeps its arguments where they are: f stands in base[0] and is called in place, so
// its results arrive behind the slot of pcall itself, which receives `true`: nothing moves.
// xpcall(f, handler, ...) swaps the two first, so that f stands before its arguments.
//
// A vararg function's frame lies behind its extra arguments; `argument_count` says how many, and its
// results go to the slot of the original function.
#include "vm/frames.h"

#include "value/table.h"
#include "vm/call.h"
#include "vm/debug_hooks.h"
#include "vm/native.h"
#include "vm/operations.h"

namespace baton::vm {
namespace {

// The slot that receives the first result of `frame`.
Value* result_slot(const CallFrame* frame) noexcept {
  Value* function = frame->base - 1;
  if (!frame->is_script()) return function;
  const Prototype* p = function->closure()->prototype;
  if (!p->is_vararg) return function;
  return function - (frame->argument_count + p->parameter_count + 1);
}

CallFrame* next_frame(ThreadState& thread) {
  Coroutine* co = thread.current;
  if (BATON_UNLIKELY(co->frame + 1 >= co->frames_limit)) coroutine::grow_frames(thread.heap(), co);
  return co->frame + 1;
}

void push_native_frame(ThreadState& thread, Value* function, int arguments, int wanted, std::uint16_t flags) {
  Coroutine* co = thread.current;
  co->top = function + 1 + arguments;
  if (BATON_UNLIKELY(co->stack_limit - co->top < static_cast<std::ptrdiff_t>(kMinNativeSlots))) {
    const std::ptrdiff_t offset = function - co->stack;
    make_stack_room(thread, kMinNativeSlots);
    function = co->stack + offset;
  }
  CallFrame* frame = next_frame(thread);
  frame->base = function + 1;
  frame->pc = nullptr;
  frame->top = co->top + kMinNativeSlots;
  frame->flags = static_cast<std::uint16_t>(flags | kFrameNative);
  frame->set_wanted(wanted);
  frame->argument_count = 0;
  frame->scratch = 0;
  co->frame = frame;
}

[[noreturn]] void missing_argument(ThreadState& thread, int arguments, int position, const char* message) {
  NativeCall call(thread, arguments);
  call.argument_error(position, message);
}

// Counts a pcall among the C levels, although it uses none: its depth has the manual's limit, and a
// chain of pcalls that call each other ends before it fills the stack. `scratch` keeps the level.
void enter_protected(ThreadState& thread, CallFrame* frame, std::uint16_t flags) {
  Coroutine* co = thread.current;
  if (co->nesting >= kMaxNesting) raise(ErrorId::kMachineStackOverflow);
  frame->scratch = static_cast<std::uint32_t>(own_nesting(co));
  frame->flags |= flags;
  ++co->nesting;
}

Next begin_pcall(ThreadState& thread, int arguments) {
  CallFrame* frame = thread.current->frame;
  frame->flags |= kFrameIntrinsic;
  if (arguments == 0) missing_argument(thread, 0, 1, "value expected");
  enter_protected(thread, frame, kFrameProtected);
  return begin_call(thread, frame->base, arguments - 1, kMultipleResults, kFrameUnderIntrinsic);
}

Next begin_xpcall(ThreadState& thread, int arguments) {
  CallFrame* frame = thread.current->frame;
  frame->flags |= kFrameIntrinsic;
  if (arguments < 2 || !frame->base[1].is_function()) {
    NativeCall call(thread, arguments);
    call.check_function(2);
  }
  enter_protected(thread, frame, kFrameProtected | kFrameHandler);
  const Value body = frame->base[0];
  frame->base[0] = frame->base[1];
  frame->base[1] = body;
  return begin_call(thread, frame->base + 1, arguments - 2, kMultipleResults, kFrameUnderIntrinsic);
}

// A result in the function's slot would hide the function from a return hook: it goes to the top.
Next return_visibly(ThreadState& thread, Native* native) {
  Coroutine* co = thread.current;
  const Value result = co->frame->base[-1];
  co->frame->base[-1] = Value::of(native);
  push(thread, result);
  return finish_return(thread, co->top - 1, 1);
}

Next run_native(ThreadState& thread, Native* native, int arguments) {
  Coroutine* co = thread.current;
  if (BATON_UNLIKELY(co->hook_mask & kHookCall)) hook_call(thread, false);
  if (machine_stack_low(co)) raise(ErrorId::kMachineStackOverflow);
  NativeCall call(thread, arguments);
  return finish_native(thread, native, native->function(call));
}

// Whether a native may be called while its coroutine runs in place: no script function will run on top of its machine frame.
bool runs_in_place(const Native* native, const Value* function, int arguments) noexcept {
  if (is_leaf(native->intrinsic)) return true;
  const bool protects = native->intrinsic == Intrinsic::kPcall || native->intrinsic == Intrinsic::kXpcall;
  return protects && arguments > 0 && function[1].is_closure();
}

Next call_native(ThreadState& thread, Value* function, int arguments, int wanted, std::uint16_t flags) {
  Native* native = function->native();
  if (BATON_UNLIKELY(thread.current->in_place) && !runs_in_place(native, function, arguments)) return Next::kPromote;
  push_native_frame(thread, function, arguments, wanted, flags);
  const bool protects = native->intrinsic == Intrinsic::kPcall || native->intrinsic == Intrinsic::kXpcall;
  if (BATON_UNLIKELY(protects && (thread.current->hook_mask & kHookCall) != 0)) hook_call(thread, false);
  if (native->intrinsic == Intrinsic::kPcall) return begin_pcall(thread, arguments);
  if (native->intrinsic == Intrinsic::kXpcall) return begin_xpcall(thread, arguments);
  return run_native(thread, native, arguments);
}

// Moves `count` results from `first` to `destination`, padded or cut to `wanted`. Returns their end.
Value* deliver(Value* destination, const Value* first, int count, int wanted) noexcept {
  if (wanted == kMultipleResults) wanted = count;
  const int kept = count < wanted ? count : wanted;
  if (destination != first) {
    for (int i = 0; i < kept; ++i) destination[i] = first[i];
  }
  for (int i = kept; i < wanted; ++i) destination[i].set_nil();
  return destination + wanted;
}

// Fires the return hook of the running frame; the results may move with the stack.
Value* report_return(ThreadState& thread, Value* first, int count) {
  Coroutine* co = thread.current;
  const std::ptrdiff_t offset = first - co->stack;
  co->top = first + count;
  if (co->frame->is_script() && co->top < co->frame->top) co->top = co->frame->top;
  hook_return(thread, first, count);
  return co->stack + offset;
}

// The slot in front of the results of a pcall or xpcall that receives `true`: usually that of pcall
// itself. With a return hook the function must stay there, so the results make room.
Value* status_slot(ThreadState& thread) {
  Coroutine* co = thread.current;
  if ((co->frame->flags & kFrameHandler) != 0) return co->frame->base;
  if (BATON_LIKELY((co->hook_mask & kHookReturn) == 0)) return co->frame->base - 1;
  co->frame->flags &= static_cast<std::uint16_t>(~kFrameProtected);  // an error of the hook is not for this pcall
  push(thread, Value());
  for (Value* slot = co->top - 1; slot > co->frame->base; --slot) *slot = slot[-1];
  return co->frame->base;
}

}  // namespace

Next finish_native(ThreadState& thread, Native* native, int count) {
  Coroutine* co = thread.current;
  if (BATON_LIKELY(count == kResultInPlace)) {
    if (BATON_LIKELY(co->frame->flags == kFrameNative && co->frame->wanted() == 1 && !co->hook_mask)) {
      --co->frame;  // the result stands where the caller wants it
      return Next::kContinue;
    }
    if (BATON_UNLIKELY(co->hook_mask & kHookReturn)) return return_visibly(thread, native);
    return finish_return(thread, co->frame->base - 1, 1);
  }
  if (BATON_UNLIKELY(count == kNativeFailed)) return Next::kError;
  return finish_return(thread, co->top - count, count);
}

void make_stack_room(ThreadState& thread, std::uint32_t slots) {
  Coroutine* co = thread.current;
  const auto size = static_cast<std::uint32_t>(co->stack_limit - co->stack);
  if (thread.handler_depth > 0 && size >= kMaxStackSlots / 2 && co->top + slots <= co->stack_limit + kStackReserve / 2) return;
  const std::ptrdiff_t needed = co->top - co->stack + static_cast<std::ptrdiff_t>(slots);
  if (thread.handler_depth > 0 && needed > static_cast<std::ptrdiff_t>(kMaxStackSlots)) raise(ErrorId::kErrorInErrorHandling);
  if (BATON_UNLIKELY(needed > static_cast<std::ptrdiff_t>(thread.shared.max_stack_slots)) && thread.handler_depth == 0) {
    raise(ErrorId::kStackOverflow);
  }
  coroutine::grow_stack(thread.heap(), co, slots);
}

Value* insert_call_metamethod(ThreadState& thread, Value* function, int arguments, int level) {
  if (BATON_UNLIKELY(level > kMostCallLevels)) raise(ErrorId::kCallChainTooLong);
  Coroutine* co = thread.current;
  Value method = metamethod(thread.shared, *function, Metamethod::kCall);
  if (method.is_nil()) {
    thread.pending = error::call(thread, *function);
    return nullptr;
  }
  co->top = function + 1 + arguments;
  if (co->stack_limit + kStackMargin / 2 <= co->top + 1) {
    const std::ptrdiff_t offset = function - co->stack;
    make_stack_room(thread, 8);
    function = co->stack + offset;
  }
  for (Value* p = co->top; p > function; --p) *p = p[-1];
  ++co->top;
  *function = method;
  return function;
}

CallFrame* push_script_frame_growing(ThreadState& thread, Value* function, int arguments, int wanted, std::uint16_t flags) {
  Coroutine* co = thread.current;
  const Prototype* p = function->closure()->prototype;
  if (co->stack_limit - function <= static_cast<std::ptrdiff_t>(p->max_stack) + 1 || BATON_STRESS) {
    const std::ptrdiff_t offset = function - co->stack;
    co->top = function + 1 + arguments;
    make_stack_room(thread, p->max_stack + 1u);
    function = co->stack + offset;
  }
  (void)next_frame(thread);
  return fill_script_frame(co, function, arguments, wanted, flags);
}

Next begin_call(ThreadState& thread, Value* function, int arguments, int wanted, std::uint16_t flags) {
  for (int level = 1;; ++level) {
    if (BATON_LIKELY(function->is_closure())) {
      push_script_frame(thread, function, arguments, wanted, flags);
      return Next::kContinue;
    }
    if (function->is_native()) return call_native(thread, function, arguments, wanted, flags);
    if (BATON_UNLIKELY(thread.current->in_place)) return Next::kPromote;  // before the arguments move
    function = insert_call_metamethod(thread, function, arguments, level);
    if (function == nullptr) return Next::kError;
    ++arguments;
  }
}

Next finish_return(ThreadState& thread, Value* first, int count) {
  Coroutine* co = thread.current;
  for (;;) {
    if (BATON_UNLIKELY(co->hook_mask & kHookReturn)) first = report_return(thread, first, count);
    CallFrame* frame = co->frame;
    const std::uint16_t flags = frame->flags;
    Value* end = deliver(result_slot(frame), first, count, frame->wanted());
    if (frame->wanted() == kMultipleResults || (flags & kFrameEntry)) co->top = end;
    frame = --co->frame;
    if (flags & kFrameEntry) return Next::kExit;
    if (BATON_LIKELY((flags & (kFrameUnderIntrinsic | kFrameFinish)) == 0)) return Next::kContinue;
    if (flags & kFrameFinish) {
      finish_instruction(frame);
      return Next::kContinue;
    }
    set_own_nesting(co, static_cast<std::int32_t>(frame->scratch));
    first = status_slot(thread);
    first->set_boolean(true);
    count = static_cast<int>(co->top - first);
  }
}

void finish_instruction(CallFrame* frame) noexcept {
  const Instruction instruction = frame->pc[-1];
  const Value& result = frame->top[0];
  if (instruction.op >= Opcode::kJumpIfEqual && instruction.op <= Opcode::kJumpUnlessGreaterEqualI) {
    const bool unless = ((static_cast<int>(instruction.op) - static_cast<int>(Opcode::kJumpIfEqual)) & 1) != 0;
    if (result.is_truthy() != unless) frame->pc = Instruction::jump_from(frame->pc, instruction.j);
    return;
  }
  frame->base[instruction.a] = result;
}

}  // namespace baton::vm
