// The class Stream: reading by formats from a buffer that a ByteStream fills, and the methods that stand on it.
#include "stream.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>

#include "base/number.h"
#include "vm/operations.h"
#include "vm/safepoint.h"
#include "vm/string_builder.h"

namespace baton::stdlib {

int ByteStream::peer(std::string*, int*) const { return ENOTSOCK; }

void ByteStream::consume(std::size_t count) noexcept {
  start_ += count;
  if (start_ == buffer_.size()) {
    buffer_.clear();
    start_ = 0;
  } else if (start_ > 65536 && start_ > buffer_.size() / 2) {
    buffer_.remove_front(start_);
    start_ = 0;
  }
}

ByteBuffer ByteStream::detach(std::size_t count) {
  ByteBuffer rest;
  rest.append(buffered().substr(count));
  ByteBuffer result = std::move(buffer_);
  result.truncate(start_ + count);
  buffer_ = std::move(rest);
  start_ = 0;
  return result;
}

void ByteStream::attach(ByteBuffer detached, std::size_t count) {
  const std::size_t start = detached.size() - count;
  detached.append(buffered());
  buffer_ = std::move(detached);
  start_ = start;
}

namespace {

// A long text is copied in pieces with polls between them; another task may read from the stream then.
void take_much(NativeCall& call, ByteStream& stream, std::size_t count, std::size_t drop) {
  ByteBuffer bytes = stream.detach(count + drop);
  try {
    call.push(Value::of(call.make_string(bytes.view().substr(bytes.size() - count - drop, count))));
  } catch (...) {
    stream.attach(std::move(bytes), count + drop);
    throw;
  }
}

// Takes the first `count` bytes of the buffer as a string onto the window, and drops the next ones.
void take(NativeCall& call, ByteStream& stream, std::size_t count, std::size_t drop = 0) {
  const bool is_most = count >= stream.buffered().size() / 2;  // taking it out moves the rest
  if (count > vm::kPieceBytes && is_most) return take_much(call, stream, count, drop);
  call.push(Value::of(string::make(call.heap(), stream.buffered().substr(0, count))));
  stream.consume(count + drop);
}

bool read_line(NativeCall& call, ByteStream& stream, bool keep_end) {
  std::size_t searched = 0;
  for (;;) {
    const std::string_view ready = stream.buffered();
    const std::size_t from = std::min(searched, ready.size());
    const std::size_t end = ready.find('\n', from);
    if (end != std::string_view::npos) {
      if (keep_end) take(call, stream, end + 1);
      else take(call, stream, end, 1);
      return true;
    }
    searched = ready.size();
    if (!stream.fill(call.thread())) break;
  }
  const std::size_t rest = stream.error() == 0 ? stream.buffered().size() : 0;
  if (rest == 0) return false;
  take(call, stream, rest);
  return true;
}

bool read_count(NativeCall& call, ByteStream& stream, std::size_t count) {
  while (stream.buffered().size() < count) {
    if (!stream.fill(call.thread())) break;
  }
  const std::size_t got = std::min(count, stream.buffered().size());
  if (got == 0 && (count > 0 || stream.error() != 0)) return false;
  if (got < count && stream.error() != 0) return false;
  take(call, stream, got);
  return true;
}

// Format 0: "" unless at the end.
bool at_data(NativeCall& call, ByteStream& stream) {
  if (stream.buffered().empty() && !stream.fill(call.thread())) return false;
  call.push_string("");
  return true;
}

bool read_all(NativeCall& call, ByteStream& stream) {
  while (stream.fill(call.thread())) vm::poll(call.thread());
  if (stream.error() != 0) return false;
  take(call, stream, stream.buffered().size());
  return true;
}

// The longest prefix that may be a numeral, at most 200 bytes, as the manual says of format "n".
bool read_number(NativeCall& call, ByteStream& stream) {
  const auto byte = [&](std::size_t i) -> int {
    while (stream.buffered().size() <= i) {
      if (!stream.fill(call.thread())) return -1;
    }
    return static_cast<unsigned char>(stream.buffered()[i]);
  };
  std::size_t skip = 0;
  while (byte(skip) >= 0 && std::isspace(byte(skip))) ++skip;
  std::size_t at = skip;
  const auto accept = [&](const char* set) {
    const int c = byte(at);
    if (c < 0 || c == 0 || std::strchr(set, c) == nullptr || at - skip >= 200) return false;
    ++at;
    return true;
  };
  const auto digits = [&](bool hex) {
    int count = 0;
    while (at - skip < 200 && byte(at) >= 0 && (hex ? std::isxdigit(byte(at)) : std::isdigit(byte(at)))) ++at, ++count;
    return count;
  };
  (void)accept("+-");
  bool hex = false;
  int count = 0;
  if (accept("0")) {
    if (accept("xX")) hex = true;
    else count = 1;
  }
  count += digits(hex);
  if (accept(".")) count += digits(hex);
  if (count > 0 && accept(hex ? "pP" : "eE")) {
    (void)accept("+-");
    (void)digits(false);
  }
  const std::string text(stream.buffered().substr(skip, at - skip));
  stream.consume(at);
  call.push(Value::of(string::make(call.heap(), text)));
  Value number;
  const bool fine = vm::to_number(call.pop(), number);
  if (!fine) return false;
  call.push(number);
  return true;
}

bool read_by(NativeCall& call, ByteStream& stream, int i) {
  const Value format = call.arg(i);
  if (format.is_number()) {
    const std::int64_t count = call.check_integer(i);
    if (count < 0) call.argument_error(i, "negative count");
    return count == 0 ? at_data(call, stream) : read_count(call, stream, static_cast<std::size_t>(count));
  }
  std::string_view text = call.check_text(i);
  if (!text.empty() && text[0] == '*') text.remove_prefix(1);
  switch (text.empty() ? '\0' : text[0]) {
    case 'l': return read_line(call, stream, false);
    case 'L': return read_line(call, stream, true);
    case 'n': return read_number(call, stream);
    case 'a': return read_all(call, stream);
    default: call.argument_error(i, "invalid format");
  }
}

}  // namespace

int read_stream_formats(NativeCall& call, ByteStream& stream, int first, int last) {
  const int before = call.size();
  bool fine = true;
  if (first > last) fine = read_line(call, stream, false);
  for (int i = first; fine && i <= last; ++i) fine = read_by(call, stream, i);
  if (fine) return call.size() - before;
  if (stream.error() != 0) return stream.push_failure(call, stream.error());
  call.push(Value());
  return call.size() - before;
}

int read_some(NativeCall& call, ByteStream& stream, std::size_t most) {
  if (stream.buffered().empty() && !stream.fill(call.thread())) {
    if (stream.error() != 0) return stream.push_failure(call, stream.error());
    return call.result(Value());
  }
  take(call, stream, std::min(most, stream.buffered().size()));
  return 1;
}

int write_arguments(NativeCall& call, ByteStream& stream) {
  for (int i = 2; i <= call.count(); ++i) (void)call.check_string(i);  // all, before the first is written
  int error = 0;
  if (call.count() == 2) {
    error = stream.write(call.thread(), call.arg(2).string()->view());
  } else {
    StringBuilder bytes(call.thread());
    for (int i = 2; i <= call.count(); ++i) bytes.append(call.arg(i).string()->view());
    error = stream.write(call.thread(), bytes.view());
  }
  return error != 0 ? stream.push_failure(call, error) : call.result(Value::boolean(true));
}

// --- the class -------------------------------------------------------------------------------------------------------------

namespace {

struct Block {
  ByteStream* stream;
};

ByteStream& any_stream(NativeCall& call) { return *static_cast<Block*>(call.check_userdata(1, kStreamClass))->stream; }

int stream_read(NativeCall& call) { return read_stream_formats(call, check_stream(call), 2, call.count()); }

int stream_read_some(NativeCall& call) {
  ByteStream& stream = check_stream(call);
  const std::int64_t most = call.optional_integer(2, 65536);
  if (most < 1) call.argument_error(2, "must be at least 1");
  return read_some(call, stream, static_cast<std::size_t>(most));
}

int stream_write(NativeCall& call) { return write_arguments(call, check_stream(call)); }

int stream_lines(NativeCall& call) {
  (void)check_stream(call);
  return push_stream_iterator(call, 0);
}

int stream_shutdown(NativeCall& call) {
  ByteStream& stream = check_stream(call);
  const int error = stream.shut_down(call.thread());
  return error != 0 ? stream.push_failure(call, error) : call.result(Value::boolean(true));
}

int stream_close(NativeCall& call) {
  any_stream(call).close(&call.thread());
  return call.result(Value::boolean(true));
}

int stream_peer(NativeCall& call) {
  std::string host;
  int port = 0;
  const int error = check_stream(call).peer(&host, &port);
  if (error != 0) return call.failure_named(error, "");
  call.push_string(host);
  if (port == 0) return 1;
  call.push(Value::from(std::int64_t{port}));
  return 2;
}

int stream_to_string(NativeCall& call) { return call.result_string(any_stream(call).is_closed() ? "Stream (closed)" : "Stream"); }

const NativeInfo kMethods[] = {
    {"close", "Stream:close() -> boolean",
     "Closes it; later calls do nothing.",
     stream_close},
    {"lines", "Stream:lines() -> function",
     "A closable iterator over lines, without their ends.\n"
     "Raises: a message if reading fails.\n"
     "Waits: each step parks the task.",
     stream_lines},
    {"peer", "Stream:peer() -> string?, integer",
     "Host and port of the other end.\n"
     "Fails: nil, message, code.",
     stream_peer},
    {"read", "Stream:read(...: string|integer) -> any ...",
     "Reads by the formats of io.read: \"l\", \"L\", \"n\", \"a\", a count; nil at the end.\n"
     "Fails: nil, message, code.\n"
     "Waits: parks the task.",
     stream_read},
    {"read_some", "Stream:read_some(max?: integer) -> string?",
     "What is there, at least one byte, at most max; waits if nothing is. nil at the end.\n"
     "Fails: nil, message, code.\n"
     "Waits: parks the task.",
     stream_read_some},
    {"shutdown", "Stream:shutdown() -> boolean?",
     "Nothing more will be written; the other end reads the end. Reading goes on.\n"
     "Fails: nil, message, code.",
     stream_shutdown},
    {"write", "Stream:write(...: string|number) -> boolean?",
     "Writes strings and numbers, unbuffered; waits while the other end does not read.\n"
     "Fails: nil, message, code (EPIPE when the other end has closed).\n"
     "Waits: parks the task.",
     stream_write},
    {nullptr, nullptr, nullptr, nullptr},
};

const NativeInfo kMetamethods[] = {
    {"__close", "stream:__close()", "Closes the stream at the end of its scope.", stream_close},
    {"__tostring", "tostring(stream)", "Whether it is closed.", stream_to_string},
    {nullptr, nullptr, nullptr, nullptr},
};

// --- iterators -------------------------------------------------------------------------------------------------------------

// One object that is called and closed. Closing it leaves the stream open: what is not read yet is for others.
constexpr const char* kIteratorClass = "StreamIterator";

struct Iteration {
  std::size_t chunk;  // bytes; 0: lines
};

// Reads the next piece. Returns: false at the end, or after a failure, which the stream tells.
bool read_piece(NativeCall& call, ByteStream& stream, std::size_t chunk) {
  if (chunk == 0) return read_line(call, stream, false);
  while (!stream.is_closed() && stream.buffered().size() < chunk && stream.fill(call.thread())) {
  }
  const std::size_t count = stream.error() == 0 ? std::min(chunk, stream.buffered().size()) : 0;
  if (count == 0) return false;
  take(call, stream, count);
  return true;
}

int next_piece(NativeCall& call) {
  const Iteration iteration = *static_cast<Iteration*>(call.check_userdata(1, kIteratorClass));
  const Value subject = call.arg(1).userdata()->user_values()[0];
  if (subject.is_nil()) return call.result(Value());
  auto& stream = *static_cast<Block*>(subject.userdata()->block())->stream;
  call.push(subject);
  if (stream.is_closed()) return call.result(Value());
  if (read_piece(call, stream, iteration.chunk)) return 1;
  if (stream.error() != 0) {
    (void)stream.push_failure(call, stream.error());
    vm::raise_text(call.thread(), call.slot(call.size() - 1).string()->view());
  }
  return call.result(Value());
}

int close_iterator(NativeCall& call) {
  (void)call.check_userdata(1, kIteratorClass);
  call.arg(1).userdata()->user_values()[0] = Value();
  return 0;
}

const NativeInfo kIteratorMethods[] = {
    {"close", "StreamIterator:close()",
     "Ends it; the stream stays open.",
     close_iterator},
    {nullptr, nullptr, nullptr, nullptr},
};

const NativeInfo kIteratorMetamethods[] = {
    {"__call", "iterator()", "The next piece, or nil at the end; raises what goes wrong.", next_piece},
    {"__close", "iterator:__close()", "Ends it; the stream stays open.", close_iterator},
    {nullptr, nullptr, nullptr, nullptr},
};

}  // namespace

ByteStream* test_stream(ThreadState& thread, const Value& v) {
  if (!v.is_userdata() || v.userdata()->metatable != stream_metatable(thread)) return nullptr;
  return static_cast<Block*>(v.userdata()->block())->stream;
}

ByteStream& check_stream(NativeCall& call) {
  ByteStream& stream = any_stream(call);
  if (stream.is_closed()) call.error("attempt to use a closed stream");
  return stream;
}

int push_stream_iterator(NativeCall& call, std::size_t chunk) {
  Table* metatable = native::class_with_methods(call.thread(), kIteratorClass, kIteratorMethods, kIteratorMetamethods);
  Userdata* iterator = userdata::make(call.heap(), sizeof(Iteration), 1);
  static_cast<Iteration*>(iterator->block())->chunk = chunk;
  iterator->user_values()[0] = call.arg(1);
  iterator->metatable = metatable;
  call.push(Value::of(iterator));
  call.push(Value());
  call.push(Value());
  call.push(Value::of(iterator));
  return 4;
}

Table* stream_metatable(ThreadState& thread) {
  return native::class_with_methods(thread, kStreamClass, kMethods, kMetamethods);
}

void push_stream(NativeCall& call, std::unique_ptr<ByteStream> stream, bool must_be_closed) {
  if (must_be_closed) stream->birthplace().note(call);
  Userdata* handle = userdata::make(call.heap(), sizeof(Block));
  call.push(Value::of(handle));
  static_cast<Block*>(handle->block())->stream = stream.release();
  handle->release = [](void* block) noexcept {
    ByteStream* owned = static_cast<Block*>(block)->stream;
    if (!owned->is_closed()) owned->birthplace().complain("Stream");
    owned->close(nullptr);
    delete owned;
  };
  handle->metatable = stream_metatable(call.thread());
}

}  // namespace baton::stdlib
