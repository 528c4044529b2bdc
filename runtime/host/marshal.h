// Values as bytes, for other processes and other runtimes: what process.worker, process.pool and process.queue send.
//
// Invariants
//  - A message is a snapshot: encoding reaches no safepoint, so nobody changes what is being encoded.
//  - Values of one message share what they shared before (tables, strings, functions, upvalues), cycles included.
//  - Decoding trusts nothing: whatever the bytes are, it ends with values or a refusal, and allocates no more than in
//    proportion to them. It may call `require`, collect and be cancelled.
//  - Descriptors travel beside the bytes; a message owns the ones in it.
// The format and its reasons: marshal_format.h. Owner: the caller. Threading: under the GIL.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "value/userdata.h"
#include "vm/thread_state.h"

namespace baton::host {

// Bytes that grow; cheaper to append to than a string.
class ByteBuffer {
 public:
  ByteBuffer() noexcept = default;
  ~ByteBuffer();
  ByteBuffer(ByteBuffer&& other) noexcept;
  ByteBuffer& operator=(ByteBuffer&& other) noexcept;

  std::string_view view() const noexcept { return {data_, size_}; }
  std::size_t size() const noexcept { return size_; }
  char* data() noexcept { return data_; }
  void clear() noexcept { size_ = 0; }
  // Room for `bytes` more behind the end; `end()` and `advance` use it. Raises: std::bad_alloc.
  void reserve(std::size_t bytes) {
    if (BATON_UNLIKELY(capacity_ - size_ < bytes)) grow(bytes);
  }
  char* end() noexcept { return data_ + size_; }
  void advance(std::size_t bytes) noexcept { size_ += bytes; }
  void append(std::string_view bytes) {
    reserve(bytes.size());
    if (!bytes.empty()) __builtin_memcpy(end(), bytes.data(), bytes.size());
    size_ += bytes.size();
  }

 private:
  void grow(std::size_t bytes);
  char* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

struct Message {
  ByteBuffer bytes;
  std::vector<int> descriptors;

  Message() noexcept = default;
  ~Message();  // closes the descriptors
  Message(Message&&) noexcept = default;
  Message& operator=(Message&& other) noexcept;
};

// A class of userdata that can travel. Its metatable's field kTravellerField is a light userdata that points to one of these,
// and so is the field `class_name` of the registry's table kTravellersKey.
struct Traveller {
  const char* class_name;
  // Appends what describes the object; descriptors are duplicated. Returns: null, or why it cannot travel now.
  const char* (*pack)(Userdata* object, std::string& bytes, std::vector<int>& descriptors);
  // The object's twin, or nil if the description is none. Takes descriptors out of the list from `next` on, which it closes
  // or keeps (-1 is left in its place). Raises: kMemory.
  Value (*unpack)(ThreadState& thread, std::string_view bytes, std::vector<int>& descriptors, std::size_t& next);
};
inline constexpr const char* kTravellerField = "__traveller";
inline constexpr const char* kTravellersKey = "_TRAVELLERS";

// Makes the class of `metatable` one that travels. Raises: kMemory.
void add_traveller(ThreadState& thread, Table* metatable, const Traveller& traveller);

// How the values of a message are called in a refusal: "argument 2.list[3] is a Stream".
struct MessageNames {
  const char* what;                // "argument", "result", "value"
  bool first_is_function = false;  // the first value is the function itself; its upvalues stand at the path's beginning
  bool is_single = false;          // no number behind `what`
};

// Encodes `count` values that start at slot `first` (0-based from the running coroutine's stack). Returns: false if one cannot
// travel; `refusal` then says which and why. Raises: kMemory, std::bad_alloc.
bool encode(ThreadState& thread, const Value* values, int count, const MessageNames& names, Message& message,
            std::string& refusal);

enum class GlobalsPolicy : std::uint8_t { kDefine, kKeep };  // what happens to a global that exists here already

// Pushes the values of a message on the running coroutine's stack. Returns: their number, or -1 with the reason in `problem`.
// Raises: kMemory, what a module raises that must be loaded, cancellations.
int decode(ThreadState& thread, Message& message, GlobalsPolicy policy, std::string& problem);

// The same for bytes that somebody else keeps.
int decode_bytes(ThreadState& thread, std::string_view bytes, std::vector<int>& descriptors, GlobalsPolicy policy,
                 std::string& problem);

}  // namespace baton::host
