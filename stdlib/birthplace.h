// Where a handle was opened: kept only under -W, and told when the handle is collected without having been closed.
//
// Invariant: empty unless warnings were on when it was noted; then complaining costs nothing. Owner: the handle.
// Threading: under the GIL; `complain` also inside the sweep: it touches no value.
#pragma once

#include <cstdio>
#include <string>

#include "vm/native.h"
#include "vm/traceback.h"

namespace baton::stdlib {

class Birthplace {
 public:
  // The script that called the running native opens it. Raises: std::bad_alloc.
  void note(NativeCall& call) {
    if (!call.shared().warnings_on) return;
    place_ = vm::where(call.thread(), 1);
    if (place_.empty()) place_ = "?: ";
  }
  // It goes, and `what` is still open. Raises: nothing.
  void complain(const char* what) const noexcept {
    if (place_.empty()) return;
    std::fprintf(stderr, "Lua warning: %s%s was not closed\n", place_.c_str(), what);
  }

 private:
  std::string place_;
};

}  // namespace baton::stdlib
