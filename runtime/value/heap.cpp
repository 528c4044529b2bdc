// The heap: who pays when, and in which order a cycle does its work.
//
// Cycle. The collector is an incremental, non-moving mark and sweep collector with three colours.
//
//     pause --(trigger)--> mark --> scan coroutines --> [rounds] --> atomic --> sweep --> pause
//
//  pause   Everything is of the current white. `trigger` is pause % of what survived the last cycle.
//  mark    Roots, then gray objects, a bounded amount for each step (mark.cpp). The program goes on in
//          between; the barriers below keep black objects from referring to white ones.
//  scan    Dead coroutines whose machine stack holds frames of natives must be unwound by their owner
//          instead of being swept. All coroutines are looked at once, incrementally, and the white
//          ones with such frames become candidates; the atomic phase looks at the candidates only. No
//          other can be missed: one that runs afterwards is marked by note_run, one made afterwards
//          has no machine stack before it runs.
//  rounds  What barriers turned gray again, traversed incrementally up to three times more, so that the
//          atomic phase finds only what changed during the last round.
//  atomic  Without interruption (atomic.cpp): roots again, what is gray again, running stacks, weak
//          tables, ephemerons, finalizers; then the whites change roles: what is still of the old
//          white is dead.
//  sweep   Page by page (sweep.cpp): by allocation, when a size class has no free cell, and by steps,
//          which do the rest. Survivors get the new white.
//
// Barriers. They matter only while marking (`is_marking`); outside that, black objects exist only on
// pages not yet swept, and a barrier that meets one there repaints it white, so that it is asked once.
//  - `barrier` marks the stored object. Right for what is rarely stored to: closures, upvalues,
//    userdata, metatable fields.
//  - `barrier_back` turns the container gray again, once for many stores. Right for small tables, and
//    for some of them: what is gray again is traversed in the atomic phase. So for a table above
//    kSmallTableSlots, or when kMostGrayAgain are waiting, it marks the stored object, too; such a table
//    is traversed once in a cycle, large ones in slices. With 264 tables of 2,000 slots that a program
//    wrote to while marking, the atomic phase took 80 ms; so it takes less than one.
//  - Stacks have no barrier: a running coroutine is always gray and scanned in the atomic phase. A
//    suspended one is black and is not looked at again, unless it runs (coroutine::note_run) or its
//    stack is written from outside (barrier_back). So a hundred thousand sleepers cost nothing there.
//  - An open upvalue may be black: stores of closures through it have `barrier`, and the owning
//    coroutine's own stores imply that it ran, so that it is scanned again or survives as new gray.
//
// Allocation never collects. It may sweep a page of its own class, which frees objects that are dead
// beyond doubt (nothing refers to them but weak intern chains). When the bytes granted are used up the
// slow path raises kMemory at the cap, or sets kInterruptCollect once the trigger is passed; a
// safepoint then calls `step`.
//
// Pace. A step is due for each 2^step_size bytes (default 8 KiB) and does step_multiplier units of
// work for each 16 bytes allocated since the last one: one unit is about one slot visited. With the
// defaults this is far ahead of any program: a cycle over 200 MB takes the time in which the program
// allocates a few MB, so the peak stays near the pause parameter's. Since the first touch of a slot may
// cost a cache miss, a step is also limited in time: 300 us, or 800 us when the heap has grown by a
// quarter since the start of the cycle. What it then does not do is left to the next steps.
//
// Memory freed by the sweeper moves the trigger down with it, so that sweeping does not stop the
// steps. The next trigger counts from what survived: garbage made since the atomic phase is not in it.
//
// Cap. An instruction that fails to allocate is repeated after an emergency collection; a native cannot be
// repeated. So the last 64 KiB below the cap are a reserve for what natives allocate in small amounts (for
// large ones they make room first, vm::make_room): an allocation that reaches into it asks for a
// safepoint, which collects in emergency mode. Has live data itself grown into the reserve, then that
// safepoint tells the program "not enough memory" while there is still room to print it, and again
// each time a quarter of the rest is gone. The next emergency collection is due when half of what
// it left free is used, so a program near the cap does not collect at every safepoint.
//
// collectgarbage("collect") first finishes a cycle under way, whose idea of "dead" is older than the
// call, and then runs a whole one: everything unreachable now is freed. It does so in steps as everybody
// else does them (collect_until), with the GIL handed over in between, so cycles are counted: whoever
// does the work, the call ends behind the first cycle that began after it. At the cap there is no time
// for that, and `collect` runs through.
#include "value/heap.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <new>
#include <utility>

