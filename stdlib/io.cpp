// The io library (manual 6.8): opening files, the default files, the functions that use them. Handles are in io_file.cpp,
// reading in io_read.cpp. These functions block their native thread on purpose; the others run meanwhile.
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "all_modules.h"
#include "host/blocking.h"
#include "io_file.h"
#include "io_read.h"
#include "vm/operations.h"

namespace baton::stdlib {
namespace {

// Every function of the table has a userdata as upvalue 1 whose user values are the default files.
enum class Default : std::uint8_t { kInput = 0, kOutput = 1 };

Value& default_file(NativeCall& call, Default which) {
  return call.upvalue(1).userdata()->user_values()[static_cast<int>(which)];
}

void set_default_file(NativeCall& call, Default which, const Value& file) {
  default_file(call, which) = file;
  call.heap().barrier(call.upvalue(1).userdata(), file);
}

// Pushes the default file, so that it stays alive while it is used, and returns it, open. The window grows by one.
IoFile& push_default_file(NativeCall& call, Default which) {
  const Value handle = default_file(call, which);
  IoFile& file = *static_cast<IoFile*>(handle.userdata()->block());
  if (file.is_closed()) call.error("default %s file is closed", which == Default::kInput ? "input" : "output");
  call.push(handle);
  return file;
}

// --- opening ---------------------------------------------------------------------------------------------------------------

bool is_open_mode(std::string_view mode) {
  if (mode.empty() || std::strchr("rwa", mode[0]) == nullptr) return false;
  mode.remove_prefix(1);
  if (mode.starts_with('+')) mode.remove_prefix(1);
  return mode.find_first_not_of('b') == std::string_view::npos;
}

// Opens into a new handle on top of the window. Returns: false with errno set, the handle then is closed.
bool open_into(NativeCall& call, IoFile& file, const char* path, const char* mode) {
  host::Blocking pause(call.thread(), "file.open");
  file.stream = std::fopen(path, mode);
  if (file.stream == nullptr) return false;
  file.close = close_stream;
  return true;
}

void push_opened_or_raise(NativeCall& call, const char* path, const char* mode) {
  IoFile& file = push_handle(call);
  if (!open_into(call, file, path, mode)) call.error("cannot open file '%s' (%s)", path, std::strerror(errno));
}

int io_open(NativeCall& call) {
  const char* path = call.check_string(1)->data();
  const char* mode = call.none_or_nil(2) ? "r" : call.check_string(2)->data();
  if (!is_open_mode(mode)) call.argument_error(2, "invalid mode");
  IoFile& file = push_handle(call);
  return open_into(call, file, path, mode) ? 1 : call.failure(errno, path);
}

int io_popen(NativeCall& call) {
  const char* command = call.check_string(1)->data();
  const char* mode = call.none_or_nil(2) ? "r" : call.check_string(2)->data();
  if ((mode[0] != 'r' && mode[0] != 'w') || mode[1] != '\0') call.argument_error(2, "invalid mode");
  IoFile& file = push_handle(call);
  {
    host::Blocking pause(call.thread(), "popen.open");
    std::fflush(nullptr);
    errno = 0;
    file.stream = popen(command, mode);
  }
  if (file.stream == nullptr) return call.failure(errno, command);
  file.close = close_command;
  return 1;
}

int io_tmpfile(NativeCall& call) {
  IoFile& file = push_handle(call);
  file.stream = std::tmpfile();
  if (file.stream == nullptr) return call.failure(errno, "");
  file.close = close_stream;
  return 1;
}

int io_type(NativeCall& call) {
  call.check_any(1);
  const auto* file = static_cast<IoFile*>(call.test_userdata(1, kFileClass));
  if (file == nullptr) return call.result(Value());
  return call.result_string(file->is_closed() ? "closed file" : "file");
}

// --- the default files -----------------------------------------------------------------------------------------------------

int choose_default(NativeCall& call, Default which, const char* mode) {
  if (!call.none_or_nil(1)) {
    if (call.arg(1).is_string() || call.arg(1).is_number()) {
      push_opened_or_raise(call, call.check_string(1)->data(), mode);
    } else {
      check_open_file(call, 1);
      call.push(call.arg(1));
    }
    set_default_file(call, which, call.slot(call.size()));
  }
  return call.result(default_file(call, which));
}

int io_input(NativeCall& call) { return choose_default(call, Default::kInput, "r"); }
int io_output(NativeCall& call) { return choose_default(call, Default::kOutput, "w"); }

int io_read(NativeCall& call) {
  int formats = call.count();
  IoFile& file = push_default_file(call, Default::kInput);
  return read_formats(call, file, 1, formats);
}

int io_write(NativeCall& call) {
  IoFile& file = push_default_file(call, Default::kOutput);
  return write_values(call, file, call.size(), 1);
}

int io_flush(NativeCall& call) {
  IoFile& file = push_default_file(call, Default::kOutput);
  bool fine;
  {
    FileUse use(call, file);
    fine = flush_stream(call.thread(), file.stream);
  }
  return outcome(call, fine);
}

int io_close(NativeCall& call) {
  if (call.count() > 0) return close_file(call, check_open_file(call, 1));
  const Value handle = default_file(call, Default::kOutput);
  IoFile& file = *static_cast<IoFile*>(handle.userdata()->block());
  if (file.is_closed()) call.error("attempt to use a closed file");
  call.push(handle);
  return close_file(call, file);
}

int io_lines(NativeCall& call) {
  bool named = !call.none_or_nil(1);
  if (named) push_opened_or_raise(call, call.check_string(1)->data(), "r");
  else call.push(default_file(call, Default::kInput));
  int handle = call.size();
  if (static_cast<IoFile*>(call.slot(handle).userdata()->block())->is_closed()) call.error("attempt to use a closed file");
  const Value iterator = make_line_iterator(call, handle, 2, named);
  if (!named) return call.result(iterator);
  const Value file = call.slot(handle);
  call.push(iterator);
  call.push(Value());
  call.push(Value());
  call.push(file);
  return 4;
}

const NativeInfo kFunctions[] = {
    {"close", "io.close(file?: FILE*) -> boolean?, string, integer",
     "Closes a file, the default output file by default, as file:close() does."
     R"lua(

local f = io.tmpfile()
print(io.close(f), io.type(f))  --> true	closed file)lua",
     io_close},
    {"flush", "io.flush() -> FILE*?",
     "Writes out what is buffered for the default output file, and returns it.\n"
     "Fails: nil, message, number.\n"
     "Waits: blocks the native thread; the lock is free."
     R"lua(

io.write "written" io.flush()  --> written)lua",
     io_flush},
    {"input", "io.input(file?: FILE*|string) -> FILE*",
     "The default input file; a handle, or the name of a file to open, replaces it first.\n"
     "Raises: a message if the file cannot be opened."
     R"lua(

print(io.input() == io.stdin)  --> true)lua",
     io_input},
    {"lines", "io.lines(filename?: string, ...: string|integer) -> function, nil, nil, FILE*",
     "Opens a file for a generic for: each step reads by the formats (\"l\", a line, by default). The file is closed at "
     "the end and when the loop is left. Without a name: the default input file, which stays open.\n"
     "Raises: a message if the file cannot be opened or read.\n"
     "Waits: each step blocks the native thread; the lock is free."
     R"lua(

local f = io.open("two.txt", "w") f:write "a\nb\n" f:close()
for line in io.lines "two.txt" do print(line) end
--> a
--> b)lua",
     io_lines},
    {"open", "io.open(filename: string, mode?: string) -> FILE*?",
     "Opens a file. mode: \"r\" (the default), \"w\" (empties it), \"a\" (appends), each also with \"+\" for both "
     "ways and with \"b\".\n"
     "Fails: nil, \"name: reason\", number.\n"
     "Raises: \"invalid mode\".\n"
     "Waits: blocks the native thread; the lock is free. fs.open parks the task instead."
     R"lua(

local f <close> = assert(io.open("note.txt", "w"))
f:write("1 ", 2, "\n")
print(io.open "missing.txt")  --> nil	missing.txt: No such file or directory	2)lua",
     io_open},
    {"output", "io.output(file?: FILE*|string) -> FILE*",
     "The default output file; a handle, or the name of a file to open for writing, replaces it first.\n"
     "Raises: a message if the file cannot be opened."
     R"lua(

print(io.output() == io.stdout)  --> true)lua",
     io_output},
    {"popen", "io.popen(command: string, mode?: string) -> FILE*?",
     "Starts a shell command and returns a handle to read what it writes (\"r\", the default) or to write what it reads "
     "(\"w\"). process.run and process.spawn park the task instead of blocking.\n"
     "Fails: nil, message, number.\n"
     "Waits: reading and closing block the native thread; the lock is free."
     R"lua(

local p = io.popen "echo hello"
print(p:read "l")  --> hello
print(p:close())   --> true	exit	0)lua",
     io_popen},
    {"read", "io.read(...: string|integer) -> any ...",
     "Reads by formats from the default input file, as file:read does.\n"
     "Waits: blocks the native thread; the lock is free. process.stdin():read() parks the task instead."
     R"lua(

print(io.read "l")  --> nil)lua",
     io_read},
    {"tmpfile", "io.tmpfile() -> FILE*?",
     "A handle to a temporary file, open both ways, that vanishes when the program ends.\n"
     "Fails: nil, message, number."
     R"lua(

local f = io.tmpfile()
f:write "abc" f:seek "set"
print(f:read "a")  --> abc)lua",
     io_tmpfile},
    {"type", "io.type(v: any) -> string?",
     "\"file\", \"closed file\", or nil for what is no handle."
     R"lua(

print(io.type(io.stdout), io.type(42))  --> file	nil)lua",
     io_type},
    {"write", "io.write(...: string|number) -> FILE*?",
     "Writes to the default output file, as file:write does.\n"
     "Waits: blocks the native thread when the buffer is full; the lock is free."
     R"lua(

io.write("a", 1, 2.5, "\n")  --> a12.5)lua",
     io_write},
    {nullptr, nullptr, nullptr, nullptr},
};

