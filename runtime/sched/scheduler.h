// The tasks of one native thread: which is ready, which runs, and what the thread does when none can.
//
// Invariants
//  - Exactly one task is current. Its fiber runs, or the thread idles on the native thread's own stack, or on the stack of
//    that task (a thread without an event source sleeps in its parker wherever it is: no switch).
//  - A switch goes from the task that is left straight to the fiber of the next; no allocation, no system call. If neither needs
//    a machine stack while it waits, the fiber is handed over instead (vm/task_turns.h).
//  - A task has a fiber while it runs, and while it waits with frames of natives on its machine stack; others have none.
//  - The ready queue is first in, first out. A task that is woken by its own native thread costs a few stores; another
//    native thread's is notified only while that one idles.
//  - Events and timers are served after 64 switches or a millisecond at the latest, also while tasks are always ready.
// Owner: its NativeThread. Threading: under the GIL, except `post`.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/cycle_clock.h"
#include "fiber/context.h"
#include "sched/completion.h"
#include "sched/event_source.h"
#include "sched/ready_queue.h"
#include "sched/task.h"
#include "sched/timers.h"

namespace baton::sched {

class NativeThread;
struct Fiber;

class Scheduler {
 public:
  // Its root task runs, as it were; `adopt_root` completes it.
  explicit Scheduler(NativeThread& owner);  // Raises: std::bad_alloc
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  NativeThread& owner() const noexcept { return owner_; }
  Task& current() noexcept { return *current_; }
  Task& root() noexcept { return root_; }
  void adopt_root(Coroutine* root, std::uint64_t id) noexcept;
  bool is_current_root() const noexcept { return current_ == &root_; }
  // The table of async.storage() in the root task; nil until somebody asks for it. Other tasks keep theirs in their handle.
  Value& root_storage() noexcept { return root_storage_; }

  // A new task of this scheduler, made by any native thread: its userdata, with no metatable yet, to be rooted by the caller.
  // Push the arguments with `add_argument`, then `start`. `parent` is who spawns it. Raises: kMemory.
  Userdata* create(ThreadState& caller, const Value& function, Task& parent);
  void add_argument(Task& task, const Value& v);  // Raises: kMemory, kStackOverflow
  // Makes a new task ready; the scheduler keeps it until it has ended. Raises: nothing.
  void start(Task& task) noexcept;

  // As wait.h says of the free functions. Called by the current task.
  void park(ThreadState& thread, std::int64_t deadline_ns, const char* what, bool shielded);
  void rotate(ThreadState& thread);
  // SharedState::leave_task: makes another task the running one in place of the current one, whose coroutine's innermost frame
  // is an intrinsic's and which `begin_park` or `begin_rotation` has prepared. Returns: from where to where to switch; `to` null:
  // nowhere, the running machine stack is that task's now. Raises: nothing.
  struct Switch {
    FiberContext* from;
    FiberContext* to;
  };
  Switch leave_current(ThreadState& thread) noexcept;
  // What SharedState::leave_task returns where no machine stack was left.
  SwitchRecord nothing_left() noexcept { return {nullptr, &left_nowhere_}; }
  // The current task is to be left as ready, in a checkpoint. Returns: false if this is no common case; then nothing was done.
  bool begin_rotation(ThreadState& thread) noexcept;
  // The current task is to be left until Task::wake or the deadline. Returns: false if it is to look again at once.
  // Raises: std::bad_alloc, if there is a deadline; then nothing has happened.
  bool begin_park(ThreadState& thread, std::int64_t deadline_ns, const char* what, bool shielded);
  // Behind it, when the task runs again. Raises: nothing.
  void end_park(Task& task) noexcept;
  // SharedState::complete_arrival.
  void complete_arrival(ThreadState& thread) noexcept;
  // SharedState::begin_task.
  int begin_body();
  // Whether the current task has gone on for so long without waiting that others must run.
  bool is_turn_over() noexcept {
    return BATON_UNLIKELY(--points_left_ <= 0) || BATON_UNLIKELY(is_turn_time_over());
  }
  // Lets others run if there are any, and begins a new turn.
  void end_turn(ThreadState& thread);

