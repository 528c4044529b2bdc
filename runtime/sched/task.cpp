#include "sched/task.h"

#include <algorithm>

#include "sched/scheduler.h"
#include "sched/native_thread.h"
#include "sched/scope.h"
#include "sched/thread_group.h"

namespace baton::sched {

const std::string Task::kNoReport;

Task::Task(Scheduler& scheduler, Coroutine* root, std::uint64_t id, std::uint64_t parent_id) noexcept
    : scheduler_(scheduler), root_(root), leaf_(root), timer_(*this), waiter_(*this), id_(id), parent_id_(parent_id) {}

Task::~Task() { mark_collected(); }

bool Task::is_root() const noexcept { return this == &scheduler_.root(); }

Coroutine* Task::leaf() const noexcept {
  const bool runs = state_ == TaskState::kRunning && &scheduler_.current() == this;
  return runs ? scheduler_.owner().state().current : leaf_;
}

void Task::wake() noexcept {
  if (state_ == TaskState::kParked) scheduler_.make_ready(*this);
  else woken_ = true;
}

void Task::cancel(const Value& reason) noexcept {
  if (has_ended() || is_cancelled_) return;
  cancel_reason_ = reason;
  is_cancelled_ = true;
  if (handle_ != nullptr) {
    handle_->user_values()[kReason] = reason;
    scheduler_.owner().state().heap().barrier(handle_, reason);
  }
  spread_attention();
}

Scope* Task::nursery() const noexcept {
  Scope* scope = scope_;
  while (scope != nullptr && scope->kind() != ScopeKind::kNursery) scope = scope->parent();
  return scope != nullptr ? scope : owner_;
}

void Task::set_report(std::string&& report) { report_ = std::make_unique<std::string>(std::move(report)); }

void Task::remember_story(const Value& error, std::string&& text) {
  story_ = std::make_unique<Story>(Story{error, std::move(text)});
}

std::string_view Task::story_of(const Value& error) const noexcept {
  if (story_ == nullptr || !raw_equal(story_->error, error)) return {};
  return story_->text;
}

void Task::mark_collected() noexcept {
  is_collected_ = true;
  if (status() == ThreadStatus::kFailed && previous_ != nullptr) {  // it stands among the failed
    *previous_ = next_;
    if (next_ != nullptr) next_->previous_ = previous_;
    next_ = nullptr;
    previous_ = nullptr;
  }
}

Task& current_task(ThreadState& thread) noexcept { return scheduler_of(thread).current(); }

}  // namespace baton::sched
