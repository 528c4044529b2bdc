// What the files of the heap share (heap.cpp, mark.cpp, sweep.cpp, string.cpp, ...). Nobody outside
// runtime/value includes this.
//
// Invariants
//  - bytes_used() == accounted - remaining at any time; `remaining` runs down as bytes are charged, and
//    when it would become negative the slow path looks at cap and trigger. So an allocation pays for
//    accounting, cap and pace with one subtraction and one test.
//  - A traced object is on at most one list through gray_next, and only while its colour is gray:
//    `gray`, `gray_again`, `weak_again`, or one of the atomic phase's three lists of weak tables.
//  - Containers used while marking never throw; where they may fail there is a slower way.
// Owner: Heap. Threading: under the GIL.
#pragma once

#include <cstdlib>

#include "value/allocator.h"
#include "value/closure.h"
#include "value/coroutine.h"
#include "value/heap.h"
#include "value/prototype.h"
#include "value/root.h"
#include "value/table.h"
#include "value/table_learning.h"
#include "value/userdata.h"

namespace baton {

// A table with more slots is traversed in slices.
inline constexpr std::size_t kLargeTableSlots = 4096;

// No single allocation is larger.
inline constexpr std::size_t kMaxCharge = std::size_t{1} << 60;

// A growing array of plain items outside the heap. push returns false when the system has no memory.
template <class T>
struct PlainList {
  T* items = nullptr;
  std::size_t size = 0;
  std::size_t capacity = 0;

  PlainList() = default;
  PlainList(const PlainList&) = delete;
  PlainList& operator=(const PlainList&) = delete;
  ~PlainList() { std::free(items); }

  [[nodiscard]] bool push(const T& item) noexcept {
    if (size == capacity) {
      const std::size_t grown = capacity == 0 ? 16 : capacity * 2;
      void* moved = std::realloc(static_cast<void*>(items), grown * sizeof(T));
      if (moved == nullptr) return false;
      items = static_cast<T*>(moved);
      capacity = grown;
    }
    items[size++] = item;
    return true;
  }
  void release() noexcept {
    std::free(items);
    items = nullptr;
    size = capacity = 0;
  }
};

// First in, first out.
template <class T>
struct PlainQueue {
  PlainList<T> list;
  std::size_t head = 0;

  bool empty() const noexcept { return head == list.size; }
  [[nodiscard]] bool push(const T& item) noexcept { return list.push(item); }
  T pop() noexcept {
    T item = list.items[head++];
    if (head == list.size) {
      head = 0;
      list.release();
    }
    return item;
  }
};

// Short strings by content. `old` is being emptied into `buckets`, a few chains at each insertion and
// each collector step, so growth never pauses. `string.cpp` has the rules.
struct InternTable {
  std::uint64_t* buckets = nullptr;  // chains, see string.cpp
  std::uint64_t* old = nullptr;
  std::uint32_t mask = 0;
  std::uint32_t old_mask = 0;
  std::uint32_t moved = 0;  // chains of `old` below it were moved
  std::uint32_t count = 0;
};

// Values of ephemeron entries by the key that they wait for (atomic phase only).
struct PendingEntry {
  Object* key;
  Object* value;
  std::uint32_t next;  // index + 1
};
struct PendingTable {
  PlainList<PendingEntry> entries;
  PlainList<Object*> resolved;      // awaited keys that were marked since
  std::uint32_t* heads = nullptr;   // index + 1 of the first entry; 0: none
  std::uint32_t mask = 0;
  bool failed = false;              // out of memory: repeat passes instead

  ~PendingTable() { std::free(heads); }
};

// A value in a weak table that was white when the table was traversed (atomic phase only).
struct WhiteValue {
  Value* place;
  Node* node;  // null: in the array part
};

enum class CyclePhase : std::uint8_t {
  kPause,           // everything is white
  kMark,
  kScanCoroutines,  // looks for dead coroutines that need unwinding
  kSweep,
};

// A header before objects that have a block of their own (allocate_block).
struct LargeHeader {
  LargeHeader* next;
  std::size_t bytes;  // of the block, with this header

