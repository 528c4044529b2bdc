// The parser's frame: tokens, levels, chunk.
//
// The grammar (manual 9) is parsed by recursive descent with one token of look-ahead (two in table constructors); binary
// operators by precedence climbing (parser_expressions.cpp). Names and labels are resolved on the way (scope.cpp) and
// constants folded (constant_folding.cpp), because the language reports such errors at the token where they happen.
//
// Everything that can nest passes through enter_level(): statements and operands. The limit is the language's own (200
// levels, with those the caller already uses), and it is what keeps the recursion within the stack of a fiber.
//
// A message is what a program sees, so that its text, its line and its "near" are those of the reference implementation;
// where the order of checks looks odd below, it is for that.
#include "syntax/parser.h"

#include <string>

#include "syntax/parser_internal.h"

namespace baton::syntax {

ParseResult parse(std::string_view text, std::string_view chunk_name, Arena& arena, const ParseOptions& options) {
  return Parser(text, chunk_name, arena, options).parse_chunk();
}

Parser::Parser(std::string_view text, std::string_view chunk_name, Arena& arena, const ParseOptions& options)
    : arena_(arena),
      lexer_(text, chunk_name, arena, options.hash_seed, options.poll, options.borrows_text),
      scopes_(lexer_, arena),
      levels_(options.initial_levels) {}

ParseResult Parser::parse_chunk() {
  FunctionNode* main = scopes_.open_main();
  lexer_.next();
  statements(main->body);
  check(token::kEndOfText);
  main->end_line = lexer_.last_line();
  main->body->end_line = lexer_.line();
  scopes_.close_function();
  return {main, lexer_.line()};
}

void Parser::enter_level() {
  if (++levels_ >= kMaxSyntaxLevels) throw SyntaxError(SyntaxErrorKind::kOverflow, "C stack overflow", lexer_.line());
}

bool Parser::accept(TokenKind expected) {
  if (kind() != expected) return false;
  lexer_.next();
  return true;
}

void Parser::check(TokenKind expected) {
  if (kind() != expected) error_expected(expected);
}

void Parser::expect(TokenKind expected) {
  check(expected);
  lexer_.next();
}

void Parser::expect_match(TokenKind expected, TokenKind opener, Line opener_line) {
  if (accept(expected)) return;
  if (opener_line == lexer_.line()) error_expected(expected);
  const auto quoted = [](TokenKind token) {
    const char c = static_cast<char>(token);
    return "'" + std::string(token < token::kFirstNamed ? std::string_view(&c, 1) : token::text(token)) + "'";
  };
  lexer_.error_near_current(quoted(expected) + " expected (to close " + quoted(opener) + " at line " +
                            std::to_string(opener_line) + ")");
}

Name Parser::expect_name() {
  check(token::kName);
  const Name name = lexer_.current().text;
  lexer_.next();
  return name;
}

void Parser::error_expected(TokenKind expected) {
  std::string message;
  if (expected < token::kFirstNamed) {
    message = std::string("'") + static_cast<char>(expected) + "'";
  } else if (expected < token::kEndOfText) {
    message = "'" + std::string(token::text(expected)) + "'";
  } else {
    message = token::text(expected);
  }
  lexer_.error_near_current(message + " expected");
}

bool Parser::at_block_end(bool with_until) const {
  switch (kind()) {
    case token::kElse:
    case token::kElseif:
    case token::kEnd:
    case token::kEndOfText:
      return true;
    case token::kUntil:
      return with_until;
    default:
      return false;
  }
}

}  // namespace baton::syntax
