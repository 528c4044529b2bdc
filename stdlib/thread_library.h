// What the files of the thread module share: making script objects, reading timeouts.
//
// Invariant: none. Owner: none. Threading: as all natives.
#pragma once

#include "sched/wait.h"
#include "vm/native.h"

namespace baton::sched {
class NativeThread;
}

namespace baton::stdlib {

inline constexpr const char* kThreadClass = "Thread";

// The class's metatable with `methods` as its __index, and `closer` as its __close if there is one; made on first use.
// Raises: kMemory.
Table* thread_class(ThreadState& thread, const char* class_name, const NativeInfo* methods, const NativeInfo* closer = nullptr);

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

// thread.lock().
int thread_lock(NativeCall& call);

}  // namespace baton::stdlib
