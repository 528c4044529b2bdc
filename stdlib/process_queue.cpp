// process.queue: a queue that several processes use at once. It travels as three descriptors.
//
//   memory file   | header page: mutex, counts, positions | ring of bytes: size, message, size, message ... |
//   two eventfds  written when an item, or room, has come and somebody waits for it
//
// The truth stands in the header, under a mutex that survives the death of its owner; the eventfds are only alarms: they
// are written and never read, each write being an edge for the loops of all who watch it, who then look again. So nothing
// is lost when a process dies at any moment, except that one which dies while it moves bytes leaves the queue broken; then
// everybody is told.
//
// The ring grows when an item does not fit. The header has a mapping of its own that never moves, because a robust mutex must
// not; the ring is mapped anew by each process that finds it larger than it knows.
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <memory>

#include "host/blocking.h"
#include "loop/event_loop.h"
#include "net_stream.h"
#include "process_channel.h"
#include "sync/process_mutex.h"
#include "thread_library.h"
#include "vm/operations.h"

namespace baton::stdlib {
namespace {

constexpr const char* kQueueClass = "ProcessQueue";
constexpr std::size_t kHeaderBytes = 4096;
constexpr std::uint64_t kFirstCapacity = 65536;
constexpr std::uint64_t kUnlimited = UINT64_MAX;

struct Header {
  ProcessMutex mutex;
  std::uint64_t max;
  std::uint64_t capacity;  // bytes of the ring
  std::uint64_t head;      // where the first item begins, below capacity
  std::uint64_t used;      // bytes
  std::uint64_t count;     // items
  std::uint32_t is_closed;
  std::uint32_t is_moving;  // bytes are being moved: whoever dies now leaves it broken
  std::uint32_t is_broken;
  std::uint32_t getters, putters;  // that wait, or died waiting
};
static_assert(sizeof(Header) <= kHeaderBytes);

class ProcessQueue {
 public:
  explicit ProcessQueue(SharedState& shared) noexcept : shared_(shared) {}
  ~ProcessQueue() { detach(); }
  ProcessQueue(const ProcessQueue&) = delete;
  ProcessQueue& operator=(const ProcessQueue&) = delete;

  // Makes a new one. Returns: 0 or an errno.
  int make(std::uint64_t max) noexcept;
  // Takes the descriptors of one that exists. Returns: whether they are those of a queue.
  bool attach(const int (&descriptors)[3]) noexcept;
  Header& header() noexcept { return *header_; }
  const int* descriptors() const noexcept { return descriptors_; }
  bool is_attached() const noexcept { return header_ != nullptr; }

  // Appends / takes out an item; locked. Returns: 0 or an errno.
  int push(std::string_view item) noexcept;
  int pop(std::string& item);
  void alarm_getters() noexcept { ring(1); }
  void alarm_putters() noexcept { ring(2); }
  int items_descriptor() const noexcept { return descriptors_[1]; }
  int room_descriptor() const noexcept { return descriptors_[2]; }

 private:
  void detach() noexcept;
  bool map_header() noexcept;
  int map_ring() noexcept;
  int grow(std::uint64_t needed) noexcept;
  void copy_in(std::uint64_t at, const void* bytes, std::size_t count) noexcept;
  void copy_out(std::uint64_t at, void* bytes, std::size_t count) const noexcept;
  void ring(int which) noexcept {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = write(descriptors_[which], &one, sizeof one);
  }

