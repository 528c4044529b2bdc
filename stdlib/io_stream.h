// C streams under the GIL: the primitives that print, io and the program share.
//
// The rule, per operation: what a stream's buffer can serve happens with the GIL held; what has to ask the system gives the
// GIL up while it does. A stream that another native thread is using (it blocks inside the system) is waited for without the
// GIL, so no thread ever waits for a stream while it keeps the others from running.
//
// Invariant: a locked stream is used only by the holder of its StreamLock. Owner: a local variable of a native.
// Threading: the running native thread.
#pragma once

#include <cstdio>
#include <string_view>

#include "vm/thread_state.h"

namespace baton::stdlib {

// Holds the lock of a C stream. Effects: may give the GIL up while it waits.
class StreamLock {
 public:
  StreamLock(ThreadState& thread, std::FILE* stream);
  ~StreamLock() { funlockfile(stream_); }
  StreamLock(const StreamLock&) = delete;
  StreamLock& operator=(const StreamLock&) = delete;

 private:
  std::FILE* stream_;
};

// Writes bytes to a locked stream. Takes: bytes that stay where they are (a string that the window refers to, a buffer of the
// caller's). Returns: whether all were written; else errno tells. Raises: nothing.
bool write_stream(ThreadState& thread, std::FILE* stream, std::string_view bytes);

// Writes the buffer of a locked stream out. Returns: whether it succeeded; else errno tells. Raises: nothing.
bool flush_stream(ThreadState& thread, std::FILE* stream);

// Bytes that a locked stream can deliver without asking the system. Raises: nothing.
std::string_view buffered_input(std::FILE* stream) noexcept;

// Makes sure that a locked stream has buffered input: blocks for it if needed. Returns: false at the end of the file or after
// a failure (ferror tells which). Raises: nothing.
bool fill_stream(ThreadState& thread, std::FILE* stream);

}  // namespace baton::stdlib
