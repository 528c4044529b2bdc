// Expressions (manual 3.4).
//
// Precedence climbing: subexpression(limit) parses one operand, then takes binary operators as long as they bind tighter to
// the left than `limit`; the right operand is a subexpression with the operator's right priority. A right priority below the
// left one makes an operator right associative (`..` and `^`). Unary operators bind tighter than all binary ones but `^`.
//
//   or < and < comparison < | < ~ < & < shift < .. < + - < * / // % < unary < ^
//
// Lines. The reference implementation emits the code of a variable or an indexed access late, when its value is needed, and
// gives it the line of the last token consumed by then. discharge() stands at exactly those places: after a `,`, before a
// `.`, after an operator, after a `)`. Operators and calls have lines of their own, taken when they are met.
#include "syntax/constant_folding.h"
#include "syntax/parser_internal.h"

namespace baton::syntax {
namespace {

constexpr int kUnaryPriority = 12;
constexpr int kConcatOperator = 100;  // `..` makes a node of its own kind
constexpr int kNoOperator = -1;

struct OperatorInfo {
  int op;  // a BinaryOperator, kConcatOperator or kNoOperator
  int left;
  int right;
};

constexpr OperatorInfo info(BinaryOperator op, int left, int right) { return {static_cast<int>(op), left, right}; }

OperatorInfo binary_operator(TokenKind kind) {
  switch (kind) {
    case token::kOr: return info(BinaryOperator::kOr, 1, 1);
    case token::kAnd: return info(BinaryOperator::kAnd, 2, 2);
    case '<': return info(BinaryOperator::kLess, 3, 3);
    case '>': return info(BinaryOperator::kGreater, 3, 3);
    case token::kLessEqual: return info(BinaryOperator::kLessEqual, 3, 3);
    case token::kGreaterEqual: return info(BinaryOperator::kGreaterEqual, 3, 3);
    case token::kNotEqual: return info(BinaryOperator::kNotEqual, 3, 3);
    case token::kEqual: return info(BinaryOperator::kEqual, 3, 3);
    case '|': return info(BinaryOperator::kBitOr, 4, 4);
    case '~': return info(BinaryOperator::kBitXor, 5, 5);
    case '&': return info(BinaryOperator::kBitAnd, 6, 6);
    case token::kShiftLeft: return info(BinaryOperator::kShiftLeft, 7, 7);
    case token::kShiftRight: return info(BinaryOperator::kShiftRight, 7, 7);
    case token::kConcat: return {kConcatOperator, 9, 8};
    case '+': return info(BinaryOperator::kAdd, 10, 10);
    case '-': return info(BinaryOperator::kSubtract, 10, 10);
    case '*': return info(BinaryOperator::kMultiply, 11, 11);
    case '/': return info(BinaryOperator::kDivide, 11, 11);
    case token::kFloorDivide: return info(BinaryOperator::kFloorDivide, 11, 11);
    case '%': return info(BinaryOperator::kModulo, 11, 11);
    case '^': return info(BinaryOperator::kPower, 14, 13);
    default: return {kNoOperator, 0, 0};
  }
}

bool is_falsy(const LiteralExpression& literal) {
  return literal.literal == LiteralKind::kNil || literal.literal == LiteralKind::kFalse;
}

}  // namespace

// ---------------------------------------------------------------------------------------------------------------------
// Values entering the tree

Expression* Parser::discharge(Expression* expression) {
  switch (expression->kind) {
    case ExpressionKind::kConstant: {
      auto* literal = arena_.make<LiteralExpression>(*as<ConstantExpression>(*expression).variable->constant);
      literal->line = lexer_.last_line();
      return literal;
    }
    case ExpressionKind::kGlobal:
    case ExpressionKind::kIndex:
      if (expression->line == 0) expression->line = lexer_.last_line();
      return expression;
    default:
      return expression;
  }
}

Expression* Parser::truncated(Expression* expression) {
  if (!is_open(*expression)) return expression;
  return arena_.make<ParenthesizedExpression>(expression, lexer_.last_line());
}

Expression* Parser::string_literal(Name text) {
  auto* literal = arena_.make<LiteralExpression>(LiteralKind::kString, lexer_.last_line());
  literal->string = text;
  return literal;
}

Expression* Parser::discharged_expression() { return discharge(expression()); }

// Leaves the last expression to finish_list: what consumes it decides when.
void Parser::expression_list(ExpressionList& list) {
  list.push_back(arena_, expression());
  while (accept(',')) {
    list.back() = discharge(list.back());
    list.push_back(arena_, expression());
  }
}

std::span<Expression*> Parser::finish_list(ExpressionList& list) {
  if (!list.empty()) list.back() = discharge(list.back());
  return list.span();
}

// ---------------------------------------------------------------------------------------------------------------------
// Operators

Expression* Parser::subexpression(int limit) {
  enter_level();
  Expression* left;
  switch (kind()) {
    case token::kNot: left = unary_expression(UnaryOperator::kNot); break;
    case '-': left = unary_expression(UnaryOperator::kNegate); break;
    case '~': left = unary_expression(UnaryOperator::kBitNot); break;
    case '#': left = unary_expression(UnaryOperator::kLength); break;
    default: left = simple_expression();
  }
  OperatorInfo next = binary_operator(kind());
  while (next.op != kNoOperator && next.left > limit) {
    const Line line = lexer_.line();
    lexer_.next();
    left = discharge(left);
    Expression* right = subexpression(next.right);
    left = finish_binary(next.op, left, discharge(right), line);
    next = binary_operator(kind());
  }
  leave_level();
  return left;
}

Expression* Parser::unary_expression(UnaryOperator op) {
  const Line line = lexer_.line();
  lexer_.next();
  Expression* operand = discharge(subexpression(kUnaryPriority));
  if (LiteralExpression* folded = fold_unary(arena_, op, *operand, line)) return folded;
  return arena_.make<UnaryExpression>(op, operand, line);
}

Expression* Parser::finish_binary(int op, Expression* left, Expression* right, Line line) {
  if (op == kConcatOperator) return concatenation(left, right, line);
  const auto binary = static_cast<BinaryOperator>(op);
  if (is_logical(binary)) return finish_logical(binary, left, right, line);
  if (is_comparison(binary)) line = lexer_.last_line();
  if (LiteralExpression* folded = fold_binary(arena_, binary, *left, *right, line)) return folded;
  return arena_.make<BinaryExpression>(binary, left, right, line);
}

// `and` after a true constant, and `or` after a false one, are their right operand.
Expression* Parser::finish_logical(BinaryOperator op, Expression* left, Expression* right, Line line) {
  const auto* literal = as_if<LiteralExpression>(left);
  if (literal != nullptr && is_falsy(*literal) == (op == BinaryOperator::kOr)) return truncated(right);
  return arena_.make<BinaryExpression>(op, left, right, line);
}

// Chains are at most as long as levels may nest, so that copying the operands of the right side costs little.
Expression* Parser::concatenation(Expression* left, Expression* right, Line line) {
  ExpressionList operands;
  operands.push_back(arena_, left);
  if (const auto* chain = as_if<ConcatExpression>(right)) {
    for (Expression* operand : chain->operands) operands.push_back(arena_, operand);
    line = chain->line;
  } else {
    operands.push_back(arena_, right);
  }
  return arena_.make<ConcatExpression>(operands.span(), line);
}

// ---------------------------------------------------------------------------------------------------------------------
// Operands

Expression* Parser::simple_expression() {
  const Token& current = lexer_.current();
  LiteralExpression* literal;
  switch (current.kind) {
    case token::kInteger:
      literal = arena_.make<LiteralExpression>(LiteralKind::kInteger, lexer_.line());
      literal->integer = current.integer;
      break;
    case token::kFloat:
      literal = arena_.make<LiteralExpression>(LiteralKind::kFloat, lexer_.line());
      literal->number = current.number;
      break;
    case token::kString:
      literal = arena_.make<LiteralExpression>(LiteralKind::kString, lexer_.line());
      literal->string = current.text;
      break;
    case token::kNil:
      literal = arena_.make<LiteralExpression>(LiteralKind::kNil, lexer_.line());
      break;
    case token::kTrue:
      literal = arena_.make<LiteralExpression>(LiteralKind::kTrue, lexer_.line());
      break;
    case token::kFalse:
      literal = arena_.make<LiteralExpression>(LiteralKind::kFalse, lexer_.line());
      break;
    case token::kDots: {
      if (!scopes_.function().node->is_vararg) lexer_.error_near_current("cannot use '...' outside a vararg function");
      auto* vararg = arena_.make<VarargExpression>(lexer_.last_line());
      lexer_.next();
      return vararg;
    }
    case '{':
      return table_constructor();
    case token::kFunction:
      lexer_.next();
      return function_body(/*is_method=*/false, lexer_.line());
    default:
      return suffixed_expression().expression;
  }
  lexer_.next();
  return literal;
}

Parser::Suffixed Parser::primary_expression() {
  if (kind() == token::kName) {
    const Name name = expect_name();
    return {scopes_.resolve(name), true};
  }
  if (kind() != '(') lexer_.error_near_current("unexpected symbol");
  const Line line = lexer_.line();
  lexer_.next();
  Expression* inner = expression();
  expect_match(')', '(', line);
  return {truncated(discharge(inner)), false};
}

Parser::Suffixed Parser::suffixed_expression() {
  Suffixed result = primary_expression();
  for (;;) {
    switch (kind()) {
      case '.':
        result = {field(result.expression), true};
        break;
      case '[': {
        Expression* object = discharge(result.expression);
        Expression* key = bracketed_key();
        result = {arena_.make<IndexExpression>(object, key, 0), true};
        break;
      }
      case ':':
        result = {method_call(result.expression), false};
        break;
      case '(':
      case token::kString:
      case '{': {
        auto* call = arena_.make<CallExpression>(discharge(result.expression), lexer_.line());
        call->arguments = call_arguments();
        result = {call, false};
        break;
      }
      default:
        return result;
    }
  }
}

// At the `.` or `:` before a field's name.
Expression* Parser::field(Expression* object) {
  object = discharge(object);
  lexer_.next();
  const Name name = expect_name();
  return arena_.make<IndexExpression>(object, string_literal(name), 0);
}

Expression* Parser::method_call(Expression* object) {
  lexer_.next();
  const Name name = expect_name();
  object = discharge(object);
  auto* call = arena_.make<MethodCallExpression>(object, name, lexer_.last_line(), lexer_.line());
  call->arguments = call_arguments();
  return call;
}

std::span<Expression*> Parser::call_arguments() {
  ExpressionList list;
  const Line line = lexer_.line();
  switch (kind()) {
    case '(':
      lexer_.next();
      if (kind() != ')') expression_list(list);
      expect_match(')', '(', line);
      break;
    case '{':
      list.push_back(arena_, table_constructor());
      break;
    case token::kString: {
      const Name text = lexer_.current().text;
      lexer_.next();
      list.push_back(arena_, string_literal(text));
      break;
    }
    default:
      lexer_.error_near_current("function arguments expected");
  }
  return finish_list(list);
}

Expression* Parser::bracketed_key() {
  lexer_.next();
  Expression* key = discharged_expression();
  expect(']');
  return key;
}

// ---------------------------------------------------------------------------------------------------------------------
// Tables

// The value of a positional item is discharged after its separator (the last one after the brace).
Expression* Parser::table_constructor() {
  const Line line = lexer_.line();
  auto* table = arena_.make<TableExpression>(lexer_.last_line());
  ArenaVector<TableItem> items;
  const auto discharge_pending = [&] {
    if (!items.empty() && items.back().key == nullptr) items.back().value = discharge(items.back().value);
  };
  expect('{');
  while (kind() != '}') {
    discharge_pending();
    items.push_back(arena_, table_item());
    ++(items.back().key == nullptr ? table->positional_count : table->keyed_count);
    if (!accept(',') && !accept(';')) break;
  }
  expect_match('}', '{', line);
  discharge_pending();
  table->items = items.span();
  table->end_line = lexer_.last_line();
  return table;
}

TableItem Parser::table_item() {
  TableItem item;
  if (kind() == '[') {
    item.key = bracketed_key();
  } else if (kind() == token::kName && lexer_.look_ahead() == '=') {
    const Name name = expect_name();
    item.key = string_literal(name);
  } else {
    item.value = expression();
    item.line = lexer_.last_line();
    return item;
  }
  expect('=');
  item.value = discharged_expression();
  item.line = lexer_.last_line();
  return item;
}

// ---------------------------------------------------------------------------------------------------------------------
// Functions

// At the `(` of the parameters. Takes: the line that messages and debug information call the function's.
FunctionExpression* Parser::function_body(bool is_method, Line line) {
  FunctionNode* function = scopes_.open_function(line);
  expect('(');
  parameters(is_method);
  expect(')');
  statements(function->body);
  function->last_line_defined = lexer_.line();
  function->body->end_line = lexer_.line();
  expect_match(token::kEnd, token::kFunction, line);
  function->end_line = lexer_.last_line();
  scopes_.close_function();
  return arena_.make<FunctionExpression>(function, lexer_.last_line());
}

void Parser::parameters(bool is_method) {
  FunctionNode* function = scopes_.function().node;
  VariableList list;
  if (is_method) {
    list.push_back(arena_, scopes_.declare(lexer_.share("self")));
    scopes_.activate(list.back());
  }
  const std::size_t first = list.size();
  if (kind() != ')') {
    do {
      if (accept(token::kDots)) {
        function->is_vararg = true;
      } else if (kind() == token::kName) {
        const Name name = expect_name();
        list.push_back(arena_, scopes_.declare(name));
      } else {
        lexer_.error_near_current("<name> or '...' expected");
      }
    } while (!function->is_vararg && accept(','));
  }
  for (std::size_t i = first; i < list.size(); ++i) scopes_.activate(list[i]);
  function->parameters = list.span();
}

}  // namespace baton::syntax
