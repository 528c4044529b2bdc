// Functions, blocks and the statements that are no loops (manual 3.3).
//
// Assignment. All operands of the targets are evaluated first, then the values, then the stores run from the last target to
// the first. A target that names a local as its table or key does so in place, without a copy; so when a later target of the
// same statement is that very local, its store, which comes earlier, would change the operand: resolve_conflict() copies it
// before. The last value needs no register of its own, it is computed into its target.
//
// Leaving a block closes what it must (captured and to-be-closed locals) by one Close from its first register on, at its end
// and at every jump out of it. A return closes through its own operand, and only if such a local is active there.
#include "compiler/generator.h"

#include <memory>

namespace baton::compiler {

using syntax::as;
using syntax::Block;
using syntax::StatementKind;

namespace {

// Whether control never reaches the end of the block.
bool ends_with_jump(const Block& block) {
  if (block.statements.empty()) return false;
  const StatementKind last = block.statements.back()->kind;
  return last == StatementKind::kReturn || last == StatementKind::kGoto;
}

}  // namespace

Prototype* Generator::function(const syntax::FunctionNode& node) {
  const auto builder = std::make_unique<FunctionBuilder>(heap_, node, builder_, chunk_, pieces_);
  builder_ = builder.get();
  const int parameters = static_cast<int>(node.parameters.size());
  f().reserve(parameters);
  for (syntax::LocalVariable* parameter : node.parameters) f().activate(parameter);
  if (node.is_vararg) f().emit(Opcode::kVarargPrepare, parameters, 0, 0, node.line_defined);
  statements(*node.body);
  f().set_line(node.end_line);
  emit_return(0, 0, node.end_line);
  f().leave_scope(0);
  Prototype* result = f().finish();
  builder_ = builder->parent();
  if (builder_ == nullptr) main_ = result;
  return result;
}

void Generator::mark_roots(Heap& heap) noexcept {
  heap.mark_object(chunk_.source);
  if (main_ != nullptr) heap.mark_object(main_);
  for (const FunctionBuilder* builder = builder_; builder != nullptr; builder = builder->parent()) builder->mark_values(heap);
}

// ---------------------------------------------------------------------------------------------------------------------
// Blocks

void Generator::statements(const Block& block) {
  for (const syntax::Statement* node : block.statements) {
    statement(*node);
    f().release_down_to(f().active_registers());
    pieces_.count(Pieces::kPerStatement);
  }
}

void Generator::close_block(const Block& block, int first_register) {
  if (block.needs_close() && !ends_with_jump(block)) f().emit(Opcode::kClose, first_register, 0, 0, block.end_line);
}

void Generator::block(const Block& block) {
  const std::size_t outer = f().active_count();
  const int first = f().active_registers();
  statements(block);
  f().leave_scope(outer);
  close_block(block, first);
}

void Generator::statement(const syntax::Statement& node) {
  f().set_line(node.line);
  switch (node.kind) {
    case StatementKind::kLocal: local(as<syntax::LocalStatement>(node)); break;
    case StatementKind::kLocalFunction: local_function(as<syntax::LocalFunctionStatement>(node)); break;
    case StatementKind::kAssignment: assignment(as<syntax::AssignmentStatement>(node)); break;
    case StatementKind::kFunction: {
      const auto& definition = as<syntax::FunctionStatement>(node);
      Operand target = expression(*definition.target);
      Operand value = closure(*definition.function);
      store(target, value, node.line);
      break;
    }
    case StatementKind::kCall: call_statement(as<syntax::CallStatement>(node)); break;
    case StatementKind::kDo: block(*as<syntax::DoStatement>(node).body); break;
    case StatementKind::kWhile: while_loop(as<syntax::WhileStatement>(node)); break;
    case StatementKind::kRepeat: repeat_loop(as<syntax::RepeatStatement>(node)); break;
    case StatementKind::kIf: if_statement(as<syntax::IfStatement>(node)); break;
    case StatementKind::kNumericFor: numeric_for(as<syntax::NumericForStatement>(node)); break;
    case StatementKind::kGenericFor: generic_for(as<syntax::GenericForStatement>(node)); break;
    case StatementKind::kReturn: return_statement(as<syntax::ReturnStatement>(node)); break;
    case StatementKind::kGoto: goto_statement(as<syntax::GotoStatement>(node)); break;
    case StatementKind::kLabel: place_label(as<syntax::LabelStatement>(node).label); break;
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Declarations

void Generator::local(const syntax::LocalStatement& node) {
  std::span<syntax::LocalVariable* const> variables = node.variables;
  Expressions values = node.values;
  if (variables.back()->constant != nullptr) {  // then there is one value for each
    variables = variables.first(variables.size() - 1);
    values = values.first(variables.size());
  }
  adjusted_list(values, static_cast<int>(variables.size()));
  for (syntax::LocalVariable* variable : variables) f().activate(variable);
  for (const syntax::LocalVariable* variable : variables) {
    if (variable->attribute == syntax::Attribute::kClose) {
      f().emit(Opcode::kToBeClosed, variable->compiler_register, 0, 0, node.end_line);
    }
  }
}

void Generator::local_function(const syntax::LocalFunctionStatement& node) {
  f().reserve(1);
  f().activate(node.variable);
  Operand value = closure(*node.function);
  to_register(value, node.variable->compiler_register);
  f().restart_last_local();
}

// ---------------------------------------------------------------------------------------------------------------------
// Assignment

void Generator::store_indexed(Opcode op, Opcode constant_op, const Operand& target, Operand& value, syntax::Line line) {
  const int constant = short_constant(value);
  if (constant >= 0) {
    f().emit(constant_op, target.info, target.key, constant, line);
  } else {
    const int source = to_any_register(value);
    release(value);
    f().emit(op, target.info, target.key, source, line);
  }
}

// Registers of the target stay reserved.
void Generator::store(Operand& target, Operand& value, syntax::Line line) {
  discharge(value);
  switch (target.kind) {
    case OperandKind::kLocal:
      f().set_line(line);
      release(value);
      to_register(value, target.info);
      break;
    case OperandKind::kUpvalue: {
      const int source = to_any_register(value);
      release(value);
      f().emit(Opcode::kSetUpvalue, source, target.info, 0, line);
      break;
    }
    case OperandKind::kIndexedUpvalue: {
      const int source = to_any_register(value);
      release(value);
      f().emit(Opcode::kSetGlobal, source, target.info, target.key, line);
      break;
    }
    case OperandKind::kIndexedField: store_indexed(Opcode::kSetField, Opcode::kSetFieldK, target, value, line); break;
    case OperandKind::kIndexedInteger: store_indexed(Opcode::kSetInteger, Opcode::kSetIntegerK, target, value, line); break;
    default: store_indexed(Opcode::kSetTable, Opcode::kSetTableK, target, value, line); break;
  }
}

void Generator::assignment(const syntax::AssignmentStatement& node) {
  if (node.targets.size() > 1 || node.values.size() > 1) {
    multiple_assignment(node);
    return;
  }
  Operand target = expression(*node.targets[0]);
  Operand value = expression(*node.values[0]);
  store(target, value, node.store_line);
}

void Generator::multiple_assignment(const syntax::AssignmentStatement& node) {
  std::vector<Operand> targets = assignment_targets(node.targets);
  std::size_t left = targets.size();
  if (node.values.size() == targets.size()) {
    for (std::size_t i = 0; i + 1 < left; ++i) {
      Operand value = expression(*node.values[i]);
      to_next_register(value);
    }
    Operand last = expression(*node.values.back());
    store(targets[--left], last, node.store_line);
  } else {
    adjusted_list(node.values, static_cast<int>(targets.size()));
  }
  while (left > 0) {
    Operand value(OperandKind::kRegister, f().free_register() - 1, node.store_line);
    store(targets[--left], value, node.store_line);
  }
}

std::vector<Operand> Generator::assignment_targets(Expressions targets) {
  std::vector<Operand> result;
  result.reserve(targets.size());
  for (const syntax::Expression* node : targets) {
    const Operand target = expression(*node);
    if (target.kind == OperandKind::kLocal || target.kind == OperandKind::kUpvalue) resolve_conflict(result, target);
    result.push_back(target);
  }
  return result;
}

void Generator::resolve_conflict(std::span<Operand> targets, const Operand& variable) {
  const bool is_local = variable.kind == OperandKind::kLocal;
  const int copy = f().free_register();
  bool conflicts = false;
  for (Operand& target : targets) {
    const bool through_register = target.kind == OperandKind::kIndexed || target.kind == OperandKind::kIndexedField ||
                                  target.kind == OperandKind::kIndexedInteger;
    if (is_local && through_register && target.info == variable.info) {
      target.info = copy;
      conflicts = true;
    }
    if (is_local && target.kind == OperandKind::kIndexed && target.key == variable.info) {
      target.key = copy;
      conflicts = true;
    }
    if (!is_local && target.kind == OperandKind::kIndexedUpvalue && target.info == variable.info) {
      target.kind = OperandKind::kIndexedField;
      target.info = copy;
      conflicts = true;
    }
  }
  if (!conflicts) return;
  f().reserve(1);
  f().emit(is_local ? Opcode::kMove : Opcode::kGetUpvalue, copy, variable.info);
}

// ---------------------------------------------------------------------------------------------------------------------
// Calls and returns

void Generator::call_statement(const syntax::CallStatement& node) {
  Operand call = expression(*node.call);
  set_results(call, 0);
}

void Generator::emit_return(int first, int count, syntax::Line line) {
  const bool closes = f().must_close();
  if (closes || f().node().is_vararg || count < 0 || count > 1) {
    f().emit(Opcode::kReturn, first, count + 1, closes ? 1 : 0, line);
  } else {
    f().emit(count == 0 ? Opcode::kReturn0 : Opcode::kReturn1, count == 0 ? 0 : first, 0, 0, line);
  }
}

void Generator::tail_call(const syntax::ReturnStatement& node) {
  const Operand call = expression(*node.values[0]);
  Instruction& instruction = f().at(call.info);
  instruction.op = Opcode::kTailCall;
  instruction.c = f().must_close() ? 1 : 0;
  // Natives cannot take the frame's place: what one returns is returned by the instruction behind its call.
  f().emit(Opcode::kReturn, instruction.a, 0, instruction.c, node.end_line);
}

void Generator::return_statement(const syntax::ReturnStatement& node) {
  if (node.is_tail_call) {
    tail_call(node);
    return;
  }
  if (node.values.size() == 1 && !is_open(*node.values[0])) {
    Operand value = expression(*node.values[0]);
    const int source = to_any_register(value);
    emit_return(source, 1, node.end_line);
    return;
  }
  const int first = f().free_register();
  const bool open = list_to_registers(node.values);
  emit_return(node.values.empty() ? 0 : first, open ? -1 : static_cast<int>(node.values.size()), node.end_line);
}

// ---------------------------------------------------------------------------------------------------------------------
// Conditions and jumps

// `if condition then goto label end` (or break) is one conditional jump, if nothing is to be closed on the way and the jump
// goes forward. Returns: whether it was that.
bool Generator::if_jump(const syntax::IfClause& clause) {
  if (clause.body->statements.size() != 1 || clause.body->statements[0]->kind != StatementKind::kGoto) return false;
  const auto& jump = as<syntax::GotoStatement>(*clause.body->statements[0]);
  if (jump.is_backward || closed_by(jump) != nullptr) return false;
  Operand condition = expression(*clause.condition);
  f().set_line(clause.then_line);
  fall_if_false(condition);
  f().join(condition.true_list, jump.target->compiler_patch_list);
  jump.target->compiler_patch_list = condition.true_list;
  return true;
}

void Generator::if_statement(const syntax::IfStatement& node) {
  int behind = kNoJump;
  for (const syntax::IfClause& clause : node.clauses) {
    f().set_line(clause.line);
    if (clause.condition == nullptr) {
      block(*clause.body);
      break;
    }
    if (if_jump(clause)) continue;
    Operand condition = expression(*clause.condition);
    f().set_line(clause.then_line);  // the test belongs to the line of `then`
    fall_if_true(condition);
    const int otherwise = condition.false_list;
    block(*clause.body);
    if (&clause != &node.clauses.back() && !ends_with_jump(*clause.body)) f().add_jump(behind, f().emit_jump());
    f().patch_to_here(otherwise);
  }
  f().patch_to_here(behind);
}

// What a jump must close itself. A break out of a generic for leaves that to the Close it lands on.
const syntax::LocalVariable* Generator::closed_by(const syntax::GotoStatement& jump) {
  const syntax::LocalVariable* first = outermost_to_close(jump);
  return first != nullptr && first->hidden && jump.is_break ? nullptr : first;
}

void Generator::goto_statement(const syntax::GotoStatement& node) {
  if (const syntax::LocalVariable* first = closed_by(node)) {
    f().emit(Opcode::kClose, first->compiler_register, 0, 0, node.line);
  }
  if (node.is_backward) {
    f().emit_jump_back(node.target->compiler_position, node.line);
  } else {
    f().add_jump(node.target->compiler_patch_list, f().emit_jump());
  }
}

void Generator::place_label(syntax::Label* label) {
  if (label == nullptr) return;
  label->compiler_position = f().mark_target();
  f().patch_to_here(label->compiler_patch_list);
  label->compiler_patch_list = kNoJump;
}

}  // namespace baton::compiler