  // For a host that drives the loop: serves events and lets each ready task run once; if there was nothing to do, waits until
  // something happens or the deadline. Called by the root task. Raises: as sched::wait.
  void take_turn(ThreadState& thread, std::int64_t deadline_ns);
  // Whether the native thread is out of all calls, so that whoever readies one of its tasks must notify its event source.
  void set_outside(bool outside) noexcept { set_idle(outside); }
  // When the next timer is due, kNoDeadline: none. The caller holds the GIL.
  std::int64_t next_deadline() const noexcept { return timers_.next_deadline(); }

  // The root task is to deal with an interrupt now: switches to it if it is parked. Called by another task at a safepoint.
  void run_root_now(ThreadState& thread);

  // Arms and disarms timers of this thread; see TimerHeap.
  TimerHeap& timers() noexcept { return timers_; }

  // All tasks that were started and have not ended, the root task not among them.
  std::size_t task_count() const noexcept { return task_count_; }
  // Those of them for which the thread's end waits.
  std::size_t keeping_count() const noexcept { return task_count_ - daemon_count_; }
  // The thread's end does not wait for `task`, which is one of this scheduler's and has not ended. Raises: nothing.
  void make_daemon(Task& task) noexcept;
  // It does wait for it again; the task has not ended. Raises: nothing.
  void keep(Task& task) noexcept;
  template <class Visit>
  void for_each_task(Visit visit) {
    for (Task* task = tasks_; task != nullptr;) {
      Task* next = task->next_;
      visit(*task);
      task = next;
    }
  }
  // Who waits until no task is left, or none but daemons.
  WaitQueue& enders() noexcept { return enders_; }
  // Unwinds every task, running no script code; waits for their ends. Called by the root task. Raises: nothing.
  void stop_tasks(ThreadState& thread) noexcept;
  bool is_stopping() const noexcept { return is_stopping_; }
  // The root task's body has ended: what failed in the scopes that it left open is reported at last, their other children run on
  // without an owner. The caller holds the GIL. Raises: nothing.
  void leave_scopes_of_root() noexcept;

  // Where the thread sleeps from now on; null: in its parker. Must outlive its use. Raises: nothing.
  void set_events(EventSource* events) noexcept { events_.store(events, std::memory_order_release); }
  EventSource* events() const noexcept { return events_.load(std::memory_order_relaxed); }
  // Whether the thread sleeps, or is about to, because none of its tasks can run.
  bool is_idle() const noexcept { return idle_; }
  // Whether only other native threads could wake it: idle, no timer, no active event source, nothing asked of it.
  bool is_stuck() const noexcept;
  std::uint64_t polls() const noexcept { return polls_; }
  std::size_t ready_count() const noexcept { return ready_.size(); }
  // The userdata of one of its tasks has been collected.
  void note_destroyed() noexcept { --made_count_; }

  // Calls `function(context)` on the native thread's own stack, for libraries that may need more than a fiber has. It runs no
  // script code and reaches no safepoint; it may give the GIL up. Called by the current task. Raises: nothing.
  void call_natively(ThreadState& thread, void (*function)(void* context) noexcept, void* context) noexcept;

  // Whether somebody looks on, who then is told of every change. Raises: nothing.
  void set_observed(bool observed) noexcept;
  // Whether a task could run now: one is ready, a timer is due or a completion was posted. The caller holds the GIL.
  bool has_work() noexcept {
    return !ready_.empty() || posted_.load(std::memory_order_relaxed) != nullptr ||
           (timers_.size() > 0 && timers_.next_deadline() <= monotonic_ns());
  }

  // Completion::post.
  void post(Completion& completion) noexcept;

  // Behind an arrival on the native stack: frees a fiber that ended. Returns: whether the root task's body has ended.
  bool arrive_natively(const Arrival& arrival) noexcept;
  // On the native stack: finds the next task, sleeping if need be, makes it current. Returns: its context.
  FiberContext& next_natively(ThreadState& thread) noexcept;

  void mark(Heap& heap) noexcept;

 private:
  friend class Task;
  static constexpr int kPointsPerTurn = 64;
  static constexpr int kSwitchesPerService = 64;
  static constexpr int kPointsPerClock = 8;
  static constexpr std::uint64_t kNotTimed = 0;
#if BATON_TSAN
  static constexpr std::uint64_t kTurnCycles = 10 * kCyclesBelowMillisecond;
#else
  static constexpr std::uint64_t kTurnCycles = kCyclesBelowMillisecond;
#endif

