// How the tasks of a native thread take turns.
//
// There is no scheduler loop between two tasks. A task that parks picks the next ready one and switches to its fiber; one
// that ends does the same on its way out. Only if nothing is ready does the thread idle:
//
//   without an event source  in the parker, right on the stack of the task that parked last. A native thread with a single
//                            task that waits therefore costs a futex and nothing more
//   with one                 on the native thread's own stack, since the loop's callbacks and the libraries under it need
//                            more than a fiber gives; one switch there, one back
//
// The native stack's part is a loop in NativeThread::run_on_fiber: arrive, find the next task, switch to it. It also takes
// over once in 64 switches, or after a millisecond, to serve events while tasks are always ready.
//
// Waking. Ready queue and states are guarded by the GIL. A native thread that idles has said so (`idle_`) before it gave up
// the GIL; whoever readies one of its tasks meanwhile notifies its parker and its event source, once. Completions posted
// without the GIL go through a lock-free list, taken as a whole, and always notify: the notification is remembered if the
// thread does not sleep yet.
//
// Interrupts. Cancellation of a native thread and SIGINT concern its root task. When the thread idles with such a bit set it
// makes the root ready, whose wait then raises. When another task meets one at a safepoint, it steps aside for the root
// (`run_root_now`): the only preemption among tasks.
//
// Machine stacks. Most tasks wait in plain script, in a native that can be called again or is over: nothing of them lies on the
// machine stack (vm/task_turns.cpp). `leave_current` therefore asks two questions: does the task that leaves need its stack, and
// has the next one a stack of its own?
//
//     leaves      next has    what happens
//     needs none  none        the fiber is handed over: no switch, no page touched; the interpreter goes on with other frames
//     needs none  its own     a switch; the fiber that is left is the spare one, or if there is one already stays where it is
//     needs it    none        a switch to the spare fiber, or to a fresh one: `provide_stack`
//     needs it    its own     a switch
//
// The spare fiber was left in the interpreter or in the loop of `take_turns`: either finds, when it is continued, that any task
// may be the current one. So a hundred thousand tasks that take turns, sleep or wait at queues share one machine stack, and what a
// switch touches of each is its Task, its Coroutine, two frames and a few registers; `prefetch_next` asks for them ahead. A new
// task begins in the same way as another goes on, and one that ends leaves its stack to the next: a million short tasks, spawned
// at once, use one in turn. If a task needs one and there is none, it fails with "not enough memory", as a call would.
#include "sched/scheduler.h"

#include <new>
#include <utility>

#include "fiber/context_inline.h"
#include "sched/deadlock.h"
#include "sched/fibers.h"
#include "sched/native_thread.h"
#include "sched/observer.h"
#include "sched/scope.h"
#include "sched/thread_group.h"
#include "sync/released.h"
#include "vm/call.h"
#include "vm/debug_hooks.h"
#include "vm/run.h"
#include "vm/safepoint.h"
#include "vm/task_turns.h"

