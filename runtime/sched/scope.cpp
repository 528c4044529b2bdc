#include "sched/scope.h"

#include <string>

#include "sched/deadlock.h"
#include "sched/native_thread.h"
#include "sched/scheduler.h"
#include "sched/task.h"
#include "vm/native.h"
#include "vm/operations.h"
#include "vm/safepoint.h"

namespace baton::sched {
namespace {

constexpr const char* kClass = "Cancellation";

// How many __close methods run in the chain of coroutines.
std::int32_t closing_depth(const ThreadState& thread) noexcept {
  std::int32_t depth = 0;
  for (const Coroutine* co = thread.current; co != nullptr; co = co->resumer) depth += co->closings;
  return depth;
}

}  // namespace

// ---- entering and leaving ----

void Scope::enter(ThreadState& thread, std::int64_t deadline_ns) {
  Task& task = current_task(thread);
  if (deadline_ns != kNoDeadline) task.scheduler().timers().arm(alarm_, deadline_ns);
  body_ = &task;
  parent_ = task.scope_;
  task.scope_ = this;
  closing_depth_ = closing_depth(thread);
}

void Scope::leave() noexcept {
  if (body_ == nullptr) return;
  body_->scheduler().timers().disarm(alarm_);
  Scope** link = &body_->scope_;
  while (*link != nullptr && *link != this) link = &(*link)->parent_;
  if (*link == this) *link = parent_;
  if (kind_ == ScopeKind::kShield) body_->attention_ = true;  // what it kept out reaches the body now
  body_ = nullptr;
  parent_ = nullptr;
}

void Scope::Alarm::ring(Timer& timer) noexcept {
  Scope& scope = static_cast<Alarm&>(timer).scope;
  if (scope.is_cancelled_) return;
  scope.is_expired_ = true;
  scope.cancel(Value());
}

void Scope::adopt(Task& child) noexcept {
  child.owner_ = this;
  child.next_sibling_ = children_;
  if (children_ != nullptr) children_->previous_sibling_ = &child.next_sibling_;
  children_ = &child;
  child.previous_sibling_ = &children_;
  ++child_count_;
  if (is_cancelled_ || (body_ != nullptr && body_->attention_)) child.attention_ = true;
}

void Scope::disown(Task& child) noexcept {
  *child.previous_sibling_ = child.next_sibling_;
  if (child.next_sibling_ != nullptr) child.next_sibling_->previous_sibling_ = child.previous_sibling_;
  child.next_sibling_ = nullptr;
  child.previous_sibling_ = nullptr;
  child.owner_ = nullptr;
  --child_count_;
  watchers_.wake_all();
}

void Scope::note_failure(Task& child) noexcept {
  child.next_sibling_ = nullptr;
  (last_failure_ != nullptr ? last_failure_->next_sibling_ : first_failure_) = &child;
  last_failure_ = &child;
  cancel(Value());
}

Task* Scope::next_failure(const Task& child) noexcept { return child.next_sibling_; }

Task* Scope::take_failure() noexcept {
  Task* child = first_failure_;
  if (child == nullptr) return nullptr;
  first_failure_ = child->next_sibling_;
  if (first_failure_ == nullptr) last_failure_ = nullptr;
  child->next_sibling_ = nullptr;
  return child;
}

void Scope::mark(Heap& heap) noexcept {
  heap.mark_value(error_);
  for (Task* child = first_failure_; child != nullptr; child = child->next_sibling_) heap.mark_object(child->handle_);
  if (handle_ != nullptr) heap.mark_object(handle_);
}

// ---- cancelling ----

void Scope::cancel(const Value& error) noexcept {
  if (is_cancelled_) return;
  is_cancelled_ = true;
  error_ = error;
  if (handle_ != nullptr && body_ != nullptr) body_->scheduler().owner().state().heap().barrier(handle_, error);
  if (body_ != nullptr) spread_attention(*body_);
}

Value Scope::cancellation(ThreadState& thread) {
  if (error_.is_nil()) error_ = make_cancellation(thread, Value(), is_expired_);
  return error_;
}

void Task::attend() noexcept {
  attention_ = true;
  if (!is_shielded_ && state_ != TaskState::kNew && state_ != TaskState::kEnded) wake();
}

// Every child belongs to one scope, so no task comes into the list twice.
void Task::spread_attention() noexcept {
  Task* work = this;
  next_work_ = nullptr;
  while (work != nullptr) {
    Task& task = *work;
    work = task.next_work_;
    task.attend();
    for (Scope* scope = task.scope_; scope != nullptr; scope = scope->parent_) {
      for (Task* child = scope->children_; child != nullptr; child = child->next_sibling_) {
        child->next_work_ = work;
        work = child;
      }
    }
  }
}

void spread_attention(Task& task) noexcept { task.spread_attention(); }

// ---- delivering ----

// The outermost cancellation that reaches a task.
struct Reach {
  Scope* scope = nullptr;       // one of these two, or none
  Task* task = nullptr;
  std::int32_t closing_depth = 0;  // of the reached task, when the scope was entered

