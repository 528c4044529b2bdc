// Loops (manual 3.3.4, 3.3.5). Each has exactly one back-edge, which is a safepoint:
//
//   while                 repeat               numeric for             generic for
//   top: jump if not c    top: body            a = first, limit, step  a = iterator, state, control, closing
//        body                  jump if c            ForPrepare a, end       ForInPrepare a, call
//        JumpBack top          JumpBack top    top: body (R[a+3])      top: body (R[a+4] ..)
//   end:                  end:                      ForLoop a, top    call: ForInCall a, count
//                                              end:                         ForInLoop a, top
//                                                                     end:  Close a       (breaks come here, too)
//
// Captured locals of a body are closed at its end, before the back-edge, so that each round has its own.
#include "compiler/generator.h"

namespace baton::compiler {

void Generator::while_loop(const syntax::WhileStatement& node) {
  const int top = f().mark_target();
  const int exit = jumps_if_false(*node.condition);
  block(*node.body);
  f().emit_jump_back(top, f().line());
  f().patch_to_here(exit);
  place_label(node.break_label);
}

// The condition is in the scope of the body's locals, so both ways out of it close them.
void Generator::repeat_loop(const syntax::RepeatStatement& node) {
  const std::size_t outer = f().active_count();
  const int first = f().active_registers();
  const int top = f().mark_target();
  statements(*node.body);
  Operand condition = expression(*node.condition);
  fall_if_false(condition);
  const bool closes = node.body->needs_close();
  f().leave_scope(outer);
  if (closes) f().emit(Opcode::kClose, first, 0, 0, node.end_line);
  f().emit_jump_back(top, node.end_line);
  f().patch_to_here(condition.true_list);
  if (closes) f().emit(Opcode::kClose, first, 0, 0, node.end_line);
  place_label(node.break_label);
}

void Generator::numeric_for(const syntax::NumericForStatement& node) {
  const std::size_t outer = f().active_count();
  const int base = f().free_register();
  Operand first = expression(*node.first);
  const bool is_unit = first.is_integer() && node.step == nullptr;
  to_next_register(first);
  Operand limit = expression(*node.limit);
  to_next_register(limit);
  if (node.step != nullptr) {
    Operand step = expression(*node.step);
    to_next_register(step);
  } else {
    f().reserve(1);
    f().emit_wide(Opcode::kLoadInteger, base + 2, 1);
  }
  for (syntax::LocalVariable* hidden : node.hidden) f().activate(hidden);
  const std::size_t inner = f().active_count();
  const int prepare = f().emit_jump(Opcode::kForPrepare, base, 0, node.prepare_line);
  f().reserve(1);
  const int top = f().mark_target();
  f().activate(node.variable);
  statements(*node.body);
  f().leave_scope(inner);
  close_block(*node.body, base + 3);
  const Opcode last = is_unit ? Opcode::kForLoopUnit : Opcode::kForLoop;
  f().emit(Instruction::abj(last, base, 0, top - (f().here() + 1)), node.line);
  f().patch_to_here(prepare);
  f().leave_scope(outer);
  place_label(node.break_label);
}

void Generator::generic_for(const syntax::GenericForStatement& node) {
  constexpr int kHidden = 4;
  constexpr int kCallRegisters = 3;  // the iterator's call is built above the hidden locals
  const std::size_t outer = f().active_count();
  const int base = f().free_register();
  const int count = static_cast<int>(node.variables.size());
  adjusted_list(node.values, kHidden);
  for (syntax::LocalVariable* hidden : node.hidden) f().activate(hidden);
  f().check_registers(kCallRegisters);
  const std::size_t inner = f().active_count();
  const int prepare = f().emit_jump(Opcode::kForInPrepare, base, 0, node.prepare_line);
  f().reserve(count);
  const int top = f().mark_target();
  for (syntax::LocalVariable* variable : node.variables) f().activate(variable);
  statements(*node.body);
  f().leave_scope(inner);
  close_block(*node.body, base + kHidden);
  f().patch_to_here(prepare);
  f().emit(Opcode::kForInCall, base, count, 0, node.call_line);
  f().emit(Instruction::abj(Opcode::kForInLoop, base, 0, top - (f().here() + 1)), node.call_line);
  f().leave_scope(outer);
  place_label(node.break_label);
  f().emit(Opcode::kClose, base, 0, 0, node.end_line);
}

}  // namespace baton::compiler
