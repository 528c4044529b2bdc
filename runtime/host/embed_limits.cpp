// Stopping scripts, and the limits that do it.
//
// A stop sets kInterruptStop in the interrupt words of the threads that are inside a call. At the next safepoint (every
// back-edge, call and poll of a native's loop) everything of that native thread is unwound by an exception that no pcall
// sees; no __close, no message handler and no finalizer of the script runs meanwhile. The outermost call of the host ends
// it: it unwinds the thread's other tasks, asks the native threads that scripts have started to end in the same way, and
// reports the stop. Finalizers that the stopped code has left behind are dropped, so that they cannot hold up who comes next.
//
// Limits. Instructions are counted by the traced dispatch table, under the GIL, by all native threads together. Wall and
// processor time are watched by one thread for each state that has a budget: it sleeps until the next limit can have been
// reached. Memory is the heap's cap, which raises an error that scripts may catch; a budget may lower it.
//
// A budget that is exceeded stays so until it ends: calls are refused. Several may be open; each is looked at on its own.
#include <pthread.h>
#include <time.h>

#include <algorithm>
#include <condition_variable>
#include <limits>
#include <new>
#include <thread>

#include "host/embed_state.h"
#include "sched/scheduler.h"
#include "value/finalizers.h"
#include "vm/debug_hooks.h"

namespace baton::abi {

struct Budget {
  State* state;
  Limits limits;
  std::int64_t began_ns;
  std::int64_t instructions_at_begin;
  std::int64_t cpu_at_begin_ns;
  std::int64_t ended_cpu_ns = 0;
  std::size_t memory_before = 0;
  std::size_t finalizers_at_begin;
  bool exceeded = false;
  StopReason reason = StopReason::kNone;
};

}  // namespace baton::abi