#include "value/closure.h"
#include "value/finalizers.h"
#include "value/heap_internals.h"
#include "value/userdata.h"

namespace baton {

namespace {

constexpr std::size_t kMinTrigger = 256 * 1024;  // below, a cycle costs more than the memory is worth
constexpr std::size_t kAskAgainBytes = 4096;     // between two settings of the interrupt bit
constexpr std::size_t kUnitBytes = 16;           // bytes allocated that count as one unit of debt
constexpr std::size_t kSliceUnits = 2048;        // work between two looks at the clock
constexpr std::size_t kSweepShare = 8;           // sweeping is in no hurry: an eighth of the work for each step
constexpr std::size_t kCapReserve = 64 * 1024;   // below the cap, for natives (at most a sixteenth of it)
constexpr std::size_t kSmallTableSlots = 64;     // a barrier turns smaller tables gray again
constexpr std::size_t kMostGrayAgain = 256;      // ... as long as they are not more
constexpr std::uint64_t kStepLimitNs = 300'000;
constexpr std::uint64_t kLateStepLimitNs = 800'000;

std::uint64_t now_ns() noexcept {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count());
}

}  // namespace

// ---------------------------------------------------------------------------------------------------------------------
// Accounting

void Heap::Internals::grant() noexcept {
  const std::size_t now = used();
  std::size_t end = limit;
  if (running) end = std::min(end, std::max(trigger, now + kAskAgainBytes));
  if (cap_trigger < limit) end = std::min(end, std::max(cap_trigger, now + kAskAgainBytes));
  if (end < now) end = now;                                             // over the cap (it was lowered)
  end = std::min<std::size_t>(end, now + kMaxCharge);       // keeps `remaining` in range
  remaining = static_cast<std::ptrdiff_t>(end - now);
  accounted = end;
}

void Heap::Internals::charge_slowly(std::size_t bytes) {
  if (used() > limit) {
    discharge(bytes);
    raise(ErrorId::kMemory);
  }
  if ((running && used() >= trigger) || used() >= cap_trigger) announce(kInterruptCollect);
  grant();
}

void Heap::Internals::set_trigger(std::size_t bytes) noexcept {
  trigger = bytes;
  grant();
}

std::size_t Heap::bytes_used() const noexcept { return internals_->used(); }

bool Heap::fits(std::size_t bytes) const noexcept {
  const std::size_t used = internals_->used();
  return used <= internals_->limit && bytes <= internals_->limit - used;
}

void Heap::set_limit(std::size_t bytes) noexcept {
  Internals& h = *internals_;
  h.limit = bytes;
  h.cap_trigger = h.cap_ceiling = h.reserve_start();
  h.grant();
}

void Heap::add_external(std::size_t bytes) { internals_->charge_any(bytes); }
void Heap::remove_external(std::size_t bytes) noexcept { internals_->discharge(bytes); }

void Heap::attach_interrupt(InterruptWord* word) noexcept {
  Internals& h = *internals_;
  h.interrupt = word;
  if (word == nullptr) return;
  if ((h.running && h.used() >= h.trigger) || is_near_cap()) word->set(kInterruptCollect);
  if (has_finalizable() || has_abandoned()) word->set(kInterruptFinalize);
}

// ---------------------------------------------------------------------------------------------------------------------
// Objects and buffers

