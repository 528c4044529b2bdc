// Handing over and deadlocks.
//
// A lock that is released while others wait is given to the first of them at once: it never becomes free in between, so
// nobody overtakes, and the waiter finds itself the holder when it wakes. That a woken thread first has to get the GIL is
// the price of order.
//
// Deadlock. Every thread that waits for a lock without a deadline says so (`awaited_lock`). Before one begins to wait it
// follows holder -> awaited lock -> holder ... ; if that leads back to itself, waiting would never end, and it raises
// instead: it is the last that can, since the others already sleep. A wait with a deadline breaks the circle.
#include "sched/lock.h"

#include <string>

#include "sched/native_thread.h"
#include "sched/thread_group.h"
#include "vm/operations.h"
#include "vm/traceback.h"

namespace baton::sched {
namespace {

Task* find_task(SharedState& shared, std::uint64_t id) noexcept {
  Task* found = nullptr;
  for (NativeThread* thread : group_of(shared).threads()) {
    if (thread->root_task().id() == id) return &thread->root_task();
    thread->scheduler().for_each_task([&](Task& task) {
      if (task.id() == id) found = &task;
    });
  }
  return found;
}

// "'name' at chunk:line" of a native thread's body, or "task 7 at chunk:line"
std::string place_of(Task& task) {
  ThreadState& state = task.scheduler().owner().state();
  std::string text = task.is_root() ? "'" + state.name + "'" : "task " + std::to_string(task.id());
  const std::string position = vm::position_of(task.leaf());
  return position.empty() ? text : text + " at " + position;
}

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
  if (deadline_ns == kNoDeadline) check_for_deadlock(thread);
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

void Lock::check_for_deadlock(ThreadState& thread) const {
  Task& self = current_task(thread);
  if (is_held_by(thread)) {
    vm::raise_text(thread, self.is_root() ? "deadlock: the lock is held by the native thread that waits for it"
                                          : "deadlock: the lock is held by the task that waits for it");
  }
  std::string circle = std::string("deadlock: ") + (self.is_root() ? "native thread " : "") + place_of(self);
  for (const Lock* lock = this; lock != nullptr;) {
    Task* holder = find_task(thread.shared, lock->holder_);
    if (holder == nullptr) return;
    circle += " waits for " + place_of(*holder);
    if (holder == &self) vm::raise_text(thread, circle);
    circle += ", which";
    lock = holder->awaited_lock();
  }
}

}  // namespace baton::sched
