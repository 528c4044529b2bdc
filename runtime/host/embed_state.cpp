// How threads of the host come and go.
//
// A thread that enters a runtime for the first time becomes one of its native threads: it gets a slot at the GIL, a root
// coroutine, a scheduler. That is kept until the thread of the operating system ends (the thread-local list of sessions is
// destroyed) or the runtime is closed (the closing thread detaches it in its place). Entering again is then one
// compare-and-swap at the GIL.
//
// Who may free. `enter` notes itself in its session's `depth` before it looks at `closed`; closing sets `closed` before it
// looks at the sessions. So either the one turns back, or the other waits for it. Code that is between enter and leave when the
// runtime is closed is stopped at its next safepoint; if it does not come there in time, nothing of the runtime is freed.
// Whoever has no session yet, or ends one, counts itself in `users` in the same way.
//
// Calls: embed_inside.h.
#include "host/embed_inside.h"

#include <cxxabi.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <thread>

#include "host/libraries.h"
#include "host/version.h"
#include "sched/scheduler.h"
#include "sync/thread_cache.h"
#include "vm/operations.h"
#include "vm/safepoint.h"
#include "vm/traceback.h"

namespace baton::host {

__attribute__((tls_model("initial-exec"))) constinit thread_local Session* last_session = nullptr;
__attribute__((tls_model("initial-exec"))) constinit thread_local Session* innermost_session = nullptr;

namespace {

// The sessions of the calling thread.
struct Sessions {
  std::vector<std::unique_ptr<Session>> all;
  ~Sessions();
};

thread_local Sessions sessions;

void forget_session(State* state, Session* session) noexcept {
  const std::lock_guard guard(state->mutex);
  std::erase(state->sessions, session);
}

// Counts the caller among the users unless the state is closed. Raises: nothing.
bool begin_use(State* state) noexcept {
  state->users.fetch_add(1, std::memory_order_seq_cst);
  if (BATON_LIKELY(!state->closed.load(std::memory_order_seq_cst))) return true;
  state->users.fetch_sub(1, std::memory_order_seq_cst);
  return false;
}

void end_use(State* state) noexcept { state->users.fetch_sub(1, std::memory_order_release); }

// The end of the thread, or of the state.
void end_session(Session& session) noexcept {
  State* state = session.state;
  if (begin_use(state)) {
    forget_session(state, &session);
    if (session.is_host) {
      state->shared->gil.acquire(session.native->state().gil_slot);
      sched::group_of(*state->shared).detach_host_thread(*session.native);
    }
    end_use(state);
  } else {
    const std::lock_guard guard(state->mutex);
    std::erase(state->sessions, &session);
    if (session.is_host && session.native != nullptr) state->orphans.push_back(session.native);  // whoever closes detaches it
  }
  abi::release(state);
}

Sessions::~Sessions() {
  last_session = nullptr;
  for (const std::unique_ptr<Session>& session : all) end_session(*session);
}

Session* find_session(State* state) noexcept {
  for (const std::unique_ptr<Session>& session : sessions.all) {
    if (session->state == state) return session.get();
  }
  return nullptr;
}

// Sessions of runtimes that are closed serve nobody.
void drop_closed_sessions() noexcept {
  std::erase_if(sessions.all, [](const std::unique_ptr<Session>& session) {
    if (!session->state->closed.load(std::memory_order_acquire) || session->depth.load(std::memory_order_relaxed) > 0) return false;
    if (last_session == session.get()) last_session = nullptr;
    forget_session(session->state, session.get());
    abi::release(session->state);
    return true;
  });
}

Session& add_session(State* state, sched::NativeThread& native) {
  drop_closed_sessions();
  sessions.all.push_back(std::make_unique<Session>());
  Session& session = *sessions.all.back();
  session.state = state;
  session.native = &native;
  session.os_thread = pthread_self();
  ThreadCache::end_with_body();
  session.has_clock = true;
  session.handled_exceptions = reinterpret_cast<HandledExceptions*>(__cxxabiv1::__cxa_get_globals());
  abi::retain(state);
  const std::lock_guard guard(state->mutex);
  state->sessions.push_back(&session);
  return session;
}

std::string host_thread_name() {
  char name[32] = {};
  if (pthread_getname_np(pthread_self(), name, sizeof name) != 0 || name[0] == '\0') return "host";
  return name;
}

Session* attach(State* state) noexcept {
  if (!begin_use(state)) return nullptr;
  Session* session = nullptr;
  try {
    sched::NativeThread* native = sched::group_of(*state->shared).attach_host_thread(host_thread_name());
    GilSlot* slot = native->state().gil_slot;
    try {
      session = &add_session(state, *native);
      session->is_host = true;
      state->shared->gil.release(slot);
    } catch (const std::bad_alloc&) {
      sched::group_of(*state->shared).detach_host_thread(*native);
    }
  } catch (const std::bad_alloc&) {
  } catch (const ScriptError&) {
  }
  end_use(state);
  return session;
}

bool holds(const Session& session) noexcept {
  return session.native != nullptr && session.state->shared->gil.held_by(session.native->state().gil_slot);
}

}  // namespace

Session* session_of(State* state) noexcept {
  if (BATON_LIKELY(last_session != nullptr && last_session->state == state)) return last_session;
  Session* session = find_session(state);
  if (session == nullptr) session = attach(state);
  if (session != nullptr) last_session = session;
  return session;
}

Session& find_present_session(State* state) noexcept { return *(last_session = find_session(state)); }

Session& find_or_adopt_session(State* state, ThreadState& thread) {
  Session* session = find_session(state);
  if (session == nullptr) {
    session = &add_session(state, sched::native_thread_of(thread));
    session->inside.store(true);
  }
  return *(last_session = session);
}

namespace {

void drain_deferred(State* state) noexcept {
  abi::Root* list;
  {
    const std::lock_guard guard(state->mutex);
    list = state->deferred;
    state->deferred = nullptr;
    state->has_deferred.store(false, std::memory_order_relaxed);
  }
  while (list != nullptr) {
    abi::Root* root = list;
    list = list->next_deferred;
    root->references.store(1, std::memory_order_relaxed);
    abi::release_root(root);
  }
}

}  // namespace

// ---- calls ----

namespace {

// Where the script was when it was stopped: its frames are left by nobody yet. Empty if there is no memory for it.
std::string place_of_stop(ThreadState& thread) noexcept {
  try {
    return vm::traceback(thread, thread.current, nullptr, 0);
  } catch (const std::bad_alloc&) {
  } catch (const ScriptError&) {
  }
  return std::string();
}

}  // namespace

Outcome end_stopped(const InsideCall& call, const vm::CallMark& mark) noexcept {
  std::string place = place_of_stop(thread_of(call));
  vm::abandon_to(thread_of(call), mark);
  if (call.is_outermost) finish_stop(call.state, thread_of(call));
  *call.failure = make_stopped(call.state);
  if (*call.failure != nullptr) (*call.failure)->traceback = std::move(place);
  return Outcome::kStopped;
}

Outcome end_entangled(const InsideCall& call) noexcept {
  *call.failure = make_failure(Outcome::kError, "call into a VM from a call of another VM that it waits for");
  return Outcome::kError;
}

Outcome end_failed(const InsideCall& call) noexcept {
  *call.failure = make_error(call.state, thread_of(call), thread_of(call).pending);
  thread_of(call).pending.set_nil();
  return Outcome::kError;
}

Outcome begin_outermost(State* state, Session& session, Failure** failure) noexcept {
  if (is_exhausted(state)) {
    *failure = make_stopped(state);
    return Outcome::kStopped;
  }
  session.native->state().interrupt.take(kInterruptStop | kInterruptLimit);  // too late: meant for what has ended
  if (session.is_main && state->is_watched) set_watched(state, false);
  return Outcome::kOk;
}

Outcome end_without_fiber(const InsideCall& call) noexcept {
  *call.failure = make_error(call.state, thread_of(call), Value::of(call.state->shared->memory_error));
  return Outcome::kError;
}

namespace {

struct BodyCall : InsideCall {
  Status (*body)(ThreadState& thread, void* context);
  void* context;

