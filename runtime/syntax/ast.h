// The syntax tree of one chunk: plain structs with kind tags, names already resolved.
//
// Invariant: every pointer, span and string_view in the tree points into the arena that was given to parse() (or to static
//   storage), and every destructor is trivial; dropping the arena drops the tree without recursion.
// Invariant: names are unique per arena: two equal names have equal data pointers. Literal strings are not promised to be.
// Depth: the left spine (BinaryExpression::left, IndexExpression::object, CallExpression::callee,
//   MethodCallExpression::object, BinaryExpression of and/or included) may be as long as the source; walk it with a loop.
//   Along every other edge a tree is at most kMaxSyntaxLevels deep, so recursion there is safe.
// Folding is done: numeric operators on numerals, `not` of constants, and references to compile-time constants are literals.
// Owner: whoever owns the arena. Threading: built by one thread, then read only, but for the `compiler_` scratch fields.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace baton::syntax {

struct Block;
struct Expression;
struct FunctionNode;
struct Label;
struct LiteralExpression;
struct Statement;

// Source lines count from 1. Unless a field says otherwise, `line` is the line a message about this node's own instruction
// must carry; it follows the reference implementation (5.4.8), where code gets the line of the last token consumed before
// it is emitted, except for arithmetic, calls and loops, whose line is fixed.
using Line = std::int32_t;

// An identifier or a string constant; bytes in the arena, any byte value, not NUL-terminated.
using Name = std::string_view;

// Nesting limit of statements, right operands, blocks and functions (manual: "C levels").
inline constexpr int kMaxSyntaxLevels = 200;
// Limits of one function; the parser raises when they are exceeded.
inline constexpr int kMaxLocals = 200;
inline constexpr int kMaxUpvalues = 255;

// ---------------------------------------------------------------------------------------------------------------------
// Variables

enum class Attribute : std::uint8_t {
  kRegular,
  kConst,  // local x <const>
  kClose,  // local x <close>, and the fourth hidden local of a generic for
};

// A local variable, a parameter or a hidden loop variable (name "(for state)").
struct LocalVariable {
  Name name;
  FunctionNode* function = nullptr;  // the function that declares it
  Block* block = nullptr;            // the block whose end ends its scope
  LocalVariable* outer = nullptr;    // the local of the same function active just before this one, or null: the set of
                                     // active locals at any point is one pointer into this chain
  const LiteralExpression* constant = nullptr;  // not null: a compile-time constant; it needs no register and is never
                                                // referred to by the tree (its uses are literals), but it counts in `index`
  Line line = 0;                     // of the name in the declaration
  std::uint16_t index = 0;           // how many locals of the function are active before it (0-based, < kMaxLocals)
  Attribute attribute = Attribute::kRegular;
  bool captured = false;  // some inner function has it as an upvalue
  bool assigned = false;  // some assignment, here or in an inner function, changes it after its declaration
  bool hidden = false;    // loop state, not nameable by the program
  std::int32_t compiler_register = -1;  // scratch of the compiler
  std::int32_t compiler_start = -1;     // scratch of the compiler (first instruction of its scope)
};

// How a closure finds one of its upvalues when it is created.
struct UpvalueDescriptor {
  Name name;
  LocalVariable* parent_local = nullptr;  // a local of the enclosing function, or null:
  std::uint16_t parent_upvalue = 0;       // then the index of an upvalue of the enclosing function
  Attribute attribute = Attribute::kRegular;
  // The local variable it finally denotes; null only for the main function's _ENV and what descends from it.
  LocalVariable* origin = nullptr;
};

// ---------------------------------------------------------------------------------------------------------------------
// Expressions

enum class ExpressionKind : std::uint8_t {
  kLiteral,
  kVararg,
  kFunction,
  kLocal,
  kUpvalue,
  kGlobal,
  kIndex,
  kCall,
  kMethodCall,
  kUnary,
  kBinary,
  kConcat,
  kParenthesized,
  kTable,
  kConstant,  // exists only while parsing; never in a finished tree
};

struct Expression {
  ExpressionKind kind;
  Line line;

 protected:
  constexpr Expression(ExpressionKind kind_of_node, Line line_of_node) : kind(kind_of_node), line(line_of_node) {}
};

