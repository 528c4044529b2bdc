// Tokens of the language.
//
// Invariant: a kind below kFirstNamed is the byte of a one-character token; the others are listed in token.def.
// Owner: the lexer that made it; views point into its arena or its source. Threading: as the lexer.
#pragma once

#include <cstdint>
#include <string_view>

#include "syntax/ast.h"

namespace baton::syntax {

// A plain enum, because one-character tokens are compared with character literals.
using TokenKind = std::int32_t;

namespace token {

inline constexpr TokenKind kFirstNamed = 256;

enum Named : TokenKind {
  kBeforeFirst = kFirstNamed - 1,
#define TOKEN(kind, text) kind,
#include "syntax/token.def"
#undef TOKEN
};

inline constexpr TokenKind kLastReserved = kWhile;

// Returns the text of a named token as messages show it, without quotes. Takes: a kind >= kFirstNamed.
std::string_view text(TokenKind kind) noexcept;

}  // namespace token

struct Token {
  TokenKind kind = token::kEndOfText;
  // kString: the quote, or minus the length of the opening long bracket; only messages need it.
  std::int32_t delimiter = 0;
  union {
    std::int64_t integer = 0;  // kInteger
    double number;             // kFloat
  };
  Name text;  // kName: the name; kString: the value; kInteger, kFloat: the spelling (a view of the source)
};

}  // namespace baton::syntax
