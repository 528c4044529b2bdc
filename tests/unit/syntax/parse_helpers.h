// What the tests of syntax share: parse a text and get its tree's text form, or the message.
//
// Invariant: nothing of the tree outlives a call; every parse has an arena of its own.
// Owner: the tests of syntax. Threading: none.
#pragma once

#include <string>
#include <string_view>

#include "syntax/ast_dump.h"
#include "syntax/parser.h"

namespace baton::syntax {

// Returns the dump without lines, or the message of the syntax error.
inline std::string parsed(std::string_view text, DumpLines lines = DumpLines::kHide) {
  Arena arena;
  try {
    return dump(*parse(text, "=t", arena).main, lines);
  } catch (const SyntaxError& error) {
    return error.message();
  }
}

// Returns the message of the error, "" if the text is a program.
inline std::string message(std::string_view text, std::string_view chunk_name = "=t", int initial_levels = 0) {
  Arena arena;
  ParseOptions options;
  options.initial_levels = initial_levels;
  try {
    (void)parse(text, chunk_name, arena, options);
  } catch (const SyntaxError& error) {
    return error.message();
  }
  return "";
}

inline std::string repeated(std::string_view text, int count) {
  std::string result;
  while (count-- > 0) result.append(text);
  return result;
}

}  // namespace baton::syntax
