// Native threads from start to end.
//
// A spawned thread is complete before it exists: its record, its slot at the GIL, its root coroutine with function and
// arguments on the stack are made by the spawner, under the GIL; from then on the collector sees them as roots. Whatever can
// fail fails there, where an error can be reported. The new native thread then only
//
//     acquires the GIL -> runs the body on a fiber -> keeps the outcome, wakes joiners -> leaves -> releases, detaches
//
// and is detached from the start: nobody joins it in the sense of the operating system, since who wants its results waits
// for its `joiners`, and who wants its end (the runtime's destructor) waits for the count of running threads.
//
// Coroutines of a native thread die with it: their machine stacks cannot be continued elsewhere. Before a thread leaves, it
// unwinds those that have natives on their stacks and drops the others, so nothing ever refers to a thread that is gone.
//
// The end of the program. The main thread, having run its chunk, waits for all threads but daemons, on its root, where
// SIGINT and limits reach it. Then daemons are stopped: each is unwound, without running script code, at its next safepoint
// or wait. One that is stuck in the operating system cannot be: then nothing of the runtime is freed, and the main thread
// keeps the GIL for ever, so that such a thread finds a closed door when it comes back and never touches anything.
//
// Errors that nobody takes. A failed thread stands in `failed_` until somebody has joined it. If its handle is collected
// before that, or at the end of the program, the error is printed with its traceback, and the program's exit status is 1.
#include "sched/thread_group.h"

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <new>

#include "sched/scope.h"
#include "value/root.h"
#include "value/userdata.h"
#include "vm/call.h"
#include "vm/native.h"
#include "vm/operations.h"
#include "vm/traceback.h"

