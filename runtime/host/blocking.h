// The region around an operation that may block, for libraries: `Blocking pause(thread, "file.read");` gives the GIL up until
// the end of the scope.
//
// Invariant: inside, no value, no heap object and no script state is touched (sync/released.h states the rest).
// Owner: a local variable. Threading: the running native thread, which holds the GIL before and after.
#pragma once

#include "sync/released.h"
#include "vm/thread_state.h"

namespace baton::host {

class Blocking {
 public:
  // `what` names the operation in reports; a literal.
  Blocking(ThreadState& thread, const char* what) noexcept : released_(thread.shared.gil, thread.gil_slot, what) {}

 private:
  Released released_;
};

}  // namespace baton::host
