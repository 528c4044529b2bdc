// What happens when a thread notices its interrupt word.
//
// The order matters. The collector goes first, while this thread surely holds the GIL and its roots
// are exact. Then finalizers, which may run script code of any length. Then the GIL is handed over if
// somebody's turn has come; everything may have changed when it comes back, also the interrupt word.
// What raises goes last: by then all other duties are done.
//
// Finalizers. The heap only queues; they run here, all that are queued, on a coroutine of their own:
// deep recursion of the interrupted code leaves them room, a yield cannot suspend somebody else's
// coroutine (theirs is a root, where yield is refused), and hooks of the interrupted code do not see
// them. One thread at a time runs the queue; another thread that finds it running goes on. When no
// coroutine can be had (memory, nesting) the objects stay queued until the next step of the collector.
//
// Abandoned coroutines. A dead coroutine with native frames on its machine stack must be unwound by
// the native thread on which those frames ran. Whoever takes it from the heap's queue puts it into
// SharedState::abandoned, linked through `resumer` (unused in a suspended coroutine), and asks its
// owner. Only if the owner is gone is it unwound right here.
#include "vm/safepoint.h"

#include <algorithm>
#include <cstring>

#include "value/root.h"
#include "value/string.h"
#include "vm/call.h"
#include "vm/native.h"
#include "vm/operations.h"
#include "vm/traceback.h"

namespace baton::vm {
namespace {

// ---------------------------------------------------------------------------------------------------
// Finalizers

// "error in __gc (message)", in the pieces that PUC Lua emits.
void warn_about(SharedState& shared, const Value& error) {
  if (shared.warn == nullptr) return;
  const std::string_view message = error.is_string() ? error.string()->view() : "error object is not a string";
  shared.warn(shared, "error in ", true);
  shared.warn(shared, "__gc", true);
  shared.warn(shared, " (", true);
  shared.warn(shared, message, true);
  shared.warn(shared, ")", false);
}

void finalize(NativeCall& call, Object* object) {
  ThreadState& thread = call.thread();
  const Value subject = Value::of(object, tag_of(object));
  const Value function = metamethod(thread.shared, subject, Metamethod::kFinalize);
  if (function.is_nil()) return;
  call.push(function);
  call.push(subject);
  int results = 0;
  if (protected_call(thread, 1, 0, Value(), &results) == Status::kError) {
    warn_about(thread.shared, thread.pending);
    thread.pending.set_nil();
  }
}

// The body of the finalizers' coroutine.
int run_queue(NativeCall& call) {
  call.coroutine()->frame->flags |= kFrameFinalizer;
  while (Object* object = call.heap().next_finalizable()) finalize(call, object);
  return 0;
}

constexpr NativeInfo kRunQueue = {"finalizers", "finalizers()", "Runs queued finalizers.", run_queue};

void run_queue_on_own_coroutine(ThreadState& thread) {
  Coroutine* co = coroutine::make(thread.heap());
  co->is_root = true;
  *co->top++ = Value::of(closure::make_native(thread.heap(), &kRunQueue));
  int results = 0;
  (void)resume(thread, co, 0, &results);
  thread.current->top -= results;
}

class FinalizersRunning {
 public:
  explicit FinalizersRunning(SharedState& shared) noexcept : shared_(shared) { shared.finalizers_running = true; }
  ~FinalizersRunning() { shared_.finalizers_running = false; }
  FinalizersRunning(const FinalizersRunning&) = delete;
  FinalizersRunning& operator=(const FinalizersRunning&) = delete;

