// Safepoints: the only place that steps the collector, runs finalizers, delivers cancellation and
// signals, and gives up the GIL because somebody asked.
//
// Invariant: at a safepoint every live value is reachable from a root: coroutine stacks up to
// `top`, the registry, Root<T>. Callers set `top` first (coroutine.h).
#pragma once

#include <string>
#include <string_view>

#include "value/error.h"
#include "vm/thread_state.h"

namespace baton::vm {

// Which kinds of work a place allows.
enum class SafepointKind : std::uint8_t {
  kBackEdge,  // back-edges, calls, polls of natives, waits: everything, may raise a cancellation or interrupt
  kReturn,    // returns from natives that gave values: collects and hands over, never raises
};

// Does what the interrupt word asks for. Raises (kBackEdge only): a cancellation, "interrupted!".
void safepoint(ThreadState& thread, SafepointKind kind);

// The poll of natives' loops: one load when nothing is asked.
inline void poll(ThreadState& thread) {
  if (thread.interrupt.any()) safepoint(thread, SafepointKind::kBackEdge);
}

// Copies `bytes` that stay reachable to where nobody else looks, with a safepoint of that kind after each piece.
inline constexpr std::size_t kPieceBytes = std::size_t{1} << 18;
void copy_bytes(ThreadState& thread, char* to, const char* from, std::size_t bytes, SafepointKind kind);

// A copy of `text`, which stays reachable, made like this: what another thread shall read must not change or vanish meanwhile.
// Raises: std::bad_alloc, as a poll.
std::string copied(ThreadState& thread, std::string_view text);

// Natives call this before an allocation of `bytes` that may be large: at the memory cap it collects in
// emergency mode (no finalizer runs), so that the allocation fails only if memory is really full. A
// safepoint for the caller's pointers, although it neither raises nor hands over. Raises: nothing.
inline void make_room(ThreadState& thread, std::size_t bytes) noexcept {
  constexpr std::size_t kAround = 256;  // headers and rounding of what holds the bytes
  if (BATON_UNLIKELY(!thread.heap().fits(bytes + kAround)) || BATON_STRESS) thread.heap().collect_emergency();
}

// For natives: runs `allocate` (which allocates and, if that fails, has changed nothing) and once more
// after an emergency collection if memory was short. A safepoint as make_room is. Raises: what
// `allocate` raises.
template <class Allocate>
auto repeat_at_cap(ThreadState& thread, Allocate allocate) {
  try {
    return allocate();
  } catch (const ScriptError& error) {
    if (error.id != ErrorId::kMemory) throw;
  }
  thread.heap().collect_emergency();
  return allocate();
}

// Runs queued finalizers now (collectgarbage). An error in one becomes a warning. Raises: nothing from finalizers.
void run_finalizers(ThreadState& thread);

// Whether `thread` is running a finalizer at this moment: waiting, yielding and collecting are refused
// there, and neither a cancellation nor an interrupt is delivered. Raises: nothing.
bool in_finalizer(const ThreadState& thread) noexcept;

// A full collection including finalizers found by it, in pieces with polls between them. For collectgarbage("collect").
// Raises: as a poll.
void collect_all(ThreadState& thread);

// collectgarbage("step", kilobytes), likewise. Returns: whether a cycle ended. Raises: as a poll.
bool collect_step(ThreadState& thread, std::size_t kilobytes);

}  // namespace baton::vm
