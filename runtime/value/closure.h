// Functions and upvalues.
//
// Invariants
//  - A Closure has exactly prototype->upvalues.size upvalues, all non-null once it is visible.
//  - An upvalue is open while `location` points into the stack of its coroutine (it then stands in
//    that coroutine's list, highest slot first) and closed when `location` points to its own
//    `closed`. Two closures that capture the same variable share the cell.
//  - A store through an upvalue, open or closed, is followed by Heap::barrier(upvalue, value): an
//    open one may be black. (Stores of the owning coroutine to its own stack need none.)
//  - A Native's function pointer and texts are immortal (static or owned by an opened library).
#pragma once

#include "value/object.h"
#include "value/prototype.h"

namespace baton {

struct ThreadState;
struct SharedState;
class NativeCall;

struct Upvalue : Object {
  std::uint32_t unused;
  Value* location;
  union {
    Value closed;
    struct {
      Upvalue* next_open;      // next lower slot of the same coroutine
      Upvalue** previous_link;  // what points here: the list's head or the neighbour's next_open
    };
  };

  bool is_open() const noexcept { return location != &closed; }
};
static_assert(sizeof(Upvalue) == 32);

struct Closure : TracedObject {  // `count`: number of upvalues
  Prototype* prototype;
  Upvalue** upvalues() noexcept { return reinterpret_cast<Upvalue**>(this + 1); }
  Upvalue* const* upvalues() const noexcept { return reinterpret_cast<Upvalue* const*>(this + 1); }
};

// A host function. vm/native.h states the contract of `NativeFunction`.
using NativeFunction = int (*)(NativeCall& call);

// A native's brief form, which the interpreter calls without a frame: `function` is the slot of the called value, the arguments
// stand behind it. It treats the arguments for which nothing can go wrong and nothing else must run: no metamethod, no safepoint,
// no error but kMemory, and that before anything has changed, since the instruction may then be repeated. Returns the number of
// results, stored from `*function` on (at most kMostBriefResults); kNotBrief: nothing has changed, and the
// function itself must be called.
using BriefNative = int (*)(SharedState& shared, Value* function, int arguments);
inline constexpr int kNotBrief = -1;
inline constexpr int kMostBriefResults = 8;  // they fit without a check: kStackMargin

// Natives that the interpreter knows by identity and executes without a machine frame where nothing unusual is asked
// (handlers/native.inc); in all other cases their function runs.
enum class Intrinsic : std::uint8_t {
  kNone = 0,
  kLeaf,        // never calls a function, resumes, yields or waits: needs no machine stack of its coroutine's own
  kError,       // a leaf, too
  kPcall,
  kXpcall,
  kAssert,
  kNext,
  kIpairsStep,
  kSelect,
  kCoroutineResume,
  kCoroutineYield,
  kCoroutineWrapStep,
  kCheckpoint,
  kResumable,   // may leave its machine stack while it waits and be called again: vm/task_turns.h
  kType,
  kRawGet,
  kRawEqual,
  kRawLen,
  kMathFloor,
  kMathSqrt,
  kStringByte,
  kBrief,       // has a brief form
  kFindMethod,  // an __index of objects: what stands in the table in upvalue 1 is found without a call
};

constexpr bool is_leaf(Intrinsic intrinsic) noexcept { return intrinsic == Intrinsic::kLeaf || intrinsic == Intrinsic::kError; }

// What registration says about a native, once; immortal.
struct NativeInfo {
  const char* name;       // as in messages: "insert"
  const char* signature;  // "table.insert(list, [pos,] value)"
  const char* text;       // prose, returns, errors
  NativeFunction function;
  Intrinsic intrinsic = Intrinsic::kNone;
  BriefNative brief = nullptr;  // with kBrief
};

struct Native : TracedObject {  // `count`: number of upvalues
  const NativeInfo* info;
  NativeFunction function;  // copy of info->function: one load on the call path
  Intrinsic intrinsic;
  Value* upvalues() noexcept { return reinterpret_cast<Value*>(this + 1); }
};
static_assert(sizeof(Native) == 40);

namespace closure {

// A script function over `prototype` whose upvalues are still null; the caller fills them before
// the next allocation. Raises: kMemory.
Closure* make(Heap& heap, Prototype* prototype);

// A closure over the `index`-th inner function of `outer`, which runs in `co` with its registers at `base`: captures
// variables. Raises: kMemory, nothing visible has changed then.
Closure* capture(Heap& heap, Coroutine* co, Closure* outer, std::uint32_t index, Value* base);

// A closed upvalue holding `value`. Raises: kMemory.
Upvalue* make_closed_upvalue(Heap& heap, const Value& value);

// A host function with `upvalue_count` values, all nil. `info` is immortal. Raises: kMemory.
Native* make_native(Heap& heap, const NativeInfo* info, int upvalue_count = 0);

// The upvalue for stack slot `slot` of `co`: the open one that exists or a new one in its place in
// the coroutine's list. Raises: kMemory.
Upvalue* find_open(Heap& heap, Coroutine* co, Value* slot);

// Closes all open upvalues of `co` at or above `level`. Raises: nothing. Effects: barriers.
void close_upvalues(Heap& heap, Coroutine* co, Value* level) noexcept;

}  // namespace closure
}  // namespace baton
