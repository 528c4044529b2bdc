// Tasks that the host starts, waiting across the border, and the loop in the host's hands.
//
// A spawned function runs as a task of the main thread's scheduler: a native that makes a protected call and then hands the
// outcome to the host's Completion, on the task's own fiber. The request stands in the state's list until then, so a task that
// is stopped before it ran, or unwound, still fails its completion (the request's end, or closing, sees to it).
//
// A Signal is one event that a task waits for and a foreign thread gives. The waiting task may be cancelled first and its
// frame be gone, so the signal is an object of its own, counted by both sides. It reaches the task through a posted
// Completion, whose notification runs on the waiting native thread under the GIL.
//
// Posted functions are kept in a list; the first announces itself to the main thread, which starts one task for all that
// have come by then.
#include <deque>
#include <new>

#include "host/embed_state.h"
#include "host/host_code.h"
#include "loop/event_loop.h"
#include "loop/host_loop.h"
#include "sched/scheduler.h"
#include "sched/wait.h"
#include "vm/operations.h"
#include "vm/safepoint.h"

namespace baton::host {

struct SpawnRequest {
  State* state;
  abi::Completion* completion;
  SpawnRequest* next;
  SpawnRequest** previous;
};

namespace {

sched::NativeThread& main_of(State* state) noexcept { return sched::native_thread_of(state->runtime->main_thread()); }

// ---- spawning ----

void link(State* state, SpawnRequest* request) noexcept {
  request->next = state->spawned;
  if (request->next != nullptr) request->next->previous = &request->next;
  request->previous = &state->spawned;
  state->spawned = request;
}

// Tells the host how its task ended and forgets the request.
void finish(SpawnRequest* request, const Slot* results, int count, Failure* failure) noexcept {
  *request->previous = request->next;
  if (request->next != nullptr) request->next->previous = request->previous;
  request->completion->done(request->completion, request->state, results, count, failure);
  delete request;
}

// A request whose task is unwound ends with it.
class RequestGuard {
 public:
  explicit RequestGuard(SpawnRequest* request) noexcept : request_(request) {}
  ~RequestGuard() {
    if (request_ != nullptr) finish(request_, nullptr, 0, make_stopped(request_->state));
  }
  RequestGuard(const RequestGuard&) = delete;
  RequestGuard& operator=(const RequestGuard&) = delete;
  SpawnRequest* take() noexcept { return std::exchange(request_, nullptr); }

