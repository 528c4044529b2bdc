// Awaitables as scripts see them: the methods of tasks and futures.
#include <string>

#include "async_library.h"
#include "sched/scheduler.h"
#include "sched/thread_group.h"
#include "thread_library.h"
#include "vm/call.h"
#include "vm/operations.h"
#include "vm/traceback.h"

namespace baton::stdlib {

using sched::ThreadStatus;

// --- what awaitables have in common ---------------------------------------------------------------------------------------

Awaited test_awaitable(ThreadState& thread, const Value& v) {
  if (v.tag != Tag::kUserdata) return {};
  Userdata* userdata = v.userdata();
  if (userdata->metatable == nullptr) return {};
  if (userdata->metatable == task_metatable(thread)) return {static_cast<sched::Task*>(userdata->block()), nullptr};
  if (userdata->metatable == future_metatable(thread)) return {nullptr, static_cast<sched::Future*>(userdata->block())};
  if (sched::NativeThread* native = test_thread(thread, v)) return {&native->root_task(), nullptr};
  return {};
}

Awaited check_awaitable(NativeCall& call, int i) {
  const Awaited awaited = test_awaitable(call.thread(), call.arg(i));
  if (!awaited) call.type_error(i, "Task, Thread or Future");
  return awaited;
}

namespace {

void refuse_own_end(NativeCall& call, const Awaited& awaited) {
  if (awaited.task == &sched::current_task(call.thread())) {
    call.error(awaited.task->is_root() ? "a native thread cannot wait for its own end" : "a task cannot wait for its own end");
  }
  if (awaited.task != nullptr && awaited.task->is_root() && awaited.task->scheduler().owner().is_main()) {
    call.error("the main native thread cannot be waited for");
  }
}

}  // namespace

sched::WaitResult wait_for_end(NativeCall& call, const Awaited& awaited, int timeout) {
  sched::ResumableWait wait(call);
  if (!wait.is_resumed()) {
    const std::int64_t deadline_ns = timeout_argument(call, timeout);
    sched::before_wait(call.thread());
    if (awaited.state().has_ended()) return sched::WaitResult::kReady;
    refuse_own_end(call, awaited);
    awaited.state().waiters().push(wait.begin(deadline_ns));
  }
  return wait.wait("await");
}

void wait_for_end_shielded(ThreadState& thread, const Awaited& awaited) noexcept {
  sched::Awaitable& state = awaited.state();
  if (state.has_ended()) return;
  sched::Waiter waiter(thread);
  state.waiters().push(waiter);
  (void)sched::wait_shielded(thread, waiter, kNoDeadline, "await");
}

int push_results(NativeCall& call, const Awaited& awaited) {
  if (awaited.task != nullptr) {
    const int count = awaited.task->result_count();
    call.reserve(count);
    const Coroutine* root = awaited.task->root();
    for (int i = 0; i < count; ++i) call.push(root->top[i - count]);
    return count;
  }
  Table* list = awaited.future->outcome().table();
  const auto count = static_cast<int>(native::get_field(call.thread(), list, "n").integer);
  call.reserve(count);
  for (int i = 1; i <= count; ++i) call.push(*table::get_integer(list, i));
  return count;
}

namespace {

std::string spawned_at(const sched::Task& task) {
  if (task.handle() == nullptr || task.spawned_at() == nullptr) return "";
  const Value& function = task.handle()->user_values()[sched::Task::kSpawner];
  return vm::position_in(function, task.spawned_at());
}

}  // namespace

Value take_error(NativeCall& call, const Awaited& awaited) {
  if (awaited.task == nullptr) {
    const Value& story = awaited.future->handle()->user_values()[1];  // of an error from another process
    if (story.is_string() && story.string()->length > 0) {
      std::string text = std::string(story.string()->view()) + "\nawaited by:";
      sched::current_task(call.thread()).remember_story(awaited.future->outcome(), std::move(text));
    }
    return awaited.future->outcome();
  }
  const sched::Task& task = *awaited.task;
  Value error = task.root()->error;
  if (error.is_nil() && task.status() == ThreadStatus::kCancelled) {
    error = Value::of(string::make(call.heap(), task.is_root() ? "native thread was stopped" : "task was stopped"));
  }
  if (!task.report().empty()) {
    std::string story = task.report();
    const std::string place = spawned_at(task);
    if (!place.empty()) story += "\nspawned at " + place;
    story += "\nawaited by:";
    sched::current_task(call.thread()).remember_story(error, std::move(story));
  }
  return error;
}

void mark_collected(ThreadState& thread, const Awaited& awaited) noexcept {
  if (awaited.task == nullptr) return;
  if (awaited.task->is_root()) sched::group_of(thread.shared).mark_collected(awaited.task->scheduler().owner());
  else awaited.task->mark_collected();
}

void cancel(NativeCall& call, const Awaited& awaited, const Value& reason) {
  if (awaited.state().has_ended()) return;
  if (awaited.future != nullptr) {
    const Value error = sched::make_cancellation(call.thread(), reason, false);
    awaited.future->settle(call.heap(), ThreadStatus::kCancelled, error);
  } else if (awaited.task->is_root()) {
    awaited.task->scheduler().owner().cancel(sched::make_cancellation(call.thread(), reason, false));
  } else {
    awaited.task->cancel(sched::make_cancellation(call.thread(), reason, false));
  }
}

// --- methods ---------------------------------------------------------------------------------------------------------------

namespace {

int awaitable_await(NativeCall& call) {
  const Awaited awaited = check_awaitable(call, 1);
  const sched::WaitResult ended = wait_for_end(call, awaited, 2);
  if (ended == sched::WaitResult::kLeft) return kNativeWaits;
  if (ended == sched::WaitResult::kTimedOut) return timeout_result(call);
  const bool fine = awaited.state().status() == ThreadStatus::kDone;
  if (fine) {
    mark_collected(call.thread(), awaited);
    return push_results(call, awaited);
  }
  const Value error = take_error(call, awaited);
  mark_collected(call.thread(), awaited);
  return call.fail(error);
}

int awaitable_result(NativeCall& call) {
  const Awaited awaited = check_awaitable(call, 1);
  const sched::WaitResult ended = wait_for_end(call, awaited, 2);
  if (ended == sched::WaitResult::kLeft) return kNativeWaits;
  if (ended == sched::WaitResult::kTimedOut) return timeout_result(call);
  const bool fine = awaited.state().status() == ThreadStatus::kDone;
  call.push(Value::boolean(fine));
  if (!fine) call.push(take_error(call, awaited));
  mark_collected(call.thread(), awaited);
  return fine ? push_results(call, awaited) + 1 : 2;
}

int awaitable_cancel(NativeCall& call) {
  const Awaited awaited = check_awaitable(call, 1);
  const bool asked = !awaited.state().has_ended();
  cancel(call, awaited, call.arg(2));
  return call.result(Value::boolean(asked));
}

int awaitable_done(NativeCall& call) { return call.result(Value::boolean(check_awaitable(call, 1).state().has_ended())); }

const char* status_of(const Awaited& awaited) {
  switch (awaited.state().status()) {
    case ThreadStatus::kPending: return "pending";
    case ThreadStatus::kRunning: break;
    case ThreadStatus::kDone: return "done";
    case ThreadStatus::kFailed: return "failed";
    case ThreadStatus::kCancelled: return "cancelled";
  }
  return awaited.task != nullptr && awaited.task->state() == sched::TaskState::kParked ? "waiting" : "running";
}

int awaitable_status(NativeCall& call) { return call.result_string(status_of(check_awaitable(call, 1))); }

// What on_done waits for has ended: from this moment on its task keeps the program alive.
class Arrival final : public sched::Waiter {
 public:
  explicit Arrival(sched::Waiter& waiter) noexcept : Waiter(pass_on), waiter_(waiter) {}

