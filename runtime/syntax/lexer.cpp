// From text to tokens (manual 3.1).
//
// The lexer walks one contiguous text with a pointer; the end is a position, not a byte, so that NUL is a character like any
// other. Names, numbers, and strings without escapes are views of the source until they are entered in the table of names or
// copied into the arena.
//
// Lines. `line_` is the line of the read position, which stands right behind the current token; `last_line_` is what `line_`
// was when the current token was reached, that is the line on which the token before it ended. Messages carry `line_`, and
// instructions mostly `last_line_`: the parser depends on both. "\n", "\r", "\r\n" and "\n\r" are one line end each.
//
// Messages name the token they are near. A name, number or string is shown as it was read: a string with its quotes but with
// its escapes replaced, cut at its first NUL (a message is C text in the reference implementation, and programs compare
// messages). Errors inside an escape show the string so far and the escape as written, one byte beyond the mistake.
//
// Strings and escapes are in lexer_strings.cpp.
#include "syntax/lexer.h"

#include <array>
#include <limits>

#include "base/hash.h"
#include "base/number.h"
#include "syntax/character.h"
#include "syntax/source.h"

namespace baton::syntax {

std::string_view token::text(TokenKind kind) noexcept {
  static constexpr std::string_view kTexts[] = {
#define TOKEN(kind, text) text,
#include "syntax/token.def"
#undef TOKEN
  };
  return kTexts[kind - kFirstNamed];
}

// ---------------------------------------------------------------------------------------------------------------------
// Names

NameTable::NameTable(Arena& arena, std::uint64_t seed) : arena_(arena), seed_(seed) {
  grow();
  for (TokenKind kind = token::kFirstNamed; kind <= token::kLastReserved; ++kind) {
    const std::string_view word = token::text(kind);
    const auto hash = static_cast<std::uint32_t>(hash::of_string(word, seed_));
    find_slot(word, hash) = Entry{word, hash, kind};
    ++count_;
  }
}

const NameTable::Entry& NameTable::enter(std::string_view text) {
  const auto hash = static_cast<std::uint32_t>(hash::of_string(text, seed_));
  Entry* slot = &find_slot(text, hash);
  if (slot->text.data() != nullptr) return *slot;
  if (count_ >= capacity_ / 2) {
    grow();
    slot = &find_slot(text, hash);
  }
  *slot = Entry{arena_.copy(text), hash, token::kName};
  ++count_;
  return *slot;
}

NameTable::Entry& NameTable::find_slot(std::string_view text, std::uint32_t hash) const {
  const std::uint32_t mask = capacity_ - 1;
  std::uint32_t index = hash & mask;
  while (slots_[index].text.data() != nullptr && (slots_[index].hash != hash || slots_[index].text != text)) {
    index = (index + 1) & mask;
  }
  return slots_[index];
}

void NameTable::grow() {
  constexpr std::uint32_t kFirstCapacity = 64;  // the reserved words fill a third
  if (capacity_ > std::numeric_limits<std::uint32_t>::max() / 4) throw std::bad_alloc();
  const std::uint32_t old_capacity = capacity_;
  const std::uint32_t capacity = old_capacity == 0 ? kFirstCapacity : old_capacity * 2;
  Entry* const old_slots = slots_;
  Entry* const slots = arena_.allocate_array<Entry>(capacity);
  for (std::uint32_t i = 0; i < capacity; ++i) new (&slots[i]) Entry{};
  slots_ = slots;
  capacity_ = capacity;
  for (std::uint32_t i = 0; i < old_capacity; ++i) {
    if (old_slots[i].text.data() != nullptr) find_slot(old_slots[i].text, old_slots[i].hash) = old_slots[i];
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Advancing

Lexer::Lexer(std::string_view text, std::string_view chunk_name, Arena& arena, std::uint64_t seed, Poll poll, bool borrows_text)
    : position_(text.data()),
      end_(text.data() + text.size()),
      tokens_to_poll_(poll.interval),
      poll_(poll),
      borrows_text_(borrows_text),
      chunk_name_(chunk_name),
      arena_(arena),
      names_(arena, seed) {}

void Lexer::next() {
  last_line_ = line_;
  if (BATON_UNLIKELY(--tokens_to_poll_ == 0)) {
    tokens_to_poll_ = poll_.interval;
    if (poll_.function != nullptr) poll_.function(poll_.context);
  }
  if (has_ahead_) {
    current_ = ahead_;
    has_ahead_ = false;
  } else {
    current_ = read_token();
  }
}

TokenKind Lexer::look_ahead() {
  if (!has_ahead_) {
    ahead_ = read_token();
    has_ahead_ = true;
  }
  return ahead_.kind;
}

void Lexer::skip_newline() {
  const char first = *position_++;
  if (at_newline() && *position_ != first) ++position_;
  if (line_ == std::numeric_limits<Line>::max()) error_here("chunk has too many lines");
  ++line_;
}

bool Lexer::accept(char c) {
  if (position_ == end_ || *position_ != c) return false;
  ++position_;
  return true;
}

// ---------------------------------------------------------------------------------------------------------------------
// Tokens

namespace {

Token symbol(TokenKind kind) {
  Token token;
  token.kind = kind;
  return token;
}

}  // namespace

Token Lexer::read_token() {
  for (;;) {
    const int c = peek();
    switch (c) {
      case kEnd:
        return symbol(token::kEndOfText);
      case '\n':
      case '\r':
        skip_newline();
        break;
      case ' ':
      case '\t':
      case '\v':
      case '\f':
        ++position_;
        break;
      case '-':
        ++position_;
        if (!accept('-')) return symbol('-');
        skip_comment();
        break;
      case '[':
        return read_long_bracket_or_symbol();
      case '"':
      case '\'':
        return read_string();
      case '.':
        return read_dots();
      default:
        if (character::is_name_start(c)) return read_name();
        if (character::is_digit(c)) return read_number(position_);
        return read_operator();
    }
  }
}

// The kind of an operator of two characters if `second` follows, else of the one character already read.
TokenKind Lexer::either(char second, TokenKind pair, char single) { return accept(second) ? pair : single; }

Token Lexer::read_operator() {
  const char c = *position_++;
  switch (c) {
    case '=':
      return symbol(either('=', token::kEqual, c));
    case '<':
      if (accept('=')) return symbol(token::kLessEqual);
      return symbol(either('<', token::kShiftLeft, c));
    case '>':
      if (accept('=')) return symbol(token::kGreaterEqual);
      return symbol(either('>', token::kShiftRight, c));
    case '/':
      return symbol(either('/', token::kFloorDivide, c));
    case '~':
      return symbol(either('=', token::kNotEqual, c));
    case ':':
      return symbol(either(':', token::kDoubleColon, c));
    default:
      return symbol(static_cast<unsigned char>(c));
  }
}

Token Lexer::read_dots() {
  const char* const start = position_++;
  if (accept('.')) return symbol(accept('.') ? token::kDots : token::kConcat);
  return character::is_digit(peek()) ? read_number(start) : symbol('.');
}

Token Lexer::read_name() {
  const char* const start = position_++;
  while (character::is_name_part(peek())) ++position_;
  const NameTable::Entry& entry = names_.enter({start, static_cast<std::size_t>(position_ - start)});
  Token token = symbol(entry.kind);
  token.text = entry.text;
  return token;
}

// Takes everything that could belong to a numeral, so that "3x" or "1..2" is one malformed number and not two tokens; a `0x`
// counts even behind the point. Takes: where the numeral starts, at the current digit or at a point before it.
Token Lexer::read_number(const char* start) {
  const char first_digit = *position_++;
  char exponent_mark = 'e';
  if (first_digit == '0' && (accept('x') || accept('X'))) exponent_mark = 'p';
  for (;;) {
    const int c = peek();
    if (c != kEnd && (c | 0x20) == exponent_mark) {
      ++position_;
      if (!accept('-')) accept('+');
    } else if (character::is_hexadecimal(c) || c == '.') {
      ++position_;
    } else {
      break;
    }
  }
  if (character::is_name_start(peek())) ++position_;
  Token token;
  token.text = {start, static_cast<std::size_t>(position_ - start)};
  const number::Number value = number::from_text(token.text);
  if (value.kind == number::Kind::kNone) error_near("malformed number", token.text);
  if (value.kind == number::Kind::kInteger) {
    token.kind = token::kInteger;
    token.integer = value.integer;
  } else {
    token.kind = token::kFloat;
    token.number = value.number;
  }
  return token;
}

void Lexer::skip_comment() {
  if (peek() == '[') {
    const std::size_t bracket = match_long_bracket();
    if (bracket >= 2) {
      read_long_string(bracket, /*is_comment=*/true);
      return;
    }
  }
  skip_to([](char c) { return c == '\n' || c == '\r'; });
}

// ---------------------------------------------------------------------------------------------------------------------
// Errors

void Lexer::error_here(std::string_view message) const {
  std::string text = chunk_display_name(chunk_name_);
  text.append(":").append(std::to_string(line_)).append(": ").append(message);
  throw SyntaxError(SyntaxErrorKind::kMalformed, std::move(text), line_);
}

void Lexer::error_near(std::string_view message, std::string_view near) const {
  std::string text(message);
  text.append(" near '").append(near.substr(0, near.find('\0'))).append("'");
  error_here(text);
}

void Lexer::error_near_current(std::string_view message) const {
  const Token& token = current_;
  if (token.kind == 0) error_here(message);  // the character NUL
  if (token.kind < token::kFirstNamed) {
    const char c = static_cast<char>(token.kind);
    if (character::is_printable(token.kind)) error_near(message, {&c, 1});
    error_near(message, "<\\" + std::to_string(token.kind) + ">");
  }
  switch (token.kind) {
    case token::kName:
    case token::kInteger:
    case token::kFloat:
      error_near(message, token.text);
    case token::kString: {
      std::string near;
      const auto level = static_cast<std::size_t>(token.delimiter < 0 ? -token.delimiter - 2 : 0);
      if (token.delimiter < 0) {
        near.append("[").append(level, '=').append("[").append(token.text).append("]").append(level, '=').append("]");
      } else {
        const char quote = static_cast<char>(token.delimiter);
        near.append(1, quote).append(token.text).append(1, quote);
      }
      error_near(message, near);
    }
    case token::kEndOfText:
      error_here(std::string(message).append(" near <eof>"));
    default:
      error_near(message, token::text(token.kind));
  }
}

}  // namespace baton::syntax
