// Dispatch.
//
// Each opcode's body exists once, in handlers/*.inc. Where the compiler guarantees tail calls and a
// calling convention without callee-saved registers (clang), a body becomes a function and the next
// instruction is a tail call through the dispatch table: thread, pc, base, constants, table and the
// instruction word stay in registers from handler to handler, and each handler is compiled by
// itself, so one rare call in one handler spills nothing in another. Elsewhere (g++, sanitizers) the
// bodies are labels of one function and the next instruction is a computed goto.
//
// There are two sorts of tables. In a thread's own an opcode leads to its handler; in the traced one every
// opcode leads to a handler that first does the work of hooks (and, later, of seeded switching) and
// then continues with the generic opcode's own, so that of a pair of instructions with one handler (handlers/fused.inc) each
// is seen. So hooks cost nothing while there are none, and turning them
// on is one store to ThreadState::dispatch, read whenever a frame is reloaded after a slow path.
//
// What is cached where: `pc` is saved to the frame before anything that may raise or look at frames, and the frame to the
// coroutine; calls and returns themselves only move the pinned `frame`.
// `base` and `constants` are derived from the frame and never saved. Machine frames do not grow with
// script calls: a call pushes a CallFrame and goes on in the same loop.
//
// Safepoints: back-edges, entries of script functions and returns of natives. Everything between two of them is atomic for
// other native threads. Natives test one word when they return; back-edges and calls test nothing:
//
// Polls. Each native thread dispatches through a table of its own. When something is asked of it, the entries of the opcodes
// that poll (kOpSafepoint: ForLoop, ForLoopUnit, ForInCall, JumpBack; Call, TailCall) are made to lead to Polled, which does
// what is asked and runs the instruction itself, without the table: there is progress even where something is asked all the
// time. Who writes entries, and in which order, is said in base/interrupt.h. A pair that ends with such an instruction leads to
// its First alone, and behind that the Second is dispatched and polls.
// Back-edges: the safepoint is in front of them, never between a read and a write that follows it: `t[i] = t[i] * 2` at the end
// of a loop stays whole. Registers up to the frame's top are what lives there: none reads open results, and an iterator has not
// been called yet.
// Calls: the safepoint is behind them, where the script function begins that they enter (also under pcall), so arguments stand
// in its registers and nothing is open. In front of the Call it would come between what a native gave, such as an item of a
// queue, and its use, and would have to know where open arguments end. A Call that is redirected begins its callee by CallSlow,
// which may do any call and tests the word behind it. Natives do not take that way: they test the word when they return,
// because only there is known whether they gave values (slow::safepoint), because most of what they ask for themselves - a
// cancellation of their own thread, a collection for what they allocated - is to happen there, and because one test is nothing
// beside their frame. Intrinsics without a frame do not poll: their Call is as atomic as an addition.
// Why nothing escapes: jumps go forward, but for those of JumpBack, ForLoop and ForInLoop (the verifier insists), and a
// ForInLoop is reached only from the ForInCall in front of it. So each turn of a loop runs a back-edge. What runs for ever
// without one calls for ever, each function from the one before: by Call or TailCall; by ForInCall, which polls first; as a
// metamethod, by a value with __call or by the first resume of a coroutine, which test the word where the function begins
// (EnterMetamethod, CallCallable, CallResumeOther, slow::get and its like); or from C++, by vm::call, which tests it too (the
// return of the native would not do, since it is silent when it gives values). Methods of __close give up the lock where they
// begin, but raise nothing there except a stop (close.cpp). A handler gets to an instruction that polls by a dispatch: its own
// or that of a pair whose entry follows the word, too. No handler jumps to one of them directly, nor begins a turn of a loop
// or a call in any other way (fused_opcode.h checks that all such pairs have an entry that does).
// Traced handlers, whose table is shared and constant, look at the word in front of the same instructions.
#include "vm/interpreter.h"

#include <bit>
#include <cmath>
#include <cstddef>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "base/number.h"
#include "bytecode/fused_opcode.h"
#include "bytecode/instruction.h"
#include "value/code_block.h"
#include "value/heap.h"
#include "value/table.h"
#include "value/table_template.h"
#include "vm/close.h"
#include "vm/coroutines.h"
#include "vm/intrinsics.h"
#include "vm/library_intrinsics.h"
#include "vm/native.h"
#include "vm/slow_paths.h"
#include "vm/task_turns.h"

