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
#include "vm/host_call.h"
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

// The level of the function of a class's metatable (baton/vm_members.hpp) that called the running one, or 0. Of several
// constructors one is chosen by a function of the host in between.
int class_level(const Coroutine* co) noexcept {
  for (int level = 1; level <= 2; ++level) {
    const CallFrame* frame = vm::frame_at(co, level);
    if (frame == nullptr) return 0;
    if (!frame->is_script()) continue;
    const Prototype* prototype = frame->base[-1].closure()->prototype;
    if (prototype->source == nullptr || prototype->source->view() != abi::kClassChunk) return 0;
    return level == 1 || prototype->is_vararg != 0 ? level : 0;
  }
  return 0;
}

// An error in what such a function called is its caller's: told in his terms. `text`: what is wrong.
std::string class_error(NativeCall& call, int level, int bad_argument, const std::string& text) {
  ThreadState& thread = call.thread();
  const CallFrame* frame = vm::frame_at(thread.current, level);
  std::string message = vm::where(thread, level + 1);
  if (bad_argument == 0) return message += text;
  if (frame->base[-1].closure()->prototype->is_vararg != 0) return message += "bad argument #" + std::to_string(bad_argument) + " to 'new' (" + text + ")";
  const Value key = frame->base[1];
  const std::string name(key.is_string() ? key.string()->view() : "?");
  return message += "bad " + std::string(bad_argument == 1 ? "object" : "value") + " for field '" + name + "' (" + text + ")";
}

// What is wrong with an argument.
std::string argument_complaint(NativeCall& call, const abi::Invocation& invocation) {
  if (invocation.complaint != nullptr) return invocation.complaint;
  const int i = invocation.bad_argument;
  const std::string got = i > call.count() ? "no value" : abi::type_name(invocation.state, slot_of(call.arg(i)));
  return std::string(invocation.expected) + " expected, got " + got;
}

[[noreturn]] void raise_text(NativeCall& call, const std::string& text) { call.raise(Value::of(string::make(call.heap(), text))); }

// What an answer other than results means. Out of line: the good case keeps a small frame.
[[noreturn]] BATON_NOINLINE void raise_answer(NativeCall& call, const abi::Invocation& invocation, abi::Answer answer) {
  const Value& value = value_of(invocation.result);
  if (answer == abi::Answer::kUnwind) throw ForcedUnwind{};
  if (answer == abi::Answer::kRaise) call.raise(value);
  const int level = class_level(call.coroutine());
  if (answer == abi::Answer::kRaiseText) {
    const std::string text(value.is_string() ? value.string()->view() : "?");
    raise_text(call, level > 0 ? class_error(call, level, 0, text) : vm::where(call.thread(), 1) + text);
  }
  if (level > 0) raise_text(call, class_error(call, level, invocation.bad_argument, argument_complaint(call, invocation)));
  if (invocation.complaint != nullptr) call.argument_error(invocation.bad_argument, invocation.complaint);
  call.type_error(invocation.bad_argument, invocation.expected);
}

int call_bound(NativeCall& call) {
  const auto* bound = static_cast<const Bound*>(call.upvalue(1).pointer);
  (void)adopt_session(bound->state, call.thread());
  abi::Invocation invocation{bound->state, &call, reinterpret_cast<const Slot*>(call.base()), call.count(), 0, nullptr, nullptr, 0, {}};
  abi::Answer answer;
  {
    const HostCode host(call.coroutine());
    answer = bound->binding->invoke(bound->binding, &invocation);
  }
  if (BATON_UNLIKELY(call.coroutine()->unwinding)) throw ForcedUnwind{};
  if (BATON_LIKELY(answer == abi::Answer::kResult)) return call.result(value_of(invocation.result));
  if (answer == abi::Answer::kNothing) return 0;
  if (answer == abi::Answer::kPushed) return invocation.pushed;
  raise_answer(call, invocation, answer);
}

constexpr NativeInfo kBoundFunction = {"bound", "bound(...)", "A function of the host.", call_bound};

// ---- calling scripts ----

using ScriptCall = InsideCall;

void push_call(ThreadState& thread, const ScriptCall& call) noexcept {
  Value* top = thread.current->top;
  const Slot* const arguments = call.arguments;  // stores of tags may alias anything that is not a local variable
  const std::ptrdiff_t count = call.count;
  *top++ = value_of(*call.function);
  BATON_SHORT_LOOP
  for (std::ptrdiff_t i = 0; i < count; ++i) *top++ = value_of(arguments[i]);
  thread.current->top = top;
}

void grow_and_push_call(ThreadState& thread, void* context) {
  const ScriptCall& call = *static_cast<ScriptCall*>(context);
  coroutine::check_stack(thread.heap(), thread.current, static_cast<std::uint32_t>(call.count) + 1);
  push_call(thread, call);
}

// The same if some arguments are lent texts whose strings are known. Returns: false if one is not; then nothing was done.
bool push_known_texts(ThreadState& thread, const ScriptCall& call) noexcept {
  Value* top = thread.current->top;
  const Slot* const arguments = call.arguments;
  const std::ptrdiff_t count = call.count;
  *top++ = value_of(*call.function);
  BATON_SHORT_LOOP
  for (std::ptrdiff_t i = 0; i < count; ++i) {
    const Slot& argument = arguments[i];
    if (argument.tag != abi::kLentText) {
      *top++ = value_of(argument);
      continue;
    }
    const auto& text = *static_cast<const abi::LentText*>(argument.pointer);
    const String* known = call.state->kept_arguments.find(text.bytes, text.size);
    if (known == nullptr) return false;
    *top++ = Value::of(known);
  }
  thread.current->top = top;
  return true;
}

