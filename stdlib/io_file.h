// File handles of the io library.
//
// A handle is a userdata of class "FILE*" whose block begins {stream, close}, as C modules of this language know it.
// Invariants
//  - `close` is null exactly when the handle is closed; it is set to null before the stream is closed.
//  - `users` counts operations that are under way on some native thread, perhaps blocked without the GIL: a handle in use is
//    not closed.
// Owner: the heap; a handle that is collected closes its stream. Threading: under the GIL, except the stream itself, which its
// own lock guards (io_stream.h).
#pragma once

#include <cstdio>

#include "io_stream.h"
#include "vm/native.h"

namespace baton::stdlib {

inline constexpr const char* kFileClass = "FILE*";

struct IoFile {
  std::FILE* stream;
  int (*close)(NativeCall& call, IoFile& file);  // closes the stream and gives the results of file:close()
  std::uint32_t users;

  bool is_closed() const noexcept { return close == nullptr; }
};

// The block of argument i, which must be a file handle, open or closed. Raises: "FILE* expected".
IoFile& check_handle(NativeCall& call, int i);
// As check_handle, and open. Raises: "attempt to use a closed file".
IoFile& check_open_file(NativeCall& call, int i);

// One operation on an open file: holds the stream's lock. The handle must stay on the window. Effects: may give the GIL up.
class FileUse {
 public:
  FileUse(NativeCall& call, IoFile& file) : counted_(file), lock_(call.thread(), file.stream) {}

 private:
  struct Counted {
    explicit Counted(IoFile& file) noexcept : file(file) { file.users++; }
    ~Counted() { file.users--; }
    IoFile& file;
  };
  Counted counted_;
  StreamLock lock_;
};

// Pushes a new handle without a stream, closed. Raises: kMemory.
IoFile& push_handle(NativeCall& call);

// Closes an open file. Returns: what file:close() returns (results pushed), a failure if another native thread is using it.
int close_file(NativeCall& call, IoFile& file);

// The results of an operation that only succeeds or fails: true, or nil, message, code of errno.
int outcome(NativeCall& call, bool fine, const char* what = "");

// The ways a handle may close its stream.
int close_stream(NativeCall& call, IoFile& file);    // fclose
int close_command(NativeCall& call, IoFile& file);   // pclose
int refuse_to_close(NativeCall& call, IoFile& file); // the standard files

// The metatable of handles with all methods, made on first use. Raises: kMemory.
Table* file_metatable(ThreadState& thread);

// Writes the arguments from `first` on to `file`. Returns: the handle in slot `handle`, or nil, message, code.
int write_values(NativeCall& call, IoFile& file, int handle, int first);

// The iterator of file:lines(formats) over the handle in slot `handle`; formats are the arguments from `first` on.
Value make_line_iterator(NativeCall& call, int handle, int first, bool closes);

}  // namespace baton::stdlib
