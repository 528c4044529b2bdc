#include "host/load.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "compiler/binary_format.h"
#include "compiler/compiler.h"
#include "compiler/disassembler.h"
#include "host/blocking.h"
#include "value/closure.h"
#include "value/string.h"
#include "vm/call.h"
#include "vm/safepoint.h"

namespace baton::host {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

Status failed(ThreadState& thread, const std::string& message) {
  thread.pending = Value::of(string::make(thread.heap(), message));
  return Status::kError;
}

// A closure over a main prototype: its first upvalue holds the globals, further ones (binary chunks) nil. Nothing needs a root
// before the push: allocations do not collect.
void push_main_closure(ThreadState& thread, Prototype* prototype) {
  Heap& heap = thread.heap();
  Closure* function = closure::make(heap, prototype);
  for (std::uint32_t i = 0; i < function->count; i++) {
    Value initial = i == 0 ? Value::of(thread.shared.globals) : Value();
    function->upvalues()[i] = closure::make_closed_upvalue(heap, initial);
  }
  vm::push(thread, Value::of(function));
}

enum class BuildResult : std::uint8_t { kBuilt, kRefused, kNoMemory };

struct Chunk {
  std::string_view bytes;
  std::string_view name;
  String* name_string;
  bool is_binary;
};

// Compiles or undumps once. `message` says why a chunk was refused.
BuildResult try_build(ThreadState& thread, const Chunk& chunk, Prototype*& prototype, std::string& message) {
  try {
    compiler::CompileOptions options;
    options.poll = [&thread] { vm::poll(thread); };
    options.source = chunk.name_string;
    prototype = chunk.is_binary ? compiler::undump(thread.heap(), chunk.bytes, chunk.name, options.poll)
                                : compiler::compile(thread.heap(), chunk.bytes, chunk.name, options);
    return BuildResult::kBuilt;
  } catch (const compiler::CompileError& error) {
    message = error.message;
    return BuildResult::kRefused;
  } catch (const ScriptError& error) {
    if (error.id != ErrorId::kMemory) throw;
    return BuildResult::kNoMemory;
  }
}

// As try_build, but makes room and tries once more when the heap is full: compiling has no effects that a second try repeats.
// Returns: null with `message` set if the chunk is not acceptable. Raises: kMemory.
Prototype* build(ThreadState& thread, const Chunk& chunk, std::string& message) {
  Prototype* prototype = nullptr;
  BuildResult result = try_build(thread, chunk, prototype, message);
  if (result == BuildResult::kNoMemory) {
    thread.heap().collect_emergency();
    result = try_build(thread, chunk, prototype, message);
  }
  if (result == BuildResult::kNoMemory) raise(ErrorId::kMemory);
  return result == BuildResult::kBuilt ? prototype : nullptr;
}

// --- files -----------------------------------------------------------------------------------------------------------------

struct FileText {
  std::string bytes;
  const char* failed_action = nullptr;  // null: all was read
  int error_number = 0;
};

void read_stream(std::FILE* stream, FileText& text) {
  char block[16384];
  std::size_t count;
  while ((count = std::fread(block, 1, sizeof block, stream)) > 0) text.bytes.append(block, count);
  if (std::ferror(stream) == 0) return;
  text.failed_action = "read";
  text.error_number = errno;
}

// Reads a whole file, or standard input. Without the GIL: touches no value.
FileText read_file(ThreadState& thread, const char* path) {
  FileText text;
  Blocking pause(thread, "load.read");
  if (path == nullptr) {
    read_stream(stdin, text);
    return text;
  }
  std::FILE* stream = std::fopen(path, "rb");
  if (stream == nullptr) {
    text.failed_action = "open";
    text.error_number = errno;
    return text;
  }
  read_stream(stream, text);
  std::fclose(stream);
  return text;
}

// Takes away a byte-order mark and a first line that starts with '#'. The line end stays, so that lines keep their numbers,
// unless a binary chunk follows.
std::string_view without_first_comment(std::string_view text) {
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  if (!text.starts_with('#')) return text;
  std::size_t end = text.find('\n');
  if (end == std::string_view::npos) return {};
  if (compiler::is_binary(text.substr(end + 1))) end++;
  return text.substr(end);
}

}  // namespace

Status load(ThreadState& thread, std::string_view bytes, std::string_view chunk_name, std::string_view mode, String* name_string) {
  bool binary = compiler::is_binary(bytes);
  if (binary && thread.shared.refuses_binary_chunks) return failed(thread, "attempt to load a binary chunk (not granted)");
  if (mode.find(binary ? 'b' : 't') == std::string_view::npos) {
    return failed(thread, std::string("attempt to load a ") + (binary ? "binary" : "text") + " chunk (mode is '" + std::string(mode) + "')");
  }
  std::string message;
  Prototype* prototype = build(thread, {bytes, chunk_name, name_string, binary}, message);
  if (prototype == nullptr) return failed(thread, message);
  push_main_closure(thread, prototype);
  return Status::kOk;
}

Status load_file(ThreadState& thread, const char* path, std::string_view mode) {
  FileText text = read_file(thread, path);
  if (text.failed_action != nullptr) {
    return failed(thread, std::string("cannot ") + text.failed_action + " " + (path != nullptr ? path : "stdin") + ": " +
                              std::strerror(text.error_number));
  }
  std::string name = path != nullptr ? std::string("@") + path : std::string("=stdin");
  return load(thread, without_first_comment(text.bytes), name, mode);
}

std::string dump(ThreadState& thread, const Closure* function, bool strip) {
  const auto debug = strip ? compiler::DebugInformation::kStrip : compiler::DebugInformation::kKeep;
  return compiler::dump(*function->prototype, debug, [&thread] { vm::poll(thread); });
}

std::string disassemble(const Closure* function) { return compiler::disassemble(*function->prototype); }

}  // namespace baton::host
