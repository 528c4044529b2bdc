// How a task waits.
//
// The waiter stands in a queue, the task is parked. Three things end that: somebody made the waiter ready, the deadline
// came, or somebody asked something of the task (a cancellation) or of its native thread (SIGINT, which is the root task's
// affair): that one sets its flag first and wakes second, so nobody sleeps over it. All are looked at again when the task
// runs, in this order: ready first, because whoever made it ready has given something away (a lock) and nobody else will
// take it back; then what was asked, which may raise; the clock last.
//
// Waking means only "look again". Nothing is lost when a wake-up is left over or comes twice.
//
// Raising leaves through the Waiter's destructor, which takes it out of its queue: a cancelled wait has taken nothing.
//
// Cancellation is raised again at every later wait of the task, so that a pcall around the first cannot lose it; except
// while to-be-closed variables are being closed, whose closing may have to wait, for as long as grace lasts (scope.h).
#include "sched/wait.h"

#include <cmath>

#include "sched/native_thread.h"
#include "sched/scheduler.h"
#include "sched/scope.h"
#include "sync/released.h"
#include "vm/operations.h"
#include "vm/safepoint.h"

namespace baton::sched {
namespace {

constexpr double kLongestWaitSeconds = 4e9;

bool has_passed(std::int64_t deadline_ns) noexcept { return deadline_ns != kNoDeadline && monotonic_ns() >= deadline_ns; }

std::int64_t earlier(std::int64_t a, std::int64_t b) noexcept {
  if (a == kNoDeadline || b == kNoDeadline) return a == kNoDeadline ? b : a;
  return a < b ? a : b;
}

}  // namespace

std::int64_t look(ThreadState& thread) {
  vm::poll(thread);
  Task& task = current_task(thread);
  return BATON_LIKELY(!task.has_attention()) ? kNoDeadline : deliver_cancellation(thread, task);
}

// ---- queues ----

Waiter::Waiter(ThreadState& thread) noexcept : task_(&current_task(thread)) {}

Waiter::~Waiter() { leave(); }

void Waiter::leave() noexcept {
  if (queue_ != nullptr) queue_->remove(*this);
}

void Waiter::make_ready() noexcept {
  ready_ = true;
  if (task_ != nullptr) task_->wake();
  else notify_(*this);
}

void WaitQueue::push(Waiter& waiter) noexcept {
  waiter.queue_ = this;
  waiter.next_ = nullptr;
  waiter.previous_ = last_;
  (last_ != nullptr ? last_->next_ : first_) = &waiter;
  last_ = &waiter;
}

Waiter* WaitQueue::pop() noexcept {
  Waiter* waiter = first_;
  if (waiter != nullptr) remove(*waiter);
  return waiter;
}

void WaitQueue::remove(Waiter& waiter) noexcept {
  (waiter.previous_ != nullptr ? waiter.previous_->next_ : first_) = waiter.next_;
  (waiter.next_ != nullptr ? waiter.next_->previous_ : last_) = waiter.previous_;
  waiter.queue_ = nullptr;
  waiter.next_ = waiter.previous_ = nullptr;
}

void WaitQueue::wake_all() noexcept {
  const Waiter* last = last_;
  while (Waiter* waiter = pop()) {
    const bool was_last = waiter == last;
    waiter->make_ready();
    if (was_last) return;
  }
}

// ---- waiting ----

std::int64_t deadline_after(double seconds) noexcept {
  if (std::isnan(seconds) || seconds > kLongestWaitSeconds) return kNoDeadline;
  const std::int64_t now = monotonic_ns();
  return seconds <= 0 ? now : now + static_cast<std::int64_t>(std::ceil(seconds * 1e9));
}

bool may_not_wait(const ThreadState& thread) noexcept {
  return thread.gil_slot->hold_depth > 0 || vm::in_finalizer(thread) || !thread.current->hooks_allowed;
}

void refuse_where_waiting_is_forbidden(ThreadState& thread) {
  if (vm::in_finalizer(thread)) vm::raise_text(thread, "attempt to wait inside a finalizer");
  if (thread.gil_slot->hold_depth > 0) vm::raise_text(thread, "attempt to wait inside gil.hold");
  if (!thread.current->hooks_allowed) vm::raise_text(thread, "attempt to wait inside a hook");
}

void before_wait(ThreadState& thread) {
  Scheduler& scheduler = scheduler_of(thread);
  if (scheduler.is_turn_over() && !may_not_wait(thread)) scheduler.end_turn(thread);
  (void)look(thread);
}

WaitResult wait(ThreadState& thread, const Waiter& waiter, std::int64_t deadline_ns, const char* what) {
  for (;;) {
    if (waiter.is_ready()) return WaitResult::kReady;
    refuse_where_waiting_is_forbidden(thread);
    const std::int64_t look_at_ns = look(thread);
    if (waiter.is_ready()) return WaitResult::kReady;
    if (has_passed(deadline_ns)) return WaitResult::kTimedOut;
    scheduler_of(thread).park(thread, earlier(deadline_ns, look_at_ns), what, false);
  }
}

WaitResult wait_shielded(ThreadState& thread, const Waiter& waiter, std::int64_t deadline_ns, const char* what) {
  for (;;) {
    if (waiter.is_ready()) return WaitResult::kReady;
    if (has_passed(deadline_ns)) return WaitResult::kTimedOut;
    scheduler_of(thread).park(thread, deadline_ns, what, true);
  }
}

// ---- waiting without a machine stack ----

Waiter& ResumableWait::waiter() const noexcept { return current_task(call_.thread()).waiter_; }

void ResumableWait::resume() noexcept {
  resumed_ = begun_ = true;
  call_.coroutine()->frame->flags &= static_cast<std::uint16_t>(~kFrameIntrinsic);
  Task& task = current_task(call_.thread());
  task.scheduler_.end_park(task);
}

bool ResumableWait::may_leave() const noexcept {
  Coroutine* co = call_.coroutine();
  const Task& task = current_task(call_.thread());
  return (co->frame->flags & kFrameResumable) != 0 && co == task.root_ && !task.is_root() && call_.size() == call_.count() &&
         coroutine::needs_machine_stack_for_native_only(co);
}

// A finalizer or a hook that runs while the task waits is refused here, before it could touch the waiter.
Waiter& ResumableWait::begin(std::int64_t deadline_ns) {
  refuse_where_waiting_is_forbidden(call_.thread());
  Task& task = current_task(call_.thread());
  BATON_DCHECK(!task.waiter_.is_queued());
  task.waiter_.reset();
  task.wait_ends_ns_ = deadline_ns;
  begun_ = true;
  return task.waiter_;
}

WaitResult ResumableWait::wait(const char* what) {
  ThreadState& thread = call_.thread();
  Task& task = current_task(thread);
  for (;;) {
    if (task.waiter_.is_ready()) return WaitResult::kReady;
    refuse_where_waiting_is_forbidden(thread);
    const std::int64_t look_at_ns = look(thread);
    if (task.waiter_.is_ready()) return WaitResult::kReady;
    if (has_passed(task.wait_ends_ns_)) return WaitResult::kTimedOut;
    const std::int64_t until_ns = earlier(task.wait_ends_ns_, look_at_ns);
    if (!may_leave()) {
      task.scheduler_.park(thread, until_ns, what, false);
    } else if (task.scheduler_.begin_park(thread, until_ns, what, false)) {
      call_.coroutine()->frame->flags |= kFrameIntrinsic;
      begun_ = false;  // the waiter stays in its queue
      return WaitResult::kLeft;
    }
  }
}

int ResumableWait::checkpoint() {
  ThreadState& thread = call_.thread();
  refuse_where_waiting_is_forbidden(thread);
  (void)look(thread);
  Task& task = current_task(thread);
  CallFrame* frame = call_.coroutine()->frame;
  if (may_leave() && (frame->flags & kFrameEntry) == 0 && task.scheduler_.begin_rotation(thread)) {
    frame->flags = kFrameNative | kFrameIntrinsic;
    return kNativeWaits;
  }
  task.scheduler_.rotate(thread);
  (void)look(thread);
  return 0;
}

void park(ThreadState& thread, std::int64_t deadline_ns, const char* what) {
  refuse_where_waiting_is_forbidden(thread);
  scheduler_of(thread).park(thread, deadline_ns, what, false);
}

void sleep_task_until(ThreadState& thread, std::int64_t deadline_ns, const char* what) {
  for (;;) {
    const std::int64_t look_at_ns = look(thread);
    if (has_passed(deadline_ns)) return;
    park(thread, earlier(deadline_ns, look_at_ns), what);
  }
}

void checkpoint(ThreadState& thread) {
  refuse_where_waiting_is_forbidden(thread);
  (void)look(thread);
  scheduler_of(thread).rotate(thread);
  (void)look(thread);
}

void sleep_until(ThreadState& thread, std::int64_t deadline_ns, const char* what) {
  for (;;) {
    (void)look(thread);
    if (has_passed(deadline_ns)) return;
    Released released(thread.shared.gil, thread.gil_slot, what);
    (void)native_thread_of(thread).parker().park(deadline_ns);
  }
}

}  // namespace baton::sched
