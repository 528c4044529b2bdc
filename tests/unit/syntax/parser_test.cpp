#include "syntax/parser.h"

#include <catch2/catch.hpp>

#include "parse_helpers.h"

using namespace baton;
using namespace baton::syntax;

namespace {

// The text form of one expression in a chunk where a, b, c are locals.
std::string tree(std::string_view expression) {
  const std::string text = parsed("local a, b, c return " + std::string(expression));
  const std::size_t start = text.find("return ");
  return start == std::string::npos ? text : text.substr(start + 7, text.find('\n', start) - start - 7);
}

}  // namespace

TEST_CASE("parser: precedence and associativity") {
  CHECK(tree("a + b * c") == "(add a#0 (mul b#1 c#2))");
  CHECK(tree("a - b - c") == "(sub (sub a#0 b#1) c#2)");
  CHECK(tree("a ^ b ^ c") == "(pow a#0 (pow b#1 c#2))");
  CHECK(tree("-a ^ b") == "(neg (pow a#0 b#1))");
  CHECK(tree("not a == b") == "(eq (not a#0) b#1)");
  CHECK(tree("a or b and c") == "(or a#0 (and b#1 c#2))");
  CHECK(tree("a < b == c") == "(eq (lt a#0 b#1) c#2)");
  CHECK(tree("a | b ~ c & a << b") == "(bor a#0 (bxor b#1 (band c#2 (shl a#0 b#1))))");
  CHECK(tree("a .. b .. c") == "(concat a#0 b#1 c#2)");
  CHECK(tree("(a .. b) .. c") == "(concat (concat a#0 b#1) c#2)");
  CHECK(tree("a .. b + c") == "(concat a#0 (add b#1 c#2))");
  CHECK(tree("a > b") == "(gt a#0 b#1)");
}

TEST_CASE("parser: parentheses truncate calls and varargs only") {
  CHECK(tree("(a())") == "(one (call a#0))");
  CHECK(tree("(...)") == "(one ...)");
  CHECK(tree("((a))") == "a#0");
  CHECK(tree("a.b['c']:d 'x' {1}") == "tail (call (method (index (index a#0 \"b\") \"c\") :d \"x\") (table 1))");
}

TEST_CASE("parser: numerals are folded, what could raise or change is not") {
  CHECK(tree("2 * 3 + 1") == "7");
  CHECK(tree("7 // -2") == "-4");
  CHECK(tree("2 ^ 10") == "1024.0");
  CHECK(tree("1 << 63") == "-9223372036854775808");
  CHECK(tree("3.0 | 4") == "7");
  CHECK(tree("~0") == "-1");
  CHECK(tree("not nil") == "true");
  CHECK(tree("not 'x'") == "false");
  CHECK(tree("true and a") == "a#0");
  CHECK(tree("nil or a()") == "(one (call a#0))");
  CHECK(tree("-9223372036854775808") == "-9.2233720368548e+18");
  CHECK(tree("1 // 0") == "(idiv 1 0)");
  CHECK(tree("1 % 0.0") == "(mod 1 0.0)");
  CHECK(tree("-0.0") == "(neg 0.0)");
  CHECK(tree("0.0 * 1") == "(mul 0.0 1)");
  CHECK(tree("3.5 | 1") == "(bor 3.5 1)");
  CHECK(tree("'1' + 1") == "(add \"1\" 1)");
  CHECK(tree("1e308 * 10") == "inf");
}

TEST_CASE("parser: a compile-time constant is a literal where it is used and no upvalue") {
  CHECK(parsed("local k <const> = 2 * 3; return function() return k end") ==
        "function main(...) locals=1/1 ^_ENV=^0\n"
        "  local k#0 const = 6 := 6\n"
        "  return (function 0)\n"
        "end\n"
        "function main.0() locals=0/0\n"
        "  return 6\n"
        "end\n");
  CHECK(parsed("local k <const> = x; return function() return k end") ==
        "function main(...) locals=1/1 ^_ENV=^0\n"
        "  local k#0 const captured := (global _ENV^0 x)\n"
        "  return (function 0)\n"
        "end has_captured_local\n"
        "function main.0() locals=0/0 ^k=k#0\n"
        "  return k^0\n"
        "end\n");
}

