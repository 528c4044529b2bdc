// The module thread: native threads that share the heap.
//
// A Thread is a userdata around a reference to sched's NativeThread; its user value is the thread's root coroutine, on whose
// stack the results stay. So results live as long as somebody can ask for them, and no longer.
#include <cmath>
#include <new>
#include <string>

#include "all_modules.h"
#include "async_library.h"
#include "option_table.h"
#include "sched/scope.h"
#include "sched/thread_group.h"
#include "thread_library.h"
#include "vm/operations.h"

namespace baton::stdlib {

std::int64_t timeout_argument(NativeCall& call, int i) {
  if (call.none_or_nil(i)) return kNoDeadline;
  const double seconds = call.check_number(i);
  if (std::isnan(seconds)) call.argument_error(i, "timeout is not a number");
  return sched::deadline_after(seconds);
}

int timeout_result(NativeCall& call) {
  call.push(Value());
  call.push_string("timeout");
  call.push_string("ETIMEDOUT");
  return 3;
}

namespace {

using sched::NativeThread;
using sched::ThreadGroup;
using sched::ThreadStatus;

struct Handle {
  NativeThread* thread;
};

ThreadGroup& group(NativeCall& call) { return sched::group_of(call.shared()); }

NativeThread& self(NativeCall& call) { return sched::native_thread_of(call.thread()); }

NativeThread& check_thread(NativeCall& call) { return *static_cast<Handle*>(call.check_userdata(1, kThreadClass))->thread; }

// The collector has found that nobody can ask for the results any more.
void release_handle(void* block) noexcept {
  NativeThread* thread = static_cast<Handle*>(block)->thread;
  if (thread == nullptr) return;
  thread->set_handle(nullptr);
  sched::group_of(thread->state().shared).report_if_uncollected(*thread);
  thread->release_reference();
}

// --- results ---------------------------------------------------------------------------------------------------------------

const Coroutine* root_of(NativeCall& call) { return call.slot(1).userdata()->user_values()[0].coroutine(); }

// Waits for the end of the thread in argument 1. Returns: false when the timeout in argument 2 came first.
bool wait_for_end(NativeCall& call, NativeThread& thread) {
  if (thread.has_ended()) return true;
  if (&thread == &self(call)) call.error("a native thread cannot wait for its own end");
  if (thread.is_main()) call.error("the main native thread cannot be waited for");
  const std::int64_t deadline = timeout_argument(call, 2);
  sched::Waiter waiter(call.thread());
  thread.joiners().push(waiter);
  return sched::wait(call.thread(), waiter, deadline, "thread.join") == sched::WaitResult::kReady;
}

// With its traceback, which goes on where it is raised again.
Value error_of(NativeCall& call, NativeThread& thread) { return take_error(call, {&thread.root_task(), nullptr}); }

int push_results(NativeCall& call, NativeThread& thread) {
  const int count = thread.result_count();
  call.reserve(count);
  const Coroutine* root = root_of(call);
  for (int i = 0; i < count; ++i) call.push(root->top[i - count]);
  return count;
}

int thread_join(NativeCall& call) {
  NativeThread& thread = check_thread(call);
  if (!wait_for_end(call, thread)) return timeout_result(call);
  group(call).mark_collected(thread);
  if (thread.status() != ThreadStatus::kDone) return call.fail(error_of(call, thread));
  return push_results(call, thread);
}

int thread_result(NativeCall& call) {
  NativeThread& thread = check_thread(call);
  if (!wait_for_end(call, thread)) return timeout_result(call);
  group(call).mark_collected(thread);
  const bool fine = thread.status() == ThreadStatus::kDone;
  call.push(Value::boolean(fine));
  if (fine) return push_results(call, thread) + 1;
  call.push(error_of(call, thread));
  return 2;
}

// --- state -----------------------------------------------------------------------------------------------------------------

int thread_status(NativeCall& call) {
  NativeThread& thread = check_thread(call);
  switch (thread.status()) {
    case ThreadStatus::kPending: return call.result_string("pending");
    case ThreadStatus::kRunning: return call.result_string(thread.is_waiting() ? "waiting" : "running");
    case ThreadStatus::kDone: return call.result_string("done");
    case ThreadStatus::kFailed: return call.result_string("failed");
    default: return call.result_string("cancelled");
  }
}

int thread_done(NativeCall& call) { return call.result(Value::boolean(check_thread(call).has_ended())); }

int thread_cancel(NativeCall& call) {
  NativeThread& thread = check_thread(call);
  const bool asked = !thread.has_ended();
  if (asked) thread.cancel(sched::make_cancellation(call.thread(), call.arg(2), false));
  return call.result(Value::boolean(asked));
}

// Fields `id` and `name`, else methods (upvalue 1).
int thread_index(NativeCall& call) {
  NativeThread& thread = check_thread(call);
  const Value key = call.arg(2);
  if (key.is_string()) {
    if (key.string()->view() == "id") return call.result(Value::from(std::int64_t{thread.state().id}));
    if (key.string()->view() == "name") return call.result_string(thread.state().name);
  }
  return call.result(*table::get(call.upvalue(1).table(), key));
}

int thread_to_string(NativeCall& call) {
  NativeThread& thread = check_thread(call);
  return call.result_string("Thread " + std::to_string(thread.state().id) + " '" + thread.state().name + "'");
}

const NativeInfo kMethods[] = {
    {"await", "Thread:await(timeout?: number) -> any ...",
     "The same as join.",
     thread_join},
    {"cancel", "Thread:cancel(reason?: any) -> boolean",
     "Asks the native thread to end and returns at once, true if it had not ended: a cancellation with that reason is raised "
     "in it at its next loop, call or wait, and again at every later wait."
     R"lua(

local t = thread.spawn(function() while true do end end)
t:cancel("enough")
print(t:result() == false, t:status())  --> true	cancelled)lua",
     thread_cancel},
    {"done", "Thread:done() -> boolean",
     "Whether it has ended.",
     thread_done},
    {"join", "Thread:join(timeout?: number) -> any ...",
     "Waits until the native thread has ended and returns the results of its function, or raises the same error value that "
     "it raised; nil, \"timeout\", \"ETIMEDOUT\" if the timeout (seconds) comes first.\n"
     "Raises: \"a native thread cannot wait for its own end\".\n"
     "Waits: parks the task."
     R"lua(

local t = thread.spawn(function() error {code = 7} end)
print(select(2, pcall(t.join, t)).code)  --> 7)lua",
     thread_join},
    {"on_done", "Thread:on_done(f: function) -> Task",
     "Calls f(thread) in a task of the calling native thread when it has ended.",
     thread_on_done},
    {"result", "Thread:result(timeout?: number) -> boolean?, any ...",
     "Like join, but returns true and the results, or false and the error value, as pcall does.\n"
     "Waits: parks the task."
     R"lua(

print(thread.spawn(error, "no", 0):result()))lua",
     thread_result},
    {"spawn", "Thread:spawn(f: function, ...: any) -> Task",
     "Spawns a task on that native thread: it runs when that one waits.\n"
     "Raises: \"the native thread has ended\".",
     thread_spawn_task},
    {"status", "Thread:status() -> string",
     "\"pending\", \"running\", \"waiting\", \"done\", \"failed\" or \"cancelled\".",
     thread_status},
    {nullptr, nullptr, nullptr, nullptr},
};

