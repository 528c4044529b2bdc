// Expressions may have a left spine as long as the source, so that the dumper descends it with a loop: it opens every node of
// the spine, then finishes them inside out. All other recursion is bounded by the parser's limit on nesting.
#include "syntax/ast_dump.h"

#include <vector>

#include "base/number.h"

namespace baton::syntax {
namespace {

class Dumper {
 public:
  explicit Dumper(DumpLines lines) : show_lines_(lines == DumpLines::kShow) {}

  void function(const FunctionNode& node, const std::string& path);
  std::string take() { return std::move(text_); }

 private:
  void add(std::string_view text) { text_.append(text); }
  void add_line(Line line);
  void open(std::string_view kind, Line line);
  void start(Line line, std::string_view keyword);
  void finish() { add("\n"); }
  void quoted(std::string_view text);
  void reference(const LocalVariable& variable);
  void declaration(const LocalVariable& variable);
  void literal(const LiteralExpression& literal);

  void expression(const Expression& root);
  static const Expression* left_child(const Expression& node);
  void head(const Expression& node);
  void rest(const Expression& node);
  void leaf(const Expression& node);
  void table(const TableExpression& node);
  void operands(std::span<Expression* const> list);

  void block(const Block& block);
  void statement(const Statement& node);
  void store_statement(const Statement& node);
  void loop_statement(const Statement& node);
  void if_statement(const IfStatement& node);
  void for_statement(const NumericForStatement& node);
  void for_statement(const GenericForStatement& node);
  void jump(const GotoStatement& node);
  void break_label(const Label* label);

