// Literal strings of both forms, and long comments (manual 3.1).
//
// A string without escapes is a view of the source. At the first escape (or, in a long string, the first line end that is not
// a plain "\n") the part read so far moves to `buffer_`, and the rest is appended there. The buffer keeps the opening quote,
// so that it is at any time the text a message shows.

#include <algorithm>
#include <cstring>

#include "base/number.h"
#include "base/utf8.h"
#include "syntax/character.h"
#include "syntax/lexer.h"

namespace baton::syntax {

// Takes: whether the value is a view of the source, else it is in the buffer.
Token Lexer::string_token(std::string_view value, std::int32_t delimiter, bool is_of_text) {
  Token token;
  token.kind = token::kString;
  token.delimiter = delimiter;
  if (value.size() <= kSharedBytes) token.text = share(value);
  else token.text = is_of_text && borrows_text_ ? value : copy_in_pieces(value);
  return token;
}

std::string_view Lexer::copy_in_pieces(std::string_view value) {
  char* const bytes = static_cast<char*>(arena_.allocate(value.size(), 1));
  for (std::size_t done = 0; done < value.size(); done += kPollBytes) {
    const std::size_t count = std::min(kPollBytes, value.size() - done);
    std::memcpy(bytes + done, value.data() + done, count);
    if (count == kPollBytes && poll_.function != nullptr) poll_.function(poll_.context);
  }
  return {bytes, value.size()};
}

// ---------------------------------------------------------------------------------------------------------------------
// Quoted strings

Token Lexer::read_string() {
  const char* const start = position_++;
  const char quote = *start;
  skip_to([quote](char c) { return c == quote || c == '\\' || c == '\n' || c == '\r'; });
  if (position_ != end_ && *position_ == quote) {
    ++position_;
    return string_token({start + 1, static_cast<std::size_t>(position_ - start) - 2}, quote, true);
  }
  buffer_.assign(start, position_);
  for (const char* polled_at = position_; position_ != end_ && *position_ != quote; poll_inside(polled_at)) {
    if (at_newline()) error_near("unfinished string", buffer_);
    if (*position_ == '\\') {
      read_escape();
    } else {
      buffer_.push_back(*position_++);
    }
  }
  if (position_ == end_) error_here("unfinished string near <eof>");
  ++position_;
  return string_token(std::string_view(buffer_).substr(1), quote, false);
}

void Lexer::read_escape() {
  const char* const escape = position_++;
  const int c = peek();
  char value = 0;
  switch (c) {
    case 'a': value = '\a'; break;
    case 'b': value = '\b'; break;
    case 'f': value = '\f'; break;
    case 'n': value = '\n'; break;
    case 'r': value = '\r'; break;
    case 't': value = '\t'; break;
    case 'v': value = '\v'; break;
    case '\\':
    case '"':
    case '\'':
      value = static_cast<char>(c);
      break;
    case 'x':
      return read_hexadecimal_escape(escape);
    case 'u':
      return read_utf8_escape(escape);
    case '\n':
    case '\r':
      skip_newline();
      buffer_.push_back('\n');
      return;
    case 'z':
      ++position_;
      while (character::is_space(peek())) {
        if (at_newline()) {
          skip_newline();
        } else {
          ++position_;
        }
      }
      return;
    case kEnd:
      return;  // the caller reports the unfinished string
    default:
      if (!character::is_digit(c)) escape_error("invalid escape sequence", escape);
      return read_decimal_escape(escape);
  }
  ++position_;
  buffer_.push_back(value);
}

void Lexer::read_hexadecimal_escape(const char* escape) {
  ++position_;
  int value = 0;
  for (int i = 0; i < 2; ++i) {
    if (!character::is_hexadecimal(peek())) escape_error("hexadecimal digit expected", escape);
    value = value * 16 + number::hexadecimal_digit(static_cast<unsigned char>(*position_++));
  }
  buffer_.push_back(static_cast<char>(value));
}

void Lexer::read_decimal_escape(const char* escape) {
  int value = 0;
  for (int i = 0; i < 3 && character::is_digit(peek()); ++i) value = value * 10 + (*position_++ - '0');
  if (value > 255) escape_error("decimal escape too large", escape);
  buffer_.push_back(static_cast<char>(value));
}

void Lexer::read_utf8_escape(const char* escape) {
  ++position_;
  if (!accept('{')) escape_error("missing '{'", escape);
  if (!character::is_hexadecimal(peek())) escape_error("hexadecimal digit expected", escape);
  std::uint32_t code = 0;
  while (character::is_hexadecimal(peek())) {
    if (code > (utf8::kMaxCode >> 4)) escape_error("UTF-8 value too large", escape);
    code = code * 16 + static_cast<std::uint32_t>(number::hexadecimal_digit(static_cast<unsigned char>(*position_++)));
  }
  if (!accept('}')) escape_error("missing '}'", escape);
  char bytes[utf8::kMaxBytes];
  buffer_.append(bytes, utf8::encode(code, bytes));
}

void Lexer::escape_error(std::string_view message, const char* escape) const {
  const char* const after = position_ == end_ ? position_ : position_ + 1;
  error_near(message, buffer_ + std::string(escape, after));
}

// ---------------------------------------------------------------------------------------------------------------------
// Long brackets

// At `[`: reads `[`, any number of `=`, and looks for a second `[`, which is not consumed. Returns: the length of the
// opening bracket (2 and more), 1 for a single `[` (consumed), or 0 for `[=` without a second bracket.
std::size_t Lexer::match_long_bracket() {
  const char* const start = position_++;
  while (accept('=')) {
  }
  const auto equal_signs = static_cast<std::size_t>(position_ - start - 1);
  if (peek() == '[') return equal_signs + 2;
  return equal_signs == 0 ? 1 : 0;
}

Token Lexer::read_long_bracket_or_symbol() {
  const char* const start = position_;
  const std::size_t bracket = match_long_bracket();
  if (bracket >= 2) return read_long_string(bracket, /*is_comment=*/false);
  if (bracket == 0) error_near("invalid long string delimiter", {start, static_cast<std::size_t>(position_ - start)});
  Token token;
  token.kind = '[';
  return token;
}

// Reads from the second `[` of an opening bracket to the end of the closing one. A comment's value is not kept.
Token Lexer::read_long_string(std::size_t bracket, bool is_comment) {
  const Line first_line = line_;
  ++position_;
  if (at_newline()) skip_newline();
  const char* piece = position_;  // what is read but not yet in the buffer
  bool buffered = false;
  buffer_.clear();
  for (const char* polled_at = position_;;) {
    poll_inside(polled_at);
    if (position_ == end_) {
      error_here(std::string("unfinished long ") + (is_comment ? "comment" : "string") + " (starting at line " +
                 std::to_string(first_line) + ") near <eof>");
    }
    const char c = *position_;
    if (c == ']') {
      const char* const close = position_++;
      while (accept('=')) {
      }
      if (static_cast<std::size_t>(position_ - close) + 1 != bracket || !accept(']')) continue;
      if (is_comment) return {};
      const auto delimiter = -static_cast<std::int32_t>(bracket);
      if (!buffered) return string_token({piece, static_cast<std::size_t>(close - piece)}, delimiter, true);
      buffer_.append(piece, close);
      return string_token(buffer_, delimiter, false);
    }
    if (c != '\n' && c != '\r') {
      ++position_;
      continue;
    }
    const char* const newline = position_;
    skip_newline();
    if (is_comment || (c == '\n' && position_ == newline + 1)) continue;
    buffer_.append(piece, newline).push_back('\n');
    piece = position_;
    buffered = true;
  }
}

}  // namespace baton::syntax
