// Safepoints: the only place that steps the collector, runs finalizers, delivers cancellation and
// signals, and gives up the GIL because somebody asked.
//
// Invariant: at a safepoint every live value is reachable from a root: coroutine stacks up to
// `top`, the registry, Root<T>. Callers set `top` first (coroutine.h).
#pragma once

#include "vm/thread_state.h"

namespace baton::vm {

// Which kinds of work a place allows.
enum class SafepointKind : std::uint8_t {
  kBackEdge,  // back-edges, calls, polls of natives, waits: everything, may raise a cancellation or interrupt
  kReturn,    // returns from natives: collects and hands over, never raises
};

// Does what the interrupt word asks for. Raises (kBackEdge only): a cancellation, "interrupted!".
void safepoint(ThreadState& thread, SafepointKind kind);

// The poll of natives' loops: one load when nothing is asked.
inline void poll(ThreadState& thread) {
  if (thread.interrupt.any()) safepoint(thread, SafepointKind::kBackEdge);
}

// Runs queued finalizers now (collectgarbage). An error in one becomes a warning. Raises: nothing from finalizers.
void run_finalizers(ThreadState& thread);

// Whether `thread` is running a finalizer at this moment: waiting, yielding and collecting are refused
// there, and neither a cancellation nor an interrupt is delivered. Raises: nothing.
bool in_finalizer(const ThreadState& thread) noexcept;

// A full collection including finalizers found by it. For collectgarbage("collect").
void collect_all(ThreadState& thread);

}  // namespace baton::vm
