// How a native thread waits.
//
// The waiter stands in a queue, the thread sleeps in its parker without the GIL. Three things end the sleep: somebody made
// the waiter ready, the deadline came, or somebody asked something of the thread (a cancellation, SIGINT): that one sets
// the interrupt word first and the parker second, so the thread never sleeps over it. All are looked at again under the
// GIL, in this order: ready first, because whoever made it ready has given something away (a lock) and nobody else will
// take it back; then what was asked, which may raise; the clock last.
//
// A notification of the parker means only "look again". Nothing is lost when one is left over or comes twice.
//
// Raising leaves through the Waiter's destructor, which takes it out of its queue: a cancelled wait has taken nothing.
//
// Cancellation is raised again at every later wait of the thread, so that a pcall around the first cannot lose it; except
// while to-be-closed variables are being closed, whose closing may have to wait.
#include "sched/wait.h"

#include <cmath>

#include "sched/native_thread.h"
#include "sync/released.h"
#include "vm/operations.h"
#include "vm/safepoint.h"

namespace baton::sched {
namespace {

constexpr double kLongestWaitSeconds = 4e9;

void refuse_where_waiting_is_forbidden(ThreadState& thread) {
  if (vm::in_finalizer(thread)) vm::raise_text(thread, "attempt to wait inside a finalizer");
  if (thread.gil_slot->hold_depth > 0) vm::raise_text(thread, "attempt to wait inside gil.hold");
}

// Whether the running coroutine, or one that resumed it, is closing variables.
bool is_closing(const ThreadState& thread) noexcept {
  for (const Coroutine* co = thread.current; co != nullptr; co = co->resumer) {
    for (const CallFrame* frame = co->frame; frame > co->frames; --frame) {
      if ((frame->flags & kFrameClosing) != 0) return true;
    }
  }
  return false;
}

bool has_passed(std::int64_t deadline_ns) noexcept { return deadline_ns != kNoDeadline && monotonic_ns() >= deadline_ns; }

void park(ThreadState& thread, std::int64_t deadline_ns, const char* what) noexcept {
  Released released(thread.shared.gil, thread.gil_slot, what);
  (void)native_thread_of(thread).parker().park(deadline_ns);
}

}  // namespace

// ---- queues ----

Waiter::~Waiter() {
  if (queue_ != nullptr) queue_->remove(*this);
}

void Waiter::make_ready() noexcept {
  ready_ = true;
  thread_.parker().unpark();
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
  while (Waiter* waiter = pop()) waiter->make_ready();
}

// ---- waiting ----

std::int64_t deadline_after(double seconds) noexcept {
  if (std::isnan(seconds) || seconds > kLongestWaitSeconds) return kNoDeadline;
  const std::int64_t now = monotonic_ns();
  return seconds <= 0 ? now : now + static_cast<std::int64_t>(std::ceil(seconds * 1e9));
}

void before_wait(ThreadState& thread) {
  vm::poll(thread);
  if (BATON_UNLIKELY(native_thread_of(thread).is_cancelled()) && !vm::in_finalizer(thread) && !is_closing(thread)) {
    vm::raise_value(thread, thread.cancel_reason);
  }
}

WaitResult wait(ThreadState& thread, const Waiter& waiter, std::int64_t deadline_ns, const char* what) {
  for (;;) {
    if (waiter.is_ready()) return WaitResult::kReady;
    refuse_where_waiting_is_forbidden(thread);
    before_wait(thread);
    if (waiter.is_ready()) return WaitResult::kReady;
    if (has_passed(deadline_ns)) return WaitResult::kTimedOut;
    park(thread, deadline_ns, what);
  }
}

void sleep_until(ThreadState& thread, std::int64_t deadline_ns, const char* what) {
  for (;;) {
    before_wait(thread);
    if (has_passed(deadline_ns)) return;
    park(thread, deadline_ns, what);
  }
}

}  // namespace baton::sched
