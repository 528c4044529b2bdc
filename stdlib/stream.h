// Streams of bytes as scripts see them: sockets, pipes, terminals. One script class, Stream, for all of them.
//
// Invariants
//  - What was received and not yet read stands in `buffer`; only `fill` appends, only readers take. Both may be called by
//    several tasks in turn: nobody keeps a pointer into the buffer over a `fill`.
//  - A closed stream has no descriptor any more; who waits in it then is woken and gets EBADF.
// Owner: the userdata that holds it. Threading: under the GIL; `fill` and `write_some` suspend the task, not the thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/byte_buffer.h"
#include "birthplace.h"
#include "vm/native.h"

namespace baton::stdlib {

inline constexpr const char* kStreamClass = "Stream";

class ByteStream {
 public:
  ByteStream() = default;
  virtual ~ByteStream() = default;
  ByteStream(const ByteStream&) = delete;
  ByteStream& operator=(const ByteStream&) = delete;

  // Waits for at least one byte more in the buffer. Returns: false at the end or after a failure (`error` tells: 0 at the
  // end). Raises: cancellations, kMemory.
  virtual bool fill(ThreadState& thread) = 0;
  // Writes all bytes, waiting as often as needed. Returns: 0 or an errno. Raises: as fill.
  virtual int write(ThreadState& thread, std::string_view bytes) = 0;
  // No more will be written; reading goes on. Returns: 0 or an errno.
  virtual int shut_down(ThreadState& thread) = 0;
  // Idempotent. Raises: nothing. `thread` is null when the collector closes it.
  virtual void close(ThreadState* thread) noexcept = 0;
  virtual bool is_closed() const noexcept = 0;
  // Pushes nil, message and name of `error`, which `write`, `shut_down` or `error` returned. Returns: 3. Raises: kMemory.
  virtual int push_failure(NativeCall& call, int error) const { return call.failure_named(error, ""); }
  // "host", port of the other end; an errno if there is none.
  virtual int peer(std::string* host, int* port) const;

  // The descriptor under it, for handing it to a child; -1 if there is none.
  virtual int descriptor() const noexcept { return -1; }

  std::string_view buffered() const noexcept { return buffer_.view().substr(start_); }
  // Takes the first `count` bytes out of the buffer together with the block they lie in, so that others may read on while they
  // are copied. Returns: a buffer that ends with these bytes. Raises: std::bad_alloc; nothing has changed then.
  ByteBuffer detach(std::size_t count);
  // Gives `count` detached bytes back to the front of the buffer. Raises: std::bad_alloc.
  void attach(ByteBuffer detached, std::size_t count);
  void consume(std::size_t count) noexcept;
  int error() const noexcept { return error_; }
  // Where it was opened, for streams that must be closed.
  Birthplace& birthplace() noexcept { return birthplace_; }

 protected:
  ByteBuffer buffer_;
  std::size_t start_ = 0;  // of what is not read yet
  int error_ = 0;

 private:
  Birthplace birthplace_;
};

// Pushes a Stream that owns `stream`. One that need not be closed is not complained about. Raises: kMemory.
void push_stream(NativeCall& call, std::unique_ptr<ByteStream> stream, bool must_be_closed = true);
// Argument 1, open. Raises: "Stream expected", "attempt to use a closed stream".
ByteStream& check_stream(NativeCall& call);
// The stream that `v` is, open or closed, or null. Raises: kMemory.
ByteStream* test_stream(ThreadState& thread, const Value& v);
// The metatable of Streams, made on first use. Raises: kMemory.
Table* stream_metatable(ThreadState& thread);

// Reads by the formats in arguments first..last (none: one line) and pushes the results, as io.read does. Returns: how many.
int read_stream_formats(NativeCall& call, ByteStream& stream, int first, int last);
// What is there, at most `most` bytes, at least one; waits if nothing is. Pushes it; or nil at the end; or nil, message, code.
int read_some(NativeCall& call, ByteStream& stream, std::size_t most);
// A closable iterator over the stream in argument 1: of lines without their ends, or of pieces of `chunk` bytes if that is not 0.
// Pushes the values for a generic for; returns how many. Raises: kMemory.
int push_stream_iterator(NativeCall& call, std::size_t chunk);
// Writes arguments 2... (strings and numbers). Returns: results pushed: true, or nil, message, code.
int write_arguments(NativeCall& call, ByteStream& stream);

}  // namespace baton::stdlib
