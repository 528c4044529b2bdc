// string.pack, packsize, unpack (manual 6.4.2): values to and from their binary forms.
//
// A format is read option by option. Each option has a kind, a size in bytes, and padding in front that brings the
// total so far to a multiple of its alignment: its size, but at most what `!` allows (1 at first). The sizes of C types
// are those of the platform; numbers in the format have at most nine digits, which keeps every size in an int.
//
// Integers may have up to 16 bytes; those beyond the eighth repeat the sign, or must be such repetitions when read.
#include <bit>
#include <climits>
#include <cstring>

#include "string_library.h"
#include "vm/safepoint.h"
#include "vm/string_builder.h"

namespace baton::stdlib {
namespace {

constexpr int kMaxIntegerBytes = 16;
constexpr int kMaxNumeral = (INT_MAX - 9) / 10;  // a numeral of the format grows by a digit up to here
constexpr int kWordBytes = sizeof(std::int64_t);
constexpr int kNativeAlignment = alignof(std::max_align_t) > 8 ? 8 : alignof(std::max_align_t);

enum class Kind : std::uint8_t {
  kInteger, kUnsigned, kFloat, kDouble,
  kFixedString,    // c
  kCountedString,  // s
  kZeroString,     // z
  kPadding,        // x
  kAlign,          // X
  kNothing,        // changes a setting, or a space
};

struct Option {
  Kind kind;
  int bytes;    // of the value itself, or of a counted string's length
  int padding;  // in front
};

// Reads the options of a format one after the other.
class FormatReader {
 public:
  explicit FormatReader(NativeCall& call) : call_(call), place_(call.check_string(1)->data()) {}

  bool at_end() const noexcept { return *place_ == '\0'; }
  bool is_little() const noexcept { return is_little_; }

  // The next option where `total` bytes come before it. Raises: malformed formats.
  Option next(std::size_t total) {
    if ((++count_ & 1023) == 0) vm::poll(call_.thread());
    Option option = read();
    int alignment = option.bytes;
    if (option.kind == Kind::kAlign) {
      const Option model = at_end() ? Option{Kind::kFixedString, 0, 0} : read();
      if (model.kind == Kind::kFixedString || model.bytes == 0) call_.argument_error(1, "invalid next option for option 'X'");
      alignment = model.bytes;
    }
    if (alignment <= 1 || option.kind == Kind::kFixedString) return option;
    if (alignment > max_alignment_) alignment = max_alignment_;
    if ((alignment & (alignment - 1)) != 0) call_.argument_error(1, "format asks for alignment not power of 2");
    option.padding = (alignment - static_cast<int>(total & static_cast<std::size_t>(alignment - 1))) & (alignment - 1);
    return option;
  }

 private:
  static bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

  int numeral(int otherwise) noexcept {
    if (!is_digit(*place_)) return otherwise;
    int value = 0;
    do value = value * 10 + (*place_++ - '0');
    while (is_digit(*place_) && value <= kMaxNumeral);
    return value;
  }

  int integral_size(int otherwise) {
    const int bytes = numeral(otherwise);
    if (bytes > kMaxIntegerBytes || bytes <= 0) {
      call_.error("integral size (%d) out of limits [1,%d]", bytes, kMaxIntegerBytes);
    }
    return bytes;
  }

