#include "syntax/lexer.h"

#include <catch2/catch.hpp>

#include "parse_helpers.h"
#include "syntax/source.h"

using namespace baton;
using namespace baton::syntax;

namespace {

// The value of a string literal.
std::string string_value(std::string_view literal) {
  Arena arena;
  Lexer lexer(literal, "=t", arena, 0, {});
  lexer.next();
  REQUIRE(lexer.current().kind == token::kString);
  return std::string(lexer.current().text);
}

}  // namespace

TEST_CASE("lexer: escapes") {
  CHECK(string_value(R"('\a\b\f\n\r\t\v\\\"\'')") == "\a\b\f\n\r\t\v\\\"'");
  CHECK(string_value(R"('\x41\65\0659\u{41}\u{20AC}')") == "AAA9A\xE2\x82\xAC");
  CHECK(string_value("'a\\z  \r\n\t b'") == "ab");
  CHECK(string_value("'a\\\r\nb\\\n\rc'") == "a\nb\nc");
  CHECK(string_value("'\\0x'") == std::string("\0x", 2));
  CHECK(string_value("'\\u{7FFFFFFF}'") == "\xFD\xBF\xBF\xBF\xBF\xBF");
}

TEST_CASE("lexer: long brackets fold line ends and drop the first one") {
  CHECK(string_value("[[\nab]]") == "ab");
  CHECK(string_value("[[\r\n\r\nb\rc\n\rd]]") == "\nb\nc\nd");
  CHECK(string_value("[==[a]]b]=]]==]") == "a]]b]=]");
  CHECK(string_value("[[]]").empty());
}

TEST_CASE("lexer: equal names have one address") {
  Arena arena;
  Lexer lexer("abc 'abc' \"ab\\99\" abc", "=t", arena, 5, {});
  lexer.next();
  const char* const address = lexer.current().text.data();
  for (int i = 0; i < 3; ++i) {
    lexer.next();
    CHECK(lexer.current().text == "abc");
    CHECK(lexer.current().text.data() == address);
  }
}

TEST_CASE("lexer: lines of tokens, with look-ahead") {
  Arena arena;
  Lexer lexer("a\n\r\nb --[[\n]] c", "=t", arena, 0, {});
  lexer.next();
  CHECK(lexer.line() == 1);
  lexer.next();
  CHECK(lexer.line() == 3);
  CHECK(lexer.last_line() == 1);
  CHECK(lexer.look_ahead() == token::kName);
  lexer.next();
  CHECK(lexer.current().text == "c");
  CHECK(lexer.line() == 4);
  lexer.next();
  CHECK(lexer.current().kind == token::kEndOfText);
}

TEST_CASE("lexer: messages") {
  CHECK(message("x = \"abc") == "t:1: unfinished string near <eof>");
  CHECK(message("x = \"abc\n\"") == "t:1: unfinished string near '\"abc'");
  CHECK(message("x = 'a\\65\\q'") == "t:1: invalid escape sequence near ''aA\\q'");
  CHECK(message("x = '\\300'") == "t:1: decimal escape too large near ''\\300''");
  CHECK(message("x = '\\xg1'") == "t:1: hexadecimal digit expected near ''\\xg'");
  CHECK(message("x = '\\u{110000000}'") == "t:1: UTF-8 value too large near ''\\u{110000000'");
  CHECK(message("x = '\\u41'") == "t:1: missing '{' near ''\\u4'");
  CHECK(message("x = '\\u{41'") == "t:1: missing '}' near ''\\u{41''");
  CHECK(message("x = 3x") == "t:1: malformed number near '3x'");
  CHECK(message("x = 1..2") == "t:1: malformed number near '1..2'");
  CHECK(message("x = .0x1") == "t:1: malformed number near '.0x1'");
  CHECK(message("x = [=a") == "t:1: invalid long string delimiter near '[='");
  CHECK(message("\nx = [[a\n") == "t:3: unfinished long string (starting at line 2) near <eof>");
  CHECK(message("--[==[ a\n]]") == "t:2: unfinished long comment (starting at line 1) near <eof>");
  CHECK(message("x = \x01") == "t:1: unexpected symbol near '<\\1>'");
  CHECK(message("x = @") == "t:1: unexpected symbol near '@'");
  CHECK(message(std::string_view("x = \0", 5)) == "t:1: unexpected symbol");
  CHECK(message("x = [==[a\nb]==] [=[c\r\nd]=]") == "t:3: unexpected symbol near '[=[c\nd]=]'");
}

TEST_CASE("lexer: names of chunks in messages") {
  const std::string path(100, 'p');
  CHECK(chunk_display_name("=stdin") == "stdin");
  CHECK(chunk_display_name("=" + path) == std::string(59, 'p'));
  CHECK(chunk_display_name("@file.lua") == "file.lua");
  CHECK(chunk_display_name("@" + std::string(59, 'p')) == std::string(59, 'p'));
  CHECK(chunk_display_name("@" + std::string(60, 'p')) == "..." + std::string(56, 'p'));
  CHECK(chunk_display_name("return 1") == "[string \"return 1\"]");
  CHECK(chunk_display_name("a\nb") == "[string \"a...\"]");
  CHECK(chunk_display_name(std::string(44, 'p')) == "[string \"" + std::string(44, 'p') + "\"]");
  CHECK(chunk_display_name(std::string(45, 'p')) == "[string \"" + std::string(45, 'p') + "...\"]");
  CHECK(chunk_display_name(std::string_view("a\0b", 3)) == "[string \"a\"]");
  CHECK(chunk_display_name("") == "[string \"\"]");
}

TEST_CASE("lexer: the poll function is called and may stop the parse") {
  struct Stop {};
  int calls = 0;
  Arena arena;
  ParseOptions options;
  options.poll = {[](void* context) {
                    if (++*static_cast<int*>(context) == 3) throw Stop{};
                  },
                  &calls, 100};
  CHECK_THROWS_AS(parse(repeated("x = 1 ", 1000), "=t", arena, options), Stop);
  CHECK(calls == 3);
}