// Texts that were lent once are known from then on if they are short.
void grow_and_push_texts(ThreadState& thread, void* context) {
  const ScriptCall& call = *static_cast<ScriptCall*>(context);
  Coroutine* co = thread.current;
  coroutine::check_stack(thread.heap(), co, static_cast<std::uint32_t>(call.count) + 1);
  *co->top++ = value_of(*call.function);
  for (int i = 0; i < call.count; ++i) {
    const Slot& argument = call.arguments[i];
    if (argument.tag != abi::kLentText) {
      *co->top++ = value_of(argument);
      continue;
    }
    const auto& text = *static_cast<const abi::LentText*>(argument.pointer);
    String* made = string::make(thread.heap(), {text.bytes, text.size});
    if (made->is_short()) call.state->kept_arguments.note(text.bytes, made);
    *co->top++ = Value::of(made);
  }
}

// All results, from `from` to the top, as a list. Returns: whether there was memory for it.
BATON_NOINLINE bool take_all_results(const Value* from, const ScriptCall& call) noexcept {
  const auto count = static_cast<int>(thread_of(call).current->top - from);
  if (count == 0) return true;
  call.all->items = new (std::nothrow) Slot[static_cast<std::size_t>(count)];
  if (call.all->items == nullptr) return false;
  call.all->count = count;
  for (int i = 0; i < count; ++i) call.all->items[i] = slot_of(from[i]);
  return true;
}

bool take_results(const Value* from, const ScriptCall& call) noexcept {
  if (BATON_UNLIKELY(call.wanted < 0)) return take_all_results(from, call);
  Slot* const results = call.results;
  const std::ptrdiff_t wanted = call.wanted;
  BATON_SHORT_LOOP
  for (std::ptrdiff_t i = 0; i < wanted; ++i) results[i] = slot_of(from[i]);
  return true;
}

// Puts function and arguments on the stack; kTexts: there may be lent texts among them.
template <bool kTexts>
BATON_ALWAYS_INLINE bool push_function(ThreadState& thread, Coroutine* co, ScriptCall& call) noexcept {
  if (BATON_LIKELY(co->stack_limit - co->top > call.count)) {
    if constexpr (kTexts) {
      if (BATON_LIKELY(push_known_texts(thread, call))) return true;
    } else {
      push_call(thread, call);
      return true;
    }
  }
  return vm::protected_run(thread, kTexts ? grow_and_push_texts : grow_and_push_call, &call) == Status::kOk;
}

// Polls once the arguments are rooted: a host that calls functions without loops would never get to a safepoint otherwise.
template <bool kTexts>
BATON_ALWAYS_INLINE Status run_call(ThreadState& thread, Coroutine* co, const vm::CallPlace& place, ScriptCall& call) {
  if (BATON_UNLIKELY(!push_function<kTexts>(thread, co, call))) return Status::kError;
  if (BATON_UNLIKELY(thread.interrupt.any())) vm::safepoint(thread, vm::SafepointKind::kReturn);
  const Status status = vm::protected_call_at(thread, co, place, call.count, call.wanted, call.state->handler);
  if (BATON_UNLIKELY(status != Status::kOk) || BATON_LIKELY(take_results(vm::slot_at(co, place), call))) return status;
  thread.pending = Value::of(thread.shared.memory_error);
  return Status::kError;
}

template <bool kTexts>
struct FunctionCall {
  static void perform(InsideCall& call, ThreadState& thread) noexcept {
    Coroutine* co = thread.current;
    const vm::CallPlace place = vm::call_place(co, co->top);
    const int handler_depth = thread.handler_depth;
    Status status = Status::kOk;
    bool stopped = false;
    try {
      status = run_call<kTexts>(thread, co, place, call);
    } catch (const ForcedUnwind&) {
      stopped = true;
    }
    if (BATON_UNLIKELY(stopped)) {
      call.outcome = end_stopped(call, vm::mark_of(place, handler_depth));
      return;
    }
    call.outcome = BATON_LIKELY(status == Status::kOk) ? Outcome::kOk : end_failed(call);
    co->top = vm::slot_at(co, place);
  }
};

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

Outcome call(Call& call, bool* taken) noexcept {
  const Outcome entered = enter_if_needed(call.state, taken);
  return BATON_LIKELY(entered == Outcome::kOk) ? run_inside<FunctionCall<false>>(*last_session, call) : entered;
}

Outcome call_with_texts(Call& call, bool* taken) noexcept {
  const Outcome entered = enter_if_needed(call.state, taken);
  return BATON_LIKELY(entered == Outcome::kOk) ? run_inside<FunctionCall<true>>(*last_session, call) : entered;
}

Outcome call_global(Call& call, const char* name, std::size_t size, bool* taken) noexcept {
  const Outcome entered = enter_if_needed(call.state, taken);
  if (BATON_UNLIKELY(entered != Outcome::kOk)) return entered;
  const Slot globals = slot_of(Value::of(call.state->shared->globals));
  Slot function;
  bool unused = false;
  const Outcome found = get_field(call.state, globals, name, size, false, &function, &unused, call.failure);
  if (BATON_UNLIKELY(found != Outcome::kOk)) return found;
  if (BATON_UNLIKELY(!function.is_function())) return Outcome::kMisuse;
  call.function = &function;
  return run_inside<FunctionCall<true>>(*last_session, call);
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