enum class LiteralKind : std::uint8_t { kNil, kFalse, kTrue, kInteger, kFloat, kString };

struct LiteralExpression : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::kLiteral;
  LiteralKind literal;
  union {
    std::int64_t integer;  // kInteger
    double number;         // kFloat; may be inf (1e999), never a NaN; never -0.0
  };
  Name string;  // kString
  LiteralExpression(LiteralKind kind_of_literal, Line at) : Expression(kKind, at), literal(kind_of_literal), integer(0) {}
};

// `...`: all values where the list is open, else one.
struct VarargExpression : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::kVararg;
  explicit VarargExpression(Line at) : Expression(kKind, at) {}
};

// A closure creation; its line is the line of the function's `end`.
struct FunctionExpression : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::kFunction;
  FunctionNode* function;
  FunctionExpression(FunctionNode* node, Line at) : Expression(kKind, at), function(node) {}
};

struct LocalExpression : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::kLocal;
  LocalVariable* variable;  // of the function the expression stands in; never a compile-time constant
  LocalExpression(LocalVariable* local, Line at) : Expression(kKind, at), variable(local) {}
};

struct UpvalueExpression : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::kUpvalue;
  std::uint32_t index;  // into FunctionNode::upvalues of the function the expression stands in, 0-based
  Name name;
  UpvalueExpression(std::uint32_t index_of_upvalue, Name name_of_upvalue, Line at)
      : Expression(kKind, at), index(index_of_upvalue), name(name_of_upvalue) {}
};

// A free name: environment[name]. The environment is what `_ENV` means here: a kLocal, a kUpvalue, or a kLiteral (a constant _ENV).
struct GlobalExpression : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::kGlobal;
  Name name;
  Expression* environment;
  GlobalExpression(Name name_of_global, Expression* env, Line at)
      : Expression(kKind, at), name(name_of_global), environment(env) {}
};

// object[key] and object.name (then the key is a string literal).
struct IndexExpression : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::kIndex;
  Expression* object;
  Expression* key;
  IndexExpression(Expression* indexed, Expression* key_of_index, Line at)
      : Expression(kKind, at), object(indexed), key(key_of_index) {}
};

// callee(arguments). `line` is the line of the `(`, string or table that opens the arguments.
struct CallExpression : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::kCall;
  Expression* callee;
  std::span<Expression*> arguments;  // the last one may be open (see is_open)
  CallExpression(Expression* called, Line at) : Expression(kKind, at), callee(called) {}
};

// object:name(arguments). `line` is that of the argument opener; `self_line` that of the name (the method look-up).
struct MethodCallExpression : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::kMethodCall;
  Expression* object;
  Name name;
  Line self_line;
  std::span<Expression*> arguments;
  MethodCallExpression(Expression* receiver, Name name_of_method, Line line_of_name, Line at)
      : Expression(kKind, at), object(receiver), name(name_of_method), self_line(line_of_name) {}
};

enum class UnaryOperator : std::uint8_t { kNegate, kBitNot, kNot, kLength };

// `line` is the line of the operator.
struct UnaryExpression : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::kUnary;
  UnaryOperator op;
  Expression* operand;
  UnaryExpression(UnaryOperator unary, Expression* operand_of_unary, Line at)
      : Expression(kKind, at), op(unary), operand(operand_of_unary) {}
};

// Order matters: arithmetic and bitwise first, then comparisons, then the two logical ones (see the predicates below).
enum class BinaryOperator : std::uint8_t {
  kAdd, kSubtract, kMultiply, kModulo, kPower, kDivide, kFloorDivide,
  kBitAnd, kBitOr, kBitXor, kShiftLeft, kShiftRight,
  kEqual, kLess, kLessEqual, kNotEqual, kGreater, kGreaterEqual,
  kAnd, kOr,
};

constexpr bool is_arithmetic(BinaryOperator op) { return op <= BinaryOperator::kShiftRight; }
constexpr bool is_comparison(BinaryOperator op) { return op >= BinaryOperator::kEqual && op <= BinaryOperator::kGreaterEqual; }
constexpr bool is_logical(BinaryOperator op) { return op >= BinaryOperator::kAnd; }