  std::string text_;
  bool show_lines_;
  int indent_ = 0;
};

std::string_view name_of(BinaryOperator op) {
  static constexpr std::string_view kNames[] = {"add", "sub", "mul", "mod", "pow", "div", "idiv", "band", "bor", "bxor",
                                                "shl", "shr", "eq", "lt", "le", "ne", "gt", "ge", "and", "or"};
  return kNames[static_cast<std::size_t>(op)];
}

std::string_view name_of(UnaryOperator op) {
  static constexpr std::string_view kNames[] = {"neg", "bnot", "not", "len"};
  return kNames[static_cast<std::size_t>(op)];
}

void Dumper::add_line(Line line) {
  if (show_lines_) add("@" + std::to_string(line));
}

void Dumper::open(std::string_view kind, Line line) {
  add("(");
  add(kind);
  add_line(line);
}

void Dumper::start(Line line, std::string_view keyword) {
  text_.append(static_cast<std::size_t>(indent_) * 2, ' ');
  const bool spaced = keyword.ends_with(' ');
  add(keyword.substr(0, keyword.size() - (spaced ? 1 : 0)));
  add_line(line);
  if (spaced) add(" ");
}

void Dumper::quoted(std::string_view text) {
  static constexpr char kDigits[] = "0123456789abcdef";
  add("\"");
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= ' ' && byte <= '~' && c != '"' && c != '\\') {
      text_.push_back(c);
    } else {
      text_.append({'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]});
    }
  }
  add("\"");
}

void Dumper::reference(const LocalVariable& variable) {
  add(variable.name);
  add("#" + std::to_string(variable.index));
}

void Dumper::declaration(const LocalVariable& variable) {
  reference(variable);
  if (variable.attribute == Attribute::kConst) add(" const");
  if (variable.attribute == Attribute::kClose) add(" close");
  if (variable.captured) add(" captured");
  if (variable.assigned) add(" assigned");
  if (variable.constant != nullptr) {
    add(" = ");
    literal(*variable.constant);
  }
}

void Dumper::literal(const LiteralExpression& node) {
  char buffer[number::kTextBytes];
  switch (node.literal) {
    case LiteralKind::kNil: return add("nil");
    case LiteralKind::kFalse: return add("false");
    case LiteralKind::kTrue: return add("true");
    case LiteralKind::kInteger: return add({buffer, number::to_text(node.integer, buffer)});
    case LiteralKind::kFloat: return add({buffer, number::to_text(node.number, buffer)});
    case LiteralKind::kString: return quoted(node.string);
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Expressions

void Dumper::expression(const Expression& root) {
  std::vector<const Expression*> spine;
  for (const Expression* node = &root; node != nullptr; node = left_child(*node)) {
    if (!spine.empty()) add(" ");
    head(*node);
    spine.push_back(node);
  }
  for (auto node = spine.rbegin(); node != spine.rend(); ++node) rest(**node);
}

const Expression* Dumper::left_child(const Expression& node) {
  switch (node.kind) {
    case ExpressionKind::kIndex: return as<IndexExpression>(node).object;
    case ExpressionKind::kCall: return as<CallExpression>(node).callee;
    case ExpressionKind::kMethodCall: return as<MethodCallExpression>(node).object;
    case ExpressionKind::kUnary: return as<UnaryExpression>(node).operand;
    case ExpressionKind::kBinary: return as<BinaryExpression>(node).left;
    case ExpressionKind::kParenthesized: return as<ParenthesizedExpression>(node).inner;
    default: return nullptr;
  }
}

// Writes what comes before the left child; leaves are complete.
void Dumper::head(const Expression& node) {
  switch (node.kind) {
    case ExpressionKind::kIndex: return open("index", node.line);
    case ExpressionKind::kCall: return open("call", node.line);
    case ExpressionKind::kMethodCall: return open("method", node.line);
    case ExpressionKind::kUnary: return open(name_of(as<UnaryExpression>(node).op), node.line);
    case ExpressionKind::kBinary: return open(name_of(as<BinaryExpression>(node).op), node.line);
    case ExpressionKind::kParenthesized: return open("one", node.line);
    default: return leaf(node);
  }
}

// Writes what comes after the left child.
void Dumper::rest(const Expression& node) {
  switch (node.kind) {
    case ExpressionKind::kIndex:
      operands({&as<IndexExpression>(node).key, 1});
      break;
    case ExpressionKind::kCall:
      operands(as<CallExpression>(node).arguments);
      break;
    case ExpressionKind::kMethodCall: {
      const auto& call = as<MethodCallExpression>(node);
      add(" :");
      add(call.name);
      add_line(call.self_line);
      operands(call.arguments);
      break;
    }
    case ExpressionKind::kBinary:
      operands({&as<BinaryExpression>(node).right, 1});
      break;
    case ExpressionKind::kUnary:
    case ExpressionKind::kParenthesized:
      break;
    default:
      return;
  }
  add(")");
}

void Dumper::leaf(const Expression& node) {
  switch (node.kind) {
    case ExpressionKind::kLiteral: return literal(as<LiteralExpression>(node));
    case ExpressionKind::kVararg: return add("...");
    case ExpressionKind::kLocal: return reference(*as<LocalExpression>(node).variable);
    case ExpressionKind::kTable: return table(as<TableExpression>(node));
    case ExpressionKind::kFunction:
      open("function", node.line);
      add(" " + std::to_string(as<FunctionExpression>(node).function->child_index) + ")");
      return;
    case ExpressionKind::kUpvalue:
      add(as<UpvalueExpression>(node).name);
      return add("^" + std::to_string(as<UpvalueExpression>(node).index));
    case ExpressionKind::kGlobal: {
      const auto& global = as<GlobalExpression>(node);
      open("global", node.line);
      add(" ");
      leaf(*global.environment);
      add(" ");
      add(global.name);
      return add(")");
    }
    case ExpressionKind::kConcat:
      open("concat", node.line);
      operands(as<ConcatExpression>(node).operands);
      return add(")");
    default: return add("(misplaced)");
  }
}

void Dumper::table(const TableExpression& node) {
  open("table", node.line);
  for (const TableItem& item : node.items) {
    add(" ");
    if (item.key != nullptr) {
      add("[");
      expression(*item.key);
      add("]=");
    }
    expression(*item.value);
    add_line(item.line);
  }
  add(")");
}

void Dumper::operands(std::span<Expression* const> list) {
  for (const Expression* operand : list) {
    add(" ");
    expression(*operand);
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Statements

void Dumper::block(const Block& node) {
  ++indent_;
  for (const Statement* child : node.statements) statement(*child);
  --indent_;
  start(node.end_line, "end");
  if (node.has_captured_local) add(" has_captured_local");
  if (node.has_to_be_closed) add(" has_to_be_closed");
  if (node.inside_to_be_closed) add(" inside_to_be_closed");
  finish();
}

void Dumper::break_label(const Label* label) {
  if (label != nullptr) add(" breaks=" + std::to_string(label->goto_count));
}

void Dumper::if_statement(const IfStatement& node) {
  bool first = true;
  for (const IfClause& clause : node.clauses) {
    start(clause.line, first ? "if" : clause.condition != nullptr ? "elseif" : "else");
    first = false;
    if (clause.condition != nullptr) {
      add(" ");
      expression(*clause.condition);
      add(" then");
      add_line(clause.then_line);
    }
    finish();
    block(*clause.body);
  }
}

void Dumper::for_statement(const NumericForStatement& node) {
  start(node.line, "for ");
  declaration(*node.variable);
  add(" =");
  operands({&node.first, 1});
  operands({&node.limit, 1});
  if (node.step != nullptr) operands({&node.step, 1});
  add(" do");
  add_line(node.prepare_line);
  break_label(node.break_label);
  finish();
  block(*node.body);
}

void Dumper::for_statement(const GenericForStatement& node) {
  start(node.line, "for");
  for (const LocalVariable* variable : node.variables) {
    add(" ");
    declaration(*variable);
  }
  add(" in");
  add_line(node.call_line);
  operands(node.values);
  add(" do");
  add_line(node.prepare_line);
  break_label(node.break_label);
  finish();
  block(*node.body);
}

void Dumper::jump(const GotoStatement& node) {
  start(node.line, node.is_break ? "break" : "goto ");
  if (!node.is_break) add(node.name);
  if (node.is_backward) add(" backward");
  add(" label");
  add_line(node.target->line);
  if (const LocalVariable* closed = outermost_to_close(node)) {
    add(" closes ");
    reference(*closed);
  }
  finish();
}

void Dumper::store_statement(const Statement& node) {
  switch (node.kind) {
    case StatementKind::kLocal: {
      const auto& local = as<LocalStatement>(node);
      start(node.line, "local");
      for (const LocalVariable* variable : local.variables) {
        add(" ");
        declaration(*variable);
      }
      if (!local.values.empty()) add(" :=");
      operands(local.values);
      return finish();
    }
    case StatementKind::kLocalFunction: {
      const auto& local = as<LocalFunctionStatement>(node);
      start(node.line, "local function ");
      declaration(*local.variable);
      add(" ");
      expression(*local.function);
      return finish();
    }
    case StatementKind::kAssignment: {
      const auto& assignment = as<AssignmentStatement>(node);
      start(node.line, "assign");
      operands(assignment.targets);
      add(" :=");
      operands(assignment.values);
      return finish();
    }
    case StatementKind::kFunction: {
      const auto& function = as<FunctionStatement>(node);
      start(node.line, "function ");
      expression(*function.target);
      add(" ");
      expression(*function.function);
      return finish();
    }
    default: return;
  }
}

void Dumper::loop_statement(const Statement& node) {
  switch (node.kind) {
    case StatementKind::kWhile: {
      const auto& loop = as<WhileStatement>(node);
      start(node.line, "while ");
      expression(*loop.condition);
      break_label(loop.break_label);
      finish();
      return block(*loop.body);
    }
    case StatementKind::kRepeat: {
      const auto& loop = as<RepeatStatement>(node);
      start(node.line, "repeat");
      break_label(loop.break_label);
      finish();
      block(*loop.body);
      start(loop.end_line, "until ");
      expression(*loop.condition);
      return finish();
    }
    case StatementKind::kNumericFor: return for_statement(as<NumericForStatement>(node));
    case StatementKind::kGenericFor: return for_statement(as<GenericForStatement>(node));
    default: return;
  }
}

void Dumper::statement(const Statement& node) {
  switch (node.kind) {
    case StatementKind::kLocal:
    case StatementKind::kLocalFunction:
    case StatementKind::kAssignment:
    case StatementKind::kFunction:
      return store_statement(node);
    case StatementKind::kWhile:
    case StatementKind::kRepeat:
    case StatementKind::kNumericFor:
    case StatementKind::kGenericFor:
      return loop_statement(node);
    case StatementKind::kCall:
      start(node.line, "call ");
      expression(*as<CallStatement>(node).call);
      return finish();
    case StatementKind::kDo:
      start(node.line, "do");
      finish();
      return block(*as<DoStatement>(node).body);
    case StatementKind::kIf: return if_statement(as<IfStatement>(node));
    case StatementKind::kReturn: {
      const auto& result = as<ReturnStatement>(node);
      start(result.end_line, result.is_tail_call ? "return tail" : "return");
      operands(result.values);
      return finish();
    }
    case StatementKind::kGoto: return jump(as<GotoStatement>(node));
    case StatementKind::kLabel: {
      const Label& label = *as<LabelStatement>(node).label;
      start(node.line, "label ");
      add(label.name);
      add(" gotos=" + std::to_string(label.goto_count));
      return finish();
    }
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Functions

void Dumper::function(const FunctionNode& node, const std::string& path) {
  add("function " + path + "(");
  bool first = true;
  for (const LocalVariable* parameter : node.parameters) {
    if (!first) add(", ");
    first = false;
    declaration(*parameter);
  }
  if (node.is_vararg) add(first ? "..." : ", ...");
  add(")");
  if (show_lines_) {
    add(" lines " + std::to_string(node.line_defined) + "-" + std::to_string(node.last_line_defined));
    add(" end " + std::to_string(node.end_line));
  }
  add(" locals=" + std::to_string(node.locals.size()) + "/" + std::to_string(node.max_active_locals));
  for (const UpvalueDescriptor& upvalue : node.upvalues) {
    add(" ^");
    add(upvalue.name);
    if (upvalue.parent_local != nullptr) {
      add("=");
      reference(*upvalue.parent_local);
    } else {
      add("=^" + std::to_string(upvalue.parent_upvalue));
    }
  }
  finish();
  block(*node.body);
  for (const FunctionNode* inner : node.functions) function(*inner, path + "." + std::to_string(inner->child_index));
}

}  // namespace

std::string dump(const FunctionNode& function, DumpLines lines) {
  Dumper dumper(lines);
  dumper.function(function, function.parent == nullptr ? "main" : "inner");
  return dumper.take();
}

}  // namespace baton::syntax
