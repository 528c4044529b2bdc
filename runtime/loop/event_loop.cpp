// Why there is an epoll set of our own around libuv's.
//
// A socket that is served by tasks is read until it would block and then waited for, over and over. With one uv_poll per wait
// each of these costs two epoll_ctl calls (libuv takes the descriptor out when the handle stops) and the loop needs a second
// poll to release the GIL around. Registered once, edge-triggered, in a set of ours, a wait costs nothing and a round of the
// loop one epoll_pwait2. libuv's own backend descriptor is a member of that set: it is run when it has something to say.
//
// What makes edges safe: a task tries the descriptor, gets EAGAIN and parks without any poll in between; whatever becomes
// ready later is an edge that the next poll reports. Registering reports what is ready already. An edge that finds nobody
// waiting is dropped: whoever comes later tries first.
//
// A read that returns less than it was asked for has emptied a TCP connection, so the try that would only find that out again
// is left out (`note_drained`): what comes later is an edge. The end of the stream, or an error, may have been announced by
// the same edge as the bytes before it, so whoever has seen one of these tries for ever. Other kinds of sockets may return
// less for other reasons (messages with descriptors); they are tried.
//
// The poll runs without the GIL, so a descriptor may be closed and its number used again before its events are looked at.
// They then wake somebody for nothing, who tries and waits again.
//
// Tried and left out: while another native thread wants the GIL, to look for events once before giving it up. Beside one
// computing thread the loop then served 44 to 64 thousand messages/s instead of 49 to 73: it used up its credit (sync/gil.cpp).
//
// A notification (`wake`) that comes while the thread is awake is remembered and costs no system call.
#include "loop/event_loop.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <memory>
#include <new>
#include <optional>

#include "sched/native_thread.h"
#include "sched/scheduler.h"
#include "sched/thread_group.h"
#include "sync/released.h"