  Object* object() noexcept { return reinterpret_cast<Object*>(this + 1); }
};

// Value stacks and frames of coroutines that have returned, last in first out, and what those coroutines have instead.
// Leftovers in the spare ones are cleared in the atomic phase, like those behind `top` of every stack.
struct SpareStacks {
  static constexpr std::size_t kCapacity = 16;
  static constexpr std::size_t kDeadSlots = 8;
  struct Spare {
    Value* stack;
    CallFrame* frames;
  };
  Spare items[kCapacity];
  std::size_t count = 0;
  Value dead_stack[kDeadSlots + kStackMargin];
  CallFrame dead_frame[2] = {};
};

struct Heap::Internals {
  Internals(Heap& owner, std::uint64_t seed);
  ~Internals();

  // --- accounting and pace (heap.cpp) ---------------------------------------------------------
  std::size_t used() const noexcept { return accounted - static_cast<std::size_t>(remaining); }
  void charge(std::size_t bytes) {
    remaining -= static_cast<std::ptrdiff_t>(bytes);
    if (BATON_UNLIKELY(remaining < 0)) charge_slowly(bytes);
  }
  // For amounts that come from outside and may be absurd.
  void charge_any(std::size_t bytes) {
    if (BATON_UNLIKELY(bytes > kMaxCharge)) raise(ErrorId::kMemory);
    charge(bytes);
  }
  void discharge(std::size_t bytes) noexcept { remaining += static_cast<std::ptrdiff_t>(bytes); }
  void charge_slowly(std::size_t bytes);
  // Where the reserve below the cap begins.
  std::size_t reserve_start() const noexcept;
  // Computes `remaining` anew after trigger, limit or `running` changed.
  void grant() noexcept;

  // --- objects and buffers (heap.cpp) -----------------------------------------------------------
  void* allocate_cell(std::size_t bytes, ObjectKind kind);
  void* allocate_cell_slowly(std::uint32_t index);
  void* allocate_large(std::size_t bytes, ObjectKind kind);
  // Makes an object of a block that begins with room for a LargeHeader.
  Object* adopt_block(void* block, std::size_t bytes, ObjectKind kind) noexcept;
  Object* write_header(void* cell, ObjectKind kind, std::uint32_t size_class) noexcept {
    Object* object = static_cast<Object*>(cell);
    object->kind = kind;
    object->mark = white;
    object->flags = 0;
    object->size_class = static_cast<std::uint8_t>(size_class);
    return object;
  }
  void* allocate_buffer(std::size_t bytes);
  void free_buffer(void* buffer, std::size_t bytes) noexcept;
  // What is larger than a cell: from malloc, or a mapping of its own.
  void* allocate_block(std::size_t bytes);
  void free_block(void* block, std::size_t bytes) noexcept;
  bool is_dead(const Object* object) const noexcept { return (object->mark & other_white()) != 0; }
  std::uint8_t other_white() const noexcept { return white ^ (kMarkWhite0 | kMarkWhite1); }

  // --- the cycle (heap.cpp) ----------------------------------------------------------------------
  void start_cycle() noexcept;
  // Does about `budget` units of work in the present phase. Returns: units done; sets `cycle_ended`.
  std::size_t work(std::size_t budget) noexcept;
  void finish_cycle() noexcept;
  void end_cycle() noexcept;
  // Returns: units done.
  std::size_t run_step(std::size_t units, std::uint64_t limit_ns) noexcept;
  void set_trigger(std::size_t bytes) noexcept;
  void announce(std::uint32_t reasons) noexcept {
    if (interrupt != nullptr) interrupt->set(reasons);
  }

