// A buffer of the calling native thread's own for what is read and handed on at once.
//
// Invariant: nothing waits, and no other user of the same size is called, between filling and emptying it: all fibers of a
// native thread share it, and fibers never leave their native thread. Made at its first use, since an array would lie in the
// static storage of every thread and be zeroed at its start. Owner: the native thread. Threading: none.
#pragma once

#include <cstddef>
#include <memory>

namespace baton::stdlib {

// The buffer of `kBytes`. Raises: std::bad_alloc, at the first use in a thread.
template <std::size_t kBytes>
char* thread_scratch() {
  static thread_local std::unique_ptr<char[]> bytes;
  if (bytes == nullptr) bytes.reset(new char[kBytes]);
  return bytes.get();
}

}  // namespace baton::stdlib
