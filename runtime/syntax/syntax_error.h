// What the lexer and the parser throw when a text is not a program.
//
// Invariant: `message` is complete: chunk, line, what is wrong, and near which token, worded as the reference implementation.
// Owner: the exception. Threading: none. The VM turns it into an error value; no script code runs while it is in flight.
#pragma once

#include <exception>
#include <string>
#include <utility>

#include "syntax/ast.h"

namespace baton::syntax {

enum class SyntaxErrorKind : std::uint8_t {
  kMalformed,  // the text is not a program
  kOverflow,   // nested too deeply ("C stack overflow", which carries no position), or too many labels
};

class SyntaxError : public std::exception {
 public:
  SyntaxError(SyntaxErrorKind kind, std::string message, Line line)
      : message_(std::move(message)), line_(line), kind_(kind) {}
  const char* what() const noexcept override { return message_.c_str(); }
  // The whole message; it may contain any bytes of the source.
  const std::string& message() const noexcept { return message_; }
  // The line the message names.
  Line line() const noexcept { return line_; }
  SyntaxErrorKind kind() const noexcept { return kind_; }
  // Whether the text ended too early, so that more text could make it a program (the REPL's question).
  bool is_incomplete() const noexcept { return message_.ends_with("<eof>"); }

 private:
  std::string message_;
  Line line_;
  SyntaxErrorKind kind_;
};

}  // namespace baton::syntax
