// Two ways to find out that waiting cannot end.
//
// A circle of locks. Every task that waits for a lock without a deadline says so (`awaited_lock`). Before one begins to wait
// it follows holder -> awaited lock -> holder ... ; if that leads back to itself, waiting would never end, and it raises
// instead: it is the last that can, since the others already sleep. A wait with a deadline breaks the circle. The others of
// the circle go on as soon as the error has released what its task holds.
//
// A stall. A condition that nobody notifies, a queue that nobody fills, two threads that join each other: no owner can be
// followed there, but in the end every native thread sleeps. The group counts those that idle; only who makes the count
// complete looks closer, so an idle thread among busy ones costs one comparison. A thread that was notified but has not run
// yet does not count as idle any more (whoever readies a task clears that), so what looks like a stall under the GIL is one.
// The error goes to the main task, which unlike the others always has somebody who reads its message; it names all waiters.
// The main task may catch it and change things; if it waits again and nothing has changed, it gets it again.
#include "sched/deadlock.h"

#include <new>

#include "sched/lock.h"
#include "sched/native_thread.h"
#include "sched/thread_group.h"
#include "vm/operations.h"
#include "vm/traceback.h"

namespace baton::sched {
namespace {

constexpr int kMostWaitersNamed = 32;

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

// One line for each task that waits; beyond a number only how many.
class WaiterList {
 public:
  void add(Task& task) {
    if (task.state() != TaskState::kParked) return;
    if (++count_ > kMostWaitersNamed) return;
    text_ += "\n\t" + place_of(task);
    if (task.awaits() != nullptr) text_ += std::string(" waits in ") + task.awaits();
  }
  std::string text() const {
    if (count_ <= kMostWaitersNamed) return text_;
    return text_ + "\n\tand " + std::to_string(count_ - kMostWaitersNamed) + " more";
  }

 private:
  std::string text_;
  int count_ = 0;
};

std::string describe_stall(SharedState& shared) {
  WaiterList waiters;
  for (NativeThread* thread : group_of(shared).threads()) {
    waiters.add(thread->root_task());
    thread->scheduler().for_each_task([&](Task& task) { waiters.add(task); });
  }
  return "deadlock: all native threads and tasks wait, and nothing is left that could wake one:" + waiters.text();
}

}  // namespace

std::string place_of(Task& task) {
  ThreadState& state = task.scheduler().owner().state();
  std::string text = task.is_root() ? "'" + state.name + "'" : "task " + std::to_string(task.id());
  if (task.handle() != nullptr) {
    const Value& name = task.handle()->user_values()[Task::kName];
    if (name.is_string()) text += " '" + std::string(name.string()->view()) + "'";
  }
  const std::string position = vm::position_of(task.leaf());
  return position.empty() ? text : text + " at " + position;
}

void check_for_circle(ThreadState& thread, const Lock& awaited) {
  Task& self = current_task(thread);
  if (awaited.is_held_by(thread)) {
    vm::raise_text(thread, self.is_root() ? "deadlock: the lock is held by the native thread that waits for it"
                                          : "deadlock: the lock is held by the task that waits for it");
  }
  std::string circle = std::string("deadlock: ") + (self.is_root() ? "native thread " : "") + place_of(self);
  for (const Lock* lock = &awaited; lock != nullptr;) {
    Task* holder = find_task(thread.shared, lock->holder());
    if (holder == nullptr) return;
    circle += " waits for " + place_of(*holder);
    if (holder == &self) vm::raise_text(thread, circle);
    circle += ", which";
    lock = holder->awaited_lock();
  }
}

void notice_stall(ThreadState& thread) noexcept {
  ThreadGroup& group = group_of(thread.shared);
  if (!group.is_stuck()) return;
  Task& main_task = native_thread_of(*thread.shared.main_thread).root_task();
  try {
    group.set_stall(describe_stall(thread.shared));
  } catch (const std::bad_alloc&) {
    return;  // it sleeps on; the next to idle tries again
  }
  spread_attention(main_task);
}

void raise_stall(ThreadState& thread, Task& task) {
  if (!task.is_root() || &thread != thread.shared.main_thread) return;
  const std::string stall = group_of(thread.shared).take_stall();
  if (!stall.empty()) vm::raise_text(thread, stall);
}

}  // namespace baton::sched