  // --- marking (mark.cpp) --------------------------------------------------------------------------
  void mark(Object* object) noexcept;  // `object` is white
  void visit(Object* object) noexcept {
    if (object->is_white()) mark(object);
  }
  void visit(const Value& v) noexcept {
    if (v.is_heap()) visit(v.object);
  }
  void visit_optional(Object* object) noexcept {
    if (object != nullptr) visit(object);
  }
  // Like visit, but some visits later: the object is on its way into the cache meanwhile. `flush`
  // makes up for all that was put off.
  void visit_later(Object* object) noexcept {
    __builtin_prefetch(object, 1);
    Object*& place = ring[ring_position++ % kRingSize];
    Object* due = place;
    place = object;
    if (due != nullptr && due->is_white()) mark(due);
  }
  void visit_later(const Value& v) noexcept {
    if (v.is_heap()) visit_later(v.object);
  }
  void flush_ring() noexcept;
  void push_gray(TracedObject* object, TracedObject*& list) noexcept {
    object->mark &= static_cast<std::uint8_t>(~kMarkColours);
    object->gray_next = list;
    list = object;
  }
  void blacken(Object* object) noexcept {
    object->mark = static_cast<std::uint8_t>((object->mark & ~kMarkColours) | kMarkBlack);
  }
  void mark_roots() noexcept;
  std::size_t propagate(std::size_t budget) noexcept;
  void propagate_all() noexcept;
  std::size_t traverse(TracedObject* object) noexcept;
  std::size_t traverse_table(Table* t) noexcept;
  std::size_t traverse_weak(Table* t) noexcept;
  std::size_t traverse_coroutine(Coroutine* co) noexcept;
  std::size_t traverse_prototype(Prototype* p) noexcept;
  void visit_keys(const TableTemplate& t) noexcept;  // of a template that holds them
  std::size_t traverse_slots(Table* t, std::size_t from, std::size_t to) noexcept;
  std::size_t continue_slice(std::size_t budget) noexcept;
  std::uint32_t weak_mode(Table* metatable) noexcept;
  // `t` got new parts: a slice under way begins anew.
  void table_rebuilt(const Table* t) noexcept {
    if (BATON_UNLIKELY(slice == t)) slice_position = 0;
  }
  // The first round finds what running coroutines have come to hold since they were scanned.
  bool again_is_worth_a_round() const noexcept { return rounds == 0 || (gray_again_count > 64 && rounds < 3); }
  void begin_round() noexcept;
  std::size_t scan_coroutines(std::size_t budget) noexcept;

  // --- the atomic phase (atomic.cpp) -----------------------------------------------------------------
  void atomic() noexcept;
  std::size_t traverse_ephemeron_atomically(Table* t) noexcept;
  void await(Object* key, Object* value) noexcept;
  void converge_ephemerons() noexcept;
  bool repeat_ephemeron_pass() noexcept;
  // Whether `v` is an object not reached so far. Strings are values to weak tables: one is marked here.
  bool is_white_after_strings(const Value& v) noexcept;
  // Remembers what may have to be removed from a weak table: a value that is white so far (`node`: where it is not in an array
  // part), or a key.
  void note_white_value(Value* place, Node* node) noexcept {
    if (!white_values.push({place, node})) notes_failed = true;
  }
  void note_white_key(Node* node) noexcept {
    if (!white_keys.push(node)) notes_failed = true;
  }
  void clear_value(Value* place, Node* node) noexcept;
  void clear_key(Node* node) noexcept;
  void clear_all_values(TracedObject* list) noexcept;
  void clear_all_keys(TracedObject* list) noexcept;
  void clear_noted_values() noexcept;
  void clear_noted_keys() noexcept;
  bool separate_finalizers() noexcept;
  bool separate_abandoned() noexcept;

  // --- sweeping (sweep.cpp) ----------------------------------------------------------------------------
  void begin_sweep() noexcept;
  // What was freed since `used_before` lowers estimate and trigger.
  void note_swept(std::size_t used_before) noexcept;
  void sweep_page(Page* page) noexcept;
  // Sweeps the next page of the class. Returns: false if none is left.
  bool sweep_next_page(std::uint32_t index) noexcept;
  std::size_t sweep(std::size_t budget) noexcept;  // 0: all is swept
  void sweep_large() noexcept;
  void free_contents(Object* object) noexcept;
  // What free_contents of a dead object will touch is on its way into the cache.
  void prefetch_contents(const Object* object, std::uint8_t dead) const noexcept;
  void free_coroutine(Coroutine* co) noexcept;
  void free_prototype(Prototype* p) noexcept;
  void free_everything() noexcept;
  void place_stacks() noexcept;
  void free_spare_stacks() noexcept;
  void clear_spare_stacks() noexcept;
  // Whether the stack of `co` is the one that all coroutines share that gave theirs back.
  bool is_retired(const Coroutine* co) const noexcept { return co->stack == spare_stacks.dead_stack; }

