#include <catch2/catch.hpp>

#include "compile_helpers.h"
#include "compiler/verifier.h"

using namespace baton;
using test::compile;
using test::find;

namespace {

const char* const kProgram =
    "local t, n = {1, 2, f()}, 0\n"
    "for i = 1, 10 do n = n + i; t[i] = n * 2 & 3 end\n"
    "for k, v in pairs(t) do if k == 3 then break end t.x = v .. k end\n"
    "while n > 0 do n = n - 1 end\n"
    "for i = n, 10, 2 do n = n + i end\n"
    "local function g(...) return t, ... end\n"
    "return g(t:method(n, ...))\n";

Instruction& instruction(Prototype* prototype, Opcode op) { return *const_cast<Instruction*>(find(*prototype, op)); }

// Whether the program is refused after a change of its first instruction with an opcode.
template <class Change>
bool refused(Opcode op, Change change) {
  Heap heap(1);
  Prototype* main = compile(heap, kProgram);
  Instruction& changed = instruction(main, op);
  changed = changed.decoded();
  changed.op = op;  // it may begin a fused pair
  change(changed);
  changed = changed.encoded();
  return !compiler::verify(*main).is_valid;
}

}  // namespace

TEST_CASE("verifier: accepts what the compiler makes") {
  Heap heap(1);
  CHECK(compiler::verify(*compile(heap, kProgram)).is_valid);
}

TEST_CASE("verifier: registers, constants, upvalues and functions must exist") {
  CHECK(refused(Opcode::kMultiplyK, [](Instruction& i) { i.a = 254; }));
  CHECK(refused(Opcode::kMultiplyK, [](Instruction& i) { i.b = 1000; }));
  CHECK(refused(Opcode::kMultiplyK, [](Instruction& i) { i.c = 1000; }));
  CHECK(refused(Opcode::kGetGlobal, [](Instruction& i) { i.b = 1; }));
  CHECK(refused(Opcode::kMakeClosure, [](Instruction& i) { i.u = 1; }));
  CHECK(refused(Opcode::kConcat, [](Instruction& i) { i.c = 100; }));
  CHECK(refused(Opcode::kSelf, [](Instruction& i) { i.a = 200; }));
  CHECK(refused(Opcode::kForInCall, [](Instruction& i) { i.b = 100; }));
}

TEST_CASE("verifier: constants have the right type") {
  Heap heap(1);
  Prototype* main = compile(heap, kProgram);
  for (std::uint16_t index = 0; index < main->constants.size; ++index) {
    const Value constant = main->constants[index];
    CHECK(refused(Opcode::kGetGlobal, [&](Instruction& i) { i.c = index; }) == !constant.is_string());
    CHECK(refused(Opcode::kMultiplyK, [&](Instruction& i) { i.c = index; }) == !constant.is_number());
    CHECK(refused(Opcode::kBitAndK, [&](Instruction& i) { i.c = index; }) == !constant.is_integer());
  }
}

TEST_CASE("verifier: jumps stay inside and go back only at safepoints") {
  CHECK(refused(Opcode::kJumpUnlessGreaterI, [](Instruction& i) { i.j = 1000; }));
  CHECK(refused(Opcode::kJumpUnlessGreaterI, [](Instruction& i) { i.j = -2; }));
  CHECK(refused(Opcode::kJumpBack, [](Instruction& i) { i.j = 0; }));
  CHECK(refused(Opcode::kJumpBack, [](Instruction& i) { i.j = -1000; }));
  CHECK(refused(Opcode::kJumpBack, [](Instruction& i) { i.op = Opcode::kJump; }));
}

TEST_CASE("verifier: nobody jumps into a loop or overwrites its state") {
  CHECK(refused(Opcode::kForPrepare, [](Instruction& i) { i.j += 1; }));
  CHECK(refused(Opcode::kForLoop, [](Instruction& i) { i.j += 1; }));
  CHECK(refused(Opcode::kForLoop, [](Instruction& i) { i.a += 1; }));
  CHECK(refused(Opcode::kForLoopUnit, [](Instruction& i) { i.j += 1; }));
  CHECK(refused(Opcode::kForLoopUnit, [](Instruction& i) { i.a += 1; }));
  CHECK(refused(Opcode::kForInPrepare, [](Instruction& i) { i.j -= 1; }));
  CHECK(refused(Opcode::kForInLoop, [](Instruction& i) { i.j += 1; }));
  CHECK(refused(Opcode::kMultiplyK, [](Instruction& i) { i.a = 2; }));
}

TEST_CASE("verifier: open results are taken at once") {
  CHECK(refused(Opcode::kSetList, [](Instruction& i) { i.b = 2; }));
  CHECK(refused(Opcode::kVararg, [](Instruction& i) { i.b = 2; }));
  CHECK(refused(Opcode::kTailCall, [](Instruction& i) { i.b = 2; }));
  CHECK(refused(Opcode::kTailCall, [](Instruction& i) { i.op = Opcode::kReturn0; }));
}

TEST_CASE("verifier: control never leaves the code") {
  Heap heap(1);
  Prototype* main = compile(heap, "local a = 1");
  main->code[main->code.size - 1] = Instruction::abc(Opcode::kMove, 0, 0);
  CHECK_FALSE(compiler::verify(*main).is_valid);
  main->code.size = 0;
  CHECK_FALSE(compiler::verify(*main).is_valid);
}

TEST_CASE("verifier: vararg functions begin with VarargPrepare, others do not") {
  Heap heap(1);
  Prototype* main = compile(heap, "return function(a) return a end");
  CHECK(compiler::verify(*main).is_valid);
  main->prototypes[0]->is_vararg = 1;
  CHECK_FALSE(compiler::verify(*main).is_valid);
}
