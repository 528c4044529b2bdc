// The lexer: text to tokens, with one token of look-ahead, the line bookkeeping and the error messages.
//
// Invariant: names and string values up to kSharedBytes are unique: equal ones have equal data pointers for one lexer.
// Invariant: the source is read from begin to end once, one byte past the current token at most.
// Owner: the parser; the arena and the source outlive it. Threading: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/arena.h"
#include "syntax/syntax_error.h"
#include "syntax/token.h"

namespace baton::syntax {

// A set of strings in an arena: what makes names unique.
class NameTable {
 public:
  struct Entry {
    Name text;
    std::uint32_t hash = 0;
    TokenKind kind = 0;  // token::kName, or the reserved word it is
  };

  // Enters the reserved words. Takes: a seed against made-up collisions. Raises: std::bad_alloc.
  NameTable(Arena& arena, std::uint64_t seed);
  // Returns the entry of a string, entering it if it is new. Raises: std::bad_alloc.
  const Entry& enter(std::string_view text);

 private:
  void grow();
  Entry& find_slot(std::string_view text, std::uint32_t hash) const;

  Arena& arena_;
  std::uint64_t seed_;
  Entry* slots_ = nullptr;  // capacity is a power of two; an empty slot has a null text
  std::uint32_t capacity_ = 0;
  std::uint32_t count_ = 0;
};

class Lexer {
 public:
  // Called from next() every poll_interval tokens; it may throw to stop the compilation.
  struct Poll {
    void (*function)(void* context) = nullptr;
    void* context = nullptr;
    std::uint32_t interval = 4096;  // tokens; inside long strings and comments it is called after each kPollBytes
  };

  static constexpr std::size_t kPollBytes = std::size_t{1} << 18;

  // Strings up to this many bytes are shared.
  static constexpr std::size_t kSharedBytes = 40;

  // Takes: the text without any `#` line or byte order mark, the chunk's name as given to load ("=...", "@...", text); whether
  // strings that are not shared may be views of the text. Effects: reads nothing yet; call next() for the first token.
  Lexer(std::string_view text, std::string_view chunk_name, Arena& arena, std::uint64_t seed, Poll poll, bool borrows_text = false);
  Lexer(const Lexer&) = delete;
  Lexer& operator=(const Lexer&) = delete;

  // The current token; valid until next().
  const Token& current() const { return current_; }
  // Line at the end of the current token (of the look-ahead, once that is read).
  Line line() const { return line_; }
  // Line of the last token that next() left behind; 1 at the start.
  Line last_line() const { return last_line_; }

  // Makes the next token current. Raises: SyntaxError, std::bad_alloc, what the poll function throws.
  void next();
  // Returns the kind of the token after the current one. Raises: as next().
  TokenKind look_ahead();

  // Returns the unique copy of a name. Raises: std::bad_alloc.
  Name share(std::string_view text) { return names_.enter(text).text; }

  // Throws SyntaxError with the message at the current line, near the current token.
  [[noreturn]] void error_near_current(std::string_view message) const;
  // Throws SyntaxError with the message at the current line, near no token.
  [[noreturn]] void error_here(std::string_view message) const;

 private:
  static constexpr int kEnd = -1;

  int peek() const { return position_ != end_ ? static_cast<unsigned char>(*position_) : kEnd; }
  bool at_newline() const { return position_ != end_ && (*position_ == '\n' || *position_ == '\r'); }
  void skip_newline();
  bool accept(char c);
  TokenKind either(char second, TokenKind pair, char single);

  Token read_token();
  Token read_operator();
  Token read_name();
  Token read_number(const char* start);
  Token read_string();
  Token read_dots();
  Token read_long_bracket_or_symbol();
  void skip_comment();

  std::size_t match_long_bracket();
  // Polls when a long token has been read for kPollBytes more.
  void poll_inside(const char*& polled_at) {
    if (BATON_LIKELY(static_cast<std::size_t>(position_ - polled_at) < kPollBytes)) return;
    polled_at = position_;
    if (poll_.function != nullptr) poll_.function(poll_.context);
  }
  // Goes on to the next byte that `ends` a run, or to the end of the text.
  template <class Ends>
  void skip_to(Ends ends) {
    for (const char* polled_at = position_; position_ != end_; poll_inside(polled_at)) {
      const char* const stop = static_cast<std::size_t>(end_ - position_) > kPollBytes ? position_ + kPollBytes : end_;
      while (position_ != stop && !ends(*position_)) ++position_;
      if (position_ != stop) return;
    }
  }
  Token read_long_string(std::size_t bracket, bool is_comment);
  void read_escape();
  void read_hexadecimal_escape(const char* escape);
  void read_decimal_escape(const char* escape);
  void read_utf8_escape(const char* escape);
  Token string_token(std::string_view value, std::int32_t delimiter, bool is_of_text);
  std::string_view copy_in_pieces(std::string_view value);

  [[noreturn]] void error_near(std::string_view message, std::string_view near) const;
  [[noreturn]] void escape_error(std::string_view message, const char* escape) const;

  const char* position_;
  const char* end_;
  Line line_ = 1;
  Line last_line_ = 1;
  Token current_;
  Token ahead_;
  bool has_ahead_ = false;
  std::uint32_t tokens_to_poll_;
  Poll poll_;
  bool borrows_text_;
  std::string_view chunk_name_;
  Arena& arena_;
  NameTable names_;
  std::string buffer_;  // opening quote and value of the string being read, once it has an escape or a folded newline
};

}  // namespace baton::syntax
