// Essay: the life of a runtime.
//
//   constructor   SharedState, then the group of native threads, which takes the calling thread in as the main one; it opens
//                 the libraries and releases the GIL again.
//   run           acquires the GIL, runs C++ code protected on the root coroutine (it loads and calls script functions, which
//                 may wait: the root is the body of the main thread's root task), releases the GIL.
//   wait          the program's end: until all native threads but daemons have ended.
//   close         daemons are stopped; then, still on the root coroutine: to-be-closed variables that an error or os.exit left open, then every finalizer
//                 once, in reverse order of marking. Objects that finalizers make are freed without being finalized.
//   destructor    close, detach, then the heap is freed at once. If a daemon is stuck in a system call, nothing is freed.
#include "host/runtime.h"

#include <sys/random.h>

#include <cstdio>
#include <cstdlib>
#include <new>

#include "sync/os_thread.h"
#include "value/coroutine.h"
#include "vm/call.h"
#include "vm/debug_hooks.h"
#include "vm/native.h"
#include "vm/operations.h"
#include "vm/safepoint.h"
#include "vm/seeded_switches.h"

namespace baton::host {
namespace {

std::uint64_t random_seed(const RuntimeOptions& options) {
  if (options.seed != 0) return options.seed;
  if (options.sched_seed) return *options.sched_seed + 1;  // the order of tables' keys repeats as well
  const char* fixed = options.ignore_environment ? nullptr : std::getenv("BATON_SEED");
  if (fixed != nullptr) return std::strtoull(fixed, nullptr, 0);
  std::uint64_t seed = 0;
  if (getrandom(&seed, sizeof seed, 0) != sizeof seed) seed = reinterpret_cast<std::uintptr_t>(&seed);
  return seed;
}

// Host code runs in the frame of a native function, so that script code sees where it was called from: "[C]: in ?".
struct HostBody {
  void (*body)(ThreadState& thread, void* context);
  void* context;
};

int run_host_body(NativeCall& call) {
  const auto* request = static_cast<HostBody*>(call.arg(1).pointer);
  request->body(call.thread(), request->context);
  return 0;
}

constexpr NativeInfo kHostBody = {"host", "host(body)", "Runs code of the host.", run_host_body};

void call_host_body(ThreadState& thread, void* request) {
  vm::push(thread, native::make(thread, &kHostBody));
  vm::push(thread, Value::light(request));
  vm::call(thread, 1, 0);
}

void open_libraries(ThreadState& thread, void* context) {
  const RuntimeOptions& options = **static_cast<const RuntimeOptions**>(context);
  if (options.ignore_environment) {
    Value key = Value::of(string::make(thread.heap(), "LUA_NOENV"));
    table::set(thread.heap(), thread.shared.registry, key, Value::boolean(true));
  }
  // LUA_RIDX_MAINTHREAD of the C API; the globals stand at 2.
  table::set_integer(thread.heap(), thread.shared.registry, 1, Value::of(thread.root));
  if (options.open_libraries != nullptr) options.open_libraries(thread);
}

// Calls __close of one pending variable; the error so far is replaced by one that closing raises.
void close_variable(ThreadState& thread, const Value& v) {
  const Value closer = vm::metamethod(thread.shared, v, Metamethod::kClose);
  if (closer.is_nil()) return;
  vm::push(thread, closer);
  vm::push(thread, v);
  vm::push(thread, Value());
  vm::call(thread, 2, 0);
}

void close_pending_variable(ThreadState& thread, void* context) { close_variable(thread, *static_cast<Value*>(context)); }

void close_root_variables(ThreadState& thread) {
  Coroutine* root = thread.root;
  while (root->to_be_closed_count > 0) {
    Value v = root->stack[root->to_be_closed[--root->to_be_closed_count]];
    (void)vm::protected_run(thread, close_pending_variable, &v);
  }
}

}  // namespace

Runtime::Runtime(const RuntimeOptions& options) {
  shared_ = std::make_unique<SharedState>(random_seed(options));
  shared_->name = options.name;
  shared_->host = this;
  if (options.owns_main_thread) allow_slices();
  if (options.memory_limit != SIZE_MAX) shared_->heap.set_limit(options.memory_limit);
  if (options.switch_interval_s > 0) {
    shared_->gil.set_switch_interval_ns(static_cast<std::int64_t>(options.switch_interval_s * 1e9));
  }
  if (options.sched_seed) vm::seed_switches(*shared_, *options.sched_seed);
  threads_ = std::make_unique<sched::ThreadGroup>(*shared_, "main");
  const RuntimeOptions* given = &options;
  if (run(open_libraries, &given) != Status::kOk) {
    threads_->detach_main();
    shared_.reset();
    throw ScriptError(ErrorId::kMemory);
  }
}

Runtime::~Runtime() {
  close();
  if (leaks_) {
    (void)shared_.release();
    (void)threads_.release();
    return;
  }
  threads_->detach_main();
  shared_.reset();  // its heap gives machine stacks back to the thread group
}

Status Runtime::run(void (*body)(ThreadState& thread, void* context), void* context) {
  HostBody request{body, context};
  return threads_->run_main(call_host_body, &request);
}

Status Runtime::wait_for_threads(MainEnd end) {
  threads_->note_end();
  return run([](ThreadState& thread, void* context) {
    const MainEnd main_end = *static_cast<MainEnd*>(context);
    sched::ThreadGroup& group = sched::group_of(thread.shared);
    if (main_end != MainEnd::kDone) group.cancel_tasks(sched::native_thread_of(thread));
    if (main_end == MainEnd::kInterrupted) group.cancel_threads();
    group.wait_for_threads();
  }, &end);
}

bool Runtime::close(std::int64_t timeout_ns) {
  if (closed_) return !leaks_;
  closed_ = true;
  leaks_ = !threads_->stop_threads(timeout_ns);
  (void)run([](ThreadState& thread, void*) {
    const vm::CallMark mark = vm::mark_call(thread, 0);
    try {
      close_state(thread);
    } catch (const ForcedUnwind&) {  // the host's limit for finalizers
      vm::abandon_to(thread, mark);
    }
    thread.unwinding = thread.stopped = false;
    thread.interrupt.take(kInterruptCancel | kInterruptStop);
    sched::group_of(thread.shared).unwind_coroutines(thread);
  }, nullptr);
  if (leaks_) shared_->gil.acquire(main_thread().gil_slot);  // for ever
  return !leaks_;
}

void interrupt(ThreadState& thread, std::uint32_t reasons) noexcept { sched::interrupt(thread, reasons); }

void close_state(ThreadState& thread) {
  close_root_variables(thread);
  thread.shared.heap.queue_all_finalizers();
  vm::run_finalizers(thread);
}

}  // namespace baton::host
