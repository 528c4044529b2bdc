// Work that blocks (files, names, libraries): done on a thread of libuv's pool while other tasks of this native thread run.
//
// Invariant: a job owns all that it reads and writes and touches no value; so a task that is cancelled leaves it behind, and
// what it made (a descriptor) goes with the job.
// Owner: shared by the waiting task and the pool. Threading: run on any thread, without the GIL; otherwise under the GIL.
#pragma once

#include <memory>

#include "vm/thread_state.h"

namespace baton::loop {

class PoolJob {
 public:
  PoolJob() = default;
  virtual ~PoolJob() = default;
  PoolJob(const PoolJob&) = delete;
  PoolJob& operator=(const PoolJob&) = delete;
  virtual void run() noexcept = 0;
};

// Runs `job` and waits for its end. If no other task could run on this native thread meanwhile, it runs right here, the GIL
// released, unless `needs_stack` says that it may need more machine stack than a fiber has. `what`, a literal, names it.
// Raises: a cancellation (a job that has begun then ends unseen), kMemory.
void run_in_pool(ThreadState& thread, const std::shared_ptr<PoolJob>& job, const char* what, bool needs_stack = false);

}  // namespace baton::loop
