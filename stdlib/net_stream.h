// A stream over a descriptor that does not block: a socket, or one end of a pipe that is ours.
//
// Invariant: the descriptor is non-blocking and belongs to the stream; it is tried first, and only when it would block does
// the task wait for it in the loop of its native thread.
// Owner: its Stream userdata. Threading: usable from any native thread, under the GIL.
#pragma once

#include <cstdint>

#include "stream.h"

namespace baton::stdlib {

class DescriptorStream : public ByteStream {
 public:
  // `shared`: set if somebody of that runtime may have waited for the descriptor before.
  DescriptorStream(int descriptor, bool is_socket, SharedState* shared = nullptr) noexcept;
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

 protected:
  enum class Received : std::uint8_t { kBytes, kNothingYet, kEnd, kFailed };
  // Tries once to read, and waits once if there is nothing: kNothingYet asks for another look at what is wanted. `bytes` are
  // good until anybody reads again. kFailed: `error_` tells, ETIMEDOUT at the deadline. Raises: cancellations, kMemory.
  Received receive(ThreadState& thread, std::int64_t deadline_ns, std::string_view* bytes);
  // Sends without waiting. Returns: how many bytes, or -1 and errno.
  long put(std::string_view bytes) noexcept;
  // Waits until more may be sent. Returns: 0 or an errno. Raises: cancellations, kMemory.
  int wait_to_put(ThreadState& thread, std::int64_t deadline_ns);

  int descriptor_;
  int readers_ = 0;  // tasks in `fill`
  SharedState* shared_;  // of who has waited for it

 private:
  enum class Kind : std::uint8_t { kOther, kSocket, kTcp };
  bool is_socket() const noexcept { return kind_ != Kind::kOther; }
  Kind kind_;
};

// Closes a descriptor. `shared`: the runtime in which somebody has waited for it, whose loops must forget it, also if nobody
// waits any more; null: nobody ever has. Raises: nothing.
void close_descriptor(SharedState* shared, int descriptor) noexcept;

}  // namespace baton::stdlib