namespace baton::sched {
namespace {

constexpr std::uint32_t kInterruptsOfRoot = kInterruptCancel | kInterruptSignal | kInterruptFinalize;

void destroy_task(void* block) noexcept {
  auto* task = static_cast<Task*>(block);
  NativeThread& owner = task->scheduler().owner();
  group_of(owner.state().shared).report_if_uncollected(*task);
  task->~Task();
  owner.scheduler().note_destroyed();
  owner.release_reference();
}

}  // namespace

Scheduler::Scheduler(NativeThread& owner) : owner_(owner), current_(&root_), root_(*this, nullptr, 0, 0) {
  root_.state_ = TaskState::kRunning;
}

Scheduler::~Scheduler() = default;

void Scheduler::adopt_root(Coroutine* root, std::uint64_t id) noexcept {
  root_.root_ = root_.leaf_ = root;
  root_.id_ = id;
}

Scheduler& scheduler_of(ThreadState& thread) noexcept { return native_thread_of(thread).scheduler(); }

FiberContext& Scheduler::context_of(const Task& task) noexcept { return static_cast<Fiber*>(task.leaf_->fiber)->context; }

// ---- tasks ----

Userdata* Scheduler::create(ThreadState& caller, const Value& function, Task& parent) {
  Heap& heap = caller.heap();
  ready_.reserve(made_count_ + 2);  // the root, and this one
  Coroutine* root = coroutine::make(heap);
  root->is_root = true;
  *root->top++ = function;
  Userdata* handle = userdata::make(heap, sizeof(Task), Task::kSlotCount);
  handle->user_values()[Task::kRoot] = Value::of(root);
  auto* task = new (handle->block()) Task(*this, root, group_of(caller.shared).next_task_id(), parent.id());
  handle->release = destroy_task;
  task->handle_ = handle;
  owner_.add_reference();  // the record outlives every task's userdata
  ++made_count_;
  return handle;
}

void Scheduler::add_argument(Task& task, const Value& v) {
  coroutine::check_stack(owner_.state().heap(), task.root_, 1);
  *task.root_->top++ = v;
  ++task.argument_count_;
}

void Scheduler::start(Task& task) noexcept {
  task.next_ = tasks_;
  if (tasks_ != nullptr) tasks_->previous_ = &task.next_;
  tasks_ = &task;
  task.previous_ = &tasks_;
  ++task_count_;
  make_ready(task);
}

// The body of every fiber of tasks: it carries them, one after the other, from where they stand to their ends or until they leave
// it. Nothing here knows a task across `run_body` or a switch.
Departure Scheduler::take_turns(FiberContext& self, Arrival) noexcept {
  Fiber& fiber = reinterpret_cast<Fiber&>(self);
  ThreadState& thread = fiber.owner->state();
  Scheduler& scheduler = fiber.owner->scheduler();
  for (;;) {
    scheduler.run_body(thread);
    FiberContext* next = scheduler.leave_ended(thread, fiber);
    if (next == nullptr) continue;
    if (scheduler.spare_ != &fiber) return {next, nullptr};
    (void)switch_to_inline(self, *next, nullptr);
  }
}

int Scheduler::begin_body() {
  Task& task = *current_;
  task.root_->thread = &owner_.state();
  task.begin();
  if (BATON_UNLIKELY(is_stopping_)) throw ForcedUnwind{};
  return task.argument_count_;
}

namespace {

// Nothing is left of the body of `root` but its error.
void drop_frames(Heap& heap, Coroutine* root) noexcept {
  closure::close_upvalues(heap, root, root->stack + 1);
  root->frame = root->frames;
  root->top = root->stack + 1;
  root->to_be_closed_count = 0;
}

}  // namespace

// Goes on with the current task and with those that follow it on this machine stack, until the body of one has ended, which is
// the current one then. Its results or its error are kept.
ThreadStatus Scheduler::run_to_end(ThreadState& thread) noexcept {
  try {
    const vm::Next next = vm::run_bottom(thread, vm::continue_task);
    Coroutine* root = current_->root_;
    if (next == vm::Next::kExit) {
      current_->result_count_ = static_cast<int>(root->top - (root->stack + 1));
      return ThreadStatus::kDone;
    }
    vm::end_failed(thread, group_of(thread.shared).error_recorder(thread));
    root->error = thread.pending;
    return ThreadStatus::kFailed;
  } catch (const ForcedUnwind&) {
    drop_frames(thread.heap(), current_->root_);
    return ThreadStatus::kCancelled;
  } catch (const ScriptError&) {  // no memory for the handler
  } catch (const std::bad_alloc&) {
  }
  drop_frames(thread.heap(), current_->root_);
  current_->root_->error = Value::of(thread.shared.memory_error);
  return ThreadStatus::kFailed;
}

void Scheduler::run_body(ThreadState& thread) noexcept {
  ThreadStatus outcome = run_to_end(thread);
  Task& task = *current_;
  Coroutine* root = task.root_;
  thread.pending.set_nil();
  if (outcome == ThreadStatus::kFailed && is_own_cancellation(thread, task)) outcome = ThreadStatus::kCancelled;
  if (BATON_UNLIKELY(task.scope_ != nullptr)) close_scopes(thread, task);
  thread.heap().barrier_back(root, root->error);
  root->status = CoroutineStatus::kDead;
  task.end(outcome);
  retire(task);
}

// Whether the task ended by a cancellation that reached it, and not by one that it awaited.
bool Scheduler::is_own_cancellation(ThreadState& thread, const Task& task) noexcept {
  const Value& error = task.root_->error;
  if (task.is_cancelled_ && raw_equal(error, task.cancel_reason_)) return true;
  try {
    return is_cancellation(thread, error, nullptr) && is_reached_by_cancellation(task);
  } catch (const ScriptError&) {
    return false;
  }
}

// Scopes that the body left open: their children are cancelled and end without an owner.
void Scheduler::close_scopes(ThreadState& thread, Task& task) noexcept {
  while (Scope* scope = task.scope_) {
    scope->cancel(Value());
    give_up_failures(thread, *scope);
    scope->leave();
  }
}

void Scheduler::give_up_failures(ThreadState& thread, Scope& scope) noexcept {
  while (Task* child = scope.take_failure()) {
    child->is_collected_ = false;  // the scope had taken it
    group_of(thread.shared).note_failed(*child);
  }
}

void Scheduler::leave_scopes_of_root() noexcept {
  while (Scope* scope = root_.scope_) {
    give_up_failures(owner_.state(), *scope);
    scope->leave();
  }
}

// The owner hears of the end, and keeps an error.
void Scheduler::settle_with_owner(Task& task) noexcept {
  Scope* owner = task.owner_;
  if (owner == nullptr) return;
  owner->disown(task);
  if (task.status() != ThreadStatus::kFailed || !owner->is_entered()) return;
  task.is_collected_ = true;
  owner->note_failure(task);
}

// Takes a task that has ended out of the books.
void Scheduler::retire(Task& task) noexcept {
  settle_with_owner(task);
  timers_.disarm(task.timer_);
  if (BATON_UNLIKELY(is_observed_)) {
    observe_stop(owner_.state(), task);
    group_of(owner_.state().shared).observer().note(task, TaskChange::kEnded);
  }
  task.state_ = TaskState::kEnded;
  *task.previous_ = task.next_;
  if (task.next_ != nullptr) task.next_->previous_ = task.previous_;
  task.next_ = nullptr;
  task.previous_ = nullptr;
  --task_count_;
  if (task.is_daemon_) --daemon_count_;
  if (keeping_count() == 0) enders_.wake_all();
  if (task.status() == ThreadStatus::kFailed && !task.is_collected_) {
    group_of(owner_.state().shared).note_failed(task);
  }
  // Results stay on the stack for whoever awaits them; without any, stack and frames serve the next task.
  if (task.status() == ThreadStatus::kDone && task.result_count_ == 0) {
    coroutine::retire(owner_.state().heap(), task.root_);
  }
}

void Scheduler::make_daemon(Task& task) noexcept {
  if (task.is_daemon_ || task.has_ended()) return;
  task.is_daemon_ = true;
  ++daemon_count_;
  if (keeping_count() == 0) enders_.wake_all();
}

void Scheduler::keep(Task& task) noexcept {
  if (!task.is_daemon_) return;
  task.is_daemon_ = false;
  --daemon_count_;
}

void Scheduler::stop_tasks(ThreadState& thread) noexcept {
  if (task_count_ == 0) return drop_spare();
  const bool was_unwinding = thread.unwinding;
  is_stopping_ = true;
  thread.unwinding = true;
  while (task_count_ > 0) {
    thread.interrupt.set(kInterruptCancel);
    for_each_task([](Task& task) { if (!task.is_shielded_) task.wake(); });
    Waiter waiter(root_);
    enders_.push(waiter);
    (void)wait_shielded(thread, waiter, kNoDeadline, "tasks.stop");
  }
  is_stopping_ = false;
  thread.unwinding = was_unwinding;
  if (!was_unwinding) thread.interrupt.take(kInterruptCancel);
  drop_spare();
}

void Scheduler::drop_spare() noexcept {
  if (Fiber* fiber = std::exchange(spare_, nullptr)) group_of(owner_.state().shared).fibers().release(fiber);
}

void Scheduler::mark(Heap& heap) noexcept {
  heap.mark_value(root_.pending_);
  heap.mark_value(root_.cancel_reason_);
  heap.mark_value(root_storage_);
  if (root_.story_ != nullptr) heap.mark_value(root_.story_->error);
  for (Scope* scope = root_.scope_; scope != nullptr; scope = scope->parent()) scope->mark(heap);
  for (Coroutine* co = root_.leaf_; co != nullptr; co = co->resumer) heap.mark_object(co);
  for (Task* task = tasks_; task != nullptr; task = task->next_) {
    heap.mark_object(task->handle_);
    heap.mark_value(task->pending_);
    if (task->story_ != nullptr) heap.mark_value(task->story_->error);
    for (Scope* scope = task->scope_; scope != nullptr; scope = scope->parent()) scope->mark(heap);
    for (Coroutine* co = task->leaf_; co != task->root_ && co != nullptr; co = co->resumer) heap.mark_object(co);
  }
}

// ---- the ready queue ----

void Scheduler::set_observed(bool observed) noexcept {
  is_observed_ = observed;
  turn_from_ns_ = monotonic_ns();
  if (!observed) return;
  Observer& observer = group_of(owner_.state().shared).observer();
  const auto note = [&](const Task& task) {
    if (task.state_ == TaskState::kRunning) observer.note(task, TaskChange::kRuns);
    else observer.note(task, task.state_ == TaskState::kParked ? TaskChange::kParked : TaskChange::kReady);
  };
  note(root_);
  for_each_task(note);
}

// The task's turn begins.
void Scheduler::observe_start(Task& task) noexcept {
  turn_from_ns_ = monotonic_ns();
  group_of(owner_.state().shared).observer().note(task, TaskChange::kRuns);
}

// Its turn ends.
void Scheduler::observe_stop(ThreadState& thread, Task& task) noexcept {
  group_of(thread.shared).observer().note_turn(thread, task, monotonic_ns() - turn_from_ns_);
}

void Scheduler::push_ready(Task& task) noexcept {
  task.state_ = TaskState::kReady;
  ready_.push_back(&task);
  if (BATON_UNLIKELY(is_observed_)) group_of(owner_.state().shared).observer().note(task, TaskChange::kReady);
}

void Scheduler::make_ready(Task& task) noexcept {
  push_ready(task);
  if (BATON_UNLIKELY(idle_)) {
    set_idle(false);
    GilSlot* slot = owner_.state().gil_slot;
    if (slot == nullptr || events() != nullptr || !owner_.state().shared.gil.enlist(slot, owner_.parker())) {
      if (slot != nullptr) Gil::invite(slot);
      owner_.wake();
    }
    if (owner_.state().shared.is_seeded) await_arrival(owner_.state());
  }
}

namespace {

// `at` may lead nowhere: what is added is added to an integer.
void fetch_lines(const void* at, std::size_t count) noexcept {
  const auto address = reinterpret_cast<std::uintptr_t>(at);
  for (std::size_t line = 0; line < count; ++line) __builtin_prefetch(reinterpret_cast<const void*>(address + line * kCacheLineBytes));
}

// What a coroutine's next step begins with, besides the coroutine itself: its machine stack, or the function whose frame is next.
void fetch_inside(const Coroutine* co) noexcept {
  constexpr std::size_t kLinesOfNative = 6;  // of the machine stack of a native that waits
  if (co->fiber != nullptr) {
    fetch_lines(static_cast<const Fiber*>(co->fiber)->context.machine, kLinesOfNative);
  } else {
    const bool is_new = co->frame == co->frames;
    __builtin_prefetch((is_new ? co->stack[1] : co->frame[-1].base[-1]).object);
  }
}

}  // namespace

// The tasks behind the next one will run soon, and with many of them nothing of theirs is in the cache any more: each pop
// asks for the next layer of what some of them will touch. 100,000 tasks in turn spent two thirds of their time waiting for
// memory without it.
void Scheduler::prefetch_next() const noexcept {
  constexpr std::size_t kTask = 10, kCoroutine = 7, kFrames = 4, kInside = 2;
  constexpr std::ptrdiff_t kValuesPerLine = kCacheLineBytes / sizeof(Value);
  const std::size_t count = ready_.size();
  if (count > kInside) fetch_inside(ready_.at(kInside)->leaf_);
  if (count > kFrames) {
    const Coroutine* co = ready_.at(kFrames)->leaf_;
    __builtin_prefetch(co->fiber);
    fetch_lines(co->frame - 1, 2);
    fetch_lines(co->top - 1 - kValuesPerLine, 2);
  }
  if (count > kCoroutine) fetch_lines(&ready_.at(kCoroutine)->leaf_->frame, 2);
  if (count > kTask) fetch_lines(&ready_.at(kTask)->root_, 2);
}

// The next task; `gives_stack`: it can run on the machine stack of whoever asks. Null: none is ready.
Task* Scheduler::pop_ready(bool gives_stack) noexcept {
  while (!ready_.empty()) {
    Task* task = ready_.pop();
    prefetch_next();
    if (BATON_LIKELY(gives_stack || task->leaf_->fiber != nullptr) || provide_stack(*task)) return task;
  }
  return nullptr;
}

// Gives a fiber to a task that has none. Returns: false if there is none; then the task has ended.
bool Scheduler::provide_stack(Task& task) noexcept {
  if (Fiber* fiber = std::exchange(spare_, nullptr)) {
    bind(*fiber, task.leaf_);
    return true;
  }
  try {
    (void)group_of(owner_.state().shared).fibers().start(owner_, task.leaf_, take_turns);
    return true;
  } catch (const ScriptError&) {
  } catch (const std::bad_alloc&) {
  }
  fail_without_stack(task);
  return false;
}

// A task that cannot go on for want of memory, having begun or not. Its variables are not closed: that would need a stack.
void Scheduler::fail_without_stack(Task& task) noexcept {
  ThreadState& thread = owner_.state();
  Coroutine* root = task.root_;
  task.waiter_.leave();
  drop_frames(thread.heap(), root);
  close_scopes(thread, task);
  root->error = Value::of(thread.shared.memory_error);
  root->status = CoroutineStatus::kDead;
  root->thread = nullptr;
  task.end(ThreadStatus::kFailed);
  retire(task);
}

// ---- switching ----

// The next task to run; null if the native stack, or idling, must find one.
Task* Scheduler::pick(bool gives_stack) noexcept {
  points_left_ = kPointsPerTurn;
  if (BATON_UNLIKELY(--switches_left_ <= 0) || BATON_UNLIKELY(is_time_over(served_at_))) {
    if (events() != nullptr) return nullptr;
    serve_own();
  }
  turn_began_ = kNotTimed;
  return pop_ready(gives_stack);
}

// Makes `task` the current one, which has a fiber, about to continue.
void Scheduler::enter(ThreadState& thread, Task& task) noexcept {
  if (BATON_UNLIKELY(is_observed_)) observe_start(task);
  current_ = &task;
  task.state_ = TaskState::kRunning;
  Coroutine* co = task.leaf_;
  const std::uint8_t left_hooks = thread.current->hook_mask;
  thread.arrival_is_open = task.attention_ || ended_ != nullptr;
  thread.current = co;
  thread.runs_task = &task != &root_;
  thread.handler_depth = task.handler_depth_;
  thread.pending = task.pending_;
  co->status = CoroutineStatus::kRunning;
  coroutine::note_run(thread.heap(), co);
  if (BATON_UNLIKELY((left_hooks | co->hook_mask) != 0)) vm::update_dispatch(thread);
}

// The fiber that was left for good before this arrival.
void Scheduler::release_ended() noexcept {
  if (Fiber* fiber = std::exchange(ended_, nullptr)) group_of(owner_.state().shared).fibers().release(fiber);
}

// Keeps what is the current task's own while others run.
void Scheduler::keep_state(ThreadState& thread, Task& task) noexcept {
  task.leaf_ = thread.current;
  task.leaf_->status = CoroutineStatus::kLeft;
  task.handler_depth_ = thread.handler_depth;
  task.pending_ = thread.pending;
}

// Leaves the current task, which is parked or ready, with its machine stack, until somebody switches back to it.
void Scheduler::switch_away(ThreadState& thread, Task& task) {
  if (BATON_UNLIKELY(is_observed_)) observe_stop(thread, task);
  Task* next = pick(false);
  if (next == nullptr && events() == nullptr) next = idle(thread, task.awaits_ != nullptr ? task.awaits_ : "idle", false);
  if (next == &task) {
    if (BATON_UNLIKELY(is_observed_)) observe_start(task);
    task.state_ = TaskState::kRunning;
    return;
  }
  keep_state(thread, task);
  FiberContext& own = context_of(task);
  if (next != nullptr) enter(thread, *next);
  (void)switch_to_inline(own, next != nullptr ? context_of(*next) : owner_.native_context(), nullptr);
  release_ended();
}

// The running fiber, which is about to be left, serves nobody any more.
void Scheduler::put_aside(Fiber& fiber) noexcept {
  BATON_DCHECK(fiber.coroutine == nullptr && ended_ == nullptr);
  (spare_ == nullptr ? spare_ : ended_) = &fiber;
}

Scheduler::Switch Scheduler::leave_current(ThreadState& thread) noexcept {
  Task& task = *current_;
  Coroutine* co = thread.current;
  Fiber& fiber = *static_cast<Fiber*>(co->fiber);
  const bool gives_stack = co == task.root_ && &task != &root_ && coroutine::needs_no_machine_stack(co);
  if (BATON_UNLIKELY(is_observed_)) observe_stop(thread, task);
  Task* next = pick(gives_stack);
  if (next == nullptr && events() == nullptr) next = idle(thread, task.awaits_ != nullptr ? task.awaits_ : "idle", gives_stack);
  if (BATON_UNLIKELY(next == &task)) {
    if (BATON_UNLIKELY(is_observed_)) observe_start(task);
    task.state_ = TaskState::kRunning;
    return {nullptr, nullptr};
  }
  keep_state(thread, task);
  if (BATON_LIKELY(gives_stack)) {
    if (BATON_LIKELY(next != nullptr && next->leaf_->fiber == nullptr)) {
      (void)unbind(co);
      bind(fiber, next->leaf_);
      enter(thread, *next);
      return {nullptr, nullptr};
    }
    if (spare_ == nullptr || thread.shared.parks_coroutines) put_aside(unbind(co));
  }
  if (next == nullptr) return {&fiber.context, &owner_.native_context()};
  enter(thread, *next);
  return {&fiber.context, &context_of(*next)};
}

// The current task has ended on `fiber`. Returns: where to go, the fiber being the spare one or freed by whoever arrives; null:
// the next task goes on, on the same machine stack.
FiberContext* Scheduler::leave_ended(ThreadState& thread, Fiber& fiber) noexcept {
  fiber.coroutine->thread = nullptr;
  (void)unbind(fiber.coroutine);
  Task* next = pick(true);
  if (next != nullptr && next->leaf_->fiber == nullptr) {
    bind(fiber, next->leaf_);
    enter(thread, *next);
    return nullptr;
  }
  put_aside(fiber);
  if (next == nullptr) {
    thread.current = root_.leaf_;
    vm::update_dispatch(thread);
    return &owner_.native_context();
  }
  enter(thread, *next);
  return &context_of(*next);
}

bool Scheduler::arrive_natively(const Arrival& arrival) noexcept {
  release_ended();
  if (arrival.message == nullptr) return false;
  auto* fiber = static_cast<Fiber*>(arrival.message);
  const bool is_end = fiber->coroutine == root_.root_;
  group_of(owner_.state().shared).fibers().release(fiber);
  return is_end;
}

FiberContext& Scheduler::next_natively(ThreadState& thread) noexcept {
  if (native_request_.function != nullptr) {
    const NativeRequest request = std::exchange(native_request_, {});
    request.function(request.context);
    return static_cast<Fiber*>(thread.current->fiber)->context;
  }
  if (EventSource* source = events()) {
    if (!ready_.empty()) {
      ++polls_;
      source->serve();
    }
  }
  serve_own();
  Task* next = pop_ready(false);
  if (next == nullptr) next = idle(thread, "idle", false);
  enter(thread, *next);
  return context_of(*next);
}

void Scheduler::call_natively(ThreadState& thread, void (*function)(void* context) noexcept, void* context) noexcept {
  auto* own = static_cast<Fiber*>(thread.current->fiber);
  if (!own->stack) return function(context);
  native_request_ = {function, context};
  (void)switch_to(own->context, owner_.native_context(), nullptr);  // the native stack frees what it finds; it sends nothing
}

void Scheduler::park(ThreadState& thread, std::int64_t deadline_ns, const char* what, bool shielded) {
  if (!begin_park(thread, deadline_ns, what, shielded)) return;
  Task& task = *current_;
  switch_away(thread, task);
  end_park(task);
}

bool Scheduler::begin_park(ThreadState& thread, std::int64_t deadline_ns, const char* what, bool shielded) {
  Task& task = *current_;
  if (task.woken_) {
    task.woken_ = false;
    return false;
  }
  if (deadline_ns != kNoDeadline) timers_.arm(task.timer_, deadline_ns);
  task.awaits_ = what;
  task.is_shielded_ = shielded;
  task.state_ = TaskState::kParked;
  if (BATON_UNLIKELY(is_observed_)) group_of(thread.shared).observer().note(task, TaskChange::kParked);
  return true;
}

void Scheduler::end_park(Task& task) noexcept {
  timers_.disarm(task.timer_);
  task.awaits_ = nullptr;
  task.is_shielded_ = false;
  task.woken_ = false;
}

void Scheduler::rotate(ThreadState& thread) {
  if (ready_.empty() && switches_left_ > 1 && cycle_clock() - served_at_ < kTurnCycles) {
    --switches_left_;
    if (BATON_UNLIKELY(is_observed_)) {
      observe_stop(thread, *current_);
      turn_from_ns_ = monotonic_ns();
    }
    return;
  }
  Task& task = *current_;
  push_ready(task);
  switch_away(thread, task);
}

bool Scheduler::begin_rotation(ThreadState& thread) noexcept {
  Task& task = *current_;
  if (BATON_UNLIKELY(ready_.empty() || is_observed_ || task.attention_) || may_not_wait(thread)) return false;
  push_ready(task);
  return true;
}

void Scheduler::complete_arrival(ThreadState& thread) noexcept {
  thread.arrival_is_open = false;
  release_ended();
}

void Scheduler::end_turn(ThreadState& thread) {
  points_left_ = kPointsPerTurn;
  turn_began_ = clock_read_at_ = cycle_clock();
  switches_left_ = 0;  // serve now
  rotate(thread);
}

void Scheduler::take_turn(ThreadState& thread, std::int64_t deadline_ns) {
  vm::poll(thread);
  if (ready_.empty()) serve_own();
  if (!ready_.empty() || (deadline_ns != kNoDeadline && deadline_ns <= monotonic_ns())) {
    end_turn(thread);
  } else {
    turn_is_awaited_ = true;
    park(thread, deadline_ns, "turn", false);
    turn_is_awaited_ = false;
  }
  vm::poll(thread);
}

void Scheduler::run_root_now(ThreadState& thread) {
  if (BATON_UNLIKELY(thread.stopped)) wake_all_to_stop();
  if (root_.state_ == TaskState::kRunning || root_.is_shielded_ || thread.gil_slot->hold_depth > 0) return;
  if (root_.state_ == TaskState::kReady) ready_.remove(&root_);
  Task& task = *current_;
  push_ready(task);
  root_.state_ = TaskState::kReady;
  ready_.push_front(&root_);
  switch_away(thread, task);
}

// What waits must look, to be unwound: the root itself may wait for others in a place where nothing is delivered.
void Scheduler::wake_all_to_stop() noexcept {
  for_each_task([](Task& task) { if (!task.is_shielded_) task.wake(); });
}

// ---- events, timers, sleep ----

void Scheduler::serve_own() noexcept {
  switches_left_ = kSwitchesPerService;
  served_at_ = clock_read_at_ = cycle_clock();
  turn_began_ = kNotTimed;
  take_posted();
  if (timers_.size() > 0) (void)timers_.fire_due(monotonic_ns());
}

void Scheduler::post(Completion& completion) noexcept {
  NativeThread& thread = owner_;
  thread.add_reference();  // once it is in the list, its task may end, and the thread
  Completion* first = posted_.load(std::memory_order_relaxed);
  do completion.next_posted_ = first;
  while (!posted_.compare_exchange_weak(first, &completion, std::memory_order_release, std::memory_order_relaxed));
  thread.wake();
  thread.release_reference();
}

void Scheduler::take_posted() noexcept {
  if (BATON_LIKELY(posted_.load(std::memory_order_relaxed) == nullptr)) return;
  Completion* taken = posted_.exchange(nullptr, std::memory_order_acquire);
  Completion* in_order = nullptr;
  while (taken != nullptr) {
    Completion* next = taken->next_posted_;
    taken->next_posted_ = in_order;
    in_order = taken;
    taken = next;
  }
  while (in_order != nullptr) {
    Completion* next = in_order->next_posted_;
    in_order->fulfil();
    in_order = next;
  }
}

void Scheduler::notice_interrupts(ThreadState& thread) noexcept {
  if (!thread.interrupt.any()) return;
  if (thread.interrupt.take(kInterruptDump) != 0) dump_all_tasks(thread);
  if (BATON_UNLIKELY(thread.interrupt.take(kInterruptStop) != 0)) {
    thread.unwinding = thread.stopped = true;
    thread.interrupt.set(kInterruptCancel);
    wake_all_to_stop();
  }
  if ((thread.interrupt.bits.load(std::memory_order_acquire) & kInterruptsOfRoot) == 0) return;
  if (root_.state_ == TaskState::kParked && !root_.is_shielded_) push_ready(root_);
}

// Sleeps until a task is ready; takes it out of the queue.
Task* Scheduler::idle(ThreadState& thread, const char* what, bool gives_stack) noexcept {
  for (;;) {
    serve_own();
    notice_interrupts(thread);
    if (Task* next = pop_ready(gives_stack)) return next;
    const std::int64_t deadline_ns = timers_.next_deadline();
    set_idle(true);
    if (deadline_ns == kNoDeadline && group_of(thread.shared).all_idle()) notice_stall(thread);
    ++polls_;
    if (EventSource* source = events()) {
      source->poll(deadline_ns, what);
    } else {
      Released released(thread.shared.gil, thread.gil_slot, what);
      thread.shared.gil.park_outside(thread.gil_slot, owner_.parker(), deadline_ns);
    }
    set_idle(false);
    if (BATON_UNLIKELY(turn_is_awaited_) && root_.state_ == TaskState::kParked) {
      turn_is_awaited_ = false;
      root_.wake();
    }
  }
}

void Scheduler::set_idle(bool idle) noexcept {
  if (idle_ == idle) return;
  idle_ = idle;
  group_of(owner_.state().shared).count_idle(idle ? 1 : -1);
}

bool Scheduler::is_stuck() const noexcept {
  if (!idle_ || timers_.size() > 0 || posted_.load(std::memory_order_relaxed) != nullptr) return false;
  if (events() != nullptr && events()->is_active()) return false;
  const std::uint32_t asked = owner_.state().interrupt.bits.load(std::memory_order_relaxed) & kInterruptsOfRoot;
  return asked == 0 || root_.state_ != TaskState::kParked || root_.is_shielded_;
}

}  // namespace baton::sched
