#include <catch2/catch.hpp>

#include <stdexcept>

#include "compile_helpers.h"
#include "compiler/verifier.h"
#include "value/string.h"

using namespace baton;
using test::compile;
using test::error_of;
using test::find;
using test::repeated;

namespace {

int count_of(const Prototype& prototype, Opcode op) {
  int count = 0;
  for (const Instruction& instruction : prototype.code) count += instruction.op == op;
  return count;
}

}  // namespace

TEST_CASE("compiler: the main function is vararg with _ENV as its upvalue") {
  Heap heap(1);
  const Prototype* main = compile(heap, "");
  CHECK(main->is_vararg == 1);
  CHECK(main->parameter_count == 0);
  REQUIRE(main->upvalues.size == 1);
  CHECK(main->upvalues[0].name->view() == "_ENV");
  CHECK(main->source->view() == "=t");
  REQUIRE(main->code.size == 2);
  CHECK(main->code[0].op == Opcode::kVarargPrepare);
  CHECK(main->code[1].op == Opcode::kReturn);
}

TEST_CASE("compiler: constants are shared by type and value") {
  Heap heap(1);
  const Prototype* main = compile(heap, "return 1 << 40, 2^40, 1099511627776, 1099511627776.0, 'a', 'a', 1e300, 1e300");
  CHECK(main->constants.size == 4);
}

TEST_CASE("compiler: long strings are one constant and no field keys") {
  Heap heap(1);
  const std::string name(41, 'n');
  const Prototype* main = compile(heap, "local t = {}; return t." + name + ", '" + name + "'");
  CHECK(main->constants.size == 1);
  CHECK(find(*main, Opcode::kGetField) == nullptr);
  CHECK(find(*main, Opcode::kGetTable) != nullptr);
  const Prototype* shorter = compile(heap, "local t = {}; return t." + name.substr(1));
  CHECK(find(*shorter, Opcode::kGetField) != nullptr);
}

TEST_CASE("compiler: immediates at their limits") {
  Heap heap(1);
  CHECK(find(*compile(heap, "local a = ...; return a + 32767"), Opcode::kAddInteger) != nullptr);
  CHECK(find(*compile(heap, "local a = ...; return a + 32768"), Opcode::kAddK) != nullptr);
  CHECK(find(*compile(heap, "local a = ...; return a - 32768"), Opcode::kAddInteger)->signed_c() == -32768);
  CHECK(find(*compile(heap, "local a = ...; return a - 32769"), Opcode::kSubtractK) != nullptr);
  CHECK(find(*compile(heap, "local a = ...; return a - -32767"), Opcode::kAddInteger)->signed_c() == 32767);
  CHECK(find(*compile(heap, "local a = ...; return a - -32768"), Opcode::kSubtractK) != nullptr);
  CHECK(find(*compile(heap, "local a = ...; return a - math.mininteger"), Opcode::kSubtract) != nullptr);
  CHECK(find(*compile(heap, "local a = ...; return a < 32768"), Opcode::kJumpIfLess) != nullptr);
  CHECK(find(*compile(heap, "local a = ...; return -32768 < a"), Opcode::kJumpIfGreaterI)->signed_b() == -32768);
  CHECK(find(*compile(heap, "local a = ...; return a < 3.0"), Opcode::kJumpIfLess) != nullptr);
  CHECK(find(*compile(heap, "local a = ...; return a[65535]"), Opcode::kGetInteger)->c == 65535);
  CHECK(find(*compile(heap, "local a = ...; return a[65536]"), Opcode::kGetTable) != nullptr);
}

TEST_CASE("compiler: constants beyond 65535 are loaded first") {
  Heap heap(1);
  std::string text = "local t = {}\n";
  for (int i = 0; i < 65600; ++i) text.append("t.f").append(std::to_string(i)).append("=t\n");
  text.append("t.last = 70000.5; t.x = t.last + 0.25; if t == 'y' then t:method(1) end last_global = t");
  const Prototype* main = compile(heap, text);
  CHECK(compiler::verify(*main).is_valid);
  CHECK(main->constants.size > 65600);
  CHECK(find(*main, Opcode::kSelf) == nullptr);
  CHECK(find(*main, Opcode::kSetGlobal) == nullptr);
}

