#include <catch2/catch.hpp>

#include <cmath>
#include <limits>

#include "vm/call.h"
#include "fixture.h"
#include "vm/shared_state.h"

using namespace baton;
using baton::test::Fixture;

namespace {

// Metamethods that show how they were called.
int show_operands(NativeCall& call) {
  std::string text = "(";
  for (int i = 1; i <= call.count(); ++i) text += (i > 1 ? "," : "") + std::string(base_type_name(call.arg(i)));
  return call.result_string(text + ")");
}
int give_true(NativeCall& call) { return call.result(Value::from(std::int64_t{1})); }
int give_one(NativeCall& call) { return call.result(Value::from(std::int64_t{1})); }
int store_in_global(NativeCall& call) {
  native::set_field(call.thread(), call.shared().globals, "stored", call.arg(3));
  return 0;
}
int give_table(NativeCall& call) { return call.result(Value::of(table::make(call.heap()))); }

constexpr NativeInfo kShow = {"show", "show(...)", "", show_operands};
constexpr NativeInfo kTrue = {"yes", "yes(...)", "", give_true};
constexpr NativeInfo kOne = {"one", "one(...)", "", give_one};
constexpr NativeInfo kStore = {"store", "store(...)", "", store_in_global};
constexpr NativeInfo kTable = {"table", "table(...)", "", give_table};

Value integer(std::int64_t i) { return Value::from(i); }

std::string shown(Fixture& f, const Value& v) { return std::string(vm::to_string(f.thread, v)->view()); }

std::string joined(Fixture& f, const std::vector<Value>& operands) {
  for (const Value& v : operands) vm::push(f.thread, v);
  vm::concat(f.thread, static_cast<int>(operands.size()));
  return shown(f, *--f.thread.current->top);
}

}  // namespace

TEST_CASE("arithmetic: integers wrap around and floor") {
  Fixture f;
  constexpr std::int64_t kSmallest = std::numeric_limits<std::int64_t>::min();
  CHECK(vm::arithmetic(f.thread, Operator::kAdd, integer(INT64_MAX), integer(1)).integer == kSmallest);
  CHECK(vm::arithmetic(f.thread, Operator::kFloorDivide, integer(-7), integer(2)).integer == -4);
  CHECK(vm::arithmetic(f.thread, Operator::kFloorDivide, integer(kSmallest), integer(-1)).integer == kSmallest);
  CHECK(vm::arithmetic(f.thread, Operator::kModulo, integer(7), integer(-2)).integer == -1);
  CHECK(vm::arithmetic(f.thread, Operator::kDivide, integer(1), integer(2)).number == 0.5);
  CHECK(vm::arithmetic(f.thread, Operator::kPower, integer(2), integer(10)).number == 1024.0);
  CHECK(vm::arithmetic(f.thread, Operator::kShiftRight, integer(1), integer(kSmallest)).integer == 0);
  CHECK(vm::arithmetic(f.thread, Operator::kBitOr, Value::from(3.0), integer(0)).integer == 3);
  CHECK(vm::arithmetic(f.thread, Operator::kBitNot, integer(0), integer(0)).integer == -1);
  CHECK(std::isinf(vm::arithmetic(f.thread, Operator::kFloorDivide, integer(1), Value::from(0.0)).number));
}

TEST_CASE("arithmetic: failures are worded as PUC Lua words them") {
  Fixture f;
  auto fails = [&](Operator op, const Value& a, const Value& b) {
    return f.message([&] { vm::arithmetic(f.thread, op, a, b); });
  };
  CHECK(fails(Operator::kFloorDivide, integer(1), integer(0)) == "attempt to divide by zero");
  CHECK(fails(Operator::kModulo, integer(1), integer(0)) == "attempt to perform 'n%0'");
  CHECK(fails(Operator::kBitAnd, Value::from(1.5), integer(0)) == "number has no integer representation");
  CHECK(fails(Operator::kBitAnd, f.text("1"), integer(0)) == "attempt to perform bitwise operation on a string value");
  CHECK(fails(Operator::kAdd, integer(1), Value()) == "attempt to perform arithmetic on a nil value");
  CHECK(fails(Operator::kAdd, Value::boolean(true), Value()) == "attempt to perform arithmetic on a boolean value");
}

TEST_CASE("arithmetic: the first operand's metamethod goes before the second's") {
  Fixture f;
  const Value object = f.object_with("__add", f.native(kShow));
  CHECK(shown(f, vm::arithmetic(f.thread, Operator::kAdd, integer(1), object)) == "(number,table)");
  CHECK(shown(f, vm::arithmetic(f.thread, Operator::kAdd, object, Value())) == "(table,nil)");
}

TEST_CASE("compare: order and equality across types") {
  Fixture f;
  CHECK(vm::less(f.thread, integer(INT64_MAX), Value::from(9223372036854775808.0)));
  CHECK_FALSE(vm::less_equal(f.thread, integer(0), Value::from(std::nan(""))));
  CHECK(vm::less(f.thread, f.text("a"), f.text("b")));
  CHECK(vm::equal(f.thread, integer(1), Value::from(1.0)));
  CHECK(f.message([&] { vm::less(f.thread, integer(1), Value()); }) == "attempt to compare number with nil");
  CHECK(f.message([&] { vm::less(f.thread, Value(), Value()); }) == "attempt to compare two nil values");
  const Value object = f.object_with("__eq", f.native(kTrue));
  const Value other = Value::of(table::make(f.shared.heap));
  CHECK(vm::equal(f.thread, other, object));
  CHECK_FALSE(vm::equal(f.thread, integer(1), object));
  CHECK(vm::less_equal(f.thread, integer(1), f.object_with("__le", f.native(kTrue))));
}

