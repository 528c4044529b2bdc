// A libuv loop of the host that drives a runtime: it watches the runtime's backend descriptor and its next timer.
//
// Invariants
//  - The handles keep the host's loop alive only while the runtime says that it has work (`Client::is_busy`).
//  - Callbacks come from the host's loop, on its thread, without the GIL.
// Owner: the host layer; `close` gives it up, and its memory goes when libuv has closed the handles. Threading: the loop's thread.
#pragma once

#include <cstdint>

struct uv_loop_s;

namespace baton::loop {

class HostLoop {
 public:
  // What it asks of the runtime.
  struct Client {
    void* context;
    void (*turn)(void* context) noexcept;                  // there is something to do
    std::int64_t (*next_timeout)(void* context) noexcept;  // nanoseconds; < 0: none
    bool (*is_busy)(void* context) noexcept;               // whether the loop should go on for it
  };

  // Returns: null if libuv or memory refuses. Raises: nothing.
  static HostLoop* open(uv_loop_s* loop, int descriptor, const Client& client) noexcept;
  // The runtime has more to do, or less: asks it now, and not only before the loop sleeps. Raises: nothing.
  void refresh() noexcept { prepare(); }
  // No callback comes after this. Raises: nothing.
  void close() noexcept;

 private:
  struct Handles;
  HostLoop() noexcept = default;
  ~HostLoop() = default;
  void prepare() noexcept;

  Client client_{};
  Handles* handles_ = nullptr;
  bool closed_ = false;
};

}  // namespace baton::loop
