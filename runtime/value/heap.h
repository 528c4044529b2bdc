// The heap: allocation, accounting, and the incremental collector's interface.
//
// Who may do what (the types say it)
//  - `Heap&` in a signature means "may allocate": an allocation never collects, so raw pointers
//    stay valid across it. When the heap gets into debt it only sets kInterruptCollect in the
//    interrupt word of the running thread (`attach_interrupt`); a safepoint then calls `step`.
//  - `ThreadState&` means "may also reach a safepoint": pointers that are not reachable from a root
//    die there.
// Invariants
//  - Tri-colour: while the collector marks, a black object never refers to a white one. Stores keep
//    it: `barrier_back` turns a black container gray again (tables, coroutines), `barrier` marks
//    the stored value (everything else).
//  - `bytes_used` counts every byte that belongs to values: objects, array and hash parts, value
//    stacks, code, and what natives report with `add_external`.
//  - At the cap (`set_limit`) or when the system refuses, an allocation throws ScriptError(kMemory)
//    and leaves everything as it was; the interpreter then collects in emergency mode (no
//    finalizers) and retries the instruction once.
//  - Finalizers are only queued here, in the manual's order; vm runs them.
// Owner: the runtime. Threading: everything under the GIL.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/interrupt.h"
#include "value/error.h"
#include "value/object.h"
#include "value/string.h"

namespace baton {

struct Coroutine;
struct Upvalue;
class RootBase;

// Something outside the heap that refers to values: registered once, asked at the start of a cycle
// and again in the atomic phase. `visit` calls heap.mark_value / mark_object for each.
class RootVisitor {
 public:
  virtual void mark_roots(Heap& heap) = 0;
  virtual ~RootVisitor() = default;
};

enum class CollectorMode : std::uint8_t { kIncremental, kGenerational };

struct HeapStatistics {
  std::size_t bytes_used;
  std::size_t bytes_limit;  // SIZE_MAX: none
  std::uint64_t cycles;
  std::uint64_t steps;
  std::uint64_t longest_step_ns;
};

class Heap {
 public:
  // `seed` randomises string hashes. Raises: std::bad_alloc.
  explicit Heap(std::uint64_t seed);
  // Frees every object without running finalizers (call finalize_all first).
  ~Heap();
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  // --- allocation ---------------------------------------------------------------------------
  // A cell of `bytes` for an object of `kind`, header set (current white, no flags), the rest
  // uninitialised: the caller fills it before the next allocation. Raises: kMemory.
  void* allocate_object(std::size_t bytes, ObjectKind kind);
  // A buffer owned by an object (array part, nodes, stack, code). 16-byte aligned. Raises: kMemory.
  void* allocate_buffer(std::size_t bytes);
  void free_buffer(void* buffer, std::size_t bytes) noexcept;
  // realloc for owned buffers; the old one stays valid if it raises. Raises: kMemory.
  void* resize_buffer(void* buffer, std::size_t old_bytes, std::size_t new_bytes);
  // Bytes held by natives, fiber pages ...: counted against cap and pace. Raises: kMemory at the cap.
  void add_external(std::size_t bytes);
  void remove_external(std::size_t bytes) noexcept;
  // Whether `bytes` more would fit under the cap. Raises: nothing.
  bool fits(std::size_t bytes) const noexcept;

  // --- barriers (essay in heap.cpp) ------------------------------------------------------------
  // After storing `value` into `owner` (a closed upvalue, closure, userdata, prototype ...).
  void barrier(Object* owner, const Value& value) noexcept {
    if (BATON_UNLIKELY(owner->is_black()) && value.is_heap() && value.object->is_white()) barrier_forward(owner, value.object);
  }
  void barrier(Object* owner, Object* value) noexcept {
    if (BATON_UNLIKELY(owner->is_black()) && value != nullptr && value->is_white()) barrier_forward(owner, value);
  }
  // After storing `value` into the table or coroutine `owner`.
  void barrier_back(TracedObject* owner, const Value& value) noexcept {
    if (BATON_UNLIKELY(owner->is_black()) && value.is_heap() && value.object->is_white()) barrier_backward(owner, value.object);
  }
  void barrier_forward(Object* owner, Object* value) noexcept;
  void barrier_backward(TracedObject* owner, Object* value) noexcept;
  // Whether the collector is between the start of a cycle and its atomic phase.
  bool is_marking() const noexcept { return marking_; }
  // The slow half of coroutine::note_run.
  void coroutine_runs(Coroutine* co) noexcept;

  // --- roots -------------------------------------------------------------------------------------
  void add_root_visitor(RootVisitor* visitor);
  void remove_root_visitor(RootVisitor* visitor) noexcept;
  // For visitors and traversal: marks what is white. Raises: nothing.
  void mark_value(const Value& v) noexcept { if (v.is_heap() && v.object->is_white()) mark_object(v.object); }
  void mark_object(Object* object) noexcept;
  // Keeps an object for the life of the heap (names of metamethods, the memory error text).
  void fix(Object* object) noexcept;

