// Finding the names of values (what PUC Lua's messages show).
//
// The question "what is in register r at instruction pc?" is answered in two ways. If r is an active
// local variable, debug information names it. Otherwise the code is read once from its start to pc:
// the last instruction that writes r tells where the value came from - a field, a global, an
// upvalue, a constant, another register.
//
// Straight reading is wrong where control flow joins: in
//
//         JumpUnless R1 -> L
//         GetGlobal  R3 ...            <- writes r, but only on one path
//      L: Call       R3
//
// the value has two origins, and the honest answer is none. So a forward jump that lands at or
// before pc opens a conditional region up to its target; a write inside the region does not count as
// "the" origin. Backward jumps need no care: code before pc that is reached again only by a loop
// belongs to a statement that has ended, and temporaries do not live across statements.
//
// Which registers an instruction writes follows from its operand kinds in opcodes.def (`a` is Dst or
// DstReg: one register, a); `written` lists the instructions that write more than that.
//
// Everything here works on any prototype, also on a stripped one (names are then "?" or missing) and
// on one that a hostile binary chunk describes: it reads only within the arrays' bounds, and the
// chain of moves that it follows gets shorter at each step because positions only decrease.
#include "vm/variable_names.h"

#include <algorithm>

#include "bytecode/opcode.h"
#include "value/string.h"
#include "vm/shared_state.h"

