// The front end's one entry: text of a chunk to a resolved syntax tree.
//
// Invariant: the tree is complete and correct as far as parsing decides it (scopes, attributes, labels, limits on locals and
// upvalues); what remains for the compiler are limits on registers, constants and jumps.
// Owner: the caller's arena holds all of the tree. Threading: none; several parses may run at once on different arenas.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/arena.h"
#include "syntax/ast.h"
#include "syntax/lexer.h"
#include "syntax/syntax_error.h"

namespace baton::syntax {

struct ParseOptions {
  // Levels of nesting already in use on this machine stack; parsing adds to them and stops at kMaxSyntaxLevels.
  int initial_levels = 0;
  // Seed of the table of names, so that collisions cannot be made to order.
  std::uint64_t hash_seed = 0;
  // Polled every few thousand tokens; it may reach a safepoint, or throw to stop (the arena is then dropped as usual).
  Lexer::Poll poll;
  // The text lives as long as the tree: long strings may be views of it.
  bool borrows_text = false;
};

struct ParseResult {
  FunctionNode* main = nullptr;  // variadic, with _ENV as its only upvalue
  Line lines = 0;                // line of the end of the text
};

// Parses a chunk. Takes: the text without `#` line and byte order mark; the chunk's name as given to load ("=stdin", "@file",
// or the text itself); both need to live only during the call (see borrows_text). Returns: a tree in the arena. Raises: SyntaxError,
// std::bad_alloc, what the poll function throws. Effects: uses up to 600 bytes of machine stack for each level, 120 KB
// in all.
[[nodiscard]] ParseResult parse(std::string_view text, std::string_view chunk_name, Arena& arena,
                                const ParseOptions& options = {});

}  // namespace baton::syntax