  Option read() {
    const char letter = *place_++;
    switch (letter) {
      case 'b': return {Kind::kInteger, sizeof(char), 0};
      case 'B': return {Kind::kUnsigned, sizeof(char), 0};
      case 'h': return {Kind::kInteger, sizeof(short), 0};
      case 'H': return {Kind::kUnsigned, sizeof(short), 0};
      case 'i': return {Kind::kInteger, integral_size(sizeof(int)), 0};
      case 'I': return {Kind::kUnsigned, integral_size(sizeof(int)), 0};
      case 'l': return {Kind::kInteger, sizeof(long), 0};
      case 'L': return {Kind::kUnsigned, sizeof(long), 0};
      case 'j': return {Kind::kInteger, kWordBytes, 0};
      case 'J': return {Kind::kUnsigned, kWordBytes, 0};
      case 'T': return {Kind::kUnsigned, sizeof(std::size_t), 0};
      case 'f': return {Kind::kFloat, sizeof(float), 0};
      case 'n':
      case 'd': return {Kind::kDouble, sizeof(double), 0};
      case 's': return {Kind::kCountedString, integral_size(sizeof(std::size_t)), 0};
      case 'c': return fixed_string();
      case 'z': return {Kind::kZeroString, 0, 0};
      case 'x': return {Kind::kPadding, 1, 0};
      case 'X': return {Kind::kAlign, 0, 0};
      default: setting(letter); return {Kind::kNothing, 0, 0};
    }
  }

  Option fixed_string() {
    const int bytes = numeral(-1);
    if (bytes < 0) call_.error("missing size for format option 'c'");
    return {Kind::kFixedString, bytes, 0};
  }

  void setting(char letter) {
    switch (letter) {
      case ' ': return;
      case '<': is_little_ = true; return;
      case '>': is_little_ = false; return;
      case '=': is_little_ = kNativeIsLittle; return;
      case '!': max_alignment_ = integral_size(kNativeAlignment); return;
      default: call_.error("invalid format option '%c'", letter);
    }
  }

  static constexpr bool kNativeIsLittle = std::endian::native == std::endian::little;

  NativeCall& call_;
  const char* place_;
  int max_alignment_ = 1;
  bool is_little_ = kNativeIsLittle;
  unsigned count_ = 0;
};

// --- pack ------------------------------------------------------------------------------------------------------------

class Packer {
 public:
  explicit Packer(NativeCall& call) : call_(call), format_(call), out_(call.thread()) {}

  int run() {
    while (!format_.at_end()) {
      const Option option = format_.next(out_.size());
      zeros(static_cast<std::size_t>(option.padding));
      pack(option);
    }
    return call_.result(Value::of(out_.finish()));
  }

 private:
  void pack(const Option& option) {
    switch (option.kind) {
      case Kind::kInteger: return append_integer(checked_integer(option.bytes), option.bytes, true);
      case Kind::kUnsigned: return append_integer(checked_unsigned(option.bytes), option.bytes, false);
      case Kind::kFloat: return append_float(static_cast<float>(checked_number()));
      case Kind::kDouble: return append_float(checked_number());
      case Kind::kFixedString: return fixed_string(option);
      case Kind::kCountedString: return counted_string(option);
      case Kind::kZeroString: return zero_string();
      case Kind::kPadding: return out_.append('\0');
      case Kind::kAlign:
      case Kind::kNothing: return;
    }
  }

  // Moves on to the next argument. One that is missing counts as a nil that was given.
  void next_argument(const char* missing) {
    if (++argument_ > call_.count()) call_.argument_error(argument_, missing);
  }

  double checked_number() {
    next_argument("number expected, got nil");
    return call_.check_number(argument_);
  }

  std::int64_t checked_integer(int bytes) {
    next_argument("number expected, got nil");
    const std::int64_t value = call_.check_integer(argument_);
    if (bytes < kWordBytes) {
      const std::int64_t limit = std::int64_t{1} << (bytes * 8 - 1);
      if (value < -limit || value >= limit) call_.argument_error(argument_, "integer overflow");
    }
    return value;
  }

  std::int64_t checked_unsigned(int bytes) {
    next_argument("number expected, got nil");
    const std::int64_t value = call_.check_integer(argument_);
    if (bytes < kWordBytes && (static_cast<std::uint64_t>(value) >> (bytes * 8)) != 0) {
      call_.argument_error(argument_, "unsigned overflow");
    }
    return value;
  }

  std::string_view checked_text() {
    next_argument("string expected, got nil");
    return call_.check_text(argument_);
  }

