#include <catch2/catch.hpp>

#include "fixture.h"
#include "vm/traceback.h"
#include "vm/variable_names.h"

using namespace baton;
using baton::test::Fixture;
using baton::test::PrototypeBuilder;

namespace {

int nothing(NativeCall&) { return 0; }
constexpr NativeInfo kNothing = {"nothing", "nothing()", "", nothing};

std::string name_of(const Prototype* p, int pc, int reg) {
  const vm::VariableName found = vm::register_name(p, pc, reg);
  return found ? std::string(found.kind) + " " + std::string(found.name) : "none";
}

std::string called(const Prototype* p, int pc) {
  const vm::VariableName found = vm::called_name(p, pc);
  return found ? std::string(found.kind) + " " + std::string(found.name) : "none";
}

}  // namespace

TEST_CASE("variable names: where a register's value comes from") {
  Fixture f;
  PrototypeBuilder b(f);
  const int env = b.upvalue("_ENV"), other = b.upvalue("u");
  const int x = b.constant("x");
  b.local("a", 1, 99);
  b.emit(Opcode::kLoadNil, 0, 1)            // 0: local a
      .emit(Opcode::kGetGlobal, 1, env, x)  // 1
      .emit(Opcode::kGetGlobal, 2, other, x)
      .emit(Opcode::kGetField, 3, 0, x)
      .emit(Opcode::kGetUpvalue, 4, other)  // 4
      .emit(Opcode::kSelf, 5, 0, x)         // 5, 6
      .emit(Instruction::abu(Opcode::kLoadConstant, 7, 0, static_cast<std::uint32_t>(x)))
      .emit(Opcode::kGetTable, 8, 0, 7)     // 7
      .emit(Opcode::kGetInteger, 9, 0, 3)
      .emit(Opcode::kGetInteger, 10, 0, 300)
      .emit(Opcode::kMove, 11, 1)           // 10
      .emit(Opcode::kGetTable, 12, 0, 1)
      .emit(Opcode::kNewTable, 13)
      .emit(Opcode::kReturn, 0, 1);
  const Prototype* p = b.finish();
  CHECK(name_of(p, 13, 0) == "local a");
  CHECK(name_of(p, 13, 1) == "global x");
  CHECK(name_of(p, 13, 2) == "field x");
  CHECK(name_of(p, 13, 3) == "field x");
  CHECK(name_of(p, 13, 4) == "upvalue u");
  CHECK(name_of(p, 13, 5) == "method x");
  CHECK(name_of(p, 13, 6) == "none");
  CHECK(name_of(p, 13, 7) == "constant x");
  CHECK(name_of(p, 13, 8) == "field x");
  CHECK(name_of(p, 13, 9) == "field integer index");
  CHECK(name_of(p, 13, 10) == "field ?");
  CHECK(name_of(p, 13, 11) == "global x");
  CHECK(name_of(p, 13, 12) == "field ?");
  CHECK(name_of(p, 13, 13) == "none");
}

TEST_CASE("variable names: a value with two origins has no name") {
  Fixture f;
  PrototypeBuilder b(f);
  const int env = b.upvalue("_ENV");
  const int x = b.constant("x"), y = b.constant("y");
  b.emit(Opcode::kGetGlobal, 0, env, x)
      .emit(Instruction::abj(Opcode::kJumpIf, 0, 0, 1))
      .emit(Opcode::kGetGlobal, 0, env, y)
      .emit(Opcode::kCall, 0, 1, 1)         // 3: two origins
      .emit(Opcode::kGetGlobal, 0, env, y)
      .emit(Opcode::kCall, 0, 1, 1);        // 5: one
  const Prototype* p = b.finish();
  CHECK(called(p, 3) == "none");
  CHECK(called(p, 5) == "global y");
}

TEST_CASE("variable names: _ENV as a local, and what only looks like it") {
  Fixture f;
  PrototypeBuilder b(f);
  const int environment = b.constant("_ENV"), x = b.constant("x");
  b.local("_ENV", 1, 99);
  b.emit(Opcode::kNewTable, 0)
      .emit(Opcode::kGetField, 1, 0, x)
      .emit(Instruction::abu(Opcode::kLoadConstant, 2, 0, static_cast<std::uint32_t>(environment)))
      .emit(Opcode::kGetField, 3, 2, x)
      .emit(Opcode::kReturn, 0, 1);
  const Prototype* p = b.finish();
  CHECK(name_of(p, 4, 1) == "global x");
  CHECK(name_of(p, 4, 3) == "field x");
}

TEST_CASE("variable names: what an instruction calls") {
  Fixture f;
  PrototypeBuilder b(f);
  b.emit(Opcode::kForInCall, 0, 1).emit(Opcode::kGetField, 1, 0, 0).emit(Opcode::kSetField, 1, 0, 0);
  b.emit(Opcode::kShiftRight, 1, 0, 0).emit(Opcode::kModuloK, 1, 0, 0).emit(Opcode::kConcat, 1, 0, 2);
  b.emit(Opcode::kJumpIfGreaterI, 1).emit(Opcode::kJumpUnlessLessEqual, 1).emit(Opcode::kClose, 1);
  Instruction subtraction = Instruction::abc(Opcode::kAddInteger, 1, 0, -1);
  subtraction.d = 2;
  b.emit(subtraction).emit(Opcode::kMove, 1, 0);
  const Prototype* p = b.finish();
  CHECK(called(p, 0) == "for iterator for iterator");
  CHECK(called(p, 1) == "metamethod index");
  CHECK(called(p, 2) == "metamethod newindex");
  CHECK(called(p, 3) == "metamethod shr");
  CHECK(called(p, 4) == "metamethod mod");
  CHECK(called(p, 5) == "metamethod concat");
  CHECK(called(p, 6) == "metamethod lt");
  CHECK(called(p, 7) == "metamethod le");
  CHECK(called(p, 8) == "metamethod close");
  CHECK(called(p, 9) == "metamethod sub");
  CHECK(called(p, 10) == "none");
}

