// Calls in both directions: the host loads and calls functions of scripts, scripts call functions of the host.
//
// A bound function is a native whose first upvalue is a light pointer to its record and whose second owns it: a userdata that
// destroys the binding when it is collected. The record names the state, so that the border's functions find the session of
// the thread, which may be one that the runtime itself has started.
//
// Results of a call are copied to the caller's slots: with the lock held they stay valid until script code runs again.
#include <cstring>
#include <new>

#include "host/embed_inside.h"
#include "host/load.h"
#include "value/closure.h"
#include "value/string.h"
#include "vm/operations.h"
#include "vm/safepoint.h"
#include "vm/traceback.h"

namespace baton::host {
namespace {

// ---- bound functions ----

struct Bound {
  abi::Binding* binding;
  State* state;
};

void release_binding(void* block) noexcept {
  auto* bound = static_cast<Bound*>(block);
  if (bound->binding != nullptr) bound->binding->destroy(bound->binding);
}

// What an answer other than results means. Out of line: the good case keeps a small frame.
[[noreturn]] BATON_NOINLINE void raise_answer(NativeCall& call, const abi::Invocation& invocation, abi::Answer answer) {
  const Value& value = value_of(invocation.result);
  if (answer == abi::Answer::kUnwind) throw ForcedUnwind{};
  if (answer == abi::Answer::kRaise) call.raise(value);
  if (answer == abi::Answer::kRaiseText) {
    std::string text = vm::where(call.thread(), 1);
    text.append(value.is_string() ? value.string()->view() : "?");
    call.raise(Value::of(string::make(call.heap(), text)));
  }
  if (invocation.complaint != nullptr) call.argument_error(invocation.bad_argument, invocation.complaint);
  call.type_error(invocation.bad_argument, invocation.expected);
}

int call_bound(NativeCall& call) {
  const auto* bound = static_cast<const Bound*>(call.upvalue(1).pointer);
  (void)adopt_session(bound->state, call.thread());
  abi::Invocation invocation{bound->state, &call, reinterpret_cast<const Slot*>(call.base()), call.count(), 0, nullptr, nullptr, 0, {}};
  const abi::Answer answer = bound->binding->invoke(bound->binding, &invocation);
  if (BATON_UNLIKELY(call.coroutine()->unwinding)) throw ForcedUnwind{};
  if (BATON_LIKELY(answer == abi::Answer::kResult)) return call.result(value_of(invocation.result));
  if (answer == abi::Answer::kNothing) return 0;
  if (answer == abi::Answer::kPushed) return invocation.pushed;
  raise_answer(call, invocation, answer);
}

constexpr NativeInfo kBoundFunction = {"bound", "bound(...)", "A function of the host.", call_bound};

// ---- calling scripts ----

struct ScriptCall {
  State* state;
  const Slot* function;
  const Slot* arguments;
  int count;
  Slot* results;
  int wanted;
  abi::SlotList* all;
  bool out_of_memory = false;

