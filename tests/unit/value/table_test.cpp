// Tables: random operations against a model, traversal during removal, borders, growth.
#include <catch2/catch.hpp>

#include <cmath>
#include <limits>
#include <random>
#include <set>
#include <string>
#include <unordered_map>

#include "value/heap.h"
#include "value/root.h"
#include "value/string.h"
#include "value/table.h"

using namespace baton;

namespace {

struct Fixture {
  Heap heap{42};
  Root<Table> t{heap, table::make(heap)};

  Value text(const std::string& s) { return Value::of(string::make(heap, s)); }
  static Value number(std::int64_t i) { return Value::from(i); }
  void set(const Value& k, const Value& v) { table::set(heap, t.get(), k, v); }
  Value get(const Value& k) { return *table::get(t.get(), k); }
};

bool is_border(const Table* t, std::uint64_t n) {
  const bool low = n == 0 || !table::get_integer(t, static_cast<std::int64_t>(n))->is_nil();
  return low && table::get_integer(t, static_cast<std::int64_t>(n + 1))->is_nil();
}

}  // namespace

TEST_CASE("table: random operations agree with a model") {
  Fixture f;
  std::mt19937_64 random(7);
  std::unordered_map<std::string, std::int64_t> model;
  const auto key_of = [&](std::uint64_t r) {
    switch (r % 6) {
      case 0: return std::make_pair(std::string("i") + std::to_string(r % 97), Value::from(std::int64_t(r % 97)));
      case 1: return std::make_pair("i" + std::to_string(r % 20000), Value::from(std::int64_t(r % 20000)));
      case 2: return std::make_pair("s" + std::to_string(r % 500), f.text("s" + std::to_string(r % 500)));
      case 3: {
        std::string s(60, 'x');
        s += std::to_string(r % 50);
        return std::make_pair(s, f.text(s));
      }
      case 4: return std::make_pair("f" + std::to_string(r % 100), Value::from(double(r % 100) + 0.5));
      default: return std::make_pair("i" + std::to_string(-std::int64_t(r % 1000)), Value::from(-double(r % 1000)));
    }
  };
  for (int step = 0; step < 200000; ++step) {
    const auto [name, key] = key_of(random());
    const std::string canonical = name == "i-0" ? "i0" : name;
    if (random() % 3 == 0) {
      f.set(key, Value());
      model.erase(canonical);
    } else {
      f.set(key, Value::from(std::int64_t(step)));
      model[canonical] = step;
    }
    if (step % 8 == 0) {
      const auto [other, other_key] = key_of(random());
      const auto found = model.find(other == "i-0" ? "i0" : other);
      const Value v = f.get(other_key);
      REQUIRE(v.is_nil() == (found == model.end()));
      if (found != model.end()) REQUIRE(v.integer == found->second);
    }
    if (step % 5000 == 0) {
      std::size_t count = 0;
      Value k, v;
      while (table::next(f.t.get(), k, v)) ++count;
      REQUIRE(count == model.size());
      f.heap.verify();
    }
    if (step % 1000 == 0) {
      REQUIRE(is_border(f.t.get(), table::length(f.t.get())));
      f.heap.step_explicit(1);
    }
  }
}

TEST_CASE("table: next survives removal during traversal and collection") {
  Fixture f;
  for (int i = 0; i < 1000; ++i) f.set(f.text("key" + std::to_string(i)), Fixture::number(i));
  for (int i = 1; i <= 100; ++i) f.set(Fixture::number(i), Fixture::number(i));
  std::set<std::uint64_t> seen;
  Root<Value> key(f.heap, Value());
  Value k, v;
  while (table::next(f.t.get(), k, v)) {
    seen.insert(k.bits);
    f.set(k, Value());
    key.set(k);
    if (seen.size() % 100 == 0) f.heap.collect();
  }
  REQUIRE(seen.size() == 1100);
  k = Value();
  REQUIRE_FALSE(table::next(f.t.get(), k, v));
}

TEST_CASE("table: next refuses a key that is not there") {
  Fixture f;
  f.set(Fixture::number(1), Fixture::number(1));
  Value k = f.text("absent"), v;
  REQUIRE_THROWS_AS(table::next(f.t.get(), k, v), ScriptError);
  k = Fixture::number(77);
  REQUIRE_THROWS_AS(table::next(f.t.get(), k, v), ScriptError);
}