TEST_CASE("messages: positions and variables of the running script function") {
  Fixture f;
  PrototypeBuilder b(f);
  const int env = b.upvalue("_ENV");
  const int x = b.constant("x");
  b.emit(Instruction::abc(Opcode::kGetGlobal, 0, env, x), 7).emit(Instruction::abc(Opcode::kCall, 0, 1, 1), 8);
  Prototype* p = b.finish();
  f.enter_script(p, 1);
  const Value& r0 = f.thread.current->frame->base[0];
  CHECK(f.message([&] { vm::raise_call(f.thread, r0); }) == "input:8: attempt to call a nil value (global 'x')");
  CHECK(f.message([&] { vm::raise_type(f.thread, r0, "index"); }) == "input:8: attempt to index a nil value (global 'x')");
  const Value& cell = *f.thread.current->frame->base[-1].closure()->upvalues()[0]->location;
  CHECK(f.message([&] { vm::raise_type(f.thread, cell, "index"); }) ==
        "input:8: attempt to index a nil value (upvalue '_ENV')");
  CHECK(f.message([&] { throw ScriptError(ErrorId::kIndexIsNil); }) == "input:8: table index is nil");
  f.enter_native(kNothing);
  CHECK(vm::where(f.thread, 1) == "input:8: ");
  CHECK(vm::where(f.thread, 0) == "");
  CHECK(f.message([&] { vm::raise_text(f.thread, "m"); }) == "m");
  CHECK(f.message([&] { throw ScriptError(ErrorId::kResultTooLarge); }) == "input:8: resulting string too large");
  CHECK(vm::call_name(f.thread.current, f.thread.current->frame).name == "x");
  CHECK(vm::traceback(f.thread, f.thread.current, "m", 0) ==
        "m\nstack traceback:\n\t[C]: in global 'x'\n\tinput:8: in main chunk");
  f.leave();
  f.leave();
}

TEST_CASE("messages: a stripped function") {
  Fixture f;
  PrototypeBuilder b(f);
  b.upvalue("_ENV");
  b.emit(Opcode::kGetUpvalue, 0, 0).emit(Opcode::kCall, 0, 1, 1);
  Prototype* p = b.finish(/*strip=*/true);
  p->source = nullptr;
  p->upvalues[0].name = nullptr;
  f.enter_script(p, 1);
  CHECK(f.message([&] { vm::raise_call(f.thread, f.thread.current->frame->base[0]); }) ==
        "?:-1: attempt to call a nil value (upvalue '?')");
  CHECK(vm::where(f.thread, 0) == "");
  f.leave();
}

TEST_CASE("messages: arguments of natives") {
  Fixture f;
  PrototypeBuilder b(f);
  const int name = b.constant("insert");
  b.local("t", 0, 99);
  b.emit(Opcode::kGetField, 1, 0, name).emit(Opcode::kCall, 1, 1, 1).emit(Opcode::kSelf, 1, 0, name);
  b.emit(Opcode::kCall, 1, 2, 1);
  Prototype* p = b.finish();
  for (const bool method : {false, true}) {
    f.enter_script(p, method ? 3 : 1);
    f.enter_native(kNothing);
    NativeCall call(f.thread, 1);
    call.push(f.text("x"));
    const std::string first = method ? "input:1: calling 'insert' on bad self (table expected, got string)"
                                     : "input:1: bad argument #1 to 'insert' (table expected, got string)";
    CHECK(f.message([&] { call.check_table(1); }) == first);
    const std::string second = method ? "#1" : "#2";
    CHECK(f.message([&] { call.check_integer(2); }) ==
          "input:1: bad argument " + second + " to 'insert' (number expected, got no value)");
    f.leave();
    f.leave();
  }
  f.enter_native(kNothing);
  NativeCall call(f.thread, 1);
  call.push(Value::from(1.5));
  CHECK(f.message([&] { call.check_integer(1); }) == "bad argument #1 to '?' (number has no integer representation)");
  CHECK(call.check_text(1) == "1.5");
  CHECK(call.slot(1).is_string());
  CHECK(f.message([&] { call.check_any(2); }) == "bad argument #2 to '?' (value expected)");
  constexpr const char* kNames[] = {"a", "1.5", nullptr};
  CHECK(call.check_option(1, nullptr, kNames) == 1);
  CHECK(call.check_option(2, "a", kNames) == 0);
  native::set_field(f.thread, f.shared.loaded, "m", Value::of(call.callee()));
  CHECK(f.message([&] { call.error("%s %d", "n", 1); }) == "n 1");
  CHECK(f.message([&] { call.type_error(1, "X"); }) == "bad argument #1 to 'm' (X expected, got string)");
  f.leave();
}
