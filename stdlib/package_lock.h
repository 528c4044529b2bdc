// One native thread at a time loads a module; others that require it wait for the result.
//
// Invariant: registry._LOADING maps a module's name to the native thread that loads it, registry._AWAITED maps a native thread
// to the name it waits for; both hold only what is true right now. A wait that would close a circle of threads is not begun:
// that module is then loaded by both, as a cyclic require within one thread would.
// Owner: a local variable of require. Threading: under the GIL, which waiting gives up.
#pragma once

#include "vm/native.h"

namespace baton::stdlib {

class ModuleLock {
 public:
  // Waits until no other native thread loads `name`, then claims it. `name` must stay on the window. Raises: kMemory,
  // cancellations.
  ModuleLock(NativeCall& call, const Value& name);
  ~ModuleLock();
  ModuleLock(const ModuleLock&) = delete;
  ModuleLock& operator=(const ModuleLock&) = delete;

  // Whether another thread loaded the module meanwhile, perhaps: look again.
  bool waited() const noexcept { return waited_; }

 private:
  void wait(NativeCall& call);

  ThreadState& thread_;
  Table* loading_;
  Table* awaited_;
  Value name_;
  bool claimed_ = false;
  bool waited_ = false;
};

}  // namespace baton::stdlib
