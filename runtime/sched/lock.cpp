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

NativeThread* find_thread(SharedState& shared, std::uint32_t id) noexcept {
  for (NativeThread* thread : group_of(shared).threads()) {
    if (thread->state().id == id) return thread;
  }
  return nullptr;
}

// " 'name' at chunk:line"
std::string place_of(NativeThread& thread) {
  ThreadState& state = thread.state();
  std::string text = " '" + state.name + "'";
  for (int level = 0; vm::frame_at(state.current, level) != nullptr; ++level) {
    std::string position = vm::where(state, level);
    if (position.empty()) continue;
    return text + " at " + position.substr(0, position.size() - 2);
  }
  return text;
}

// Says for as long as it lives what the thread waits for.
class Awaiting {
 public:
  Awaiting(NativeThread& thread, const Lock* lock) noexcept : thread_(thread) { thread.set_awaited_lock(lock); }
  ~Awaiting() { thread_.set_awaited_lock(nullptr); }
  Awaiting(const Awaiting&) = delete;
  Awaiting& operator=(const Awaiting&) = delete;

 private:
  NativeThread& thread_;
};

}  // namespace

bool Lock::try_acquire(ThreadState& thread) noexcept {
  if (is_locked()) return false;
  holder_ = thread.id;
  ++serial_;
  return true;
}

WaitResult Lock::acquire(ThreadState& thread, std::int64_t deadline_ns) {
  if (try_acquire(thread)) return WaitResult::kReady;
  if (deadline_ns == kNoDeadline) check_for_deadlock(thread);
  NativeThread& self = native_thread_of(thread);
  const Awaiting awaiting(self, deadline_ns == kNoDeadline ? this : nullptr);
  Waiter waiter(self);
  waiters_.push(waiter);
  return wait(thread, waiter, deadline_ns, "lock.acquire");
}

void Lock::release() noexcept {
  Waiter* next = waiters_.pop();
  holder_ = 0;
  if (next == nullptr) return;
  holder_ = next->thread().state().id;
  ++serial_;
  next->thread().set_awaited_lock(nullptr);  // it has it, though it has not run yet
  next->make_ready();
}

void Lock::check_for_deadlock(ThreadState& thread) const {
  if (is_held_by(thread)) vm::raise_text(thread, "deadlock: the lock is held by the native thread that waits for it");
  std::string circle = "deadlock: native thread" + place_of(native_thread_of(thread));
  std::size_t steps = group_of(thread.shared).threads().size();
  for (const Lock* lock = this; lock != nullptr && steps > 0; --steps) {
    NativeThread* holder = find_thread(thread.shared, lock->holder_);
    if (holder == nullptr) return;
    circle += " waits for" + place_of(*holder);
    if (&holder->state() == &thread) vm::raise_text(thread, circle);
    circle += ", which";
    lock = holder->awaited_lock();
  }
}

}  // namespace baton::sched
