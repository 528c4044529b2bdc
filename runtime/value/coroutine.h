// A coroutine: one contiguous, growable value stack and the array of its call frames. Switching
// between coroutines is not known here: the machine stack is an opaque handle that sched fills.
//
//     stack                base[-1]  base                 top                  stack_limit
//       | ... caller ...   | func |  r0 r1 r2 ...          |   stale, cleared by   |  reserve  |
//       |                  |      |                        |   the collector       |           |
//
// Frames form an array, oldest first: `frame` is the running one, frame[-1] its caller, frames[0] a
// sentinel of kind native for the body's own caller. The function of a frame is always base[-1]
// (a vararg function's frame is moved up behind its extra arguments, with a copy of the function).
//
// Invariants
//  - Live values are exactly [stack, top) whenever a safepoint is reached or the coroutine is
//    suspended. A native's window is [frame->base, top). While a script frame runs, `top` is only
//    meaningful between an instruction that leaves open results and the one that consumes them;
//    safepoints of script frames set it to the end of the frame's registers or of the open results,
//    whichever is higher.
//  - Pointers into the stack are invalid after anything that may grow it: check_stack, a push past
//    the checked room, a call. Growth fixes frames, open upvalues, `top`; natives keep indices.
//  - kStackMargin slots behind stack_limit always exist, for metamethod calls of a frame (operands are
//    placed at its register end); kStackReserve behind large stacks, for handlers of "stack overflow".
//  - A suspended coroutine is not scanned again while the collector marks, so whoever is about to
//    run it calls coroutine::note_run first, and whoever else writes into its stack calls
//    Heap::barrier_back.
//  - to_be_closed holds offsets of slots (from `stack`), increasing.
//  - Owner: the native thread in `thread`; touched only under the GIL.
#pragma once

#include <bit>

#include "value/closure.h"
#include "value/heap.h"
#include "value/object.h"

namespace baton {

struct ThreadState;

inline constexpr std::uint32_t kMaxStackSlots = 1'000'000;
inline constexpr std::uint32_t kStackMargin = 24;        // slots behind stack_limit of every stack
inline constexpr std::uint32_t kStackReserve = 256;      // ... of stacks of at least half of kMaxStackSlots
inline constexpr std::uint32_t kMinNativeSlots = 20;     // a native finds at least so many free slots
inline constexpr int kMaxNesting = 200;                  // C levels: natives and parsers nested in one chain of resumes
inline constexpr int kMultipleResults = -1;

enum FrameFlag : std::uint16_t {
  kFrameNative = 1 << 0,     // a native's window; otherwise a script function
  kFrameEntry = 1 << 1,      // called from C++: returning from it leaves vm::run
  kFrameFinish = 1 << 2,     // a metamethod: its result completes the caller's instruction (vm/finish)
  kFrameProtected = 1 << 3,  // the native is pcall or xpcall: errors stop here
  kFrameHandler = 1 << 4,    // ... xpcall: base[0] is the message handler
  kFrameTailCall = 1 << 5,   // replaced its caller's frame: "(...tail calls...)"
  kFrameHooked = 1 << 6,     // the frame runs a debug hook
  kFrameFinalizer = 1 << 7,  // the frame runs a __gc metamethod
  kFrameFresh = 1 << 8,      // hooks: the call event of this frame is still to be reported
  kFrameIntrinsic = 1 << 9,  // native frame without a machine frame (pcall, resume ... run by the interpreter)
  kFrameResumable = 1 << 10,  // the native may return kNativeWaits (vm/task_turns.h)
  kFrameUnderIntrinsic = 1 << 11,  // the caller is a native frame without a machine frame (pcall, xpcall)
  kFrameWrapped = 1 << 12,   // with kFrameIntrinsic: of a function of coroutine.wrap, so nothing stands in front of the results
};

struct CallFrame {
  Value* base;
  const Instruction* pc;      // script: next instruction; saved whenever something may look at it
  Value* top;                 // script: base + max_stack; native: end of the slots it may use unchecked
  // Four fields that lie as b, c, d and nothing lie in a Call shifted by 16 bits: the interpreter stores them as one word.
  std::uint16_t unused_b;
  std::uint16_t wanted_plus_one;  // results the caller wants, 0 for all; see wanted()
  std::uint16_t unused_d;
  std::uint16_t flags;
  std::uint32_t argument_count;  // of a vararg script function only: the arguments given; behind its VarargPrepare the
                                 // extra ones, which lie below base[-1]
  std::uint32_t scratch;      // intrinsics: progress
  const Value* constants;     // script: the prototype's, so that a return need not look for them

