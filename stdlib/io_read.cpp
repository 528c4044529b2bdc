// How a read works. The stream's own buffer is looked at directly (buffered_input): what it holds is taken with the GIL held,
// by one memchr and one copy for a line. Only when it is empty does fill_stream ask the system, and large reads go straight
// to the result's memory; both without the GIL. The stream stays locked all the time, so what one call reads is contiguous.
#include "io_read.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <clocale>
#include <cstring>

#include "base/number.h"
#include "host/blocking.h"
#include "vm/operations.h"
#include "vm/safepoint.h"
#include "vm/string_builder.h"

namespace baton::stdlib {
namespace {

constexpr std::size_t kLargestBlock = 1 << 20;

class Reader {
 public:
  Reader(NativeCall& call, std::FILE* stream) : call_(call), thread_(call.thread()), stream_(stream) {}

  bool read_line(bool keep_end);
  void read_all();
  bool read_bytes(std::size_t count);
  bool read_number();
  bool at_data();  // format 0: pushes "" unless at the end

 private:
  int next_byte() { return fill_stream(thread_, stream_) ? getc_unlocked(stream_) : EOF; }
  void take(StringBuilder& text, std::size_t count) {
    text.commit(fread_unlocked(text.reserve(count), 1, count, stream_));
  }
  std::size_t read_block(StringBuilder& text, std::size_t count);
  void push(StringBuilder& text) { call_.push(Value::of(text.finish())); }

  NativeCall& call_;
  ThreadState& thread_;
  std::FILE* stream_;
};

// Takes bytes up to and with the next line end. The caller pushes it only if anything was read.
bool Reader::read_line(bool keep_end) {
  StringBuilder line(call_.thread());
  bool ended = false;
  while (!ended && fill_stream(thread_, stream_)) {
    std::string_view ready = buffered_input(stream_);
    const void* end = std::memchr(ready.data(), '\n', ready.size());
    ended = end != nullptr;
    take(line, ended ? static_cast<std::size_t>(static_cast<const char*>(end) - ready.data()) + 1 : ready.size());
    vm::poll(thread_);
  }
  bool any = line.size() > 0;
  if (ended && !keep_end) line.truncate(line.size() - 1);
  push(line);
  return any;
}

// At most `count` bytes: from the buffer if it has some, else from the system.
std::size_t Reader::read_block(StringBuilder& text, std::size_t count) {
  std::size_t before = text.size(), ready = buffered_input(stream_).size();
  if (ready > 0) {
    take(text, std::min(ready, count));
  } else {
    char* place = text.reserve(count);
    std::size_t got;
    {
      host::Blocking pause(thread_, "file.read");
      got = fread_unlocked(place, 1, count, stream_);
    }
    text.commit(got);
  }
  return text.size() - before;
}

void Reader::read_all() {
  StringBuilder text(call_.thread());
  std::size_t block = 4096;
  while (read_block(text, block) > 0) {
    block = std::min(block * 2, kLargestBlock);
    vm::poll(thread_);
  }
  push(text);
}

bool Reader::read_bytes(std::size_t count) {
  StringBuilder text(call_.thread());
  while (text.size() < count) {
    std::size_t block = std::min({count - text.size(), kLargestBlock, std::max<std::size_t>(text.size(), 4096)});
    if (read_block(text, block) == 0) break;
    vm::poll(thread_);
  }
  push(text);
  return text.size() > 0;
}

bool Reader::at_data() {
  bool data = fill_stream(thread_, stream_);
  call_.push_string("");
  return data;
}

// Collects the longest prefix of the input that could become a numeral (manual 6.8 file:read "n"), at most 200 bytes.
class NumeralReader {
 public:
  explicit NumeralReader(int first) : byte_(first) {}

