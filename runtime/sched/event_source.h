// What a native thread sleeps in when it has descriptors to watch: the interface that the event loop implements.
//
// Invariant: a scheduler without an event source sleeps in its parker; with one it calls only `poll` and `serve`, always on
// the native thread's own stack (never on a fiber), and the source completes Completions and wakes tasks but runs no script.
// Owner: the native thread that made it. Threading: `wake` from anywhere; everything else by the owner, holding the GIL.
#pragma once

#include <cstddef>
#include <cstdint>

namespace baton::sched {

class EventSource {
 public:
  virtual ~EventSource() = default;
  // Handles what has already happened; does not block. Raises: nothing.
  virtual void serve() noexcept = 0;
  // Sleeps, the GIL released, until something happened, the deadline, or `wake`; then handles what happened. Raises: nothing.
  virtual void poll(std::int64_t deadline_ns, const char* what) noexcept = 0;
  // Ends the present or next sleep. Any thread, also a signal handler.
  virtual void wake() noexcept = 0;
  // Whether something outside could still wake somebody through it: descriptors, children, requests in the pool.
  virtual bool is_active() const noexcept = 0;
  // How many such things there are. For async.loop().
  virtual std::size_t handle_count() const noexcept = 0;
};

}  // namespace baton::sched