  // --- strings (string.cpp) ----------------------------------------------------------------------------
  void create_intern_table();
  void unlink_short_string(String* s) noexcept;
  void move_chains(std::uint32_t count) noexcept;
  void resize_intern_table(std::uint32_t buckets) noexcept;
  void shrink_intern_table() noexcept;

  Heap& heap;
  std::ptrdiff_t remaining = 0;
  std::size_t accounted = 0;
  std::uint8_t white = kMarkWhite0;  // the current one
  CyclePhase phase = CyclePhase::kPause;
  bool in_atomic = false;
  bool running = true;
  bool in_emergency = false;
  bool closing = false;
  bool cycle_ended = false;
  bool coroutines_scanned = false;
  std::uint8_t rounds = 0;
  std::uint32_t seed;
  PagePool pool;
  Allocator objects{pool};
  Allocator buffers{pool};
  LargeHeader* large = nullptr;
  LargeHeader* large_unswept = nullptr;
  std::uint32_t sweep_class = 0;
  InternTable strings;

  std::size_t trigger = 0;       // bytes_used at which the next step is due
  std::size_t limit = SIZE_MAX;
  std::size_t cap_trigger = SIZE_MAX;  // bytes_used from which on a safepoint collects in emergency mode
  std::size_t cap_ceiling = SIZE_MAX;  // live bytes above which the program is told that memory ends
  std::size_t used_at_step = 0;  // bytes_used after the last step
  std::size_t used_at_start = 0; // ... at the start of the cycle
  std::size_t estimate = 0;      // bytes of what survives the cycle: at the atomic phase, less what was swept since
  InterruptWord* interrupt = nullptr;
  int pause = 200;
  int step_multiplier = 100;
  int step_size = 13;
  int minor_multiplier = 20;
  int major_multiplier = 100;
  CollectorMode mode = CollectorMode::kIncremental;
  std::uint64_t cycles = 0;
  std::uint64_t steps = 0;
  std::uint64_t longest_step_ns = 0;

  TracedObject* gray = nullptr;
  TracedObject* gray_again = nullptr;  // turned gray by a barrier, or running: the atomic phase at the latest
  std::size_t gray_again_count = 0;
  TracedObject* weak_again = nullptr;  // weak tables seen so far
  TracedObject* weak_values = nullptr;
  TracedObject* ephemerons = nullptr;
  TracedObject* all_weak = nullptr;
  TracedObject* slice = nullptr;       // a large table or prototype that is being traversed
  std::size_t slice_position = 0;
  const Table* mode_metatable = nullptr;  // memo of weak_mode, within one slice of work
  std::uint32_t mode_memo = 0;
  TableSites table_sites;
  PendingTable pending;
  PlainList<WhiteValue> white_values;
  PlainList<Node*> white_keys;
  bool notes_failed = false;           // out of memory: the weak tables are passed over instead
  static constexpr std::uint32_t kRingSize = 16;
  Object* ring[kRingSize] = {};        // visits put off, oldest at ring_position
  std::uint32_t ring_position = 0;

