// Handing over.
//
// A lock that is released while others wait is given to the first of them at once: it never becomes free in between, so
// nobody overtakes, and the waiter finds itself the holder when it wakes. That a woken thread first has to get the GIL is
// the price of order.
// A wait that could never end is refused before it begins: deadlock.h.
#include "sched/lock.h"

#include "sched/deadlock.h"

namespace baton::sched {
namespace {

// Says for as long as it lives what the task waits for.
class Awaiting {
 public:
  Awaiting(Task& task, const Lock* lock) noexcept : task_(task) { task.set_awaited_lock(lock); }
  ~Awaiting() { task_.set_awaited_lock(nullptr); }
  Awaiting(const Awaiting&) = delete;
  Awaiting& operator=(const Awaiting&) = delete;

 private:
  Task& task_;
};

}  // namespace

bool Lock::try_acquire(ThreadState& thread) noexcept {
  if (is_locked()) {
    if (!is_reentrant_ || !is_held_by(thread)) return false;
    ++depth_;
    return true;
  }
  holder_ = current_task(thread).id();
  depth_ = 1;
  serial_ = ++last_serial_;
  return true;
}

WaitResult Lock::acquire(ThreadState& thread, std::int64_t deadline_ns) {
  if (try_acquire(thread)) return WaitResult::kReady;
  if (deadline_ns == kNoDeadline) check_for_circle(thread, *this);
  Task& self = current_task(thread);
  const Awaiting awaiting(self, deadline_ns == kNoDeadline ? this : nullptr);
  Waiter waiter(self);
  waiters_.push(waiter);
  return wait(thread, waiter, deadline_ns, "lock.acquire");
}

void Lock::release() noexcept {
  if (--depth_ > 0) return;
  Waiter* next = waiters_.pop();
  holder_ = 0;
  if (next == nullptr) return;
  depth_ = 1;
  holder_ = next->task().id();
  serial_ = ++last_serial_;
  next->task().set_awaited_lock(nullptr);  // it has it, though it has not run yet
  next->make_ready();
}

Lock::Acquisition Lock::release_all() noexcept {
  const Acquisition acquisition{serial_, depth_};
  depth_ = 1;
  release();
  return acquisition;
}

void Lock::take_back(ThreadState& thread, const Acquisition& acquisition) noexcept {
  if (!try_acquire(thread)) {
    Task& self = current_task(thread);
    const Awaiting awaiting(self, this);
    Waiter waiter(self);
    waiters_.push(waiter);
    (void)wait_shielded(thread, waiter, kNoDeadline, "lock.acquire");
  }
  serial_ = acquisition.serial;
  depth_ = acquisition.depth;
}

}  // namespace baton::sched