TEST_CASE("parser: scopes, upvalues and _ENV") {
  CHECK(parsed("local x = x; local function f() x = f; return y end") ==
        "function main(...) locals=2/2 ^_ENV=^0\n"
        "  local x#0 captured assigned := (global _ENV^0 x)\n"
        "  local function f#1 captured (function 0)\n"
        "end has_captured_local\n"
        "function main.0() locals=0/0 ^x=x#0 ^f=f#1 ^_ENV=^0\n"
        "  assign x^0 := f^1\n"
        "  return (global _ENV^2 y)\n"
        "end\n");
  CHECK(parsed("local _ENV = {}; x = 1") ==
        "function main(...) locals=1/1 ^_ENV=^0\n"
        "  local _ENV#0 := (table)\n"
        "  assign (global _ENV#0 x) := 1\n"
        "end\n");
  CHECK(parsed("local _ENV <const> = nil; return x") ==
        "function main(...) locals=1/1 ^_ENV=^0\n"
        "  local _ENV#0 const = nil := nil\n"
        "  return (global nil x)\n"
        "end\n");
}

TEST_CASE("parser: loops, jumps and what they close") {
  CHECK(parsed("while c do local v; local f = function() return v end; if c then goto next end; break; ::next:: end") ==
        "function main(...) locals=2/2 ^_ENV=^0\n"
        "  while (global _ENV^0 c) breaks=1\n"
        "    local v#0 captured\n"
        "    local f#1 := (function 0)\n"
        "    if (global _ENV^0 c) then\n"
        "      goto next label closes v#0\n"
        "    end\n"
        "    break label closes v#0\n"
        "    label next gotos=1\n"
        "  end has_captured_local\n"
        "end\n"
        "function main.0() locals=0/0 ^v=v#0\n"
        "  return v^0\n"
        "end\n");
  CHECK(parsed("for k, v in next, t do return f() end return f()") ==
        "function main(...) locals=6/6 ^_ENV=^0\n"
        "  for k#4 v#5 in (global _ENV^0 next) (global _ENV^0 t) do\n"
        "    return (call (global _ENV^0 f))\n"
        "  end inside_to_be_closed\n"
        "  return tail (call (global _ENV^0 f))\n"
        "end\n");
  CHECK(parsed("::a:: goto a") ==
        "function main(...) locals=0/0 ^_ENV=^0\n"
        "  label a gotos=1\n"
        "  goto a backward label\n"
        "end\n");
}

TEST_CASE("parser: code has the lines of the reference implementation") {
  const std::string lines = parsed("x = a.b\n+ c.d\n.e(f\n,\ng\n)\nlocal y = a\n<\nb\n.c\nz.w = {\nk = v.u\n}", DumpLines::kShow);
  CHECK(lines ==
        "function main(...) lines 0-0 end 13 locals=1/1 ^_ENV=^0\n"
        "  assign@1 (global@6 _ENV^0 x) := (add@2 (index@2 (global@1 _ENV^0 a) \"b\") (call@3 (index@3 (index@2 (global@2 "
        "_ENV^0 c) \"d\") \"e\") (global@4 _ENV^0 f) (global@6 _ENV^0 g)))\n"
        "  local@7 y#0 := (lt@10 (global@8 _ENV^0 a) (index@10 (global@9 _ENV^0 b) \"c\"))\n"
        "  assign@11 (index@13 (global@11 _ENV^0 z) \"w\") := (table@11 [\"k\"]=(index@12 (global@12 _ENV^0 v) \"u\")@12)\n"
        "end@13\n");
}

TEST_CASE("parser: messages about tokens") {
  CHECK(message("x =") == "t:1: unexpected symbol near <eof>");
  CHECK(message("x") == "t:1: syntax error near <eof>");
  CHECK(message("(x) = 1") == "t:1: syntax error near '='");
  CHECK(message("f() = 1") == "t:1: syntax error near '='");
  CHECK(message("for a do") == "t:1: '=' or 'in' expected near 'do'");
  CHECK(message("if x then\n\nelse") == "t:3: 'end' expected (to close 'if' at line 1) near <eof>");
  CHECK(message("f(1\n2)") == "t:2: ')' expected (to close '(' at line 1) near '2'");
  CHECK(message("a:b") == "t:1: function arguments expected near <eof>");
  CHECK(message("function f() return ... end") == "t:1: cannot use '...' outside a vararg function near '...'");
  CHECK(message("function f(a,") == "t:1: <name> or '...' expected near <eof>");
  CHECK(message("return 1 x") == "t:1: <eof> expected near 'x'");
  CHECK(message("x = 'a' 'b\\65'") == "t:1: unexpected symbol near ''bA''");
  CHECK(message("local x <const>= 1") == "t:1: '>' expected near '>='");
  CHECK(message("x = }", "x = }") == "[string \"x = }\"]:1: unexpected symbol near '}'");
}

