// What the files of the thread module share: making script objects, reading timeouts.
//
// Invariant: none. Owner: none. Threading: as all natives.
#pragma once

#include "sched/wait.h"
#include "vm/native.h"

namespace baton::stdlib {

inline constexpr const char* kThreadClass = "Thread";

// The class's metatable with `methods` as its __index, and `closer` as its __close if there is one; made on first use.
// Raises: kMemory.
Table* thread_class(ThreadState& thread, const char* class_name, const NativeInfo* methods, const NativeInfo* closer = nullptr);

// When a wait with argument i as its timeout ends; without one: never. Raises: "number expected".
std::int64_t timeout_argument(NativeCall& call, int i);

// nil, "timeout", "ETIMEDOUT".
int timeout_result(NativeCall& call);

// thread.lock().
int thread_lock(NativeCall& call);

}  // namespace baton::stdlib