  SharedState& shared_;
  int descriptors_[3] = {-1, -1, -1};  // memory, items, room
  Header* header_ = nullptr;
  char* ring_ = nullptr;
  std::uint64_t mapped_ = 0;  // bytes of the ring
};

void ProcessQueue::detach() noexcept {
  if (header_ != nullptr) munmap(header_, kHeaderBytes);
  if (ring_ != nullptr) munmap(ring_, mapped_);
  header_ = nullptr;
  ring_ = nullptr;
  for (int& descriptor : descriptors_) {
    if (descriptor >= 0) close_descriptor(&shared_, descriptor);
    descriptor = -1;
  }
}

bool ProcessQueue::map_header() noexcept {
  void* memory = mmap(nullptr, kHeaderBytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptors_[0], 0);
  if (memory == MAP_FAILED) return false;
  header_ = static_cast<Header*>(memory);
  return true;
}

int ProcessQueue::make(std::uint64_t max) noexcept {
  descriptors_[0] = memfd_create("queue", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  descriptors_[1] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  descriptors_[2] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (descriptors_[0] < 0 || descriptors_[1] < 0 || descriptors_[2] < 0) return errno;
  if (ftruncate(descriptors_[0], static_cast<off_t>(kHeaderBytes + kFirstCapacity)) != 0) return errno;
  if (fcntl(descriptors_[0], F_ADD_SEALS, F_SEAL_SHRINK) != 0 || !map_header()) return errno;
  header_->max = max;
  header_->capacity = kFirstCapacity;
  return header_->mutex.initialise();
}

bool ProcessQueue::attach(const int (&descriptors)[3]) noexcept {
  std::copy(std::begin(descriptors), std::end(descriptors), descriptors_);
  struct stat information;
  if (fstat(descriptors_[0], &information) != 0 || (fcntl(descriptors_[0], F_GET_SEALS) & F_SEAL_SHRINK) == 0) return false;
  return static_cast<std::uint64_t>(information.st_size) >= kHeaderBytes + kFirstCapacity && map_header();
}

// The whole ring, if it has grown since. Returns: 0 or an errno.
int ProcessQueue::map_ring() noexcept {
  if (mapped_ == header_->capacity) return 0;
  struct stat information;
  if (fstat(descriptors_[0], &information) != 0) return errno;
  if (header_->capacity + kHeaderBytes > static_cast<std::uint64_t>(information.st_size)) return EINVAL;
  void* memory = mmap(nullptr, header_->capacity, PROT_READ | PROT_WRITE, MAP_SHARED, descriptors_[0], kHeaderBytes);
  if (memory == MAP_FAILED) return errno;
  if (ring_ != nullptr) munmap(ring_, mapped_);
  ring_ = static_cast<char*>(memory);
  mapped_ = header_->capacity;
  return 0;
}

void ProcessQueue::copy_in(std::uint64_t at, const void* bytes, std::size_t count) noexcept {
  at %= mapped_;
  const std::size_t first = std::min<std::size_t>(count, mapped_ - at);
  std::memcpy(ring_ + at, bytes, first);
  std::memcpy(ring_, static_cast<const char*>(bytes) + first, count - first);
}

void ProcessQueue::copy_out(std::uint64_t at, void* bytes, std::size_t count) const noexcept {
  at %= mapped_;
  const std::size_t first = std::min<std::size_t>(count, mapped_ - at);
  std::memcpy(bytes, ring_ + at, first);
  std::memcpy(static_cast<char*>(bytes) + first, ring_, count - first);
}

// Doubles the ring until `needed` bytes fit: what wraps around is moved behind the old end.
int ProcessQueue::grow(std::uint64_t needed) noexcept {
  const std::uint64_t old = header_->capacity;
  std::uint64_t larger = old;
  while (larger < needed) larger *= 2;
  if (ftruncate(descriptors_[0], static_cast<off_t>(kHeaderBytes + larger)) != 0) return errno;
  header_->is_moving = 1;
  header_->capacity = larger;
  if (const int error = map_ring(); error != 0) {
    header_->capacity = old;
    header_->is_moving = 0;
    return error;
  }
  if (header_->head + header_->used > old) std::memcpy(ring_ + old, ring_, header_->head + header_->used - old);
  header_->is_moving = 0;
  return 0;
}

int ProcessQueue::push(std::string_view item) noexcept {
  const std::uint64_t size = item.size();
  int error = map_ring();
  if (error == 0 && header_->used + size + sizeof size > header_->capacity) error = grow(header_->used + size + sizeof size);
  if (error != 0) return error;
  const std::uint64_t end = header_->head + header_->used;
  copy_in(end, &size, sizeof size);
  if (size > 0) copy_in(end + sizeof size, item.data(), item.size());
  header_->is_moving = 1;
  header_->used += size + sizeof size;
  ++header_->count;
  header_->is_moving = 0;
  return 0;
}

int ProcessQueue::pop(std::string& item) {
  if (const int error = map_ring(); error != 0) return error;
  std::uint64_t size;
  if (header_->used < sizeof size) return EINVAL;
  copy_out(header_->head, &size, sizeof size);
  if (size > header_->used - sizeof size) return EINVAL;
  item.resize(size);
  if (size > 0) copy_out(header_->head + sizeof size, item.data(), size);
  header_->is_moving = 1;
  header_->head = (header_->head + size + sizeof size) % header_->capacity;
  header_->used -= size + sizeof size;
  --header_->count;
  header_->is_moving = 0;
  return 0;
}

// --- the class ---------------------------------------------------------------------------------------------------------------

struct Block {
  ProcessQueue* queue;
};

ProcessQueue& check_queue(NativeCall& call) { return *static_cast<Block*>(call.check_userdata(1, kQueueClass))->queue; }

class Locked {
 public:
  // Raises: "the queue is broken".
  Locked(ThreadState& thread, ProcessQueue& queue) : header_(queue.header()) {
    LockOutcome outcome = header_.mutex.try_lock();
    if (outcome == LockOutcome::kBusy) {
      host::Blocking released(thread, "process.queue");
      outcome = header_.mutex.lock();
    }
    if (outcome == LockOutcome::kOwnerDied && header_.is_moving != 0) header_.is_broken = 1;
    const bool is_locked = outcome != LockOutcome::kFailed;
    if (is_locked && header_.is_broken == 0) return;
    if (is_locked) header_.mutex.unlock();
    vm::raise_text(thread, "the queue was broken by a process that died");
  }
  ~Locked() { header_.mutex.unlock(); }
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;

 private:
  Header& header_;
};

// Counts itself among those who wait, until the end of the scope.
class Waiting {
 public:
  Waiting(ThreadState& thread, ProcessQueue& queue, std::uint32_t Header::*count) noexcept
      : thread_(thread), queue_(queue), count_(count) {
    ++(queue.header().*count);  // locked by the caller
  }
  ~Waiting() {
    try {
      const Locked locked(thread_, queue_);
      if (queue_.header().*count_ > 0) --(queue_.header().*count_);
    } catch (const ScriptError&) {  // broken: the next operation says so
    }
  }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

 private:
  ThreadState& thread_;
  ProcessQueue& queue_;
  std::uint32_t Header::*count_;
};

bool wait_for_alarm(ThreadState& thread, int descriptor, std::int64_t deadline, const char* what) {
  int refusal = 0;
  const auto result = loop::EventLoop::of(thread).wait_for(thread, descriptor, loop::Direction::kRead, deadline, what, &refusal);
  if (refusal != 0) raise(ErrorId::kMemory);
  return result == sched::WaitResult::kReady;
}

enum class Put : std::uint8_t { kDone, kFull, kClosed };

// Puts the message if there is room; else, if `waiting` is given, counts the caller among those who wait.
Put try_put(NativeCall& call, ProcessQueue& queue, std::string_view item, std::unique_ptr<Waiting>* waiting) {
  bool alarms = false;
  {
    const Locked locked(call.thread(), queue);
    Header& header = queue.header();
    if (header.is_closed != 0) return Put::kClosed;
    if (header.count >= header.max) {
      if (waiting != nullptr) *waiting = std::make_unique<Waiting>(call.thread(), queue, &Header::putters);
      return Put::kFull;
    }
    if (const int error = queue.push(item); error != 0) call.error("cannot put: %s", std::strerror(error));
    alarms = header.getters > 0;
  }
  if (alarms) queue.alarm_getters();
  return Put::kDone;
}

void encode_item(NativeCall& call, host::Message& message) {
  if (call.none_or_nil(2)) call.argument_error(2, "cannot put nil");
  encode_arguments(call, 2, 2, {"value", false, true}, message);
  if (!message.descriptors.empty()) call.error("a queue cannot carry shared memory or queues; send them through a channel");
}

int queue_put(NativeCall& call) {
  ProcessQueue& queue = check_queue(call);
  const std::int64_t deadline = timeout_argument(call, 3);
  host::Message message;
  encode_item(call, message);
  sched::before_wait(call.thread());
  for (;;) {
    std::unique_ptr<Waiting> waiting;
    const Put put = try_put(call, queue, message.bytes.view(), &waiting);
    if (put == Put::kClosed) call.error("the queue is closed");
    if (put == Put::kDone) return call.result(Value::boolean(true));
    if (!wait_for_alarm(call.thread(), queue.room_descriptor(), deadline, "queue.put")) return timeout_result(call);
  }
}

int queue_try_put(NativeCall& call) {
  ProcessQueue& queue = check_queue(call);
  host::Message message;
  encode_item(call, message);
  const Put put = try_put(call, queue, message.bytes.view(), nullptr);
  if (put == Put::kClosed) call.error("the queue is closed");
  if (put == Put::kDone) return call.result(Value::boolean(true));
  call.push(Value());
  call.push_string("full");
  return 2;
}

enum class Got : std::uint8_t { kItem, kEmpty, kClosed };

Got try_get(NativeCall& call, ProcessQueue& queue, std::string& item, std::unique_ptr<Waiting>* waiting) {
  bool alarms = false;
  {
    const Locked locked(call.thread(), queue);
    Header& header = queue.header();
    if (header.count == 0) {
      if (header.is_closed != 0) return Got::kClosed;
      if (waiting != nullptr) *waiting = std::make_unique<Waiting>(call.thread(), queue, &Header::getters);
      return Got::kEmpty;
    }
    if (const int error = queue.pop(item); error != 0) call.error("cannot get: %s", std::strerror(error));
    alarms = header.putters > 0;
  }
  if (alarms) queue.alarm_putters();
  return Got::kItem;
}

int push_item(NativeCall& call, const std::string& item) {
  std::vector<int> none;
  std::string problem;
  const int count = host::decode_bytes(call.thread(), item, none, host::GlobalsPolicy::kKeep, problem);
  if (count < 0) call.error("%s", problem.c_str());
  return count;
}

int get_from(NativeCall& call, ProcessQueue& queue, std::int64_t deadline) {
  sched::before_wait(call.thread());
  std::string item;
  for (;;) {
    std::unique_ptr<Waiting> waiting;
    const Got got = try_get(call, queue, item, &waiting);
    if (got == Got::kItem) return push_item(call, item);
    if (got == Got::kClosed) {
      call.push(Value());
      call.push_string("closed");
      return 2;
    }
    if (!wait_for_alarm(call.thread(), queue.items_descriptor(), deadline, "queue.get")) return timeout_result(call);
  }
}

int queue_get(NativeCall& call) { return get_from(call, check_queue(call), timeout_argument(call, 2)); }

int queue_try_get(NativeCall& call) {
  ProcessQueue& queue = check_queue(call);
  std::string item;
  const Got got = try_get(call, queue, item, nullptr);
  if (got == Got::kItem) return push_item(call, item);
  call.push(Value());
  call.push_string(got == Got::kClosed ? "closed" : "empty");
  return 2;
}

int queue_close(NativeCall& call) {
  ProcessQueue& queue = check_queue(call);
  {
    const Locked locked(call.thread(), queue);
    queue.header().is_closed = 1;
  }
  queue.alarm_getters();
  queue.alarm_putters();
  return call.result(Value::boolean(true));
}

int queue_length(NativeCall& call) {
  ProcessQueue& queue = check_queue(call);
  const Locked locked(call.thread(), queue);
  return call.result(Value::from(static_cast<std::int64_t>(queue.header().count)));
}

// Upvalue 1: the queue.
int next_item(NativeCall& call) {
  const Value subject = call.upvalue(1);
  call.push(subject);
  const int count = get_from(call, *static_cast<Block*>(subject.userdata()->block())->queue, kNoDeadline);
  return count == 2 ? call.result(Value()) : count;
}
constexpr NativeInfo kNext = {"iter", "iter()", "The next item, or nil.", next_item};

int queue_iter(NativeCall& call) {
  (void)check_queue(call);
  const Value next = native::make(call.thread(), &kNext, 1);
  next.native()->upvalues()[0] = call.arg(1);
  return call.result(next);
}

// Field max, else methods (upvalue 1).
int queue_index(NativeCall& call) {
  ProcessQueue& queue = check_queue(call);
  const Value key = call.arg(2);
  if (key.is_string() && key.string()->view() == "max") {
    const std::uint64_t max = queue.header().max;
    return call.result(max == kUnlimited ? Value() : Value::from(static_cast<std::int64_t>(max)));
  }
  return call.result(*table::get(call.upvalue(1).table(), key));
}

const NativeInfo kMethods[] = {
    {"close", "ProcessQueue:close() -> boolean",
     "Takes no more values; what is in it can still be got.",
     queue_close},
    {"get", "ProcessQueue:get(timeout?: number) -> any",
     "The oldest value, waited for; nil, \"closed\" when none can come any more; nil, \"timeout\", \"ETIMEDOUT\" when "
     "late.\n"
     "Waits: parks the task.",
     queue_get},
    {"iter", "ProcessQueue:iter() -> function",
     "An iterator over the values until it is closed and empty.\n"
     "Waits: each step parks the task.",
     queue_iter},
    {"put", "ProcessQueue:put(value: any, timeout?: number) -> boolean?",
     "Puts a copy of a value behind the others, waiting for room; nil, \"timeout\", \"ETIMEDOUT\" when late.\n"
     "Raises: \"the queue is closed\"; what cannot travel, with its path.\n"
     "Waits: parks the task.",
     queue_put},
    {"try_get", "ProcessQueue:try_get() -> any, string",
     "The oldest value, or nil and \"empty\" or \"closed\"; it does not wait.",
     queue_try_get},
    {"try_put", "ProcessQueue:try_put(value: any) -> boolean?, string",
     "True, or nil, \"full\"; it does not wait.",
     queue_try_put},
    {nullptr, nullptr, nullptr, nullptr},
};
constexpr NativeInfo kIndex = {"__index", "queue[key]", "Field max, and the methods of a queue.", queue_index};
constexpr NativeInfo kClose = {"__close", "queue:__close()", "The same as close.", queue_close};
constexpr NativeInfo kLength = {"__len", "#queue", "How many items are in it.", queue_length};

const char* pack_queue(Userdata* object, std::string&, std::vector<int>& descriptors) {
  const ProcessQueue& queue = *static_cast<Block*>(object->block())->queue;
  for (int i = 0; i < 3; ++i) {
    const int copy = fcntl(queue.descriptors()[i], F_DUPFD_CLOEXEC, 3);
    if (copy < 0) return "a queue for which there is no descriptor left";
    descriptors.push_back(copy);
  }
  return nullptr;
}

Table* queue_metatable(ThreadState& thread);

Value make_queue(ThreadState& thread, std::unique_ptr<ProcessQueue> queue) {
  Userdata* handle = userdata::make(thread.heap(), sizeof(Block));
  static_cast<Block*>(handle->block())->queue = queue.release();
  handle->release = [](void* block) noexcept { delete static_cast<Block*>(block)->queue; };
  handle->metatable = queue_metatable(thread);
  return Value::of(handle);
}

Value unpack_queue(ThreadState& thread, std::string_view bytes, std::vector<int>& descriptors, std::size_t& next) {
  if (!bytes.empty() || descriptors.size() < 3 || next > descriptors.size() - 3) return Value();
  int taken[3];
  for (int& descriptor : taken) {
    descriptor = descriptors[next];
    descriptors[next++] = -1;
  }
  auto queue = std::make_unique<ProcessQueue>(thread.shared);
  if (!queue->attach(taken)) return Value();
  return make_queue(thread, std::move(queue));
}

constexpr host::Traveller kTraveller = {kQueueClass, pack_queue, unpack_queue};

Table* queue_metatable(ThreadState& thread) {
  bool created = false;
  Table* metatable = native::class_metatable(thread, kQueueClass, &created);
  if (!created) return metatable;
  Table* methods = table::make(thread.heap());
  native::add_functions(thread, methods, kMethods);
  const Value index = native::make(thread, &kIndex, 1);
  index.native()->upvalues()[0] = Value::of(methods);
  native::set_field(thread, metatable, "__index", index);
  native::set_field(thread, metatable, "__len", native::make(thread, &kLength));
  native::set_field(thread, metatable, "__close", native::make(thread, &kClose));
  host::add_traveller(thread, metatable, kTraveller);
  return metatable;
}

}  // namespace

void register_queue(ThreadState& thread) { (void)queue_metatable(thread); }

int process_queue(NativeCall& call) {
  std::uint64_t max = kUnlimited;
  if (!call.none_or_nil(1) && !(call.arg(1).is_float() && std::isinf(call.arg(1).number))) {
    const std::int64_t given = call.check_integer(1);
    if (given < 1) call.argument_error(1, "must be at least 1");
    max = static_cast<std::uint64_t>(given);
  }
  auto queue = std::make_unique<ProcessQueue>(call.shared());
  if (const int error = queue->make(max); error != 0) return call.failure_named(error, "");
  return call.result(make_queue(call.thread(), std::move(queue)));
}

}  // namespace baton::stdlib
