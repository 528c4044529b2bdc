#include "base/utf8.h"

#include <catch2/catch.hpp>
#include <string>

namespace utf8 = baton::utf8;
using utf8::Strictness;

namespace {

std::string encoded(std::uint32_t code) {
  char buffer[utf8::kMaxBytes];
  return {buffer, utf8::encode(code, buffer)};
}

bool accepts(std::string_view text, Strictness strictness) { return utf8::decode(text, strictness).bytes != 0; }

}  // namespace

TEST_CASE("utf8: encode and a lax decode are inverse at every length") {
  for (const std::uint32_t code : {0u, 0x7Fu, 0x80u, 0x7FFu, 0x800u, 0xFFFFu, 0x10000u, 0x1FFFFFu, 0x200000u, 0x3FFFFFFu,
                                   0x4000000u, utf8::kMaxCode}) {
    const std::string text = encoded(code);
    const utf8::Decoded decoded = utf8::decode(text + "x", Strictness::kLax);
    CHECK(decoded.code == code);
    CHECK(decoded.bytes == text.size());
  }
  CHECK(encoded(0x20AC) == "\xE2\x82\xAC");
  CHECK(encoded(utf8::kMaxCode) == "\xFD\xBF\xBF\xBF\xBF\xBF");
}

TEST_CASE("utf8: a strict decode refuses surrogates and what lies above Unicode") {
  CHECK(accepts(encoded(0x10FFFF), Strictness::kStrict));
  CHECK_FALSE(accepts(encoded(0x110000), Strictness::kStrict));
  CHECK_FALSE(accepts(encoded(0xD800), Strictness::kStrict));
  CHECK_FALSE(accepts(encoded(0xDFFF), Strictness::kStrict));
  CHECK(accepts(encoded(0xD800), Strictness::kLax));
}

TEST_CASE("utf8: malformed sequences are refused") {
  for (const char* bad : {"", "\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xF0\x80\x80\x80", "\xE2\x82", "\xE2\x28\xA1",
                          "\xFE\x80\x80\x80\x80\x80\x80", "\xFF", "\xFC\x80\x80\x80\x80\x80"}) {
    CHECK_FALSE(accepts(bad, Strictness::kLax));
  }
}
