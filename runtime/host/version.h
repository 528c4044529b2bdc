// Names and numbers of this release, in one place for the program, `require "baton"` and hosts.
//
// Invariant: kVersion equals the version in the root meson.build. Owner: none, constants. Threading: any.
#pragma once

namespace baton::host {

inline constexpr const char* kProductName = "Baton";
inline constexpr const char* kVersion = "0.1.0";
inline constexpr const char* kLanguageVersion = "Lua 5.4";

}  // namespace baton::host