  // --- finalizers -----------------------------------------------------------------------------
  // `object` (table or userdata) got a metatable with a `__gc` field: it will be queued once when
  // found dead. Idempotent. Raises: kMemory.
  void register_finalizer(Object* object);
  // The next object whose finalizer must run, unlinked from the queue, or null. vm calls its __gc.
  Object* next_finalizable() noexcept;
  bool has_finalizable() const noexcept;
  // How many objects wait with a finalizer. Raises: nothing.
  std::size_t finalizer_count() const noexcept;
  // Objects that got their finalizer as the `first`-th or later (from 0), and those that are queued, lose it if it is a script
  // function: nothing of a script that was stopped runs afterwards. Raises: nothing.
  void drop_script_finalizers(std::size_t first) noexcept;
  // At close: queues every object with a finalizer, in reverse order of marking; from now on
  // register_finalizer does nothing.
  void queue_all_finalizers() noexcept;

  // --- dead coroutines --------------------------------------------------------------------------
  // The sweeper calls `release` for a dead coroutine that still has a machine stack (`fiber`), before
  // the coroutine is freed. It runs inside allocations and touches no value.
  void set_fiber_release(void (*release)(void* context, Coroutine* co), void* context) noexcept;
  // A dead coroutine whose machine stack holds frames of natives is kept once more, so that its owner
  // unwinds them at a safepoint: the next such coroutine or null. Announced by kInterruptFinalize.
  Coroutine* next_abandoned() noexcept;
  bool has_abandoned() const noexcept;
  // Calls `visit` for every coroutine, dead ones that were not swept yet included; it may not allocate.
  void visit_coroutines(void (*visit)(void* context, Coroutine* co), void* context) noexcept;

  // --- collecting (only from safepoints) ---------------------------------------------------------
  // One bounded increment; clears the debt. Effects: may end a cycle and queue finalizers.
  void step() noexcept;
  // A whole cycle: everything unreachable now is freed (or queued). Raises: nothing.
  void collect() noexcept;
  // The same in bounded pieces, so that others may have the GIL in between: the number of the cycle after whose end all is freed
  // that is unreachable now, and some work towards it. collect_until returns whether that cycle has ended. Raises: nothing.
  std::uint64_t cycle_to_come() const noexcept;
  bool collect_until(std::uint64_t cycle) noexcept;
  // collect without queueing finalizers' execution order problems: used at the cap; also shrinks nothing.
  void collect_emergency() noexcept;
  // Whether what is left below the cap has shrunk so far that a safepoint must collect (essay in heap.cpp).
  bool is_near_cap() const noexcept;
  // collect_emergency for that case. Returns: whether live data has grown into the reserve, so that the
  // program must be told now, while natives still have room to work.
  bool collect_near_cap() noexcept;
  // collectgarbage("step", kilobytes): 0 is one basic step; else as if that much had been allocated, so that small amounts
  // add up until a step is due (manual 6.1). Returns whether a cycle ended.
  bool step_explicit(std::size_t kilobytes) noexcept;
  // The same in bounded pieces: the work that is due, perhaps 0, and some of it. Returns: what is left of it, 0 when a cycle has ended.
  std::size_t explicit_work(std::size_t kilobytes) noexcept;
  std::size_t work_explicitly(std::size_t units) noexcept;
  bool is_running() const noexcept;
  void set_running(bool running) noexcept;  // collectgarbage "stop"/"restart"
  CollectorMode mode() const noexcept;
  CollectorMode set_mode(CollectorMode mode) noexcept;  // accepted and remembered; returns the old one
  // Parameters in percent as the manual says; 0 leaves the last three unchanged; each returns the old value.
  int set_pause(int percent) noexcept;
  int set_step_multiplier(int percent) noexcept;
  int set_step_size(int log2_bytes) noexcept;
  int set_minor_multiplier(int percent) noexcept;  // remembered only
  int set_major_multiplier(int percent) noexcept;  // remembered only

  std::size_t bytes_used() const noexcept;
  void set_limit(std::size_t bytes) noexcept;  // SIZE_MAX: none
  HeapStatistics statistics() const noexcept;
  // Walks the whole heap and aborts if a black object refers to a white one or anything refers to a
  // free cell. For tests and debugging; slow.
  void verify() noexcept;
  std::uint32_t seed() const noexcept;

  // The word that receives kInterruptCollect and kInterruptFinalize: that of the thread holding the
  // GIL; set at each hand-over.
  void attach_interrupt(InterruptWord* word) noexcept;

  // value/ internals reach the intern table, lists and colours through this; nobody else does.
  struct Internals;
  Internals& internals() noexcept { return *internals_; }
  const Internals& internals() const noexcept { return *internals_; }

 private:
  friend struct Internals;
  Internals* internals_;
  bool marking_ = false;
};

}  // namespace baton