// A handle of a stream that scripts cannot close. Referred to by the library's table only after it was set up.
Value make_standard_file(ThreadState& thread, std::FILE* stream) {
  Userdata* handle = userdata::make(thread.heap(), sizeof(IoFile));
  auto* file = static_cast<IoFile*>(handle->block());
  file->stream = stream;
  file->close = refuse_to_close;
  vm::set_metatable(thread, Value::of(handle), file_metatable(thread));
  return Value::of(handle);
}

}  // namespace

Table* open_io(ThreadState& thread) {
  Heap& heap = thread.heap();
  Table* library = table::make(heap, 0, 16);
  Userdata* defaults = userdata::make(heap, 0, 2);
  const Value input = make_standard_file(thread, stdin), output = make_standard_file(thread, stdout);
  defaults->user_values()[static_cast<int>(Default::kInput)] = input;
  defaults->user_values()[static_cast<int>(Default::kOutput)] = output;
  for (const NativeInfo* info = kFunctions; info->name != nullptr; info++) {
    Value function = native::make(thread, info, 1);
    function.native()->upvalues()[0] = Value::of(defaults);
    native::set_field(thread, library, info->name, function);
  }
  native::set_field(thread, library, "stdin", input);
  native::set_field(thread, library, "stdout", output);
  native::set_field(thread, library, "stderr", make_standard_file(thread, stderr));
  return library;
}

}  // namespace baton::stdlib
