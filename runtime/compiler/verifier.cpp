// How a function is verified.
//
// 1. Shape: sizes agree with each other; the first instruction is VarargPrepare exactly in a vararg function; the last one
//    does not fall through.
// 2. Operands, from the columns of opcodes.def: registers below max_stack, constants and upvalues that exist. A second look
//    at single opcodes adds what the table says only in words: ranges of registers, kinds of constants, pairs of
//    instructions that belong together.
// 3. Jumps: inside the code; backward only in the instructions that are safepoints; never between two instructions of which
//    the first prepares the second (open results and their consumer, ForInCall and ForInLoop).
// 4. Open results: whoever leaves results open is followed at once by who takes them.
// 5. Loops: ForPrepare/ForLoop and ForInPrepare/ForInLoop enclose their bodies, properly nested. The interpreter trusts the
//    hidden registers of a running loop, so no jump enters a body from outside, and no instruction in a body writes a
//    hidden register of any loop around it.
#include "compiler/verifier.h"

#include <vector>

#include "bytecode/fused_opcode.h"
#include "bytecode/instruction.h"
#include "value/string.h"
#include "value/table_template.h"

namespace baton::compiler {
namespace {

constexpr int kNoLoop = -1;
constexpr std::uint32_t kMaxArrayHintPerInstruction = 255;

struct Loop {
  int outer;
  std::uint32_t first_hidden;  // registers
  std::uint32_t last_hidden;
};

struct Range {  // of registers, the first and behind the last
  std::uint32_t begin;
  std::uint32_t end;
};

class Verifier {
 public:
  Verifier(const Prototype& prototype, Pieces& pieces)
      : p_(prototype), pieces_(pieces), size_(prototype.code.size), is_target_(size_), is_consumer_(size_), loop_of_(size_, kNoLoop) {}

  VerifierResult run() {
    shape();
    for (pc_ = 0; ok() && pc_ < size_; ++pc_) instruction(), pieces_.count();
    if (ok()) find_loops();
    for (pc_ = 0; ok() && pc_ < size_; ++pc_) flow(), pieces_.count();
    return result_;
  }

 private:
  bool ok() const { return result_.is_valid; }
  void require(bool condition, const char* problem) {
    if (condition || !result_.is_valid) return;
    result_ = {false, problem, pc_};
  }
  Instruction at(std::uint32_t pc) const {  // of a fused pair: its first instruction
    Instruction i = p_.code[pc].decoded();
    if (is_fused(i.op)) i.op = opcode_info(i.op).base;
    return i;
  }
  Instruction here() const { return at(pc_); }
  std::int64_t target() const { return static_cast<std::int64_t>(pc_) + 1 + here().j; }

  void shape();
  void upvalues_of_child(const Prototype& child);
  void instruction();
  void operand(OperandKind kind, std::uint32_t value);
  void registers(std::uint32_t first, std::uint32_t count) {
    require(first + count <= p_.max_stack, "a register does not exist");
  }
  void constants();
  void short_string(std::uint32_t index);
  void ranges();
  void calls();
  void loops();
  void jump();
  void open_results(std::uint32_t producer);
  void find_loops();
  void flow();
  Range written() const;
  void keeps_hidden(int loop);
  bool is_inside(int loop, int outer) const;

