#include "sched/completion.h"

#include "sched/native_thread.h"
#include "sched/scheduler.h"

namespace baton::sched {

Completion::Completion(ThreadState& thread) noexcept : waiter_(thread), thread_(native_thread_of(thread)) {}

void Completion::post() noexcept { thread_.scheduler().post(*this); }

}  // namespace baton::sched
