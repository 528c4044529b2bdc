// A task: a body that its native thread's scheduler runs until it waits. Every native thread's body is one, its root task.
//
// Invariants
//  - A task belongs to one scheduler for life. It is new, ready (in the scheduler's queue), running (at most one per native
//    thread), parked, or ended. Only the scheduler changes that; others call `wake` and `cancel`.
//  - `root` is the coroutine of its body, `leaf` the one that ran when it was left: equal, unless the body was inside a
//    coroutine. Results stay the last `result_count` values of root's stack; an error is root's `error`.
//  - A spawned task lives in the block of its userdata, which is a root of the collector until the task has ended. A root
//    task lives in its NativeThread and has no userdata.
//  - Locks are owned by tasks: compare addresses while a task lives, ids (never used twice) beyond that.
// Owner: its userdata, or its native thread. Threading: under the GIL.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "sched/awaitable.h"
#include "sched/timers.h"
#include "value/coroutine.h"
#include "value/userdata.h"
#include "vm/thread_state.h"

namespace baton::sched {

class Lock;
class Scheduler;
class Scope;

enum class TaskState : std::uint8_t { kNew, kReady, kRunning, kParked, kEnded };

class Task final : public Awaitable {
 public:
  // What a spawned task's userdata keeps in its user values.
  enum Slot : std::uint8_t { kRoot, kReason, kStorage, kScope, kName, kSpawner, kSlotCount };

  Task(Scheduler& scheduler, Coroutine* root, std::uint64_t id, std::uint64_t parent_id) noexcept;
  ~Task();
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;

  Scheduler& scheduler() const noexcept { return scheduler_; }
  std::uint64_t id() const noexcept { return id_; }
  std::uint64_t parent_id() const noexcept { return parent_id_; }  // who spawned it; 0: nobody
  TaskState state() const noexcept { return state_; }
  bool is_root() const noexcept;
  Coroutine* root() const noexcept { return root_; }
  // Where it stands: the coroutine that runs, or ran when it was left.
  Coroutine* leaf() const noexcept;
  // Whether it is parked where neither cancellations nor interrupts reach it.
  bool is_shielded() const noexcept { return is_shielded_; }
  // The operation in which it is parked, or null.
  const char* awaits() const noexcept { return awaits_; }

  // The script's object; null for a root task.
  Userdata* handle() const noexcept { return handle_; }
  void set_handle(Userdata* handle) noexcept { handle_ = handle; }

  // The lock that it waits for without a deadline, or null.
  const Lock* awaited_lock() const noexcept { return awaited_lock_; }
  void set_awaited_lock(const Lock* lock) noexcept { awaited_lock_ = lock; }

  // Makes a parked task ready; a running or ready one will not park the next time. Any native thread. Raises: nothing.
  void wake() noexcept;

  // Asks it to end: `reason` is raised at its next waiting point, and at every later one. Raises: nothing.
  void cancel(const Value& reason) noexcept;
  bool is_cancelled() const noexcept { return is_cancelled_; }
  const Value& cancel_reason() const noexcept { return cancel_reason_; }
  // Whether it must look for a cancellation at its next waiting point. See scope.h.
  bool has_attention() const noexcept { return attention_; }
  void clear_attention() noexcept { attention_ = false; }
  // The innermost scope that it has entered, the nursery that owns it; each may be null.
  Scope* scope() const noexcept { return scope_; }
  Scope* owner() const noexcept { return owner_; }
  // The innermost nursery that it has entered, or else its owner; null: none.
  Scope* nursery() const noexcept;

  // Where it was spawned: the function in user value kSpawner, and the next instruction there.
  void set_spawned_at(const Instruction* pc) noexcept { spawned_at_ = pc; }
  const Instruction* spawned_at() const noexcept { return spawned_at_; }

  // Its outcome. A traceback of the error that ended it; empty if there is none.
  int result_count() const noexcept { return result_count_; }
  void set_result_count(int count) noexcept { result_count_ = count; }
  const std::string& report() const noexcept { return report_ != nullptr ? *report_ : kNoReport; }
  void set_report(std::string&& report);  // Raises: std::bad_alloc
  // What is known of how an error came about that passes through this task: a traceback of other tasks or coroutines. It
  // goes in front of the task's own. Raises: std::bad_alloc.
  void remember_story(const Value& error, std::string&& text);
  // The story of `error`, or "". Raises: nothing.
  std::string_view story_of(const Value& error) const noexcept;

  // Somebody takes its results or error: nothing will be reported. Raises: nothing.
  void mark_collected() noexcept;
  bool is_collected() const noexcept { return is_collected_; }

 private:
  friend class Scheduler;
  friend class ThreadGroup;
  friend class Scope;
  friend class ResumableWait;
  friend struct Reach;
  friend void spread_attention(Task& task) noexcept;
  void attend() noexcept;
  void spread_attention() noexcept;
  static const std::string kNoReport;
  // The end of a wait with a deadline: wakes the task.
  struct Alarm final : Timer {
    explicit Alarm(Task& waiting) noexcept : Timer(ring), task(waiting) {}
    static void ring(Timer& timer) noexcept { static_cast<Alarm&>(timer).task.wake(); }
    Task& task;
  };

  // What a switch touches stands first.
  Scheduler& scheduler_;
  Coroutine* root_;
  Coroutine* leaf_;
  Value pending_;  // the thread's, while others run
  const char* awaits_ = nullptr;
  int handler_depth_ = 0;  // the thread's, while others run
  TaskState state_ = TaskState::kNew;
  bool woken_ = false;
  bool is_shielded_ = false;  // parked where nothing is delivered
  bool attention_ = false;
  bool is_cancelled_ = false;
  bool is_collected_ = false;
  bool is_daemon_ = false;
  Alarm timer_;
  Waiter waiter_;  // of a native that may leave its machine stack while it waits: ResumableWait
  std::int64_t wait_ends_ns_ = 0;  // that wait's deadline
  Scope* scope_ = nullptr;
  const Lock* awaited_lock_ = nullptr;
  Userdata* handle_ = nullptr;
  Task* next_ = nullptr;  // of the scheduler's live tasks, or of those that failed
  Task** previous_ = nullptr;
  Scope* owner_ = nullptr;
  Task* next_sibling_ = nullptr;  // children of the owner
  Task** previous_sibling_ = nullptr;
  Task* next_work_ = nullptr;     // spreading attention
  const Instruction* spawned_at_ = nullptr;
  std::int64_t grace_ends_ns_ = 0;  // its own cancellation's; 0: not needed yet
  std::unique_ptr<std::string> report_;
  struct Story {
    Value error;
    std::string text;
  };
  std::unique_ptr<Story> story_;
  Value cancel_reason_;
  std::uint64_t id_;
  std::uint64_t parent_id_;
  int argument_count_ = 0;
  int result_count_ = 0;
};

// The running task of the native thread. Raises: nothing.
Task& current_task(ThreadState& thread) noexcept;

}  // namespace baton::sched
