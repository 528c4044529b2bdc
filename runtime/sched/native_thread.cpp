#include "sched/native_thread.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "fiber/context_inline.h"
#include "sched/thread_group.h"
#include "sync/os_thread.h"
#include "vm/call.h"
#include "vm/debug_hooks.h"
#include "vm/native.h"
#include "vm/operations.h"
#include "vm/traceback.h"

namespace baton::sched {
namespace {

// Bytes at the low end of a native stack that the system's own calls may use.
constexpr std::size_t kNativeStackHeadRoom = 64 * 1024;

// What is said about an error that nobody took: texts as they are, other values as tostring or their type.
std::string text_of(NativeCall& call, const Value& error) {
  if (error.is_string()) return std::string(error.string()->view());
  if (error.is_number()) return std::string(vm::number_to_string(call.heap(), error)->view());
  if (!vm::metamethod(call.shared(), error, Metamethod::kToString).is_nil()) {
    return std::string(vm::to_string(call.thread(), error)->view());
  }
  return std::string("(error object is a ") + base_type_name(error) + " value)";
}

// The message handler of a body: remembers the error with its traceback, changes nothing.
int record_error(NativeCall& call) {
  const std::string message = text_of(call, call.arg(1));
  native_thread_of(call.thread()).set_report(vm::traceback(call.thread(), call.coroutine(), message.c_str(), 1));
  return call.result(call.arg(1));
}

constexpr NativeInfo kRecordError = {"record_error", "record_error(error)", "Message handler of a native thread's body.",
                                     record_error};

}  // namespace

NativeThread::NativeThread(SharedState& shared, std::string_view name, bool is_daemon) : state_(shared), is_daemon_(is_daemon) {
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
  if (has_ended()) return;
  state_.cancel_reason = reason;
  is_cancelled_ = true;
  interrupt(state_, kInterruptCancel);
}

void NativeThread::stop() noexcept {
  state_.unwinding = true;
  interrupt(state_, kInterruptCancel);
}

void NativeThread::wake() noexcept {
  parker_.unpark();
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

void interrupt(ThreadState& thread, std::uint32_t reasons) noexcept {
  thread.interrupt.set(reasons);
  if (thread.sched != nullptr) native_thread_of(thread).wake();
}

// ---- running ----

void NativeThread::adopt_stack() noexcept {
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
  const Arrival end = switch_to(native_fiber_.context, fiber->context, &call);
  fibers.release(reinterpret_cast<Fiber*>(end.from));
  root->fiber = &native_fiber_;
  root->thread = &state_;
  root->machine_stack_limit = native_limit;
}

void NativeThread::call_function() noexcept {
  Coroutine* root = state_.root;
  ThreadStatus outcome = ThreadStatus::kFailed;
  status_ = ThreadStatus::kRunning;
  Value error = Value::of(state_.shared.memory_error);
  try {
    const Value handler = native::make(state_, &kRecordError);
    if (vm::protected_call(state_, argument_count_, kMultipleResults, handler, &result_count_) == Status::kOk) {
      outcome = ThreadStatus::kDone;
      error.set_nil();
    } else {
      error = state_.pending;
    }
  } catch (const ForcedUnwind&) {
    outcome = ThreadStatus::kCancelled;
    error.set_nil();
    root->frame = root->frames;
    root->top = root->stack + 1;
  } catch (const ScriptError&) {  // no memory for the handler
    root->top = root->stack + 1;
  }
  group_of(state_.shared).unwind_coroutines(state_);
  if (outcome == ThreadStatus::kFailed && is_cancelled_ && raw_equal(error, state_.cancel_reason)) {
    outcome = ThreadStatus::kCancelled;
  }
  conclude(outcome, error);
}

void NativeThread::conclude(ThreadStatus status, const Value& error) noexcept {
  Coroutine* root = state_.root;
  root->error = error;
  state_.heap().barrier_back(root, error);
  root->status = CoroutineStatus::kDead;
  state_.pending.set_nil();
  status_ = status;
  joiners_.wake_all();
}

}  // namespace baton::sched
