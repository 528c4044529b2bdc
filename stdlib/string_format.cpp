// string.format (manual 6.4).
//
// A conversion is `%` flags width .precision letter. The flags a letter takes, and whether it takes a precision, are a
// table; everything else is "invalid conversion". Conversions of integers without a precision, of finite floats and of texts
// write straight into the result; the rest (%a, %p, #, %.3d) rebuilds a C format of at most some twenty bytes for snprintf.
//
// Floats are written by std::to_chars, whose output with a precision is that of printf in the "C" locale;
// only if os.setlocale has changed the decimal point, snprintf writes them, since the language follows the locale here.
#include <algorithm>
#include <charconv>
#include <clocale>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>

#include "base/number.h"
#include "string_library.h"
#include "vm/operations.h"
#include "vm/safepoint.h"
#include "vm/string_builder.h"

namespace baton::stdlib {
namespace {

constexpr std::size_t kMaxSpecification = 22;  // flags, width, precision and letter
constexpr std::size_t kItemBytes = 120;        // longest item but for %f: width and precision have two digits
constexpr std::size_t kFloatBytes = 110 + std::numeric_limits<double>::max_exponent10;

// One conversion of a format.
struct Specification {
  const char* text;    // behind the %
  std::size_t length;  // with the letter
  char letter;         // NUL at the end of the format
  int width = -1;
  int precision = -1;
  bool has_flags = false;
  bool left = false, zeros = false, plus = false, space = false, alternative = false;  // the flags - 0 + space #

  bool is_bare() const noexcept { return length == 1; }
  void take_flags(std::size_t count) noexcept {
    has_flags = count > 0;
    for (std::size_t i = 0; i < count; ++i) {
      switch (text[i]) {
        case '-': left = true; break;
        case '0': zeros = true; break;
        case '+': plus = true; break;
        case ' ': space = true; break;
        default: alternative = true; break;
      }
    }
  }
};

// The format for snprintf: `%`, flags, width and precision, then `letters` in place of the letter.
struct CFormat {
  char text[kMaxSpecification + 8];

  CFormat(const Specification& specification, const char* letters) noexcept {
    text[0] = '%';
    std::memcpy(text + 1, specification.text, specification.length - 1);
    std::strcpy(text + specification.length, letters);
  }
};

class Formatter {
 public:
  explicit Formatter(NativeCall& call) : call_(call), out_(call.thread()) {}

  int run() {
    const std::string_view format = call_.check_text(1);
    const char* p = format.data();
    const char* const end = p + format.size();
    while (const char* percent = static_cast<const char*>(std::memchr(p, '%', static_cast<std::size_t>(end - p)))) {
      out_.append({p, static_cast<std::size_t>(percent - p)});
      p = percent + 1;
      if (p < end && *p == '%') {
        out_.append(*p++);
        continue;
      }
      if (++argument_ > call_.count()) call_.argument_error(argument_, "no value");
      const Specification specification = read(p);
      convert(specification);
      p += specification.length;
      if ((argument_ & 255) == 0) vm::poll(call_.thread());
    }
    out_.append({p, static_cast<std::size_t>(end - p)});
    return call_.result(Value::of(out_.finish()));
  }

 private:
  // Formats end with a NUL, which is no modifier, so this stays inside.
  Specification read(const char* p) {
    if (BATON_LIKELY(*p > '9')) return {p, 1, *p};  // modifiers are not above it
    const std::size_t modifiers = std::strspn(p, "-+#0 123456789.");
    if (modifiers + 1 >= kMaxSpecification) call_.error("invalid format (too long)");
    return {p, modifiers + 1, p[modifiers]};
  }

  void convert(Specification s) {
    switch (s.letter) {
      case 'c': return character(s);
      case 'd':
      case 'i': return integer(s, "-+0 ");
      case 'x':
      case 'X':
      case 'o': return integer(s, "-#0");
      case 'u': return integer(s, "-0");
      case 'a':
      case 'A': return hexadecimal_float(s);
      case 'e':
      case 'E':
      case 'f':
      case 'g':
      case 'G': return floating(s);
      case 'p': return pointer(s);
      case 'q':
        if (!s.is_bare()) call_.error("specifier '%%q' cannot have modifiers");
        return literal(call_.arg(argument_));
      case 's': return string(s);
      default: invalid(s, "invalid conversion '%%%s' to 'format'");
    }
  }

  [[noreturn]] void invalid(const Specification& s, const char* message) {
    char text[kMaxSpecification + 1];
    std::memcpy(text, s.text, s.length);
    text[s.length] = '\0';
    call_.error(message, text);
  }