TEST_CASE("parser: messages about scopes") {
  CHECK(message("local x <const> = 1; x = 2") == "t:1: attempt to assign to const variable 'x'");
  CHECK(message("local x <close> = nil; return function() x = 2 end") == "t:1: attempt to assign to const variable 'x'");
  CHECK(message("local x <const> = 1\nfunction x()\nend") == "t:3: attempt to assign to const variable 'x'");
  CHECK(message("local x <foo> = 1") == "t:1: unknown attribute 'foo'");
  CHECK(message("local a <close>, b <close> = 1") == "t:1: multiple to-be-closed variables in local list");
  CHECK(message("break") == "t:1: break outside loop at line 1");
  CHECK(message("goto x\n\n") == "t:3: no visible label 'x' for <goto> at line 1");
  CHECK(message("do ::x:: end goto x") == "t:1: no visible label 'x' for <goto> at line 1");
  CHECK(message("::a::\n::b:: do ::a:: end") == "t:2: label 'a' already defined on line 1");
  CHECK(message("goto l; local a; ::l:: print(a)") == "t:1: <goto l> at line 1 jumps into the scope of local 'a'");
  CHECK(message("repeat goto c; local x; ::c:: until x") == "t:1: <goto c> at line 1 jumps into the scope of local 'x'");
  CHECK(message("goto l; local a; ::l:: ; ::m:: ;").empty());
  CHECK(message("do goto l; local a; ::l:: end").empty());
}

TEST_CASE("parser: limits, at the limit and one above") {
  CHECK(message(repeated("local a ", 200)).empty());
  CHECK(message(repeated("local a ", 201)) == "t:1: too many local variables (limit is 200) in main function near <eof>");
  CHECK(message("\nfunction f() " + repeated("local a ", 201)) ==
        "t:2: too many local variables (limit is 200) in function at line 2 near <eof>");
  std::string outer;
  std::string uses;
  for (int i = 0; i < 256; ++i) {
    const std::string name = (i < 128 ? "a" : "b") + std::to_string(i);
    outer += "local " + name + " ";
    if (i == 127) outer += "local function f() ";
    uses += name + "() ";
    if (i == 254) CHECK(message(outer + "local function g() " + uses + "end end").empty());
  }
  CHECK(message(outer + "local function g() " + uses + "end end") ==
        "t:1: too many upvalues (limit is 255) in function at line 1 near '('");
  CHECK(message("x = " + repeated("(", 197) + "1" + repeated(")", 197)).empty());
  CHECK(message("x = " + repeated("(", 198) + "1" + repeated(")", 198)) == "C stack overflow");
  CHECK(message(repeated("do ", 200) + repeated("end ", 200)) == "C stack overflow");
  CHECK(message(repeated("a, ", 300) + "a = 1") == "C stack overflow");
  CHECK(message("x = 1", "=t", 197).empty());
  CHECK(message("x = 1", "=t", 198) == "C stack overflow");
}

TEST_CASE("parser: long chains need no depth") {
  CHECK(message("x = a" + repeated(" + a", 100000)).empty());
  CHECK(message("x = a" + repeated(".a()", 100000)).empty());
  CHECK(message("if x then " + repeated("elseif x then ", 100000) + "end").empty());
  Arena arena;
  const std::string text = "return a" + repeated(" or a", 100000);
  CHECK(dump(*parse(text, "=t", arena).main).size() > 1000000);
}

TEST_CASE("parser: a memory cap stops the parse") {
  Arena arena(
      [](void*, std::size_t, std::size_t total) {
        if (total > 1000000) throw std::bad_alloc();
      },
      nullptr);
  CHECK_THROWS_AS(parse("x = {" + repeated("{1},", 1000000) + "}", "=t", arena), std::bad_alloc);
  CHECK(arena.bytes() <= 1000000);
}

TEST_CASE("parser: an incomplete text is recognized") {
  Arena arena;
  try {
    (void)parse("function f()", "=t", arena);
    FAIL("it is not a program");
  } catch (const SyntaxError& error) {
    CHECK(error.is_incomplete());
    CHECK(error.line() == 1);
    CHECK(error.kind() == SyntaxErrorKind::kMalformed);
  }
}
