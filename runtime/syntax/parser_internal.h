// The recursive descent parser; only the parser_*.cpp files include this.
//
// Invariant: on entry of a parse function the lexer's current token is the first of its construct, on return the first one
//   after it.
// Invariant: an expression enters the tree through discharge(), at the place where the reference implementation emits its
//   code: this gives variables and indexed accesses their lines, and replaces constants by literals.
// Owner: parse(). Threading: none.
#pragma once

#include <span>
#include <string_view>

#include "base/arena.h"
#include "syntax/lexer.h"
#include "syntax/parser.h"
#include "syntax/scope.h"

namespace baton::syntax {

class Parser {
 public:
  Parser(std::string_view text, std::string_view chunk_name, Arena& arena, const ParseOptions& options);

  // Parses the whole text.
  ParseResult parse_chunk();

 private:
  using ExpressionList = ArenaVector<Expression*>;
  using StatementList = ArenaVector<Statement*>;
  using VariableList = ArenaVector<LocalVariable*>;

  // An expression that a suffix, an assignment or a call statement may follow.
  struct Suffixed {
    Expression* expression;
    bool is_variable;  // may stand left of `=`
  };

  // One level of nesting; the count needs no repair after an exception, because the parser is given up then.
  void enter_level();
  void leave_level() { --levels_; }

  // Tokens.
  TokenKind kind() const { return lexer_.current().kind; }
  bool accept(TokenKind kind);
  void check(TokenKind kind);
  void expect(TokenKind kind);
  void expect_match(TokenKind kind, TokenKind opener, Line opener_line);
  Name expect_name();
  [[noreturn]] void error_expected(TokenKind kind);
  bool at_block_end(bool with_until) const;

  // Expressions (parser_expressions.cpp).
  Expression* expression() { return subexpression(0); }
  Expression* discharged_expression();
  Expression* subexpression(int limit);
  Expression* unary_expression(UnaryOperator op);
  Expression* simple_expression();
  Suffixed suffixed_expression();
  Suffixed primary_expression();
  Expression* method_call(Expression* object);
  std::span<Expression*> call_arguments();
  Expression* bracketed_key();
  Expression* table_constructor();
  TableItem table_item();
  FunctionExpression* function_body(bool is_method, Line line);
  void parameters(bool is_method);
  void expression_list(ExpressionList& list);
  std::span<Expression*> finish_list(ExpressionList& list);
  Expression* discharge(Expression* expression);
  Expression* field(Expression* object);
  Expression* finish_binary(int op, Expression* left, Expression* right, Line line);
  Expression* finish_logical(BinaryOperator op, Expression* left, Expression* right, Line line);
  Expression* concatenation(Expression* left, Expression* right, Line line);
  Expression* string_literal(Name text);
  Expression* truncated(Expression* expression);

  // Statements (parser_statements.cpp).
  Block* block(bool is_loop);
  void statements(Block* block);
  void statement(StatementList& list);
  Statement* plain_statement(Line line);
  Statement* if_statement(Line line);
  IfClause if_clause();
  Statement* while_statement(Line line);
  Statement* do_statement(Line line);
  Statement* for_statement(Line line);
  Statement* numeric_for(Name first_name, Line line);
  Statement* generic_for(Name first_name, Line line);
  Block* for_body(std::span<LocalVariable*> variables, Line* prepare_line);
  Statement* repeat_statement(Line line);
  Statement* function_statement(Line line);
  Statement* local_statement(Line line);
  Statement* local_function_statement(Line line);
  Statement* local_variables_statement(Line line);
  void declare_local_list(VariableList& variables, LocalVariable*& to_be_closed);
  Attribute local_attribute();
  void label_statement(StatementList& list, Line line);
  Statement* goto_statement(Line line);
  Statement* break_statement(Line line);
  Statement* return_statement(Line line);
  Statement* expression_statement(Line line);
  Statement* assignment_statement(const Suffixed& first, Line line);

  Arena& arena_;
  Lexer lexer_;
  Scopes scopes_;
  int levels_;
};

}  // namespace baton::syntax