TEST_CASE("length: strings, tables, metamethods") {
  Fixture f;
  CHECK(vm::length(f.thread, f.text("abc")).integer == 3);
  CHECK(vm::length_integer(f.thread, f.object_with("__len", f.native(kOne))) == 1);
  const Value wrong = f.object_with("__len", f.native(kTable));
  CHECK(f.message([&] { vm::length_integer(f.thread, wrong); }) == "object length is not an integer");
  CHECK(f.message([&] { vm::length(f.thread, integer(1)); }) == "attempt to get length of a number value");
}

TEST_CASE("access: chains of __index and __newindex") {
  Fixture f;
  const Value base = Value::of(table::make(f.shared.heap));
  vm::set_index(f.thread, base, f.text("x"), integer(7));
  const Value object = f.object_with("__index", base);
  CHECK(vm::index_field(f.thread, object, "x").integer == 7);
  CHECK(vm::index_field(f.thread, object, "y").is_nil());
  CHECK(vm::index_integer(f.thread, f.object_with("__index", f.native(kOne)), 5).integer == 1);

  vm::set_index_integer(f.thread, f.object_with("__newindex", base), 1, integer(8));
  CHECK(vm::index_integer(f.thread, base, 1).integer == 8);
  vm::set_index(f.thread, f.object_with("__newindex", f.native(kStore)), f.text("k"), integer(9));
  CHECK(native::get_field(f.thread, f.shared.globals, "stored").integer == 9);
}

TEST_CASE("access: a loop of links is an error") {
  Fixture f;
  const Value object = Value::of(table::make(f.shared.heap));
  vm::set_metatable(f.thread, object, object.table());
  vm::set_index(f.thread, object, f.text("__index"), object);
  CHECK(f.message([&] { vm::index_field(f.thread, object, "x"); }) == "'__index' chain too long; possible loop");
  vm::set_index(f.thread, object, f.text("__newindex"), object);
  CHECK(f.message([&] { vm::set_index(f.thread, object, f.text("x"), object); }) ==
        "'__newindex' chain too long; possible loop");
  CHECK(f.message([&] { vm::index_field(f.thread, Value(), "x"); }) == "attempt to index a nil value");
  CHECK(f.message([&] { vm::set_index(f.thread, f.text(""), integer(1), Value()); }) ==
        "attempt to index a string value");
}

TEST_CASE("metamethods: an absent one is found when it appears") {
  Fixture f;
  Table* metatable = table::make(f.shared.heap);
  CHECK(vm::cached_metamethod(f.shared, metatable, Metamethod::kIndex).is_nil());
  CHECK(vm::cached_metamethod(f.shared, metatable, Metamethod::kIndex).is_nil());
  native::set_field(f.thread, metatable, "__index", integer(1));
  CHECK(vm::cached_metamethod(f.shared, metatable, Metamethod::kIndex).integer == 1);
  CHECK(vm::cached_metamethod(f.shared, nullptr, Metamethod::kIndex).is_nil());
}

TEST_CASE("concat: runs of texts and metamethods") {
  Fixture f;
  CHECK(joined(f, {f.text("a"), integer(1), Value::from(2.0), f.text("")}) == "a12.0");
  CHECK(joined(f, {integer(1), f.text("")}) == "1");
  CHECK(joined(f, std::vector<Value>(100, f.text("ab"))).size() == 200);
  CHECK(joined(f, std::vector<Value>(60, integer(12))) == std::string(joined(f, std::vector<Value>(30, integer(1212)))));
  const Value object = f.object_with("__concat", f.native(kShow));
  CHECK(joined(f, {f.text("x"), object, f.text("a"), f.text("b")}) == "x(table,string)");
  CHECK(joined(f, {object, object}) == "(table,table)");
  CHECK(f.thread.current->top == f.thread.current->stack + 1);
}

TEST_CASE("concat: a failure leaves the operands") {
  Fixture f;
  vm::push(f.thread, f.text("a"));
  vm::push(f.thread, Value());
  vm::push(f.thread, f.text("c"));
  CHECK(f.message([&] { vm::concat(f.thread, 3); }) == "attempt to concatenate a nil value");
  CHECK(f.thread.current->top[-1].string()->view() == "c");
  CHECK(f.thread.current->top[-3].string()->view() == "a");
}

TEST_CASE("conversions: text of values") {
  Fixture f;
  CHECK(shown(f, Value()) == "nil");
  CHECK(shown(f, Value::from(-0.0)) == "-0.0");
  CHECK(shown(f, Value::boolean(false)) == "false");
  CHECK(shown(f, Value::of(f.shared.globals)).rfind("table: 0x", 0) == 0);
  CHECK(shown(f, f.object_with("__name", f.text("My"))).rfind("My: 0x", 0) == 0);
  CHECK(shown(f, f.object_with("__tostring", f.native(kShow))) == "(table)");
  const Value wrong = f.object_with("__tostring", f.native(kTable));
  CHECK(f.message([&] { vm::to_string(f.thread, wrong); }) == "'__tostring' must return a string");
  std::int64_t i = 0;
  CHECK(vm::to_integer(f.text(" 0x10 "), i));
  CHECK(i == 16);
  CHECK_FALSE(vm::to_integer_strict(f.text("1"), i));
  CHECK_FALSE(vm::to_integer(Value::from(1.5), i));
}

TEST_CASE("errors: ids become messages") {
  Fixture f;
  auto text = [&](ErrorId id) { return std::string(vm::error_value(f.thread, ScriptError(id)).string()->view()); };
  CHECK(text(ErrorId::kMemory) == "not enough memory");
  CHECK(text(ErrorId::kIndexIsNaN) == "table index is NaN");
  CHECK(vm::error_value(f.thread, ScriptError(Value::from(1.5))).number == 1.5);
}
