// Names of chunks as messages show them (manual 6.1 load, 4.7 lua_Debug.short_src).
//
// Invariant: a display name is at most kDisplayNameBytes bytes and contains no NUL.
// Owner: none, pure functions; syntax errors and run-time errors share them. Threading: any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace baton {

inline constexpr std::size_t kDisplayNameBytes = 59;

// Returns how messages name a chunk: "=name" as it is, cut at the end; "@file" as the file name, cut at the start; other
// text as [string "its first line"]. Takes: the chunk's name; it ends at its first NUL.
std::string chunk_display_name(std::string_view chunk_name);

}  // namespace baton