void* Heap::Internals::allocate_cell_slowly(std::uint32_t index) {
  constexpr int kPagesToSweep = 2;  // a class full of survivors must not make one allocation slow
  if (objects.refill(index)) return objects.pop(index);
  for (int i = 0; i < kPagesToSweep && sweep_next_page(index); ++i) {
    if (objects.refill(index)) return objects.pop(index);
  }
  if (objects.refill_from_new_page(index)) return objects.pop(index);
  while (sweep_next_page(index)) {
    if (objects.refill(index)) return objects.pop(index);
  }
  discharge(kSizeClasses.bytes[index]);
  raise(ErrorId::kMemory);
}

void* Heap::Internals::allocate_large(std::size_t bytes, ObjectKind kind) {
  if (BATON_UNLIKELY(bytes > kMaxCharge)) raise(ErrorId::kMemory);
  auto* header = static_cast<LargeHeader*>(allocate_block(sizeof(LargeHeader) + bytes));
  return adopt_block(header, sizeof(LargeHeader) + bytes, kind);
}

Object* Heap::Internals::adopt_block(void* block, std::size_t bytes, ObjectKind kind) noexcept {
  auto* header = static_cast<LargeHeader*>(block);
  header->next = large;
  header->bytes = bytes;
  large = header;
  return write_header(header->object(), kind, kLargeObject);
}

void* Heap::allocate_object(std::size_t bytes, ObjectKind kind) { return internals_->allocate_cell(bytes, kind); }
void* Heap::allocate_buffer(std::size_t bytes) { return internals_->allocate_buffer(bytes); }
void Heap::free_buffer(void* buffer, std::size_t bytes) noexcept { internals_->free_buffer(buffer, bytes); }

void* map_buffer(std::size_t bytes) noexcept {
  void* mapping = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) return nullptr;
  (void)madvise(mapping, bytes, MADV_HUGEPAGE);  // a small page costs more to get than to fill
  return mapping;
}

void unmap_buffer(void* buffer, std::size_t bytes) noexcept { munmap(buffer, bytes); }

void* remap_buffer(void* buffer, std::size_t old_bytes, std::size_t new_bytes) noexcept {
  void* mapping = mremap(buffer, old_bytes, new_bytes, MREMAP_MAYMOVE);
  if (mapping == MAP_FAILED) return nullptr;
  if (new_bytes < old_bytes) {  // the rest of the last page stays, and may be grown into
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    std::memset(static_cast<char*>(mapping) + new_bytes, 0, std::min((page - new_bytes % page) % page, old_bytes - new_bytes));
  }
  return mapping;
}

namespace {

// realloc for buffers that are no cells, some of which are mappings.
void* resize_large_buffer(void* buffer, std::size_t old_bytes, std::size_t new_bytes) noexcept {
  const bool was_mapped = old_bytes >= kMappedBufferBytes, is_mapped = new_bytes >= kMappedBufferBytes;
  if (was_mapped && is_mapped) return remap_buffer(buffer, old_bytes, new_bytes);
  if (!was_mapped && !is_mapped) return std::realloc(buffer, new_bytes);
  void* moved = is_mapped ? map_buffer(new_bytes) : std::malloc(new_bytes);
  if (moved == nullptr) return nullptr;
  std::memcpy(moved, buffer, std::min(old_bytes, new_bytes));
  if (was_mapped) unmap_buffer(buffer, old_bytes);
  else std::free(buffer);
  return moved;
}

}  // namespace

void* Heap::resize_buffer(void* buffer, std::size_t old_bytes, std::size_t new_bytes) {
  Internals& h = *internals_;
  if (buffer == nullptr) return h.allocate_buffer(new_bytes);
  if (old_bytes > kMaxCellBytes && new_bytes > kMaxCellBytes) {
    if (new_bytes > old_bytes) h.charge_any(new_bytes - old_bytes);
    void* moved = resize_large_buffer(buffer, old_bytes, new_bytes);
    if (moved == nullptr) {
      if (new_bytes > old_bytes) h.discharge(new_bytes - old_bytes);
      raise(ErrorId::kMemory);
    }
    if (new_bytes < old_bytes) h.discharge(old_bytes - new_bytes);
    return moved;
  }
  if (buffer_bytes(old_bytes) == buffer_bytes(new_bytes)) return buffer;
  void* moved = h.allocate_buffer(new_bytes);
  std::memcpy(moved, buffer, std::min(old_bytes, new_bytes));
  h.free_buffer(buffer, old_bytes);
  return moved;
}

