// The module async: tasks of the running native thread. Its natives are here, in async_awaitable.cpp, async_scope.cpp and
// async_watch.cpp; what is written in script, in async_combinators.script, gets the natives as its argument and adds to them.
#include <cmath>
#include <string>

#include "all_modules.h"
#include "async_library.h"
#include "option_table.h"
#include "sched/scheduler.h"
#include "sched/thread_group.h"
#include "script_part.h"
#include "thread_library.h"
#include "vm/call.h"
#include "vm/operations.h"
#include "vm/traceback.h"

namespace baton::stdlib {
namespace {

constexpr std::string_view kCombinators =
#include "async_combinators.inc"
    ;

// The script function that called the running native, for tracebacks of what it spawns.
void note_spawner(NativeCall& call, sched::Task& task) {
  const CallFrame* caller = call.coroutine()->frame - 1;
  if (caller <= call.coroutine()->frames || !caller->is_script()) return;
  Value& spawner = task.handle()->user_values()[sched::Task::kSpawner];
  spawner = caller->base[-1];
  call.heap().barrier(task.handle(), spawner);
  task.set_spawned_at(caller->pc);
}

// Where the running task's storage is: in its handle, or in the scheduler, since the root has no handle of a task.
Value& current_storage(NativeCall& call) {
  const sched::Task& current = sched::current_task(call.thread());
  if (current.handle() == nullptr) return sched::scheduler_of(call.thread()).root_storage();
  return current.handle()->user_values()[sched::Task::kStorage];
}

// The spawned task's storage begins as a copy of the spawner's.
void inherit_storage(NativeCall& call, Userdata* handle) {
  const Value storage = current_storage(call);
  if (!storage.is_table()) return;
  Table* copy = table::make(call.heap());
  handle->user_values()[sched::Task::kStorage] = Value::of(copy);
  call.heap().barrier(handle, Value::of(copy));
  std::uint64_t position = 0;
  Value key, value;
  while (table::next_at(storage.table(), position, key, value)) table::set(call.heap(), copy, key, value);
}

}  // namespace

bool is_callable(NativeCall& call, int i) {
  return call.arg(i).is_function() || !vm::metamethod(call.shared(), call.arg(i), Metamethod::kCall).is_nil();
}

void check_callable(NativeCall& call, int i) {
  if (!is_callable(call, i)) (void)call.check_function(i);
}

std::int64_t deadline_argument(NativeCall& call, int i) {
  const double seconds = call.check_number(i);
  if (std::isnan(seconds)) call.argument_error(i, "number of seconds is not a number");
  return sched::deadline_after(seconds);
}

sched::Task& spawn_task(NativeCall& call, Table* metatable, int function, sched::Scheduler& scheduler, sched::Scope* owner,
                        const Value& name) {
  const int last = call.count();
  Userdata* handle = scheduler.create(call.thread(), call.arg(function), sched::current_task(call.thread()));
  handle->metatable = metatable;
  auto& task = *static_cast<sched::Task*>(handle->block());
  if (!name.is_nil()) handle->user_values()[sched::Task::kName] = name;
  if (owner != nullptr) handle->user_values()[sched::Task::kScope] = Value::of(owner->handle());
  call.push(Value::of(handle));
  for (int i = function + 1; i <= last; ++i) scheduler.add_argument(task, call.slot(i));
  inherit_storage(call, handle);
  note_spawner(call, task);
  if (owner != nullptr) owner->adopt(task);
  scheduler.start(task);
  return task;
}

int read_spawn_options(NativeCall& call, int first, Value* name, bool* detached) {
  if (is_callable(call, first)) return first;
  static constexpr const char* kOptions[] = {"name", "detached", nullptr};
  const int function = call.arg(first).is_table() ? first + 1 : first;
  const OptionTable options(call, function == first ? call.count() + 1 : first, kOptions);
  check_callable(call, function);
  if (const String* text = options.text("name")) *name = Value::of(const_cast<String*>(text));
  *detached = options.flag("detached");
  return function;
}

Status call_protected(ThreadState& thread, int arguments, int* results) {
  const Value recorder = sched::group_of(thread.shared).story_recorder(thread);
  return vm::protected_call(thread, arguments, kMultipleResults, recorder, results);
}

Status call_argument(NativeCall& call, int function, int* results) {
  const int last = call.count();
  call.reserve(last - function + 1);
  for (int i = function; i <= last; ++i) call.push(call.slot(i));
  return call_protected(call.thread(), last - function, results);
}

int thread_spawn_task(NativeCall& call) {
  sched::NativeThread* thread = test_thread(call.thread(), call.arg(1));
  if (thread == nullptr) call.type_error(1, "Thread");
  if (thread->has_ended()) call.error("the native thread has ended");
  Value name;
  bool detached = false;
  const int function = read_spawn_options(call, 2, &name, &detached);
  (void)spawn_task(call, task_metatable(call.thread()), function, thread->scheduler(), nullptr, name);
  return 1;
}

namespace {

// Upvalue 1 is the metatable of tasks.
int async_spawn(NativeCall& call) {
  Value name;
  bool detached = false;
  const int function = read_spawn_options(call, 1, &name, &detached);
  sched::Task& current = sched::current_task(call.thread());
  (void)spawn_task(call, call.upvalue(1).table(), function, current.scheduler(), detached ? nullptr : current.nursery(), name);
  return 1;
}

int async_sleep(NativeCall& call) {
  sched::ResumableWait wait(call);
  if (!wait.is_resumed()) {
    const double seconds = call.check_number(1);
    if (std::isnan(seconds)) call.argument_error(1, "number of seconds is not a number");
    if (seconds <= 0) return wait.checkpoint();
    (void)wait.begin(sched::deadline_after(seconds));
  }
  return wait.wait("async.sleep") == sched::WaitResult::kLeft ? kNativeWaits : 0;
}

// When `at`, a time of time.monotonic(), has come.
std::int64_t deadline_at(double at, double seconds_from_now) noexcept {
  if (at > 4e9) return sched::deadline_after(seconds_from_now);
  return static_cast<std::int64_t>(std::ceil(at * 1e9));
}

int async_sleep_until(NativeCall& call) {
  sched::ResumableWait wait(call);
  if (!wait.is_resumed()) {
    const double at = call.check_number(1);
    if (std::isnan(at)) call.argument_error(1, "time is not a number");
    const double seconds = at - static_cast<double>(monotonic_ns()) * 1e-9;
    if (seconds <= 0) return wait.checkpoint();
    (void)wait.begin(deadline_at(at, seconds));
  }
  return wait.wait("async.sleep_until") == sched::WaitResult::kLeft ? kNativeWaits : 0;
}

int async_checkpoint(NativeCall& call) {
  sched::checkpoint(call.thread());
  return 0;
}

Value handle_of(NativeCall& call, const sched::Task& task) {
  if (task.handle() != nullptr) return Value::of(task.handle());
  return thread_handle(call.thread(), task.scheduler().owner());
}

int async_current(NativeCall& call) { return call.result(handle_of(call, sched::current_task(call.thread()))); }

int async_tasks(NativeCall& call) {
  std::vector<sched::Task*> tasks;  // the newest first
  sched::scheduler_of(call.thread()).for_each_task([&](sched::Task& task) { tasks.push_back(&task); });
  Table* list = table::make(call.heap(), static_cast<std::uint32_t>(tasks.size()));
  std::int64_t n = 0;
  for (auto task = tasks.rbegin(); task != tasks.rend(); ++task) {
    table::set_integer(call.heap(), list, ++n, Value::of((*task)->handle()));
  }
  return call.result(Value::of(list));
}

int async_storage(NativeCall& call) {
  Value& storage = current_storage(call);
  if (!storage.is_table()) {
    storage = Value::of(table::make(call.heap()));
    Userdata* handle = sched::current_task(call.thread()).handle();
    if (handle != nullptr) call.heap().barrier(handle, storage);
  }
  return call.result(storage);
}

int async_future(NativeCall& call) {
  Userdata* future = sched::Future::make(call.heap());
  call.push(Value::of(future));
  future->metatable = future_metatable(call.thread());
  return 1;
}

// --- running a function under a deadline or a shield ------------------------------------------------------------------------

int call_with_deadline(NativeCall& call, std::int64_t deadline_ns) {
  sched::before_wait(call.thread());
  sched::Scope scope(sched::ScopeKind::kDeadline);
  scope.enter(call.thread(), deadline_ns);
  int results = 0;
  const Status status = call_argument(call, 2, &results);
  scope.leave();
  if (status == Status::kOk) return results;
  const Value error = call.thread().pending;
  if (scope.is_expired() && raw_equal(error, scope.error())) {
    call.thread().pending.set_nil();
    return timeout_result(call);
  }
  return call.fail(error);
}

int async_timeout(NativeCall& call) {
  const std::int64_t deadline_ns = deadline_argument(call, 1);
  check_callable(call, 2);
  return call_with_deadline(call, deadline_ns);
}

int async_deadline(NativeCall& call) {
  const double at = call.check_number(1);
  if (std::isnan(at)) call.argument_error(1, "time is not a number");
  check_callable(call, 2);
  if (at > 4e9) return call_with_deadline(call, kNoDeadline);
  return call_with_deadline(call, at <= 0 ? 1 : static_cast<std::int64_t>(std::ceil(at * 1e9)));
}

int async_shield(NativeCall& call) {
  check_callable(call, 1);
  sched::Scope scope(sched::ScopeKind::kShield);
  scope.enter(call.thread(), kNoDeadline);
  return vm::call(call.thread(), call.count() - 1, kMultipleResults);
}

bool is_cancellation(NativeCall& call, const Value& error, bool* is_timeout) {
  if (sched::is_cancellation(call.thread(), error, is_timeout)) return true;
  const sched::Task& task = sched::current_task(call.thread());
  return task.is_cancelled() && !error.is_nil() && raw_equal(error, task.cancel_reason());
}

int async_is_cancelled(NativeCall& call) {
  bool is_timeout = false;
  return call.result(Value::boolean(is_cancellation(call, call.arg(1), &is_timeout)));
}

// What a timed acquire raises, and the "timeout" that calls return, in an assert.
bool is_text_of_timeout(const Value& error) noexcept {
  if (!error.is_string()) return false;
  const std::string_view text = error.string()->view();
  return text == "timeout" || text.substr(0, 9) == "timeout: " || text.find(": timeout: ") != std::string_view::npos;
}

int async_is_timeout(NativeCall& call) {
  bool is_timeout = false;
  if (is_text_of_timeout(call.arg(1))) return call.result(Value::boolean(true));
  return call.result(Value::boolean(is_cancellation(call, call.arg(1), &is_timeout) && is_timeout));
}

int async_try(NativeCall& call) {
  call.check_any(1);
  int results = 0;
  if (call_argument(call, 1, &results) == Status::kOk) {
    call.push(Value());
    for (int i = call.size(); i > call.size() - results; --i) call.slot(i) = call.slot(i - 1);
    call.slot(call.size() - results) = Value::boolean(true);
    return results + 1;
  }
  const Value error = call.thread().pending;
  bool is_timeout = false;
  if (is_cancellation(call, error, &is_timeout)) return call.fail(error);
  call.thread().pending.set_nil();
  call.push(Value::boolean(false));
  call.push(error);
  return 2;
}

// remember(error, traceback): the running task keeps how an error came about. For generators.
int async_remember(NativeCall& call) {
  if (call.arg(2).is_string()) {
    sched::current_task(call.thread()).remember_story(call.arg(1), std::string(call.arg(2).string()->view()));
  }
  return 0;
}

// join_all(list): waits for the ends of awaitables, whatever is asked of the task meanwhile.
int async_join_all(NativeCall& call) {
  Table* list = call.check_table(1);
  for (std::uint64_t i = 1, n = table::length(list); i <= n; ++i) {
    const Awaited awaited = test_awaitable(call.thread(), *table::get_integer(list, static_cast<std::int64_t>(i)));
    if (awaited) wait_for_end_shielded(call.thread(), awaited);
  }
  return 0;
}

// collected(awaitable): nobody needs to be told of its error.
int async_collected(NativeCall& call) {
  mark_collected(call.thread(), check_awaitable(call, 1));
  return 0;
}

// awaitable(v) -> whether v is one.
int async_awaitable(NativeCall& call) {
  return call.result(Value::boolean(static_cast<bool>(test_awaitable(call.thread(), call.arg(1)))));
}

int async_loop(NativeCall& call) {
  const sched::Scheduler& scheduler = sched::scheduler_of(call.thread());
  Table* result = table::make(call.heap(), 0, 8);
  call.push(Value::of(result));
  const auto set = [&](const char* name, std::uint64_t value) {
    native::set_field(call.thread(), result, name, Value::from(static_cast<std::int64_t>(value)));
  };
  set("ready", scheduler.ready_count());
  set("timers", const_cast<sched::Scheduler&>(scheduler).timers().size());
  set("handles", scheduler.events() != nullptr ? scheduler.events()->handle_count() : 0);
  set("tasks", scheduler.task_count());
  set("polls", scheduler.polls());
  return 1;
}

const NativeInfo kFunctions[] = {
    {"checkpoint", "async.checkpoint()",
     "Lets all other tasks that are ready run first.\n"
     "Waits: parks the task."
     R"lua(

async.spawn(print, "other")
async.checkpoint()  --> other)lua",
     async_checkpoint,
     Intrinsic::kCheckpoint},
    {"current", "async.current() -> Task|Thread",
     "The running Task; the Thread, in a native thread's body."
     R"lua(

print(async.spawn({name = "t"}, function() return async.current().name end):await())  --> t)lua",
     async_current},
    {"debug", "async.debug(options?: table|boolean)",
     "A task that runs for longer than `slow` (0.1) seconds without letting others run is reported: on_slow(task, seconds, "
     "position) is called in a task of its own; without it standard error tells. false ends it."
     R"lua(

async.debug{slow = 0.5, on_slow = function(task, seconds, position) print(position) end}
async.debug(false))lua",
     async_debug},
    {"deadline", "async.deadline(at: number, f: function, ...: any) -> any ...",
     "Like timeout, but until a time of time.monotonic().\n"
     "Waits: calls f, which may wait."
     R"lua(

local time = require "time"
print(async.deadline(time.monotonic() + 0.01, async.sleep, 10))  --> nil	timeout	ETIMEDOUT)lua",
     async_deadline},
    {"future", "async.future() -> Future",
     "A Future, to be resolved or rejected once, from any native thread."
     R"lua(

local f = async.future()
async.spawn(function() f:resolve(1, 2) end)
print(f:await())  --> 1	2)lua",
     async_future},
    {"is_cancelled", "async.is_cancelled(e?: any) -> boolean",
     "Whether an error value tells of a cancellation; that of an expired scope does, too."
     R"lua(

local t = async.spawn(async.sleep, 10)
t:cancel()
print(async.is_cancelled(select(2, t:result())))  --> true)lua",
     async_is_cancelled},
    {"is_timeout", "async.is_timeout(e?: any) -> boolean",
     "Whether an error value tells of a scope whose time was over."
     R"lua(

local ok, e = pcall(async.scope, {timeout = 0.01}, function() async.sleep(10) end)
print(ok, async.is_timeout(e))  --> false	true)lua",
     async_is_timeout},
    {"loop", "async.loop() -> table",
     "Figures of the running native thread: {ready=, timers=, handles=, tasks=, polls=}."
     R"lua(

print(async.loop().tasks >= 0)  --> true)lua",
     async_loop},
    {"scope", "async.scope(options?: table, f?: function) -> Scope|any ...",
     "A scope that owns the tasks spawned in it. Closing it waits for them; the first error among them cancels the body and "
     "the others and is raised at the close. With a function: calls f(scope), closes the scope and returns f's results. "
     "Options: limit, so many children at once; name; timeout, seconds, or deadline, a time of time.monotonic(), when it is "
     "cancelled; grace, how many seconds (5) closing may take after that.\n"
     "Raises: what a child raised; an error that is_timeout knows.\n"
     "Waits: the close parks the task."
     R"lua(

do
  local s <close> = async.scope{limit = 2}
  for i = 1, 3 do s:spawn(function() async.sleep(0.001 * i) print(i) end) end
end
--> 1
--> 2
--> 3)lua",
     async_scope},
    {"shield", "async.shield(f: function, ...: any) -> any ...",
     "Calls f in the current task and returns its results; a cancellation from outside waits until it has returned.\n"
     "Waits: calls f, which may wait."
     R"lua(

print(async.shield(function() async.sleep(0.001) return "saved" end))  --> saved)lua",
     async_shield},
    {"sleep", "async.sleep(seconds: number)",
     "Lets the task sleep, never shorter than that; other tasks and native threads run. 0 or less: a checkpoint.\n"
     "Waits: parks the task."
     R"lua(

async.sleep(0.001))lua",
     async_sleep,
     Intrinsic::kResumable},
    {"sleep_until", "async.sleep_until(at: number)",
     "Sleeps until a time of time.monotonic().\n"
     "Waits: parks the task."
     R"lua(

async.sleep_until(require "time".monotonic() + 0.001))lua",
     async_sleep_until,
     Intrinsic::kResumable},
    {"storage", "async.storage() -> table",
     "The running task's table; tasks spawned, to_thread and submit begin with a copy."
     R"lua(

print(async.spawn(function()
  async.storage().user = "ada"
  return async.spawn(function() return async.storage().user end):await()
end):await())  --> ada)lua",
     async_storage},
    {"tasks", "async.tasks() -> table",
     "A list of the tasks of the running native thread that have not ended, the oldest first."
     R"lua(

local t = async.spawn(async.sleep, 0)
print(#async.tasks())  --> 1)lua",
     async_tasks},
    {"timeout", "async.timeout(seconds: number, f: function, ...: any) -> any ...",
     "Calls f in the current task and returns its results, or nil, \"timeout\", \"ETIMEDOUT\" if it was not done in "
     "time: it is then cancelled at its next waiting point.\n"
     "Waits: calls f, which may wait."
     R"lua(

print(async.timeout(0.01, async.sleep, 10))       --> nil	timeout	ETIMEDOUT
print(async.timeout(10, math.max, 1, 2))          --> 2)lua",
     async_timeout},
    {"trace", "async.trace(options?: string|table) -> Trace?",
     "Records what every task does: running, waiting for its turn, or for something. The Trace is closable; a path (or "
     "path=, with format= \"json\", \"svg\", \"html\" or \"text\") says where it is written then.\n"
     "Fails: nil, message, code if the file cannot be made."
     R"lua(

local trace <close> = async.trace()
async.spawn(async.sleep, 0.001):await()
print(#trace:events() > 0)  --> true)lua",
     async_trace},
    {"try", "async.try(f: function, ...: any) -> boolean, any ...",
     "Like pcall, but lets cancellations through."
     R"lua(

print(async.try(error, "no", 0))  --> false	no)lua",
     async_try},
    {"wait_readable", "async.wait_readable(fd: integer, timeout?: number) -> boolean?",
     "Waits until a descriptor can be read. True, or nil, \"timeout\", \"ETIMEDOUT\".\n"
     "Waits: parks the task."
     R"lua(

print(async.wait_readable(0, 1))  --> true)lua",
     async_wait_readable},
    {"wait_writable", "async.wait_writable(fd: integer, timeout?: number) -> boolean?",
     "Waits until a descriptor can be written. True, or nil, \"timeout\", \"ETIMEDOUT\".\n"
     "Waits: parks the task."
     R"lua(

print(async.wait_writable(1, 1))  --> true)lua",
     async_wait_writable},
    {nullptr, nullptr, nullptr, nullptr},
};

