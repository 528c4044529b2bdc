// File handles: their life, their methods, and the iterators over lines.
#include "io_file.h"

#include <cerrno>
#include <cstdio>

#include "base/number.h"
#include "host/blocking.h"
#include "io_read.h"
#include "process_result.h"
#include "vm/operations.h"

namespace baton::stdlib {

IoFile& check_handle(NativeCall& call, int i) { return *static_cast<IoFile*>(call.check_userdata(i, kFileClass)); }

IoFile& check_open_file(NativeCall& call, int i) {
  IoFile& file = check_handle(call, i);
  if (file.is_closed()) call.error("attempt to use a closed file");
  return file;
}

IoFile& push_handle(NativeCall& call) {
  Table* metatable = file_metatable(call.thread());
  Userdata* handle = userdata::make(call.heap(), sizeof(IoFile));
  call.push(Value::of(handle));
  vm::set_metatable(call.thread(), Value::of(handle), metatable);
  return *static_cast<IoFile*>(handle->block());
}

int outcome(NativeCall& call, bool fine, const char* what) {
  int error_number = errno;
  return fine ? call.result(Value::boolean(true)) : call.failure(error_number, what);
}

int close_stream(NativeCall& call, IoFile& file) {
  bool fine;
  {
    host::Blocking pause(call.thread(), "file.close");
    fine = std::fclose(file.stream) == 0;
  }
  return outcome(call, fine);
}

int close_command(NativeCall& call, IoFile& file) {
  int status, error_number;
  {
    host::Blocking pause(call.thread(), "popen.close");
    errno = 0;
    status = pclose(file.stream);
    error_number = errno;
  }
  return process_result(call, status, error_number);
}

int refuse_to_close(NativeCall& call, IoFile& file) {
  file.close = refuse_to_close;  // stays open
  call.push(Value());
  call.push_string("cannot close standard file");
  return 2;
}

int close_file(NativeCall& call, IoFile& file) {
  if (file.users > 0) return call.failure(EBUSY, "");
  auto close = file.close;
  file.close = nullptr;
  return close(call, file);
}

int write_values(NativeCall& call, IoFile& file, int handle, int first) {
  bool fine = true;
  int error_number = 0;
  const int last = call.count();
  for (int i = first; i <= last; i++) {
    if (!call.arg(i).is_number()) call.check_string(i);
  }
  {
    FileUse use(call, file);
    for (int i = first; i <= last && fine; i++) {
      const Value v = call.arg(i);
      char digits[number::kTextBytes];
      std::string_view text;
      if (v.is_string()) text = v.string()->view();
      else if (v.is_integer()) text = {digits, number::to_text(v.integer, digits)};
      else text = {digits, static_cast<std::size_t>(std::snprintf(digits, sizeof digits, "%.14g", v.number))};
      fine = write_stream(call.thread(), file.stream, text);
    }
    error_number = errno;
  }
  return fine ? call.result(call.slot(handle)) : call.failure(error_number, "");
}

namespace {

// --- lines -----------------------------------------------------------------------------------------------------------------

constexpr int kMaxLineFormats = 250;

// Upvalues of an iterator: the handle, whether it closes the file at the end, the formats.
int next_lines(NativeCall& call) {
  const Value handle = call.upvalue(1);
  IoFile& file = *static_cast<IoFile*>(handle.userdata()->block());
  if (file.is_closed()) call.error("file is already closed");
  int formats = static_cast<int>(call.callee()->count) - 2;
  call.set_size(1);
  call.slot(1) = handle;
  for (int i = 0; i < formats; i++) call.push(call.upvalue(3 + i));
  int results = read_formats(call, file, 2, formats + 1);
  const Value first = results == kResultInPlace ? call.base()[-1] : call.slot(call.size() - results + 1);
  if (!first.is_nil()) return results;
  if (results > 1 && call.slot(call.size() - results + 2).is_string()) {
    call.error("%s", call.slot(call.size() - results + 2).string()->data());
  }
  if (call.upvalue(2).is_truthy()) {
    call.set_size(1);
    close_file(call, file);
  }
  return 0;
}

const NativeInfo kNextLines = {"lines_step", "iterator()", "Reads by the formats that lines was given; nil at the end of the file.",
                               next_lines};

}  // namespace

Value make_line_iterator(NativeCall& call, int handle, int first, bool closes) {
  int formats = call.count() >= first ? call.count() - first + 1 : 0;
  if (formats > kMaxLineFormats) call.argument_error(kMaxLineFormats + 2, "too many arguments");
  Value iterator = native::make(call.thread(), &kNextLines, 2 + formats);
  Value* upvalues = iterator.native()->upvalues();
  upvalues[0] = call.slot(handle);
  upvalues[1].set_boolean(closes);
  for (int i = 0; i < formats; i++) upvalues[2 + i] = call.arg(first + i);
  for (int i = 0; i < 2 + formats; i++) call.heap().barrier(iterator.native(), upvalues[i]);
  return iterator;
}

namespace {

// --- methods ---------------------------------------------------------------------------------------------------------------

int file_read(NativeCall& call) {
  IoFile& file = check_open_file(call, 1);
  return read_formats(call, file, 2, call.count());
}

int file_write(NativeCall& call) { return write_values(call, check_open_file(call, 1), 1, 2); }

int file_lines(NativeCall& call) {
  check_open_file(call, 1);
  return call.result(make_line_iterator(call, 1, 2, false));
}

int file_flush(NativeCall& call) {
  IoFile& file = check_open_file(call, 1);
  bool fine;
  {
    FileUse use(call, file);
    fine = flush_stream(call.thread(), file.stream);
  }
  return outcome(call, fine);
}

int file_seek(NativeCall& call) {
  static const int kOrigins[] = {SEEK_SET, SEEK_CUR, SEEK_END};
  static const char* const kNames[] = {"set", "cur", "end", nullptr};
  IoFile& file = check_open_file(call, 1);
  int origin = call.check_option(2, "cur", kNames);
  std::int64_t offset = call.optional_integer(3, 0);
  std::int64_t position = -1;
  {
    FileUse use(call, file);
    host::Blocking pause(call.thread(), "file.seek");
    if (fseeko(file.stream, offset, kOrigins[origin]) == 0) position = ftello(file.stream);
  }
  if (position < 0) return outcome(call, false);
  return call.result(Value::from(position));
}

int file_setvbuf(NativeCall& call) {
  static const int kModes[] = {_IONBF, _IOFBF, _IOLBF};
  static const char* const kNames[] = {"no", "full", "line", nullptr};
  IoFile& file = check_open_file(call, 1);
  int mode = call.check_option(2, nullptr, kNames);
  std::int64_t bytes = call.optional_integer(3, BUFSIZ);
  bool fine;
  {
    FileUse use(call, file);
    fine = std::setvbuf(file.stream, nullptr, kModes[mode], static_cast<std::size_t>(bytes)) == 0;
  }
  return outcome(call, fine);
}

int file_close(NativeCall& call) { return close_file(call, check_open_file(call, 1)); }

// __gc and __close: an open file is closed, whatever comes of it.
int file_finish(NativeCall& call) {
  IoFile& file = check_handle(call, 1);
  if (!file.is_closed() && file.stream != nullptr) close_file(call, file);
  return 0;
}

int file_tostring(NativeCall& call) {
  const IoFile& file = check_handle(call, 1);
  if (file.is_closed()) return call.result_string("file (closed)");
  return call.result(Value::of(native::format(call.thread(), "file (%p)", static_cast<void*>(file.stream))));
}

const NativeInfo kMethods[] = {
    {"close", "FILE*:close() -> boolean?, string, integer",
     "Closes the file: true. Of a command that popen started the end: true or nil, \"exit\" or \"signal\", number.\n"
     "Fails: nil, message, number.\n"
     "Waits: blocks the native thread until the command has ended; the lock is free."
     R"lua(

print(io.popen("exit 3"):close())  --> nil	exit	3)lua",
     file_close},
    {"flush", "FILE*:flush() -> FILE*?",
     "Writes what is still buffered; returns the file.\n"
     "Fails: nil, message, number.\n"
     "Waits: blocks the native thread; the lock is free.",
     file_flush},
    {"lines", "FILE*:lines(...: string|integer) -> function",
     "An iterator that reads by the formats (\"l\" by default); the file stays open.\n"
     "Raises: a message if reading fails.",
     file_lines},
    {"read", "FILE*:read(...: string|integer) -> any ...",
     "Reads by formats: \"n\" a numeral, \"l\" a line without its end (the default), \"L\" with it, \"a\" all that "
     "is left (\"\" at the end), a number: up to so many bytes. nil at the end of the file, and for what does not fit.\n"
     "Fails: nil, message, number.\n"
     "Raises: \"invalid format\".\n"
     "Waits: blocks the native thread; the lock is free."
     R"lua(

local f = io.tmpfile()
f:write "12 apples\nrest" f:seek "set"
print(f:read("n", "l", "a"))  --> 12	 apples	rest)lua",
     file_read},
    {"seek", "FILE*:seek(whence?: string, offset?: integer) -> integer?",
     "Moves to offset (0) bytes from \"set\" (the start), \"cur\" (here, the default) or \"end\"; returns the position "
     "from the start, 0-based.\n"
     "Fails: nil, message, number."
     R"lua(

local f = io.tmpfile()
f:write "abc"
print(f:seek("end"), f:seek("set", 1), f:read(1))  --> 3	1	b)lua",
     file_seek},
    {"setvbuf", "FILE*:setvbuf(mode: string, size?: integer) -> boolean?",
     "Buffers nothing (\"no\"), blocks of size bytes (\"full\") or lines (\"line\")."
     R"lua(

print(io.stdout:setvbuf "line")  --> true)lua",
     file_setvbuf},
    {"write", "FILE*:write(...: string|number) -> FILE*?",
     "Writes strings and numbers; returns the file, so calls can be chained.\n"
     "Fails: nil, message, number.\n"
     "Waits: blocks the native thread when the buffer is full; the lock is free."
     R"lua(

io.stdout:write("a"):write("b\n")  --> ab)lua",
     file_write},
    {nullptr, nullptr, nullptr, nullptr},
};
const NativeInfo kMetamethods[] = {
    {"__gc", "__gc(file)", "Closes a file that nobody closed.", file_finish},
    {"__close", "__close(file)", "Closes the file at the end of its scope.", file_finish},
    {"__tostring", "__tostring(file)", "\"file (address)\" or \"file (closed)\".", file_tostring},
    {nullptr, nullptr, nullptr, nullptr},
};

}  // namespace

Table* file_metatable(ThreadState& thread) {
  return native::class_with_methods(thread, kFileClass, kMethods, kMetamethods);
}

}  // namespace baton::stdlib