  template <class NextByte>
  void collect(NextByte next, char decimal_point) {
    while (std::isspace(byte_)) byte_ = next();
    accept("+-", next);
    int digits = 0;
    bool hexadecimal = false;
    if (accept("00", next)) {
      if (accept("xX", next)) hexadecimal = true;
      else digits = 1;
    }
    digits += accept_digits(hexadecimal, next);
    const char points[] = {decimal_point, '.', '\0'};
    if (accept(points, next, '.')) digits += accept_digits(hexadecimal, next);
    if (digits > 0 && accept(hexadecimal ? "pP" : "eE", next)) {
      accept("+-", next);
      accept_digits(false, next);
    }
  }

  int unused_byte() const { return byte_; }
  std::string_view text() const { return {text_, too_long_ ? 0 : size_}; }

 private:
  static constexpr std::size_t kLongestNumeral = 200;

  template <class NextByte>
  bool store(char as, NextByte next) {
    if (size_ >= kLongestNumeral) {
      too_long_ = true;
      return false;
    }
    text_[size_++] = as;
    byte_ = next();
    return true;
  }
  // Takes the present byte if it is one of `set`, stored as `as` if that is given.
  template <class NextByte>
  bool accept(const char* set, NextByte next, char as = '\0') {
    if (byte_ == EOF || byte_ == '\0' || std::strchr(set, byte_) == nullptr) return false;
    return store(as != '\0' ? as : static_cast<char>(byte_), next);
  }
  template <class NextByte>
  int accept_digits(bool hexadecimal, NextByte next) {
    int count = 0;
    while ((hexadecimal ? std::isxdigit(byte_) : std::isdigit(byte_)) && store(static_cast<char>(byte_), next)) count++;
    return count;
  }

  int byte_;
  std::size_t size_ = 0;
  bool too_long_ = false;
  char text_[kLongestNumeral];
};

bool Reader::read_number() {
  auto next = [this] { return next_byte(); };
  NumeralReader numeral(next());
  numeral.collect(next, *std::localeconv()->decimal_point);
  if (numeral.unused_byte() != EOF) std::ungetc(numeral.unused_byte(), stream_);
  number::Number value = number::from_text(numeral.text());
  if (value.kind == number::Kind::kNone) {
    call_.push(Value());
    return false;
  }
  call_.push(value.kind == number::Kind::kInteger ? Value::from(value.integer) : Value::from(value.number));
  return true;
}

// Reads by one format and pushes the result, right or not. Returns: whether it succeeded.
bool read_one(NativeCall& call, Reader& reader, int slot) {
  const Value format = call.slot(slot);
  if (format.is_number()) {
    std::int64_t count = 0;
    if (!vm::to_integer(format, count)) call.argument_error(slot, "number has no integer representation");
    return count == 0 ? reader.at_data() : reader.read_bytes(static_cast<std::size_t>(count));
  }
  if (!format.is_string()) call.type_error(slot, "string");
  std::string_view name = format.string()->view();
  if (name.starts_with('*')) name.remove_prefix(1);
  switch (name.empty() ? '\0' : name[0]) {
    case 'n': return reader.read_number();
    case 'l': return reader.read_line(false);
    case 'L': return reader.read_line(true);
    case 'a': reader.read_all(); return true;
    default: call.argument_error(slot, "invalid format");
  }
}

}  // namespace

int read_formats(NativeCall& call, IoFile& file, int first, int last) {
  int error_number = 0;
  int begin = call.size();
  bool fine = true;
  {
    FileUse use(call, file);
    Reader reader(call, file.stream);
    clearerr_unlocked(file.stream);
    errno = 0;
    if (first > last) fine = reader.read_line(false);
    for (int slot = first; slot <= last && fine; slot++) fine = read_one(call, reader, slot);
    if (ferror_unlocked(file.stream) != 0) error_number = errno != 0 ? errno : EIO;
  }
  if (error_number != 0) return call.failure(error_number, "");
  if (!fine) call.slot(call.size()).set_nil();
  return call.size() - begin;
}

}  // namespace baton::stdlib