namespace baton::vm {
namespace {

#if BATON_TAIL_CALL_DISPATCH
using Handler = __attribute__((preserve_none)) Next (*)(ThreadState*, const Instruction*, Value*, const Value*,
                                                        CallFrame*, const DispatchTable*, std::uint64_t);
#else
using Handler = const void*;
#endif

// The register or constant at a byte offset, as instructions hold it.
static_assert(kOperandBytes == sizeof(Value));
BATON_ALWAYS_INLINE Value& value_at(Value* base, unsigned offset) noexcept {
  return *reinterpret_cast<Value*>(reinterpret_cast<char*>(base) + offset);
}
BATON_ALWAYS_INLINE const Value& value_at(const Value* base, unsigned offset) noexcept {
  return *reinterpret_cast<const Value*>(reinterpret_cast<const char*>(base) + offset);
}

inline std::uint64_t fetch(const Instruction* pc) noexcept {
  std::uint64_t word;
  __builtin_memcpy(&word, pc, sizeof word);
  return word;
}

// The value of `key` in `t`, or null if it has none. `hint` is operand d of instruction pc[-1]: the low
// bits of the key's hash, which lead to its main position in tables of every size, or the node where
// the instruction found a key that was not at its main position. It changes only when that helps, so
// an instruction that meets tables of different shapes does not write to the code all the time.
BATON_ALWAYS_INLINE Value* find_field_place(Table* t, const String* key, const Instruction* pc, unsigned hint) noexcept {
  Node* node = &t->nodes[hint & t->node_mask()];
  if (BATON_UNLIKELY(node->key_bits != reinterpret_cast<std::uint64_t>(key) || node->key_tag != Tag::kShortString)) {
    Node* main = &t->nodes[key->hash & t->node_mask()];
    for (node = main; node->key_bits != reinterpret_cast<std::uint64_t>(key) || node->key_tag != Tag::kShortString;) {
      if (node->next == 0) return nullptr;
      node += node->next;
    }
    const unsigned better = node == main ? key->hash & 0xFFFF : static_cast<unsigned>(node - t->nodes) & 0xFFFF;
    if (hint == 0 || node != main) const_cast<Instruction*>(pc)[-1].d = static_cast<std::uint16_t>(better);
  }
  return &node->value();
}

// The place of `key` where the hint leads, or null: it may be elsewhere. Handlers look no further; what does, stands in a
// handler of its own, for the loop there needs more registers than the calling convention leaves.
BATON_ALWAYS_INLINE Value* hinted_field(Table* t, const String* key, unsigned hint) noexcept {
  Node* node = &t->nodes[hint & t->node_mask()];
  const bool found = node->key_bits == reinterpret_cast<std::uint64_t>(key) && node->key_tag == Tag::kShortString;
  return BATON_LIKELY(found) ? &node->value() : nullptr;
}

BATON_ALWAYS_INLINE Value* find_field(Table* t, const String* key, const Instruction* pc, unsigned hint) noexcept {
  Value* place = find_field_place(t, key, pc, hint);
  return BATON_LIKELY(place != nullptr && !place->is_nil()) ? place : nullptr;
}

// The slot of `key` in `t`, or null: the search of find_field without a hint.
BATON_ALWAYS_INLINE const Value* find_string(const Table* t, const String* key) noexcept {
  const Node* node = &t->nodes[key->hash & t->node_mask()];
  while (BATON_UNLIKELY(node->key_bits != reinterpret_cast<std::uint64_t>(key) || node->key_tag != Tag::kShortString)) {
    if (node->next == 0) return nullptr;
    node += node->next;
  }
  return BATON_LIKELY(!node->value().is_nil()) ? &node->value() : nullptr;
}

// The field `key` found by following __index tables from `metatable` on; kAbsent if there is none, null if a function or
// something that is no table decides (then the slow path does).
BATON_ALWAYS_INLINE const Value* find_inherited(const SharedState& shared, const Table* metatable, const String* key) noexcept {
  const String* name = shared.metamethod_names[static_cast<int>(Metamethod::kIndex)];
  for (int loop = 0; loop < 100; ++loop) {
    if (metatable == nullptr) return &table::kAbsent;
    const Value* next = find_string(metatable, name);
    if (BATON_UNLIKELY(next == nullptr)) return &table::kAbsent;
    if (BATON_UNLIKELY(!next->is_table())) return nullptr;
    if (const Value* slot = find_string(next->table(), key)) return slot;
    metatable = next->table()->metatable;
  }
  return nullptr;
}

// `key` in `t` itself or in one of the next two tables that __index leads to, or null: it may be further up.
BATON_ALWAYS_INLINE const Value* find_near(const SharedState& shared, const Table* t, const String* key) noexcept {
  const String* name = shared.metamethod_names[static_cast<int>(Metamethod::kIndex)];
  if (const Value* slot = find_string(t, key)) return slot;
#define BATON_UP()                                                    \
  do {                                                                \
    if (BATON_UNLIKELY(t->metatable == nullptr)) return nullptr;      \
    const Value* next = find_string(t->metatable, name);              \
    if (BATON_UNLIKELY(next == nullptr || !next->is_table())) return nullptr; \
    t = next->table();                                                \
    if (const Value* slot = find_string(t, key)) return slot;         \
  } while (0)
  BATON_UP();
  BATON_UP();
#undef BATON_UP
  return nullptr;
}

// The tags of a node's value and of its key, read at once, and what they are where a name leads to a value with tag `value`.
BATON_ALWAYS_INLINE std::uint16_t tags_of(const Node* node) noexcept {
  static_assert(offsetof(Node, key_tag) == offsetof(Node, value_tag) + 1);
  std::uint16_t tags;
  __builtin_memcpy(&tags, &node->value_tag, sizeof tags);
  return tags;
}
constexpr std::uint16_t tags_with_name(Tag value) noexcept {
  const unsigned v = static_cast<unsigned>(value), name = static_cast<unsigned>(Tag::kShortString);
  return static_cast<std::uint16_t>(std::endian::native == std::endian::little ? v | name << 8 : v << 8 | name);
}

// The node with the bits of `key` on the chain where it belongs in `t`, or null; tags_of says whether it is that key's.
BATON_ALWAYS_INLINE const Node* find_bits(const Table* t, const String* key) noexcept {
  const Node* node = &t->nodes[key->hash & t->node_mask()];
  while (BATON_UNLIKELY(node->key_bits != reinterpret_cast<std::uint64_t>(key))) {
    if (node->next == 0) return nullptr;
    node += node->next;
  }
  return node;
}

// The element of an array part that `object` and `key` name, or null if it is something else or nil.
BATON_ALWAYS_INLINE const Value* element_of(const Value& object, const Value& key) noexcept {
  if (BATON_UNLIKELY(!object.is_table() || !key.is_integer())) return nullptr;
  const Table* t = object.table();
  const std::uint64_t index = static_cast<std::uint64_t>(key.integer) - 1;
  if (BATON_UNLIKELY(index >= t->array_size)) return nullptr;
  const Value* slot = &t->array[index];
  return BATON_LIKELY(!slot->is_nil()) ? slot : nullptr;
}

// Whether a key of `t` without a value gets one without a metamethod being asked: there is no metatable, or it is known to
// have no __newindex.
BATON_ALWAYS_INLINE bool asks_nobody(const Table* t) noexcept {
  constexpr unsigned kNoNewIndex = 1u << static_cast<int>(Metamethod::kNewIndex);
  return t->metatable == nullptr || (t->metatable->flags & kNoNewIndex) != 0;
}

// The place of an element of an array part that `object` and `key` name, if a value can be stored there without more ado: it
// has one, or no metamethod could be asked. Else null.
BATON_ALWAYS_INLINE Value* element_to_store(const Value& object, const Value& key) noexcept {
  if (BATON_UNLIKELY(!object.is_table() || !key.is_integer())) return nullptr;
  const Table* t = object.table();
  const std::uint64_t index = static_cast<std::uint64_t>(key.integer) - 1;
  if (BATON_UNLIKELY(index >= t->array_size)) return nullptr;
  Value* slot = &t->array[index];
  if (BATON_LIKELY(!slot->is_nil())) return slot;
  return BATON_LIKELY(asks_nobody(t) && t->mode == 0) ? slot : nullptr;
}

// What tables of handlers are made of: one for each opcode, the First's alone for each pair, and the two that lead to those.
struct Handlers {
  const Handler* plain;
  const Handler* single;
  Handler polled;
  Handler traced;
};

constexpr std::uint64_t kTurnsAhead = 8;  // how many turns of a loop before its use an element is asked for

// find_inherited for methods of natives' objects, whose class may look for methods itself (native::class_with_methods).
BATON_ALWAYS_INLINE const Value* find_method(const SharedState& shared, const Table* metatable, const String* key) noexcept {
  const Value* index = find_string(metatable, shared.metamethod_names[static_cast<int>(Metamethod::kIndex)]);
  if (index != nullptr && index->tag == Tag::kNative && index->native()->intrinsic == Intrinsic::kFindMethod) {
    const Value& methods = index->native()->upvalues()[0];
    return BATON_LIKELY(methods.is_table()) ? find_string(methods.table(), key) : nullptr;
  }
  return find_inherited(shared, metatable, key);
}

// Whether a store of `value` into `owner` can be done without the collector knowing, and at all: frozen tables take the slow
// way, which raises.
inline bool needs_no_barrier(const Object* owner, const Value& value) noexcept {
  if (BATON_LIKELY((owner->mark & (kMarkBlack | kMarkFrozen)) == 0)) return true;
  return (owner->mark & kMarkFrozen) == 0 && !value.is_heap();
}

// Whether a value may be stored into `slot`, which is where a getter found a key of `t`: it has a value, or it is the key's
// own place and no metamethod could be asked. Such a place gets its first value here, so that absences are forgotten.
BATON_ALWAYS_INLINE bool may_store(Table* t, const Value* slot) noexcept {
  if (BATON_LIKELY(!slot->is_nil())) return true;
  if (slot == &table::kAbsent || t->mode != 0 || !asks_nobody(t)) return false;
  t->flags = 0;
  return true;
}

// Equality with a constant where one of the two is a float or a long string.
inline bool equal_to_constant(const Value& v, const Value& constant) noexcept {
  if (v.is_float() && constant.is_integer()) return number::equal(constant.integer, v.number);
  if (v.is_float() && constant.is_float()) return v.number == constant.number;
  return raw_equal(v, constant);
}

// The remainder where both are whole and not negative, by far the most common case, in integers. False: something else, a
// zero among it, whose sign may matter. Divisors of 2^53 and more, which might be rounded, are something else, too.
BATON_ALWAYS_INLINE bool whole_modulo(double dividend, const Value& divisor, double& result) noexcept {
  constexpr double kExact = 9007199254740992.0;  // 2^53
  std::int64_t by;
  if (divisor.is_integer()) by = divisor.integer;
  else if (divisor.is_float() && divisor.number >= 1 && divisor.number < kExact) by = static_cast<std::int64_t>(divisor.number);
  else return false;
  if (BATON_UNLIKELY(by <= 0 || by >= static_cast<std::int64_t>(kExact) || !(dividend > 0 && dividend < kExact))) return false;
  const auto whole = static_cast<std::int64_t>(dividend);
  const bool both_whole = static_cast<double>(whole) == dividend && (divisor.is_integer() || static_cast<double>(by) == divisor.number);
  if (BATON_UNLIKELY(!both_whole)) return false;
  result = static_cast<double>(number::floor_modulo(whole, by));
  return true;
}

// The quotient rounded towards minus infinity, if it is small enough to be rounded by way of integers. Zero keeps its sign.
BATON_ALWAYS_INLINE bool floor_of_quotient(double dividend, const Value& divisor, double& result) noexcept {
  if (BATON_UNLIKELY(!divisor.is_number())) return false;
  const double quotient = dividend / (divisor.is_float() ? divisor.number : static_cast<double>(divisor.integer));
  if (BATON_UNLIKELY(!(quotient > -0x1p52 && quotient < 0x1p52))) return false;
  const auto whole = static_cast<double>(static_cast<std::int64_t>(quotient));
  result = std::copysign(whole > quotient ? whole - 1 : whole, quotient);
  return true;
}

// The square root of a number that is not negative. Compilers call a function that might set errno where this is one
// instruction.
BATON_ALWAYS_INLINE double square_root(double value) noexcept {
#if defined(__SSE2__)
  return _mm_cvtsd_f64(_mm_sqrt_sd(_mm_set_sd(value), _mm_set_sd(value)));
#else
  return __builtin_sqrt(value);
#endif
}

// Guesses. What a processor cannot do at once is wait: a chain of loads - closure, prototype, code, first instruction - takes
// five cycles a link while the instructions behind it stand still. So an instruction with the flag kOpGuess keeps the address
// that ended the chain the last time. It goes on with that at once and walks the chain beside it, only to compare; the
// processor predicts that they are equal and nothing waits. It needs no invalidation, because nothing is believed unchecked.
//
// `actual`, by way of the guess at `kept`: the same address, but one that does not depend on the loads that led to `actual`.
template <class T>
BATON_ALWAYS_INLINE T* speculate_kept(T** kept, T* actual) noexcept {
  T* const guessed = *kept;
  T* result = guessed;
  __asm__("" : "+r"(result));  // or the compiler, knowing them equal, takes `actual`
  if (BATON_UNLIKELY(guessed != actual)) *kept = result = actual;
  return result;
}
// The same with the guess to which operand d, `guess`, leads.
template <class T>
BATON_ALWAYS_INLINE T* speculate(const Value* constants, unsigned guess, T* actual) noexcept {
  char* const end = reinterpret_cast<char*>(const_cast<Value*>(constants));
  return speculate_kept(reinterpret_cast<T**>(end + (static_cast<std::int64_t>(guess) - 0x10000)), actual);
}

// Makes the frame that begins at `base` the running one, but for its pc, which is saved before anybody looks. `state` is
// its four small fields: of a Call (no flags, as many results as operand c says) the instruction's word shifted.
static_assert(offsetof(CallFrame, wanted_plus_one) == offsetof(CallFrame, unused_b) + offsetof(Instruction, c) - offsetof(Instruction, b) &&
              offsetof(CallFrame, flags) == offsetof(CallFrame, unused_b) + 6);
BATON_ALWAYS_INLINE void fill_frame(CallFrame* frame, Value* base, Value* top, const Value* constants, std::uint64_t state) noexcept {
  frame->base = base;
  frame->top = top;
  frame->constants = constants;
  __builtin_memcpy(&frame->unused_b, &state, sizeof state);
}
BATON_ALWAYS_INLINE constexpr std::uint64_t state_of_call(std::uint64_t word) noexcept { return word >> 16; }
BATON_ALWAYS_INLINE constexpr std::uint64_t frame_state(std::uint16_t flags, int wanted) noexcept {
  return static_cast<std::uint64_t>(flags) << 48 | static_cast<std::uint64_t>(wanted + 1) << 16;
}

// Whether a return from `frame` has nothing to do but to deliver results to the script function that called.
BATON_ALWAYS_INLINE bool returns_plainly(const CallFrame* frame) noexcept {
  return BATON_LIKELY((frame->flags & ~kFrameTailCall) == 0);
}

// Where the results of the script function in `frame` go: to its slot, which lies before the extra arguments.
BATON_ALWAYS_INLINE Value* result_slot_of_script(const CallFrame* frame, Value* base) noexcept {
  const Prototype* p = base[-1].closure()->prototype;
  if (BATON_LIKELY(!p->is_vararg)) return base - 1;
  return base - 1 - (frame->argument_count + p->parameter_count + 1);
}

// Whether a metamethod's result decides a jump of the instruction in `word`, and for which result it jumps.
BATON_ALWAYS_INLINE bool finishes_comparison(std::uint64_t word) noexcept {
  constexpr auto kFirst = static_cast<unsigned>(Opcode::kJumpIfEqual), kLast = static_cast<unsigned>(Opcode::kJumpUnlessGreaterEqualI);
  return static_cast<unsigned>(word & 0xFF) - kFirst <= kLast - kFirst;
}
BATON_ALWAYS_INLINE bool jumps_if_true(std::uint64_t word) noexcept {
  return ((static_cast<unsigned>(word & 0xFF) - static_cast<unsigned>(Opcode::kJumpIfEqual)) & 1) == 0;
}

// The metamethod of a table if it is a script function, for which EnterMetamethod needs nothing but a frame; else null.
BATON_ALWAYS_INLINE const Value* script_metamethod(const SharedState& shared, const Value& v, Metamethod which) noexcept {
  if (!v.is_table() || v.table()->metatable == nullptr) return nullptr;
  const Value* method = find_string(v.table()->metatable, shared.metamethod_names[static_cast<int>(which)]);
  return method != nullptr && method->is_closure() ? method : nullptr;
}

// Puts the call of a metamethod with two operands behind the registers, as slow::call_metamethod does.
BATON_ALWAYS_INLINE void put_metamethod(const CallFrame* frame, const Value& method, const Value& a, const Value& b) noexcept {
  Value* slot = frame->top;
  slot[0] = method;
  slot[1] = a;
  slot[2] = b;
}

// The same for `which` of `object`, if that is a script function. Returns whether it is; what else there may be is left to
// the slow path.
BATON_ALWAYS_INLINE bool prepare_metamethod(const SharedState& shared, const CallFrame* frame, const Value& object, const Value& other,
                                            Metamethod which) noexcept {
  const Value* method = script_metamethod(shared, object, which);
  if (BATON_STRESS || method == nullptr) return false;
  put_metamethod(frame, *method, object, other);
  return true;
}

// Whether `v` certainly has no metamethod `which`.
BATON_ALWAYS_INLINE bool lacks_metamethod(const SharedState& shared, const Value& v, Metamethod which) noexcept {
  const Table* metatable = v.is_table() ? v.table()->metatable : shared.type_metatables[static_cast<int>(base_type(v.tag))];
  if (v.is_userdata()) return false;
  return metatable == nullptr || find_string(metatable, shared.metamethod_names[static_cast<int>(which)]) == nullptr;
}

// The same for an operator, whose right operand decides if the left one has no such metamethod.
BATON_ALWAYS_INLINE bool prepare_operator(const SharedState& shared, const CallFrame* frame, const Value& a, const Value& b,
                                          Metamethod which) noexcept {
  const Value* method = script_metamethod(shared, a, which);
  if (method == nullptr && lacks_metamethod(shared, a, which)) method = script_metamethod(shared, b, which);
  if (BATON_STRESS || method == nullptr) return false;
  put_metamethod(frame, *method, a, b);
  return true;
}

// Puts the call of a table's __newindex behind the registers, if a store asks for it and it is a script function.
BATON_ALWAYS_INLINE bool prepare_setter(const SharedState& shared, const CallFrame* frame, const Value& object, const Value& key,
                                        const Value& value) noexcept {
  if (BATON_STRESS || !object.is_table() || object.table()->metatable == nullptr) return false;
  const Value* method = script_metamethod(shared, object, Metamethod::kNewIndex);
  if (BATON_LIKELY(method == nullptr) || !table::get(object.table(), key)->is_nil()) return false;
  put_metamethod(frame, *method, object, key);
  frame->top[3] = value;
  return true;
}

// Whether no __eq can be found for a table, as its metatable remembers.
BATON_ALWAYS_INLINE bool lacks_equality(const Table* t) noexcept {
  return t->metatable == nullptr || (t->metatable->flags & 1u << static_cast<int>(Metamethod::kEqual)) != 0;
}

// Whether the native at `function` can be called by call_native_here: not pcall or xpcall, no hooks, not in place, room.
BATON_ALWAYS_INLINE bool is_simple_native(const Coroutine* co, const CallFrame* frame, const Value* function,
                                           int arguments) noexcept {
  const Intrinsic intrinsic = function->native()->intrinsic;
  return intrinsic != Intrinsic::kPcall && intrinsic != Intrinsic::kXpcall &&
         (coroutine::runs_plainly(co) || (co->hook_mask == 0 && is_leaf(intrinsic))) && frame + 1 < co->frames_limit && !machine_stack_low(co) &&
         co->stack_limit - function > static_cast<std::ptrdiff_t>(kMinNativeSlots) + 1 + arguments;
}

// The frame of a pcall whose window begins at `window`, with the function it protects, and `arguments` behind that.
constexpr std::uint16_t kPcallFlags = kFrameNative | kFrameIntrinsic | kFrameProtected;
BATON_ALWAYS_INLINE void push_pcall_frame(Coroutine* co, CallFrame* frame, Value* window, int arguments, unsigned c) noexcept {
  frame->pc = nullptr;
  fill_frame(frame, window, window + 1 + arguments + kMinNativeSlots, nullptr, frame_state(kPcallFlags, static_cast<int>(c) - 1));
  frame->argument_count = 0;
  frame->scratch = static_cast<std::uint32_t>(own_nesting(co));
  ++co->nesting;
}

// Whether a return from `frame` only ends a pcall that a script function called.
BATON_ALWAYS_INLINE bool ends_pcall(const Coroutine* co, const CallFrame* frame) noexcept {
  return (frame->flags & ~kFrameTailCall) == kFrameUnderIntrinsic && frame[-1].flags == kPcallFlags && co->hook_mask == 0;
}

// Ends the pcall whose frame is `frame`: true and `count` values at `first`.
BATON_ALWAYS_INLINE void finish_pcall(Coroutine* co, const CallFrame* frame, const Value* first, int count) noexcept {
  set_own_nesting(co, static_cast<std::int32_t>(frame->scratch));
  Value* result = frame->base;
  result[-1].set_boolean(true);
  const int wanted = frame->wanted() - 1;  // behind the status; -2: all
  const int kept = wanted == -2 || count < wanted ? count : wanted;
  BATON_SHORT_LOOP
  for (int i = 0; i < kept; ++i) result[i] = first[i];
  BATON_SHORT_LOOP
  for (int i = kept; i < wanted; ++i) result[i].set_nil();
  if (wanted == -2) co->top = result + count;
}

// Completes the `count` results of an intrinsic, which stand at `function`; `c` is operand c of the call.
BATON_ALWAYS_INLINE void pad_results(Coroutine* co, Value* function, int count, unsigned c) noexcept {
  if (c == 0) co->top = function + count;
  for (unsigned i = static_cast<unsigned>(count); i + 1 < c; ++i) function[i].set_nil();
}
BATON_ALWAYS_INLINE void pad_result(Coroutine* co, Value* function, unsigned c) noexcept { pad_results(co, function, 1, c); }


// Moves `count` results down to `function`, padded or cut to what operand c asks for.
BATON_ALWAYS_INLINE void deliver_results(Coroutine* co, Value* function, const Value* first, int count, unsigned c) noexcept {
  const int wanted = static_cast<int>(c) - 1;
  const int kept = wanted >= 0 && wanted < count ? wanted : count;
  for (int i = 0; i < kept; ++i) function[i] = first[i];
  for (int i = kept; i < wanted; ++i) function[i].set_nil();
  if (wanted < 0) co->top = function + count;
}

// The position behind `key` in `t` where that is found without a call; false: table::find_position may know.
BATON_ALWAYS_INLINE bool find_position_fast(const Table* t, const Value& key, std::uint64_t& position) noexcept {
  if (key.is_integer() && static_cast<std::uint64_t>(key.integer) - 1 < t->array_size) {
    position = static_cast<std::uint64_t>(key.integer);
    return true;
  }
  position = 0;
  if (key.is_nil()) return true;
  if (key.tag != Tag::kShortString) return false;
  const Node* node = &t->nodes[key.string()->hash & t->node_mask()];
  while (node->key_bits != key.bits || node->key_tag != Tag::kShortString) {
    if (node->next == 0) return false;
    node += node->next;
  }
  position = t->array_size + static_cast<std::uint64_t>(node - t->nodes) + 1;
  return true;
}

// table::next_at, expanded in the loop of pairs.
BATON_ALWAYS_INLINE bool next_entry(const Table* t, std::uint64_t position, Value* result) noexcept {
  for (; position < t->array_size; ++position) {
    if (t->array[position].is_nil()) continue;
    result[1] = t->array[position];
    result[0] = Value::from(static_cast<std::int64_t>(position + 1));
    return true;
  }
  const Node* const end = t->nodes + t->node_mask();
  for (const Node* node = t->nodes + (position - t->array_size); node <= end; ++node) {
    if (node->value().is_nil()) continue;
    result[0] = Value::of(reinterpret_cast<Object*>(node->key_bits), node->key_tag);
    result[1] = node->value();
    return true;
  }
  return false;
}

// begin_call and finish_return in one for a native called by a script function: the common way.
BATON_ALWAYS_INLINE Next call_native_here(ThreadState& thread, Value* function, int arguments, int wanted) {
  Coroutine* co = thread.current;
  CallFrame* frame = co->frame + 1;
  co->top = function + 1 + arguments;
  frame->base = function + 1;
  frame->pc = nullptr;
  frame->top = co->top + kMinNativeSlots;
  frame->flags = kFrameNative;
  frame->set_wanted(wanted);
  co->frame = frame;
  NativeCall call(thread, arguments);
  int count = function->native()->function(call);
  if (BATON_UNLIKELY(count == kNativeFailed)) return Next::kError;
  frame = co->frame;
  Value* result = frame->base - 1;
  const Value* first = result;
  if (count == kResultInPlace) count = 1;
  else first = co->top - count;
  if (BATON_UNLIKELY(co->hook_mask != 0)) return finish_return(thread, const_cast<Value*>(first), count);
  co->frame = frame - 1;
  const int kept = wanted >= 0 && wanted < count ? wanted : count;
  if (first != result) {
    for (int i = 0; i < kept; ++i) result[i] = first[i];
  }
  for (int i = kept; i < wanted; ++i) result[i].set_nil();
  if (wanted < 0) co->top = result + count;
  return Next::kContinue;
}

}  // namespace

#include "vm/interpreter_macros.h"

#if BATON_TAIL_CALL_DISPATCH

#include "vm/handlers/load.inc"
#include "vm/handlers/table.inc"
#include "vm/handlers/arithmetic.inc"
#include "vm/handlers/jump.inc"
#include "vm/handlers/native.inc"
#include "vm/handlers/call.inc"
#include "vm/handlers/fused.inc"

namespace {

constexpr Handler kPlainTable[256] = {
#define BATON_OPCODE(name, form, a, b, c, flags, base, meaning) op_##name,
#include "bytecode/opcodes.def"
#undef BATON_OPCODE
#define BATON_FUSED(name, first, second, link) op_##name,
#include "bytecode/fused_opcodes.def"
#undef BATON_FUSED
};

// One instruction at a time.
constexpr Handler kSingleTable[256] = {
#define BATON_OPCODE(name, form, a, b, c, flags, base, meaning) op_##name,
#include "bytecode/opcodes.def"
#undef BATON_OPCODE
#define BATON_FUSED(name, first, second, link) op_##first,
#include "bytecode/fused_opcodes.def"
#undef BATON_FUSED
};

BATON_OP(Polled) {
  BATON_POLL_CALL();
  BATON_REACH_SAFEPOINT();
  [[clang::musttail]] return kPlainTable[word & 0xFF](thread, pc, base, constants, frame, dispatch, word);
}

BATON_OP(Traced) {
  BATON_TRACE();
  [[clang::musttail]] return kSingleTable[word & 0xFF](thread, pc, base, constants, frame, dispatch, word);
}

constexpr Handlers kHandlers = {kPlainTable, kSingleTable, op_Polled, op_Traced};
const Handlers& handlers() noexcept { return kHandlers; }

}  // namespace

Next execute(ThreadState& state) {
  ThreadState* thread = &state;
  const Instruction* pc;
  Value* base;
  const Value* constants;
  CallFrame* frame;
  const DispatchTable* dispatch;
  BATON_LOAD_FRAME();
  const std::uint64_t word = fetch(pc++);
  return BATON_HANDLER(dispatch, word)(thread, pc, base, constants, frame, dispatch, word);
}

Next execute_entered(ThreadState& state, CallFrame* frame, Value* base, const Prototype* prototype) {
  const Instruction* pc = prototype->code.items;
  const DispatchTable* dispatch = state.dispatch;
  const std::uint64_t word = fetch(pc++);
  return BATON_HANDLER(dispatch, word)(&state, pc, base, prototype->constants.items, frame, dispatch, word);
}

#else

namespace {

// The interpreter as one function. Called with a null thread it only publishes its labels.
Next interpret(ThreadState* thread, const Handlers** handlers_out) {
  static const void* const kPlainTable[256] = {
#define BATON_OPCODE(name, form, a, b, c, flags, base, meaning) &&label_##name,
#include "bytecode/opcodes.def"
#undef BATON_OPCODE
#define BATON_FUSED(name, first, second, link) &&label_##name,
#include "bytecode/fused_opcodes.def"
#undef BATON_FUSED
  };
  static const void* const kSingleTable[256] = {
#define BATON_OPCODE(name, form, a, b, c, flags, base, meaning) &&label_##name,
#include "bytecode/opcodes.def"
#undef BATON_OPCODE
#define BATON_FUSED(name, first, second, link) &&label_##first,
#include "bytecode/fused_opcodes.def"
#undef BATON_FUSED
  };
  static const Handlers kHandlers = {kPlainTable, kSingleTable, &&label_Polled, &&label_Traced};
  if (thread == nullptr) {
    *handlers_out = &kHandlers;
    return Next::kExit;
  }
  const Instruction* pc;
  Value* base;
  const Value* constants;
  CallFrame* frame;
  const DispatchTable* dispatch;
  std::uint64_t word;
  BATON_RELOAD();

#include "vm/handlers/load.inc"
#include "vm/handlers/table.inc"
#include "vm/handlers/arithmetic.inc"
#include "vm/handlers/jump.inc"
#include "vm/handlers/native.inc"
#include "vm/handlers/call.inc"
#include "vm/handlers/fused.inc"

label_Polled : {
  BATON_POLL_CALL();
  BATON_REACH_SAFEPOINT();
  goto* const_cast<void*>(kPlainTable[word & 0xFF]);
}

label_Traced : {
  BATON_TRACE();
  goto* const_cast<void*>(kSingleTable[word & 0xFF]);
}
}

const Handlers& handlers() noexcept {
  static const Handlers* const kHandlers = [] {
    const Handlers* published = nullptr;
    (void)interpret(nullptr, &published);
    return published;
  }();
  return *kHandlers;
}

}  // namespace

Next execute(ThreadState& state) { return interpret(&state, nullptr); }

Next execute_entered(ThreadState& state, CallFrame*, Value*, const Prototype*) { return interpret(&state, nullptr); }

#endif

namespace {

std::uintptr_t address_of(Handler handler) noexcept { return reinterpret_cast<std::uintptr_t>(handler); }

// Asked, an instruction that polls leads to Polled, and a pair to the First alone, behind which the Second is dispatched.
PolledEntries polled_entries() noexcept {
  PolledEntries entries;
  if (BATON_UNPOLLED) return entries;
  static_assert(kPolledCount <= static_cast<int>(PolledEntries::kMost));
  const Handlers& all = handlers();
  entries.count = kPolledCount;
  for (int i = 0; i < kPolledCount; ++i) {
    entries.quiet[i] = address_of(all.plain[kFirstPolled + i]);
    entries.asked[i] = address_of(i < kPolledGenericCount ? all.polled : all.single[kFirstPolled + i]);
  }
  return entries;
}

}  // namespace

void prepare_dispatch(DispatchTable& table, InterruptWord& word) noexcept {
  static const PolledEntries kEntries = polled_entries();
  for (int i = 0; i < 256; ++i) table.handlers[i].store(address_of(handlers().plain[i]), std::memory_order_relaxed);
  word.direct(kEntries, &table.handlers[kFirstPolled]);
}

const DispatchTable* traced_table() noexcept {
  struct Traced : DispatchTable {
    Traced() noexcept {
      for (std::atomic<std::uintptr_t>& handler : handlers) handler.store(address_of(vm::handlers().traced), std::memory_order_relaxed);
    }
  };
  static const Traced kTable;
  return &kTable;
}

}  // namespace baton::vm

namespace baton {

ThreadState::ThreadState(SharedState& s) : shared(s) { vm::prepare_dispatch(own_table, interrupt); }

}  // namespace baton
