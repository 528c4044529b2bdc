// Who can never go on: circles of locks, and the moment when everybody waits.
//
// Invariant: no false alarm. A circle counts only waits without a deadline; a stall is reported only when every native thread
// sleeps with nothing ready, no timer, no descriptor, request or child that its loop watches, and no foreign thread that
// was announced to the ThreadGroup. An operation of the system is none of these sleeps: its thread may always come back.
// Owner: none. Threading: under the GIL.
#pragma once

#include <string>

#include "sched/task.h"

namespace baton::sched {

class Lock;

// "'name' at chunk:line" of a native thread's body, "task 7 at chunk:line" of another task. Raises: std::bad_alloc.
std::string place_of(Task& task);

// The running task is about to wait for `lock`, which `holder` (a task's id) holds, without a deadline. Raises: "deadlock:
// ..." with every member's position if that would close a circle.
void check_for_circle(ThreadState& thread, const Lock& lock);

// A native thread is about to sleep without a timer. If that leaves nobody who could ever wake anybody, the main task is
// made ready, to raise what `raise_stall` says. Raises: nothing.
void notice_stall(ThreadState& thread) noexcept;

// The running task looks at what was asked of it. Raises: "deadlock: ..." with every waiter's position, once for each
// stall, if it is the main task.
void raise_stall(ThreadState& thread, Task& task);

}  // namespace baton::sched
