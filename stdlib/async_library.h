// What the files of the module async share: classes, waiting for awaitables, spawning.
//
// Invariant: a Task's userdata holds sched::Task, a Future's sched::Future, a Thread's leads to its root task; Awaited hides
// the difference. Owner: none. Threading: as all natives.
#pragma once

#include "sched/future.h"
#include "sched/native_thread.h"
#include "sched/scope.h"
#include "sched/task.h"
#include "vm/native.h"

namespace baton::stdlib {

inline constexpr const char* kTaskClass = "Task";
inline constexpr const char* kFutureClass = "Future";
inline constexpr const char* kScopeClass = "Scope";

// A task, native thread or future that a script gave us: one of the two pointers.
struct Awaited {
  sched::Task* task = nullptr;
  sched::Future* future = nullptr;

  explicit operator bool() const noexcept { return task != nullptr || future != nullptr; }
  sched::Awaitable& state() const noexcept {
    return task != nullptr ? static_cast<sched::Awaitable&>(*task) : static_cast<sched::Awaitable&>(*future);
  }
};

// What `v` is, or nothing. Raises: kMemory.
Awaited test_awaitable(ThreadState& thread, const Value& v);
// Argument i. Raises: "awaitable expected".
Awaited check_awaitable(NativeCall& call, int i);

// Waits for its end, or for as long as argument `timeout` says. kLeft: the native, one of kResumable, is to return kNativeWaits.
// Raises: as sched::wait, and for a task that would wait for itself.
sched::WaitResult wait_for_end(NativeCall& call, const Awaited& awaited, int timeout);
// Waits for its end, whatever is asked of the task meanwhile. Raises: nothing.
void wait_for_end_shielded(ThreadState& thread, const Awaited& awaited) noexcept;
// Pushes the results of what ended well; returns their number. Raises: kMemory, kStackOverflow.
int push_results(NativeCall& call, const Awaited& awaited);
// The error of what ended otherwise. Its story goes to the running task. Raises: kMemory.
Value take_error(NativeCall& call, const Awaited& awaited);
// Nobody needs to be told of its error any more. Raises: nothing.
void mark_collected(ThreadState& thread, const Awaited& awaited) noexcept;
// Asks it to end. Raises: kMemory.
void cancel(NativeCall& call, const Awaited& awaited, const Value& reason);

// The metatables, made on first use. Raises: kMemory.
Table* task_metatable(ThreadState& thread);
Table* future_metatable(ThreadState& thread);
Table* scope_metatable(ThreadState& thread);

// Spawns a task on `scheduler` that calls argument `function` with the arguments behind it; pushes it. `owner` may be null;
// `name` may be nil. Raises: kMemory.
sched::Task& spawn_task(NativeCall& call, Table* metatable, int function, sched::Scheduler& scheduler, sched::Scope* owner,
                        const Value& name);
// Reads [options,] function from argument `first` on, for spawn: returns the function's index. Raises: misuse.
int read_spawn_options(NativeCall& call, int first, Value* name, bool* detached);

// Calls argument `function` with what is behind it. kOk: `results` values on top; kError: thread.pending, whose story the
// running task keeps. Raises: ForcedUnwind.
Status call_argument(NativeCall& call, int function, int* results);
// The same for the last `arguments` values behind the function.
Status call_protected(ThreadState& thread, int arguments, int* results);

// Whether argument i is a function or has __call.
bool is_callable(NativeCall& call, int i);
// Argument i must be a function or have __call. Raises: "function expected".
void check_callable(NativeCall& call, int i);

// Seconds to a deadline; argument i must be a number. Raises: misuse.
std::int64_t deadline_argument(NativeCall& call, int i);

// async.debug{...} and async.trace(...).
int async_debug(NativeCall& call);
int async_trace(NativeCall& call);
// async.scope(...).
int async_scope(NativeCall& call);
// async.watch(list), the ground of gather, race, wait ...: see async_watch.cpp.
int async_watch(NativeCall& call);
// async.wait_readable(descriptor[, timeout]), async.wait_writable.
int async_wait_readable(NativeCall& call);
int async_wait_writable(NativeCall& call);

}  // namespace baton::stdlib
