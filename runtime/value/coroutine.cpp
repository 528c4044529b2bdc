// Stacks of coroutines: made small, doubled on demand, halved by the collector.
//
// A stack always has a few slots behind `stack_limit`; all slots outside [stack, top) are nil
// when it is made and after each scan, so what a frame leaves unwritten is harmless (mark.cpp).
// Moving a stack corrects what points into it: frames, open upvalues, `top`.
#include "value/coroutine.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "value/heap_internals.h"

namespace baton::coroutine {

namespace {

constexpr std::uint32_t kFirstSlots = 28;  // a small body, and the window of a native that it calls
constexpr std::uint32_t kFirstFrames = 4;

std::size_t bytes_for(std::uint32_t slots) noexcept { return (std::size_t{slots} + reserve_of(slots)) * sizeof(Value); }

std::uint32_t slots_of(const Coroutine* co) noexcept { return static_cast<std::uint32_t>(co->stack_limit - co->stack); }

// Copies the stack to one of `slots` slots and corrects all pointers. Raises: kMemory.
void move_stack(Heap& heap, Coroutine* co, std::uint32_t slots) {
  Value* const old = co->stack;
  const std::size_t old_bytes = stack_bytes(co);
  auto* fresh = static_cast<Value*>(heap.allocate_buffer(bytes_for(slots)));
  const std::size_t all = bytes_for(slots) / sizeof(Value);
  const std::size_t kept = std::min<std::size_t>(all, old_bytes / sizeof(Value));
  for (std::size_t i = 0; i < kept; ++i) new (&fresh[i]) Value(old[i]);
  for (std::size_t i = kept; i < all; ++i) new (&fresh[i]) Value();
  for (CallFrame* frame = co->frames; frame <= co->frame; ++frame) {
    frame->base = fresh + (frame->base - old);
    frame->top = fresh + (frame->top - old);
  }
  for (Upvalue* u = co->open_upvalues; u != nullptr; u = u->next_open) u->location = fresh + (u->location - old);
  co->top = fresh + (co->top - old);
  co->stack = fresh;
  co->stack_limit = fresh + slots;
  if (BATON_STRESS) std::memset(static_cast<void*>(old), 0xEE, old_bytes);  // whoever still reads it shall notice
  heap.free_buffer(old, old_bytes);
}

void initialise(Heap::Internals& h, Coroutine* co) noexcept {
  co->count = 0;
  co->host_extra = nullptr;
  co->thread = nullptr;
  co->frame = co->frames = co->frames_limit = nullptr;
  co->stack = co->stack_limit = co->top = nullptr;
  co->open_upvalues = nullptr;
  co->resumer = nullptr;
  co->fiber = nullptr;
  co->machine_stack_limit = nullptr;
  co->to_be_closed = nullptr;
  co->to_be_closed_count = co->to_be_closed_capacity = 0;
  co->status = CoroutineStatus::kSuspended;
  co->is_root = false;
  co->ran_since_mark = false;
  co->hook_mask = 0;
  co->in_place = false;
  co->hooks_allowed = true;
  co->unwinding = co->closing = false;
  co->nesting = co->nesting_base = co->transfer_count = co->closings = 0;
  co->hook_count = co->hook_countdown = 0;
  co->hooked_first = co->hooked_count = 0;
  new (&co->hook) Value();
  new (&co->error) Value();
  co->all_next = h.coroutines;
  co->all_previous = &h.coroutines;
  if (h.coroutines != nullptr) h.coroutines->all_previous = &co->all_next;
  h.coroutines = co;
}

Value* new_stack(Heap::Internals& h) {
  auto* stack = static_cast<Value*>(h.allocate_buffer(bytes_for(kFirstSlots)));
  for (std::uint32_t i = 0; i < kFirstSlots + kStackMargin; ++i) new (&stack[i]) Value();
  return stack;
}

// The frames that belong to a new `stack`, which is freed if there is no memory for them.
CallFrame* new_frames(Heap::Internals& h, Value* stack) {
  try {
    return static_cast<CallFrame*>(h.allocate_buffer(kFirstFrames * sizeof(CallFrame)));
  } catch (const ScriptError&) {
    h.free_buffer(stack, bytes_for(kFirstSlots));
    throw;
  }
}

}  // namespace

void retire(Heap& heap, Coroutine* co) noexcept {
  SpareStacks& spare = heap.internals().spare_stacks;
  const bool usual = slots_of(co) == kFirstSlots && co->frames_limit - co->frames == static_cast<std::ptrdiff_t>(kFirstFrames);
  if (!usual || spare.count == SpareStacks::kCapacity || co->frame != co->frames || co->open_upvalues != nullptr ||
      co->to_be_closed_count != 0 || BATON_STRESS) {
    return;
  }
  spare.items[spare.count++] = {co->stack, co->frames};
  co->stack = spare.dead_stack;
  co->stack_limit = spare.dead_stack + SpareStacks::kDeadSlots;
  co->top = spare.dead_stack + 1;
  co->frame = co->frames = spare.dead_frame;
  *co->frame = CallFrame{co->top, nullptr, co->top, 0, 1, 0, kFrameNative, 0, 0, nullptr};
  co->frames_limit = spare.dead_frame + 2;
}

Coroutine* make(Heap& heap) {
  Heap::Internals& h = heap.internals();
  auto* co = static_cast<Coroutine*>(h.allocate_cell(sizeof(Coroutine), ObjectKind::kCoroutine));
  initialise(h, co);
  // The coroutine is on the heap's list from now on: it is complete enough to be swept if an allocation fails.
  Value* stack;
  CallFrame* frames;
  SpareStacks& spare = h.spare_stacks;
  if (BATON_LIKELY(spare.count > 0)) {
    --spare.count;
    stack = spare.items[spare.count].stack;
    frames = spare.items[spare.count].frames;
  } else {
    stack = new_stack(h);
    frames = new_frames(h, stack);
  }
  co->stack = stack;
  co->stack_limit = stack + kFirstSlots;
  co->top = stack + 1;  // slot 0 stands for the function of the sentinel frame
  co->frames = frames;
  co->frames_limit = frames + kFirstFrames;
  co->frame = frames;
  *frames = CallFrame{stack + 1, nullptr, stack + 1 + kMinNativeSlots, 0, 1, 0, kFrameNative, 0, 0, nullptr};
  return co;
}

void check_stack(Heap& heap, Coroutine* co, std::uint32_t slots) {
  if (BATON_LIKELY(!BATON_STRESS && co->stack_limit - co->top >= static_cast<std::ptrdiff_t>(slots))) return;
  grow_stack(heap, co, slots);
}

void grow_stack(Heap& heap, Coroutine* co, std::uint32_t slots) {
  const auto in_use = static_cast<std::uint64_t>(co->top - co->stack);
  const std::uint64_t needed = in_use + slots;
  if (BATON_STRESS && needed <= slots_of(co)) return move_stack(heap, co, slots_of(co));
  if (needed > kMaxStackSlots) raise(ErrorId::kStackOverflow);
  const std::uint64_t doubled = std::min<std::uint64_t>(std::uint64_t{slots_of(co)} * 2, kMaxStackSlots);
  move_stack(heap, co, static_cast<std::uint32_t>(std::max(doubled, needed)));
}

void grow_frames(Heap& heap, Coroutine* co) {
  const auto capacity = static_cast<std::size_t>(co->frames_limit - co->frames);
  if (capacity >= kMaxStackSlots) raise(ErrorId::kStackOverflow);
  const std::ptrdiff_t current = co->frame - co->frames;
  void* moved = heap.resize_buffer(co->frames, capacity * sizeof(CallFrame), capacity * 2 * sizeof(CallFrame));
  co->frames = static_cast<CallFrame*>(moved);
  co->frames_limit = co->frames + capacity * 2;
  co->frame = co->frames + current;
}

void shrink_stack(Heap& heap, Coroutine* co) noexcept {
  const Value* highest = co->top;
  for (const CallFrame* frame = co->frames; frame <= co->frame; ++frame) highest = std::max<const Value*>(highest, frame->top);
  const auto in_use = static_cast<std::uint32_t>(highest - co->stack);
  const std::uint32_t slots = slots_of(co);
  try {
    if (slots > kFirstSlots && in_use <= slots / 4) move_stack(heap, co, std::max(in_use * 2, kFirstSlots));
    const auto capacity = static_cast<std::size_t>(co->frames_limit - co->frames);
    const auto depth = static_cast<std::size_t>(co->frame - co->frames) + 1;
    if (capacity <= kFirstFrames || depth > capacity / 4) return;
    const std::size_t smaller = std::max<std::size_t>(depth * 2, kFirstFrames);
    void* moved = heap.resize_buffer(co->frames, capacity * sizeof(CallFrame), smaller * sizeof(CallFrame));
    co->frames = static_cast<CallFrame*>(moved);
    co->frames_limit = co->frames + smaller;
    co->frame = co->frames + depth - 1;
  } catch (const ScriptError&) {
    // At the cap a smaller copy has no room either: it stays as it is.
  }
}

void push_to_be_closed(Heap& heap, Coroutine* co, Value* slot) {
  if (co->to_be_closed_count == co->to_be_closed_capacity) {
    const std::uint32_t capacity = co->to_be_closed_capacity == 0 ? 8 : co->to_be_closed_capacity * 2;
    void* moved = heap.resize_buffer(co->to_be_closed, co->to_be_closed_capacity * sizeof(std::uint32_t),
                                     capacity * sizeof(std::uint32_t));
    co->to_be_closed = static_cast<std::uint32_t*>(moved);
    co->to_be_closed_capacity = capacity;
  }
  co->to_be_closed[co->to_be_closed_count++] = static_cast<std::uint32_t>(slot - co->stack);
}

}  // namespace baton::coroutine