 private:
  SpawnRequest* request_;
};

// Arguments: the request, the function, its arguments.
int run_spawned(NativeCall& call) {
  RequestGuard guard(static_cast<SpawnRequest*>(call.arg(1).pointer));
  ThreadState& thread = call.thread();
  State* state = static_cast<SpawnRequest*>(call.arg(1).pointer)->state;
  (void)adopt_session(state, thread);
  int count = 0;
  const int first = 2;
  const Status status = vm::protected_call(thread, call.count() - first, kMultipleResults, state->handler, &count);
  const HostCode host(call.coroutine());
  if (status == Status::kOk) {
    finish(guard.take(), reinterpret_cast<const Slot*>(call.coroutine()->top - count), count, nullptr);
  } else {
    Failure* failure = make_error(state, thread, thread.pending);
    thread.pending.set_nil();
    finish(guard.take(), nullptr, 0, failure);
  }
  return 0;
}

constexpr NativeInfo kRunSpawned = {"spawned", "spawned(request, f, ...)", "The body of a task of the host.", run_spawned};

struct Spawn {
  const Slot* function;
  const Slot* arguments;
  int count;
};

// A task of the main thread that calls `native(argument, function, arguments...)`.
void start_task(State* state, ThreadState& thread, const NativeInfo* native, void* argument, const Spawn& spawn) {
  sched::Scheduler& scheduler = main_of(state).scheduler();
  const Value body = native::make(thread, native);
  vm::push(thread, body);
  Userdata* handle = scheduler.create(thread, body, scheduler.root());
  vm::push(thread, Value::of(handle));
  auto& task = *static_cast<sched::Task*>(handle->block());
  scheduler.add_argument(task, Value::light(argument));
  if (spawn.function != nullptr) scheduler.add_argument(task, value_of(*spawn.function));
  for (int i = 0; i < spawn.count; ++i) scheduler.add_argument(task, value_of(spawn.arguments[i]));
  scheduler.start(task);
}

}  // namespace

void fail_spawned(State* state) noexcept {
  while (state->spawned != nullptr) finish(state->spawned, nullptr, 0, make_failure(Outcome::kClosed, "the runtime is closed"));
}

// ---- posts ----

namespace {

std::vector<abi::Post> take_posts(State* state) noexcept {
  const std::lock_guard guard(state->mutex);
  return std::exchange(state->posts, {});
}

// The body of the task that calls posted functions. One that fails does not keep the others from running.
int deliver_posts(NativeCall& call) {
  State* state = static_cast<State*>(call.arg(1).pointer);
  (void)adopt_session(state, call.thread());
  std::vector<abi::Post> posts = take_posts(state);
  struct Rest {
    std::vector<abi::Post>& posts;
    std::size_t done = 0;
    ~Rest() {
      for (; done < posts.size(); ++done) posts[done].drop(posts[done].context);
    }
  } rest{posts};
  while (rest.done < posts.size()) {
    const abi::Post post = posts[rest.done++];
    const HostCode host(call.coroutine());
    post.function(post.context);
  }
  return 0;
}

constexpr NativeInfo kDeliverPosts = {"posted", "posted(state)", "Calls what other threads have posted.", deliver_posts};

// On the main thread, holding the GIL, perhaps on its native stack: starts the task; nothing here reaches a safepoint.
void announce_posts(sched::Waiter& waiter) noexcept;

struct Mail final : sched::Completion {
  explicit Mail(State* owner) noexcept : Completion(main_of(owner), announce_posts), state(owner) {}
  State* state;
};

void announce_posts(sched::Waiter& waiter) noexcept {
  State* state = static_cast<Mail&>(sched::Completion::of(waiter)).state;
  {
    const std::lock_guard guard(state->mutex);
    state->mail->reset();
    state->post_is_announced = false;
  }
  if (state->closed.load(std::memory_order_acquire)) return;
  ThreadState& thread = state->runtime->main_thread();
  const std::ptrdiff_t top = thread.current->top - thread.current->stack;
  try {
    start_task(state, thread, &kDeliverPosts, state, {});
  } catch (const ScriptError&) {
    drop_posts(state);  // no memory for a task
  } catch (const std::bad_alloc&) {
    drop_posts(state);
  }
  thread.current->top = thread.current->stack + top;
}

}  // namespace

void set_watched(State* state, bool watched) noexcept {
  sched::Scheduler& scheduler = main_of(state).scheduler();
  auto* events = static_cast<loop::EventLoop*>(scheduler.events());
  scheduler.set_outside(watched);
  if (!watched) return events->disarm();
  events->arm();
  if (state->host_loop != nullptr) state->host_loop->refresh();
}

void drop_posts(State* state) noexcept {
  for (const abi::Post& post : take_posts(state)) post.drop(post.context);
}

}  // namespace baton::host

namespace baton::abi {

using namespace baton::host;

Outcome spawn(State* state, const Slot& function, const Slot* arguments, int count, Completion* completion, Failure** failure) noexcept {
  auto body = [&](ThreadState& thread) {
    auto request = std::make_unique<SpawnRequest>(SpawnRequest{state, completion, nullptr, nullptr});
    start_task(state, thread, &kRunSpawned, request.get(), Spawn{&function, arguments, count});
    link(state, request.release());
  };
  return run_body(state, body, failure);
}

Outcome post(State* state, void (*function)(void* context), void (*drop)(void* context) noexcept, void* context) noexcept {
  const std::lock_guard guard(state->mutex);
  if (state->closed.load(std::memory_order_acquire)) return Outcome::kClosed;
  try {
    if (state->mail == nullptr) state->mail = std::make_shared<Mail>(state);
    state->posts.push_back({function, drop, context});
  } catch (const std::bad_alloc&) {
    return Outcome::kError;
  }
  if (!state->post_is_announced) {
    state->post_is_announced = true;
    state->mail->post();
  }
  return Outcome::kOk;
}

// ---- signals ----

struct Signal {
  Signal(State* owner, sched::NativeThread& thread) noexcept : completion(thread, this), state(owner), native(&thread) {}

  struct Notice final : sched::Completion {
    Notice(sched::NativeThread& thread, Signal* owner) noexcept : Completion(thread, arrived), signal(owner) {}
    static void arrived(sched::Waiter& waiter) noexcept {
      Signal* signal = static_cast<Notice&>(sched::Completion::of(waiter)).signal;
      signal->is_raised = true;
      signal->waiters.wake_all();
      signal->release();
    }
    Signal* signal;
  };

