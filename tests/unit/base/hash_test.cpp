#include "base/hash.h"

#include <catch2/catch.hpp>
#include <set>
#include <string>

namespace hash = baton::hash;

TEST_CASE("hash: depends on every byte, the length and the seed") {
  for (std::size_t length = 1; length <= 70; ++length) {
    const std::string text(length, 'a');
    const std::uint64_t value = hash::of_string(text, 1);
    CHECK(hash::of_string(std::string(text), 1) == value);
    CHECK(hash::of_string(text, 2) != value);
    CHECK(hash::of_string(text + '\0', 1) != value);
    for (std::size_t i = 0; i < length; ++i) {
      std::string changed = text;
      changed[i] = 'b';
      CHECK(hash::of_string(changed, 1) != value);
    }
  }
}

TEST_CASE("hash: the low bits of similar strings and numbers spread") {
  std::set<std::uint64_t> strings;
  std::set<std::uint64_t> numbers;
  for (int i = 0; i < 4096; ++i) {
    strings.insert(hash::of_string("key" + std::to_string(i), 42) & 0xFFFF);
    numbers.insert(hash::mix(static_cast<std::uint64_t>(i) << 20) & 0xFFFF);
  }
  CHECK(strings.size() > 3800);  // about 3970 are expected of a random function
  CHECK(numbers.size() > 3800);
}
