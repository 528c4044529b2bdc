// Values across the border: roots, strings, tables, errors.
//
// What allocates may fail at the memory cap. It then collects in emergency mode and tries once more; slots that the program
// holds without a root would not survive that, so such a retry is made only where the arguments are pushed first. Elsewhere
// the failure is handed over as it is.
//
// A host that only sets fields and never calls a script would never reach a safepoint, and garbage would pile up; so `get`
// and `set` poll. Both are given everything they need, and keep it on the stack meanwhile.
#include <cstring>
#include <new>

#include "host/embed_state.h"
#include "value/string.h"
#include "value/table.h"
#include "vm/operations.h"
#include "vm/safepoint.h"
#include "vm/traceback.h"

namespace baton::host {

namespace {

ThreadState& thread_of(State* state) noexcept { return present_session(state).native->state(); }

// Allocation errors of `body`, which runs no script code. Outcomes: kOk, kError.
template <class Body>
Outcome allocate(State* state, Failure** failure, Body body) noexcept {
  try {
    body(state->shared->heap);
    return Outcome::kOk;
  } catch (const ScriptError& error) {
    *failure = make_error(state, thread_of(state), vm::error_value(thread_of(state), error));
  } catch (const std::bad_alloc&) {
    *failure = make_error(state, thread_of(state), Value::of(state->shared->memory_error));
  }
  return Outcome::kError;
}

}  // namespace

// ---- failures ----

Failure* make_failure(Outcome outcome, const char* message) noexcept {
  auto* failure = new (std::nothrow) Failure;
  if (failure == nullptr) return nullptr;
  failure->outcome = outcome;
  try {
    failure->message = message;
  } catch (const std::bad_alloc&) {
  }
  return failure;
}

Failure* make_stopped(State* state) noexcept {
  Failure* failure = make_failure(Outcome::kStopped, "");
  if (failure == nullptr) return nullptr;
  const std::lock_guard guard(state->mutex);
  failure->reason = state->stop_reason;
  try {
    failure->message = state->stop_message;
    if (failure->message.empty()) failure->message = "interrupted";
  } catch (const std::bad_alloc&) {
  }
  return failure;
}

namespace {

std::string plain_text(Heap& heap, const Value& error) {
  if (error.is_string()) return std::string(error.string()->view());
  if (error.is_number()) return std::string(vm::number_to_string(heap, error)->view());
  return std::string("(error object is a ") + base_type_name(error) + " value)";
}

std::string describe_task(ThreadState& thread) {
  const sched::Task& task = sched::current_task(thread);
  if (task.is_root()) return thread.id == 1 ? "main" : "native thread '" + thread.name + "'";
  std::string text = "task " + std::to_string(task.id());
  const Value name = task.handle()->user_values()[sched::Task::kName];
  if (name.is_string()) text.append(" '").append(name.string()->view()).append("'");
  return text + (thread.id == 1 ? " of main" : " of native thread '" + thread.name + "'");
}

// The native handler: runs where the error happened, its frames still on the stack.
int keep_traceback(NativeCall& call) {
  ThreadState& thread = call.thread();
  Session* session = &adopt_session(static_cast<State*>(call.upvalue(1).pointer), thread);
  const Value error = call.arg(1);
  if (!error.is_string() && !vm::metamethod(call.shared(), error, Metamethod::kToString).is_nil()) {
    session->message = vm::to_string(thread, error)->view();
  } else {
    session->message = plain_text(call.heap(), error);
  }
  session->traceback = vm::traceback(thread, call.coroutine(), session->message.c_str(), 1);
  return call.result(call.arg(1));
}

constexpr NativeInfo kKeepTraceback = {"keep_traceback", "handler(error)", "Message handler of calls from the host.",
                                       keep_traceback};

}  // namespace

Value make_handler(State* state, ThreadState& thread) {
  const Value handler = native::make(thread, &kKeepTraceback, 1);
  handler.native()->upvalues()[0] = Value::light(state);
  return handler;
}

Failure* make_error(State* state, ThreadState& thread, const Value& error) noexcept {
  Failure* failure = make_failure(Outcome::kError, "");
  if (failure == nullptr) return nullptr;
  failure->value = abi::make_root(state, slot_of(error));
  try {
    Session& session = present_session(state);
    failure->message = session.traceback.empty() ? plain_text(thread.heap(), error) : std::move(session.message);
    failure->traceback = std::move(session.traceback);
    session.message.clear();
    session.traceback.clear();
    failure->task_path = describe_task(thread);
  } catch (const std::bad_alloc&) {
  } catch (const ScriptError&) {
  }
  return failure;
}

}  // namespace baton::host