const NativeInfo kMetamethods[] = {
    {"__index", "thread[key]", "Fields id and name, and the methods of a native thread.", thread_index},
    {"__tostring", "tostring(thread)", "Number and name of a native thread.", thread_to_string},
    {nullptr, nullptr, nullptr, nullptr},
};

Table* thread_metatable(ThreadState& thread) {
  return native::class_with_methods(thread, kThreadClass, kMethods, kMetamethods);
}

// The one object that scripts have for a native thread. Reaches no safepoint.
Value handle_of(ThreadState& caller, NativeThread& thread) {
  if (thread.handle() != nullptr) return Value::of(thread.handle());
  Userdata* handle = userdata::make(caller.heap(), sizeof(Handle), 1);
  handle->user_values()[0] = Value::of(thread.state().root);
  vm::set_metatable(caller, Value::of(handle), thread_metatable(caller));
  static_cast<Handle*>(handle->block())->thread = &thread;
  handle->release = release_handle;
  thread.add_reference();
  thread.set_handle(handle);
  return Value::of(handle);
}

}  // namespace

sched::NativeThread* test_thread(ThreadState& thread, const Value& v) {
  if (v.tag != Tag::kUserdata || v.userdata()->metatable != thread_metatable(thread)) return nullptr;
  return static_cast<Handle*>(v.userdata()->block())->thread;
}