  void append_integer(std::int64_t value, int bytes, bool is_signed) {
    const std::int64_t beyond = is_signed && value < 0 ? -1 : 0;  // what the bytes behind the eighth repeat
    char* to = out_.reserve(static_cast<std::size_t>(bytes));
    for (int i = 0; i < bytes; ++i) {
      to[format_.is_little() ? i : bytes - 1 - i] = static_cast<char>(value);
      value = i == kWordBytes - 1 ? beyond : value >> 8;
    }
    out_.commit(static_cast<std::size_t>(bytes));
  }

  template <class Float>
  void append_float(Float value) {
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    const bool same = format_.is_little() == (std::endian::native == std::endian::little);
    for (std::size_t i = 0; i < sizeof value; ++i) out_.append(bytes[same ? i : sizeof value - 1 - i]);
  }

  void fixed_string(const Option& option) {
    const std::string_view text = checked_text();
    const auto bytes = static_cast<std::size_t>(option.bytes);
    if (text.size() > bytes) call_.argument_error(argument_, "string longer than given size");
    out_.append(text);
    zeros(bytes - text.size());
  }

  void counted_string(const Option& option) {
    const std::string_view text = checked_text();
    if (option.bytes < kWordBytes && (text.size() >> (option.bytes * 8)) != 0) {
      call_.argument_error(argument_, "string length does not fit in given size");
    }
    append_integer(static_cast<std::int64_t>(text.size()), option.bytes, false);
    out_.append(text);
  }

  void zero_string() {
    const std::string_view text = checked_text();
    if (text.find('\0') != std::string_view::npos) call_.argument_error(argument_, "string contains zeros");
    out_.append(text);
    out_.append('\0');
  }

  void zeros(std::size_t bytes) {
    if (bytes == 0) return;
    std::memset(out_.reserve(bytes), 0, bytes);
    out_.commit(bytes);
  }

  NativeCall& call_;
  FormatReader format_;
  StringBuilder out_;
  int argument_ = 1;
};

int string_pack(NativeCall& call) { return Packer(call).run(); }

int string_packsize(NativeCall& call) {
  FormatReader format(call);
  std::size_t total = 0;
  while (!format.at_end()) {
    const Option option = format.next(total);
    if (option.kind == Kind::kCountedString || option.kind == Kind::kZeroString) {
      call.argument_error(1, "variable-length format");
    }
    const std::size_t bytes = static_cast<std::size_t>(option.padding) + static_cast<std::size_t>(option.bytes);
    if (total > INT_MAX - bytes) call.argument_error(1, "format result too large");
    total += bytes;
  }
  return call.result(Value::from(static_cast<std::int64_t>(total)));
}

// --- unpack ----------------------------------------------------------------------------------------------------------

class Unpacker {
 public:
  explicit Unpacker(NativeCall& call)
      : call_(call), format_(call), data_(call.check_text(2)),
        place_(start_position(call.optional_integer(3, 1), data_.size()) - 1) {
    if (place_ > data_.size()) call.argument_error(3, "initial position out of string");
  }

  int run() {
    while (!format_.at_end()) {
      const Option option = format_.next(place_);
      need(static_cast<std::size_t>(option.padding) + static_cast<std::size_t>(option.bytes));
      place_ += static_cast<std::size_t>(option.padding);
      unpack(option);
    }
    push(Value::from(static_cast<std::int64_t>(place_ + 1)));
    return count_;
  }

 private:
  void need(std::size_t bytes) {
    if (bytes > data_.size() - place_) call_.argument_error(2, "data string too short");
  }

  void push(const Value& v) {
    call_.push(v);
    ++count_;
  }

  // Takes that many bytes, which were checked.
  const char* take(std::size_t bytes) noexcept {
    const char* from = data_.data() + place_;
    place_ += bytes;
    return from;
  }

  void push_text(std::size_t bytes) { push(Value::of(call_.make_string({take(bytes), bytes}))); }

