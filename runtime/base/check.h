// Assertions. BATON_CHECK stays in every build and guards what must never happen; BATON_DCHECK is
// compiled out of release builds. Both abort with a sentence: they report bugs of the runtime,
// never a mistake of a script (that is an error value).
#pragma once

#include "base/platform.h"

namespace baton {

// Prints `file:line: sentence` to stderr and aborts. Raises: nothing. Async-signal-safe.
[[noreturn]] BATON_COLD void check_failed(const char* file, int line, const char* sentence) noexcept;

}  // namespace baton

#define BATON_CHECK(condition, sentence) \
  (BATON_LIKELY(condition) ? (void)0 : ::baton::check_failed(__FILE__, __LINE__, sentence))

#ifdef NDEBUG
#define BATON_DCHECK(condition) ((void)0)
#else
#define BATON_DCHECK(condition) BATON_CHECK(condition, #condition)
#endif

#define BATON_UNREACHABLE() __builtin_unreachable()