  explicit operator bool() const noexcept { return scope != nullptr || task != nullptr; }

  static Reach find(const Task& reached) noexcept {
    Reach found;
    const Task* body = &reached;
    Scope* scope = reached.scope_;
    for (;;) {
      for (; scope != nullptr; scope = scope->parent_) {
        if (scope->is_cancelled_) found = {scope, nullptr, body == &reached ? scope->closing_depth_ : 0};
        if (scope->kind_ == ScopeKind::kShield) return found;
      }
      if (body->is_cancelled_) found = {nullptr, const_cast<Task*>(body), 0};
      scope = body->owner_;
      if (scope == nullptr) return found;
      body = scope->body_;
      if (body == nullptr) {  // left already: its children end on their own
        if (scope->is_cancelled_) found = {scope, nullptr, 0};
        return found;
      }
    }
  }

  // When the time for closing ends.
  std::int64_t grace_ends_ns() const noexcept {
    std::int64_t& ends = scope != nullptr ? scope->grace_ends_ns_ : task->grace_ends_ns_;
    if (ends == 0) ends = monotonic_ns() + (scope != nullptr ? scope->grace_ns_ : kDefaultGraceNs);
    return ends;
  }
};

bool is_reached_by_cancellation(const Task& task) noexcept { return static_cast<bool>(Reach::find(task)); }

std::int64_t deliver_cancellation(ThreadState& thread, Task& task) {
  if (task.scheduler().is_stopping() && !task.is_root()) throw ForcedUnwind{};
  raise_stall(thread, task);
  const Reach reach = Reach::find(task);
  if (!reach) {
    task.clear_attention();
    return kNoDeadline;
  }
  if (vm::in_finalizer(thread)) return kNoDeadline;
  if (closing_depth(thread) > reach.closing_depth) {
    const std::int64_t ends_ns = reach.grace_ends_ns();
    if (monotonic_ns() < ends_ns) return ends_ns;
  }
  vm::raise_value(thread, reach.scope != nullptr ? reach.scope->cancellation(thread) : reach.task->cancel_reason());
}

// ---- the error value ----

namespace {

struct CancellationBlock {
  bool is_timeout;
};

Value reason_of(const Value& cancellation) noexcept { return cancellation.userdata()->user_values()[0]; }

int cancellation_to_string(NativeCall& call) {
  const auto& block = *static_cast<CancellationBlock*>(call.check_userdata(1, kClass));
  std::string text = block.is_timeout ? "timeout" : "cancelled";
  const Value reason = reason_of(call.arg(1));
  if (!reason.is_nil()) text += ": " + std::string(vm::to_string(call.thread(), reason)->view());
  return call.result_string(text);
}

int cancellation_index(NativeCall& call) {
  const auto& block = *static_cast<CancellationBlock*>(call.check_userdata(1, kClass));
  const Value key = call.arg(2);
  if (!key.is_string()) return call.result(Value());
  if (key.string()->view() == "reason") return call.result(reason_of(call.arg(1)));
  if (key.string()->view() == "timeout") return call.result(Value::boolean(block.is_timeout));
  return call.result(Value());
}

constexpr NativeInfo kToString = {"__tostring", "tostring(cancellation)", "What happened, and the reason that was given.",
                                  cancellation_to_string};
constexpr NativeInfo kIndex = {"__index", "cancellation[key]", "Fields: reason, timeout (whether a scope expired).",
                               cancellation_index};

Table* cancellation_metatable(ThreadState& thread) {
  bool created = false;
  Table* metatable = native::class_metatable(thread, kClass, &created);
  if (created) {
    native::set_field(thread, metatable, "__tostring", native::make(thread, &kToString));
    native::set_field(thread, metatable, "__index", native::make(thread, &kIndex));
  }
  return metatable;
}

}  // namespace

Value make_cancellation(ThreadState& thread, const Value& reason, bool is_timeout) {
  Table* metatable = cancellation_metatable(thread);
  Userdata* made = userdata::make(thread.heap(), sizeof(CancellationBlock), 1);
  made->metatable = metatable;
  made->user_values()[0] = reason;
  static_cast<CancellationBlock*>(made->block())->is_timeout = is_timeout;
  return Value::of(made);
}

bool is_cancellation(ThreadState& thread, const Value& error, bool* is_timeout) {
  if (error.tag != Tag::kUserdata || error.userdata()->metatable != cancellation_metatable(thread)) return false;
  if (is_timeout != nullptr) *is_timeout = static_cast<CancellationBlock*>(error.userdata()->block())->is_timeout;
  return true;
}

}  // namespace baton::sched