Value thread_handle(ThreadState& caller, NativeThread& thread) { return handle_of(caller, thread); }

namespace {

// --- functions -------------------------------------------------------------------------------------------------------------

// A native thread that is discarded unless it was started.
class Unstarted {
 public:
  Unstarted(ThreadGroup& group, NativeThread& thread) noexcept : group_(group), thread_(&thread) {}
  ~Unstarted() {
    if (thread_ != nullptr) group_.discard(*thread_);
  }
  Unstarted(const Unstarted&) = delete;
  Unstarted& operator=(const Unstarted&) = delete;

  // Returns: 0, or the errno of the system's refusal.
  int start() noexcept {
    const int refusal = group_.start(*thread_);
    if (refusal == 0) thread_ = nullptr;
    return refusal;
  }

 private:
  ThreadGroup& group_;
  NativeThread* thread_;
};

int thread_spawn(NativeCall& call) {
  static constexpr const char* kOptions[] = {"name", "daemon", nullptr};
  const int function = call.arg(1).is_table() && !is_callable(call, 1) ? 2 : 1;
  const OptionTable options(call, function == 2 ? 1 : call.count() + 1, kOptions);
  check_callable(call, function);
  const String* given = options.text("name");
  const bool is_daemon = options.flag("daemon");
  const std::string name = given != nullptr ? std::string(given->view()) : group(call).next_name();
  NativeThread* thread = group(call).create(name, is_daemon, call.arg(function));
  Unstarted unstarted(group(call), *thread);
  for (int i = function + 1; i <= call.count(); ++i) group(call).add_argument(*thread, call.arg(i));
  const Value handle = handle_of(call.thread(), *thread);
  if (const int refusal = unstarted.start(); refusal != 0) return call.failure_named(refusal, "cannot start a native thread");
  return call.result(handle);
}

int thread_current(NativeCall& call) { return call.result(handle_of(call.thread(), self(call))); }

int thread_main(NativeCall& call) {
  return call.result(handle_of(call.thread(), *static_cast<NativeThread*>(call.shared().main_thread->sched)));
}

int thread_list(NativeCall& call) {
  Table* list = table::make(call.heap());
  std::int64_t n = 0;
  for (NativeThread* thread : group(call).threads()) {
    table::set_integer(call.heap(), list, ++n, handle_of(call.thread(), *thread));
  }
  return call.result(Value::of(list));
}

int thread_storage(NativeCall& call) {
  if (call.thread().storage == nullptr) call.thread().storage = table::make(call.heap());
  return call.result(Value::of(call.thread().storage));
}

const NativeInfo kFunctions[] = {
    {"current", "thread.current() -> Thread",
     "The native thread that is running."
     R"lua(

print(thread.current() == thread.main())  --> true)lua",
     thread_current},
    {"list", "thread.list() -> table",
     "A list of all native threads that have not ended, the main one first."
     R"lua(

print(#thread.list())  --> 1)lua",
     thread_list},
    {"main", "thread.main() -> Thread",
     "The native thread that runs the main chunk."
     R"lua(

print(thread.main():status())  --> running)lua",
     thread_main},
    {"spawn", "thread.spawn([options: table,] f: function, ...: any) -> Thread?",
     "Starts a native thread that calls f with the arguments. All native threads share all values; the one that holds the "
     "GIL runs. Options: name, a string; daemon=true: the program does not wait for it at its end, but stops it.\n"
     "Fails: nil, message, code (EAGAIN) if the system gives no more threads."
     R"lua(

local t = thread.spawn({name = "adder"}, function(a, b) return a + b end, 1, 2)
print(t.name, t:join())  --> adder	3)lua",
     thread_spawn},
    {"storage", "thread.storage() -> table",
     "A table of the running native thread's own; each has another."
     R"lua(

thread.storage().user = "ada"
print(thread.spawn(function() return thread.storage().user end):join())  --> nil)lua",
     thread_storage},
    {nullptr, nullptr, nullptr, nullptr},
};

}  // namespace

Table* open_thread(ThreadState& thread) {
  Table* library = table::make(thread.heap(), 0, 32);
  native::add_functions(thread, library, kFunctions);
  add_sync_family(thread, library);
  return library;
}

}  // namespace baton::stdlib
