// Strings: interning, equality, order, the intern table's growth and its weakness.
#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "value/heap.h"
#include "value/root.h"
#include "value/string.h"

using namespace baton;

TEST_CASE("string: short ones are interned, long ones are not") {
  Heap heap(1);
  REQUIRE(string::make(heap, "abc") == string::make(heap, "abc"));
  REQUIRE(string::make(heap, "") == string::make(heap, ""));
  const std::string at_limit(kShortStringMax, 'x');
  const std::string above(kShortStringMax + 1, 'x');
  REQUIRE(string::make(heap, at_limit)->is_short());
  String* a = string::make(heap, above);
  String* b = string::make(heap, above);
  REQUIRE(a != b);
  REQUIRE_FALSE(a->is_short());
  REQUIRE(string::equal(a, b));
  REQUIRE(string::hash(a) == string::hash(b));
  REQUIRE(a->data()[a->length] == '\0');
  REQUIRE(raw_equal(Value::of(a), Value::of(b)));
}

TEST_CASE("string: embedded zeros count") {
  Heap heap(1);
  String* a = string::make(heap, std::string_view("a\0b", 3));
  String* b = string::make(heap, std::string_view("a\0c", 3));
  REQUIRE(a != b);
  REQUIRE(string::compare(a, b) < 0);
  REQUIRE(string::compare(string::make(heap, "a"), a) < 0);
  REQUIRE(string::compare(a, string::make(heap, "a")) > 0);
  REQUIRE(string::compare(a, a) == 0);
  REQUIRE(string::compare(string::make(heap, ""), a) < 0);
}

TEST_CASE("string: the intern table grows, loses the dead and shrinks") {
  Heap heap(3);
  heap.collect();
  const std::size_t before = heap.bytes_used();
  std::vector<Root<String>*> kept;
  for (int i = 0; i < 100000; ++i) {
    String* s = string::make(heap, "string number " + std::to_string(i));
    if (i % 100 == 0) kept.push_back(new Root<String>(heap, s));
    REQUIRE(string::make(heap, "string number " + std::to_string(i)) == s);
  }
  heap.collect();
  for (std::size_t i = 0; i < kept.size(); ++i) {
    REQUIRE(string::make(heap, "string number " + std::to_string(i * 100)) == kept[i]->get());
    delete kept[i];
  }
  for (int i = 0; i < 30; ++i) {
    for (int j = 0; j < 2000; ++j) string::make(heap, "x" + std::to_string(j));
    heap.collect();
  }
  REQUIRE(heap.bytes_used() < before + 200 * 1024);
}

TEST_CASE("string: one found dead before it is swept lives on") {
  Heap heap(4);
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 5000; ++i) string::make(heap, "r" + std::to_string(i));
    int steps = 0;
    while (!heap.step_explicit(0)) {
      Root<String> s(heap, string::make(heap, "r" + std::to_string(steps * 37 % 5000)));
      REQUIRE(s->view() == "r" + std::to_string(steps * 37 % 5000));
      ++steps;
    }
    heap.verify();
  }
}