constexpr NativeInfo kSpawn = {
    "spawn", "async.spawn([options: table,] f: function, ...: any) -> Task",
    "A task that calls f with the arguments. It runs at the next wait of the running one, and belongs to the innermost "
    "scope. Options: name, a string; detached=true: it belongs to no scope."
    R"lua(

local t = async.spawn(function(a, b) return a + b end, 1, 2)
print(t:await())  --> 3)lua",
    async_spawn};

// What only the combinators use.
const NativeInfo kInternals[] = {
    {"awaitable", "awaitable(v)", "Whether v is an awaitable.", async_awaitable},
    {"collected", "collected(awaitable)", "Nobody needs to be told of its error.", async_collected},
    {"join_all", "join_all(list)", "Waits for the ends of awaitables.", async_join_all},
    {"remember", "remember(error, traceback)", "Keeps how an error came about.", async_remember},
    {"watch", "watch(list)", "An object whose next() gives the index of the next of them to end.", async_watch},
    {nullptr, nullptr, nullptr, nullptr},
};

void add_combinators(ThreadState& thread, Table* library) {
  run_script_part(thread, library, kInternals, kCombinators, "=async");
}

}  // namespace

Table* open_async(ThreadState& thread) {
  Table* library = table::make(thread.heap(), 0, 64);
  native::add_functions(thread, library, kFunctions);
  const Value spawn = native::make(thread, &kSpawn, 1);
  spawn.native()->upvalues()[0] = Value::of(task_metatable(thread));
  native::set_field(thread, library, "spawn", spawn);
  add_sync_family(thread, library);
  add_combinators(thread, library);
  return library;
}

}  // namespace baton::stdlib
