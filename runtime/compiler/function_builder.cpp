// Emission of one function's code.
//
// Jump lists. While the target of a jump is unknown, its `j` holds the index of the next jump that goes to the same place, so
// a list is one integer and two lists are joined by one store. Patching replaces the links by distances.
//
// Jumps that carry values. `x = a or b` must put `a` where `b` would go, but where that is becomes known only after `b` was
// generated. So the jump of `a` is emitted as MoveJumpIf with its destination open, and patching a list takes the register
// the value is wanted in: the jump gets it as its `a`; if the value sits there already, or is wanted nowhere, the
// instruction becomes a plain JumpIf. A literal (`c and 1 or 2`) is carried by two instructions, a load with an open `a` and
// an unconditional jump marked in its own `a`; if the value is wanted nowhere the load turns into a jump to the next
// instruction.
//
// Jumps to jumps. When the function is complete, a jump that lands on an unconditional jump takes over its target. A
// back-edge is a safepoint that every round of a loop must meet, so only an unconditional jump may take over the target of a
// back-edge, and it becomes a back-edge itself.
//
// Locals and registers. A local lives in the register that its initial value was computed into; activating it moves the
// border between locals and temporaries. Compile-time constants have no register and are never activated here.
#include "compiler/function_builder.h"

#include <algorithm>
#include <string>

#include "base/check.h"
#include "compiler/compiler.h"
#include "value/code_block.h"
#include "value/string.h"

