// A stream over a descriptor that does not block: a socket, or one end of a pipe that is ours.
//
// Invariant: the descriptor is non-blocking and belongs to the stream; it is tried first, and only when it would block does
// the task wait for it in the loop of its native thread.
// Owner: its Stream userdata. Threading: usable from any native thread, under the GIL.
#pragma once

#include "stream.h"

namespace baton::stdlib {

class DescriptorStream final : public ByteStream {
 public:
  DescriptorStream(int descriptor, bool is_socket) noexcept : descriptor_(descriptor), is_socket_(is_socket) {}
  ~DescriptorStream() override { close(nullptr); }

  bool fill(ThreadState& thread) override;
  int write(ThreadState& thread, std::string_view bytes) override;
  int shut_down(ThreadState& thread) override;
  void close(ThreadState* thread) noexcept override;
  bool is_closed() const noexcept override { return descriptor_ < 0; }
  int peer(std::string* host, int* port) const override;
  int descriptor() const noexcept override { return descriptor_; }
  // Whether a task waits in `fill`.
  bool has_reader() const noexcept { return readers_ > 0; }
  // Takes what is there into the buffer, without waiting. Returns: false at the end, after a failure, or when it is closed.
  bool drain();

 private:
  long put(std::string_view bytes) noexcept;

  int descriptor_;
  int readers_ = 0;  // tasks in `fill`
  bool is_socket_;
};

// Closes a descriptor that tasks may wait for. `thread` may be null: then nobody can wait. Raises: nothing.
void close_descriptor(ThreadState* thread, int descriptor) noexcept;

}  // namespace baton::stdlib