namespace baton::host {

using abi::Budget;
using abi::StopReason;

struct Watchdog {
  std::thread thread;
  std::condition_variable changed;  // with the state's mutex
  std::vector<Budget*> budgets;
  bool ends = false;
};

namespace {

constexpr std::int64_t kForEver = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kCpuCheckNs = 1'000'000;

// Processor time of the threads that are inside the state at this moment, counted per thread of the system. Takes: the mutex.
std::int64_t cpu_time_ns(State* state) noexcept {
  std::int64_t sum = 0;
  for (const Session* session : state->sessions) {
    clockid_t clock;
    timespec time{};
    if (!session->has_clock || pthread_getcpuclockid(session->os_thread, &clock) != 0) continue;
    if (clock_gettime(clock, &time) == 0) sum += std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
  }
  return sum;
}

const char* message_of(StopReason reason) noexcept {
  switch (reason) {
    case StopReason::kInstructions: return "instruction limit exceeded";
    case StopReason::kWallTime: return "time limit exceeded";
    case StopReason::kCpuTime: return "processor time limit exceeded";
    default: return "interrupted";
  }
}

// Asks the threads that are inside. Takes: the mutex.
void stop_sessions(State* state, StopReason reason, std::string_view message) noexcept {
  state->stop_reason = reason;
  try {
    state->stop_message = message;
  } catch (const std::bad_alloc&) {
    state->stop_message.clear();
  }
  for (Session* session : state->sessions) {
    if (session->native == nullptr || !session->inside.load(std::memory_order_seq_cst)) continue;
    if (session->is_host || session->is_main) sched::interrupt(session->native->state(), kInterruptStop);
  }
}

void exceed(State* state, Budget& budget, StopReason reason) noexcept {
  budget.exceeded = true;
  budget.reason = reason;
  stop_sessions(state, reason, message_of(reason));
}

// Stops what has reached a limit of time. Returns: when to look again. Takes: the mutex.
std::int64_t look_at_clocks(State* state, Watchdog& dog) noexcept {
  std::int64_t next = kForEver;
  const std::int64_t now = monotonic_ns();
  for (Budget* budget : dog.budgets) {
    if (budget->exceeded) continue;
    if (budget->limits.wall_ns > 0) {
      const std::int64_t due = budget->began_ns + budget->limits.wall_ns;
      if (now >= due) exceed(state, *budget, StopReason::kWallTime);
      else next = std::min(next, due);
    }
    if (budget->limits.cpu_ns > 0 && !budget->exceeded) {
      const std::int64_t left = budget->limits.cpu_ns - (cpu_time_ns(state) - budget->cpu_at_begin_ns);
      if (left <= 0) exceed(state, *budget, StopReason::kCpuTime);
      else next = std::min(next, now + std::max(left, kCpuCheckNs));
    }
  }
  return next;
}

void watch(State* state) noexcept {
  std::unique_lock lock(state->mutex);
  Watchdog& dog = *state->watchdog;
  while (!dog.ends) {
    const std::int64_t next = look_at_clocks(state, dog);
    if (next == kForEver) dog.changed.wait(lock);
    else dog.changed.wait_for(lock, std::chrono::nanoseconds(std::max<std::int64_t>(0, next - monotonic_ns())));
  }
}

// Takes: the mutex. Raises: std::bad_alloc, std::system_error.
Watchdog& watchdog_of(State* state) {
  if (state->watchdog == nullptr) {
    state->watchdog = std::make_unique<Watchdog>();
    try {
      state->watchdog->thread = std::thread(watch, state);
    } catch (...) {
      state->watchdog.reset();
      throw;
    }
  }
  return *state->watchdog;
}

// The instruction limit that is reached first; what the interpreter counts down to. Takes: the mutex, the GIL.
void set_countdown(State* state) noexcept {
  SharedState& shared = *state->shared;
  std::int64_t left = kForEver;
  if (state->watchdog != nullptr) {
    for (const Budget* budget : state->watchdog->budgets) {
      if (budget->limits.instructions <= 0) continue;
      left = std::min(left, budget->limits.instructions - (shared.instructions_run() - budget->instructions_at_begin));
    }
  }
  shared.count_instructions(left == kForEver ? 0 : std::max<std::int64_t>(left, 1));
  for (ThreadState* thread : shared.threads) vm::update_dispatch(*thread);
}

// The interpreter has counted down. Runs at a safepoint's place, under the GIL.
void instructions_are_spent(SharedState& shared) noexcept {
  auto* state = static_cast<State*>(shared.embedding);
  const std::lock_guard guard(state->mutex);
  if (state->watchdog == nullptr) return;
  for (Budget* budget : state->watchdog->budgets) {
    const std::int64_t used = shared.instructions_run() - budget->instructions_at_begin;
    if (!budget->exceeded && budget->limits.instructions > 0 && used >= budget->limits.instructions) {
      exceed(state, *budget, StopReason::kInstructions);
    }
  }
}

// The finalizers that exist now and belong to scripts that run under a budget, or to the call that was stopped.
void drop_finalizers(State* state) noexcept {
  std::size_t first = state->shared->heap.finalizer_count();
  {
    const std::lock_guard guard(state->mutex);
    if (state->watchdog == nullptr) return;
    for (const Budget* budget : state->watchdog->budgets) first = std::min(first, budget->finalizers_at_begin);
  }
  state->shared->heap.drop_script_finalizers(first);
}

}  // namespace

void stop_all(State* state, StopReason reason, std::string_view message) noexcept {
  const std::lock_guard guard(state->mutex);
  stop_sessions(state, reason, message);
}

bool is_exhausted(State* state) noexcept {
  if (BATON_LIKELY(!state->has_budget.load(std::memory_order_relaxed))) return false;
  const std::lock_guard guard(state->mutex);
  for (const Budget* budget : state->watchdog->budgets) {
    if (!budget->exceeded) continue;
    state->stop_reason = budget->reason;
    state->stop_message = message_of(budget->reason);
    return true;
  }
  return false;
}

void finish_stop(State* state, ThreadState& thread) noexcept {
  sched::scheduler_of(thread).stop_tasks(thread);
  for (sched::NativeThread* other : sched::group_of(thread.shared).threads()) {
    bool is_hosts = other->is_main();
    const std::lock_guard guard(state->mutex);
    for (const Session* session : state->sessions) is_hosts |= session->native == other && session->is_host;
    if (!is_hosts) other->stop();
  }
  thread.unwinding = thread.stopped = false;
  thread.interrupt.take(kInterruptCancel | kInterruptStop | kInterruptLimit);  // not the next script's
  drop_finalizers(state);
}

void end_watchdog(State* state) noexcept {
  std::unique_ptr<Watchdog> dog;
  {
    const std::lock_guard guard(state->mutex);
    if (state->watchdog == nullptr) return;
    state->watchdog->ends = true;
    state->watchdog->changed.notify_all();
  }
  state->watchdog->thread.join();
  const std::lock_guard guard(state->mutex);
  dog = std::move(state->watchdog);
  state->has_budget.store(false, std::memory_order_relaxed);
}

// Most runtimes leave nothing behind that could run for long; the watchdog is a thread, which costs more than all the rest.
FinalizerLimit::FinalizerLimit(State* state) noexcept {
  if (state->finalizer_limit_ns <= 0) return;
  ThreadState& main = state->runtime->main_thread();
  const bool is_alone = state->runtime->threads().threads().size() == 1 && sched::scheduler_of(main).task_count() == 0;
  if (is_alone && main.root->to_be_closed_count == 0 && !finalizers::may_run_scripts(state->shared->heap)) return;
  abi::Limits limits;
  limits.wall_ns = state->finalizer_limit_ns;
  Failure* failure = nullptr;
  (void)abi::begin_budget(state, limits, &budget_, &failure);
  abi::free_failure(failure);
}

FinalizerLimit::~FinalizerLimit() {
  if (budget_ != nullptr) abi::end_budget(budget_);
}

}  // namespace baton::host

