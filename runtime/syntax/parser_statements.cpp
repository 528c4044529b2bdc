// Statements (manual 3.3).
//
// Each function returns the node of its statement; labels and empty statements go through statement(), which appends. Where
// a block opens and where a local becomes active follows the manual's scope rules (3.5): the values of `local` are outside
// the scope of its names, the name of `local function` is inside, the condition of `repeat` sees the body's locals.
#include "syntax/parser_internal.h"

#include <string>

namespace baton::syntax {

// ---------------------------------------------------------------------------------------------------------------------
// Blocks

void Parser::statements(Block* block) {
  StatementList list;
  while (!at_block_end(/*with_until=*/true)) {
    const bool is_return = kind() == token::kReturn;
    statement(list);
    if (is_return) break;  // it must be the last
  }
  block->statements = list.span();
}

// Parses a block in a scope of its own, up to the token that ends it.
Block* Parser::block(bool is_loop) {
  Block* block = scopes_.open_block();
  block->is_loop = is_loop;
  statements(block);
  block->end_line = lexer_.last_line();
  scopes_.close_block();
  return block;
}

void Parser::statement(StatementList& list) {
  const Line line = lexer_.line();
  enter_level();
  if (kind() == ';') {
    lexer_.next();
  } else if (kind() == token::kDoubleColon) {
    label_statement(list, line);
  } else {
    Statement* parsed = plain_statement(line);
    list.push_back(arena_, parsed);
  }
  leave_level();
}

Statement* Parser::plain_statement(Line line) {
  switch (kind()) {
    case token::kIf: return if_statement(line);
    case token::kWhile: return while_statement(line);
    case token::kDo: return do_statement(line);
    case token::kFor: return for_statement(line);
    case token::kRepeat: return repeat_statement(line);
    case token::kFunction: return function_statement(line);
    case token::kLocal: return local_statement(line);
    case token::kReturn: return return_statement(line);
    case token::kBreak: return break_statement(line);
    case token::kGoto: return goto_statement(line);
    default: return expression_statement(line);
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Control structures

Statement* Parser::if_statement(Line line) {
  auto* node = arena_.make<IfStatement>(line);
  ArenaVector<IfClause> clauses;
  do {
    const IfClause clause = if_clause();
    clauses.push_back(arena_, clause);
  } while (kind() == token::kElseif);
  if (kind() == token::kElse) {
    IfClause otherwise;
    otherwise.line = lexer_.line();
    lexer_.next();
    otherwise.body = block(/*is_loop=*/false);
    clauses.push_back(arena_, otherwise);
  }
  node->end_line = lexer_.line();
  expect_match(token::kEnd, token::kIf, line);
  node->clauses = clauses.span();
  return node;
}

// At `if` or `elseif`.
IfClause Parser::if_clause() {
  IfClause clause;
  clause.line = lexer_.line();
  lexer_.next();
  Expression* condition = expression();
  expect(token::kThen);
  clause.condition = discharge(condition);
  clause.then_line = lexer_.last_line();
  clause.body = block(/*is_loop=*/false);
  return clause;
}

Statement* Parser::while_statement(Line line) {
  auto* node = arena_.make<WhileStatement>(line);
  lexer_.next();
  node->condition = discharged_expression();
  expect(token::kDo);
  const std::size_t first_jump = scopes_.pending_jumps();
  node->body = block(/*is_loop=*/true);
  expect_match(token::kEnd, token::kWhile, line);
  node->break_label = scopes_.add_break_label(first_jump);
  return node;
}

Statement* Parser::do_statement(Line line) {
  auto* node = arena_.make<DoStatement>(line);
  lexer_.next();
  node->body = block(/*is_loop=*/false);
  expect_match(token::kEnd, token::kDo, line);
  return node;
}

Statement* Parser::repeat_statement(Line line) {
  auto* node = arena_.make<RepeatStatement>(line);
  const std::size_t first_jump = scopes_.pending_jumps();
  node->body = scopes_.open_block();
  node->body->is_loop = true;
  lexer_.next();
  statements(node->body);
  node->body->end_line = lexer_.line();
  expect_match(token::kUntil, token::kRepeat, line);
  node->condition = discharged_expression();
  node->end_line = lexer_.last_line();
  scopes_.close_block();
  node->break_label = scopes_.add_break_label(first_jump);
  return node;
}

Statement* Parser::for_statement(Line line) {
  lexer_.next();
  const Name first_name = expect_name();
  switch (kind()) {
    case '=': return numeric_for(first_name, line);
    case ',':
    case token::kIn: return generic_for(first_name, line);
    default: lexer_.error_near_current("'=' or 'in' expected");
  }
}

// At the `=`. The hidden locals and the variable are declared together, but only the hidden ones are active while the body's
// block does not exist yet.
Statement* Parser::numeric_for(Name first_name, Line line) {
  auto* node = arena_.make<NumericForStatement>(line);
  const std::size_t first_jump = scopes_.pending_jumps();
  node->scope = scopes_.open_block();
  for (LocalVariable*& hidden : node->hidden) hidden = scopes_.declare_hidden();
  node->variable = scopes_.declare(first_name);
  lexer_.next();
  node->first = discharged_expression();
  expect(',');
  node->limit = discharged_expression();
  if (accept(',')) node->step = discharged_expression();
  for (LocalVariable* hidden : node->hidden) scopes_.activate(hidden);
  node->body = for_body({&node->variable, 1}, &node->prepare_line);
  node->end_line = lexer_.line();
  expect_match(token::kEnd, token::kFor, line);
  scopes_.close_block();
  node->break_label = scopes_.add_break_label(first_jump);
  return node;
}

// At the first `,` or `in`.
Statement* Parser::generic_for(Name first_name, Line line) {
  auto* node = arena_.make<GenericForStatement>(line);
  const std::size_t first_jump = scopes_.pending_jumps();
  node->scope = scopes_.open_block();
  for (LocalVariable*& hidden : node->hidden) hidden = scopes_.declare_hidden();
  node->hidden[3]->attribute = Attribute::kClose;
  VariableList variables;
  variables.push_back(arena_, scopes_.declare(first_name));
  while (accept(',')) {
    const Name name = expect_name();
    variables.push_back(arena_, scopes_.declare(name));
  }
  expect(token::kIn);
  node->call_line = lexer_.line();
  ExpressionList values;
  expression_list(values);
  node->values = finish_list(values);
  node->variables = variables.span();
  for (LocalVariable* hidden : node->hidden) scopes_.activate(hidden);
  scopes_.mark_to_be_closed();
  node->body = for_body(node->variables, &node->prepare_line);
  node->end_line = lexer_.line();
  expect_match(token::kEnd, token::kFor, line);
  scopes_.close_block();
  node->break_label = scopes_.add_break_label(first_jump);
  return node;
}

// At `do`: the block of a for loop, which declares the loop's variables.
Block* Parser::for_body(std::span<LocalVariable*> variables, Line* prepare_line) {
  expect(token::kDo);
  *prepare_line = lexer_.last_line();
  Block* body = scopes_.open_block();
  body->is_loop = true;
  for (LocalVariable* variable : variables) scopes_.activate(variable);
  statements(body);
  body->end_line = lexer_.last_line();
  scopes_.close_block();
  return body;
}

// ---------------------------------------------------------------------------------------------------------------------
// Labels and jumps

// A label takes the labels and empty statements that follow it along, because only what comes after them decides whether it
// ends its block. They all stand at one place, so that their order in the tree does not matter.
void Parser::label_statement(StatementList& list, Line line) {
  lexer_.next();
  const Name name = expect_name();
  expect(token::kDoubleColon);
  while (kind() == ';' || kind() == token::kDoubleColon) statement(list);
  Label* label = scopes_.add_label(name, line, at_block_end(/*with_until=*/false));
  list.push_back(arena_, arena_.make<LabelStatement>(label, line));
}

Statement* Parser::goto_statement(Line line) {
  lexer_.next();
  auto* node = arena_.make<GotoStatement>(line);
  node->line = lexer_.line();
  node->name = expect_name();
  scopes_.add_jump(node);
  return node;
}

Statement* Parser::break_statement(Line line) {
  lexer_.next();
  auto* node = arena_.make<GotoStatement>(line);
  node->name = token::text(token::kBreak);
  node->is_break = true;
  scopes_.add_jump(node);
  return node;
}

Statement* Parser::return_statement(Line line) {
  lexer_.next();
  auto* node = arena_.make<ReturnStatement>(line);
  if (!at_block_end(/*with_until=*/true) && kind() != ';') {
    ExpressionList values;
    expression_list(values);
    node->values = finish_list(values);
    const ExpressionKind last = node->values.back()->kind;
    const bool is_call = last == ExpressionKind::kCall || last == ExpressionKind::kMethodCall;
    node->is_tail_call = is_call && node->values.size() == 1 && !scopes_.block()->inside_to_be_closed;
  }
  node->end_line = lexer_.last_line();
  accept(';');
  return node;
}

// ---------------------------------------------------------------------------------------------------------------------
// Declarations

Statement* Parser::function_statement(Line line) {
  lexer_.next();
  auto* node = arena_.make<FunctionStatement>(line);
  const Name name = expect_name();
  Expression* target = scopes_.resolve(name);
  bool is_method = false;
  while (kind() == '.') target = field(target);
  if (kind() == ':') {
    is_method = true;
    target = field(target);
  }
  node->function = function_body(is_method, line);
  scopes_.check_assignable(target);
  target->line = line;
  node->target = target;
  return node;
}

Statement* Parser::local_statement(Line line) {
  lexer_.next();
  return accept(token::kFunction) ? local_function_statement(line) : local_variables_statement(line);
}

Statement* Parser::local_function_statement(Line line) {
  auto* node = arena_.make<LocalFunctionStatement>(line);
  const Name name = expect_name();
  node->variable = scopes_.declare(name);
  scopes_.activate(node->variable);
  node->function = function_body(/*is_method=*/false, lexer_.line());
  return node;
}

Statement* Parser::local_variables_statement(Line line) {
  auto* node = arena_.make<LocalStatement>(line);
  VariableList variables;
  LocalVariable* to_be_closed = nullptr;
  declare_local_list(variables, to_be_closed);
  ExpressionList values;
  if (accept('=')) expression_list(values);
  node->values = finish_list(values);
  node->variables = variables.span();
  node->end_line = lexer_.last_line();
  LocalVariable* last = variables.back();
  if (values.size() == variables.size() && last->attribute == Attribute::kConst) {
    last->constant = as_if<LiteralExpression>(values.back());
  }
  for (LocalVariable* variable : node->variables) scopes_.activate(variable);
  if (to_be_closed != nullptr) scopes_.mark_to_be_closed();
  return node;
}

void Parser::declare_local_list(VariableList& variables, LocalVariable*& to_be_closed) {
  do {
    const Name name = expect_name();
    LocalVariable* variable = scopes_.declare(name);
    variable->attribute = local_attribute();
    if (variable->attribute == Attribute::kClose) {
      if (to_be_closed != nullptr) lexer_.error_here("multiple to-be-closed variables in local list");
      to_be_closed = variable;
    }
    variables.push_back(arena_, variable);
  } while (accept(','));
}

Attribute Parser::local_attribute() {
  if (!accept('<')) return Attribute::kRegular;
  const Name attribute = expect_name();
  expect('>');
  if (attribute == "const") return Attribute::kConst;
  if (attribute == "close") return Attribute::kClose;
  lexer_.error_here("unknown attribute '" + std::string(attribute) + "'");
}

// ---------------------------------------------------------------------------------------------------------------------
// Calls and assignments

Statement* Parser::expression_statement(Line line) {
  const Suffixed first = suffixed_expression();
  if (kind() == '=' || kind() == ',') return assignment_statement(first, line);
  const ExpressionKind call = first.expression->kind;
  if (call != ExpressionKind::kCall && call != ExpressionKind::kMethodCall) lexer_.error_near_current("syntax error");
  auto* node = arena_.make<CallStatement>(line);
  node->call = first.expression;
  return node;
}

// Each further target counts as a level of nesting, as in the reference implementation.
Statement* Parser::assignment_statement(const Suffixed& first, Line line) {
  auto* node = arena_.make<AssignmentStatement>(line);
  ExpressionList targets;
  Suffixed target = first;
  const int levels = levels_;
  for (;;) {
    if (!target.is_variable) lexer_.error_near_current("syntax error");
    scopes_.check_assignable(target.expression);
    targets.push_back(arena_, target.expression);
    if (!accept(',')) break;
    target = suffixed_expression();
    enter_level();
  }
  expect('=');
  ExpressionList values;
  expression_list(values);
  levels_ = levels;
  node->values = finish_list(values);
  node->store_line = lexer_.last_line();
  for (Expression* stored : targets) stored->line = node->store_line;
  node->targets = targets.span();
  return node;
}

}  // namespace baton::syntax
