// The library `utf8` (manual 6.5).
//
// Positions are those of bytes, 1-based. Decoding is strict (no surrogates, at most 10FFFF) unless `lax` asks for the
// original form of up to 31 bits. Long scans poll after each piece.

#include "all_modules.h"
#include "base/utf8.h"
#include "string_library.h"
#include "vm/native.h"
#include "vm/safepoint.h"
#include "vm/string_builder.h"

namespace baton::stdlib {
namespace {

using utf8::is_continuation;
using utf8::Strictness;

constexpr std::size_t kPollCharacters = std::size_t{1} << 14;

// A position of the language as an offset from 1; negative ones count from the end, those before the start become 0.
std::int64_t position(std::int64_t given, std::size_t length) noexcept {
  if (given >= 0) return given;
  if (given < -static_cast<std::int64_t>(length)) return 0;
  return static_cast<std::int64_t>(length) + given + 1;
}

Strictness strictness(NativeCall& call, int argument) noexcept {
  return call.truthy(argument) ? Strictness::kLax : Strictness::kStrict;
}

int utf8_len(NativeCall& call) {
  const std::string_view s = call.check_text(1);
  const auto length = static_cast<std::int64_t>(s.size());
  std::int64_t place = position(call.optional_integer(2, 1), s.size());
  std::int64_t last = position(call.optional_integer(3, -1), s.size());
  if (place < 1 || place - 1 > length) call.argument_error(2, "initial position out of bounds");
  if (last - 1 >= length) call.argument_error(3, "final position out of bounds");
  const Strictness strict = strictness(call, 4);
  std::int64_t count = 0;
  for (--place; place < last; ++count) {
    const auto start = static_cast<std::size_t>(place);
    const std::uint32_t bytes = static_cast<signed char>(s[start]) >= 0 ? 1 : utf8::decode(s.substr(start), strict).bytes;
    if (bytes == 0) {
      call.push(Value());
      call.push(Value::from(place + 1));
      return 2;
    }
    place += bytes;
    if ((static_cast<std::size_t>(count) & (kPollCharacters - 1)) == kPollCharacters - 1) vm::poll(call.thread());
  }
  return call.result(Value::from(count));
}

int utf8_codepoint(NativeCall& call) {
  const std::string_view s = call.check_text(1);
  const std::int64_t first = position(call.optional_integer(2, 1), s.size());
  const std::int64_t last = position(call.optional_integer(3, first), s.size());
  const Strictness strict = strictness(call, 4);
  if (first < 1) call.argument_error(2, "out of bounds");
  if (last > static_cast<std::int64_t>(s.size())) call.argument_error(3, "out of bounds");
  if (first > last) return 0;
  const Coroutine* co = call.coroutine();
  if (last - first >= static_cast<std::int64_t>(kMaxStackSlots) - (co->top - co->stack)) call.error("stack overflow (string slice too long)");
  int count = 0;
  for (auto place = static_cast<std::size_t>(first - 1); place < static_cast<std::size_t>(last); ++count) {
    const utf8::Decoded decoded = utf8::decode(s.substr(place), strict);
    if (decoded.bytes == 0) call.error("invalid UTF-8 code");
    call.push(Value::from(static_cast<std::int64_t>(decoded.code)));
    place += decoded.bytes;
    if ((static_cast<std::size_t>(count) & (kPollCharacters - 1)) == kPollCharacters - 1) vm::poll(call.thread());
  }
  return count;
}

int utf8_char(NativeCall& call) {
  StringBuilder result(call.thread());
  for (int i = 1; i <= call.count(); ++i) {
    const auto code = static_cast<std::uint64_t>(call.check_integer(i));
    if (code > utf8::kMaxCode) call.argument_error(i, "value out of range");
    result.commit(utf8::encode(static_cast<std::uint32_t>(code), result.reserve(utf8::kMaxBytes)));
  }
  return call.result(Value::of(result.finish()));
}

// The byte at a 0-based place, NUL at the end.
char byte_at(std::string_view s, std::int64_t place) noexcept { return s.data()[place]; }

int utf8_offset(NativeCall& call) {
  const std::string_view s = call.check_text(1);
  const auto length = static_cast<std::int64_t>(s.size());
  std::int64_t n = call.check_integer(2);
  std::int64_t place = position(call.optional_integer(3, n >= 0 ? 1 : length + 1), s.size()) - 1;
  if (place < 0 || place > length) call.argument_error(3, "position out of bounds");
  if (n == 0) {  // the start of the character that holds the byte
    while (place > 0 && is_continuation(byte_at(s, place))) --place;
    return call.result(Value::from(place + 1));
  }
  if (is_continuation(byte_at(s, place))) call.error("initial position is a continuation byte");
  std::size_t steps = 0;
  if (n < 0) {
    while (n < 0 && place > 0) {
      do --place;
      while (place > 0 && is_continuation(byte_at(s, place)));
      ++n;
      if ((++steps & (kPollCharacters - 1)) == 0) vm::poll(call.thread());
    }
  } else {
    --n;  // the first one is where we are
    while (n > 0 && place < length) {
      do ++place;
      while (is_continuation(byte_at(s, place)));  // the NUL at the end is none
      --n;
      if ((++steps & (kPollCharacters - 1)) == 0) vm::poll(call.thread());
    }
  }
  return call.result(n == 0 ? Value::from(place + 1) : Value());
}

template <Strictness strict>
int codes_step(NativeCall& call) {
  const std::string_view s = call.check_text(1);
  const Value control = call.arg(2);
  auto place = static_cast<std::uint64_t>(control.is_integer() ? control.integer : 0);
  if (place < s.size()) {
    while (is_continuation(s.data()[place])) ++place;  // behind the last character
  }
  if (place >= s.size()) return 0;
  const utf8::Decoded decoded = utf8::decode(s.substr(place), strict);
  if (decoded.bytes == 0 || is_continuation(s.data()[place + decoded.bytes])) call.error("invalid UTF-8 code");
  call.push(Value::from(static_cast<std::int64_t>(place + 1)));
  call.push(Value::from(static_cast<std::int64_t>(decoded.code)));
  return 2;
}

constexpr const char* kStepText =
    "The position and code of the character behind the one at the given position; nothing after the last one.";
const NativeInfo kStrictStep = {"codes_iterator", "iterator(s: string, position: integer) -> integer?, integer", kStepText,
                                codes_step<Strictness::kStrict>};
const NativeInfo kLaxStep = {"codes_iterator", "iterator(s: string, position: integer) -> integer?, integer", kStepText,
                             codes_step<Strictness::kLax>};

int utf8_codes(NativeCall& call) {
  String* s = call.check_string(1);
  if (is_continuation(s->data()[0])) call.argument_error(1, "invalid UTF-8 code");
  const Value step = call.upvalue(call.truthy(2) ? 2 : 1);
  call.push(step);
  call.push(Value::of(s));
  call.push(Value::from(std::int64_t{0}));
  return 3;
}

const NativeInfo kCodes = {
    "codes", "utf8.codes(s: string, lax?: boolean) -> function, string, integer",
    "For a generic for: visits all characters of s, giving the position and the code of each. An invalid byte is an error."
    R"lua(

for position, code in utf8.codes "aé" do print(position, code) end
--> 1	97
--> 2	233)lua",
    utf8_codes};

const NativeInfo kFunctions[] = {
    {"char", "utf8.char(...: integer) -> string",
     "The UTF-8 form of each code, up to 7FFFFFFF, concatenated."
     R"lua(

print(utf8.char(72, 228, 8364))  --> Hä€)lua",
     utf8_char},
    {"codepoint", "utf8.codepoint(s: string, i?: integer, j?: integer, lax?: boolean) -> integer ...",
     "The codes of all characters that start between the byte positions i (1 by default) and j (i by default). An invalid "
     "byte is an error."
     R"lua(

print(utf8.codepoint("aé", 1, -1))  --> 97	233)lua",
     utf8_codepoint},
    {"len", "utf8.len(s: string, i?: integer, j?: integer, lax?: boolean) -> integer?, integer",
     "The number of characters that start between the byte positions i (1) and j (-1), or nil and the position of the first "
     "invalid byte."
     R"lua(

print(utf8.len "aé", utf8.len "\xff")  --> 2	nil	1)lua",
     utf8_len},
    {"offset", "utf8.offset(s: string, n: integer, i?: integer) -> integer?",
     "The byte position where the n-th character from position i on starts; negative n counts backwards from i, 0 finds the "
     "start of the character that holds byte i. nil if there is no such character."
     R"lua(

print(utf8.offset("aéb", 3))  --> 4)lua",
     utf8_offset},
    {nullptr, nullptr, nullptr, nullptr},
};

}  // namespace

Table* open_utf8(ThreadState& thread) {
  Heap& heap = thread.heap();
  Table* library = table::make(heap, 0, 8);
  native::add_functions(thread, library, kFunctions);
  const Value codes = native::make(thread, &kCodes, 2);
  codes.native()->upvalues()[0] = native::make(thread, &kStrictStep);
  codes.native()->upvalues()[1] = native::make(thread, &kLaxStep);
  for (int i = 0; i < 2; ++i) heap.barrier(codes.native(), codes.native()->upvalues()[i]);
  native::set_field(thread, library, "codes", codes);
  constexpr std::string_view kCharacterPattern("[\0-\x7F\xC2-\xFD][\x80-\xBF]*", 14);
  native::set_field(thread, library, "charpattern", Value::of(string::make(heap, kCharacterPattern)));
  return library;
}

}  // namespace baton::stdlib