// ---------------------------------------------------------------------------------------------------------------------
// Barriers

void Heap::barrier_forward(Object* owner, Object* value) noexcept {
  if (marking_) {
    internals_->mark(value);
  } else if (internals_->phase == CyclePhase::kSweep) {
    owner->mark = static_cast<std::uint8_t>((owner->mark & ~kMarkColours) | internals_->white);
  }
}

void Heap::barrier_backward(TracedObject* owner, Object* value) noexcept {
  Internals& h = *internals_;
  if (!marking_) {
    barrier_forward(owner, value);
    return;
  }
  if (owner->kind == ObjectKind::kTable) {
    const Table* t = static_cast<const Table*>(owner);
    if (t->array_size + node_count(t) > kSmallTableSlots || h.gray_again_count >= kMostGrayAgain) {
      h.mark(value);
      return;
    }
  }
  h.push_gray(owner, h.gray_again);
  ++h.gray_again_count;
}

void Heap::coroutine_runs(Coroutine* co) noexcept {
  Internals& h = *internals_;
  h.push_gray(co, h.gray_again);
  ++h.gray_again_count;
}

// ---------------------------------------------------------------------------------------------------------------------
// Roots and finalizers

void Heap::add_root_visitor(RootVisitor* visitor) {
  if (!internals_->visitors.push(visitor)) throw std::bad_alloc();
}

void Heap::remove_root_visitor(RootVisitor* visitor) noexcept {
  auto& list = internals_->visitors;
  RootVisitor** end = std::remove(list.items, list.items + list.size, visitor);
  list.size = static_cast<std::size_t>(end - list.items);
}

void Heap::mark_object(Object* object) noexcept { internals_->visit(object); }

void Heap::fix(Object* object) noexcept {
  if ((object->mark & kMarkFixed) != 0) return;
  BATON_CHECK(internals_->fixed.push(object), "no memory for the list of fixed objects");
  object->mark |= kMarkFixed;
  if (marking_) mark_object(object);
}

void Heap::register_finalizer(Object* object) {
  Internals& h = *internals_;
  if (h.closing || (object->mark & kMarkHasFinalizer) != 0) return;
  if (!h.finalizable.push(object)) raise(ErrorId::kMemory);
  object->mark = static_cast<std::uint8_t>((object->mark & ~kMarkFinalized) | kMarkHasFinalizer);
}

Object* Heap::next_finalizable() noexcept {
  Internals& h = *internals_;
  if (h.finalizer_queue.empty()) return nullptr;
  Object* object = h.finalizer_queue.pop();
  object->mark = static_cast<std::uint8_t>((object->mark & ~kMarkHasFinalizer) | kMarkFinalized);
  return object;
}

bool Heap::has_finalizable() const noexcept { return !internals_->finalizer_queue.empty(); }

std::size_t Heap::finalizer_count() const noexcept { return internals_->finalizable.size; }

namespace {

const Value& finalizer_of(const Object* object, const String* name) noexcept {
  static const Value kNone;
  const Table* metatable = nullptr;
  if (object->kind == ObjectKind::kTable) metatable = static_cast<const Table*>(object)->metatable;
  if (object->kind == ObjectKind::kUserdata) metatable = static_cast<const Userdata*>(object)->metatable;
  return metatable != nullptr && name != nullptr ? *table::get_short_string(metatable, name) : kNone;
}

// A table's may be any native that scripts have, also one that calls them.
bool has_script_finalizer(const Object* object, const String* name) noexcept {
  const Value& finalizer = finalizer_of(object, name);
  return !finalizer.is_nil() && (object->kind == ObjectKind::kTable || !finalizer.is_native());
}

bool is_pure_finalizer(const Object* object, const String* name) noexcept {
  const Value& finalizer = finalizer_of(object, name);
  return finalizer.is_nil() ||
         (object->kind == ObjectKind::kUserdata && finalizer.is_native() && name->view() == finalizer.native()->info->name);
}

}  // namespace