  static void perform(InsideCall& inside, ThreadState& thread) noexcept {
    auto& call = static_cast<BodyCall&>(inside);
    const vm::CallMark mark = vm::mark_call(thread, 0);
    Status status = Status::kOk;
    bool stopped = false;
    try {
      status = call.body(thread, call.context);
    } catch (const ForcedUnwind&) {
      stopped = true;
    }
    if (stopped) {
      call.outcome = end_stopped(call, mark);
      return;
    }
    call.outcome = status == Status::kOk ? Outcome::kOk : end_failed(call);
    thread.current->top = thread.current->stack + mark.slot;
  }
};

}  // namespace

Outcome run_inside(State* state, Status (*body)(ThreadState& thread, void* context), void* context, Failure** failure) noexcept {
  BodyCall call;
  call.state = state;
  call.failure = failure;
  call.body = body;
  call.context = context;
  return run_inside<BodyCall>(present_session(state), call);
}

}  // namespace baton::host

namespace baton::abi {

using namespace baton::host;

void State::mark_roots(Heap& heap) {
  for (Root* root = roots; root != nullptr; root = root->next) heap.mark_value(value_of(root->value));
  heap.mark_value(handler);
  kept_keys.mark(heap);
  kept_arguments.mark(heap);
  for (const auto& [type, record] : classes) heap.mark_value(record.metatable);
}

void retain(State* state) noexcept { state->references.fetch_add(1, std::memory_order_relaxed); }

void release(State* state) noexcept {
  if (state->references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete state;
}

bool is_closed(const State* state) noexcept { return state->closed.load(std::memory_order_acquire); }

// ---- the lock ----

namespace {

// Notes that the thread is between enter and leave, unless the state is closed.
bool begin_visit(Session& session) noexcept {
  const int depth = session.depth.load(std::memory_order_relaxed);  // nobody else writes it
  session.depth.store(depth + 1, std::memory_order_seq_cst);
  if (BATON_LIKELY(!session.state->closed.load(std::memory_order_seq_cst))) return true;
  session.depth.store(depth, std::memory_order_release);
  return false;
}

}  // namespace

Outcome enter(State* state, bool* taken) noexcept {
  *taken = false;
  if (BATON_UNLIKELY(state->freed.load(std::memory_order_relaxed))) return Outcome::kClosed;
  Session* session = session_of(state);
  if (BATON_UNLIKELY(session == nullptr)) return Outcome::kClosed;
  if (BATON_LIKELY(holds(*session))) return Outcome::kOk;
  if (BATON_UNLIKELY(!begin_visit(*session))) return Outcome::kClosed;
  state->shared->gil.acquire(session->native->state().gil_slot);
  if (BATON_UNLIKELY(state->has_deferred.load(std::memory_order_relaxed))) drain_deferred(state);
  *taken = true;
  return Outcome::kOk;
}

void leave(State* state) noexcept {
  Session* session = last_session;
  if (BATON_UNLIKELY(session == nullptr || session->state != state)) session = find_session(state);
  if (session == nullptr) return;
  const int depth = session->depth.load(std::memory_order_relaxed);
  if (depth == 0) return;  // closed inside the guard
  state->shared->gil.release(session->native->state().gil_slot);
  session->depth.store(depth - 1, std::memory_order_release);
}

bool holds_lock(State* state) noexcept {
  if (state->freed) return false;
  if (last_session != nullptr && last_session->state == state) return holds(*last_session);
  const Session* session = find_session(state);
  return session != nullptr && holds(*session);
}

bool pause(State* state, const char* what) noexcept {
  Session* session = find_session(state);
  if (session == nullptr || state->freed || !holds(*session)) return false;
  GilSlot* slot = session->native->state().gil_slot;
  if (session->released.has_value()) {
    ++session->plain_pauses;
    state->shared->gil.release(slot);
  } else {
    session->released.emplace(state->shared->gil, slot, what);
  }
  return true;
}

void resume(State* state) noexcept {
  Session& session = present_session(state);
  if (session.plain_pauses > 0) {
    --session.plain_pauses;
    state->shared->gil.acquire(session.native->state().gil_slot);
  } else {
    session.released.reset();
  }
}

void* block() noexcept {
  std::vector<Session*>* held = nullptr;
  for (const std::unique_ptr<Session>& session : sessions.all) {
    if (session->state->freed || !holds(*session)) continue;
    if (held == nullptr) held = new (std::nothrow) std::vector<Session*>;
    if (held == nullptr) return nullptr;
    held->push_back(session.get());
    session->state->shared->gil.release(session->native->state().gil_slot);
  }
  return held;
}

void unblock(void* token) noexcept {
  auto* held = static_cast<std::vector<Session*>*>(token);
  if (held == nullptr) return;
  for (Session* session : *held) session->state->shared->gil.acquire(session->native->state().gil_slot);
  delete held;
}

bool is_inside(State* state) noexcept {
  const Session* session = find_session(state);
  return session != nullptr && !state->freed && session->inside.load(std::memory_order_relaxed) && holds(*session);
}

State* current_state() noexcept {
  for (auto session = sessions.all.rbegin(); session != sessions.all.rend(); ++session) {
    State* state = (*session)->state;
    if (!state->freed && (*session)->inside.load(std::memory_order_relaxed) && holds(**session)) return state;
  }
  return nullptr;
}

bool is_main_thread(State* state) noexcept {
  const Session* session = find_session(state);
  return session != nullptr && session->is_main;
}

// ---- life ----

namespace {

struct OpenCall {
  State* state;
  std::uint64_t libraries;
  const char* worker_program;
};

void open_libraries(ThreadState& thread, void* context) {
  const OpenCall& call = *static_cast<OpenCall*>(context);
  open_granted_libraries(thread, call.libraries);
  if (*call.worker_program != '\0') name_worker_program(thread, call.worker_program);
  call.state->handler = host::make_handler(call.state, thread);
}

RuntimeOptions runtime_options(const Options& options) {
  RuntimeOptions result;
  result.name = options.name;
  result.seed = options.seed;
  if (options.memory_limit != 0) result.memory_limit = options.memory_limit;
  result.switch_interval_s = static_cast<double>(options.switch_interval_ns) * 1e-9;
  result.ignore_environment = !options.use_environment;
  return result;
}

void open_runtime(State& state, const Options& options) {
  state.close_timeout_ns = options.close_timeout_ns;
  state.finalizer_limit_ns = options.finalizer_limit_ns;
  state.runtime = std::make_unique<Runtime>(runtime_options(options));
  state.shared = &state.runtime->shared();
  if (options.stack_limit != 0) state.shared->max_stack_slots = static_cast<std::uint32_t>(options.stack_limit);
  state.shared->heap.add_root_visitor(&state);
  Session& session = add_session(&state, sched::native_thread_of(state.runtime->main_thread()));
  session.is_main = true;
  state.runtime->threads().count_foreign(1);  // the host may post at any time, so nothing here is stuck for ever
  OpenCall call{&state, options.libraries, options.worker_program};
  if (state.runtime->run(open_libraries, &call) != Status::kOk) throw std::bad_alloc();
  if (options.host_loop != nullptr) open_host_loop(&state, options.host_loop);
}

// What is left to do when opening has failed half-way.
void abandon(State* state) noexcept {
  state->closed.store(true);
  if (state->shared != nullptr) state->shared->heap.remove_root_visitor(state);
  state->runtime.reset();
  state->freed = true;
  drop_closed_sessions();
  release(state);
}

}  // namespace

State* open(const Options& options, Failure** failure) noexcept {
  auto* state = new (std::nothrow) State;
  if (state != nullptr) {
    try {
      open_runtime(*state, options);
      return state;
    } catch (const std::bad_alloc&) {
    } catch (const ScriptError&) {
    }
    abandon(state);
  }
  *failure = host::make_failure(Outcome::kError, "not enough memory");
  return nullptr;
}

namespace {

// Whether a thread of the host is between enter and leave, or on its way there. No new ones come: the state is closed.
bool is_used(State* state) noexcept {
  if (state->users.load(std::memory_order_seq_cst) > 0) return true;
  const std::lock_guard guard(state->mutex);
  return std::any_of(state->sessions.begin(), state->sessions.end(),
                     [](const Session* session) { return session->depth.load(std::memory_order_seq_cst) > 0; });
}

bool wait_for_users(State* state, std::int64_t deadline_ns) noexcept {
  while (is_used(state)) {
    if (monotonic_ns() >= deadline_ns) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  return true;
}

// The threads of the host that are still inside.
void name_stuck_hosts(State* state, CloseReport* report) {
  const std::lock_guard guard(state->mutex);
  for (const Session* session : state->sessions) {
    if (session->native != nullptr && session->depth.load(std::memory_order_relaxed) > 0) {
      report->stuck.push_back(session->native->state().name);
    }
  }
}

void detach_hosts(State* state) {
  std::vector<sched::NativeThread*> natives;
  {
    const std::lock_guard guard(state->mutex);
    natives.swap(state->orphans);
    natives.reserve(natives.size() + state->sessions.size());
    for (Session* session : state->sessions) {
      if (session->is_host) natives.push_back(session->native);
      session->native = nullptr;
    }
  }
  for (sched::NativeThread* native : natives) {
    state->shared->gil.acquire(native->state().gil_slot);
    native->adopt_stack();
    sched::group_of(*state->shared).detach_host_thread(*native);
  }
}

// Handles that were given up without the lock since it was last taken are freed here: nobody else will.
void let_roots_go(State* state) noexcept {
  state->shared->heap.remove_root_visitor(state);
  Root* given_up;
  {
    const std::lock_guard guard(state->mutex);
    for (Root* root = state->roots; root != nullptr;) {
      Root* next = root->next;
      root->value = Slot();
      root->previous = nullptr;
      root->next = nullptr;
      root = next;
    }
    state->roots = nullptr;
    state->kept_arguments = {};
    state->kept_keys = {};
    state->roots_are_gone = true;
    given_up = std::exchange(state->deferred, nullptr);
  }
  state->classes.clear();
  while (given_up != nullptr) {
    delete std::exchange(given_up, given_up->next_deferred);
    release(state);
  }
}

// The closing thread takes the main thread's place: what still runs is called by it.
void become_main(State* state, sched::NativeThread& main) {
  Session* session = find_session(state);
  if (session == nullptr) session = &add_session(state, main);
  session->native = &main;
  session->is_main = true;
  session->is_host = false;
  session->inside.store(true);
  last_session = session;
}

// Runs what is left of the script's code and takes everything down but the runtime's memory. Returns: whether that may go.
bool shut_down(State* state, CloseReport* report) {
  sched::NativeThread& main = sched::native_thread_of(state->runtime->main_thread());
  become_main(state, main);
  GilSlot* slot = main.state().gil_slot;
  state->shared->gil.acquire(slot);
  main.adopt_stack();
  main.drop_kept_fiber();
  state->shared->gil.release(slot);
  close_host_loop(state);
  const FinalizerLimit limit(state);
  const bool ended = state->runtime->close(state->close_timeout_ns);
  if (!ended) {
    for (sched::NativeThread* thread : state->runtime->threads().threads()) {
      if (!thread->is_main()) report->stuck.push_back(thread->state().name);
    }
  }
  return ended;
}

}  // namespace

// A guard of the calling thread that is still open ends here; its `leave` finds nothing to do.
bool close(State* state, CloseReport* report) noexcept {
  Session* own = find_session(state);
  if (own != nullptr && own->native != nullptr && !state->freed && holds(*own)) {
    if (own->inside.load()) return false;
    state->shared->gil.release(own->native->state().gil_slot);
    own->depth.store(0, std::memory_order_release);
  }
  if (state->closed.exchange(true, std::memory_order_seq_cst)) return state->freed;
  CloseReport unread;
  if (report == nullptr) report = &unread;
  stop_all(state, StopReason::kInterrupt, "the runtime is closed");
  if (!wait_for_users(state, monotonic_ns() + state->close_timeout_ns)) {
    name_stuck_hosts(state, report);
    (void)state->runtime.release();
    end_watchdog(state);
    return false;
  }
  detach_hosts(state);
  const bool ended = shut_down(state, report);
  end_watchdog(state);
  fail_spawned(state);
  drop_posts(state);
  if (ended) {
    let_roots_go(state);
    state->mail.reset();
    state->runtime.reset();
    state->freed = true;
  } else {
    (void)state->runtime.release();
  }
  drop_closed_sessions();
  return ended;
}

const char* version() noexcept { return kVersion; }

}  // namespace baton::abi