TEST_CASE("table: nil and NaN are no keys, integral floats are integers") {
  Fixture f;
  REQUIRE_THROWS_AS(f.set(Value(), Fixture::number(1)), ScriptError);
  REQUIRE_THROWS_AS(f.set(Value::from(std::nan("")), Fixture::number(1)), ScriptError);
  REQUIRE(f.get(Value()).is_nil());
  REQUIRE(f.get(Value::from(std::nan(""))).is_nil());
  f.set(Value::from(3.0), Fixture::number(9));
  REQUIRE(f.get(Fixture::number(3)).integer == 9);
  f.set(Value::from(-0.0), Fixture::number(8));
  REQUIRE(f.get(Fixture::number(0)).integer == 8);
  f.set(Value::from(9007199254740992.0), Fixture::number(7));
  REQUIRE(f.get(Fixture::number(9007199254740992)).integer == 7);
  f.set(Value::from(std::numeric_limits<double>::infinity()), Fixture::number(6));
  REQUIRE(f.get(Value::from(std::numeric_limits<double>::infinity())).integer == 6);
  Value no;
  no.set_boolean(false);
  no.bits = 0;
  f.set(Value::boolean(true), Fixture::number(1));
  Value yes = Fixture::number(99);
  yes.set_boolean(true);
  REQUIRE(f.get(yes).integer == 1);
  REQUIRE(f.get(no).is_nil());
}

TEST_CASE("table: appending fills the array part, in any order of growth") {
  Fixture f;
  for (int i = 1; i <= 100000; ++i) f.set(Fixture::number(i), Fixture::number(i));
  REQUIRE(f.t->array_size >= 100000);
  REQUIRE(table::length(f.t.get()) == 100000);
  for (int i = 100000; i > 0; --i) {
    f.set(Fixture::number(i), Value());
    if (i % 1000 == 0) REQUIRE(table::length(f.t.get()) == std::uint64_t(i - 1));
  }
  Fixture g;
  for (int i = 1000; i > 0; --i) g.set(Fixture::number(i), Fixture::number(i));
  REQUIRE(table::length(g.t.get()) == 1000);
  REQUIRE(g.t->array_size >= 512);
}

TEST_CASE("table: a queue keeps its memory bounded") {
  Fixture f;
  for (int i = 1; i <= 200000; ++i) {
    f.set(Fixture::number(i), Fixture::number(i));
    if (i > 100) f.set(Fixture::number(i - 100), Value());
  }
  REQUIRE(table::bytes(f.t.get()) < 64 * 1024);
}

TEST_CASE("table: sparse integers do not blow the array part up") {
  Fixture f;
  for (int i = 0; i < 1000; ++i) f.set(Fixture::number(std::int64_t{1} << (i % 62)), Fixture::number(i));
  for (int i = 0; i < 1000; ++i) f.set(Fixture::number(i * 1024), Fixture::number(i));
  REQUIRE(table::bytes(f.t.get()) < 128 * 1024);
  f.set(Fixture::number(std::numeric_limits<std::int64_t>::max()), Fixture::number(1));
  f.set(Fixture::number(std::numeric_limits<std::int64_t>::min()), Fixture::number(2));
  REQUIRE(f.get(Fixture::number(std::numeric_limits<std::int64_t>::min())).integer == 2);
}

TEST_CASE("table: resize keeps entries") {
  Fixture f;
  for (int i = 1; i <= 10; ++i) f.set(Fixture::number(i * 3), Fixture::number(i));
  f.set(f.text("name"), Fixture::number(5));
  table::resize(f.heap, f.t.get(), 40, 100);
  REQUIRE(f.t->array_size == 40);
  for (int i = 1; i <= 10; ++i) REQUIRE(f.get(Fixture::number(i * 3)).integer == i);
  REQUIRE(f.get(f.text("name")).integer == 5);
  table::resize(f.heap, f.t.get(), 0, 0);
  REQUIRE(f.t->array_size == 40);
}

TEST_CASE("table: a frozen table refuses writes") {
  Fixture f;
  f.set(Fixture::number(1), Fixture::number(1));
  f.t->mode |= kTableFrozen;
  REQUIRE_THROWS_AS(f.set(Fixture::number(1), Fixture::number(2)), ScriptError);
  REQUIRE_THROWS_AS(f.set(Fixture::number(2), Fixture::number(2)), ScriptError);
}

TEST_CASE("table: positions step through everything") {
  Fixture f;
  for (int i = 1; i <= 10; ++i) f.set(Fixture::number(i), Fixture::number(i));
  for (int i = 0; i < 10; ++i) f.set(f.text("k" + std::to_string(i)), Fixture::number(i));
  std::uint64_t position = 0;
  Value k, v;
  int count = 0;
  while (table::next_at(f.t.get(), position, k, v)) ++count;
  REQUIRE(count == 20);
}