namespace baton::sched {
namespace {

#if BATON_ASAN || BATON_TSAN
constexpr std::size_t kNativeStackBytes = 4 * 1024 * 1024;
#else
constexpr std::size_t kNativeStackBytes = 1024 * 1024;
#endif

// What is said about an error that nobody took: texts as they are, other values as tostring or their type.
std::string text_of(NativeCall& call, const Value& error) {
  if (error.is_string()) return std::string(error.string()->view());
  if (error.is_number()) return std::string(vm::number_to_string(call.heap(), error)->view());
  if (!vm::metamethod(call.shared(), error, Metamethod::kToString).is_nil()) {
    return std::string(vm::to_string(call.thread(), error)->view());
  }
  return std::string("(error object is a ") + base_type_name(error) + " value)";
}

// The message handler of a body: remembers the error with its traceback, changes nothing.
int record_error(NativeCall& call) {
  Task& task = current_task(call.thread());
  if (task.is_cancelled() && raw_equal(call.arg(1), task.cancel_reason())) return call.result(call.arg(1));
  if (is_cancellation(call.thread(), call.arg(1), nullptr)) return call.result(call.arg(1));
  const std::string_view story = task.story_of(call.arg(1));
  const std::string message = story.empty() ? text_of(call, call.arg(1)) : std::string(story);
  task.set_report(vm::traceback(call.thread(), call.coroutine(), message.c_str(), 1));
  return call.result(call.arg(1));
}

constexpr NativeInfo kRecordError = {"record_error", "record_error(error)", "Message handler of a task's body.",
                                     record_error};

// The message handler of a call whose error is handed on: the error's traceback until here is kept with the running task.
int record_story(NativeCall& call) {
  Task& task = current_task(call.thread());
  if (is_cancellation(call.thread(), call.arg(1), nullptr)) return call.result(call.arg(1));
  const std::string_view story = task.story_of(call.arg(1));
  const std::string message = story.empty() ? text_of(call, call.arg(1)) : std::string(story);
  std::string text = vm::traceback(call.thread(), call.coroutine(), message.c_str(), 1);
  task.remember_story(call.arg(1), std::move(text));
  return call.result(call.arg(1));
}

constexpr NativeInfo kRecordStory = {"record_story", "record_story(error)", "Message handler of calls that hand errors on.",
                                     record_story};

// A coroutine that has no stack of its own to run on yet, on which a native thread will begin.
Coroutine* make_root(ThreadState& thread) {
  Coroutine* root = coroutine::make(thread.heap());
  root->is_root = true;
  root->status = CoroutineStatus::kRunning;
  root->thread = &thread;
  return root;
}

}  // namespace

ThreadGroup::ThreadGroup(SharedState& shared, std::string_view name)
    : shared_(shared), fibers_(shared.heap), cache_(kNativeStackBytes, running_) {
  shared.sched = this;
  shared.start_fiber = start_fiber;
  shared.switch_to = switch_coroutines;
  shared.drop_fiber = drop_fiber;
  shared.park_fiber = park_fiber;
  shared.dump_tasks = dump_all_tasks;
  shared.leave_task = leave_task;
  shared.rotate_task = rotate_task;
  shared.complete_arrival = [](ThreadState& thread) { scheduler_of(thread).complete_arrival(thread); };
  shared.look = [](ThreadState& thread) { (void)look(thread); };
  shared.begin_task = [](ThreadState& thread) { return scheduler_of(thread).begin_body(); };
  shared.run_root_now = [](ThreadState& thread) { scheduler_of(thread).run_root_now(thread); };
  main_ = new NativeThread(shared, name, false);
  shared.main_thread = &main_->state();
  shared.heap.attach_interrupt(&main_->state().interrupt);
  attach(*main_);
  shared.gil.acquire(main_->state().gil_slot);
  main_->adopt_stack();
  main_->root_task().begin();
  shared.heap.add_root_visitor(this);
  shared.gil.release(main_->state().gil_slot);
  sharpen_timed_waits();
}

ThreadGroup::~ThreadGroup() { main_->release_reference(); }

// Makes a native thread known: a root coroutine, a slot at the GIL, a root of the collector. Undoes nothing when it raises.
void ThreadGroup::attach(NativeThread& thread, const char* outside) {
  ThreadState& state = thread.state();
  threads_.reserve(threads_.size() + 1);
  shared_.threads.reserve(shared_.threads.size() + 1);
  failed_.reserve(threads_.size() + failed_.size() + 1);
  state.root = state.current = make_root(state);
  if (state.gil_slot == nullptr) state.gil_slot = shared_.gil.attach(state.name, &state.interrupt, outside);
  if (state.gil_slot == nullptr) throw std::bad_alloc();
  state.id = static_cast<std::uint32_t>(state.gil_slot->id);
  thread.scheduler().adopt_root(state.root, next_task_id());
  threads_.push_back(&thread);
  shared_.threads.push_back(&state);
  thread.scheduler().set_observed(observer_.looks_on());
}

void ThreadGroup::update_observation() noexcept {
  for (NativeThread* thread : threads_) thread->scheduler().set_observed(observer_.looks_on());
}

void ThreadGroup::cancel_tasks(NativeThread& thread) noexcept {
  ThreadState& state = thread.state();
  if (thread.scheduler().task_count() == 0) return;
  try {
    const Value reason = Value::of(string::make(state.heap(), "its native thread's body has failed"));
    const Root<Value> error(state.heap(), make_cancellation(state, reason, false));
    thread.scheduler().for_each_task([&](Task& task) { task.cancel(error.value()); });
  } catch (const ScriptError&) {  // no memory: they end as they like
  }
}

void ThreadGroup::cancel_threads() noexcept {
  ThreadState& state = main_->state();
  try {
    const Value reason = Value::of(string::make(state.heap(), "the program was interrupted"));
    const Root<Value> error(state.heap(), make_cancellation(state, reason, false));
    for (NativeThread* thread : threads_) {
      if (!thread->is_main()) thread->cancel(error.value());
    }
  } catch (const ScriptError&) {  // no memory: they end as they like
  }
}

void ThreadGroup::mark_roots(Heap& heap) {
  heap.mark_value(error_recorder_);
  heap.mark_value(story_recorder_);
  for (NativeThread* thread : threads_) {
    if (thread->handle_ != nullptr) heap.mark_object(thread->handle_);
    thread->scheduler().mark(heap);
  }
}

// ---- the main thread ----

namespace {
struct MainCall {
  void (*body)(ThreadState& thread, void* context);
  void* context;
  Status status;
};

void run_protected(NativeThread& thread, void* context) noexcept {
  MainCall& call = *static_cast<MainCall*>(context);
  call.status = vm::protected_run(thread.state(), call.body, call.context);
}
}  // namespace

Status ThreadGroup::run_main(void (*body)(ThreadState& thread, void* context), void* context) {
  ThreadState& thread = main_->state();
  if (is_ending_) Gil::hurry(thread.gil_slot);  // behind 16 daemons that compute it would wait 75 ms each time
  shared_.gil.acquire(thread.gil_slot);
  MainCall call{body, context, Status::kOk};
  try {
    main_->run_on_fiber(run_protected, &call);
  } catch (const ScriptError&) {
    thread.pending = Value::of(shared_.memory_error);
    call.status = Status::kError;
  }
  shared_.gil.release(thread.gil_slot);
  return call.status;
}

void ThreadGroup::detach_main() noexcept {
  ThreadState& thread = main_->state();
  shared_.gil.acquire(thread.gil_slot);
  std::erase(threads_, main_);
  std::erase(shared_.threads, &thread);
  thread.root->fiber = nullptr;
  shared_.heap.remove_root_visitor(this);
  fibers_.detach();
  shared_.gil.release(thread.gil_slot);
  shared_.gil.detach(thread.gil_slot);
  thread.gil_slot = nullptr;
}

// ---- starting ----

NativeThread* ThreadGroup::create(std::string_view name, bool is_daemon, const Value& function) {
  auto* thread = new NativeThread(shared_, name, is_daemon);
  try {
    attach(*thread, "thread.start");
  } catch (...) {  // nothing of it is known to anybody
    thread->release_reference();
    throw;
  }
  *thread->state().root->top++ = function;
  return thread;
}

void ThreadGroup::add_argument(NativeThread& thread, const Value& v) {
  Coroutine* root = thread.state().root;
  coroutine::check_stack(shared_.heap, root, 1);
  *root->top++ = v;
  ++thread.argument_count_;
}

int ThreadGroup::start(NativeThread& thread) noexcept {
  if (is_stopping_) return ECANCELED;  // a finalizer or a daemon at the end of the program
  const int refusal = cache_.start(thread.state().name, thread_main, &thread);
  if (refusal == 0 && shared_.is_seeded) await_arrival(thread.state());
  return refusal;
}

void ThreadGroup::discard(NativeThread& thread) noexcept {
  GilSlot* slot = thread.state().gil_slot;
  thread.conclude(ThreadStatus::kCancelled, Value());
  leave(thread);
  shared_.gil.detach(slot);
  thread.release_reference();
}

// A thread that the host started needs its slot before it can hold the GIL, under which the rest is made.
NativeThread* ThreadGroup::attach_host_thread(std::string_view name) {
  auto* thread = new NativeThread(shared_, name, true);
  ThreadState& state = thread->state();
  GilSlot* slot = shared_.gil.attach(name, &state.interrupt);
  state.gil_slot = slot;
  if (slot == nullptr) {
    thread->release_reference();
    throw std::bad_alloc();
  }
  shared_.gil.acquire(slot);
  try {
    attach(*thread);
  } catch (...) {
    shared_.gil.release(slot);
    shared_.gil.detach(slot);
    thread->release_reference();
    throw;
  }
  thread->adopt_stack();
  thread->root_task().begin();
  return thread;
}

void ThreadGroup::detach_host_thread(NativeThread& thread) noexcept {
  GilSlot* slot = thread.state().gil_slot;
  thread.drop_kept_fiber();
  unwind_coroutines(thread.state());
  thread.conclude(ThreadStatus::kDone, Value());
  leave(thread);
  shared_.gil.release(slot);
  shared_.gil.detach(slot);
  thread.release_reference();
}

void ThreadGroup::thread_main(void* argument) noexcept {
  NativeThread& thread = *static_cast<NativeThread*>(argument);
  ThreadState& state = thread.state();
  SharedState& shared = state.shared;
  GilSlot* slot = state.gil_slot;
  shared.gil.come_back(slot);
  thread.adopt_stack();
  try {
    thread.run_on_fiber([](NativeThread& self, void*) noexcept { self.call_function(); }, nullptr);
  } catch (const ScriptError&) {
    thread.conclude(ThreadStatus::kFailed, Value::of(shared.memory_error));
  }
  group_of(shared).leave(thread);
  shared.gil.go_outside(slot, "thread.end");
  shared.gil.release(slot);
  shared.gil.detach(slot);
  thread.release_reference();
}

// ---- ending ----

// Takes an ended thread out of everything that knows it. Its root is no root of the collector any more, but its handle's.
void ThreadGroup::leave(NativeThread& thread) noexcept {
  ThreadState& state = thread.state();
  std::erase(threads_, &thread);
  std::erase(shared_.threads, &state);
  state.root->fiber = nullptr;
  state.root->thread = nullptr;
  state.gil_slot = nullptr;
  if (thread.status() == ThreadStatus::kFailed && !thread.is_collected_) {
    thread.add_reference();
    failed_.push_back(&thread);  // `attach` has made room
    if (thread.handle() == nullptr) report_if_uncollected(thread);
  }
  enders_.wake_all();
}

void ThreadGroup::mark_collected(NativeThread& thread) noexcept {
  thread.is_collected_ = true;
  report_if_uncollected(thread);  // forgets it
}

void ThreadGroup::report_error(const char* format, ...) noexcept {
  ++reported_errors_;
  std::fflush(stdout);
  std::va_list arguments;
  va_start(arguments, format);
  std::vfprintf(stderr, format, arguments);
  va_end(arguments);
  std::fputc('\n', stderr);
  std::fflush(stderr);
}

// The reference that `failed_` held is given back here.
void ThreadGroup::report_if_uncollected(NativeThread& thread) noexcept {
  const auto place = std::find(failed_.begin(), failed_.end(), &thread);
  if (place == failed_.end()) return;
  failed_.erase(place);
  if (!thread.is_collected_) {
    report_error("error in native thread '%s', taken by nobody: %s", thread.state().name.c_str(),
                 thread.root_task().report().empty() ? "not enough memory" : thread.root_task().report().c_str());
  }
  thread.release_reference();
}

void ThreadGroup::note_failed(Task& task) noexcept {
  task.next_ = failed_tasks_;
  if (failed_tasks_ != nullptr) failed_tasks_->previous_ = &task.next_;
  failed_tasks_ = &task;
  task.previous_ = &failed_tasks_;
}

void ThreadGroup::report_if_uncollected(Task& task) noexcept {
  if (task.status() != ThreadStatus::kFailed || task.is_collected()) return;
  report_error("error in task %llu, taken by nobody: %s", static_cast<unsigned long long>(task.id()),
               task.report().empty() ? "not enough memory" : task.report().c_str());
  task.mark_collected();
}

// The oldest first.
void ThreadGroup::report_failed_tasks() noexcept {
  while (failed_tasks_ != nullptr) {
    Task* oldest = failed_tasks_;
    while (oldest->next_ != nullptr) oldest = oldest->next_;
    report_if_uncollected(*oldest);
  }
}

Value ThreadGroup::error_recorder(ThreadState& thread) {
  if (error_recorder_.is_nil()) error_recorder_ = native::make(thread, &kRecordError);
  return error_recorder_;
}

Value ThreadGroup::story_recorder(ThreadState& thread) {
  if (story_recorder_.is_nil()) story_recorder_ = native::make(thread, &kRecordStory);
  return story_recorder_;
}

bool ThreadGroup::only_daemons_left() const noexcept {
  return std::all_of(threads_.begin(), threads_.end(),
                     [](NativeThread* thread) { return thread->is_main() || thread->is_daemon(); });
}

bool ThreadGroup::is_stuck() const noexcept {
  if (is_stopping_ || foreign_count_ > 0 || !all_idle()) return false;
  const Task& main_task = main_->root_task();
  if (main_task.state() != TaskState::kParked || main_task.is_shielded()) return false;
  return std::all_of(threads_.begin(), threads_.end(), [](NativeThread* thread) { return thread->scheduler().is_stuck(); });
}

void ThreadGroup::wait_for_threads() {
  ThreadState& thread = main_->state();
  main_->scheduler().leave_scopes_of_root();
  while (main_->scheduler().keeping_count() > 0) {
    Waiter waiter(thread);
    main_->scheduler().enders().push(waiter);
    (void)wait(thread, waiter, kNoDeadline, "exit.tasks");
  }
  while (!only_daemons_left()) {
    Waiter waiter(thread);
    enders_.push(waiter);
    (void)wait(thread, waiter, kNoDeadline, "exit.join");
  }
}

bool ThreadGroup::stop_threads(std::int64_t grace_ns) noexcept {
  GilSlot* slot = main_->state().gil_slot;
  Gil::hurry(slot);
  shared_.gil.acquire(slot);
  is_stopping_ = true;
  for (NativeThread* thread : threads_) {
    if (!thread->is_main()) thread->stop();
  }
  shared_.gil.release(slot);
  cache_.close();
  const bool stopped = running_.wait_until_none(monotonic_ns() + grace_ns);
  shared_.gil.acquire(slot);
  while (!failed_.empty()) report_if_uncollected(*failed_.front());
  main_->scheduler().leave_scopes_of_root();
  report_failed_tasks();
  shared_.gil.release(slot);
  return stopped;
}

namespace {

struct Suspended {
  const ThreadState* thread;
  Fiber* list = nullptr;
};

void note_suspended(void* context, Coroutine* co) {
  auto& suspended = *static_cast<Suspended*>(context);
  if (co->status != CoroutineStatus::kSuspended || co->thread != suspended.thread) return;
  if (co->fiber == nullptr) {
    co->status = CoroutineStatus::kDead;
    co->thread = nullptr;
    return;
  }
  Fiber* fiber = static_cast<Fiber*>(co->fiber);
  fiber->next = suspended.list;
  suspended.list = fiber;
}

// Takes the coroutines of `thread` out of the list of those that wait to be unwound.
void withdraw_abandoned(SharedState& shared, const ThreadState* thread) noexcept {
  for (Coroutine** link = &shared.abandoned; *link != nullptr;) {
    Coroutine* co = *link;
    if (co->thread == thread) {
      *link = co->resumer;
      co->resumer = nullptr;
    } else {
      link = &co->resumer;
    }
  }
}

}  // namespace

void ThreadGroup::unwind_coroutines(ThreadState& thread) noexcept {
  scheduler_of(thread).stop_tasks(thread);
  const NativeThread& native = native_thread_of(thread);
  if (native.fiber_count() <= 1 && !thread.has_parked) return;  // the root's own
  withdraw_abandoned(shared_, &thread);
  Suspended suspended{&thread};
  shared_.heap.visit_coroutines(note_suspended, &suspended);
  while (Fiber* fiber = suspended.list) {
    suspended.list = fiber->next;
    Coroutine* co = fiber->coroutine;
    if (coroutine::has_native_frames(co)) {
      vm::unwind_abandoned(thread, co);
    } else {
      fibers_.release(fiber);
      co->status = CoroutineStatus::kDead;
    }
  }
}

}  // namespace baton::sched