  static int read_two_digits(const char*& p) noexcept {
    int value = 0, digits = 0;
    for (; digits < 2 && *p >= '0' && *p <= '9'; ++digits) value = value * 10 + (*p++ - '0');
    return digits == 0 ? -1 : value;
  }

  // Checks the modifiers against the flags that the letter takes, and reads width and precision.
  enum class Precision : std::uint8_t { kTaken, kRefused };
  void check(Specification& s, const char* flags, Precision precision) {
    if (s.is_bare()) return;
    const char* p = s.text;
    if (*p == '0' || *p < '.') {
      const std::size_t count = std::strspn(p, flags);
      s.take_flags(count);
      p += count;
    }
    if (*p != '0') {  // a width does not start with a zero
      s.width = read_two_digits(p);
      if (*p == '.' && precision == Precision::kTaken) {
        ++p;
        s.precision = read_two_digits(p);
        if (s.precision < 0) s.precision = 0;
      }
    }
    if (p != s.text + s.length - 1) invalid(s, "invalid conversion specification: '%%%s'");
  }

  template <class T>
  void print(const Specification& s, const char* letters, T value, std::size_t bytes = kItemBytes) {
    const CFormat format(s, letters);
    const int written = std::snprintf(out_.reserve(bytes), bytes, format.text, value);
    out_.commit(static_cast<std::size_t>(written));
  }

  void character(Specification& s) {
    check(s, "-", Precision::kRefused);
    const std::int64_t code = call_.check_integer(argument_);
    if (s.is_bare()) return out_.append(static_cast<char>(code));
    print(s, "c", static_cast<int>(static_cast<unsigned char>(code)));
  }

  void integer(Specification& s, const char* flags) {
    const Value v = call_.arg(argument_);
    const std::int64_t value = v.is_integer() ? v.integer : call_.check_integer(argument_);
    check(s, flags, Precision::kTaken);
    if (BATON_UNLIKELY(s.precision >= 0 || s.alternative)) {
      const char letters[] = {'l', 'l', s.letter, '\0'};
      return print(s, letters, static_cast<long long>(value));
    }
    char digits[number::kTextBytes];
    if (s.letter == 'd' || s.letter == 'i') return number_text({digits, number::to_text(value, digits)}, s);
    const int base = s.letter == 'u' ? 10 : s.letter == 'o' ? 8 : 16;
    char* const end = std::to_chars(digits, digits + sizeof digits, static_cast<std::uint64_t>(value), base).ptr;
    if (s.letter == 'X') std::for_each(digits, end, [](char& c) { c = c >= 'a' ? static_cast<char>(c - 'a' + 'A') : c; });
    number_text({digits, static_cast<std::size_t>(end - digits)}, s);
  }

  void fill(char c, int count) {
    if (count <= 0) return;
    std::memset(out_.reserve(static_cast<std::size_t>(count)), c, static_cast<std::size_t>(count));
    out_.commit(static_cast<std::size_t>(count));
  }

  // The text of a finite number, which may begin with a minus, with sign and padding as the flags want them.
  void number_text(std::string_view text, const Specification& s) {
    if (s.width < 0 && !s.has_flags) return out_.append(text);
    char sign = s.plus ? '+' : s.space ? ' ' : '\0';
    if (text.front() == '-') {
      sign = '-';
      text.remove_prefix(1);
    }
    const int missing = s.width - static_cast<int>(text.size()) - (sign != '\0');
    if (!s.left && !s.zeros) fill(' ', missing);
    if (sign != '\0') out_.append(sign);
    if (!s.left && s.zeros) fill('0', missing);
    out_.append(text);
    if (s.left) fill(' ', missing);
  }

  void hexadecimal_float(Specification& s) {
    check(s, "-+#0 ", Precision::kTaken);
    const double value = call_.check_number(argument_);
    const char letters[] = {s.letter, '\0'};
    print(s, letters, value);
  }

  void floating(Specification& s) {
    const Value v = call_.arg(argument_);
    const double value = v.is_float() ? v.number : call_.check_number(argument_);
    check(s, "-+#0 ", Precision::kTaken);
    const bool is_plain = !s.alternative && s.letter >= 'a' && std::isfinite(value) && std::localeconv()->decimal_point[0] == '.';
    if (!is_plain) {
      const char letters[] = {s.letter, '\0'};
      return print(s, letters, value, s.letter == 'f' ? kFloatBytes : kItemBytes);
    }
    const auto form = s.letter == 'f' ? std::chars_format::fixed : s.letter == 'e' ? std::chars_format::scientific : std::chars_format::general;
    char text[kFloatBytes];
    const auto result = std::to_chars(text, text + sizeof text, value, form, s.precision < 0 ? 6 : s.precision);
    number_text({text, static_cast<std::size_t>(result.ptr - text)}, s);
  }