namespace baton::vm {
namespace {

constexpr std::string_view kUnknown = "?";
constexpr std::string_view kEnvironment = "_ENV";
constexpr int kLargestNamedInteger = 255;  // PUC Lua's instruction holds no larger index

struct Registers {
  int first = 0, last = -1;  // inclusive; empty by default
  bool contains(int reg) const noexcept { return first <= reg && reg <= last; }
};

constexpr int kAllAbove = 1 << 16;

Opcode generic(const Instruction& i) noexcept { return opcode_info(i.op).base; }

// The registers that instruction `i` changes.
Registers written(const Instruction& i) noexcept {
  const int a = i.a;
  switch (generic(i)) {
    case Opcode::kLoadNil: return {a, a + i.b - 1};
    case Opcode::kSelf: return {a, a + 1};
    case Opcode::kCall:
    case Opcode::kTailCall: return {a, kAllAbove};
    case Opcode::kForInCall: return {a + 4, kAllAbove};
    case Opcode::kForPrepare: return {a, a + 3};
    case Opcode::kForLoop:
    case Opcode::kForLoopUnit: return {a, a + 3};
    case Opcode::kForInLoop: return {a + 2, a + 2};
    case Opcode::kVararg: return i.b == 0 ? Registers{a, kAllAbove} : Registers{a, a + i.b - 2};
    case Opcode::kConcat: return {std::min<int>(a, i.b), std::max<int>(a, i.b + i.c - 1)};
    default: break;
  }
  const OperandKind kind = opcode_info(i.op).a;
  if (kind == OperandKind::kDst || kind == OperandKind::kDstReg) return {a, a};
  return {};
}

// Where the jump of instruction `pc` goes; `pc` itself if it is none.
std::int64_t jump_target(const Instruction& i, std::int32_t pc) noexcept {
  if (i.op == Opcode::kLoadFalseSkip) return std::int64_t{pc} + 2;
  return std::int64_t{pc} + 1 + i.j;
}

// The instruction that gave register `reg` the value that `last_pc` finds there, or -1.
std::int32_t find_writer(const Prototype* p, std::int32_t last_pc, int reg) noexcept {
  std::int32_t writer = -1;
  std::int64_t conditional_until = 0;
  for (std::int32_t pc = 0; pc < last_pc; ++pc) {
    const Instruction i = p->code[pc].decoded();
    if (written(i).contains(reg)) writer = pc < conditional_until ? -1 : pc;
    if ((opcode_info(i.op).flags & kOpJump) == 0) continue;
    const std::int64_t target = jump_target(i, pc);
    if (target > pc + 1 && target <= last_pc && target > conditional_until) conditional_until = target;
  }
  return writer;
}

std::string_view string_constant(const Prototype* p, std::uint32_t index) noexcept {
  if (index >= p->constants.size || !p->constants[index].is_string()) return kUnknown;
  return p->constants[index].string()->view();
}

// A field of the variable _ENV is a global.
VariableName field_of(bool of_environment, std::string_view name) noexcept {
  return {of_environment ? "global" : "field", name};
}

// What the value that the instruction at `pc` has produced is called, if it comes from a variable or
// a constant.
VariableName simple_origin(const Prototype* p, std::int32_t pc) noexcept;

// The variable or constant that register `reg` holds at `pc`.
VariableName simple_name(const Prototype* p, std::int32_t pc, int reg) noexcept {
  const String* local = prototype::local_name(p, reg + 1, static_cast<std::uint32_t>(pc));
  if (local != nullptr) return {"local", local->view()};
  const std::int32_t writer = find_writer(p, pc, reg);
  return writer < 0 || p->code[writer].a != reg ? VariableName{} : simple_origin(p, writer);
}

VariableName simple_origin(const Prototype* p, std::int32_t pc) noexcept {
  const Instruction i = p->code[pc].decoded();
  switch (generic(i)) {
    case Opcode::kMove: return i.b < i.a ? simple_name(p, pc, i.b) : VariableName{};
    case Opcode::kGetUpvalue: return {"upvalue", upvalue_name(p, i.b)};
    case Opcode::kLoadConstant:
      if (i.u < p->constants.size && p->constants[i.u].is_string()) return {"constant", string_constant(p, i.u)};
      return {};
    default: return {};
  }
}

bool holds_environment(const Prototype* p, std::int32_t pc, int reg) noexcept {
  const VariableName table = simple_name(p, pc, reg);
  return table.name == kEnvironment && std::string_view(table.kind) != "constant";
}

std::string_view integer_key_name(std::int64_t key) noexcept {
  return key >= 0 && key <= kLargestNamedInteger ? "integer index" : kUnknown;
}

// The name of a field whose key stands in register `reg`: only constants tell.
std::string_view key_name(const Prototype* p, std::int32_t pc, int reg) noexcept {
  const VariableName key = simple_name(p, pc, reg);
  if (key) return std::string_view(key.kind) == "constant" ? key.name : kUnknown;
  const std::int32_t writer = find_writer(p, pc, reg);
  if (writer < 0 || generic(p->code[writer]) != Opcode::kLoadInteger) return kUnknown;
  return integer_key_name(p->code[writer].j);
}

// As simple_origin, also for fields.
VariableName origin(const Prototype* p, std::int32_t pc) noexcept {
  const Instruction i = p->code[pc].decoded();
  switch (generic(i)) {
    case Opcode::kMove: return i.b < i.a ? register_name(p, pc, i.b) : VariableName{};
    case Opcode::kGetGlobal: return field_of(upvalue_name(p, i.b) == kEnvironment, string_constant(p, i.c));
    case Opcode::kGetField: return field_of(holds_environment(p, pc, i.b), string_constant(p, i.c));
    case Opcode::kGetTable: return field_of(holds_environment(p, pc, i.b), key_name(p, pc, i.c));
    case Opcode::kGetInteger: return {"field", integer_key_name(i.c)};
    case Opcode::kSelf: return {"method", string_constant(p, i.c)};
    default: return simple_origin(p, pc);
  }
}

// The metamethod whose field name an instruction's failure or traceback shows, without "__".
std::string_view metamethod_name(Metamethod which) noexcept {
  static constexpr std::string_view kFields[] = {
#define BATON_METAMETHOD(name, field) field,
#include "vm/metamethods.def"
#undef BATON_METAMETHOD
  };
  return kFields[static_cast<int>(which)].substr(2);
}

Metamethod offset(Metamethod first, Opcode op, Opcode first_op) noexcept {
  return static_cast<Metamethod>(static_cast<int>(first) + static_cast<int>(op) - static_cast<int>(first_op));
}

// Which metamethod an instruction may run; kCount for none.
Metamethod metamethod_of(const Instruction& i) noexcept {
  const Opcode op = generic(i);
  if (op >= Opcode::kAdd && op <= Opcode::kShiftRight) return offset(Metamethod::kAdd, op, Opcode::kAdd);
  if (op >= Opcode::kAddK && op <= Opcode::kShiftRightK) return offset(Metamethod::kAdd, op, Opcode::kAddK);
  switch (op) {
    case Opcode::kGetGlobal:
    case Opcode::kGetTable:
    case Opcode::kGetInteger:
    case Opcode::kGetField:
    case Opcode::kSelf: return Metamethod::kIndex;
    case Opcode::kSetGlobal:
    case Opcode::kSetTable:
    case Opcode::kSetTableK:
    case Opcode::kSetInteger:
    case Opcode::kSetIntegerK:
    case Opcode::kSetField:
    case Opcode::kSetFieldK: return Metamethod::kNewIndex;
    case Opcode::kAddInteger: return i.d == 2 ? Metamethod::kSubtract : Metamethod::kAdd;
    case Opcode::kNegate: return Metamethod::kNegate;
    case Opcode::kBitNot: return Metamethod::kBitNot;
    case Opcode::kLength: return Metamethod::kLength;
    case Opcode::kConcat: return Metamethod::kConcat;
    case Opcode::kClose:
    case Opcode::kReturn: return Metamethod::kClose;
    case Opcode::kJumpIfEqual:
    case Opcode::kJumpUnlessEqual: return Metamethod::kEqual;
    case Opcode::kJumpIfLess:
    case Opcode::kJumpUnlessLess:
    case Opcode::kJumpIfLessI:
    case Opcode::kJumpUnlessLessI:
    case Opcode::kJumpIfGreaterI:
    case Opcode::kJumpUnlessGreaterI: return Metamethod::kLess;
    case Opcode::kJumpIfLessEqual:
    case Opcode::kJumpUnlessLessEqual:
    case Opcode::kJumpIfLessEqualI:
    case Opcode::kJumpUnlessLessEqualI:
    case Opcode::kJumpIfGreaterEqualI:
    case Opcode::kJumpUnlessGreaterEqualI: return Metamethod::kLessEqual;
    default: return Metamethod::kCount;
  }
}

}  // namespace

std::string_view upvalue_name(const Prototype* p, int index) noexcept {
  if (static_cast<std::uint32_t>(index) >= p->upvalues.size || p->upvalues[index].name == nullptr) return kUnknown;
  return p->upvalues[index].name->view();
}

VariableName register_name(const Prototype* p, std::int32_t pc, int reg) noexcept {
  const String* local = prototype::local_name(p, reg + 1, static_cast<std::uint32_t>(pc));
  if (local != nullptr) return {"local", local->view()};
  const std::int32_t writer = find_writer(p, pc, reg);
  // What an instruction writes besides its first register (the object of a method call) has no name.
  return writer < 0 || p->code[writer].a != reg ? VariableName{} : origin(p, writer);
}

VariableName called_name(const Prototype* p, std::int32_t pc) noexcept {
  if (pc < 0 || static_cast<std::uint32_t>(pc) >= p->code.size) return {};
  const Instruction i = p->code[pc].decoded();
  const Opcode op = generic(i);
  if (op == Opcode::kCall || op == Opcode::kTailCall) return register_name(p, pc, i.a);
  if (op == Opcode::kForInCall) return {"for iterator", "for iterator"};
  const Metamethod which = metamethod_of(i);
  return which == Metamethod::kCount ? VariableName{} : VariableName{"metamethod", metamethod_name(which)};
}

}  // namespace baton::vm