  bool is_script() const noexcept { return (flags & kFrameNative) == 0; }
  // Results the caller wants, kMultipleResults for all.
  std::int32_t wanted() const noexcept { return static_cast<std::int32_t>(wanted_plus_one) - 1; }
  void set_wanted(std::int32_t count) noexcept { wanted_plus_one = static_cast<std::uint16_t>(count + 1); }
};
static_assert(sizeof(CallFrame) == 48);

enum class CoroutineStatus : std::uint8_t {
  kSuspended,  // also: not started
  kRunning,
  kNormal,  // resumed another
  kLeft,    // ran when its task was left for another: like a suspended one nobody writes to its stack
  kDead,
};

struct Coroutine : TracedObject {  // `count`: unused
  // A later lua.h layer hands out &public_state as its lua_State*: host_extra are the 8 bytes before it.
  void* host_extra;
  ThreadState* thread;  // the native thread it belongs to; null until first resumed
  // What a resume or a yield touches stands together, in as few cache lines as there can be.
  CallFrame* frame;
  Value* top;
  Value* stack_limit;   // end of the slots that may be used without growing
  void* fiber;          // sched's machine stack, the resumer's if in_place; null: never started, finished, or suspended and needing none
  // The first four are read and written as one word, too (coroutine::state_of).
  CoroutineStatus status;
  bool is_root;             // body of a native thread or of a task: yield is refused there
  std::uint8_t hook_mask;   // debug.sethook events, 0: none
  bool in_place;            // the interpreter that ran its resumer runs it (vm/coroutines.cpp); read together with hook_mask
  bool ran_since_mark;      // set by coroutine::note_run, cleared when the collector has scanned it
  bool hooks_allowed;       // false while a hook runs
  bool unwinding;           // its next return from a switch throws ForcedUnwind
  bool closing;             // coroutine.close runs its pending variables, or C++ called a hook in place: no yield
  std::int32_t nesting;     // C levels in use on the chain of resumes that led here
  std::int32_t nesting_base;    // the part of `nesting` that belongs to the resumers
  std::int32_t transfer_count;  // values on top that travel with the next switch
  Coroutine* resumer;       // who resumed it, while it runs
  CallFrame* frames_limit;  // one past the last usable frame
  Value* stack;
  CallFrame* frames;
  char* machine_stack_limit;  // lowest address its natives may reach; null: not started, or in_place
  Upvalue* open_upvalues;
  std::uint32_t* to_be_closed;
  std::uint32_t to_be_closed_count;
  std::uint32_t to_be_closed_capacity;
  std::int32_t closings;        // __close methods that are running
  std::int32_t hook_count;      // instructions between count events
  std::int32_t hook_countdown;
  std::int32_t hooked_first;    // while a call or return hook runs: the hooked function's first argument or result, as the
  std::int32_t hooked_count;    // number of a local variable, and how many there are; else 0
  Value hook;               // hook function
  Value error;              // status kDead by an error: its value; else nil
  Coroutine* all_next;      // heap's list of all coroutines
  Coroutine** all_previous;
};

namespace coroutine {

// Slots behind stack_limit of a stack of `slots` slots. Raises: nothing.
constexpr std::uint32_t reserve_of(std::size_t slots) noexcept {
  return slots >= kMaxStackSlots / 2 ? kStackReserve : kStackMargin;
}

// End of all slots of the stack. Raises: nothing.
inline Value* stack_end(const Coroutine* co) noexcept {
  return co->stack_limit + reserve_of(static_cast<std::size_t>(co->stack_limit - co->stack));
}

// Whether `co` neither has hooks nor runs in place. Raises: nothing.
inline bool runs_plainly(const Coroutine* co) noexcept { return (co->hook_mask | static_cast<std::uint8_t>(co->in_place)) == 0; }

// Status, is_root, hook_mask and in_place of `co` at once, to be compared with plain_state or changed to it. Raises: nothing.
inline std::uint32_t state_of(const Coroutine* co) noexcept {
  std::uint32_t state;
  __builtin_memcpy(&state, &co->status, sizeof state);
  return state;
}
inline void set_state(Coroutine* co, std::uint32_t state) noexcept { __builtin_memcpy(static_cast<void*>(&co->status), &state, sizeof state); }
// Those of a coroutine that is no root and has no hook.
constexpr std::uint32_t plain_state(CoroutineStatus status, bool in_place) noexcept {
  const std::uint8_t fields[4] = {static_cast<std::uint8_t>(status), 0, 0, static_cast<std::uint8_t>(in_place)};
  return std::bit_cast<std::uint32_t>(fields);
}

// A suspended coroutine with a small stack, the sentinel frame and no function. Raises: kMemory.
Coroutine* make(Heap& heap);

// `co` has returned and its results were taken: its stack and frames may serve the next coroutine. Raises: nothing.
void retire(Heap& heap, Coroutine* co) noexcept;

// `co` is about to run (resumed, or continued because the coroutine that it resumed yields or ends):
// the collector will scan its stack again. Call it before the first write to the stack. Raises: nothing.
inline void note_run(Heap& heap, Coroutine* co) noexcept {
  co->ran_since_mark = true;
  if (BATON_UNLIKELY(heap.is_marking()) && !co->is_gray()) heap.coroutine_runs(co);
}

// Makes sure that `slots` values fit above top (also grows the stack beyond a native's window end).
// Raises: kStackOverflow (more than kMaxStackSlots), kMemory. Effects: may move the stack.
void check_stack(Heap& heap, Coroutine* co, std::uint32_t slots);

// Grows the stack so that at least `slots` fit above `top`. The slow half of check_stack.
void grow_stack(Heap& heap, Coroutine* co, std::uint32_t slots);

// Grows the frame array; called when frame + 1 == frames_limit. Raises: kStackOverflow, kMemory.
void grow_frames(Heap& heap, Coroutine* co);

// Gives memory back that a past peak left over; called by the collector. Raises: nothing.
void shrink_stack(Heap& heap, Coroutine* co) noexcept;

// Whether natives have frames on the machine stack of a suspended coroutine: they own things that must be released by
// unwinding. A suspension in an intrinsic leaves only the interpreter's frames there. Raises: nothing.
inline bool has_native_frames(const Coroutine* co) noexcept {
  for (const CallFrame* frame = co->frames + 1; frame <= co->frame; ++frame) {
    if ((frame->flags & (kFrameNative | kFrameIntrinsic)) == kFrameNative) return true;
  }
  return false;
}

// Whether nothing of a coroutine lies on its machine stack, below what its running native has there, but frames that can be
// made anew: it is deeper in no native and in no second vm::run. Looks at few frames and gives up on deep ones. Raises: nothing.
inline bool needs_machine_stack_for_native_only(const Coroutine* co) noexcept {
  constexpr std::ptrdiff_t kFramesLookedAt = 16;
  const CallFrame* frame = co->frame;
  if (frame - co->frames > kFramesLookedAt || co->hook_mask != 0) return false;
  if ((frame->flags & kFrameEntry) != 0 && frame != co->frames + 1) return false;
  while (--frame > co->frames) {
    if ((frame->flags & (kFrameNative | kFrameIntrinsic)) == kFrameNative) return false;
    if ((frame->flags & kFrameEntry) != 0 && frame != co->frames + 1) return false;
  }
  return true;
}

// Whether nothing at all of a coroutine that is suspended in a yield or a wait of its own does. Raises: nothing.
inline bool needs_no_machine_stack(const Coroutine* co) noexcept {
  constexpr unsigned kKinds = kFrameNative | kFrameIntrinsic | kFrameProtected;
  return (co->frame->flags & kKinds) == (kFrameNative | kFrameIntrinsic) && needs_machine_stack_for_native_only(co);
}

// Remembers `slot` as to-be-closed. Raises: kMemory.
void push_to_be_closed(Heap& heap, Coroutine* co, Value* slot);

}  // namespace coroutine
}  // namespace baton