  void unpack(const Option& option) {
    const auto bytes = static_cast<std::size_t>(option.bytes);
    switch (option.kind) {
      case Kind::kInteger: return push(Value::from(integer(option.bytes, true)));
      case Kind::kUnsigned: return push(Value::from(integer(option.bytes, false)));
      case Kind::kFloat: return push(Value::from(static_cast<double>(floating<float>())));
      case Kind::kDouble: return push(Value::from(floating<double>()));
      case Kind::kFixedString: return push_text(bytes);
      case Kind::kCountedString: {
        const auto length = static_cast<std::size_t>(integer(option.bytes, false));
        need(length);
        return push_text(length);
      }
      case Kind::kZeroString: return zero_string();
      case Kind::kPadding:
      case Kind::kAlign:
      case Kind::kNothing: place_ += bytes; return;
    }
  }

  void zero_string() {
    const char* from = data_.data() + place_;
    const void* end = std::memchr(from, '\0', data_.size() - place_);
    if (end == nullptr) call_.argument_error(2, "unfinished string for format 'z'");
    push_text(static_cast<std::size_t>(static_cast<const char*>(end) - from));
    ++place_;
  }

  std::int64_t integer(int bytes, bool is_signed) {
    const auto* from = reinterpret_cast<const unsigned char*>(take(static_cast<std::size_t>(bytes)));
    const auto byte = [&](int i) { return from[format_.is_little() ? i : bytes - 1 - i]; };
    const int used = bytes < kWordBytes ? bytes : kWordBytes;
    std::uint64_t value = 0;
    for (int i = used - 1; i >= 0; --i) value = value << 8 | byte(i);
    if (bytes < kWordBytes && is_signed) {
      const int unused_bits = 64 - bytes * 8;
      return static_cast<std::int64_t>(value << unused_bits) >> unused_bits;
    }
    const unsigned char sign = is_signed && static_cast<std::int64_t>(value) < 0 ? 0xFF : 0;
    for (int i = used; i < bytes; ++i) {
      if (byte(i) != sign) call_.error("%d-byte integer does not fit into Lua Integer", bytes);
    }
    return static_cast<std::int64_t>(value);
  }

  template <class Float>
  Float floating() {
    char bytes[sizeof(Float)];
    const char* from = take(sizeof bytes);
    const bool same = format_.is_little() == (std::endian::native == std::endian::little);
    for (std::size_t i = 0; i < sizeof bytes; ++i) bytes[i] = from[same ? i : sizeof bytes - 1 - i];
    Float value;
    std::memcpy(&value, bytes, sizeof value);
    return value;
  }

  NativeCall& call_;
  FormatReader format_;
  std::string_view data_;
  std::size_t place_;
  int count_ = 0;
};

int string_unpack(NativeCall& call) { return Unpacker(call).run(); }

}  // namespace

const NativeInfo kStringPackFunctions[] = {
    {"pack", "string.pack(format: string, ...: any) -> string",
     "The binary forms of the values, one after the other, as the format says: b h i l j integers, B H I L J T unsigned "
     "ones, f d n floats, s z c strings, x and X padding, < > = the order of bytes, ! the alignment. A value that does not "
     "fit is an error."
     R"lua(

print(#string.pack("<i4z", 7, "abc"))  --> 8)lua",
     string_pack},
    {"packsize", "string.packsize(format: string) -> integer",
     "The number of bytes that string.pack makes with this format. The formats s and z are errors: their size varies."
     R"lua(

print(string.packsize "<i4d")  --> 12)lua",
     string_packsize},
    {"unpack", "string.unpack(format: string, s: string, position?: integer) -> any ..., integer",
     "The values packed in s from a position on (1 by default), as the format says, and the position behind them. Too little "
     "data is an error."
     R"lua(

print(string.unpack("<i4z", string.pack("<i4z", 7, "abc")))  --> 7	abc	9)lua",
     string_unpack},
    {nullptr, nullptr, nullptr, nullptr},
};

}  // namespace baton::stdlib
