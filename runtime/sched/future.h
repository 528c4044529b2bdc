// A future: an awaitable that somebody resolves or rejects by hand, once, from any native thread.
//
// Invariant: it lives in the block of its userdata; user value 0 is a list of its results (with field n) or its error,
// user value 1 the story of an error that came from another process.
// Owner: the collector. Threading: under the GIL.
#pragma once

#include "sched/awaitable.h"
#include "value/userdata.h"

namespace baton::sched {

class Future final : public Awaitable {
 public:
  explicit Future(Userdata* handle) noexcept : handle_(handle) {}

  // A pending future without metatable, to be rooted by the caller. Raises: kMemory.
  static Userdata* make(Heap& heap);

  Userdata* handle() const noexcept { return handle_; }
  // The list of results, or the error. Takes: an ended future.
  const Value& outcome() const noexcept { return handle_->user_values()[0]; }
  // Ends it. `outcome`: a table {..., n=} of results, else the error. Returns: false if it had ended. Raises: nothing.
  bool settle(Heap& heap, ThreadStatus status, const Value& outcome) noexcept;

 private:
  Userdata* handle_;
};

}  // namespace baton::sched
