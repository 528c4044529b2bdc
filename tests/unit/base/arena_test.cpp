#include "base/arena.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <cstring>
#include <string>

using baton::Arena;
using baton::ArenaVector;

TEST_CASE("arena: allocations are aligned, disjoint and stay where they are") {
  Arena arena;
  std::uintptr_t last_end = 0;
  for (std::size_t bytes = 1; bytes < 3000; bytes += 37) {
    auto* block = static_cast<unsigned char*>(arena.allocate(bytes, 8));
    CHECK(reinterpret_cast<std::uintptr_t>(block) % 8 == 0);
    CHECK(reinterpret_cast<std::uintptr_t>(block) != last_end - bytes);
    std::memset(block, 0xFF, bytes);
    last_end = reinterpret_cast<std::uintptr_t>(block) + bytes;
  }
  CHECK(arena.bytes() > 0);
  arena.release();
  CHECK(arena.bytes() == 0);
  CHECK(arena.allocate(1) != nullptr);
}

TEST_CASE("arena: a large block does not waste the room of the current chunk") {
  Arena arena;
  auto* first = static_cast<char*>(arena.allocate(8, 8));
  CHECK(arena.allocate(1 << 20) != nullptr);
  CHECK(static_cast<char*>(arena.allocate(8, 8)) == first + 8);
}

TEST_CASE("arena: the accountant sees every byte and may refuse") {
  struct Cap {
    std::size_t seen = 0;
    std::size_t limit = 100000;
  } cap;
  Arena arena(
      [](void* context, std::size_t bytes, std::size_t total) {
        auto* state = static_cast<Cap*>(context);
        if (total > state->limit) throw std::bad_alloc();
        state->seen += bytes;
      },
      &cap);
  CHECK_THROWS_AS([&] { for (;;) arena.allocate(1000); }(), std::bad_alloc);
  CHECK(cap.seen == arena.bytes());
  CHECK(arena.bytes() <= cap.limit);
  CHECK_THROWS_AS(arena.allocate(SIZE_MAX - 64), std::bad_alloc);
  CHECK_THROWS_AS(arena.allocate_array<double>(SIZE_MAX / 4), std::bad_alloc);
}

TEST_CASE("arena: a vector grows, also while others allocate") {
  Arena arena;
  ArenaVector<int> alone;
  ArenaVector<int> disturbed;
  for (int i = 0; i < 1000; ++i) {
    alone.push_back(arena, i);
  }
  for (int i = 0; i < 1000; ++i) {
    disturbed.push_back(arena, i);
    arena.copy("between");
  }
  for (int i = 0; i < 1000; ++i) {
    CHECK(alone[static_cast<std::size_t>(i)] == i);
    CHECK(disturbed.span()[static_cast<std::size_t>(i)] == i);
  }
}

TEST_CASE("arena: moving hands everything over") {
  Arena first;
  const std::string_view text = first.copy("kept");
  Arena second = std::move(first);
  CHECK(text == "kept");
  CHECK(second.bytes() > 0);
  CHECK(first.bytes() == 0);
}