bool finalizers::may_run_scripts(Heap& heap) noexcept {
  Heap::Internals& h = heap.internals();
  const auto is_pure = [&h](const Object* object) { return is_pure_finalizer(object, h.finalizer_name); };
  Object* const* list = h.finalizable.items;
  Object* const* queue = h.finalizer_queue.list.items;
  return !std::all_of(list, list + h.finalizable.size, is_pure) ||
         !std::all_of(queue + h.finalizer_queue.head, queue + h.finalizer_queue.list.size, is_pure);
}

void Heap::drop_script_finalizers(std::size_t first) noexcept {
  Internals& h = *internals_;
  PlainList<Object*>& list = h.finalizable;
  std::size_t kept = std::min(first, list.size);
  for (std::size_t i = kept; i < list.size; ++i) {
    Object* object = list.items[i];
    if (has_script_finalizer(object, h.finalizer_name)) object->mark &= static_cast<std::uint8_t>(~kMarkHasFinalizer);
    else list.items[kept++] = object;
  }
  list.size = kept;
  PlainQueue<Object*>& queue = h.finalizer_queue;
  std::size_t queued = queue.head;
  for (std::size_t i = queue.head; i < queue.list.size; ++i) {
    Object* object = queue.list.items[i];
    if (has_script_finalizer(object, h.finalizer_name)) object->mark &= static_cast<std::uint8_t>(~kMarkHasFinalizer);
    else queue.list.items[queued++] = object;
  }
  queue.list.size = queued;
}

void Heap::queue_all_finalizers() noexcept {
  Internals& h = *internals_;
  h.closing = true;
  for (std::size_t i = h.finalizable.size; i-- > 0;) {
    BATON_CHECK(h.finalizer_queue.push(h.finalizable.items[i]), "no memory for the queue of finalizers");
  }
  h.finalizable.release();
}

void Heap::set_fiber_release(void (*release)(void* context, Coroutine* co), void* context) noexcept {
  internals_->release_fiber = release;
  internals_->release_fiber_context = context;
}

Coroutine* Heap::next_abandoned() noexcept {
  return internals_->abandoned.empty() ? nullptr : internals_->abandoned.pop();
}

void Heap::visit_coroutines(void (*visit)(void* context, Coroutine* co), void* context) noexcept {
  for (Coroutine* co = internals_->coroutines; co != nullptr; co = co->all_next) visit(context, co);
}

bool Heap::has_abandoned() const noexcept { return !internals_->abandoned.empty(); }

// ---------------------------------------------------------------------------------------------------------------------
// The cycle

void Heap::Internals::start_cycle() noexcept {
  gray = gray_again = weak_again = weak_values = ephemerons = all_weak = nullptr;
  slice = nullptr;
  gray_again_count = 0;
  rounds = 0;
  coroutines_scanned = false;
  abandoned_candidates.size = 0;
  used_at_start = used();
  phase = CyclePhase::kMark;
  heap.marking_ = true;
  mark_roots();
}

std::size_t Heap::Internals::work(std::size_t budget) noexcept {
  switch (phase) {
    case CyclePhase::kPause:
      start_cycle();
      return kSliceUnits / 4;
    case CyclePhase::kMark:
      if (gray != nullptr || slice != nullptr) return propagate(budget);
      if (!coroutines_scanned) {
        phase = CyclePhase::kScanCoroutines;
        coroutine_cursor = coroutines;
      } else if (again_is_worth_a_round()) {
        begin_round();
      } else {
        atomic();
        begin_sweep();
      }
      return kSliceUnits / 4;
    case CyclePhase::kScanCoroutines:
      return scan_coroutines(budget);
    case CyclePhase::kSweep: {
      const std::size_t done = sweep(budget);
      if (done == 0) end_cycle();
      return done + 1;
    }
  }
  BATON_UNREACHABLE();
}

