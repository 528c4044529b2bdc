// Open files. Reads and writes are jobs with a share of the descriptor, so closing a file never takes it away from a job that
// runs; the position is ours (pread, pwrite), except in what cannot be positioned.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "fs_job.h"
#include "stream.h"
#include "vm/operations.h"

namespace baton::stdlib {
namespace {

constexpr const char* kFileClass = "File";
constexpr std::size_t kBlock = 65536;

struct OpenFile {
  int descriptor = -1;
  bool seekable = false;
  ~OpenFile() {
    if (descriptor >= 0) ::close(descriptor);
  }
};

struct ReadBlock {
  std::shared_ptr<OpenFile> file;
  std::int64_t position;
  std::size_t count;
  std::string bytes;

  int run() noexcept try {
    bytes.resize(count);
    ssize_t got;
    do got = file->seekable ? pread(file->descriptor, bytes.data(), count, position) : ::read(file->descriptor, bytes.data(), count);
    while (got < 0 && errno == EINTR);
    if (got < 0) return errno;
    bytes.resize(static_cast<std::size_t>(got));
    return 0;
  } catch (const std::bad_alloc&) {
    return ENOMEM;
  }
};

struct WriteBlock {
  std::shared_ptr<OpenFile> file;
  std::int64_t position;
  bool appends;
  std::string bytes;

  int run() noexcept {
    std::string_view rest = bytes;
    if (!file->seekable || appends) return write_fully(file->descriptor, rest);
    while (!rest.empty()) {
      const ssize_t written = pwrite(file->descriptor, rest.data(), rest.size(), position);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return errno;
      position += written;
      rest.remove_prefix(static_cast<std::size_t>(written));
    }
    return 0;
  }
};

struct Flush {
  std::shared_ptr<OpenFile> file;
  int run() noexcept { return fsync(file->descriptor) == 0 || errno == EINVAL ? 0 : errno; }
};

struct Size {
  std::shared_ptr<OpenFile> file;
  std::int64_t size;
  int run() noexcept {
    struct stat information;
    if (fstat(file->descriptor, &information) != 0) return errno;
    size = information.st_size;
    return 0;
  }
};

class FileStream final : public ByteStream {
 public:
  FileStream(std::shared_ptr<OpenFile> file, bool appends) noexcept : file_(std::move(file)), appends_(appends) {}

  bool fill(ThreadState& thread) override {
    error_ = file_ == nullptr ? EBADF : 0;
    if (error_ != 0) return false;
    const std::int64_t at = position_;
    const auto job = run_file_job<ReadBlock>(thread, "file.read", file_, at, kBlock);
    error_ = job->error;
    if (error_ != 0 || job->state.bytes.empty()) return false;
    if (at != position_) return fill(thread);  // another task has read or moved meanwhile
    position_ += static_cast<std::int64_t>(job->state.bytes.size());
    buffer_.append(job->state.bytes);
    return true;
  }

  int write(ThreadState& thread, std::string_view bytes) override {
    if (file_ == nullptr) return EBADF;
    const std::int64_t at = logical_position();
    const auto size = static_cast<std::int64_t>(bytes.size());
    move_to(at + size);
    const auto job = run_file_job<WriteBlock>(thread, "file.write", file_, at, appends_, std::string(bytes));
    // What a full disk did not take leaves no hole: the next write goes on behind what it took.
    if (job->error != 0 && logical_position() == at + size) move_to(job->state.position);
    return job->error;
  }

  int shut_down(ThreadState&) override { return ENOTSOCK; }
  void close(ThreadState*) noexcept override { file_.reset(); }
  bool is_closed() const noexcept override { return file_ == nullptr; }

  const std::shared_ptr<OpenFile>& file() const noexcept { return file_; }
  // Where the next read of the script begins.
  std::int64_t logical_position() const noexcept { return position_ - static_cast<std::int64_t>(buffered().size()); }
  void move_to(std::int64_t position) noexcept {
    consume(buffered().size());
    position_ = position;
  }