TEST_CASE("compiler: too many registers are an error") {
  Heap heap(1);
  CHECK(error_of(heap, "f(" + repeated("1", 200, ",") + ")").empty());
  const std::string message = error_of(heap, "\nf(" + repeated("1", 260, ",") + ")");
  CHECK(message == "t:2: function or expression needs too many registers");
}

TEST_CASE("compiler: a list as long as the source needs no registers") {
  Heap heap(1);
  CHECK(compile(heap, "return {" + repeated("1", 100000, ",") + "}")->max_stack < 60);
  CHECK(compile(heap, "local a = 1; return " + repeated("a", 100000, "+"))->max_stack < 10);
  CHECK(compile(heap, "local a = 1; return " + repeated("a", 100000, " and "))->max_stack < 10);
  CHECK(compile(heap, "local a = 1; return " + repeated("a", 100000, " or ") + " == 1")->max_stack < 10);
  CHECK(compile(heap, "local a; a" + repeated(".b", 50000) + repeated("()", 50000) + repeated(":c()", 1000))->max_stack < 10);
}

TEST_CASE("compiler: nesting at the parser's limit") {
  Heap heap(1);
  CHECK(error_of(heap, repeated("do ", 150) + repeated("end ", 150)).empty());
  CHECK(error_of(heap, "return " + repeated("(", 150) + "1" + repeated(")", 150)).empty());
  CHECK(error_of(heap, repeated("return function() ", 90) + repeated("end ", 90)).empty());
  CHECK(error_of(heap, "return " + repeated("{", 150) + repeated("}", 150)).empty());
  CHECK_FALSE(error_of(heap, "return " + repeated("(", 300) + "1" + repeated(")", 300)).empty());
}

TEST_CASE("compiler: returns close only where something is to be closed") {
  Heap heap(1);
  const Prototype* main = compile(heap, "return function(a) do local b = a; g = function() return b end end return a end");
  const Prototype& inner = *main->prototypes[0];
  CHECK(inner.needs_close == 1);
  CHECK(count_of(inner, Opcode::kReturn1) == 1);
  const Prototype* captured = compile(heap, "return function(a) g = function() return a end return a end");
  CHECK(find(*captured->prototypes[0], Opcode::kReturn)->c == 1);
}

TEST_CASE("compiler: no tail call beside a to-be-closed variable") {
  Heap heap(1);
  CHECK(find(*compile(heap, "return f()"), Opcode::kTailCall) != nullptr);
  CHECK(find(*compile(heap, "local x <close> = nil; return f()"), Opcode::kTailCall) == nullptr);
  CHECK(find(*compile(heap, "for k in pairs(t) do return f() end"), Opcode::kTailCall) == nullptr);
  CHECK(find(*compile(heap, "return (f())"), Opcode::kTailCall) == nullptr);
}

TEST_CASE("compiler: syntax errors carry their position") {
  Heap heap(1);
  CHECK(error_of(heap, "x = = 1") == "t:1: unexpected symbol near '='");
  CHECK(error_of(heap, "\n\nfor") == "t:3: <name> expected near <eof>");
}

TEST_CASE("compiler: poll runs while parsing and may stop it") {
  Heap heap(1);
  compiler::CompileOptions options;
  int polls = 0;
  options.poll = [&polls] { ++polls; };
  const std::string text = repeated("f(1)", 5000, "\n");
  compiler::compile(heap, text, "=t", options);
  CHECK(polls > 0);
  options.poll = [] { throw std::runtime_error("stop"); };
  CHECK_THROWS_AS(compiler::compile(heap, text, "=t", options), std::runtime_error);
}
