// The event loop of a native thread: which descriptors its tasks wait for, and libuv for everything else (thread pool, file
// watching, children).
//
// Invariants
//  - Made when a task of the thread first waits for something outside; from then on the thread sleeps here and not in its
//    parker. Only the owner touches it, holding the GIL; `wake` is for everybody.
//  - The GIL is released only around the real poll. Callbacks run with it, on the native thread's own stack, and do nothing
//    but fulfil completions and wake tasks.
//  - A descriptor is registered once, edge-triggered, for as long as it is open: waiting costs no system call. So whoever
//    waits has tried first and got EAGAIN, and closes with `forget` before the descriptor's number can be used again.
// Owner: the NativeThread, to which `of` gives it. Threading: as above.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "sched/event_source.h"
#include "sched/wait.h"

struct epoll_event;
struct uv_loop_s;

namespace baton::loop {

enum class Direction : std::uint8_t { kRead, kWrite };

class EventLoop final : public sched::EventSource {
 public:
  // The running native thread's loop. Raises: kMemory, if the system refuses one.
  static EventLoop& of(ThreadState& thread);

  ~EventLoop() override;
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  void serve() noexcept override;
  void poll(std::int64_t deadline_ns, const char* what) noexcept override;
  void wake() noexcept override;
  bool is_active() const noexcept override { return handle_count() > 0; }
  std::size_t handle_count() const noexcept override { return waiting_ + requests_; }

  // Waits until `descriptor`, which was tried and would block, may be tried again. Returns: kTimedOut at the deadline; 0 in
  // `error`, or the errno with which it cannot be watched. Raises: as sched::wait.
  sched::WaitResult wait_for(ThreadState& thread, int descriptor, Direction direction, std::int64_t deadline_ns,
                             const char* what, int* error);

  // The running thread's loop, or null as long as it has none. Raises: nothing.
  static EventLoop* existing(ThreadState& thread) noexcept;
  // Whether `descriptor` should be tried for reading: false only if it was drained since its last event here.
  bool may_be_readable(int descriptor) const noexcept {
    const Watched* watched = find_registered(descriptor);
    return watched == nullptr || watched->may_be_readable || watched->is_ending;
  }
  // `descriptor`, a TCP connection, was read empty: the next event will tell of more. Raises: nothing.
  void note_drained(int descriptor) noexcept {
    if (Watched* watched = find_registered(descriptor)) watched->may_be_readable = false;
  }

  struct Interest {
    int descriptor;
    Direction direction;
  };
  static constexpr std::size_t kMostInterests = 4;
  // The same for up to kMostInterests descriptors at once, all of them tried: until one of them may be tried again.
  sched::WaitResult wait_for_any(ThreadState& thread, const Interest* interests, std::size_t count, std::int64_t deadline_ns,
                                 const char* what, int* error);

  // `descriptor` is about to be closed: wakes whoever waits for it, here and in all other native threads. Raises: nothing.
  static void forget(SharedState& shared, int descriptor) noexcept;
  static void forget(ThreadState& thread, int descriptor) noexcept { forget(thread.shared, descriptor); }

  // For a loop of the host around this one: a descriptor that is readable when `poll` has something to do. It shows wake-ups
  // too, between `arm` and `disarm`: while nobody runs here. Its owner, holding the GIL. Raises: nothing.
  int backend_descriptor() const noexcept { return poller_; }
  void arm() noexcept;
  void disarm() noexcept;

  // For libuv's requests and handles: announce each before it is started, and its end.
  uv_loop_s* libuv() noexcept { return uv_; }
  void begin_request() noexcept { ++requests_, uv_is_stale_ = true; }
  void end_request() noexcept { --requests_; }

 private:
  enum : std::uint32_t { kAwake, kAsleep, kNotified };
  struct Watched {
    bool registered = false;
    bool may_be_readable = true;
    bool is_ending = false;  // its end has been announced, or an error: no further event will come
    sched::WaitQueue readers, writers;
  };

  explicit EventLoop(ThreadState& thread);
  bool open() noexcept;
  int watch(int descriptor) noexcept;
  Watched* find_registered(int descriptor) const noexcept {
    const auto place = static_cast<std::size_t>(descriptor);
    Watched* watched = place < watched_.size() ? watched_[place].get() : nullptr;
    return watched != nullptr && watched->registered ? watched : nullptr;
  }
  void collect(std::int64_t timeout_ns, const char* what) noexcept;
  void dispatch(const ::epoll_event* events, int count) noexcept;
  void run_libuv() noexcept;

  ThreadState& thread_;
  int poller_ = -1;
  int waker_ = -1;
  uv_loop_s* uv_ = nullptr;
  bool uv_is_stale_ = false;  // libuv has something to tell the kernel
  std::atomic<std::uint32_t> state_{kAwake};
  std::size_t waiting_ = 0;   // tasks that wait for a descriptor
  std::size_t requests_ = 0;
  std::vector<std::unique_ptr<Watched>> watched_;  // by descriptor
};

}  // namespace baton::loop