  Status operator()(ThreadState& thread);
};

void push_call(ThreadState& thread, const ScriptCall& call) noexcept {
  Value* top = thread.current->top;
  *top++ = value_of(*call.function);
  BATON_SHORT_LOOP
  for (int i = 0; i < call.count; ++i) *top++ = value_of(call.arguments[i]);
  thread.current->top = top;
}

void grow_and_push_call(ThreadState& thread, void* context) {
  const ScriptCall& call = *static_cast<ScriptCall*>(context);
  coroutine::check_stack(thread.heap(), thread.current, static_cast<std::uint32_t>(call.count) + 1);
  push_call(thread, call);
}

void take_results(const Value* from, int count, ScriptCall& call) noexcept {
  Slot* to = call.results;
  if (BATON_UNLIKELY(call.wanted < 0)) {
    call.all->items = count > 0 ? new (std::nothrow) Slot[static_cast<std::size_t>(count)] : nullptr;
    call.out_of_memory = count > 0 && call.all->items == nullptr;
    call.all->count = call.out_of_memory ? 0 : count;
    to = call.all->items;
    count = call.all->count;
  }
  BATON_SHORT_LOOP
  for (int i = 0; i < count; ++i) to[i] = slot_of(from[i]);
}

// Polls once the arguments are rooted: a host that calls functions without loops would never get to a safepoint otherwise.
BATON_ALWAYS_INLINE Status ScriptCall::operator()(ThreadState& thread) {
  if (BATON_LIKELY(thread.current->stack_limit - thread.current->top > count)) push_call(thread, *this);
  else if (vm::protected_run(thread, grow_and_push_call, this) != Status::kOk) return Status::kError;
  if (BATON_UNLIKELY(thread.interrupt.any())) vm::safepoint(thread, vm::SafepointKind::kReturn);
  int returned = 0;
  const Status status = vm::protected_call_rooted(thread, count, wanted, state->handler, &returned);
  if (BATON_UNLIKELY(status != Status::kOk)) return status;
  take_results(thread.current->top - returned, returned, *this);
  if (BATON_LIKELY(!out_of_memory)) return Status::kOk;
  thread.pending = Value::of(thread.shared.memory_error);
  return Status::kError;
}

// ---- loading ----

// "chunk:12: message" of the compiler: the line, and the source's line as an excerpt.
void describe_syntax(Failure& failure, std::string_view source) {
  failure.outcome = Outcome::kSyntax;
  const std::string& message = failure.message;
  for (std::size_t colon = message.find(':'); colon != std::string::npos; colon = message.find(':', colon + 1)) {
    const std::size_t digits = message.find_first_not_of("0123456789", colon + 1);
    if (digits == colon + 1 || digits == std::string::npos || message[digits] != ':') continue;
    failure.line = std::atoi(message.c_str() + colon + 1);
    break;
  }
  for (int line = 1; line < failure.line; ++line) {
    const std::size_t end = source.find('\n');
    if (end == std::string_view::npos) return;
    source.remove_prefix(end + 1);
  }
  if (failure.line > 0) failure.excerpt = source.substr(0, source.find('\n'));
}

// The column of "near 'token'" in the excerpt, from 1; 0: unknown.
int column_of(const Failure& failure) {
  const std::size_t near = failure.message.rfind(" near '");
  if (near == std::string::npos) return failure.message.ends_with("near <eof>") ? static_cast<int>(failure.excerpt.size()) + 1 : 0;
  const std::size_t begin = near + 7;
  const std::string token = failure.message.substr(begin, failure.message.rfind('\'') - begin);
  const std::size_t place = token.empty() ? std::string::npos : failure.excerpt.rfind(token);
  return place == std::string::npos ? 0 : static_cast<int>(place) + 1;
}

template <class Load>
Outcome load_with(State* state, Slot* function, std::string_view source, Failure** failure, Load load) noexcept {
  bool is_syntax = false;
  auto body = [&](ThreadState& thread) {
    // What a stopped script leaves at the cap is garbage, but the compiler is a native: nothing collects while it works.
    if (BATON_UNLIKELY(thread.heap().is_near_cap())) (void)thread.heap().collect_near_cap();
    if (load(thread) != Status::kOk) {
      is_syntax = true;
      throw ScriptError(thread.pending);
    }
    *function = slot_of(thread.current->top[-1]);
  };
  const Outcome outcome = run_body(state, body, failure);
  if (!is_syntax || *failure == nullptr) return outcome;
  try {
    describe_syntax(**failure, source);
    (*failure)->column = column_of(**failure);
  } catch (const std::bad_alloc&) {
  }
  return Outcome::kSyntax;
}

}  // namespace
}  // namespace baton::host

namespace baton::abi {

using namespace baton::host;

Outcome load(State* state, const char* text, std::size_t size, const char* name, const char* mode, Slot* function,
             Failure** failure) noexcept {
  const std::string_view source(text, size);
  return load_with(state, function, source, failure,
                   [&](ThreadState& thread) { return host::load(thread, source, name, mode); });
}

Outcome load_file(State* state, const char* path, Slot* function, Failure** failure) noexcept {
  return load_with(state, function, {}, failure, [&](ThreadState& thread) { return host::load_file(thread, path, "bt"); });
}

void free_slots(SlotList* list) noexcept {
  delete[] list->items;
  list->items = nullptr;
}

Outcome call(State* state, const Slot& function, const Slot* arguments, int count, Slot* results, int wanted, SlotList* all,
             bool* taken, Failure** failure) noexcept {
  const Outcome entered = enter_if_needed(state, taken);
  if (BATON_UNLIKELY(entered != Outcome::kOk)) return entered;
  ScriptCall request{state, &function, arguments, count, results, wanted, all};
  return run_inside_with(state, request, failure);
}

Outcome make_function(State* state, Binding* binding, Slot* function, Failure** failure) noexcept {
  bool is_owned = false;
  auto body = [&](ThreadState& thread) {
    Heap& heap = thread.heap();
    Userdata* owner = userdata::make(heap, sizeof(Bound));
    auto* bound = new (owner->block()) Bound{binding, state};
    owner->release = release_binding;
    is_owned = true;
    vm::push(thread, Value::of(owner));
    const Value made = native::make(thread, &kBoundFunction, 2);
    made.native()->upvalues()[0] = Value::light(bound);
    made.native()->upvalues()[1] = Value::of(owner);
    *function = slot_of(made);
  };
  const Outcome outcome = run_body(state, body, failure);
  if (!is_owned) binding->destroy(binding);
  return outcome;
}

bool push_result(Invocation* call, const Slot& value) noexcept {
  try {
    static_cast<NativeCall*>(call->native_call)->push(value_of(value));
    ++call->pushed;
    return true;
  } catch (const ScriptError&) {
    return false;
  }
}

}  // namespace baton::abi
