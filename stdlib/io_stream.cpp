#include "io_stream.h"

#include <cerrno>
#include <stdio_ext.h>
#include <sys/uio.h>

#include "host/blocking.h"

namespace baton::stdlib {
namespace {

// Whether `bytes` fit into the stream's buffer, so that writing them asks nothing of the system. A line-buffered stream
// writes at each line end, an unbuffered one (buffer of one byte) at once.
bool fits_buffer(std::FILE* stream, std::string_view bytes) {
  if (__fwriting(stream) == 0) return false;
  std::size_t room = __fbufsize(stream);
  if (__fpending(stream) + bytes.size() >= room) return false;
  return __flbf(stream) == 0 || bytes.find('\n') == std::string_view::npos;
}

constexpr std::size_t kLargestTry = 64 * 1024;  // more would hold the GIL for too long while it is copied

// Writes what the system takes without waiting. Two hand-overs of the GIL around a write that does not wait would cost more
// than the write, and let a computing thread take this thread's processor. Returns: how many bytes were written, maybe none.
std::size_t try_write(std::FILE* stream, std::string_view bytes) noexcept {
  const bool caches_position = stream->_offset >= 0;  // the C library would not notice that it moved
  if (caches_position || bytes.size() > kLargestTry) return 0;
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  const ssize_t written = pwritev2(fileno(stream), &part, 1, -1, RWF_NOWAIT);
  return written > 0 ? static_cast<std::size_t>(written) : 0;
}

}  // namespace

StreamLock::StreamLock(ThreadState& thread, std::FILE* stream) : stream_(stream) {
  if (ftrylockfile(stream) == 0) return;
  host::Blocking pause(thread, "file.lock");
  flockfile(stream);
}

bool write_stream(ThreadState& thread, std::FILE* stream, std::string_view bytes) {
  if (bytes.empty()) return true;
  if (fits_buffer(stream, bytes)) return fwrite_unlocked(bytes.data(), 1, bytes.size(), stream) == bytes.size();
  if (__fwriting(stream) != 0 && __fpending(stream) == 0) {
    bytes.remove_prefix(try_write(stream, bytes));
    if (bytes.empty()) return true;
  }
  host::Blocking pause(thread, "file.write");
  return fwrite_unlocked(bytes.data(), 1, bytes.size(), stream) == bytes.size();
}

bool flush_stream(ThreadState& thread, std::FILE* stream) {
  if (__fpending(stream) == 0) return fflush_unlocked(stream) == 0;
  stream->_IO_write_base += try_write(stream, {stream->_IO_write_base, __fpending(stream)});
  if (__fpending(stream) == 0) return fflush_unlocked(stream) == 0;
  host::Blocking pause(thread, "file.flush");
  return fflush_unlocked(stream) == 0;
}

std::string_view buffered_input(std::FILE* stream) noexcept {
  // The C library's own reading window: the standard offers no way to ask how much a read may take without blocking.
  const char* first = stream->_IO_read_ptr;
  const char* last = stream->_IO_read_end;
  if (first == nullptr || first >= last) return {};
  return {first, static_cast<std::size_t>(last - first)};
}

bool fill_stream(ThreadState& thread, std::FILE* stream) {
  if (!buffered_input(stream).empty()) return true;
  host::Blocking pause(thread, "file.read");
  int byte = getc_unlocked(stream);
  if (byte == EOF) return false;
  std::ungetc(byte, stream);
  return true;
}

}  // namespace baton::stdlib
