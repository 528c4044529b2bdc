#include "compiler/binary_format.h"

#include <catch2/catch.hpp>

#include <cstring>
#include <random>

#include "base/hash.h"
#include "compile_helpers.h"
#include "value/string.h"

using namespace baton;
using compiler::DebugInformation;
using compiler::dump;
using compiler::undump;
using test::compile;

namespace {

const char* const kProgram =
    "local t <const>, n = {1, 2.5, 'text', f()}, 0\n"
    "for i = 1, 10 do n = 2 + n - i; t[i] = n * 2 & 3 end\n"
    "for k, v in pairs(t) do if k == nil then break end t.x = v .. k end\n"
    "local function g(...) local up <close> = n; return t, function() return up, g end, ... end\n"
    "return g(t:method(n, ...), true, 'a string that is longer than the forty bytes of a short one')\n";

std::string error_of(Heap& heap, std::string_view bytes, std::string_view name = "=t") {
  try {
    undump(heap, bytes, name);
    return {};
  } catch (const compiler::CompileError& error) {
    return error.message;
  }
}

constexpr std::size_t kLengthOffset = 56;
constexpr std::size_t kChecksumOffset = 64;
constexpr std::size_t kBodyOffset = 72;

// Makes the header fit a changed body, as an attacker would.
void sign(std::string& bytes) {
  const std::string_view body = std::string_view(bytes).substr(kBodyOffset);
  const std::uint64_t length = body.size();
  const std::uint64_t checksum = hash::of_string(body, 0x42746E);
  std::memcpy(bytes.data() + kLengthOffset, &length, sizeof length);
  std::memcpy(bytes.data() + kChecksumOffset, &checksum, sizeof checksum);
}

}  // namespace

TEST_CASE("binary_format: what is dumped comes back the same") {
  Heap heap(1);
  const Prototype* main = compile(heap, kProgram);
  const std::string bytes = dump(*main, DebugInformation::kKeep);
  const Prototype* back = undump(heap, bytes, "=t");
  CHECK(compiler::disassemble(*back) == compiler::disassemble(*main));
  CHECK(dump(*back, DebugInformation::kKeep) == bytes);
  CHECK(back->source == main->source);
  CHECK(back->prototypes[0]->source == main->source);
}

TEST_CASE("binary_format: stripping drops names, lines and the source") {
  Heap heap(1);
  const std::string bytes = dump(*compile(heap, kProgram), DebugInformation::kStrip);
  const Prototype* back = undump(heap, bytes, "=t");
  CHECK(back->source == nullptr);
  CHECK(back->lines.size == 0);
  CHECK(back->locals.size == 0);
  CHECK(back->upvalues[0].name == nullptr);
  CHECK(dump(*back, DebugInformation::kKeep) == bytes);
}

TEST_CASE("binary_format: every truncation is refused") {
  Heap heap(1);
  const std::string bytes = dump(*compile(heap, kProgram), DebugInformation::kKeep);
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    REQUIRE(error_of(heap, std::string_view(bytes).substr(0, length)) == "t: bad binary format (truncated chunk)");
  }
  CHECK(error_of(heap, bytes + "more").empty());
}

TEST_CASE("binary_format: foreign and damaged chunks are refused") {
  Heap heap(1);
  const std::string bytes = dump(*compile(heap, kProgram), DebugInformation::kKeep);
  CHECK(error_of(heap, "\x1bLua" + std::string(100, '\0')) == "t: bad binary format (version mismatch)");
  CHECK(error_of(heap, "\x1b" "Btn", "\x1b" "Btn") == "binary string: bad binary format (not a binary chunk)");
  CHECK(error_of(heap, "\x1bLua", "@file.out") == "file.out: bad binary format (truncated chunk)");
  std::string of_lua = bytes;  // the header that both share, then what PUC Lua writes
  of_lua.replace(32, std::string::npos, "\x80\x81\x81\x80\x80\x82" + std::string(100, '\0'));
  CHECK(error_of(heap, of_lua) == "t: bad binary format (made by another program)");
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string changed = bytes;
    changed[i] = static_cast<char>(changed[i] ^ 0x41);
    REQUIRE_FALSE(error_of(heap, changed).empty());
  }
}

// What passes must be code the verifier accepts, so that it can be listed and dumped again.
TEST_CASE("binary_format: chunks made to deceive are refused or harmless") {
  Heap heap(1);
  const std::string bytes = dump(*compile(heap, kProgram), DebugInformation::kKeep);
  std::mt19937 random(12345);
  int accepted = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string changed = bytes;
    for (int changes = 1 + static_cast<int>(random() % 3); changes > 0; --changes) {
      const std::size_t at = kBodyOffset + random() % (changed.size() - kBodyOffset);
      switch (random() % 4) {
        case 0: changed[at] = static_cast<char>(random()); break;
        case 1: changed[at] = static_cast<char>(changed[at] + 1); break;
        case 2: changed.erase(at, 1 + random() % 9); break;
        default: changed.insert(at, 1 + random() % 9, static_cast<char>(random())); break;
      }
      if (changed.size() <= kBodyOffset) changed = bytes;
    }
    sign(changed);
    try {
      const Prototype* back = undump(heap, changed, "=t");
      compiler::disassemble(*back);
      dump(*back, DebugInformation::kKeep);
      ++accepted;
    } catch (const compiler::CompileError& error) {
      REQUIRE(error.message.starts_with("t: bad binary format ("));
    }
  }
  CHECK(accepted > 0);
}

TEST_CASE("binary_format: nesting is limited") {
  Heap heap(1);
  const std::string bytes = dump(*compile(heap, test::repeated("return function() ", 90) + test::repeated("end ", 90)),
                                 DebugInformation::kStrip);
  CHECK(error_of(heap, bytes).empty());
}