  RootBase* roots = nullptr;
  PlainList<RootVisitor*> visitors;
  PlainList<Object*> fixed;
  PlainList<Object*> finalizable;      // objects with a finalizer, in order of registration
  PlainQueue<Object*> finalizer_queue;
  PlainList<Coroutine*> abandoned_candidates;
  PlainQueue<Coroutine*> abandoned;
  Coroutine* coroutines = nullptr;
  Coroutine* coroutine_cursor = nullptr;
  SpareStacks spare_stacks;
  void (*release_fiber)(void* context, Coroutine* co) = nullptr;
  void* release_fiber_context = nullptr;
  String* mode_name = nullptr;
  String* finalizer_name = nullptr;
};

inline void* Heap::Internals::allocate_cell(std::size_t bytes, ObjectKind kind) {
  if (BATON_UNLIKELY(bytes > kMaxCellBytes)) return allocate_large(bytes, kind);
  const std::uint32_t index = size_class_of(bytes);
  charge(kSizeClasses.bytes[index]);
  void* cell = objects.pop(index);
  if (BATON_UNLIKELY(cell == nullptr)) cell = allocate_cell_slowly(index);
  return write_header(cell, kind, index);
}

// Bytes that a buffer is charged with.
inline std::size_t buffer_bytes(std::size_t bytes) noexcept {
  if (bytes > kMaxCellBytes) return bytes;
  return kSizeClasses.bytes[size_class_of((bytes + 15) & ~std::size_t{15})];
}

// Blocks of this size and more are mappings of their own, with large pages where the system has them: what was never written
// in them is zero, growing copies nothing, and they are filled and unmapped several times faster.
inline constexpr std::size_t kMappedBufferBytes = std::size_t{4} << 20;

// Maps, unmaps, and gives a mapping another size, perhaps elsewhere; what it grows by is zero. Returns: null if the system
// refuses. Raises: nothing.
void* map_buffer(std::size_t bytes) noexcept;
void unmap_buffer(void* buffer, std::size_t bytes) noexcept;
void* remap_buffer(void* buffer, std::size_t old_bytes, std::size_t new_bytes) noexcept;

inline void* Heap::Internals::allocate_block(std::size_t bytes) {
  charge_any(bytes);
  void* block = bytes < kMappedBufferBytes ? std::malloc(bytes) : map_buffer(bytes);
  if (BATON_LIKELY(block != nullptr)) return block;
  discharge(bytes);
  raise(ErrorId::kMemory);
}

inline void Heap::Internals::free_block(void* block, std::size_t bytes) noexcept {
  discharge(bytes);
  if (bytes < kMappedBufferBytes) std::free(block);
  else unmap_buffer(block, bytes);
}

inline void* Heap::Internals::allocate_buffer(std::size_t bytes) {
  if (BATON_LIKELY(bytes <= kMaxCellBytes)) {
    const std::uint32_t index = size_class_of((bytes + 15) & ~std::size_t{15});
    charge(kSizeClasses.bytes[index]);
    void* cell = buffers.pop(index);
    if (BATON_LIKELY(cell != nullptr)) return cell;
    if (buffers.refill(index) || buffers.refill_from_new_page(index)) return buffers.pop(index);
    discharge(kSizeClasses.bytes[index]);
    raise(ErrorId::kMemory);
  }
  return allocate_block(bytes);
}

inline void Heap::Internals::free_buffer(void* buffer, std::size_t bytes) noexcept {
  if (buffer == nullptr) return;
  if (BATON_LIKELY(bytes <= kMaxCellBytes)) {
    const std::uint32_t index = size_class_of((bytes + 15) & ~std::size_t{15});
    discharge(kSizeClasses.bytes[index]);
    buffers.push(buffer, index);
    return;
  }
  free_block(buffer, bytes);
}

// Sizes of the parts of a coroutine.
inline std::size_t stack_bytes(const Coroutine* co) noexcept {
  return static_cast<std::size_t>(coroutine::stack_end(co) - co->stack) * sizeof(Value);
}
inline std::size_t frames_bytes(const Coroutine* co) noexcept {
  return static_cast<std::size_t>(co->frames_limit - co->frames) * sizeof(CallFrame);
}

// Nodes of the hash part; 0 for the shared empty one.
inline std::size_t node_count(const Table* t) noexcept {
  return t->nodes == &table::kEmptyNode ? 0 : static_cast<std::size_t>(t->count) + 1;
}

// Whether a part of the table lies in the table's own cell: cells of objects and buffers never share a page.
inline bool is_in_cell(const Table* t, const void* part) noexcept {
  return (reinterpret_cast<std::uintptr_t>(t) ^ reinterpret_cast<std::uintptr_t>(part)) < kPageBytes;
}

// Weak tables wait for the headers of what they refer to: those of an entry some places ahead are fetched meanwhile.
inline constexpr std::ptrdiff_t kEntriesAhead = 8;
inline void prefetch_entry(const Node* node, const Node* end) noexcept {
  if (node >= end) return;
  __builtin_prefetch(reinterpret_cast<const void*>(node->key_bits), 1);
  __builtin_prefetch(reinterpret_cast<const void*>(node->value_bits), 1);
}

// A node whose value is nil: its key may die.
inline void bury_key(Node* node) noexcept {
  if ((static_cast<std::uint8_t>(node->key_tag) & kTagHeapBit) != 0) node->key_tag = Tag::kDeadKey;
}

}  // namespace baton
