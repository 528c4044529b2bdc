// Scopes as scripts see them. A scope is entered when it is made and left when it is closed, by the task that made it.
//
// Closing waits for the children whatever is asked of the task meanwhile: a cancellation from outside reaches them without
// its help. Only an interrupt is taken out of that wait; it cancels the scope and is raised when the children have ended.
#include <cmath>
#include <new>
#include <string>

#include "async_library.h"
#include "option_table.h"
#include "sched/scheduler.h"
#include "thread_library.h"
#include "vm/call.h"
#include "vm/operations.h"

namespace baton::stdlib {
namespace {

enum Slot : std::uint8_t { kErrors, kName, kSlotCount };

struct ScopeBlock {
  sched::Scope scope{sched::ScopeKind::kNursery};
  std::int64_t limit = 0;  // 0: none
  bool is_closed = false;
};

ScopeBlock& check_scope(NativeCall& call) { return *static_cast<ScopeBlock*>(call.check_userdata(1, kScopeClass)); }

// Where the children's errors are kept once the scope is closed: a list, oldest first.
Table* errors_of(NativeCall& call, ScopeBlock& block) {
  Userdata* handle = block.scope.handle();
  Value& slot = handle->user_values()[kErrors];
  if (!slot.is_table()) {
    slot = Value::of(table::make(call.heap()));
    call.heap().barrier(handle, slot);
  }
  Table* errors = slot.table();
  while (sched::Task* child = block.scope.take_failure()) {
    const Value error = take_error(call, {child, nullptr});
    table::set_integer(call.heap(), errors, static_cast<std::int64_t>(table::length(errors)) + 1, error);
    child->mark_collected();
  }
  return errors;
}

struct ChildrenWait {
  sched::Scope& scope;
};

void wait_for_children(ThreadState& thread, void* context) {
  sched::Scope& scope = static_cast<ChildrenWait*>(context)->scope;
  while (scope.child_count() > 0) {
    sched::Waiter waiter(thread);
    scope.watchers().push(waiter);
    (void)sched::wait(thread, waiter, kNoDeadline, "scope.close");
  }
}

// Waits for the children and leaves the scope. Returns: what is to be raised, or nil.
Value close_scope(NativeCall& call, ScopeBlock& block, const Value& error) {
  sched::Scope& scope = block.scope;
  block.is_closed = true;
  if (!error.is_nil()) scope.cancel(Value());
  Value interrupt;
  if (scope.child_count() > 0) {
    ChildrenWait context{scope};
    if (vm::protected_run(call.thread(), wait_for_children, &context) == Status::kError) {
      interrupt = call.thread().pending;
      call.thread().pending.set_nil();
      call.push(interrupt);  // a root
      scope.cancel(Value());
    }
    while (scope.child_count() > 0) {
      sched::Waiter waiter(call.thread());
      scope.watchers().push(waiter);
      (void)sched::wait_shielded(call.thread(), waiter, kNoDeadline, "scope.close");
    }
  }
  const bool expired = scope.is_expired();
  scope.leave();
  Table* errors = errors_of(call, block);
  const Value first = *table::get_integer(errors, 1);
  const bool only_cancelled = error.is_nil() || (!scope.error().is_nil() && raw_equal(error, scope.error()));
  if (!first.is_nil() && only_cancelled) return first;
  if (!error.is_nil()) return error;
  if (!interrupt.is_nil() && !raw_equal(interrupt, scope.error())) return interrupt;  // its own ends here
  return expired ? scope.cancellation(call.thread()) : Value();
}

int scope_close(NativeCall& call) {
  ScopeBlock& block = check_scope(call);
  if (block.is_closed) return call.result(Value::boolean(true));
  if (block.scope.body() != &sched::current_task(call.thread())) call.error("a scope is closed by the task that made it");
  const Value given = call.arg(2);
  const Value error = close_scope(call, block, given);
  if (error.is_nil() || (!given.is_nil() && raw_equal(error, given))) return call.result(Value::boolean(true));
  return call.fail(error);
}

int scope_spawn(NativeCall& call) {
  ScopeBlock& block = check_scope(call);
  Value name;
  bool detached = false;
  const int function = read_spawn_options(call, 2, &name, &detached);
  if (block.is_closed) call.error("the scope is closed");
  while (block.limit > 0 && static_cast<std::int64_t>(block.scope.child_count()) >= block.limit) {
    sched::before_wait(call.thread());
    sched::Waiter waiter(call.thread());
    block.scope.watchers().push(waiter);
    (void)sched::wait(call.thread(), waiter, kNoDeadline, "scope.spawn");
    if (block.is_closed) call.error("the scope is closed");
  }
  (void)spawn_task(call, task_metatable(call.thread()), function, block.scope.body()->scheduler(), &block.scope, name);
  return 1;
}

int scope_cancel(NativeCall& call) {
  ScopeBlock& block = check_scope(call);
  const bool asked = !block.is_closed && !block.scope.is_cancelled();
  if (asked) block.scope.cancel(sched::make_cancellation(call.thread(), call.arg(2), false));
  return call.result(Value::boolean(asked));
}

int scope_wait(NativeCall& call) {
  ScopeBlock& block = check_scope(call);
  const std::int64_t deadline_ns = timeout_argument(call, 2);
  sched::before_wait(call.thread());
  while (block.scope.child_count() > 0) {
    sched::Waiter waiter(call.thread());
    block.scope.watchers().push(waiter);
    if (sched::wait(call.thread(), waiter, deadline_ns, "scope.wait") == sched::WaitResult::kTimedOut) return timeout_result(call);
  }
  return call.result(Value::boolean(true));
}

int scope_errors(NativeCall& call) {
  ScopeBlock& block = check_scope(call);
  Table* list = table::make(call.heap());
  call.push(Value::of(list));
  std::int64_t n = 0;
  const Value kept = block.scope.handle()->user_values()[kErrors];
  if (kept.is_table()) {
    for (std::uint64_t i = 1, count = table::length(kept.table()); i <= count; ++i) {
      table::set_integer(call.heap(), list, ++n, *table::get_integer(kept.table(), static_cast<std::int64_t>(i)));
    }
  }
  for (const sched::Task* child = block.scope.first_failure(); child != nullptr; child = sched::Scope::next_failure(*child)) {
    table::set_integer(call.heap(), list, ++n, child->root()->error);
  }
  return 1;
}

int scope_length(NativeCall& call) {
  return call.result(Value::from(static_cast<std::int64_t>(check_scope(call).scope.child_count())));
}

int scope_to_string(NativeCall& call) {
  ScopeBlock& block = check_scope(call);
  const Value name = block.scope.handle()->user_values()[kName];
  std::string text = "Scope";
  if (name.is_string()) text += " '" + std::string(name.string()->view()) + "'";
  text += " (" + std::to_string(block.scope.child_count()) + " children" + (block.is_closed ? ", closed)" : ")");
  return call.result_string(text);
}

const NativeInfo kMethods[] = {
    {"cancel", "Scope:cancel(reason?: any) -> boolean",
     "Cancels its body and its children. Whether it was not cancelled before.",
     scope_cancel},
    {"close", "Scope:close()",
     "Waits for the children.\n"
     "Raises: the first error among them.\n"
     "Waits: parks the task.",
     scope_close},
    {"errors", "Scope:errors() -> table",
     "A list of the errors of children, the first one first.",
     scope_errors},
    {"spawn", "Scope:spawn([options: table,] f: function, ...: any) -> Task",
     "Spawns a task of this scope; waits for a place if the scope has a limit. Options: name.\n"
     "Raises: \"the scope is closed\".\n"
     "Waits: parks the task, under a limit only.",
     scope_spawn},
    {"wait", "Scope:wait(timeout?: number) -> boolean?",
     "Waits until no child is left; the scope stays open. nil, \"timeout\", \"ETIMEDOUT\" when late.\n"
     "Waits: parks the task.",
     scope_wait},
    {nullptr, nullptr, nullptr, nullptr},
};

const NativeInfo kMetamethods[] = {
    {"__close", "scope:__close()", "The same as close.", scope_close},
    {"__len", "#scope", "The number of children that have not ended.", scope_length},
    {"__tostring", "tostring(scope)", "Name and number of children of a scope.", scope_to_string},
    {nullptr, nullptr, nullptr, nullptr},
};

// The deadline of the options timeout and deadline.
std::int64_t read_deadline(const OptionTable& options) {
  const double timeout = options.number("timeout", HUGE_VAL);
  const double at = options.number("deadline", HUGE_VAL);
  if (std::isnan(timeout)) options.mistake("timeout", "not a number");
  if (std::isnan(at)) options.mistake("deadline", "not a number");
  const std::int64_t after = sched::deadline_after(timeout);
  if (at > 4e9) return after;
  const std::int64_t until = at <= 0 ? 1 : static_cast<std::int64_t>(std::ceil(at * 1e9));
  return after == kNoDeadline || until < after ? until : after;
}

ScopeBlock& make_scope(NativeCall& call, const OptionTable& options) {
  const std::int64_t deadline_ns = read_deadline(options);
  const double limit = options.number("limit", 0);
  if (!options.get("limit").is_nil() && !(limit >= 1)) options.mistake("limit", "must be at least 1");
  const double grace = options.number("grace", 5);
  if (!(grace >= 0)) options.mistake("grace", "must not be negative");
  const String* name = options.text("name");
  Userdata* handle = userdata::make(call.heap(), sizeof(ScopeBlock), kSlotCount);
  auto* block = new (handle->block()) ScopeBlock;
  handle->release = [](void* memory) noexcept { static_cast<ScopeBlock*>(memory)->~ScopeBlock(); };
  if (name != nullptr) handle->user_values()[kName] = Value::of(const_cast<String*>(name));
  call.push(Value::of(handle));
  handle->metatable = scope_metatable(call.thread());
  block->limit = limit > 1e15 ? 0 : static_cast<std::int64_t>(limit);
  block->scope.set_handle(handle);
  block->scope.set_grace(grace > 4e9 ? INT64_MAX / 2 : static_cast<std::int64_t>(grace * 1e9));
  block->scope.enter(call.thread(), deadline_ns);
  return *block;
}

}  // namespace

Table* scope_metatable(ThreadState& thread) {
  return native::class_with_methods(thread, kScopeClass, kMethods, kMetamethods);
}

int async_scope(NativeCall& call) {
  static constexpr const char* kOptions[] = {"limit", "name", "timeout", "deadline", "grace", nullptr};
  const int function = is_callable(call, 1) ? 1 : 2;
  const OptionTable options(call, function == 2 ? 1 : call.count() + 1, kOptions);
  if (!call.none_or_nil(function)) check_callable(call, function);
  const Value body = call.arg(function);
  ScopeBlock& block = make_scope(call, options);
  if (body.is_nil()) return 1;
  const int place = call.size();
  call.push(body);
  call.push(call.slot(place));
  int results = 0;
  Value error;
  if (call_protected(call.thread(), 1, &results) == Status::kError) {
    error = call.thread().pending;
    call.thread().pending.set_nil();
    call.push(error);  // a root
  }
  const bool was_cancelled = !block.scope.error().is_nil() && raw_equal(error, block.scope.error()) && !block.scope.is_expired();
  const Value raised = close_scope(call, block, error);
  if (raised.is_nil()) {
    call.set_size(place + results);
    return results;
  }
  // Somebody cancelled just this scope: that ends here.
  if (was_cancelled && raw_equal(raised, error)) return 0;
  return call.fail(raised);
}

}  // namespace baton::stdlib
