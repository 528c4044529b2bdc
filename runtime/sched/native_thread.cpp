#include "sched/native_thread.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <ctime>
#include <new>

#include "fiber/context.h"
#include "sched/thread_group.h"
#include "sync/os_thread.h"
#include "vm/call.h"
#include "vm/debug_hooks.h"
#include "vm/safepoint.h"

namespace baton::sched {
namespace {

// Bytes at the low end of a native stack that the system's own calls may use.
constexpr std::size_t kNativeStackHeadRoom = 64 * 1024;

}  // namespace

NativeThread::NativeThread(SharedState& shared, std::string_view name, bool is_daemon)
    : state_(shared), scheduler_(*this), is_daemon_(is_daemon) {
  state_.name = name;
  state_.sched = this;
  native_fiber_.owner = this;
}

NativeThread::~NativeThread() {
  const int descriptor = wake_descriptor_.load(std::memory_order_relaxed);
  if (descriptor >= 0) close(descriptor);
}

void NativeThread::release_reference() noexcept {
  if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

// ---- being asked ----

void NativeThread::cancel(const Value& reason) noexcept {
  if (has_ended() || is_cancelled()) return;
  state_.cancel_reason = reason;
  root_task().cancel(reason);
  interrupt(state_, kInterruptCancel);
}

void NativeThread::stop() noexcept {
  state_.unwinding = true;
  interrupt(state_, kInterruptCancel);
}

void NativeThread::wake() noexcept {
  parker_.unpark();
  if (EventSource* events = scheduler_.events()) events->wake();
  const int descriptor = wake_descriptor_.load(std::memory_order_acquire);
  if (descriptor < 0) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(descriptor, &one, sizeof one);  // full is as good as written
}

int NativeThread::wake_descriptor() noexcept {
  int descriptor = wake_descriptor_.load(std::memory_order_relaxed);
  if (descriptor < 0) {
    descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    wake_descriptor_.store(descriptor, std::memory_order_release);
  }
  return descriptor;
}

void NativeThread::drain_wake() noexcept {
  std::uint64_t count;
  [[maybe_unused]] const ssize_t bytes = read(wake_descriptor_.load(std::memory_order_relaxed), &count, sizeof count);
}

void await_arrival(ThreadState& thread) noexcept {
  constexpr int kMostRounds = 50'000;
  const timespec pause{0, 20'000};
  for (int round = 0; round < kMostRounds && !thread.shared.gil.has_arrived(thread.gil_slot); ++round) {
    nanosleep(&pause, nullptr);
  }
}

void interrupt(ThreadState& thread, std::uint32_t reasons) noexcept {
  thread.interrupt.set(reasons);
  if (thread.sched != nullptr) native_thread_of(thread).wake();
  if ((reasons & kInterruptSignal) != 0 && thread.gil_slot != nullptr) Gil::hurry(thread.gil_slot);
}

// ---- running ----

void NativeThread::adopt_stack() noexcept {
  native_fiber_.context = FiberContext{};
  adopt_native_stack(native_fiber_.context);
  native_fiber_.coroutine = state_.root;
  state_.root->fiber = &native_fiber_;
  state_.root->machine_stack_limit = reinterpret_cast<char*>(current_native_stack().low) + kNativeStackHeadRoom;
}

namespace {
struct RootCall {
  NativeThread* thread;
  void (*body)(NativeThread& thread, void* context) noexcept;
  void* context;
};
}  // namespace

Departure NativeThread::enter_root(FiberContext& self, Arrival first) noexcept {
  const RootCall& call = *static_cast<RootCall*>(first.message);
  call.body(*call.thread, call.context);
  return {&call.thread->native_fiber_.context, &self};
}

void NativeThread::run_on_fiber(void (*body)(NativeThread& thread, void* context) noexcept, void* context) {
  Coroutine* root = state_.root;
  char* const native_limit = root->machine_stack_limit;
  Fibers& fibers = group_of(state_.shared).fibers();
  Fiber* fiber = fibers.start(*this, root, enter_root);
  vm::update_dispatch(state_);
  RootCall call{this, body, context};
  Arrival arrival = switch_to(native_fiber_.context, fiber->context, &call);
  while (!scheduler_.arrive_natively(arrival)) {
    arrival = switch_to(native_fiber_.context, scheduler_.next_natively(state_), nullptr);
  }
  root->fiber = &native_fiber_;
  root->thread = &state_;
  root->machine_stack_limit = native_limit;
}

void NativeThread::make_kept_fiber() {
  kept_fiber_ = group_of(state_.shared).fibers().start(*this, state_.root, enter_kept);
  state_.root->thread = &state_;
#if BATON_HAS_STACK_CALL
  kept_fiber_->context.machine = nullptr;  // it is never switched to before somebody has left it
#endif
}

void NativeThread::refresh_dispatch() noexcept { vm::update_dispatch(state_); }

// Where there is no call on another stack, the fiber is left and entered again inside this loop.
Departure NativeThread::enter_kept(FiberContext& self, Arrival first) noexcept {
  NativeThread& thread = *static_cast<NativeThread*>(first.message);
  for (;;) {
    thread.kept_body_(thread.kept_context_, &thread.state_);
    thread.kept_body_ = nullptr;
    (void)switch_to(self, thread.native_fiber_.context, nullptr);
  }
}

void NativeThread::switch_to_kept_fiber(void (*body)(void* context, void* state) noexcept, void* context) noexcept {
  kept_body_ = body;
  kept_context_ = context;
  Arrival arrival = switch_to(native_fiber_.context, kept_fiber_->context, this);
  while (kept_body_ != nullptr) {
    (void)scheduler_.arrive_natively(arrival);
    arrival = switch_to(native_fiber_.context, scheduler_.next_natively(state_), nullptr);
  }
}

// A body that was called on the kept fiber waits. The native stack below its caller's frames becomes a context that does what
// the loop in run_on_fiber does. It has no end: the body returns to its caller, who drops this context, wherever it is then.
void NativeThread::make_native_context() noexcept {
  FiberContext fresh;
  auto* top = static_cast<std::byte*>(stack_pointer_);
  make_fiber(fresh, top - 1, top, serve_natively);
  native_fiber_.context = fresh;
}

Departure NativeThread::serve_natively(FiberContext& self, Arrival first) noexcept {
  NativeThread& thread = *reinterpret_cast<Fiber&>(self).owner;
  for (;;) {
    (void)thread.scheduler_.arrive_natively(first);
    first = switch_to(self, thread.scheduler_.next_natively(thread.state_), nullptr);
  }
}

void NativeThread::drop_kept_fiber() noexcept {
  if (kept_fiber_ == nullptr) return;
  Coroutine* root = state_.root;
  char* const native_limit = root->machine_stack_limit;
  group_of(state_.shared).fibers().release(kept_fiber_);
  kept_fiber_ = nullptr;
  root->fiber = &native_fiber_;
  root->thread = &state_;
  root->machine_stack_limit = native_limit;
}

void NativeThread::call_function() noexcept {
  Value error;
  root_task().begin();
  const ThreadStatus outcome = run_function(&error);
  if (outcome == ThreadStatus::kFailed) {
    state_.pending = error;  // a root
    group_of(state_.shared).cancel_tasks(*this);
  }
  wait_for_tasks();
  group_of(state_.shared).unwind_coroutines(state_);
  conclude(outcome, error);
}

ThreadStatus NativeThread::run_function(Value* error) noexcept {
  Coroutine* root = state_.root;
  *error = Value::of(state_.shared.memory_error);
  try {
    const Value handler = group_of(state_.shared).error_recorder(state_);
    int results = 0;
    if (vm::protected_call(state_, argument_count_, kMultipleResults, handler, &results) == Status::kOk) {
      root_task().set_result_count(results);
      error->set_nil();
      return ThreadStatus::kDone;
    }
    *error = state_.pending;
  } catch (const ForcedUnwind&) {
    error->set_nil();
    root->frame = root->frames;
    root->top = root->stack + 1;
    return ThreadStatus::kCancelled;
  } catch (const ScriptError&) {  // no memory for the handler
    root->top = root->stack + 1;
  } catch (const std::bad_alloc&) {
    root->top = root->stack + 1;
  }
  return is_cancelled() && raw_equal(*error, state_.cancel_reason) ? ThreadStatus::kCancelled : ThreadStatus::kFailed;
}

namespace {
void run_finalizers(ThreadState& thread) noexcept {
  try {
    vm::run_finalizers(thread);
  } catch (const ScriptError&) {  // of a thread that has nothing more to run
  }
}
}  // namespace

// The error of the body stays a root meanwhile: it is the thread's pending one.
void NativeThread::wait_for_tasks() noexcept {
  scheduler_.leave_scopes_of_root();
  while (scheduler_.keeping_count() > 0) {
    if (state_.unwinding) {
      scheduler_.stop_tasks(state_);
      return;
    }
    Waiter waiter(state_);
    scheduler_.enders().push(waiter);
    scheduler_.park(state_, kNoDeadline, "thread.end", false);
    if (!state_.unwinding && state_.interrupt.take(kInterruptCancel) != 0) {
      scheduler_.for_each_task([&](Task& task) { task.cancel(state_.cancel_reason); });
    }
    vm::safepoint(state_, vm::SafepointKind::kReturn);
    if (state_.interrupt.take(kInterruptFinalize) != 0) run_finalizers(state_);
  }
  scheduler_.stop_tasks(state_);
}

void NativeThread::conclude(ThreadStatus status, const Value& error) noexcept {
  Coroutine* root = state_.root;
  root->error = error;
  state_.heap().barrier_back(root, error);
  root->status = CoroutineStatus::kDead;
  state_.pending.set_nil();
  root_task().end(status);
}

}  // namespace baton::sched