void Heap::Internals::end_cycle() noexcept {
  phase = CyclePhase::kPause;
  cycle_ended = true;
  ++cycles;
  shrink_intern_table();
}

void Heap::Internals::finish_cycle() noexcept {
  cycle_ended = false;
  do {
    mode_metatable = nullptr;
    work(SIZE_MAX / 2);
  } while (!cycle_ended);
}

std::size_t Heap::Internals::run_step(std::size_t units, std::uint64_t limit_ns) noexcept {
  const std::uint64_t start = now_ns();
  mode_metatable = nullptr;
  cycle_ended = false;
  std::size_t done = 0;
  std::uint64_t elapsed = 0;
  while (done < units && elapsed < limit_ns && !cycle_ended) {
    done += work(std::min(kSliceUnits, units - done));
    elapsed = now_ns() - start;
  }
  if (strings.old != nullptr) move_chains(64);
  ++steps;
  longest_step_ns = std::max(longest_step_ns, elapsed);
  used_at_step = used();
  if (cycle_ended) {
    const std::size_t target = estimate / 100 * static_cast<std::size_t>(pause);
    set_trigger(std::max(target, std::max(kMinTrigger, used_at_step)));
  } else {
    set_trigger(used_at_step + (std::size_t{1} << step_size));
  }
  return done;
}

void Heap::step() noexcept {
  Internals& h = *internals_;
  if (!h.running) return;
  const std::size_t now = h.used();
  if (now < h.trigger) {
    h.grant();
    return;
  }
  const std::size_t basic = std::size_t{1} << h.step_size;
  const std::size_t debt = basic + (now > h.used_at_step && h.phase != CyclePhase::kPause ? now - h.used_at_step : 0);
  const bool is_late = h.phase != CyclePhase::kPause && now / 5 * 4 > h.used_at_start;
  std::size_t units = debt / kUnitBytes * static_cast<std::size_t>(h.step_multiplier | 1);
  if (h.phase == CyclePhase::kSweep) units /= kSweepShare;
  h.run_step(units, is_late ? kLateStepLimitNs : kStepLimitNs);
}

std::uint64_t Heap::cycle_to_come() const noexcept {
  return internals_->cycles + (internals_->phase == CyclePhase::kPause ? 1 : 2);
}

bool Heap::collect_until(std::uint64_t cycle) noexcept {
  Internals& h = *internals_;
  if (h.cycles < cycle) h.run_step(SIZE_MAX / 2, kStepLimitNs);
  else if (h.strings.old != nullptr) h.move_chains(4096);
  return h.cycles >= cycle && h.strings.old == nullptr;
}

void Heap::collect() noexcept {
  Internals& h = *internals_;
  if (h.phase != CyclePhase::kPause) h.finish_cycle();
  h.finish_cycle();
  while (h.strings.old != nullptr) h.move_chains(4096);
  h.used_at_step = h.used();
  h.set_trigger(std::max(h.estimate / 100 * static_cast<std::size_t>(h.pause), kMinTrigger));
}

void Heap::collect_emergency() noexcept {
  internals_->in_emergency = true;
  collect();
  internals_->in_emergency = false;
}

std::size_t Heap::Internals::reserve_start() const noexcept {
  return limit == SIZE_MAX ? SIZE_MAX : limit - std::min(limit / 16, kCapReserve);
}

bool Heap::is_near_cap() const noexcept { return internals_->used() >= internals_->cap_trigger; }

bool Heap::collect_near_cap() noexcept {
  Internals& h = *internals_;
  collect_emergency();
  const std::size_t live = h.used();
  const std::size_t room = live < h.limit ? h.limit - live : 0;
  const std::size_t start = h.reserve_start();
  h.cap_trigger = std::max(start, live + room / 2);
  const bool has_grown = live > h.cap_ceiling;
  if (has_grown) h.cap_ceiling = live + room / 4;
  else if (live <= start) h.cap_ceiling = start;
  h.grant();
  return has_grown;
}

