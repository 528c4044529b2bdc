#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace baton {

void check_failed(const char* file, int line, const char* sentence) noexcept {
  std::fprintf(stderr, "baton: internal error at %s:%d: %s\n", file, line, sentence);
  std::abort();
}

}  // namespace baton
