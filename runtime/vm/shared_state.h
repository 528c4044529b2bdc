// What all native threads of one runtime share: heap, GIL, registry, metatables of the basic types.
//
// Invariants
//  - One SharedState per runtime; there are no globals, so several runtimes live in one process.
//  - Everything here except `gil` and the atomics is touched only while holding the GIL.
//  - It registers itself as the heap's root visitor: registry, type metatables, fixed strings and
//    every attached ThreadState are roots.
// Owner: host (or a test).
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "sync/gil.h"
#include "value/heap.h"
#include "value/root.h"
#include "value/table.h"

namespace baton {

struct Coroutine;
struct ThreadState;

enum class Metamethod : std::uint8_t {
#define BATON_METAMETHOD(name, field) k##name,
#include "vm/metamethods.def"
#undef BATON_METAMETHOD
  kCount
};

// What a switch between machine stacks leaves to do for the side that arrives: `*place = machine`.
struct SwitchRecord {
  void* machine;
  void** place;
};

struct SharedState final : RootVisitor {
  explicit SharedState(std::uint64_t seed);  // Raises: std::bad_alloc, ScriptError(kMemory)
  ~SharedState() override;                   // no thread is attached any more
  void mark_roots(Heap& heap) override;

  Heap heap;
  Gil gil;
  Table* registry = nullptr;   // like the C API's: host and libraries keep values here
  Table* globals = nullptr;    // the table in _G
  Table* loaded = nullptr;     // package.loaded
  Table* type_metatables[kBaseTypeCount] = {};
  Table* string_methods = nullptr;  // where a method of a string was found last: a guess of the interpreter, compared, not followed
  String* metamethod_names[static_cast<int>(Metamethod::kCount)] = {};
  String* type_names[kBaseTypeCount] = {};  // what `type` returns
  String* memory_error = nullptr;  // "not enough memory", preallocated
  ThreadState* main_thread = nullptr;
  std::vector<ThreadState*> threads;  // attached native threads; roots

  // Machine stacks, set by sched; nothing here touches statuses or values.
  // `start_fiber` gives `co`, which has none, a fresh machine stack that will run vm::coroutine_main. Raises: kMemory.
  void (*start_fiber)(ThreadState& thread, Coroutine* co) = nullptr;
  // Moves execution of the calling native thread to coroutine `to`, which has a machine stack; returns when somebody switches
  // back. The first thing that the caller does is to store `machine` to `*place`. Raises: nothing.
  SwitchRecord (*switch_to)(Coroutine* from, Coroutine* to) = nullptr;
  // Gives back the machine stack of a coroutine that has ended, or is suspended without machine frames of natives.
  void (*drop_fiber)(ThreadState& thread, Coroutine* co) = nullptr;
  // As drop_fiber for a coroutine that needs none while it is suspended (coroutine::needs_no_machine_stack) and continues on
  // another, on the same native thread. Only while `parks_coroutines`, which sched sets when many machine stacks are in use.
  void (*park_fiber)(ThreadState& thread, Coroutine* co) = nullptr;
  bool parks_coroutines = false;

  // Tasks taking turns on machine stacks (vm/task_turns.h), set by sched. `leave_task` makes another task the running one in place
  // of one that waits, `rotate_task` in place of one that is ready, as switch_to does of coroutines: behind it anybody may be
  // `thread.current`. `place` null: nothing was done, since this is no common case (rotate_task only).
  SwitchRecord (*leave_task)(ThreadState& thread) = nullptr;
  SwitchRecord (*rotate_task)(ThreadState& thread) = nullptr;
  // To be called behind either if ThreadState::arrival_is_open. Raises: nothing.
  void (*complete_arrival)(ThreadState& thread) = nullptr;
  // The end of a checkpoint: delivers what was asked of the running task. Raises: as sched::checkpoint.
  void (*look)(ThreadState& thread) = nullptr;
  // The running task, which is new, begins. Returns: how many arguments lie behind its function. Raises: ForcedUnwind.
  int (*begin_task)(ThreadState& thread) = nullptr;

  // A task met an interrupt that concerns the root: lets the root run now, if it can. Set by sched.
  void (*run_root_now)(ThreadState& thread) = nullptr;

  // Somebody wants to know what every task does (kInterruptDump). Set by sched.
  void (*dump_tasks)(ThreadState& thread) noexcept = nullptr;

  // warn(): receives pieces; default: stderr as lua does ("Lua warning: "). `to_continue`: more follow.
  void (*warn)(SharedState& shared, std::string_view piece, bool to_continue) = nullptr;
  bool warnings_on = false;
  bool warning_continues = false;
  // Dead coroutines that their owners must unwind, linked through `resumer`; roots. See safepoint.cpp.
  Coroutine* abandoned = nullptr;
  // Unhandled error of a finalizer is reported through warn; see safepoint.h.
  bool finalizers_running = false;
  // The metatables of native classes, by the address of the class's name; roots. Others are looked for in the registry.
  struct KnownClass {
    const char* name = nullptr;
    Table* metatable = nullptr;
  };
  static constexpr std::size_t kKnownClasses = 256;  // names are neighbours in memory: among 64 places some shared one
  KnownClass known_classes[kKnownClasses];
  KnownClass& known_class(const char* class_name) noexcept {
    const std::uint64_t mixed = reinterpret_cast<std::uintptr_t>(class_name) * 0x9e3779b97f4a7c15u;
    return known_classes[(mixed >> 48) % kKnownClasses];
  }
  std::size_t stress_pause = 0;  // stress build: safepoints to pass before the next full collection
  // A profile is being taken: told at a safepoint that was asked for it. Null: none. See stdlib/profile_sampler.cpp.
  void (*sample)(ThreadState& thread) noexcept = nullptr;
  void* sampler = nullptr;
  // Switches between native threads by the number of instructions instead of by time; see vm/seeded_switches.h.
  bool is_seeded = false;
  std::int32_t instructions_left = 0;  // until the next switch
  std::uint64_t seed_state = 0;
  // Called by os.exit, which ends the process wherever it is called, before that. Set by the program.
  void (*before_exit)(ThreadState& thread) = nullptr;
  // Instructions of all native threads, counted by the traced dispatch table while `counts_instructions()`: down to 0, then
  // `on_instructions_spent` is called once.
  void (*on_instructions_spent)(SharedState& shared) noexcept = nullptr;
  void* embedding = nullptr;  // the host's record, for it
  std::int64_t budget_left = 0;
  std::int64_t instructions_counted = 0;  // before the present countdown began
  std::int64_t countdown_began_at = 0;
  bool counts_instructions() const noexcept { return countdown_began_at != 0; }
  std::int64_t instructions_run() const noexcept { return instructions_counted + countdown_began_at - budget_left; }
  // Counts down from `count` from now on; 0: counts no more. Raises: nothing.
  void count_instructions(std::int64_t count) noexcept {
    instructions_counted = instructions_run();
    budget_left = countdown_began_at = count;
  }

  std::uint32_t max_stack_slots = UINT32_MAX;  // where a growing stack overflows, if below the language's limit
  bool refuses_binary_chunks = false;          // load takes text only
  std::string name;  // of the runtime, in reports
  void* host = nullptr;   // host's object
  void* sched = nullptr;  // sched's shared object
};

}  // namespace baton