  // Whether a turn's time has passed since `since`. The clock costs as much as a switch, so it is read at one point in eight;
  // at every one as long as eight points take longer than an eighth of a turn.
  bool is_time_over(std::uint64_t since) noexcept { return has_read_clock() && clock_read_at_ - since > kTurnCycles; }
  // A turn is timed from the first of its points at which the clock is read. So the first waiting point of a turn never ends it:
  // tasks that wait at once come to wait in the order in which they run, whatever ran before them for however long.
  bool is_turn_time_over() noexcept {
    if (!has_read_clock()) return false;
    if (turn_began_ == kNotTimed) turn_began_ = clock_read_at_;
    return clock_read_at_ - turn_began_ > kTurnCycles;
  }
  bool has_read_clock() noexcept {
    if (BATON_LIKELY(--points_to_clock_ > 0)) return false;
    const std::uint64_t now = cycle_clock();
    points_to_clock_ = now - clock_read_at_ > kTurnCycles / 8 ? 1 : kPointsPerClock;
    clock_read_at_ = now;
    return true;
  }
  static Departure take_turns(FiberContext& self, Arrival first) noexcept;
  void run_body(ThreadState& thread) noexcept;
  ThreadStatus run_to_end(ThreadState& thread) noexcept;
  static bool is_own_cancellation(ThreadState& thread, const Task& task) noexcept;
  static void close_scopes(ThreadState& thread, Task& task) noexcept;
  static void give_up_failures(ThreadState& thread, Scope& scope) noexcept;
  void settle_with_owner(Task& task) noexcept;
  void retire(Task& task) noexcept;
  FiberContext* leave_ended(ThreadState& thread, Fiber& fiber) noexcept;

  void observe_start(Task& task) noexcept;
  void observe_stop(ThreadState& thread, Task& task) noexcept;
  void make_ready(Task& task) noexcept;
  void push_ready(Task& task) noexcept;
  Task* pop_ready(bool gives_stack) noexcept;
  void prefetch_next() const noexcept;
  bool provide_stack(Task& task) noexcept;
  void fail_without_stack(Task& task) noexcept;
  void put_aside(Fiber& fiber) noexcept;
  void drop_spare() noexcept;
  void wake_all_to_stop() noexcept;
  Task* pick(bool gives_stack) noexcept;
  Task* idle(ThreadState& thread, const char* what, bool gives_stack) noexcept;
  void set_idle(bool idle) noexcept;
  void serve_own() noexcept;
  void take_posted() noexcept;
  void notice_interrupts(ThreadState& thread) noexcept;
  void enter(ThreadState& thread, Task& task) noexcept;
  void switch_away(ThreadState& thread, Task& task);
  void keep_state(ThreadState& thread, Task& task) noexcept;
  void release_ended() noexcept;
  static FiberContext& context_of(const Task& task) noexcept;

  NativeThread& owner_;
  Task* current_;
  ReadyQueue ready_;
  std::size_t made_count_ = 0;  // tasks whose userdata lives
  int points_left_ = kPointsPerTurn;      // waiting points that the current task may still pass
  int switches_left_ = kSwitchesPerService;
  int points_to_clock_ = kPointsPerClock;
  std::uint64_t clock_read_at_ = 0;
  std::uint64_t turn_began_ = kNotTimed;  // cycle clock
  std::uint64_t served_at_ = 0;           // likewise: events and timers
  struct NativeRequest {
    void (*function)(void* context) noexcept = nullptr;
    void* context = nullptr;
  };
  Fiber* ended_ = nullptr;  // left for good: to be freed by whoever arrives
  Fiber* spare_ = nullptr;  // serves nobody; left where it can go on with any task that has no fiber
  void* left_nowhere_ = nullptr;
  NativeRequest native_request_;  // what the native stack is to do before it goes back to the current task
  bool idle_ = false;
  bool turn_is_awaited_ = false;  // the root wants to run after the next sleep
  bool is_stopping_ = false;
  bool is_observed_ = false;
  std::int64_t turn_from_ns_ = 0;  // while somebody looks on: when the current task's turn began
  std::atomic<EventSource*> events_{nullptr};
  std::atomic<Completion*> posted_{nullptr};
  TimerHeap timers_;
  Task* tasks_ = nullptr;
  std::size_t task_count_ = 0;
  std::size_t daemon_count_ = 0;
  std::uint64_t polls_ = 0;
  WaitQueue enders_;
  Task root_;
  Value root_storage_;
};

// The scheduler of the running native thread. Raises: nothing.
Scheduler& scheduler_of(ThreadState& thread) noexcept;

}  // namespace baton::sched
