// What the files of the thread module share: making script objects, reading timeouts.
//
// Invariant: none. Owner: none. Threading: as all natives.
#pragma once

#include "sched/lock.h"
#include "sched/wait.h"
#include "vm/native.h"

namespace baton::sched {
class NativeThread;
}

namespace baton::stdlib {

inline constexpr const char* kThreadClass = "Thread";

// When a wait with argument i as its timeout ends; without one: never. Raises: "number expected".
std::int64_t timeout_argument(NativeCall& call, int i);

// nil, "timeout", "ETIMEDOUT".
int timeout_result(NativeCall& call);

// The native thread behind a Thread, or null. Raises: kMemory.
sched::NativeThread* test_thread(ThreadState& thread, const Value& v);
// The one Thread of a native thread. Raises: kMemory.
Value thread_handle(ThreadState& caller, sched::NativeThread& thread);
// thread:spawn(f, ...) -> Task on that native thread; in async.cpp.
int thread_spawn_task(NativeCall& call);
// thread:on_done(f), task:on_done(f), future:on_done(f); in async_awaitable.cpp.
int thread_on_done(NativeCall& call);

// The synchronisation family: lock, rlock in thread_lock.cpp; semaphore, condition, event, barrier, atomic in
// thread_sync.cpp; queue, priority_queue in thread_queue.cpp; the rest in thread_family.script.
int thread_lock(NativeCall& call);
int thread_rlock(NativeCall& call);
int thread_semaphore(NativeCall& call);
int thread_condition(NativeCall& call);
int thread_event(NativeCall& call);
int thread_barrier(NativeCall& call);
int thread_atomic(NativeCall& call);
int thread_queue(NativeCall& call);
int thread_priority_queue(NativeCall& call);

// The Lock or RLock that argument i is, or null. Raises: nothing.
sched::Lock* test_lock(NativeCall& call, int i) noexcept;

// Adds the whole family to the module `library`: thread's and async's are the same. Raises: kMemory.
void add_sync_family(ThreadState& thread, Table* library);

}  // namespace baton::stdlib
