#include "vm/slow_paths.h"

#include <algorithm>

#include "base/number.h"
#include "bytecode/fused_opcode.h"
#include "value/table.h"
#include "value/table_learning.h"
#include "value/table_template.h"
#include "vm/close.h"
#include "vm/debug_hooks.h"
#include "vm/native.h"
#include "vm/safepoint.h"
#include "vm/seeded_switches.h"

namespace baton::vm::slow {
namespace {

constexpr int kMaxMetamethodChain = 2000;

Next fail(ThreadState& thread, const Value& error) noexcept {
  thread.pending = error;
  return Next::kError;
}

// Behind begin_call: a script function polls where it begins.
Next begun(ThreadState& thread, Next next) {
  if (BATON_LIKELY(!thread.interrupt.any()) || next != Next::kContinue) return next;
  const CallFrame* frame = thread.current->frame;
  if (frame->pc == frame->base[-1].closure()->prototype->code.items) back_edge(thread);
  return next;
}

// Calls the metamethod `function` with operands on behalf of the running instruction. The operands
// go behind the frame's registers, into the reserve at worst.
Next call_metamethod(ThreadState& thread, const Value& function, const Value& a, const Value& b, const Value* c) {
  Coroutine* co = thread.current;
  Value* slot = co->frame->top;
  slot[0] = function;
  slot[1] = a;
  slot[2] = b;
  if (c != nullptr) slot[3] = *c;
  if (c != nullptr) return begun(thread, begin_call(thread, slot, 3, 0, 0));
  return begun(thread, begin_call(thread, slot, 2, 1, kFrameFinish));
}

Next binary_metamethod(ThreadState& thread, Metamethod which, const Value& a, const Value& b, bool* found) {
  const Value* function = &metamethod(thread.shared, a, which);
  if (function->is_nil()) function = &metamethod(thread.shared, b, which);
  *found = !function->is_nil();
  if (!*found) return Next::kContinue;
  return call_metamethod(thread, *function, a, b, nullptr);
}

// What an __index that is a class's own would find first.
const Value* find_method(const Value& index, const Value& key) noexcept {
  if (index.tag != Tag::kNative || index.native()->intrinsic != Intrinsic::kFindMethod) return &table::kAbsent;
  const Value& methods = index.native()->upvalues()[0];
  return methods.is_table() ? table::get(methods.table(), key) : &table::kAbsent;
}

}  // namespace

Next get(ThreadState& thread, int destination, const Value& object, const Value& key) {
  const Value* at = &object;
  Value holder;
  for (int loop = 0; loop < kMaxMetamethodChain; ++loop) {
    const Value* method;
    if (at->is_table()) {
      const Value* slot = table::get(at->table(), key);
      if (slot->is_nil()) {
        method = &cached_metamethod(thread.shared, at->table()->metatable, Metamethod::kIndex);
        if (!method->is_nil()) slot = nullptr;
      }
      if (slot != nullptr) {
        thread.current->frame->base[destination] = *slot;
        return Next::kContinue;
      }
    } else {
      method = &metamethod(thread.shared, *at, Metamethod::kIndex);
      if (method->is_nil()) return fail(thread, error::type(thread, *at, "index"));
    }
    if (method->is_function()) {
      const Value* found = find_method(*method, key);
      if (found->is_nil()) return call_metamethod(thread, *method, *at, key, nullptr);
      thread.current->frame->base[destination] = *found;
      return Next::kContinue;
    }
    holder = *method;
    at = &holder;
  }
  return fail(thread, error::text(thread, "'__index' chain too long; possible loop"));
}

Next set(ThreadState& thread, const Value& object, const Value& key, const Value& value) {
  const Value* at = &object;
  Value holder;
  for (int loop = 0; loop < kMaxMetamethodChain; ++loop) {
    const Value* method;
    if (at->is_table()) {
      Table* t = at->table();
      const Value* slot = table::get(t, key);
      method = slot->is_nil() ? &cached_metamethod(thread.shared, t->metatable, Metamethod::kNewIndex) : &table::kAbsent;
      if (method->is_nil()) {
        if (slot->is_nil()) table::insert(thread.heap(), t, key, slot, value);
        else table::set(thread.heap(), t, key, value);
        return Next::kContinue;
      }
    } else {
      method = &metamethod(thread.shared, *at, Metamethod::kNewIndex);
      if (method->is_nil()) return fail(thread, error::type(thread, *at, "index"));
    }
    if (method->is_function()) return call_metamethod(thread, *method, *at, key, &value);
    holder = *method;
    at = &holder;
  }
  return fail(thread, error::text(thread, "'__newindex' chain too long; possible loop"));
}

Next arithmetic(ThreadState& thread, Operator op, int destination, const Value& b, const Value& c) {
  Value result;
  switch (raw_arithmetic(op, b, c, result)) {
    case ArithmeticStatus::kDone:
      thread.current->frame->base[destination] = result;
      return Next::kContinue;
    case ArithmeticStatus::kDivideByZero: return fail(thread, error::text(thread, "attempt to divide by zero"));
    case ArithmeticStatus::kModuloByZero: return fail(thread, error::text(thread, "attempt to perform 'n%0'"));
    default: break;
  }
  bool found;
  const Next next = binary_metamethod(thread, metamethod_of(op), b, c, &found);
  if (!found) return fail(thread, error::arithmetic(thread, op, b, c));
  return next;
}

Next arithmetic_constant(ThreadState& thread, Operator op, const Instruction& i, const Value& b, const Value& c) {
  if (i.d == 1) return arithmetic(thread, op, i.a, c, b);
  if (i.d == 2) return arithmetic(thread, Operator::kSubtract, i.a, b, Value::from(-c.integer));
  return arithmetic(thread, op, i.a, b, c);
}

Next length(ThreadState& thread, int destination, const Value& operand) {
  Value* base = thread.current->frame->base;
  const Value* method;
  if (operand.is_table()) {
    method = &cached_metamethod(thread.shared, operand.table()->metatable, Metamethod::kLength);
    if (method->is_nil()) {
      base[destination] = Value::from(static_cast<std::int64_t>(table::length(operand.table())));
      return Next::kContinue;
    }
  } else {
    if (operand.is_string()) {
      base[destination] = Value::from(static_cast<std::int64_t>(operand.string()->length));
      return Next::kContinue;
    }
    method = &metamethod(thread.shared, operand, Metamethod::kLength);
    if (method->is_nil()) return fail(thread, error::type(thread, operand, "get length of"));
  }
  return call_metamethod(thread, *method, operand, operand, nullptr);
}

Next equal(ThreadState& thread, const Value& a, const Value& b, bool* done, bool* result) {
  *done = true;
  *result = raw_equal(a, b);
  if (*result || a.tag != b.tag || !(a.is_table() || a.is_userdata())) return Next::kContinue;
  bool found;
  const Next next = binary_metamethod(thread, Metamethod::kEqual, a, b, &found);
  *done = !found;
  return next;
}

namespace {

// Strings by collation; anything else by metamethod.
Next order(ThreadState& thread, const Value& a, const Value& b, Metamethod which, bool* done, bool* result) {
  *done = true;
  if (a.is_string() && b.is_string()) {
    const int order = string::compare(a.string(), b.string());
    *result = which == Metamethod::kLess ? order < 0 : order <= 0;
    return Next::kContinue;
  }
  bool found;
  const Next next = binary_metamethod(thread, which, a, b, &found);
  if (!found) return fail(thread, error::order(thread, a, b));
  *done = false;
  return next;
}

}  // namespace

Next less(ThreadState& thread, const Value& a, const Value& b, bool* done, bool* result) {
  if (a.is_number() && b.is_number()) {
    *done = true;
    *result = vm::less(thread, a, b);
    return Next::kContinue;
  }
  return order(thread, a, b, Metamethod::kLess, done, result);
}

Next less_equal(ThreadState& thread, const Value& a, const Value& b, bool* done, bool* result) {
  if (a.is_number() && b.is_number()) {
    *done = true;
    *result = vm::less_equal(thread, a, b);
    return Next::kContinue;
  }
  return order(thread, a, b, Metamethod::kLessEqual, done, result);
}

namespace {

// Whether `count` operands are joined without a metamethod.
bool joins_texts(const Value* operands, int count) noexcept {
  return std::all_of(operands, operands + count, [](const Value& v) { return v.is_string() || v.is_number(); });
}

}  // namespace

Next concat(ThreadState& thread, int destination, int first, int count) {
  Coroutine* co = thread.current;
  if (BATON_UNLIKELY(co->in_place) && !joins_texts(co->frame->base + first, count)) return Next::kPromote;
  co->top = co->frame->base + first + count;
  vm::concat(thread, count);
  co->frame->base[destination] = co->top[-1];
  return Next::kContinue;
}

namespace {

// Numbers and numeric strings as a float.
bool for_number(const Value& v, double* number) noexcept {
  Value converted;
  if (!to_number(v, converted)) return false;
  *number = converted.is_float() ? converted.number : static_cast<double>(converted.integer);
  return true;
}

// The integer limit of a loop with integer start and step, clipped. Returns false if it runs no time.
bool integer_limit(ThreadState& thread, const Value& limit, std::int64_t start, std::int64_t step, std::int64_t* result) {
  if (limit.is_integer()) {
    *result = limit.integer;
  } else {
    double number;
    if (!for_number(limit, &number)) raise_for(thread, limit, "limit");
    if (number != number) return false;
    const double whole = step < 0 ? __builtin_ceil(number) : __builtin_floor(number);
    if (number::fits_integer(whole)) *result = static_cast<std::int64_t>(whole);
    else if (number > 0) *result = INT64_MAX;
    else *result = INT64_MIN;
    if (number > 0 && step < 0 && !number::fits_integer(whole)) return false;
    if (number < 0 && step > 0 && !number::fits_integer(whole)) return false;
  }
  return step > 0 ? start <= *result : start >= *result;
}

bool prepare_integer_for(ThreadState& thread, Value* ra) {
  const std::int64_t start = ra[0].integer;
  const std::int64_t step = ra[2].integer;
  std::int64_t limit;
  if (step == 0) raise_text(thread, "'for' step is zero");
  if (!integer_limit(thread, ra[1], start, step, &limit)) return false;
  std::uint64_t count;
  if (step > 0) {
    count = static_cast<std::uint64_t>(limit) - static_cast<std::uint64_t>(start);
    if (step != 1) count /= static_cast<std::uint64_t>(step);
  } else {
    count = static_cast<std::uint64_t>(start) - static_cast<std::uint64_t>(limit);
    count /= static_cast<std::uint64_t>(-(step + 1)) + 1;
  }
  const std::uint64_t last = static_cast<std::uint64_t>(start) + count * static_cast<std::uint64_t>(step);
  ra[1].set_integer(static_cast<std::int64_t>(last));  // reached exactly: the loop need only compare
  ra[3].set_integer(start);
  return true;
}

}  // namespace

bool prepare_for(ThreadState& thread, int a) {
  Value* ra = thread.current->frame->base + a;
  if (ra[0].is_integer() && ra[2].is_integer()) return prepare_integer_for(thread, ra);
  double start, limit, step;
  if (!for_number(ra[1], &limit)) raise_for(thread, ra[1], "limit");
  if (!for_number(ra[2], &step)) raise_for(thread, ra[2], "step");
  if (!for_number(ra[0], &start)) raise_for(thread, ra[0], "initial value");
  if (step == 0) raise_text(thread, "'for' step is zero");
  if (step > 0 ? !(start <= limit) : !(limit <= start)) return false;
  ra[0].set_float(start);
  ra[1].set_float(limit);
  ra[2].set_float(step);
  ra[3].set_float(start);
  return true;
}

bool step_float_for(Value* ra) noexcept {
  const double step = ra[2].number;
  const double index = ra[0].number + step;
  if (step > 0 ? !(index <= ra[1].number) : !(ra[1].number <= index)) return false;
  ra[0].set_float(index);
  ra[3].set_float(index);
  return true;
}

void set_list(ThreadState& thread, int a, int count, std::uint32_t start) {
  Coroutine* co = thread.current;
  const Value* ra = co->frame->base + a;
  if (count < 0) count = static_cast<int>(co->top - ra) - 1;
  Table* t = ra->table();
  Heap& heap = thread.heap();
  if (start + count > t->array_size) table::resize(heap, t, start + count, t->node_mask() == 0 ? 0 : t->node_mask() + 1);
  Value* const to = t->array + start;
  for (int i = 0; i < count; ++i) to[i] = ra[i + 1];
  for (int i = 0; i < count && BATON_UNLIKELY(t->is_black()); ++i) heap.barrier_back(t, to[i]);
  t->length_hint = start + static_cast<std::uint32_t>(count);  // so that #{nil, 2} is 2, as scripts have come to expect
}

namespace {

constexpr std::uint32_t kMaxTemplateKeys = 16;
constexpr std::uint32_t kLookAhead = 256;  // instructions behind a NewTable among which its stores are sought

// The names of the fields that the constructor which starts behind `pc` gives its table. A name too many does no harm.
std::uint32_t constructor_keys(const Prototype* p, const Instruction* pc, int table, std::uint32_t wanted, String** keys) {
  const Instruction* const end = p->code.end() - pc > kLookAhead ? pc + kLookAhead : p->code.end();
  std::uint32_t count = 0;
  for (std::uint32_t stores = 0; pc < end && stores < wanted; ++pc) {
    if (pc->a != table) continue;
    const Opcode base = opcode_info(pc->op).base;
    if (base == Opcode::kNewTable) break;
    if (base == Opcode::kSetTable || base == Opcode::kSetTableK || base == Opcode::kSetInteger || base == Opcode::kSetIntegerK) ++stores;
    if (base != Opcode::kSetField && base != Opcode::kSetFieldK) continue;
    ++stores;
    const Value& key = p->constants[pc->b / sizeof(Value)];  // b is a byte offset
    if (key.tag == Tag::kShortString) keys[count++] = key.string();
  }
  return count;
}

// What a NewTable that is executed again becomes: one with a template, if that is possible.
std::uint32_t with_template(Heap& heap, Prototype* p, const Instruction* pc, int table, std::uint32_t slots, std::uint32_t entries) {
  String* keys[kMaxTemplateKeys];
  if (entries > kMaxTemplateKeys) return slots | kNewTableNever;
  const std::uint32_t count = constructor_keys(p, pc, table, entries, keys);
  const std::int32_t index = count == 0 ? -1 : table::add_template(heap, p, slots, entries, keys, count);
  return index < 0 ? slots | kNewTableNever : static_cast<std::uint32_t>(index) | kNewTableTemplate;
}

}  // namespace

void new_table(ThreadState& thread, const Instruction* pc, int destination, std::uint32_t slots, std::uint32_t entries) {
  Heap& heap = thread.heap();
  Value* base = thread.current->frame->base;
  if (entries != 0) {
    Prototype* p = base[-1].closure()->prototype;
    std::uint32_t& operand = const_cast<Instruction*>(pc)[-1].u;
    if (slots <= kNewTableSlots) operand |= kNewTableSeen;
    else if ((slots & kNewTableNever) == kNewTableSeen) operand = with_template(heap, p, pc, destination, slots & kNewTableSlots, entries);
    slots = table::array_slots_of(p, operand);
  } else if (slots == 0) {
    base[destination] = Value::of(table::make_and_learn(heap, base[-1].closure()->prototype, const_cast<Instruction*>(pc) - 1));
    return;
  } else {
    slots &= kNewTableSlots;
  }
  base[destination] = Value::of(table::make(heap, slots, entries));
}

void new_table_from(ThreadState& thread, int destination, std::uint32_t index) {
  Value* base = thread.current->frame->base;
  Prototype* p = base[-1].closure()->prototype;
  const TableTemplate* from = p->templates[index];
  const bool learns = from->learned < kLearnedEnough;
  base[destination] = Value::of(BATON_UNLIKELY(learns) ? table::make_from_and_learn(thread.heap(), p, index) : table::make_from(thread.heap(), from));
}

void make_closure(ThreadState& thread, int destination, std::uint32_t index) {
  Coroutine* co = thread.current;
  Value* base = co->frame->base;
  base[destination] = Value::of(closure::capture(thread.heap(), co, base[-1].closure(), index, base));
}

void prepare_varargs(ThreadState& thread) {
  Coroutine* co = thread.current;
  CallFrame* frame = co->frame;
  const Prototype* p = frame->base[-1].closure()->prototype;
  const int arguments = static_cast<int>(frame->argument_count);
  const int parameters = p->parameter_count;
  const int given = arguments > parameters ? arguments : parameters;
  co->top = frame->base + given;
  if (co->stack_limit - co->top <= static_cast<std::ptrdiff_t>(p->max_stack) + 1) {
    make_stack_room(thread, p->max_stack + 1u);
    frame = co->frame;
  }
  Value* old = frame->base;
  Value* fresh = old + given;  // copy of the function
  fresh[0] = old[-1];
  for (int i = 0; i < parameters; ++i) {
    fresh[1 + i] = old[i];
    old[i].set_nil();
  }
  frame->base = fresh + 1;
  frame->top = frame->base + p->max_stack;
  frame->argument_count = static_cast<std::uint32_t>(given - parameters);
}

void get_varargs(ThreadState& thread, int a, int wanted) {
  Coroutine* co = thread.current;
  CallFrame* frame = co->frame;
  const int extra = static_cast<int>(frame->argument_count);
  const bool open = wanted < 0;
  if (open) wanted = extra;
  if (frame->base + a + wanted > co->stack_limit) {
    co->top = frame->base + a;
    make_stack_room(thread, static_cast<std::uint32_t>(wanted) + 1);
    frame = co->frame;
  }
  Value* ra = frame->base + a;
  const Value* source = frame->base - 1 - extra;
  const int copied = extra < wanted ? extra : wanted;
  for (int i = 0; i < copied; ++i) ra[i] = source[i];
  for (int i = copied; i < wanted; ++i) ra[i].set_nil();
  if (open) co->top = ra + wanted;
}

Next close(ThreadState& thread, int a) {
  Coroutine* co = thread.current;
  Value* level = co->frame->base + a;
  if (BATON_UNLIKELY(co->in_place) && has_pending_variables(co, level)) return Next::kPromote;
  co->top = co->frame->top;
  close_variables(thread, level);
  return Next::kContinue;
}

Value* close_for_return(ThreadState& thread, int a, int count) {
  Coroutine* co = thread.current;
  Value* first = co->frame->base + a;
  if (!has_pending_variables(co, co->frame->base)) {
    closure::close_upvalues(thread.heap(), co, co->frame->base);
    return first;
  }
  if (BATON_UNLIKELY(co->in_place)) return nullptr;
  co->top = first + count;
  if (co->top < co->frame->top) co->top = co->frame->top;
  const std::ptrdiff_t offset = first - co->stack;
  closure::close_upvalues(thread.heap(), co, co->frame->base);  // or a method could change a result that stands in its local
  close_variables(thread, co->frame->base);
  return co->stack + offset;
}

void mark_to_be_closed(ThreadState& thread, int a) {
  Coroutine* co = thread.current;
  Value* slot = co->frame->base + a;
  if (slot->is_falsy()) return;
  if (metamethod(thread.shared, *slot, Metamethod::kClose).is_nil()) raise_not_closable(thread, slot);
  coroutine::push_to_be_closed(thread.heap(), co, slot);
}

Next tail_call(ThreadState& thread, int a, int arguments) {
  Coroutine* co = thread.current;
  CallFrame* frame = co->frame;
  Value* function = frame->base + a;
  for (int level = 1; !function->is_function(); ++level) {
    if (BATON_UNLIKELY(co->in_place)) return Next::kPromote;  // before the arguments move
    function = insert_call_metamethod(thread, function, arguments++, level);
    if (function == nullptr) return Next::kError;
    frame = co->frame;
  }
  // A native cannot replace the frame: it runs like any call and the Return behind the instruction returns its results.
  if (function->is_native()) return begin_call(thread, function, arguments, kMultipleResults, 0);
  const Prototype* own = frame->base[-1].closure()->prototype;
  Value* target = own->is_vararg ? frame->base - 1 - (frame->argument_count + own->parameter_count + 1) : frame->base - 1;
  const std::uint16_t kept = frame->flags & (kFrameEntry | kFrameFinish | kFrameUnderIntrinsic);
  const int wanted = frame->wanted();
  for (int i = 0; i <= arguments; ++i) target[i] = function[i];
  --co->frame;
  push_script_frame(thread, target, arguments, wanted, kept | kFrameTailCall);
  return Next::kContinue;
}

namespace {

// Before the first instruction of a vararg function its extra arguments may reach beyond the registers.
void keep_extra_arguments(Coroutine* co, const Instruction* next) noexcept {
  const CallFrame* frame = co->frame;
  const Prototype* p = frame->base[-1].closure()->prototype;
  if (!p->is_vararg || next != p->code.items) return;
  co->top = std::max(co->top, frame->base + frame->argument_count);
}

// Whether the call that has just ended gave its script anything to keep.
bool has_given_values(const Coroutine* co) noexcept {
  const CallFrame* frame = co->frame;
  if (frame->pc == frame->base[-1].closure()->prototype->code.items) return false;  // it begins
  const Instruction call = frame->pc[-1];
  const Opcode base = opcode_info(call.op).base;
  if (base != Opcode::kCall && base != Opcode::kTailCall) return false;
  const Value* first = frame->base + call.a;
  const Value* last = base == Opcode::kTailCall || call.c == 0 ? co->top : first + (call.c - 1);
  return std::any_of(first, last, [](const Value& v) { return !v.is_nil() && !v.is_boolean(); });
}

// Values that no variable and no expression under way holds must not keep objects alive, however long a loop runs: the
// collector takes all registers of a frame for roots, so before a step what lies in [first, frame->top) is forgotten.
void forget_registers(ThreadState& thread, Value* first) noexcept {
  if ((thread.interrupt.bits.load(std::memory_order_relaxed) & kInterruptCollect) == 0) return;
  for (Value* slot = first; slot < thread.current->frame->top; ++slot) slot->set_nil();
}

// The first register that holds no variable in front of the instruction `next` of the running function, when nothing is
// being evaluated there: at the beginning of a function, and where a back-edge leads.
Value* end_of_variables(const CallFrame* frame, const Instruction* next) noexcept {
  const Prototype* p = frame->base[-1].closure()->prototype;
  const bool begins_with_extra_arguments = p->is_vararg && next == p->code.items;
  if (p->lines.size == 0 || begins_with_extra_arguments) return frame->top;  // no lines: stripped, so its variables are unknown
  const auto pc = static_cast<std::uint32_t>(next - p->code.items);
  Value* end = frame->base;
  for (const LocalDescription& local : p->locals) {
    if (local.start_pc > pc) break;
    if (pc < local.end_pc) ++end;
  }
  return end;
}

}  // namespace

void safepoint(ThreadState& thread, bool open) {
  Coroutine* co = thread.current;
  const CallFrame* frame = co->frame;
  if (frame->pc == frame->base[-1].closure()->prototype->code.items) return back_edge(thread);  // a function begins
  const Instruction call = frame->pc[-1];
  if (opcode_info(call.op).base == Opcode::kCall && call.c != 0) forget_registers(thread, frame->base + call.a + (call.c - 1));
  const SafepointKind kind = has_given_values(co) ? SafepointKind::kReturn : SafepointKind::kBackEdge;
  const std::ptrdiff_t top = co->top - co->stack;
  if (!open || co->top < co->frame->top) co->top = co->frame->top;
  keep_extra_arguments(co, co->frame->pc);
  vm::safepoint(thread, kind);
  if (open) co->top = co->stack + top;
}

namespace {

// Where a back-edge is about to lead, if its loop goes on; `next` itself if it is none. All registers that it reads itself
// hold variables there.
const Instruction* back_edge_target(const Instruction* next) noexcept {
  if (!polls_in_front(opcode_info(next->op).base)) return next;
  if (next->op == Opcode::kForInCall) ++next;  // its ForInLoop
  return Instruction::jump_from(next + 1, next->j);
}

}  // namespace

void back_edge(ThreadState& thread) {
  Coroutine* co = thread.current;
  forget_registers(thread, end_of_variables(co->frame, back_edge_target(co->frame->pc)));
  co->top = co->frame->top;
  keep_extra_arguments(co, co->frame->pc);
  ++co->frame->pc;  // as if the instruction had begun
  vm::safepoint(thread, SafepointKind::kBackEdge);
  --co->frame->pc;
}

void trace(ThreadState& thread, const Instruction* pc) {
  Coroutine* co = thread.current;
  SharedState& shared = thread.shared;
  if (shared.counts_instructions() && --shared.budget_left == 0) shared.on_instructions_spent(shared);
  if (co->hook_mask == 0 && !shared.is_seeded) return;
  CallFrame* frame = co->frame;
  frame->pc = pc + 1;
  const std::ptrdiff_t top = co->top - co->stack;
  const OpcodeInfo& info = opcode_info(pc->op);
  const bool open = (info.flags & kOpOpen) != 0;
  if (!open || co->top < frame->top) co->top = frame->top;
  keep_extra_arguments(co, pc);
  if (thread.shared.is_seeded) count_seeded_instruction(thread);
  if ((co->hook_mask & kHookCall) && pc == frame->base[-1].closure()->prototype->code.items && !(frame->flags & kFrameFresh)) {
    frame->flags |= kFrameFresh;
    hook_call(thread, (frame->flags & kFrameTailCall) != 0);
  }
  if (co->hook_mask & (kHookLine | kHookCount)) trace_instruction(thread, pc);
  if (co->hook_mask & kHookReturn) co->frame->flags |= kFrameFresh;  // so that the return takes the slow path
  if (open) co->top = co->stack + top;
}

}  // namespace baton::vm::slow