// Arithmetic and bitwise: `line` is the operator's. Comparisons: the line of the last token of the right operand. Operands
// are evaluated left, then right; `a > b` is kept as kGreater so that the order can be seen.
struct BinaryExpression : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::kBinary;
  BinaryOperator op;
  Expression* left;
  Expression* right;
  BinaryExpression(BinaryOperator binary, Expression* left_operand, Expression* right_operand, Line at)
      : Expression(kKind, at), op(binary), left(left_operand), right(right_operand) {}
};

// a .. b .. c, and a .. (b .. c): at least two operands, evaluated left to right, concatenated right to left by one
// instruction. `line` is the line of the last `..`.
struct ConcatExpression : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::kConcat;
  std::span<Expression*> operands;
  ConcatExpression(std::span<Expression*> values, Line at) : Expression(kKind, at), operands(values) {}
};

// (expression): kept only around calls and `...`, where it truncates to one value; other parentheses leave no node.
struct ParenthesizedExpression : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::kParenthesized;
  Expression* inner;
  ParenthesizedExpression(Expression* inside, Line at) : Expression(kKind, at), inner(inside) {}
};

// One item of a table constructor; key == null: positional. `{name = v}` has a string literal as its key.
struct TableItem {
  Expression* key = nullptr;
  Expression* value = nullptr;
  Line line = 0;  // of the store: the last token of the value
};

struct TableExpression : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::kTable;
  std::span<TableItem> items;          // in source order; the last item, if positional, may be open
  std::uint32_t positional_count = 0;  // items without key, the open one included
  std::uint32_t keyed_count = 0;
  Line end_line = 0;  // of the closing brace
  explicit TableExpression(Line at) : Expression(kKind, at) {}
};

// A reference to a compile-time constant, replaced by a literal before it enters the tree.
struct ConstantExpression : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::kConstant;
  LocalVariable* variable;
  ConstantExpression(LocalVariable* local, Line at) : Expression(kKind, at), variable(local) {}
};

// Whether the expression yields any number of values where it ends a list.
constexpr bool is_open(const Expression& expression) {
  return expression.kind == ExpressionKind::kCall || expression.kind == ExpressionKind::kMethodCall ||
         expression.kind == ExpressionKind::kVararg;
}

// ---------------------------------------------------------------------------------------------------------------------
// Blocks and functions

struct Block {
  Block* parent = nullptr;  // enclosing block of the same function, or null for a function's body
  std::span<Statement*> statements;
  LocalVariable* outer_local = nullptr;  // the innermost local active when the block begins (see LocalVariable::outer)
  LocalVariable* last_local = nullptr;   // the innermost local active at the end of the block
  Line end_line = 0;                     // line of the block's last token: what leaving it closes is closed there
  bool has_captured_local = false;       // a local declared directly in this block is captured
  bool has_to_be_closed = false;         // a local declared directly in this block is <close> (or a generic for's fourth value)
  bool inside_to_be_closed = false;      // this or an enclosing block of the function has_to_be_closed: no tail calls
  bool is_loop = false;                  // the block a `break` leaves
  // Whether leaving the block must close upvalues or to-be-closed variables.
  constexpr bool needs_close() const { return has_captured_local || has_to_be_closed; }
};

struct FunctionNode {
  FunctionNode* parent = nullptr;          // enclosing function; null for the main function
  std::span<LocalVariable*> parameters;    // `self` first for methods
  std::span<LocalVariable*> locals;        // every local of the function in order of activation, parameters and constants included
  std::span<UpvalueDescriptor> upvalues;   // in order of first use; the main function has exactly one, _ENV, first
  std::span<FunctionNode*> functions;      // inner functions in the order they begin; `child_index` is the position
  Block* body = nullptr;
  Line line_defined = 0;       // line of `function`; 0 for the main function
  Line last_line_defined = 0;  // line of `end`; 0 for the main function
  Line end_line = 0;           // line of the final return: that of `end`; for the main function that of the last token
  std::uint32_t child_index = 0;
  std::uint16_t max_active_locals = 0;
  bool is_vararg = false;
  bool has_to_be_closed = false;  // some block of it has to-be-closed variables
};

// ---------------------------------------------------------------------------------------------------------------------
// Statements

