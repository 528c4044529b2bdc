// The private channel between a process and its worker: frames over a socket pair, with descriptors beside them.
//
// Invariants
//  - A frame is written whole or, if the other end is gone, not at all as far as it can see; frames of several tasks never mix.
//    What does not fit into the socket waits in `out`; a task of the channel's own writes it when there is room.
//  - One task at a time reads the socket; frames for others stand in `inbox`, and whoever waits for them is woken.
//  - Nothing that arrives is believed: sizes are checked as in host/marshal.h.
// Owner: its Channel userdata. Threading: under the GIL; `wait_...` and `receive` suspend the task.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "host/marshal.h"
#include "process_child.h"
#include "sched/wait.h"
#include "vm/native.h"

namespace baton::stdlib {

enum class FrameKind : std::uint8_t {
  kSetup = 1,     // to the worker: its package paths, its mode
  kFunction = 2,  // ... defines function `number`
  kCall = 3,      // ... call `id` of function `number`
  kEnd = 4,       // ... nothing more will come
  kMessage = 5,   // either way: a value
  kReady = 6,     // from the worker
  kResult = 7,    // ... results of call `id`; `number` is the time it took, in microseconds
  kError = 8,     // ... error value and story of call `id`
};

struct FrameHeader {
  std::uint32_t size = 0;  // of what follows
  FrameKind kind = FrameKind::kEnd;
  std::uint8_t descriptors = 0;
  std::uint16_t unused = 0;
  std::uint32_t number = 0;
  std::uint32_t unused_too = 0;
  std::uint64_t id = 0;
};
static_assert(sizeof(FrameHeader) == 24);

struct Frame {
  FrameHeader header;
  std::string bytes;
  std::vector<int> descriptors;
  Frame() = default;
  ~Frame();
  Frame(Frame&&) noexcept = default;
  Frame& operator=(Frame&& other) noexcept;
};

class Channel {
 public:
  Channel(SharedState& shared, int descriptor) noexcept : shared_(shared), descriptor_(descriptor) {}
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // Appends a frame; its descriptors are duplicated. Nothing is written yet. Returns: 0 or an errno. Raises: std::bad_alloc.
  int post(FrameKind kind, std::uint32_t number, std::uint64_t id, std::string_view bytes, const std::vector<int>& descriptors);
  // Writes what the socket takes. Returns: 0 if all is written, EAGAIN, or the errno of the failure.
  int flush() noexcept;
  std::size_t unwritten() const noexcept { return out_.size() - written_; }
  // Waits until at most `bytes` are unwritten. Returns: 0 or an errno. Raises: as sched::wait.
  int wait_written(ThreadState& thread, std::size_t bytes);

  // Takes the first frame whose kind is in `kinds` (bits 1 << kind), waiting for it. Returns: kReady with a frame, or with
  // `*ended` set; or kTimedOut. Raises: as sched::wait.
  sched::WaitResult receive(ThreadState& thread, unsigned kinds, std::int64_t deadline_ns, Frame& frame, bool* ended);
  // Takes one that is here already. Returns: whether there was one.
  bool take(unsigned kinds, Frame& frame);
  bool has_ended() const noexcept { return ended_; }

  void close() noexcept;
  bool is_closed() const noexcept { return descriptor_ < 0; }
  int descriptor() const noexcept { return descriptor_; }

  bool has_writer = false;  // a task that writes `out`
  bool is_finished = false;  // the other end has said that nothing more comes
  std::unique_ptr<ChildProcess> child;  // at the parent's end

 private:
  struct Attachment {
    std::uint64_t position;  // in the stream of bytes: where its frame begins
    std::vector<int> descriptors;
  };
  int fill();
  void parse();

  SharedState& shared_;
  int descriptor_;
  bool ended_ = false;
  bool is_reading_ = false;
  std::string out_;
  std::size_t written_ = 0;
  std::uint64_t stream_position_ = 0;  // of out_[written_]
  std::deque<Attachment> attachments_;
  std::string in_;
  std::size_t parsed_ = 0;
  std::deque<int> arrived_;  // descriptors whose frames are not complete
  std::deque<Frame> inbox_;
  sched::WaitQueue arrivals_;
};

// Pushes a Channel that owns `channel`. Raises: kMemory.
void push_channel(NativeCall& call, std::unique_ptr<Channel> channel);
// The channel of a Channel. Raises: nothing.
Channel& channel_of(const Value& v) noexcept;
// Argument i. Raises: "Channel expected".
Channel& check_channel(NativeCall& call, int i);
// Lets a task of its own write what is still unwritten. Raises: kMemory.
void write_later(NativeCall& call, const Value& channel);
// Encodes arguments first..last. Raises: the refusal, with `prefix` in front.
void encode_arguments(NativeCall& call, int first, int last, const host::MessageNames& names, host::Message& message);
// Natives of the part that is written in script; ended by nulls. In process_worker.cpp.
extern const NativeInfo kWorkerNatives[];
// process.queue and process.shared.
int process_queue(NativeCall& call);
int process_shared(NativeCall& call);
void register_queue(ThreadState& thread);
// Prepares classes that may arrive from other processes. Raises: kMemory.
void register_travellers(ThreadState& thread);

}  // namespace baton::stdlib