  // The identity of a value that has one; "(null)" for the others.
  void pointer(Specification& s) {
    check(s, "-", Precision::kRefused);
    const Value v = call_.arg(argument_);
    if (v.is_heap()) return print(s, "p", static_cast<const void*>(v.object));
    if (v.tag == Tag::kLightUserdata && v.pointer != nullptr) return print(s, "p", static_cast<const void*>(v.pointer));
    print(s, "s", "(null)");
  }

  void string(Specification& s) {
    const Value v = call_.arg(argument_);
    char digits[number::kTextBytes];
    std::string_view text;
    if (v.is_string()) text = v.string()->view();
    else if (v.is_integer()) text = {digits, number::to_text(v.integer, digits)};
    else if (v.is_float()) text = {digits, number::to_text(v.number, digits)};
    else {
      call_.push(Value::of(vm::to_string(call_.thread(), v)));
      text = call_.slot(call_.size()).string()->view();
    }
    if (s.is_bare()) return out_.append(text);
    if (std::memchr(text.data(), '\0', text.size()) != nullptr) call_.argument_error(argument_, "string contains zeros");
    check(s, "-", Precision::kTaken);
    if (s.precision < 0 && text.size() >= 100) return out_.append(text);
    const std::string_view shown = s.precision < 0 ? text : text.substr(0, static_cast<std::size_t>(s.precision));
    const int missing = s.width - static_cast<int>(shown.size());
    if (!s.left) fill(' ', missing);
    out_.append(shown);
    if (s.left) fill(' ', missing);
  }

  // --- %q: a literal that the language reads back as the same value --------------------------------------------------

  void literal(const Value& v) {
    switch (v.tag) {
      case Tag::kShortString:
      case Tag::kLongString: return quoted(v.string()->view());
      case Tag::kInteger: return literal_integer(v.integer);
      case Tag::kFloat: return literal_float(v.number);
      case Tag::kNil: return out_.append("nil");
      case Tag::kFalse: return out_.append("false");
      case Tag::kTrue: return out_.append("true");
      default: call_.argument_error(argument_, "value has no literal form");
    }
  }

  void literal_integer(std::int64_t value) {
    // Its decimal form would be read as the negation of a float.
    if (value == std::numeric_limits<std::int64_t>::min()) return out_.append("0x8000000000000000");
    char digits[number::kTextBytes];
    out_.append({digits, number::to_text(value, digits)});
  }

  void literal_float(double value) {
    if (std::isnan(value)) return out_.append("(0/0)");
    if (std::isinf(value)) return out_.append(value > 0 ? "1e9999" : "-1e9999");
    char text[40];
    const int written = std::snprintf(text, sizeof text, "%a", value);
    const char point = std::localeconv()->decimal_point[0];
    if (point != '.') {
      if (char* found = std::strchr(text, point)) *found = '.';
    }
    out_.append({text, static_cast<std::size_t>(written)});
  }

  static bool is_control(unsigned char c) noexcept { return c < 32 || c == 127; }

  void quoted(std::string_view text) {
    out_.append('"');
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (BATON_UNLIKELY(i % kPieceBytes == kPieceBytes - 1)) vm::poll(call_.thread());
      const auto c = static_cast<unsigned char>(text[i]);
      if (c == '"' || c == '\\' || c == '\n') {
        out_.append('\\');
        out_.append(static_cast<char>(c));
      } else if (is_control(c)) {
        const bool digit_follows = i + 1 < text.size() && text[i + 1] >= '0' && text[i + 1] <= '9';
        char escape[8];
        out_.append({escape, static_cast<std::size_t>(std::snprintf(escape, sizeof escape, digit_follows ? "\\%03d" : "\\%d", c))});
      } else {
        out_.append(static_cast<char>(c));
      }
    }
    out_.append('"');
  }

  NativeCall& call_;
  StringBuilder out_;
  int argument_ = 1;
};

int string_format(NativeCall& call) { return Formatter(call).run(); }

}  // namespace

const NativeInfo kStringFormatFunctions[] = {
    {"format", "string.format(format: string, ...: any) -> string",
     "The format with each conversion replaced by the next argument: %d %i %x %X %o integers, %e %f %g %a floats, %c a byte, "
     "%s any value as tostring shows it, %q a literal that reads back, %p the address of an object, %% a percent sign. "
     "Flags, width and precision are those of C, at most two digits each."
     R"lua(

print(("%5.2f|%-4d|%q|%s"):format(math.pi, 7, "a\n", nil))
-->  3.14|7   |"a\
--> "|nil)lua",
     string_format},
    {nullptr, nullptr, nullptr, nullptr},
};

}  // namespace baton::stdlib
