#include "process_channel.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "async_library.h"
#include "loop/event_loop.h"
#include "net_stream.h"
#include "sched/scheduler.h"
#include "thread_library.h"
#include "thread_scratch.h"
#include "vm/operations.h"

namespace baton::stdlib {

namespace {

constexpr std::size_t kBlock = 256 * 1024;
constexpr int kMostDescriptors = 64;  // of a frame
constexpr std::size_t kRoomBytes = 1024 * 1024;  // a sender waits while more is unwritten
constexpr const char* kChannelClass = "Channel";

void close_all(std::vector<int>& descriptors) noexcept {
  for (int& descriptor : descriptors) {
    if (descriptor >= 0) close(descriptor);
    descriptor = -1;
  }
}

}  // namespace

Frame::~Frame() { close_all(descriptors); }

Frame& Frame::operator=(Frame&& other) noexcept {
  header = other.header;
  bytes.swap(other.bytes);
  descriptors.swap(other.descriptors);
  return *this;
}

Channel::~Channel() {
  close();
  if (child == nullptr) return;
  if (const int handle = child->take_handle(); handle >= 0) close_descriptor(&shared_, handle);
  child->abandon();
}

void Channel::close() noexcept {
  if (descriptor_ >= 0) close_descriptor(&shared_, descriptor_);
  descriptor_ = -1;
  ended_ = true;
  for (Attachment& attachment : attachments_) close_all(attachment.descriptors);
  attachments_.clear();
  for (const int descriptor : arrived_) ::close(descriptor);
  arrived_.clear();
  out_.clear();
  written_ = 0;
  arrivals_.wake_all();
}

// --- writing ---------------------------------------------------------------------------------------------------------------

int Channel::post(FrameKind kind, std::uint32_t number, std::uint64_t id, std::string_view bytes,
                  const std::vector<int>& descriptors) {
  if (descriptor_ < 0) return EPIPE;
  if (descriptors.size() > kMostDescriptors) return E2BIG;
  FrameHeader header;
  header.size = static_cast<std::uint32_t>(bytes.size());
  header.kind = kind;
  header.descriptors = static_cast<std::uint8_t>(descriptors.size());
  header.number = number;
  header.id = id;
  if (!descriptors.empty()) {
    std::vector<int> own;
    for (const int descriptor : descriptors) {
      own.push_back(fcntl(descriptor, F_DUPFD_CLOEXEC, 3));
      if (own.back() < 0) {
        const int error = errno;
        close_all(own);
        return error;
      }
    }
    attachments_.push_back({stream_position_ + unwritten(), std::move(own)});
  }
  out_.append(reinterpret_cast<const char*>(&header), sizeof header);
  out_.append(bytes);
  return 0;
}

int Channel::flush() noexcept {
  while (descriptor_ >= 0 && written_ < out_.size()) {
    iovec piece{out_.data() + written_, out_.size() - written_};
    msghdr message = {};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    alignas(cmsghdr) char control[CMSG_SPACE(kMostDescriptors * sizeof(int))];
    bool attaches = false;
    if (!attachments_.empty()) {
      const Attachment& next = attachments_.front();
      attaches = next.position == stream_position_;
      if (attaches) {
        const std::size_t bytes = next.descriptors.size() * sizeof(int);
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(bytes);
        cmsghdr* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(bytes);
        std::memcpy(CMSG_DATA(header), next.descriptors.data(), bytes);
        if (attachments_.size() > 1) piece.iov_len = std::min<std::size_t>(piece.iov_len, attachments_[1].position - stream_position_);
      } else {
        piece.iov_len = std::min<std::size_t>(piece.iov_len, next.position - stream_position_);
      }
    }
    const ssize_t count = sendmsg(descriptor_, &message, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno == EWOULDBLOCK ? EAGAIN : errno;
    if (attaches) {
      close_all(attachments_.front().descriptors);
      attachments_.pop_front();
    }
    written_ += static_cast<std::size_t>(count);
    stream_position_ += static_cast<std::size_t>(count);
  }
  if (written_ == out_.size()) {
    if (out_.capacity() > kRoomBytes) out_ = std::string();
    else out_.clear();
    written_ = 0;
  }
  return descriptor_ < 0 ? EPIPE : 0;
}

int Channel::wait_written(ThreadState& thread, std::size_t bytes) {
  for (;;) {
    const int error = flush();
    if (error != EAGAIN || unwritten() <= bytes) return error == EAGAIN ? 0 : error;
    int refusal = 0;
    (void)loop::EventLoop::of(thread).wait_for(thread, descriptor_, loop::Direction::kWrite, kNoDeadline, "channel.send", &refusal);
    if (refusal != 0) return refusal;
  }
}

// --- reading ---------------------------------------------------------------------------------------------------------------

// Returns: 0 if something came, EAGAIN, or ESHUTDOWN at the end.
int Channel::fill() {
  iovec piece{thread_scratch<kBlock>(), kBlock};
  alignas(cmsghdr) char control[CMSG_SPACE(kMostDescriptors * sizeof(int))];
  msghdr message = {};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t count;
  do count = recvmsg(descriptor_, &message, MSG_CMSG_CLOEXEC);
  while (count < 0 && errno == EINTR);
  if (count < 0) return errno == EAGAIN || errno == EWOULDBLOCK ? EAGAIN : ESHUTDOWN;
  if (count == 0) return ESHUTDOWN;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    for (std::size_t i = 0; CMSG_LEN((i + 1) * sizeof(int)) <= header->cmsg_len; ++i) {
      int descriptor;
      std::memcpy(&descriptor, CMSG_DATA(header) + i * sizeof(int), sizeof descriptor);
      arrived_.push_back(descriptor);
    }
  }
  in_.append(thread_scratch<kBlock>(), static_cast<std::size_t>(count));
  return 0;
}

void Channel::parse() {
  for (;;) {
    if (in_.size() - parsed_ < sizeof(FrameHeader)) break;
    Frame frame;
    std::memcpy(&frame.header, in_.data() + parsed_, sizeof frame.header);
    if (in_.size() - parsed_ - sizeof frame.header < frame.header.size) break;
    if (arrived_.size() < frame.header.descriptors) break;
    frame.bytes.assign(in_, parsed_ + sizeof frame.header, frame.header.size);
    for (int i = 0; i < frame.header.descriptors; ++i) {
      frame.descriptors.push_back(arrived_.front());
      arrived_.pop_front();
    }
    parsed_ += sizeof frame.header + frame.header.size;
    inbox_.push_back(std::move(frame));
  }
  if (parsed_ == in_.size()) {
    if (in_.capacity() > 4 * kBlock) in_ = std::string();
    else in_.clear();
    parsed_ = 0;
  } else if (parsed_ > kBlock) {
    in_.erase(0, parsed_);
    parsed_ = 0;
  }
}

bool Channel::take(unsigned kinds, Frame& frame) {
  for (auto at = inbox_.begin(); at != inbox_.end(); ++at) {
    if ((kinds & 1u << static_cast<unsigned>(at->header.kind)) == 0) continue;
    frame = std::move(*at);
    inbox_.erase(at);
    return true;
  }
  return false;
}

sched::WaitResult Channel::receive(ThreadState& thread, unsigned kinds, std::int64_t deadline_ns, Frame& frame, bool* ended) {
  *ended = false;
  sched::before_wait(thread);
  for (;;) {
    if (take(kinds, frame)) return sched::WaitResult::kReady;
    if (ended_) {
      *ended = true;
      return sched::WaitResult::kReady;
    }
    if (is_reading_) {
      sched::Waiter waiter(thread);
      arrivals_.push(waiter);
      if (sched::wait(thread, waiter, deadline_ns, "channel.receive") == sched::WaitResult::kTimedOut) {
        return sched::WaitResult::kTimedOut;
      }
      continue;
    }
    const int error = fill();
    if (error == 0) {
      parse();
      arrivals_.wake_all();
      continue;
    }
    if (error == ESHUTDOWN) {
      ended_ = true;
      arrivals_.wake_all();
      continue;
    }
    struct Reading {
      explicit Reading(Channel& owner) noexcept : channel(owner) { channel.is_reading_ = true; }
      ~Reading() {
        channel.is_reading_ = false;
        channel.arrivals_.wake_all();  // another one reads on
      }
      Reading(const Reading&) = delete;
      Reading& operator=(const Reading&) = delete;
      Channel& channel;
    } reading(*this);
    int refusal = 0;
    const auto result = loop::EventLoop::of(thread).wait_for(thread, descriptor_, loop::Direction::kRead, deadline_ns,
                                                             "channel.receive", &refusal);
    if (refusal != 0) ended_ = true;
    if (result == sched::WaitResult::kTimedOut) return result;
  }
}

// --- the class -------------------------------------------------------------------------------------------------------------

namespace {

struct Block {
  Channel* channel;
};

constexpr unsigned kMessages = 1u << static_cast<unsigned>(FrameKind::kMessage);
constexpr unsigned kEnds = 1u << static_cast<unsigned>(FrameKind::kEnd);

// The body of the task that writes what did not fit (argument 1: the channel).
int write_all(NativeCall& call) {
  Channel& channel = check_channel(call, 1);
  struct Writing {
    explicit Writing(Channel& owner) noexcept : channel(owner) {}
    ~Writing() { channel.has_writer = false; }
    Writing(const Writing&) = delete;
    Writing& operator=(const Writing&) = delete;
    Channel& channel;
  } writing(channel);
  (void)channel.wait_written(call.thread(), 0);
  return 0;
}

constexpr NativeInfo kWriteAll = {"write_all", "write_all(channel)", "Writes what a channel still has to write.", write_all};

int channel_send(NativeCall& call) {
  Channel& channel = check_channel(call, 1);
  if (call.none_or_nil(2)) call.argument_error(2, "cannot send nil");
  if (call.count() > 2) call.set_size(2);
  host::Message message;
  encode_arguments(call, 2, 2, {"value", false, true}, message);
  sched::before_wait(call.thread());
  int error = channel.is_closed() || channel.has_ended() ? EPIPE : channel.post(FrameKind::kMessage, 0, 0, message.bytes.view(), message.descriptors);
  if (error == 0) error = channel.flush();
  if (error == EAGAIN) {
    write_later(call, call.arg(1));
    error = channel.wait_written(call.thread(), kRoomBytes);
  }
  if (error == EPIPE || error == ECONNRESET) {
    call.push(Value());
    call.push_string("closed");
    call.push_string("EPIPE");
    return 3;
  }
  return error != 0 ? call.failure_named(error, "") : call.result(Value::boolean(true));
}

int channel_receive(NativeCall& call) {
  Channel& channel = check_channel(call, 1);
  const std::int64_t deadline = timeout_argument(call, 2);
  Frame frame;
  bool ended = channel.is_finished && !channel.take(kMessages, frame);
  if (!channel.is_finished && channel.receive(call.thread(), kMessages | kEnds, deadline, frame, &ended) ==
                                  sched::WaitResult::kTimedOut) {
    return timeout_result(call);
  }
  if (!ended && frame.header.kind == FrameKind::kEnd) channel.is_finished = ended = true;
  if (ended) {
    call.push(Value());
    call.push_string("closed");
    return 2;
  }
  std::string problem;
  const int count = host::decode_bytes(call.thread(), frame.bytes, frame.descriptors, host::GlobalsPolicy::kKeep, problem);
  if (count < 0) call.error("%s", problem.c_str());
  return count;
}

int channel_close(NativeCall& call) {
  check_channel(call, 1).close();
  return call.result(Value::boolean(true));
}

// Upvalue 1: the channel.
int next_message(NativeCall& call) {
  call.set_size(0);
  call.push(call.upvalue(1));
  NativeCall with_channel(call.thread(), 1);
  const int count = channel_receive(with_channel);
  return count == 2 ? call.result(Value()) : count;  // nil, "closed"
}

constexpr NativeInfo kNextMessage = {"iter", "iter()", "The next message, or nil.", next_message};

int channel_iter(NativeCall& call) {
  (void)check_channel(call, 1);
  const Value next = native::make(call.thread(), &kNextMessage, 1);
  next.native()->upvalues()[0] = call.arg(1);
  return call.result(next);
}

const NativeInfo kMethods[] = {
    {"close", "Channel:close() -> boolean",
     "Nothing more is sent or received.",
     channel_close},
    {"iter", "Channel:iter() -> function",
     "An iterator over the messages until the other end closes.\n"
     "Waits: each step parks the task.",
     channel_iter},
    {"receive", "Channel:receive(timeout?: number) -> any",
     "The next message; nil, \"closed\" when no more can come; nil, \"timeout\", \"ETIMEDOUT\" when late.\n"
     "Waits: parks the task.",
     channel_receive},
    {"send", "Channel:send(value: any) -> boolean?",
     "Sends a copy of a value; waits while the other end does not take what was sent before.\n"
     "Fails: nil, \"closed\", \"EPIPE\" if there is no other end any more.\n"
     "Raises: what cannot travel, with its path.\n"
     "Waits: parks the task.",
     channel_send},
    {nullptr, nullptr, nullptr, nullptr},
};

Table* channel_metatable(ThreadState& thread) {
  bool created = false;
  Table* metatable = native::class_metatable(thread, kChannelClass, &created);
  if (!created) return metatable;
  Table* methods = table::make(thread.heap());
  native::add_functions(thread, methods, kMethods);
  native::set_field(thread, metatable, "__index", Value::of(methods));
  native::set_field(thread, metatable, "__close", native::get_field(thread, methods, "close"));
  return metatable;
}

}  // namespace

void push_channel(NativeCall& call, std::unique_ptr<Channel> channel) {
  Userdata* handle = userdata::make(call.heap(), sizeof(Block));
  call.push(Value::of(handle));
  static_cast<Block*>(handle->block())->channel = channel.release();
  handle->release = [](void* block) noexcept { delete static_cast<Block*>(block)->channel; };
  handle->metatable = channel_metatable(call.thread());
}

Channel& channel_of(const Value& v) noexcept { return *static_cast<Block*>(v.userdata()->block())->channel; }

Channel& check_channel(NativeCall& call, int i) { return *static_cast<Block*>(call.check_userdata(i, kChannelClass))->channel; }

void write_later(NativeCall& call, const Value& value) {
  Channel& channel = channel_of(value);
  if (channel.has_writer) return;
  sched::Scheduler& scheduler = sched::scheduler_of(call.thread());
  Userdata* handle = scheduler.create(call.thread(), native::make(call.thread(), &kWriteAll), scheduler.current());
  handle->metatable = task_metatable(call.thread());
  call.push(Value::of(handle));
  auto& task = *static_cast<sched::Task*>(handle->block());
  scheduler.add_argument(task, value);
  channel.has_writer = true;
  scheduler.start(task);
  // What `send` has taken must arrive: another native thread stays until it is written. The main thread does not, since a
  // worker that never reads would then keep the program from ending.
  if (sched::native_thread_of(call.thread()).is_main()) scheduler.make_daemon(task);
  (void)call.pop();
}

void encode_arguments(NativeCall& call, int first, int last, const host::MessageNames& names, host::Message& message) {
  std::string refusal;
  const int count = std::max(0, last - first + 1);
  if (!host::encode(call.thread(), call.base() + first - 1, count, names, message, refusal)) {
    vm::raise_text(call.thread(), "cannot send: " + refusal);
  }
}

}  // namespace baton::stdlib