 private:
  std::shared_ptr<OpenFile> file_;
  bool appends_;
  std::int64_t position_ = 0;  // behind what is buffered
};

FileStream& any_file(NativeCall& call) { return **static_cast<FileStream**>(call.check_userdata(1, kFileClass)); }

FileStream& check_file(NativeCall& call) {
  FileStream& file = any_file(call);
  if (file.is_closed()) call.error("attempt to use a closed file");
  return file;
}

int file_read(NativeCall& call) { return read_stream_formats(call, check_file(call), 2, call.count()); }
int file_write(NativeCall& call) { return write_arguments(call, check_file(call)); }

int file_lines(NativeCall& call) {
  (void)check_file(call);
  return push_stream_iterator(call, 0);
}

int file_chunks(NativeCall& call) {
  (void)check_file(call);
  const std::int64_t size = call.optional_integer(2, kBlock);
  if (size < 1) call.argument_error(2, "must be at least 1");
  return push_stream_iterator(call, static_cast<std::size_t>(size));
}

int file_seek(NativeCall& call) {
  static constexpr const char* kWhence[] = {"set", "cur", "end", nullptr};
  FileStream& file = check_file(call);
  const int whence = call.check_option(2, "cur", kWhence);
  const std::int64_t offset = call.optional_integer(3, 0);
  if (!file.file()->seekable) return call.failure_named(ESPIPE, "");
  std::int64_t base = whence == 1 ? file.logical_position() : 0;
  if (whence == 2) {
    const auto job = run_file_job<Size>(call.thread(), "file.seek", file.file());
    if (job->error != 0) return call.failure_named(job->error, "");
    base = job->state.size;
  }
  if (base + offset < 0) return call.failure_named(EINVAL, "");
  if (base + offset != file.logical_position()) file.move_to(base + offset);
  return call.result(Value::from(base + offset));
}

int file_flush(NativeCall& call) {
  const auto job = run_file_job<Flush>(call.thread(), "file.flush", check_file(call).file());
  return job->error != 0 ? call.failure_named(job->error, "") : call.result(Value::boolean(true));
}

int file_close(NativeCall& call) {
  any_file(call).close(&call.thread());
  return call.result(Value::boolean(true));
}

const NativeInfo kMethods[] = {
    {"chunks", "File:chunks(n?: integer) -> function",
     "A closable iterator over pieces of n (65536) bytes; the last may be shorter.\n"
     "Raises: a message if reading fails.",
     file_chunks},
    {"close", "File:close() -> boolean?",
     "Closes it; later calls do nothing.\n"
     "Fails: nil, message, code.\n"
     "Waits: parks the task.",
     file_close},
    {"flush", "File:flush() -> boolean?",
     "What was written is on the disk when it returns.\n"
     "Fails: nil, message, code.\n"
     "Waits: parks the task.",
     file_flush},
    {"lines", "File:lines() -> function",
     "A closable iterator over lines, without their ends.\n"
     "Raises: a message if reading fails.",
     file_lines},
    {"read", "File:read(...: string|integer) -> any ...",
     "Reads by the formats of io.read; after the end of the file it sees what was appended since.\n"
     "Fails: nil, message, code.\n"
     "Waits: parks the task.",
     file_read},
    {"seek", "File:seek(whence?: string, offset?: integer) -> integer?",
     "Moves to offset (0) bytes from \"set\", \"cur\" (the default) or \"end\"; returns the position from the start, "
     "0-based.\n"
     "Fails: nil, message, code.\n"
     "Waits: parks the task.",
     file_seek},
    {"write", "File:write(...: string|number) -> File?",
     "Writes strings and numbers.\n"
     "Fails: nil, message, code.\n"
     "Waits: parks the task.",
     file_write},
    {nullptr, nullptr, nullptr, nullptr},
};

const NativeInfo kMetamethods[] = {
    {"__close", "file:__close()", "Closes the file at the end of its scope.", file_close},
    {nullptr, nullptr, nullptr, nullptr},
};

Table* file_metatable(ThreadState& thread) {
  return native::class_with_methods(thread, kFileClass, kMethods, kMetamethods);
}

struct Open {
  std::string path;
  int flags;
  std::shared_ptr<OpenFile> file;

  int run() noexcept try {
    file = std::make_shared<OpenFile>();
    do file->descriptor = ::open(path.c_str(), flags | O_CLOEXEC, 0666);
    while (file->descriptor < 0 && errno == EINTR);
    if (file->descriptor < 0) return errno;
    struct stat information;
    if (fstat(file->descriptor, &information) != 0) return errno;
    if (S_ISDIR(information.st_mode)) return EISDIR;
    file->seekable = S_ISREG(information.st_mode) || S_ISBLK(information.st_mode);
    return 0;
  } catch (const std::bad_alloc&) {
    return ENOMEM;
  }
};

// Returns: -1 if it is no mode of io.open.
int flags_of(std::string_view mode) noexcept {
  const char kind = mode.empty() ? '\0' : mode[0];
  std::string_view rest = mode.substr(mode.empty() ? 0 : 1);
  const bool both = !rest.empty() && rest[0] == '+';
  if (both) rest.remove_prefix(1);
  if (rest == "b") rest.remove_prefix(1);
  if (!rest.empty()) return -1;
  const int access = both ? O_RDWR : kind == 'r' ? O_RDONLY : O_WRONLY;
  switch (kind) {
    case 'r': return access;
    case 'w': return access | O_CREAT | O_TRUNC;
    case 'a': return access | O_CREAT | O_APPEND;
    default: return -1;
  }
}

}  // namespace

int fs_open(NativeCall& call) {
  const std::string path = path_argument(call, 1);
  const int flags = flags_of(call.optional_text(2, "r"));
  if (flags < 0) call.argument_error(2, "invalid mode");
  const auto job = run_file_job<Open>(call.thread(), "fs.open", path, flags);
  if (job->error != 0) return call.failure_named(job->error, path);
  auto stream = std::make_unique<FileStream>(job->state.file, (flags & O_APPEND) != 0);
  stream->birthplace().note(call);
  Userdata* handle = userdata::make(call.heap(), sizeof(FileStream*));
  call.push(Value::of(handle));
  // As the class Stream: a ByteStream*, so that both share their iterators.
  *static_cast<FileStream**>(handle->block()) = stream.release();
  handle->release = [](void* block) noexcept {
    FileStream* owned = *static_cast<FileStream**>(block);
    if (!owned->is_closed()) owned->birthplace().complain("File");
    delete owned;
  };
  handle->metatable = file_metatable(call.thread());
  return 1;
}

}  // namespace baton::stdlib