namespace baton {

// Registers and frames of small programs lie where hardly anything else does: not at the beginning of a system page ("Places"
// in allocator.cpp).
void Heap::Internals::place_stacks() noexcept {
  constexpr std::uint16_t kFramesPlace = 0x600, kRegistersPlace = 0x800;
  for (std::uint32_t frames = coroutine::kFirstFrames; frames * sizeof(CallFrame) <= kMaxCellBytes; frames *= 2) {
    buffers.size_class(size_class_of(frames * sizeof(CallFrame))).place = kFramesPlace;
  }
  for (std::uint32_t slots = coroutine::kFirstSlots; coroutine::bytes_for(slots) <= kMaxCellBytes; slots *= 2) {
    buffers.size_class(size_class_of(coroutine::bytes_for(slots))).place = kRegistersPlace;
  }
}

void Heap::Internals::free_spare_stacks() noexcept {
  for (std::size_t i = 0; i < spare_stacks.count; ++i) {
    free_buffer(spare_stacks.items[i].stack, coroutine::bytes_for(coroutine::kFirstSlots));
    free_buffer(spare_stacks.items[i].frames, coroutine::kFirstFrames * sizeof(CallFrame));
  }
  spare_stacks.count = 0;
}

void Heap::Internals::clear_spare_stacks() noexcept {
  for (std::size_t i = 0; i < spare_stacks.count; ++i) {
    Value* stack = spare_stacks.items[i].stack;
    for (std::uint32_t slot = 0; slot < coroutine::kFirstSlots + kStackMargin; ++slot) stack[slot].set_nil();
  }
}

}  // namespace baton