namespace baton::compiler {

using syntax::LiteralExpression;
using syntax::LiteralKind;
using syntax::LocalVariable;

namespace {

constexpr int kCarriesLiteral = 1;  // in `a` of a Jump behind the load of the value it carries
constexpr std::size_t kMaxInstructions = std::size_t{1} << 30;
constexpr int kMaxThreads = 100;  // jumps followed at most, so that a cycle of jumps ends

// Conditional jumps come in pairs, the positive one first.
constexpr int kFirstConditional = static_cast<int>(Opcode::kJumpIf);
static_assert((static_cast<int>(Opcode::kMoveJumpIf) - kFirstConditional) % 2 == 0);
static_assert((static_cast<int>(Opcode::kJumpIfEqual) - kFirstConditional) % 2 == 0);
static_assert(static_cast<int>(Opcode::kJumpUnless) == kFirstConditional + 1);
static_assert(static_cast<int>(Opcode::kMoveJumpUnless) == static_cast<int>(Opcode::kMoveJumpIf) + 1);
static_assert(static_cast<int>(Opcode::kJumpUnlessEqualK) == static_cast<int>(Opcode::kJumpIfEqualK) + 1);
static_assert(static_cast<int>(Opcode::kJumpUnlessLess) == static_cast<int>(Opcode::kJumpIfLess) + 1);
static_assert((static_cast<int>(Opcode::kJumpUnlessGreaterEqualI) - kFirstConditional) % 2 == 1);

Opcode negated(Opcode op) {
  return static_cast<Opcode>(((static_cast<int>(op) - kFirstConditional) ^ 1) + kFirstConditional);
}

bool is_move_jump(Opcode op) { return op == Opcode::kMoveJumpIf || op == Opcode::kMoveJumpUnless; }

// Turns MoveJumpIf into JumpIf of its source.
void drop_value(Instruction& jump) {
  jump.op = jump.op == Opcode::kMoveJumpIf ? Opcode::kJumpIf : Opcode::kJumpUnless;
  jump.a = static_cast<std::uint8_t>(jump.b);
  jump.b = 0;
}

bool fits_word(std::int64_t value) { return value >= INT32_MIN && value <= INT32_MAX; }

// Whether a float is loaded by its integral value; not for -0.0, which is not its integer's float.
bool is_small_integral(double value) {
  if (!(value >= INT32_MIN && value <= INT32_MAX)) return false;
  const auto truncated = static_cast<std::int32_t>(value);
  return static_cast<double>(truncated) == value && (value != 0 || Value::from(value).bits == 0);
}

}  // namespace

FunctionBuilder::FunctionBuilder(Heap& heap, const syntax::FunctionNode& node, FunctionBuilder* parent,
                                 const ChunkName& chunk, Pieces& pieces)
    : heap_(heap), node_(node), parent_(parent), chunk_(chunk), pieces_(pieces), constants_(heap, pieces), line_(node.line_defined) {}

void FunctionBuilder::mark_values(Heap& heap) const noexcept {
  for (const Value& constant : constants_.values()) heap.mark_value(constant);
  for (Prototype* child : children_) heap.mark_object(child);
  for (const LocalDescription& local : locals_) heap.mark_object(local.name);
  if (made_ != nullptr) heap.mark_object(made_);
}

void FunctionBuilder::error(std::string_view message) const {
  throw CompileError{chunk_.display + ":" + std::to_string(line_) + ": " + std::string(message)};
}

// ---------------------------------------------------------------------------------------------------------------------
// Instructions

int FunctionBuilder::emit(const Instruction& instruction, syntax::Line line) {
  if (code_.size() >= kMaxInstructions) error("control structure too long");
  code_.push_back(instruction);
  lines_.push_back(static_cast<std::uint32_t>(line));
  return here() - 1;
}

void FunctionBuilder::remove_last() {
  code_.pop_back();
  lines_.pop_back();
}

void FunctionBuilder::emit_jump_back(int target, syntax::Line line) {
  emit(Instruction::abj(Opcode::kJumpBack, 0, 0, target - (here() + 1)), line);
}

void FunctionBuilder::emit_nil(int first, int count) {
  if (here() > last_target_ && here() > 0) {
    Instruction& before = code_.back();
    if (before.op == Opcode::kLoadNil && before.a + before.b == first) {
      before.b = static_cast<std::uint16_t>(before.b + count);
      return;
    }
  }
  emit(Opcode::kLoadNil, first, count);
}

void FunctionBuilder::emit_literal(const LiteralExpression& literal, int target) {
  switch (literal.literal) {
    case LiteralKind::kNil: emit_nil(target, 1); return;
    case LiteralKind::kFalse: emit(Opcode::kLoadFalse, target); return;
    case LiteralKind::kTrue: emit(Opcode::kLoadTrue, target); return;
    case LiteralKind::kInteger:
      if (!fits_word(literal.integer)) break;
      emit_wide(Opcode::kLoadInteger, target, static_cast<std::int32_t>(literal.integer));
      return;
    case LiteralKind::kFloat:
      if (!is_small_integral(literal.number)) break;
      emit_wide(Opcode::kLoadFloat, target, static_cast<std::int32_t>(literal.number));
      return;
    default: break;
  }
  const int index = constants_.index(literal);
  if (static_cast<std::size_t>(index) >= kMaxConstants) error("too many constants (limit is 67108864)");
  emit(Instruction::abu(Opcode::kLoadConstant, target, 0, static_cast<std::uint32_t>(index)), line_);
}

// ---------------------------------------------------------------------------------------------------------------------
// Jump lists

void FunctionBuilder::add_jump(int& list, int jump) {
  if (jump == kNoJump) return;
  at(jump).j = list;
  list = jump;
}

void FunctionBuilder::join(int& list, int more) {
  if (more == kNoJump) return;
  if (list == kNoJump) {
    list = more;
    return;
  }
  int last = list;
  while (at(last).j != kNoJump) last = at(last).j;
  at(last).j = more;
}

bool FunctionBuilder::carries_value(int pc) {
  const Instruction& jump = at(pc);
  return is_move_jump(jump.op) || (jump.op == Opcode::kJump && jump.a == kCarriesLiteral);
}

void FunctionBuilder::set_target(int pc, int target) { at(pc).j = target - (pc + 1); }

void FunctionBuilder::patch(int list, int value_target, int value_register, int plain_target) {
  while (list != kNoJump) {
    const int next = at(list).j;
    Instruction& jump = at(list);
    if (!carries_value(list)) {
      set_target(list, plain_target);
    } else if (is_move_jump(jump.op)) {
      if (value_register == kNoRegister || value_register == jump.b) drop_value(jump);
      else jump.a = static_cast<std::uint8_t>(value_register);
      set_target(list, value_target);
    } else {
      jump.a = 0;
      if (value_register == kNoRegister) at(list - 1) = Instruction::abj(Opcode::kJump, 0, 0, 0);
      else at(list - 1).a = static_cast<std::uint8_t>(value_register);
      set_target(list, value_target);
    }
    list = next;
  }
}

int FunctionBuilder::mark_target() {
  last_target_ = here();
  return last_target_;
}

void FunctionBuilder::patch_to_here(int list) {
  if (list != kNoJump) patch(list, mark_target());
}

bool FunctionBuilder::needs_boolean(int list) {
  for (; list != kNoJump; list = at(list).j) {
    if (!carries_value(list)) return true;
  }
  return false;
}

void FunctionBuilder::drop_values(int list) {
  for (; list != kNoJump; list = at(list).j) {
    if (!carries_value(list)) continue;
    Instruction& jump = at(list);
    if (is_move_jump(jump.op)) {
      drop_value(jump);
    } else {
      jump.a = 0;
      at(list - 1) = Instruction::abj(Opcode::kJump, 0, 0, 0);
    }
  }
}

void FunctionBuilder::negate(int pc) { at(pc).op = negated(at(pc).op); }

int FunctionBuilder::emit_literal_jump(const LiteralExpression& literal) {
  mark_target();  // the load stands alone
  emit_literal(literal, kNoRegister);
  return emit_jump(Opcode::kJump, kCarriesLiteral, 0, line_);
}

// A target behind other jumps is followed, but a conditional jump never past a back-edge.
void FunctionBuilder::thread_jumps() {
  for (int pc = 0; pc < here(); ++pc) {
    pieces_.count();
    Instruction& jump = at(pc);
    const bool is_branch = jump.op == Opcode::kJump || (jump.op >= Opcode::kJumpIf && jump.op <= Opcode::kJumpUnlessGreaterEqualI);
    if (!is_branch) continue;
    int target = pc + 1 + jump.j;
    bool back_edge = false;
    for (int i = 0; i < kMaxThreads; ++i) {
      const Instruction& next = at(target);
      const int further = target + 1 + next.j;
      if (next.op == Opcode::kJump) target = further;
      else if (next.op == Opcode::kJumpBack && jump.op == Opcode::kJump && further <= pc) target = further, back_edge = true;
      else break;
    }
    set_target(pc, target);
    if (back_edge && target <= pc) jump.op = Opcode::kJumpBack;
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Registers

void FunctionBuilder::check_registers(int count) {
  const int needed = free_register_ + count;
  if (needed <= max_stack_) return;
  if (needed >= kMaxRegisters) error("function or expression needs too many registers");
  max_stack_ = needed;
}

void FunctionBuilder::reserve(int count) {
  check_registers(count);
  free_register_ += count;
}

void FunctionBuilder::release(int reg) {
  if (reg < active_registers_) return;
  --free_register_;
  BATON_DCHECK(reg == free_register_);
}

void FunctionBuilder::release_pair(int first, int second) {
  release(std::max(first, second));
  release(std::min(first, second));
}

// ---------------------------------------------------------------------------------------------------------------------
// Locals

void FunctionBuilder::activate(LocalVariable* variable) {
  variable->compiler_register = active_registers_++;
  variable->compiler_start = here();
  BATON_DCHECK(active_registers_ <= free_register_);
  active_.push_back({variable, locals_.size()});
  locals_.push_back({string::make(heap_, variable->name), static_cast<std::uint32_t>(here()), 0});
  if (variable->captured || variable->attribute == syntax::Attribute::kClose) needs_close_ = true;
}

void FunctionBuilder::restart_last_local() {
  active_.back().variable->compiler_start = here();
  locals_[active_.back().description].start_pc = static_cast<std::uint32_t>(here());
}

void FunctionBuilder::leave_scope(std::size_t count) {
  while (active_.size() > count) {
    locals_[active_.back().description].end_pc = static_cast<std::uint32_t>(here());
    active_.pop_back();
    --active_registers_;
  }
  free_register_ = active_registers_;
}

bool FunctionBuilder::must_close() const {
  return needs_close_ && std::any_of(active_.begin(), active_.end(), [](const ActiveLocal& local) {
           return local.variable->captured || local.variable->attribute == syntax::Attribute::kClose;
         });
}

// ---------------------------------------------------------------------------------------------------------------------
// The result

int FunctionBuilder::add_child(Prototype* child) {
  children_.push_back(child);
  return static_cast<int>(children_.size()) - 1;
}

void FunctionBuilder::fill_upvalues(Prototype* prototype) {
  prototype::allocate(heap_, prototype->upvalues, static_cast<std::uint32_t>(node_.upvalues.size()));
  for (std::size_t i = 0; i < node_.upvalues.size(); ++i) {
    const syntax::UpvalueDescriptor& from = node_.upvalues[i];
    UpvalueDescription& to = prototype->upvalues[i];
    const bool in_stack = from.parent_local != nullptr || node_.parent == nullptr;
    to.name = string::make(heap_, from.name);
    heap_.barrier(prototype, to.name);
    to.in_stack = in_stack ? 1 : 0;
    to.index = static_cast<std::uint8_t>(from.parent_local != nullptr ? from.parent_local->compiler_register
                                                                      : from.parent_upvalue);
    to.attribute = static_cast<std::uint8_t>(from.attribute);
  }
}

void FunctionBuilder::fill_code(Prototype* prototype) {
  prototype::allocate_code(heap_, prototype, static_cast<std::uint32_t>(code_.size()));
  for (std::size_t i = 0; i < code_.size(); ++i) {
    prototype->code[i] = code_[i].encoded();
    pieces_.count();
  }
}

void FunctionBuilder::fill_constants(Prototype* prototype) {
  const std::vector<Value>& constants = constants_.values();
  prototype::allocate_constants(heap_, prototype, static_cast<std::uint32_t>(constants.size()));
  for (std::size_t i = 0; i < constants.size(); ++i) {
    prototype->constants[i] = constants[i];
    heap_.barrier(prototype, constants[i]);
    pieces_.count();
  }
}

void FunctionBuilder::fill_debug(Prototype* prototype) {
  prototype::allocate(heap_, prototype->lines, static_cast<std::uint32_t>(lines_.size()));
  for (std::size_t i = 0; i < lines_.size(); ++i) {
    prototype->lines[i] = lines_[i];
    pieces_.count();
  }
  prototype::allocate(heap_, prototype->locals, static_cast<std::uint32_t>(locals_.size()));
  for (std::size_t i = 0; i < locals_.size(); ++i) {
    prototype->locals[i] = locals_[i];
    heap_.barrier(prototype, locals_[i].name);
    pieces_.count();
  }
}

// The collector may have done with the prototype while it is filled, and soon this builder keeps nothing any more: so barriers.
Prototype* FunctionBuilder::finish() {
  thread_jumps();
  Prototype* prototype = made_ = prototype::make(heap_);
  prototype->parameter_count = static_cast<std::uint8_t>(node_.parameters.size());
  prototype->is_vararg = node_.is_vararg ? 1 : 0;
  prototype->max_stack = static_cast<std::uint8_t>(max_stack_);
  prototype->needs_close = needs_close_ ? 1 : 0;
  prototype->line_defined = static_cast<std::uint32_t>(node_.line_defined);
  prototype->last_line_defined = static_cast<std::uint32_t>(node_.last_line_defined);
  prototype->source = chunk_.source;
  fill_code(prototype);
  fill_constants(prototype);
  prototype::allocate(heap_, prototype->prototypes, static_cast<std::uint32_t>(children_.size()));
  for (std::size_t i = 0; i < children_.size(); ++i) {
    prototype->prototypes[i] = children_[i];
    heap_.barrier(prototype, children_[i]);
  }
  fill_upvalues(prototype);
  fill_debug(prototype);
  return prototype;
}

}  // namespace baton::compiler
