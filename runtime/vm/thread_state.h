// What one native thread that runs script code has: THE permission token.
//
// A function that takes `ThreadState&` may reach a safepoint: collect, run script code, switch
// fibers, give up the GIL. A function that only takes `Heap&` may allocate but none of that. A
// function that takes neither does none of it.
//
// Invariants
//  - Used only by its own native thread, which holds the GIL whenever it touches anything but
//    `interrupt`.
//  - `current` is the running coroutine of this thread (its root between scripts), never null.
//  - `pending` holds the error value between the failing instruction (or a catch) and the frame
//    that handles it; it is a root.
// Owner: sched's native thread (or host for the main thread).
#pragma once

#include <atomic>

#include "base/interrupt.h"
#include "value/coroutine.h"
#include "value/value.h"
#include "vm/shared_state.h"

namespace baton {

// Why the interpreter stops what it does. Everything but kOk leaves ThreadState::pending set.
enum class [[nodiscard]] Status : std::uint8_t {
  kOk = 0,
  kError,   // a script error, `pending` is its value
};

// Where each opcode leads (vm/interpreter.cpp).
struct alignas(kCacheLineBytes) DispatchTable {
  std::atomic<std::uintptr_t> handlers[256];
};

struct ThreadState {
  InterruptWord interrupt;        // first: polled relative to this object's address
  SharedState& shared;
  Coroutine* current = nullptr;
  Coroutine* root = nullptr;      // body of the native thread
  const DispatchTable* dispatch = nullptr;  // the one in force: its own, or the traced one
  GilSlot* gil_slot = nullptr;
  Value pending;                  // error in flight by return code
  int handler_depth = 0;          // nested message handlers
  bool unwinding = false;         // it is being stopped: every safepoint throws ForcedUnwind
  bool stopped = false;           // ... by kInterruptStop, so inside finalizers too; the host's entry clears both
  bool runs_task = false;         // a task runs that is not the root's: interrupts of the root are not its own
  bool arrival_is_open = false;   // behind a switch of tasks something is left to do: SharedState::complete_arrival
  bool cancel_is_deferred = false;  // a cancellation came while a __close ran: kInterruptCancel is set again behind it
  bool has_parked = false;        // there may be suspended coroutines of its own that have no machine stack
  std::uint32_t id = 0;           // 1: main
  std::string name;
  void* sched = nullptr;          // sched's native thread object
  Table* storage = nullptr;       // thread.storage()
  Value cancel_reason;            // kInterruptCancel: what to raise

  DispatchTable own_table;        // `interrupt` directs the entries that poll

  explicit ThreadState(SharedState& s);
  Heap& heap() noexcept { return shared.heap; }
};

}  // namespace baton