  void release() noexcept {
    if (references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    native->release_reference();
    abi::release(state);
    delete this;
  }

  Notice completion;
  State* state;
  sched::NativeThread* native;
  sched::WaitQueue waiters;
  bool is_raised = false;  // under the GIL
  std::atomic<int> references{2};
};

Signal* make_signal(State* state) noexcept {
  sched::NativeThread& native = *present_session(state).native;
  auto* signal = new (std::nothrow) Signal(state, native);
  if (signal == nullptr) return nullptr;
  native.add_reference();
  retain(state);
  return signal;
}

void raise_signal(Signal* signal) noexcept {
  State* state = signal->state;
  const std::lock_guard guard(state->mutex);
  if (state->closed.load(std::memory_order_acquire)) signal->release();  // whoever waited has been unwound, or will be
  else signal->completion.post();
}

Outcome wait_signal(Signal* signal, Failure** failure) noexcept {
  auto body = [signal](ThreadState& thread) {
    sched::before_wait(thread);
    while (!signal->is_raised) {
      sched::Waiter waiter(thread);
      signal->waiters.push(waiter);
      (void)sched::wait(thread, waiter, kNoDeadline, "host.future");
    }
  };
  const Outcome outcome = run_body(signal->state, body, failure);
  signal->release();
  return outcome;
}

// ---- the loop ----

namespace {

struct LoopRun {
  State* state;
  RunMode mode;
  std::int64_t deadline_ns;
};

void run_loop(ThreadState& thread, const LoopRun& run) {
  sched::Scheduler& scheduler = main_of(run.state).scheduler();
  switch (run.mode) {
    case RunMode::kOnce:
      scheduler.take_turn(thread, run.deadline_ns);
      return;
    case RunMode::kUntilIdle:
      do scheduler.take_turn(thread, 0);
      while (scheduler.has_work());
      return;
    case RunMode::kUntilDone:
      scheduler.take_turn(thread, 0);  // what was posted becomes tasks
      do sched::group_of(thread.shared).wait_for_threads();
      while (scheduler.has_work());
      return;
  }
}

}  // namespace

Outcome run(State* state, RunMode mode, std::int64_t timeout_ns, Failure** failure) noexcept {
  const Session& session = present_session(state);
  if (!session.is_main || session.inside.load(std::memory_order_relaxed)) {
    *failure = host::make_failure(Outcome::kMisuse, "the loop runs on the thread that created the runtime, outside all calls");
    return Outcome::kMisuse;
  }
  LoopRun request{state, mode, timeout_ns < 0 ? kNoDeadline : monotonic_ns() + timeout_ns};
  auto body = [&request](ThreadState& thread) { run_loop(thread, request); };
  return run_body(state, body, failure);
}

int backend_fd(State* state) noexcept {
  try {
    loop::EventLoop& events = loop::EventLoop::of(state->runtime->main_thread());
    if (!state->is_watched) {
      state->is_watched = true;
      set_watched(state, true);
    }
    return events.backend_descriptor();
  } catch (const ScriptError&) {
    return -1;
  } catch (const std::bad_alloc&) {
    return -1;
  }
}

std::int64_t next_timeout(State* state) noexcept {
  sched::Scheduler& scheduler = main_of(state).scheduler();
  if (scheduler.has_work()) return 0;
  const std::int64_t deadline_ns = scheduler.next_deadline();
  return deadline_ns == kNoDeadline ? -1 : std::max<std::int64_t>(0, deadline_ns - monotonic_ns());
}

}  // namespace baton::abi

namespace baton::host {
namespace {

// For the host's libuv loop: everything between enter and leave.
template <class Body>
void with_lock(State* state, Body body) noexcept {
  bool taken = false;
  if (abi::enter(state, &taken) != Outcome::kOk) return;
  body();
  if (taken) abi::leave(state);
}

void take_turn(void* context) noexcept {
  auto* state = static_cast<State*>(context);
  with_lock(state, [state] {
    Failure* failure = nullptr;
    (void)abi::run(state, abi::RunMode::kOnce, 0, &failure);
    abi::free_failure(failure);
  });
}

std::int64_t next_timeout(void* context) noexcept {
  std::int64_t timeout_ns = -1;
  auto* state = static_cast<State*>(context);
  with_lock(state, [&] { timeout_ns = abi::next_timeout(state); });
  return timeout_ns;
}

bool is_busy(void* context) noexcept {
  bool busy = false;
  auto* state = static_cast<State*>(context);
  with_lock(state, [&] { busy = main_of(state).scheduler().keeping_count() > 0 || main_of(state).scheduler().has_work(); });
  return busy;
}

}  // namespace

void open_host_loop(State* state, uv_loop_s* loop) {
  int descriptor = -1;
  with_lock(state, [&] { descriptor = abi::backend_fd(state); });
  state->host_loop = loop::HostLoop::open(loop, descriptor, {state, take_turn, next_timeout, is_busy});
  if (state->host_loop == nullptr) throw std::bad_alloc();
}

void close_host_loop(State* state) noexcept {
  if (state->host_loop != nullptr) state->host_loop->close();
  state->host_loop = nullptr;
}

}  // namespace baton::host
