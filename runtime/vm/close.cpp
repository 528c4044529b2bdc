// Order and errors of closing, as manual 3.3.8 states them: reverse order of marking; each variable's
// method is called once with the value and the error (nil on a normal exit); an error in a method
// takes the place of the current one and the other variables are still closed.
//
// A variable leaves the pending list before its method runs, so an error inside cannot call it again.
//
// The error that is on its way while a method runs waits in the slot of the variable: the method may
// collect, and a Root would outlive its machine frame if the coroutine is dropped inside the method.
#include "vm/close.h"

#include "value/closure.h"
#include "vm/call.h"
#include "vm/native.h"
#include "vm/operations.h"
#include "vm/run.h"
#include "vm/safepoint.h"
#include "vm/traceback.h"

namespace baton::vm {
namespace {

// The last pending variable at or above offset `level`, or null.
Value* last_pending(Coroutine* co, std::ptrdiff_t level) noexcept {
  if (co->to_be_closed_count == 0) return nullptr;
  const std::uint32_t offset = co->to_be_closed[co->to_be_closed_count - 1];
  return offset >= static_cast<std::size_t>(level) ? co->stack + offset : nullptr;
}

// Pushes method, value and error; the caller calls them.
void push_method_call(ThreadState& thread, const Value& variable, const Value& error) {
  Coroutine* co = thread.current;
  const Value method = metamethod(thread.shared, variable, Metamethod::kClose);
  coroutine::check_stack(thread.heap(), co, 3);
  co->top[0] = method;
  co->top[1] = variable;
  co->top[2] = error;
  co->top += 3;
}

Value take_pending(ThreadState& thread, Value* slot) noexcept {
  Coroutine* co = thread.current;
  const Value variable = *slot;
  closure::close_upvalues(thread.heap(), co, slot);
  --co->to_be_closed_count;
  return variable;
}

// Counts a __close method for as long as it runs: a cancellation may be put off meanwhile.
class Closing {
 public:
  explicit Closing(Coroutine* co) noexcept : co_(co) { ++co->closings; }
  ~Closing() {
    if (--co_->closings > 0 || co_->thread == nullptr || !co_->thread->cancel_is_deferred) return;
    co_->thread->cancel_is_deferred = false;
    co_->thread->interrupt.set(kInterruptCancel);
  }
  Closing(const Closing&) = delete;
  Closing& operator=(const Closing&) = delete;

 private:
  Coroutine* co_;
};

struct MethodCall {
  Value variable;
  Value error;
  std::ptrdiff_t handler;  // the slot of a message handler, counted from the stack's first, or 0
};

// Methods that call each other. Nothing but a stop keeps one from doing its work.
void poll_before_method(ThreadState& thread) {
  if (BATON_LIKELY(!thread.interrupt.any())) return;
  const bool stops = thread.unwinding || (thread.interrupt.bits.load(std::memory_order_relaxed) & kInterruptStop) != 0;
  safepoint(thread, stops ? SafepointKind::kBackEdge : SafepointKind::kReturn);
}

// The handler is called where the method failed, so that it sees that place.
void call_method(ThreadState& thread, void* context) {
  const auto* call_it = static_cast<MethodCall*>(context);
  push_method_call(thread, call_it->variable, call_it->error);
  Coroutine* co = thread.current;
  const Closing closing(co);
  poll_before_method(thread);
  if (call_it->handler == 0) {
    vm::call(thread, 2, 0);
    return;
  }
  const NestingLevel level(co);
  if (run(thread, co->top - 3, 2, 0) == Next::kExit) return;
  const Value handler = co->stack[call_it->handler];
  call_handler(thread, handler);
  throw ScriptError(thread.pending);
}

// Closes everything from `level` on; `*failed` and thread.pending carry the current error. `handler`: as in MethodCall.
void close_protected(ThreadState& thread, Value* level, bool* failed, std::ptrdiff_t handler = 0) {
  Coroutine* co = thread.current;
  const std::ptrdiff_t offset = level - co->stack;
  while (Value* slot = last_pending(co, offset)) {
    const std::ptrdiff_t place = slot - co->stack;
    co->top = slot + 1;
    MethodCall method_call{take_pending(thread, slot), *failed ? thread.pending : Value(), handler};
    *slot = method_call.error;
    thread.pending.set_nil();
    if (protected_run(thread, call_method, &method_call) == Status::kError) *failed = true;
    else if (*failed) thread.pending = co->stack[place];
  }
  closure::close_upvalues(thread.heap(), co, co->stack + offset);
}

}  // namespace

void close_variables(ThreadState& thread, Value* level) {
  Coroutine* co = thread.current;
  const std::ptrdiff_t offset = level - co->stack;
  while (Value* slot = last_pending(co, offset)) {
    const Value variable = take_pending(thread, slot);
    push_method_call(thread, variable, Value());
    const Closing closing(co);
    poll_before_method(thread);
    vm::call(thread, 2, 0);
  }
  closure::close_upvalues(thread.heap(), co, co->stack + offset);
}

void close_variables_failing(ThreadState& thread, Value* level, std::ptrdiff_t handler) {
  bool failed = true;
  close_protected(thread, level, &failed, handler);
}

void close_all_variables(ThreadState& thread, Value* level, bool* failed) {
  *failed = false;
  close_protected(thread, level, failed);
}

void raise_not_closable(ThreadState& thread, const Value* slot) {
  const Coroutine* co = thread.current;
  const CallFrame* frame = co->frame;
  const Prototype* p = frame->base[-1].closure()->prototype;
  const auto pc = static_cast<std::uint32_t>(frame->pc - p->code.items);
  const String* name = prototype::local_name(p, static_cast<int>(slot - frame->base) + 1, pc);
  std::string message = "variable '" + (name != nullptr ? std::string(name->view()) : std::string("?")) + "' got a non-closable value";
  raise_text(thread, message);
}

}  // namespace baton::vm