 private:
  static void pass_on(sched::Waiter& self) noexcept {
    sched::Waiter& waiter = static_cast<Arrival&>(self).waiter_;
    waiter.task().scheduler().keep(waiter.task());
    waiter.make_ready();
  }
  sched::Waiter& waiter_;
};

// The body of the task that on_done spawns. What may never end keeps no program alive; the call of f does.
int observe(NativeCall& call) {
  sched::Awaitable& awaited = check_awaitable(call, 1).state();
  sched::before_wait(call.thread());
  if (!awaited.has_ended()) {
    sched::scheduler_of(call.thread()).make_daemon(sched::current_task(call.thread()));
    sched::Waiter waiter(call.thread());
    Arrival arrival(waiter);
    awaited.waiters().push(arrival);
    (void)sched::wait(call.thread(), waiter, kNoDeadline, "on_done");
  }
  call.set_size(2);
  call.push(call.arg(2));
  call.push(call.arg(1));
  vm::call(call.thread(), 1, 0);
  return 0;
}

constexpr NativeInfo kObserve = {"observe", "observe(awaitable, f)", "Calls f(awaitable) when it has ended.", observe};

int awaitable_on_done(NativeCall& call) {
  (void)check_awaitable(call, 1);
  check_callable(call, 2);
  sched::Scheduler& scheduler = sched::scheduler_of(call.thread());
  const Value body = native::make(call.thread(), &kObserve);
  Userdata* handle = scheduler.create(call.thread(), body, sched::current_task(call.thread()));
  handle->metatable = task_metatable(call.thread());
  call.push(Value::of(handle));
  auto& task = *static_cast<sched::Task*>(handle->block());
  scheduler.add_argument(task, call.arg(1));
  scheduler.add_argument(task, call.arg(2));
  scheduler.start(task);
  return 1;
}

int awaitable_traceback(NativeCall& call) {
  const Awaited awaited = check_awaitable(call, 1);
  if (awaited.task == nullptr) call.type_error(1, "Task or Thread");
  const sched::Task& task = *awaited.task;
  if (!task.report().empty()) return call.result_string(task.report());
  std::string text = vm::traceback(call.thread(), task.leaf(), nullptr, 0);
  for (const Coroutine* co = task.leaf(); co != task.root() && co->resumer != nullptr; co = co->resumer) {
    text += "\nresumed by " + vm::traceback(call.thread(), co->resumer, nullptr, 0);
  }
  const std::string place = spawned_at(task);
  if (!place.empty()) text += "\nspawned at " + place;
  return call.result_string(text);
}

const NativeInfo kTaskMethods[] = {
    {"await", "Task:await(timeout?: number) -> any ...",
     "Waits until the task has ended and returns the results of its function, or raises the same error value that it raised; "
     "nil, \"timeout\", \"ETIMEDOUT\" if the timeout (seconds) comes first: the task goes on.\n"
     "Waits: parks the task.",
     awaitable_await,
     Intrinsic::kResumable},
    {"cancel", "Task:cancel(reason?: any) -> boolean",
     "Asks the task to end and returns at once, true if it had not ended: a cancellation is raised at its next waiting "
     "point, and again at every later one.",
     awaitable_cancel},
    {"done", "Task:done() -> boolean",
     "Whether it has ended.",
     awaitable_done},
    {"join", "Task:join(timeout?: number) -> any ...",
     "The same as await.",
     awaitable_await,
     Intrinsic::kResumable},
    {"on_done", "Task:on_done(f: function) -> Task",
     "Calls f(task) in a task of its own when it has ended. Returns that task.",
     awaitable_on_done},
    {"result", "Task:result(timeout?: number) -> boolean?, any ...",
     "Like await, but returns true and the results, or false and the error value, as pcall does.\n"
     "Waits: parks the task.",
     awaitable_result,
     Intrinsic::kResumable},
    {"status", "Task:status() -> string",
     "\"pending\", \"running\", \"waiting\", \"done\", \"failed\" or \"cancelled\".",
     awaitable_status},
    {"traceback", "Task:traceback() -> string",
     "Where the task stands, or where its error came from.",
     awaitable_traceback},
    {nullptr, nullptr, nullptr, nullptr},
};

// Fields `id` and `name`, else methods (upvalue 1).
int task_index(NativeCall& call) {
  const auto& task = *static_cast<sched::Task*>(call.check_userdata(1, kTaskClass));
  const Value key = call.arg(2);
  if (key.is_string()) {
    if (key.string()->view() == "id") return call.result(Value::from(static_cast<std::int64_t>(task.id())));
    if (key.string()->view() == "name") {
      const Value name = task.handle()->user_values()[sched::Task::kName];
      return name.is_nil() ? call.result_string("task-" + std::to_string(task.id())) : call.result(name);
    }
  }
  return call.result(*table::get(call.upvalue(1).table(), key));
}

int task_to_string(NativeCall& call) {
  const auto& task = *static_cast<sched::Task*>(call.check_userdata(1, kTaskClass));
  std::string text = "Task " + std::to_string(task.id());
  const Value name = task.handle()->user_values()[sched::Task::kName];
  if (name.is_string()) text += " '" + std::string(name.string()->view()) + "'";
  text += std::string(" (") + status_of({const_cast<sched::Task*>(&task), nullptr});
  if (task.awaits() != nullptr) text += std::string(" in ") + task.awaits();
  if (!task.has_ended()) {
    const std::string place = vm::position_of(task.leaf());
    if (!place.empty()) text += " at " + place;
  }
  return call.result_string(text + ")");
}

const NativeInfo kTaskMetamethods[] = {
    {"__index", "task[key]", "Fields id and name, and the methods of a task.", task_index},
    {"__tostring", "tostring(task)", "Number, name, state and place of a task.", task_to_string},
    {nullptr, nullptr, nullptr, nullptr},
};

// --- futures ---------------------------------------------------------------------------------------------------------------

sched::Future& check_future(NativeCall& call) { return *static_cast<sched::Future*>(call.check_userdata(1, kFutureClass)); }

int future_resolve(NativeCall& call) {
  sched::Future& future = check_future(call);
  if (future.has_ended()) call.error("the future has ended already");
  Table* list = table::make(call.heap(), static_cast<std::uint32_t>(call.count() - 1), 1);
  for (int i = 2; i <= call.count(); ++i) table::set_integer(call.heap(), list, i - 1, call.arg(i));
  native::set_field(call.thread(), list, "n", Value::from(std::int64_t{call.count() - 1}));
  (void)future.settle(call.heap(), ThreadStatus::kDone, Value::of(list));
  return call.result(Value::boolean(true));
}

int future_reject(NativeCall& call) {
  sched::Future& future = check_future(call);
  if (future.has_ended()) call.error("the future has ended already");
  (void)future.settle(call.heap(), ThreadStatus::kFailed, call.arg(2));
  return call.result(Value::boolean(true));
}

const NativeInfo kFutureMethods[] = {
    {"await", "Future:await(timeout?: number) -> any ...",
     "Waits until it has ended; returns what it was resolved with or raises what it was rejected with; nil, \"timeout\", "
     "\"ETIMEDOUT\" when late.\n"
     "Waits: parks the task.",
     awaitable_await,
     Intrinsic::kResumable},
    {"cancel", "Future:cancel(reason?: any) -> boolean",
     "Ends it: who awaits it gets a cancellation. Whether it had not ended.",
     awaitable_cancel},
    {"done", "Future:done() -> boolean",
     "Whether it has ended.",
     awaitable_done},
    {"join", "Future:join(timeout?: number) -> any ...",
     "The same as await.",
     awaitable_await,
     Intrinsic::kResumable},
    {"on_done", "Future:on_done(f: function) -> Task",
     "Calls f(future) in a task of its own when it has ended. Returns that task.",
     awaitable_on_done},
    {"reject", "Future:reject(e: any)",
     "Ends it with an error.\n"
     "Raises: \"the future has ended already\".",
     future_reject},
    {"resolve", "Future:resolve(...: any)",
     "Ends it with results.\n"
     "Raises: \"the future has ended already\".",
     future_resolve},
    {"result", "Future:result(timeout?: number) -> boolean?, any ...",
     "Like await, but returns true and the results, or false and the error.\n"
     "Waits: parks the task.",
     awaitable_result,
     Intrinsic::kResumable},
    {"status", "Future:status() -> string",
     "\"pending\", \"done\", \"failed\" or \"cancelled\".",
     awaitable_status},
    {nullptr, nullptr, nullptr, nullptr},
};

int future_index(NativeCall& call) {
  const sched::Future& future = check_future(call);
  const Value key = call.arg(2);
  if (key.is_string() && key.string()->view() == "id") {
    return call.result(Value::from(static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(&future))));
  }
  if (key.is_string() && key.string()->view() == "name") return call.result_string("future");
  return call.result(*table::get(call.upvalue(1).table(), key));
}

int future_to_string(NativeCall& call) {
  return call.result_string(std::string("Future (") + status_of({nullptr, &check_future(call)}) + ")");
}

const NativeInfo kFutureMetamethods[] = {
    {"__index", "future[key]", "Fields id and name, and the methods of a future.", future_index},
    {"__tostring", "tostring(future)", "The state of a future.", future_to_string},
    {nullptr, nullptr, nullptr, nullptr},
};

}  // namespace

int thread_on_done(NativeCall& call) { return awaitable_on_done(call); }

Table* task_metatable(ThreadState& thread) {
  return native::class_with_methods(thread, kTaskClass, kTaskMethods, kTaskMetamethods);
}

Table* future_metatable(ThreadState& thread) {
  return native::class_with_methods(thread, kFutureClass, kFutureMethods, kFutureMetamethods);
}

}  // namespace baton::stdlib
