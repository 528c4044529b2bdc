// Functions of the standard library that scripts call most: further values of Intrinsic, which the interpreter executes in
// place (handlers/library.inc) as it does those of value/closure.h. They stand here because only it and the tables of
// functions in stdlib name them.
//
// Invariant: no value is below kFirstLibraryIntrinsic; Native::intrinsic holds them like the others.
#pragma once

#include "value/closure.h"

namespace baton {

enum class LibraryIntrinsic : std::uint8_t {
  kPairs = 64,
  kIpairs,
  kSetMetatable,
  kGetMetatable,
  kTableInsert,
  kTableRemove,
  kMathAbs,
  kMathMax,
  kMathMin,
  kStringLen,
  kStringSub,
  kStringChar,
};
inline constexpr std::uint8_t kFirstLibraryIntrinsic = static_cast<std::uint8_t>(LibraryIntrinsic::kPairs);

constexpr Intrinsic intrinsic_of(LibraryIntrinsic which) noexcept { return static_cast<Intrinsic>(which); }

}  // namespace baton