namespace baton::loop {
namespace {

constexpr int kEventsPerPoll = 256;
constexpr std::uint64_t kWakerTag = UINT64_MAX;
constexpr std::uint64_t kLibuvTag = UINT64_MAX - 1;

bool add(int poller, int descriptor, std::uint32_t events, std::uint64_t tag) noexcept {
  epoll_event event{};
  event.events = events;
  event.data.u64 = tag;
  return epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

// Waits for events; timeout_ns < 0: for ever. Kernels without nanoseconds get milliseconds, rounded up.
int wait_for_events(int poller, epoll_event* events, std::int64_t timeout_ns) noexcept {
  static std::atomic<bool> has_nanoseconds{true};
  if (timeout_ns > 0 && has_nanoseconds.load(std::memory_order_relaxed)) {
    const timespec timeout{timeout_ns / 1'000'000'000, timeout_ns % 1'000'000'000};
    const int count = epoll_pwait2(poller, events, kEventsPerPoll, &timeout, nullptr);
    if (count >= 0 || errno != ENOSYS) return count;
    has_nanoseconds.store(false, std::memory_order_relaxed);
  }
  constexpr std::int64_t kLongestMs = 1'000'000'000;
  const std::int64_t ms = timeout_ns <= 0 ? timeout_ns : std::min(kLongestMs, (timeout_ns + 999'999) / 1'000'000);
  return epoll_wait(poller, events, kEventsPerPoll, static_cast<int>(ms));
}

}  // namespace

EventLoop& EventLoop::of(ThreadState& thread) {
  sched::NativeThread& owner = sched::native_thread_of(thread);
  if (sched::EventSource* events = owner.scheduler().events()) return *static_cast<EventLoop*>(events);
  std::unique_ptr<EventLoop> made(new EventLoop(thread));
  if (!made->open()) raise(ErrorId::kMemory);
  EventLoop& loop = *made;
  owner.give_events(std::move(made));
  return loop;
}

EventLoop* EventLoop::existing(ThreadState& thread) noexcept {
  return static_cast<EventLoop*>(sched::scheduler_of(thread).events());
}

EventLoop::EventLoop(ThreadState& thread) : thread_(thread) {}

namespace {

// libuv ends the process if it finds none for the pipe that it opens when it makes its first loop.
bool are_descriptors_left_for_libuv() noexcept {
  int of_signals[2], of_loop[2];
  if (pipe2(of_signals, O_CLOEXEC) != 0) return false;
  const bool left = pipe2(of_loop, O_CLOEXEC) == 0;
  for (const int each : of_signals) close(each);
  if (left) for (const int each : of_loop) close(each);
  return left;
}

}  // namespace

bool EventLoop::open() noexcept {
  poller_ = epoll_create1(EPOLL_CLOEXEC);
  waker_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (poller_ < 0 || waker_ < 0 || !are_descriptors_left_for_libuv()) return false;
  auto* loop = new (std::nothrow) uv_loop_t;
  if (loop == nullptr) return false;
  if (uv_loop_init(loop) != 0) {
    delete loop;
    return false;
  }
  uv_ = loop;
  uv_is_stale_ = true;
  return add(poller_, waker_, EPOLLIN | EPOLLET, kWakerTag) && add(poller_, uv_backend_fd(uv_), EPOLLIN, kLibuvTag);
}

EventLoop::~EventLoop() {
  if (uv_ != nullptr) {
    uv_walk(uv_, [](uv_handle_t* handle, void*) { if (!uv_is_closing(handle)) uv_close(handle, nullptr); }, nullptr);
    uv_run(uv_, UV_RUN_DEFAULT);
    uv_loop_close(uv_);
    delete uv_;
  }
  if (waker_ >= 0) close(waker_);
  if (poller_ >= 0) close(poller_);
}

void EventLoop::wake() noexcept {
  if (state_.exchange(kNotified, std::memory_order_acq_rel) != kAsleep) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(waker_, &one, sizeof one);
}

void EventLoop::arm() noexcept {
  std::uint32_t expected = kAwake;
  if (state_.compare_exchange_strong(expected, kAsleep, std::memory_order_acq_rel)) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(waker_, &one, sizeof one);
}

void EventLoop::disarm() noexcept {
  if (state_.exchange(kAwake, std::memory_order_acq_rel) != kNotified) return;
  std::uint64_t count;
  [[maybe_unused]] const ssize_t bytes = read(waker_, &count, sizeof count);
}

void EventLoop::run_libuv() noexcept {
  uv_is_stale_ = false;
  uv_run(uv_, UV_RUN_NOWAIT);
}

void EventLoop::dispatch(const epoll_event* events, int count) noexcept {
  bool libuv_is_ready = false;
  for (int i = 0; i < count; ++i) {
    const std::uint64_t tag = events[i].data.u64;
    if (tag == kWakerTag) continue;  // an edge: it need not be read
    if (tag == kLibuvTag) {
      libuv_is_ready = true;
      continue;
    }
    Watched* watched = watched_[tag].get();
    if (watched == nullptr) continue;
    if ((events[i].events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
      watched->may_be_readable = true;
      watched->readers.wake_all();
    }
    if ((events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) watched->is_ending = true;
    if ((events[i].events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) watched->writers.wake_all();
  }
  if (libuv_is_ready) run_libuv();
}

void EventLoop::serve() noexcept {
  if (uv_is_stale_) run_libuv();
  if (handle_count() == 0) return;
  epoll_event events[kEventsPerPoll];
  const int count = wait_for_events(poller_, events, 0);
  if (count > 0) dispatch(events, count);
}

void EventLoop::poll(std::int64_t deadline_ns, const char* what) noexcept {
  if (uv_is_stale_) {
    run_libuv();
    deadline_ns = 1;  // what it completed comes first
  }
  std::int64_t timeout_ns = -1;
  if (deadline_ns != kNoDeadline) timeout_ns = std::max<std::int64_t>(0, deadline_ns - monotonic_ns());
  epoll_event events[kEventsPerPoll];
  int count = 0;
  std::uint32_t expected = kAwake;
  if (!state_.compare_exchange_strong(expected, kAsleep, std::memory_order_acq_rel)) timeout_ns = 0;
  {
    Released released(thread_.shared.gil, thread_.gil_slot, what);
    count = wait_for_events(poller_, events, timeout_ns);
  }
  state_.store(kAwake, std::memory_order_release);
  if (count > 0) dispatch(events, count);
}

// ---- descriptors ----

// Registers `descriptor`, if it is not. Returns: 0 or an errno.
int EventLoop::watch(int descriptor) noexcept {
  try {
    if (watched_.size() <= static_cast<std::size_t>(descriptor)) watched_.resize(static_cast<std::size_t>(descriptor) + 1);
    if (watched_[descriptor] == nullptr) watched_[descriptor] = std::make_unique<Watched>();
  } catch (const std::bad_alloc&) {
    return ENOMEM;
  }
  Watched& watched = *watched_[descriptor];
  if (watched.registered) return 0;
  if (!add(poller_, descriptor, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, static_cast<std::uint64_t>(descriptor)) &&
      errno != EEXIST) {
    return errno;
  }
  watched.registered = true;
  watched.may_be_readable = true;
  watched.is_ending = false;
  return 0;
}

namespace {

// A place in the queue of one descriptor out of several: what comes there makes the one waiter of the task ready.
class Probe final : public sched::Waiter {
 public:
  explicit Probe(sched::Waiter& main) noexcept : Waiter(pass_on), main_(main) {}

 private:
  static void pass_on(sched::Waiter& self) noexcept {
    sched::Waiter& main = static_cast<Probe&>(self).main_;
    if (!main.is_ready()) main.make_ready();
  }
  sched::Waiter& main_;
};

struct Counted {
  explicit Counted(std::size_t& counted) noexcept : count(counted) { ++count; }
  ~Counted() { --count; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  std::size_t& count;
};

}  // namespace

sched::WaitResult EventLoop::wait_for_any(ThreadState& thread, const Interest* interests, std::size_t count,
                                          std::int64_t deadline_ns, const char* what, int* error) {
  BATON_DCHECK(count <= kMostInterests);
  *error = 0;
  for (std::size_t i = 0; i < count && *error == 0; ++i) *error = watch(interests[i].descriptor);
  if (*error != 0) return sched::WaitResult::kReady;
  const Counted counted(waiting_);
  sched::Waiter main(thread);
  std::optional<Probe> probes[kMostInterests];
  for (std::size_t i = 0; i < count; ++i) {
    Watched& watched = *watched_[interests[i].descriptor];
    probes[i].emplace(main);
    (interests[i].direction == Direction::kRead ? watched.readers : watched.writers).push(*probes[i]);
  }
  return sched::wait(thread, main, deadline_ns, what);
}

sched::WaitResult EventLoop::wait_for(ThreadState& thread, int descriptor, Direction direction, std::int64_t deadline_ns,
                                      const char* what, int* error) {
  *error = watch(descriptor);
  if (*error != 0) return sched::WaitResult::kReady;
  const Counted counted(waiting_);
  Watched& watched = *watched_[descriptor];
  sched::Waiter waiter(thread);
  (direction == Direction::kRead ? watched.readers : watched.writers).push(waiter);
  return sched::wait(thread, waiter, deadline_ns, what);
}

void EventLoop::forget(SharedState& shared, int descriptor) noexcept {
  for (sched::NativeThread* owner : sched::group_of(shared).threads()) {
    auto* loop = static_cast<EventLoop*>(owner->scheduler().events());
    if (loop == nullptr || loop->watched_.size() <= static_cast<std::size_t>(descriptor)) continue;
    Watched* watched = loop->watched_[descriptor].get();
    if (watched == nullptr || !watched->registered) continue;
    epoll_ctl(loop->poller_, EPOLL_CTL_DEL, descriptor, nullptr);
    watched->registered = false;
    watched->readers.wake_all();
    watched->writers.wake_all();
  }
}

}  // namespace baton::loop
