// The code generator: walks a resolved syntax tree and drives one FunctionBuilder per function.
//
// Invariant: between statements no temporary register is in use.
// Invariant: recursion is bounded by syntax::kMaxSyntaxLevels; left spines are walked with an explicit stack.
// Invariant: what it refers to on the heap is a root: wherever work is counted a safepoint may be reached.
// Owner: compile(). Threading: as the heap.
#pragma once

#include <span>
#include <vector>

#include "compiler/function_builder.h"
#include "compiler/operand.h"
#include "compiler/pieces.h"

namespace baton::compiler {

class Generator final : public RootVisitor {
 public:
  // Raises: std::bad_alloc.
  Generator(Heap& heap, const ChunkName& chunk, Pieces& pieces) : heap_(heap), chunk_(chunk), pieces_(pieces) {
    heap.add_root_visitor(this);
  }
  ~Generator() override { heap_.remove_root_visitor(this); }
  Generator(const Generator&) = delete;
  Generator& operator=(const Generator&) = delete;

  void mark_roots(Heap& heap) noexcept override;

  // Generates a function and all inside it. Returns: a prototype that stays a root while the generator lives, if `node` is the
  // main function. Raises: CompileError, ScriptError(kMemory), what a poll throws.
  Prototype* function(const syntax::FunctionNode& node);

 private:
  using Expressions = std::span<syntax::Expression* const>;

  // --- values (values.cpp) -------------------------------------------------------------------------------------
  // Turns a variable, an access, or a call into a value: afterwards a literal, kRegister, kPending or kJump.
  void discharge(Operand& e);
  void emit_access(Operand& e, Opcode op, int b, int c);
  // Puts the value into a register: a given one, the next free one, or wherever it is. Jump lists are resolved.
  void to_register(Operand& e, int target);
  void to_next_register(Operand& e);
  int to_any_register(Operand& e);
  // Puts the plain value, without its jump lists, into a register.
  void plain_to_register(Operand& e, int target);
  void plain_to_any_register(Operand& e);
  void release(const Operand& e);
  void release_pair(const Operand& first, const Operand& second);
  void set_results(Operand& e, int count);
  // Index of a literal's constant if it fits a 16-bit operand, or -1.
  int short_constant(const Operand& e);
  int short_string(std::string_view text);

  // --- conditions (values.cpp) ---------------------------------------------------------------------------------
  // Emits the jump for one outcome, and falls through for the other.
  void fall_if_true(Operand& e);
  void fall_if_false(Operand& e);
  int jump_on(Operand& e, bool condition);
  Operand negation(Operand e, syntax::Line line);
  // Generates a condition. Returns: the jumps taken if it is false.
  int jumps_if_false(const syntax::Expression& condition);

  // --- expressions (expressions.cpp) ---------------------------------------------------------------------------
  Operand expression(const syntax::Expression& root);
  Operand leaf(const syntax::Expression& node);
  Operand finish_spine(const syntax::Expression& node, Operand left);
  Operand global(const syntax::GlobalExpression& node);
  Operand index(const syntax::IndexExpression& node, Operand object);
  Operand indexed(Operand object, const syntax::Expression& key, syntax::Line line);
  Operand call(const syntax::CallExpression& node, Operand callee);
  Operand method_call(const syntax::MethodCallExpression& node, Operand object);
  Operand finish_call(int base, Expressions arguments, syntax::Line line);
  Operand unary(const syntax::UnaryExpression& node);
  Operand concat(const syntax::ConcatExpression& node);
  Operand closure(const syntax::FunctionExpression& node);
  Operand table(const syntax::TableExpression& node);
  void keyed_item(int table, const syntax::TableItem& item);
  // Generates a list into consecutive registers. Returns: whether the last one is open (then all its results follow).
  bool list_to_registers(Expressions values);
  // Generates a list adjusted to `count` values in consecutive new registers.
  void adjusted_list(Expressions values, int count);
  void adjust(Operand& last, int missing);

  // --- operators (operators.cpp) --------------------------------------------------------------------------------
  Operand binary(const syntax::BinaryExpression& node, Operand left);
  Operand logical(const syntax::BinaryExpression& node, Operand left);
  Operand arithmetic(const syntax::BinaryExpression& node, Operand left);
  bool try_constant_arithmetic(syntax::BinaryOperator op, const Operand& variable, const Operand& constant, bool flipped,
                               syntax::Line line, Operand& result);
  Operand emit_arithmetic(const Operand& variable, Opcode op, int c, int d, syntax::Line line);
  Operand equality(const syntax::BinaryExpression& node, Operand left);
  Operand order(const syntax::BinaryExpression& node, Operand left);
  Operand comparison(Opcode op, const Operand& first, int second, syntax::Line line);

  // --- statements (statements.cpp, loops.cpp) --------------------------------------------------------------------
  void block(const syntax::Block& block);
  void statements(const syntax::Block& block);
  void close_block(const syntax::Block& block, int first_register);
  void statement(const syntax::Statement& node);
  void local(const syntax::LocalStatement& node);
  void local_function(const syntax::LocalFunctionStatement& node);
  void assignment(const syntax::AssignmentStatement& node);
  void multiple_assignment(const syntax::AssignmentStatement& node);
  std::vector<Operand> assignment_targets(Expressions targets);
  void resolve_conflict(std::span<Operand> targets, const Operand& variable);
  void store(Operand& target, Operand& value, syntax::Line line);
  void store_indexed(Opcode op, Opcode constant_op, const Operand& target, Operand& value, syntax::Line line);
  void call_statement(const syntax::CallStatement& node);
  void return_statement(const syntax::ReturnStatement& node);
  void tail_call(const syntax::ReturnStatement& node);
  void emit_return(int first, int count, syntax::Line line);
  void if_statement(const syntax::IfStatement& node);
  bool if_jump(const syntax::IfClause& clause);
  static const syntax::LocalVariable* closed_by(const syntax::GotoStatement& jump);
  void goto_statement(const syntax::GotoStatement& node);
  void place_label(syntax::Label* label);
  void while_loop(const syntax::WhileStatement& node);
  void repeat_loop(const syntax::RepeatStatement& node);
  void numeric_for(const syntax::NumericForStatement& node);
  void generic_for(const syntax::GenericForStatement& node);

  FunctionBuilder& f() { return *builder_; }
  Heap& heap_;
  const ChunkName& chunk_;
  FunctionBuilder* builder_ = nullptr;
  Prototype* main_ = nullptr;  // when it is complete
  Pieces& pieces_;
  std::vector<const syntax::Expression*> spine_;
};

}  // namespace baton::compiler