namespace baton::abi {

using namespace baton::host;

// Here, where a Watchdog is complete.
State::State() = default;
State::~State() = default;

void interrupt(State* state, const char* message, std::size_t size) noexcept {
  stop_all(state, StopReason::kInterrupt, {message, size});
}

Outcome begin_budget(State* state, const Limits& limits, Budget** budget, Failure** failure) noexcept {
  try {
    SharedState& shared = *state->shared;
    auto made = std::make_unique<Budget>();
    *made = Budget{state, limits, monotonic_ns(), shared.instructions_run(), 0, 0, 0, shared.heap.finalizer_count()};
    const std::lock_guard guard(state->mutex);
    Watchdog& dog = watchdog_of(state);
    made->cpu_at_begin_ns = cpu_time_ns(state);
    dog.budgets.push_back(made.get());
    state->has_budget.store(true, std::memory_order_relaxed);
    if (limits.instructions > 0) {
      shared.embedding = state;
      shared.on_instructions_spent = instructions_are_spent;
      set_countdown(state);
    }
    if (limits.memory > 0) {
      made->memory_before = shared.heap.statistics().bytes_limit;
      shared.heap.set_limit(std::min(made->memory_before, shared.heap.bytes_used() + static_cast<std::size_t>(limits.memory)));
    }
    retain(state);
    *budget = made.release();
    dog.changed.notify_all();
    return Outcome::kOk;
  } catch (const std::exception&) {
    *failure = host::make_failure(Outcome::kError, "cannot start watching: not enough memory or threads");
    return Outcome::kError;
  }
}

void budget_usage(Budget* budget, Usage* usage) noexcept {
  State* state = budget->state;
  const std::lock_guard guard(state->mutex);
  if (!state->freed) usage->instructions = state->shared->instructions_run() - budget->instructions_at_begin;
  usage->wall_ns = monotonic_ns() - budget->began_ns;
  usage->cpu_ns = cpu_time_ns(state) - budget->cpu_at_begin_ns;
  usage->exceeded = budget->exceeded;
  usage->reason = budget->reason;
}

// The caller holds the lock if the state is open.
void end_budget(Budget* budget) noexcept {
  State* state = budget->state;
  {
    const std::lock_guard guard(state->mutex);
    if (state->watchdog != nullptr) {
      std::erase(state->watchdog->budgets, budget);
      state->has_budget.store(!state->watchdog->budgets.empty(), std::memory_order_relaxed);
      if (!state->freed) {
        set_countdown(state);
        if (budget->memory_before != 0) state->shared->heap.set_limit(budget->memory_before);
      }
    }
  }
  release(state);
  delete budget;
}

// ---- figures ----

namespace {

ThreadFigures figures_of(const GilFigures& from) {
  return {from.id, from.name, from.switches, from.forced, from.voluntary, from.held_ns, from.waited_ns, from.released_ns, from.longest_ns};
}

void append_event(std::string& json, const GilTrace& trace, const TraceSegment& segment) {
  char text[256];
  const char* name = segment.state == TraceState::kWait ? "wait" : segment.region != nullptr ? segment.region : "released";
  std::snprintf(text, sizeof text, R"(,{"name":"%s","ph":"X","pid":1,"tid":%u,"ts":%.3f,"dur":%.3f})", name, segment.thread,
                static_cast<double>(segment.from_ns - trace.from_ns) * 1e-3, static_cast<double>(segment.to_ns - segment.from_ns) * 1e-3);
  json += text;
}

void append_name(std::string& json, std::uint32_t thread, const std::string& name) {
  json += R"({"name":"thread_name","ph":"M","pid":1,"tid":)" + std::to_string(thread) + R"(,"args":{"name":")";
  for (const char c : name) {
    if (c == '"' || c == '\\') json += '\\';
    json += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  json += "\"}}";
}

constexpr std::size_t kTraceCapacity = 200'000;

}  // namespace

void gil_figures(State* state, ThreadFigures* totals, std::vector<ThreadFigures>* threads) {
  *totals = figures_of(state->shared->gil.totals());
  threads->clear();
  for (const GilFigures& figures : state->shared->gil.threads()) threads->push_back(figures_of(figures));
}

bool begin_trace(State* state) noexcept {
  try {
    return state->shared->gil.start_trace(kTraceCapacity);
  } catch (const std::bad_alloc&) {
    return false;
  }
}

std::string end_trace(State* state) {
  const GilTrace trace = state->shared->gil.copy_trace();
  state->shared->gil.stop_trace();
  std::string json = R"({"traceEvents":[{"name":"process_name","ph":"M","pid":1,"args":{"name":"baton"}})";
  for (const auto& [thread, name] : trace.names) {
    json += ',';
    append_name(json, thread, name);
  }
  for (const TraceSegment& segment : trace.segments) {
    if (segment.state != TraceState::kAttached) append_event(json, trace, segment);
  }
  return json + "]}";
}

}  // namespace baton::abi