 private:
  SharedState& shared_;
};

void run_queued_finalizers(ThreadState& thread) {
  if (thread.shared.finalizers_running || !thread.heap().has_finalizable()) return;
  const FinalizersRunning running(thread.shared);
  try {
    run_queue_on_own_coroutine(thread);
  } catch (const ScriptError& error) {
    if (error.id == ErrorId::kValue) throw;  // a cancellation of the code that was interrupted
  }
}

// ---------------------------------------------------------------------------------------------------
// Abandoned coroutines

bool is_attached(const SharedState& shared, const ThreadState* thread) noexcept {
  return std::find(shared.threads.begin(), shared.threads.end(), thread) != shared.threads.end();
}

// Moves the heap's queue to the shared list and asks the owners.
void distribute_abandoned(ThreadState& thread) noexcept {
  SharedState& shared = thread.shared;
  while (Coroutine* co = shared.heap.next_abandoned()) {
    if (!is_attached(shared, co->thread)) co->thread = &thread;
    co->resumer = shared.abandoned;
    shared.abandoned = co;
    if (co->thread != &thread) co->thread->interrupt.set(kInterruptFinalize);
  }
}

// Takes the first coroutine of this thread (or of one that has ended) from the list, or null.
Coroutine* take_abandoned(ThreadState& thread) noexcept {
  for (Coroutine** link = &thread.shared.abandoned; *link != nullptr; link = &(*link)->resumer) {
    Coroutine* co = *link;
    if (co->thread != &thread && is_attached(thread.shared, co->thread)) continue;
    *link = co->resumer;
    co->resumer = nullptr;
    co->thread = &thread;
    return co;
  }
  return nullptr;
}

void unwind_abandoned_coroutines(ThreadState& thread) {
  distribute_abandoned(thread);
  while (Coroutine* co = take_abandoned(thread)) unwind_abandoned(thread, co);
}

// ---------------------------------------------------------------------------------------------------
// The duties of a safepoint

// The stress build collects everything at every safepoint. With a large heap it passes some, in
// proportion to its size, so that a safepoint costs about the same however large the heap is.
void collect_everything(ThreadState& thread) noexcept {
  constexpr std::size_t kBytesPerPassedSafepoint = std::size_t{256} << 10;
  thread.interrupt.set(kInterruptCollect);  // so that the next poll comes here again
  if (thread.shared.stress_pause > 0) {
    --thread.shared.stress_pause;
    return;
  }
  thread.heap().collect();
  thread.shared.stress_pause = thread.heap().bytes_used() / kBytesPerPassedSafepoint;
}

void collect_some(ThreadState& thread) noexcept {
  if (BATON_UNLIKELY(thread.heap().is_near_cap())) {
    if (thread.heap().collect_near_cap()) thread.interrupt.set(kInterruptLimit);
  } else if (BATON_STRESS) {
    collect_everything(thread);
  } else {
    thread.heap().step();
  }
}

// The position of the newest script function, also if a native is running.
std::string newest_position(ThreadState& thread) {
  for (int level = 0; frame_at(thread.current, level) != nullptr; ++level) {
    const std::string position = where(thread, level);
    if (!position.empty()) return position;
  }
  return "";
}

void hand_over(ThreadState& thread) {
  GilSlot* slot = thread.gil_slot;
  if (slot == nullptr) {
    thread.interrupt.take(kInterruptGilDrop);  // nobody to hand over to
    return;
  }
  const std::int64_t longest = slot->longest_ns.load(std::memory_order_relaxed);
  thread.shared.gil.hand_over(slot);
  if (BATON_UNLIKELY(slot->longest_ns.load(std::memory_order_relaxed) > longest)) {
    std::string position = newest_position(thread);
    if (position.size() > 2) position.resize(position.size() - 2);  // ": "
    slot->longest_where = position;
  }
}

// Whether a cancelled native thread is running a __close: what it releases there must not be lost half-way, so the
// cancellation comes right behind. The main thread's bit is the time limit's, which waits for nobody.
bool is_closing(const ThreadState& thread) noexcept {
  if (&thread == thread.shared.main_thread) return false;
  for (const Coroutine* co = thread.current; co != nullptr; co = co->resumer) {
    if (co->closings > 0) return true;
  }
  return false;
}

// kInterruptStop: from now on every safepoint throws, until the host's entry has been reached. The root goes first, since
// the entry ends it and then all other tasks.
void begin_stop(ThreadState& thread) {
  thread.unwinding = thread.stopped = true;
  thread.interrupt.set(kInterruptCancel);
  if (thread.runs_task && !in_finalizer(thread)) thread.shared.run_root_now(thread);
}

void raise_if_asked(ThreadState& thread) {
  if (BATON_UNLIKELY(thread.interrupt.take(kInterruptStop) != 0)) begin_stop(thread);
  if (in_finalizer(thread) && !thread.stopped) return;
  if (thread.unwinding) throw ForcedUnwind{};  // the bit stays set: every later safepoint goes on unwinding
  if (thread.interrupt.take(kInterruptLimit) != 0) raise_value(thread, Value::of(thread.shared.memory_error));
  if (BATON_UNLIKELY(thread.runs_task)) {
    constexpr std::uint32_t kOfRoot = kInterruptCancel | kInterruptSignal;
    if ((thread.interrupt.bits.load(std::memory_order_relaxed) & kOfRoot) != 0) thread.shared.run_root_now(thread);
    if (thread.unwinding) throw ForcedUnwind{};
    return;
  }
  if (thread.interrupt.take(kInterruptCancel) != 0) {
    thread.cancel_is_deferred = is_closing(thread);
    if (!thread.cancel_is_deferred) raise_value(thread, thread.cancel_reason);
  }
  if (&thread == thread.shared.main_thread && thread.interrupt.take(kInterruptSignal) != 0) {
    raise_value(thread, Value::of(string::make(thread.heap(), newest_position(thread) + "interrupted!")));
  }
}

}  // namespace

bool in_finalizer(const ThreadState& thread) noexcept {
  if (!thread.shared.finalizers_running) return false;
  for (const Coroutine* co = thread.current; co != nullptr; co = co->resumer) {
    if (co->frame > co->frames && (co->frames[1].flags & kFrameFinalizer) != 0) return true;
  }
  return false;
}

void safepoint(ThreadState& thread, SafepointKind kind) {
  if ((thread.interrupt.bits.load(std::memory_order_relaxed) & kInterruptDump) != 0) {
    thread.interrupt.take(kInterruptDump);
    if (thread.shared.dump_tasks != nullptr) thread.shared.dump_tasks(thread);
  }
  if ((thread.interrupt.bits.load(std::memory_order_relaxed) & kInterruptProfile) != 0) {
    thread.interrupt.take(kInterruptProfile);
    if (thread.shared.sample != nullptr) thread.shared.sample(thread);
  }
  if (thread.interrupt.take(kInterruptCollect) != 0) collect_some(thread);
  if (kind == SafepointKind::kBackEdge && thread.interrupt.take(kInterruptFinalize) != 0) run_finalizers(thread);
  if ((thread.interrupt.bits.load(std::memory_order_relaxed) & kInterruptGilDrop) != 0) hand_over(thread);
  if (kind == SafepointKind::kBackEdge) raise_if_asked(thread);
  thread.interrupt.settle();  // behind what raises: then the next back-edge looks again
}

void copy_bytes(ThreadState& thread, char* to, const char* from, std::size_t bytes, SafepointKind kind) {
  for (; bytes > kPieceBytes; bytes -= kPieceBytes, to += kPieceBytes, from += kPieceBytes) {
    std::memcpy(to, from, kPieceBytes);
    if (thread.interrupt.any()) safepoint(thread, kind);
  }
  std::memcpy(to, from, bytes);
}

std::string copied(ThreadState& thread, std::string_view text) {
  std::string copy;
  copy.reserve(text.size());
  for (; text.size() > kPieceBytes; text.remove_prefix(kPieceBytes)) {
    copy.append(text.substr(0, kPieceBytes));
    poll(thread);
  }
  copy.append(text);
  return copy;
}

void run_finalizers(ThreadState& thread) {
  // An error may be on its way in the interrupted code (a __close method runs because of it).
  const Root<Value> error_in_flight(thread.heap(), thread.pending);
  unwind_abandoned_coroutines(thread);
  run_queued_finalizers(thread);
  thread.pending = error_in_flight.value();
}

void collect_all(ThreadState& thread) {
  Heap& heap = thread.heap();
  const std::uint64_t cycle = heap.cycle_to_come();
  while (!heap.collect_until(cycle)) poll(thread);
  thread.interrupt.take(kInterruptFinalize);
  run_finalizers(thread);
}

bool collect_step(ThreadState& thread, std::size_t kilobytes) {
  Heap& heap = thread.heap();
  const std::uint64_t cycles = heap.statistics().cycles;
  std::size_t units = heap.explicit_work(kilobytes);
  while (units > 0) {
    units = heap.work_explicitly(units);
    if (heap.statistics().cycles != cycles) break;  // ended here, or by another thread meanwhile
    if (units > 0) poll(thread);
  }
  const bool ended = heap.statistics().cycles != cycles;
  run_finalizers(thread);
  return ended;
}

}  // namespace baton::vm