enum class StatementKind : std::uint8_t {
  kLocal,
  kLocalFunction,
  kAssignment,
  kFunction,
  kCall,
  kDo,
  kWhile,
  kRepeat,
  kIf,
  kNumericFor,
  kGenericFor,
  kReturn,
  kGoto,
  kLabel,
};

struct Statement {
  StatementKind kind;
  Line line;  // of its first token, unless the statement says otherwise

 protected:
  constexpr Statement(StatementKind kind_of_node, Line line_of_node) : kind(kind_of_node), line(line_of_node) {}
};

// local a <const>, b <close> = values. The variables become active after the values.
struct LocalStatement : Statement {
  static constexpr StatementKind kKind = StatementKind::kLocal;
  std::span<LocalVariable*> variables;  // a constant one (LocalVariable::constant) is always the last; its value needs no code
  std::span<Expression*> values;        // may be empty, shorter or longer than variables
  Line end_line = 0;                    // of the last token: the line of the to-be-closed check
  explicit LocalStatement(Line at) : Statement(kKind, at) {}
};

// local function name: the variable is active inside the function.
struct LocalFunctionStatement : Statement {
  static constexpr StatementKind kKind = StatementKind::kLocalFunction;
  LocalVariable* variable = nullptr;
  FunctionExpression* function = nullptr;
  explicit LocalFunctionStatement(Line at) : Statement(kKind, at) {}
};

// targets = values. All operands of the targets are evaluated before any store; the last target is stored first.
struct AssignmentStatement : Statement {
  static constexpr StatementKind kKind = StatementKind::kAssignment;
  std::span<Expression*> targets;  // kLocal, kUpvalue, kGlobal or kIndex
  std::span<Expression*> values;
  Line store_line = 0;  // of all the stores: the last token of the statement
  explicit AssignmentStatement(Line at) : Statement(kKind, at) {}
};

// function a.b.c:m() ... end; for the `:` form `self` is already the first parameter. The store has `line`, that of `function`.
struct FunctionStatement : Statement {
  static constexpr StatementKind kKind = StatementKind::kFunction;
  Expression* target = nullptr;  // kLocal, kUpvalue, kGlobal or kIndex
  FunctionExpression* function = nullptr;
  explicit FunctionStatement(Line at) : Statement(kKind, at) {}
};

struct CallStatement : Statement {
  static constexpr StatementKind kKind = StatementKind::kCall;
  Expression* call = nullptr;  // kCall or kMethodCall
  explicit CallStatement(Line at) : Statement(kKind, at) {}
};

struct DoStatement : Statement {
  static constexpr StatementKind kKind = StatementKind::kDo;
  Block* body = nullptr;
  explicit DoStatement(Line at) : Statement(kKind, at) {}
};

// In each loop `break_label` is where its breaks go: just after the loop. It is null when there is no break.
struct WhileStatement : Statement {
  static constexpr StatementKind kKind = StatementKind::kWhile;
  Expression* condition = nullptr;
  Block* body = nullptr;
  Label* break_label = nullptr;
  explicit WhileStatement(Line at) : Statement(kKind, at) {}
};

struct RepeatStatement : Statement {
  static constexpr StatementKind kKind = StatementKind::kRepeat;
  Block* body = nullptr;  // its locals are visible in the condition
  Expression* condition = nullptr;
  Label* break_label = nullptr;
  Line end_line = 0;  // of the condition's last token
  explicit RepeatStatement(Line at) : Statement(kKind, at) {}
};

struct IfClause {
  Expression* condition = nullptr;  // null: else
  Block* body = nullptr;
  Line line = 0;       // of if, elseif or else
  Line then_line = 0;  // of then (0 for else)
};

struct IfStatement : Statement {
  static constexpr StatementKind kKind = StatementKind::kIf;
  std::span<IfClause> clauses;  // at least one; an else comes last
  Line end_line = 0;            // of end
  explicit IfStatement(Line at) : Statement(kKind, at) {}
};