namespace baton::abi {

using namespace baton::host;

void free_failure(Failure* failure) noexcept {
  if (failure == nullptr) return;
  if (failure->value != nullptr) release_root(failure->value);
  delete failure;
}

Failure* make_failure(State* state, const Slot& value) noexcept {
  return make_error(state, host::thread_of(state), value_of(value));
}

// ---- roots ----

Root* make_root(State* state, const Slot& value) noexcept {
  auto* root = new (std::nothrow) Root;
  if (root == nullptr) return nullptr;
  root->value = value;
  root->state = state;
  root->references.store(1, std::memory_order_relaxed);
  root->next = state->roots;
  if (root->next != nullptr) root->next->previous = &root->next;
  root->previous = &state->roots;
  state->roots = root;
  retain(state);
  return root;
}

void retain_root(Root* root) noexcept { root->references.fetch_add(1, std::memory_order_relaxed); }

void release_root(Root* root) noexcept {
  if (root->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  State* state = root->state;
  if (holds_lock(state) && root->previous != nullptr) {
    *root->previous = root->next;
    if (root->next != nullptr) root->next->previous = root->previous;
  } else {
    const std::lock_guard guard(state->mutex);
    if (!state->roots_are_gone) {
      root->next_deferred = state->deferred;
      state->deferred = root;
      state->has_deferred.store(true, std::memory_order_relaxed);
      return;
    }
  }
  delete root;
  release(state);
}

// ---- strings and tables ----

Outcome make_string(State* state, const char* bytes, std::size_t size, Slot* result, Failure** failure) noexcept {
  return allocate(state, failure, [&](Heap& heap) { *result = slot_of(Value::of(string::make(heap, {bytes, size}))); });
}

const char* string_bytes(const Slot& text, std::size_t* size) noexcept {
  const std::string_view view = value_of(text).string()->view();
  *size = view.size();
  return view.data();
}

Outcome make_table(State* state, std::uint32_t list_slots, std::uint32_t fields, Slot* result, Failure** failure) noexcept {
  return allocate(state, failure, [&](Heap& heap) { *result = slot_of(Value::of(table::make(heap, list_slots, fields))); });
}

namespace {

// Whether the answer needs no metamethod; then it is in `result`.
bool get_simply(const Value& object, const Value& key, bool raw, Slot* result) noexcept {
  if (!object.is_table()) return false;
  Table* t = object.table();
  const Value* slot = table::get(t, key);
  if (slot->is_nil() && t->metatable != nullptr && !raw) return false;
  *result = slot_of(*slot);
  return true;
}

// A safepoint that keeps `count` values: garbage is collected, the lock handed over if somebody waits.
void poll_keeping(ThreadState& thread, std::initializer_list<const Slot*> kept) noexcept {
  if (BATON_LIKELY(!thread.interrupt.any())) return;
  try {
    const std::ptrdiff_t top = thread.current->top - thread.current->stack;
    for (const Slot* slot : kept) vm::push(thread, value_of(*slot));
    vm::safepoint(thread, vm::SafepointKind::kReturn);
    thread.current->top = thread.current->stack + top;
  } catch (const ScriptError&) {
  }
}

}  // namespace

Outcome get(State* state, const Slot& object, const Slot& key, bool raw, Slot* result, Failure** failure) noexcept {
  ThreadState& thread = thread_of(state);
  if (!raw) poll_keeping(thread, {&object, &key});
  if (get_simply(value_of(object), value_of(key), raw, result)) return Outcome::kOk;
  auto body = [&](ThreadState& t) {
    vm::push(t, value_of(object));
    vm::push(t, value_of(key));
    *result = slot_of(vm::index(t, t.current->top[-2], t.current->top[-1]));
  };
  return run_body(state, body, failure);
}

Outcome set(State* state, const Slot& object, const Slot& key, const Slot& value, bool raw, Failure** failure) noexcept {
  ThreadState& thread = thread_of(state);
  if (!raw) poll_keeping(thread, {&object, &key, &value});
  const Value& target = value_of(object);
  if (target.is_table() && (raw || target.table()->metatable == nullptr)) {
    return allocate(state, failure, [&](Heap& heap) { table::set(heap, target.table(), value_of(key), value_of(value)); });
  }
  auto body = [&](ThreadState& t) {
    for (const Slot* slot : {&object, &key, &value}) vm::push(t, value_of(*slot));
    vm::set_index(t, t.current->top[-3], t.current->top[-2], t.current->top[-1]);
  };
  return run_body(state, body, failure);
}

namespace {

// Makes `key` the string of these bytes and keeps it if it is short.
BATON_NOINLINE Outcome make_key(State* state, const char* name, std::size_t size, Slot* key, Failure** failure) noexcept {
  const Outcome made = make_string(state, name, size, key, failure);
  if (made == Outcome::kOk && key->tag == kShortString) state->kept_keys.note(name, value_of(*key).string());
  return made;
}

// Stores into the slot of a key that has a value: no metamethod is asked for it. Returns: whether that was so.
bool set_simply(Heap& heap, Table* t, const Value* slot, const Value& value) noexcept {
  if (slot->is_nil() || (t->mode & kTableFrozen) != 0) return false;
  *const_cast<Value*>(slot) = value;
  heap.barrier_back(t, value);
  return true;
}

}  // namespace

Outcome get_field(State* state, const Slot& object, const char* name, std::size_t size, bool raw, Slot* result, bool* taken,
                  Failure** failure) noexcept {
  const Outcome entered = enter_if_needed(state, taken);
  if (BATON_UNLIKELY(entered != Outcome::kOk)) return entered;
  const String* kept = state->kept_keys.find(name, size);
  const Value& target = value_of(object);
  if (BATON_LIKELY(kept != nullptr && target.is_table() && !host::thread_of(state).interrupt.any())) {
    const Value* slot = table::get_short_string(target.table(), kept);
    if (BATON_LIKELY(!slot->is_nil() || raw || target.table()->metatable == nullptr)) {
      *result = slot_of(*slot);
      return Outcome::kOk;
    }
  }
  Slot key;
  const Outcome made = make_key(state, name, size, &key, failure);
  return made == Outcome::kOk ? get(state, object, key, raw, result, failure) : made;
}

Outcome set_field(State* state, const Slot& object, const char* name, std::size_t size, const Slot& value, bool raw, bool* taken,
                  Failure** failure) noexcept {
  const Outcome entered = enter_if_needed(state, taken);
  if (BATON_UNLIKELY(entered != Outcome::kOk)) return entered;
  const String* kept = state->kept_keys.find(name, size);
  const Value& target = value_of(object);
  if (BATON_LIKELY(kept != nullptr && target.is_table() && !host::thread_of(state).interrupt.any())) {
    const Value* slot = table::get_short_string(target.table(), kept);
    if (BATON_LIKELY(set_simply(state->shared->heap, target.table(), slot, value_of(value)))) return Outcome::kOk;
  }
  Slot key;
  const Outcome made = make_key(state, name, size, &key, failure);
  return made == Outcome::kOk ? set(state, object, key, value, raw, failure) : made;
}

std::uint64_t table_length(const Slot& table) noexcept { return table::length(value_of(table).table()); }

bool table_next(const Slot& table, std::uint64_t* position, Slot* key, Slot* value) noexcept {
  Value k, v;
  if (!table::next_at(value_of(table).table(), *position, k, v)) return false;
  *key = slot_of(k);
  *value = slot_of(v);
  return true;
}

bool is_frozen(const Slot& table) noexcept { return (value_of(table).table()->mode & kTableFrozen) != 0; }

namespace {

// Freezes what is reachable through tables, metatables first come first served; `list` grows meanwhile.
void freeze_all(const SharedState& shared, std::vector<Table*>& list, bool deep) {
  for (std::size_t i = 0; i < list.size(); ++i) {
    Table* t = list[i];
    t->mode |= kTableFrozen;
    t->mark |= kMarkFrozen;
    if (!deep) return;
    auto add = [&list](Table* other) {
      if (other != nullptr && (other->mode & kTableFrozen) == 0) list.push_back(other);
    };
    add(t->metatable);
    std::uint64_t position = 0;
    Value key, value;
    while (table::next_at(t, position, key, value)) {
      for (const Value& each : {key, value}) add(each.is_table() ? each.table() : vm::metatable_of(shared, each));
    }
  }
}

}  // namespace

Outcome freeze(State* state, const Slot& table, bool deep, Failure** failure) noexcept {
  return allocate(state, failure, [&](Heap&) {
    std::vector<Table*> list{value_of(table).table()};
    freeze_all(*state->shared, list, deep);
  });
}

Outcome set_metatable(State* state, const Slot& object, const Slot& metatable, Failure** failure) noexcept {
  return allocate(state, failure, [&](Heap&) {
    vm::set_metatable(thread_of(state), value_of(object), metatable.is_nil() ? nullptr : value_of(metatable).table());
  });
}

Slot metatable(State* state, const Slot& object) noexcept {
  Table* found = vm::metatable_of(*state->shared, value_of(object));
  return found != nullptr ? slot_of(Value::of(found)) : Slot();
}

Slot globals(State* state) noexcept { return slot_of(Value::of(state->shared->globals)); }

bool raw_equal(const Slot& a, const Slot& b) noexcept { return baton::raw_equal(value_of(a), value_of(b)); }

Outcome to_text(State* state, const Slot& value, std::string* text, Failure** failure) noexcept {
  auto body = [&](ThreadState& thread) {
    vm::push(thread, value_of(value));
    text->assign(vm::to_string(thread, thread.current->top[-1])->view());
  };
  return run_body(state, body, failure);
}

std::string type_name(State* state, const Slot& value) { return vm::type_name(*state->shared, value_of(value)); }

std::uint64_t memory_used(State* state) noexcept { return state->shared->heap.bytes_used(); }

Outcome collect(State* state, Failure** failure) noexcept {
  auto body = [](ThreadState& thread) { vm::collect_all(thread); };
  return run_body(state, body, failure);
}

}  // namespace baton::abi