std::size_t Heap::explicit_work(std::size_t kilobytes) noexcept {
  Internals& h = *internals_;
  const std::size_t basic = std::size_t{1} << h.step_size;
  std::size_t debt = basic;
  if (kilobytes > 0) {
    const std::size_t claimed = std::min(kilobytes, std::size_t{1} << 40) * 1024;
    h.set_trigger(h.trigger - std::min(h.trigger, claimed));
    if (h.used() < h.trigger) return 0;
    debt = std::max(claimed, basic);
  }
  return debt / kUnitBytes * static_cast<std::size_t>(h.step_multiplier | 1);
}

std::size_t Heap::work_explicitly(std::size_t units) noexcept {
  const std::size_t done = internals_->run_step(units, kStepLimitNs);
  return internals_->cycle_ended || done >= units ? 0 : units - done;
}

bool Heap::step_explicit(std::size_t kilobytes) noexcept {
  const std::size_t units = explicit_work(kilobytes);
  if (units > 0) internals_->run_step(units, UINT64_MAX);
  return units > 0 && internals_->cycle_ended;
}

// ---------------------------------------------------------------------------------------------------------------------
// Settings

bool Heap::is_running() const noexcept { return internals_->running; }

void Heap::set_running(bool running) noexcept {
  Internals& h = *internals_;
  if (running && !h.running) h.trigger = h.used();  // manual: restart begins at once
  h.running = running;
  h.grant();
}

CollectorMode Heap::mode() const noexcept { return internals_->mode; }
CollectorMode Heap::set_mode(CollectorMode mode) noexcept { return std::exchange(internals_->mode, mode); }

int Heap::set_pause(int percent) noexcept {
  const int old = internals_->pause;
  if (percent >= 0) internals_->pause = std::min(percent / 4 * 4, 1000);
  return old;
}

int Heap::set_step_multiplier(int percent) noexcept {
  const int old = internals_->step_multiplier;
  if (percent >= 0) internals_->step_multiplier = std::min(percent / 4 * 4, 1000);
  return old;
}

int Heap::set_step_size(int log2_bytes) noexcept {
  const int old = internals_->step_size;
  if (log2_bytes > 0) internals_->step_size = std::min(log2_bytes, 40);
  return old;
}

int Heap::set_minor_multiplier(int percent) noexcept {
  const int old = internals_->minor_multiplier;
  if (percent > 0) internals_->minor_multiplier = percent;
  return old;
}

int Heap::set_major_multiplier(int percent) noexcept {
  const int old = internals_->major_multiplier;
  if (percent > 0) internals_->major_multiplier = percent;
  return old;
}

HeapStatistics Heap::statistics() const noexcept {
  const Internals& h = *internals_;
  return {h.used(), h.limit, h.cycles, h.steps, h.longest_step_ns};
}

std::uint32_t Heap::seed() const noexcept { return internals_->seed; }

// ---------------------------------------------------------------------------------------------------------------------
// Life

Heap::Internals::Internals(Heap& owner, std::uint64_t seed_bits)
    : heap(owner), seed(static_cast<std::uint32_t>(seed_bits ^ (seed_bits >> 32))) {
  set_trigger(kMinTrigger);
  place_stacks();
  create_intern_table();
}

Heap::Internals::~Internals() { free_everything(); }

Heap::Heap(std::uint64_t seed) : internals_(nullptr) {
  internals_ = new Internals(*this, seed);
  try {
    internals_->mode_name = string::make(*this, "__mode");
    fix(internals_->mode_name);
    internals_->finalizer_name = string::make(*this, "__gc");
    fix(internals_->finalizer_name);
  } catch (const ScriptError&) {
    delete internals_;
    throw std::bad_alloc();
  }
}

Heap::~Heap() { delete internals_; }

}  // namespace baton