  const Prototype& p_;
  Pieces& pieces_;
  std::uint32_t size_;
  std::uint32_t pc_ = 0;
  std::vector<bool> is_target_;    // some jump lands here
  std::vector<bool> is_consumer_;  // must follow its predecessor
  std::vector<int> loop_of_;       // innermost loop
  std::vector<Loop> loops_;
  VerifierResult result_;
};

bool ends_numeric_for(Opcode op) { return op == Opcode::kForLoop || op == Opcode::kForLoopUnit; }

bool is_back_edge(Opcode op) { return op == Opcode::kJumpBack || ends_numeric_for(op) || op == Opcode::kForInLoop; }

bool falls_through(Opcode op) {
  return op != Opcode::kJump && op != Opcode::kJumpBack && op != Opcode::kReturn && op != Opcode::kReturn0 &&
         op != Opcode::kReturn1;
}

bool has_jump_offset(const OpcodeInfo& info) { return (info.flags & kOpJump) != 0 && info.form != InstructionForm::kA; }

bool in_range(Opcode op, Opcode first, Opcode last) { return op >= first && op <= last; }

// ---------------------------------------------------------------------------------------------------------------------
// Shape

void Verifier::shape() {
  require(size_ > 0 && size_ < (1u << 31), "a function without code");
  require(p_.max_stack <= kMaxRegisters && p_.parameter_count <= p_.max_stack, "too few registers");
  require(p_.upvalues.size <= static_cast<std::uint32_t>(kMaxUpvalues), "too many upvalues");
  require(p_.lines.size == 0 || p_.lines.size == size_, "a line for each instruction or none");
  for (const LocalDescription& local : p_.locals) {
    require(local.name != nullptr && local.start_pc <= local.end_pc && local.end_pc <= size_, "a scope outside the code");
  }
  for (const Prototype* child : p_.prototypes) upvalues_of_child(*child);
  if (!ok()) return;
  require((at(0).op == Opcode::kVarargPrepare) == (p_.is_vararg != 0), "a vararg function begins with VarargPrepare");
  require(static_cast<int>(at(size_ - 1).op) < kOpcodeCount && !falls_through(at(size_ - 1).op), "control leaves the code");
}

void Verifier::upvalues_of_child(const Prototype& child) {
  for (const UpvalueDescription& upvalue : child.upvalues) {
    if (upvalue.in_stack != 0) require(upvalue.index < p_.max_stack, "a captured register does not exist");
    else require(upvalue.index < p_.upvalues.size, "a captured upvalue does not exist");
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Single instructions

void Verifier::operand(OperandKind kind, std::uint32_t value) {
  switch (kind) {
    case OperandKind::kReg:
    case OperandKind::kDst:
    case OperandKind::kDstReg: registers(value, 1); break;
    case OperandKind::kUp: require(value < p_.upvalues.size, "an upvalue does not exist"); break;
    case OperandKind::kConst: require(value < p_.constants.size, "a constant does not exist"); break;
    default: break;
  }
}

void Verifier::instruction() {
  require(static_cast<int>(here().op) < kOpcodeCount, "no such opcode");
  if (!ok()) return;
  const OpcodeInfo& info = opcode_info(here().op);
  require(info.base == here().op, "a specialised opcode");
  operand(info.a, here().a);
  operand(info.b, here().b);
  if (info.form == InstructionForm::kABC) operand(info.c, here().c);
  if (!ok()) return;
  constants();
  ranges();
  calls();
  if (has_jump_offset(info)) jump();
  if (ok()) loops();
}

void Verifier::short_string(std::uint32_t index) {
  require(p_.constants[index].tag == Tag::kShortString, "a key that is no short string");
}

void Verifier::constants() {
  const Instruction& i = here();
  switch (i.op) {
    case Opcode::kGetGlobal:
    case Opcode::kSetGlobal:
    case Opcode::kGetField:
    case Opcode::kSelf: short_string(i.c); return;
    case Opcode::kSetField:
    case Opcode::kSetFieldK: short_string(i.b); return;
    case Opcode::kLoadConstant: require(i.u < p_.constants.size, "a constant does not exist"); return;
    case Opcode::kMakeClosure: require(i.u < p_.prototypes.size, "a function does not exist"); return;
    case Opcode::kAddInteger: require(i.d <= 2, "no such order of operands"); return;
    default: break;
  }
  if (in_range(i.op, Opcode::kAddK, Opcode::kShiftRightK)) {
    require(p_.constants[i.c].is_number() && i.d <= 1, "arithmetic with a constant that is no number");
  }
  if (in_range(i.op, Opcode::kBitAndK, Opcode::kShiftRightK)) {
    require(p_.constants[i.c].is_integer(), "bits of a constant that is no integer");
  }
}

void Verifier::ranges() {
  const Instruction& i = here();
  switch (i.op) {
    case Opcode::kLoadNil: registers(i.a, i.b); break;
    case Opcode::kLoadFalseSkip: require(pc_ + 2 < size_, "control leaves the code"); break;
    case Opcode::kGetInteger: require(i.c >= 1, "an integer key below 1"); break;
    case Opcode::kSetInteger:
    case Opcode::kSetIntegerK: require(i.b >= 1, "an integer key below 1"); break;
    case Opcode::kSelf: registers(i.a, 2); break;
    case Opcode::kNewTable:
      require(i.u <= kNewTableSlots && i.u / kMaxArrayHintPerInstruction <= size_, "more array items than the code can store");
      break;
    case Opcode::kSetList: registers(i.a, i.b + 1u); break;
    case Opcode::kConcat:
      registers(i.b, i.c);
      require(i.c >= 2, "a concatenation of less than two values");
      break;
    case Opcode::kVarargPrepare: require(pc_ == 0 && i.a == p_.parameter_count, "a misplaced VarargPrepare"); break;
    default: break;
  }
}

// `b` counts values with the function (calls) or plus one; 0 takes open ones.
void Verifier::calls() {
  const Instruction& i = here();
  switch (i.op) {
    case Opcode::kCall:
      registers(i.a, i.b);
      registers(i.a, i.c == 0 ? 0 : i.c - 1u);
      if (i.c == 0) open_results(i.a);
      break;
    case Opcode::kTailCall:
      registers(i.a, i.b);
      require(i.c <= 1, "a flag that is no flag");
      open_results(i.a);
      break;
    case Opcode::kReturn:
      registers(i.a, i.b == 0 ? 0 : i.b - 1u);
      require(i.c <= 1, "a flag that is no flag");
      break;
    case Opcode::kReturn0:
    case Opcode::kReturn1: require(p_.is_vararg == 0, "a plain return from a vararg function"); break;
    case Opcode::kVararg:
      require(p_.is_vararg != 0, "no extra arguments in this function");
      registers(i.a, i.b == 0 ? 0 : i.b - 1u);
      if (i.b == 0) open_results(i.a);
      break;
    default: break;
  }
  const bool takes_open = i.b == 0 && (i.op == Opcode::kCall || i.op == Opcode::kTailCall || i.op == Opcode::kReturn ||
                                       i.op == Opcode::kSetList);
  require(!takes_open || is_consumer_[pc_], "open results that nobody left");
}

void Verifier::open_results(std::uint32_t producer) {
  require(pc_ + 1 < size_, "control leaves the code");
  if (!ok()) return;
  const Instruction& next = at(pc_ + 1);
  const bool takes = next.op == Opcode::kCall || next.op == Opcode::kTailCall || next.op == Opcode::kReturn ||
                     next.op == Opcode::kSetList;
  require(takes && next.b == 0, "open results that nobody takes");
  require(next.op == Opcode::kReturn ? next.a <= producer : next.a < producer, "open results below their taker");
  is_consumer_[pc_ + 1] = true;
}

// ---------------------------------------------------------------------------------------------------------------------
// Jumps and loops

void Verifier::jump() {
  const std::int64_t to = target();
  require(to >= 0 && to < static_cast<std::int64_t>(size_), "a jump out of the code");
  require(is_back_edge(here().op) ? here().j < 0 : here().j >= 0, "a back-edge that is no safepoint");
  if (ok()) is_target_[static_cast<std::size_t>(to)] = true;
}

void Verifier::loops() {
  const Instruction& i = here();
  switch (i.op) {
    case Opcode::kForPrepare: {
      const Instruction& last = at(static_cast<std::uint32_t>(target()) - 1);
      registers(i.a, 4);
      require(i.j > 0 && ends_numeric_for(last.op) && last.a == i.a && last.j == -i.j, "a loop without its end");
      break;
    }
    case Opcode::kForLoop:
    case Opcode::kForLoopUnit: {
      const std::int64_t prepare = target() - 1;
      require(prepare >= 0 && at(static_cast<std::uint32_t>(prepare)).op == Opcode::kForPrepare &&
                  at(static_cast<std::uint32_t>(prepare)).j == -i.j,
              "a loop without its beginning");
      break;
    }
    case Opcode::kForInPrepare: {
      const Instruction& call = at(static_cast<std::uint32_t>(target()));
      registers(i.a, 4);
      require(call.op == Opcode::kForInCall && call.a == i.a, "a loop without its call");
      break;
    }
    case Opcode::kForInCall:
      require(i.b >= 1 && pc_ + 1 < size_ && at(pc_ + 1).op == Opcode::kForInLoop && at(pc_ + 1).a == i.a, "a call without its loop");
      registers(i.a, 4u + i.b);
      registers(i.a, 7);
      if (ok()) is_consumer_[pc_ + 1] = true;
      break;
    case Opcode::kForInLoop: {
      const std::int64_t prepare = target() - 1;
      require(is_consumer_[pc_] && prepare >= 0, "a loop without its call");
      if (!ok()) return;
      const Instruction& first = at(static_cast<std::uint32_t>(prepare));
      require(first.op == Opcode::kForInPrepare && first.a == i.a && first.j == -i.j - 2, "a loop without its beginning");
      break;
    }
    default: break;
  }
}

void Verifier::find_loops() {
  int current = kNoLoop;
  std::vector<std::uint32_t> ends;
  for (pc_ = 0; pc_ < size_ && ok(); ++pc_) {
    loop_of_[pc_] = current;
    pieces_.count();
    const Instruction& i = here();
    const bool numeric = i.op == Opcode::kForPrepare;
    if (numeric || i.op == Opcode::kForInPrepare) {
      const auto end = static_cast<std::uint32_t>(numeric ? target() - 1 : target() + 1);
      require(ends.empty() || end < ends.back(), "loops that cross");
      ends.push_back(end);
      loops_.push_back({current, i.a, i.a + (numeric ? 2u : 3u)});
      current = static_cast<int>(loops_.size()) - 1;
    } else if (!ends.empty() && ends.back() == pc_) {
      ends.pop_back();
      current = loops_[static_cast<std::size_t>(current)].outer;
    }
  }
}

bool Verifier::is_inside(int loop, int outer) const {
  while (loop != kNoLoop && loop > outer) loop = loops_[static_cast<std::size_t>(loop)].outer;
  return loop == outer;
}

// The registers an instruction may write. A call may use everything from its function on.
Range Verifier::written() const {
  const Instruction& i = here();
  const std::uint32_t a = i.a;
  switch (i.op) {
    case Opcode::kLoadNil: return {a, a + i.b};
    case Opcode::kSelf: return {a, a + 2};
    case Opcode::kCall:
    case Opcode::kTailCall: return {a, p_.max_stack};
    case Opcode::kVararg: return {a, i.b == 0 ? p_.max_stack : a + i.b - 1u};
    case Opcode::kForPrepare:
    case Opcode::kForInPrepare: return {a, a + 4};
    case Opcode::kForLoop:
    case Opcode::kForLoopUnit: return {a + 3, a + 4};    // and its own hidden ones: loops() has tied it
    case Opcode::kForInLoop: return {a, a};              // to its beginning
    case Opcode::kForInCall: return {a + 4, p_.max_stack};
    default: break;
  }
  const OperandKind kind = opcode_info(i.op).a;
  return {a, kind == OperandKind::kDst || kind == OperandKind::kDstReg ? a + 1 : a};
}

void Verifier::keeps_hidden(int loop) {
  const Range range = written();
  const std::uint32_t temporaries = here().op == Opcode::kConcat ? here().c : 0;
  for (; loop != kNoLoop; loop = loops_[static_cast<std::size_t>(loop)].outer) {
    const Loop& around = loops_[static_cast<std::size_t>(loop)];
    const auto meets = [&](std::uint32_t begin, std::uint32_t end) {
      return begin < end && begin <= around.last_hidden && end > around.first_hidden;
    };
    require(!meets(range.begin, range.end) && !meets(here().b, here().b + temporaries),
            "a hidden register of a loop is overwritten");
  }
}

void Verifier::flow() {
  require(!(is_consumer_[pc_] && is_target_[pc_]), "a jump between two instructions that belong together");
  const int loop = loop_of_[pc_];
  keeps_hidden(loop);
  const Instruction& i = here();
  const bool enters = i.op == Opcode::kForInPrepare;
  if (has_jump_offset(opcode_info(i.op)) && !enters) {
    require(is_inside(loop, loop_of_[static_cast<std::size_t>(target())]), "a jump into a loop");
  }
  if (i.op == Opcode::kLoadFalseSkip) {
    require(is_inside(loop, loop_of_[pc_ + 2]) && !is_consumer_[pc_ + 2], "a jump into a loop");
  }
}

}  // namespace

VerifierResult verify(const Prototype& prototype, Pieces& pieces) {
  pieces.count(Pieces::kPerFunction);
  VerifierResult result = Verifier(prototype, pieces).run();
  for (const Prototype* child : prototype.prototypes) {
    if (!result.is_valid) break;
    result = verify(*child, pieces);
  }
  return result;
}

VerifierResult verify(const Prototype& prototype) {
  const std::function<void()> no_poll;
  Pieces pieces(no_poll);
  return verify(prototype, pieces);
}

}  // namespace baton::compiler