// for variable = first, limit [, step] do. `line` (of `for`) is the line of the loop instruction.
struct NumericForStatement : Statement {
  static constexpr StatementKind kKind = StatementKind::kNumericFor;
  LocalVariable* hidden[3] = {};  // three consecutive locals, of `scope`, active around the body
  LocalVariable* variable = nullptr;
  Expression* first = nullptr;
  Expression* limit = nullptr;
  Expression* step = nullptr;  // null: 1
  Block* scope = nullptr;      // holds the hidden locals; has no statements; parent of body
  Block* body = nullptr;       // declares the variable
  Label* break_label = nullptr;
  Line prepare_line = 0;  // of `do`: errors about the loop's values
  Line end_line = 0;      // of `end`
  explicit NumericForStatement(Line at) : Statement(kKind, at) {}
};

// for variables in values do. `line` is that of `for`.
struct GenericForStatement : Statement {
  static constexpr StatementKind kKind = StatementKind::kGenericFor;
  LocalVariable* hidden[4] = {};  // iterator, state, control, closing value (attribute kClose), of `scope`
  std::span<LocalVariable*> variables;
  std::span<Expression*> values;  // adjusted to four
  Block* scope = nullptr;         // holds the hidden locals; has no statements; parent of body
  Block* body = nullptr;          // declares the variables
  Label* break_label = nullptr;
  Line call_line = 0;     // of the first token after `in`: the iterator call and the loop instruction
  Line prepare_line = 0;  // of `do`: the to-be-closed check
  Line end_line = 0;      // of `end`
  explicit GenericForStatement(Line at) : Statement(kKind, at) {}
};

// return values. `end_line` is the line of the return instruction.
struct ReturnStatement : Statement {
  static constexpr StatementKind kKind = StatementKind::kReturn;
  std::span<Expression*> values;
  bool is_tail_call = false;  // exactly one value, a call, and no to-be-closed variable in scope
  Line end_line = 0;
  explicit ReturnStatement(Line at) : Statement(kKind, at) {}
};

// goto name, and break. `line` is that of the name, or of break.
struct GotoStatement : Statement {
  static constexpr StatementKind kKind = StatementKind::kGoto;
  Name name;  // "break" for break
  Label* target = nullptr;
  LocalVariable* active_local = nullptr;  // innermost local active at the jump
  bool is_break = false;
  bool is_backward = false;
  explicit GotoStatement(Line at) : Statement(kKind, at) {}
};

// A place to jump to; written by the program (a LabelStatement) or synthesized for the breaks of a loop.
struct Label {
  Name name;
  Line line = 0;
  LocalVariable* active_local = nullptr;  // innermost local considered active at the label (a label that ends its block lies outside the block's locals)
  std::uint32_t goto_count = 0;           // jumps that target it
  std::int32_t compiler_position = -1;    // scratch of the compiler: instruction index
  std::int32_t compiler_patch_list = -1;  // scratch of the compiler: pending forward jumps
};

struct LabelStatement : Statement {
  static constexpr StatementKind kKind = StatementKind::kLabel;
  Label* label;
  LabelStatement(Label* place, Line at) : Statement(kKind, at), label(place) {}
};

// ---------------------------------------------------------------------------------------------------------------------
// Helpers

// Returns the node as its concrete type. Takes: a node whose kind is Node::kKind.
template <class Node>
Node& as(Expression& expression) {
  return static_cast<Node&>(expression);
}
template <class Node>
const Node& as(const Expression& expression) {
  return static_cast<const Node&>(expression);
}
template <class Node>
Node& as(Statement& statement) {
  return static_cast<Node&>(statement);
}
template <class Node>
const Node& as(const Statement& statement) {
  return static_cast<const Node&>(statement);
}

// Returns the node as its concrete type, or null if it is of another kind.
template <class Node>
Node* as_if(Expression* expression) {
  return expression->kind == Node::kKind ? static_cast<Node*>(expression) : nullptr;
}
template <class Node>
const Node* as_if(const Expression* expression) {
  return expression->kind == Node::kKind ? static_cast<const Node*>(expression) : nullptr;
}

// Returns the outermost local that a jump leaves and that must be closed (captured, or to be closed), or null if the jump
// needs no close: closing that local and all later ones is exactly what the jump requires.
inline const LocalVariable* outermost_to_close(const GotoStatement& jump) {
  const LocalVariable* found = nullptr;
  for (const LocalVariable* local = jump.active_local; local != nullptr && local != jump.target->active_local;
       local = local->outer) {
    if (local->captured || local->attribute == Attribute::kClose) found = local;
  }
  return found;
}

}  // namespace baton::syntax
