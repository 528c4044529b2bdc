#include "process_request.h"

#include <fcntl.h>
#include <unistd.h>

#include "io_file.h"
#include "stream.h"
#include "vm/operations.h"

extern char** environ;

namespace baton::stdlib {

std::string_view name_of_setting(std::string_view setting) noexcept { return setting.substr(0, setting.find('=')); }

namespace {

// A text for the operating system. Raises: "string expected", "NUL character".
std::string system_text(NativeCall& call, int argument, const std::string& what, const Value& v) {
  if (!v.is_string() && !v.is_number()) {
    call.argument_error(argument, (what + ": string expected, got " + vm::type_name(call.shared(), v)).c_str());
  }
  const String* text = v.is_string() ? v.string() : vm::number_to_string(call.heap(), v);
  if (text->view().find('\0') != std::string_view::npos) {
    call.argument_error(argument, (what + ": contains a NUL character").c_str());
  }
  return std::string(text->view());
}

std::vector<std::string> read_command(NativeCall& call, Table* request) {
  std::vector<std::string> command;
  const std::uint64_t count = table::length(request);
  for (std::uint64_t i = 1; i <= count; ++i) {
    const Value word = *table::get_integer(request, static_cast<std::int64_t>(i));
    command.push_back(system_text(call, 1, "element " + std::to_string(i) + " of the command", word));
  }
  if (command.empty() || command[0].empty()) call.argument_error(1, "the command is empty");
  return command;
}

// Refuses what is neither an option nor an element of the command.
void check_keys(NativeCall& call, const Table* request) {
  std::uint64_t position = 0;
  Value key, value;
  while (table::next_at(request, position, key, value)) {
    if (!key.is_string() && !key.is_integer()) call.argument_error(1, "keys must be options or positions");
  }
}

// The descriptor of an open file or stream. What a child shares with us must not be non-blocking: it would not expect it.
int descriptor_of(NativeCall& call, const OptionTable& options, const char* name, const Value& v) {
  if (ByteStream* stream = test_stream(call.thread(), v)) {
    const int descriptor = stream->is_closed() ? -1 : stream->descriptor();
    if (descriptor < 0) options.mistake(name, "the stream is closed or has no descriptor");
    (void)fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) & ~O_NONBLOCK);
    return descriptor;
  }
  const Value file_class = native::get_field(call.thread(), call.shared().registry, kFileClass);
  if (v.is_userdata() && file_class.is_table() && v.userdata()->metatable == file_class.table()) {
    const auto& file = *static_cast<IoFile*>(v.userdata()->block());
    if (file.is_closed()) options.mistake(name, "the file is closed");
    std::fflush(file.stream);
    return fileno(file.stream);
  }
  options.mistake(name, "string, table, file or stream expected, got " + vm::type_name(call.shared(), v));
}

// {file = path, append = true}, {text = text}.
Redirect read_redirect_table(NativeCall& call, const OptionTable& options, const char* name, Table* table, bool is_input) {
  const int argument = options.argument();
  const Value file = native::get_field(call.thread(), table, "file");
  const Value text = native::get_field(call.thread(), table, "text");
  if (!file.is_nil()) {
    const bool appends = native::get_field(call.thread(), table, "append").is_truthy();
    return {appends ? Redirection::kAppend : Redirection::kFile,
            system_text(call, argument, std::string("option '") + name + "'", file), -1};
  }
  if (!is_input || !text.is_string()) options.mistake(name, "table with field 'file' expected");
  return {Redirection::kText, std::string(text.string()->view()), -1};
}

// What is no text: a table, false, a file or stream.
Redirect read_other(NativeCall& call, const OptionTable& options, const char* name, const Value& v, bool is_input) {
  if (v.tag == Tag::kFalse) return {Redirection::kNull, "", -1};
  if (v.is_table()) return read_redirect_table(call, options, name, v.table(), is_input);
  return {Redirection::kDescriptor, "", descriptor_of(call, options, name, v)};
}

// For run any text is fed; spawn knows three words besides.
Redirect read_input(NativeCall& call, const OptionTable& options, bool pipes) {
  const Value v = options.get("stdin");
  if (v.is_nil()) return {pipes ? Redirection::kPipe : Redirection::kInherit, "", -1};
  if (!v.is_string()) return read_other(call, options, "stdin", v, true);
  const std::string_view text = v.string()->view();
  if (pipes && text == "pipe") return {Redirection::kPipe, "", -1};
  if (pipes && text == "inherit") return {Redirection::kInherit, "", -1};
  if (pipes && text == "null") return {Redirection::kNull, "", -1};
  return {Redirection::kText, std::string(text), -1};
}

Redirect read_output(NativeCall& call, const OptionTable& options, const char* name, bool may_join) {
  const Value v = options.get(name);
  if (v.is_nil()) return {Redirection::kPipe, "", -1};
  if (!v.is_string()) return read_other(call, options, name, v, false);
  const std::string_view text = v.string()->view();
  if (text == "capture" || text == "pipe") return {Redirection::kPipe, "", -1};
  if (text == "inherit") return {Redirection::kInherit, "", -1};
  if (text == "null") return {Redirection::kNull, "", -1};
  if (may_join && (text == "stdout" || text == "merge")) return {Redirection::kStandardOutput, "", -1};
  options.mistake(name, "invalid value '" + std::string(text) + "'");
}

void read_options(NativeCall& call, const OptionTable& options, bool pipes, ChildRequest& request) {
  request.environment = read_environment(call, options.table("env"), options.argument());
  if (options.text("cwd") != nullptr) {
    request.folder = system_text(call, options.argument(), "option 'cwd'", options.get("cwd"));
  }
  request.input = read_input(call, options, pipes);
  request.output = read_output(call, options, "stdout", false);
  request.errors = read_output(call, options, "stderr", true);
}

}  // namespace

std::vector<std::string> read_environment(NativeCall& call, const Table* changes, int argument) {
  std::vector<std::string> result;
  for (char** setting = environ; *setting != nullptr; ++setting) result.emplace_back(*setting);
  std::uint64_t position = 0;
  Value key, value;
  while (changes != nullptr && table::next_at(changes, position, key, value)) {
    const std::string name = system_text(call, argument, "name in option 'env'", key);
    if (name.empty() || name.find('=') != std::string::npos) call.argument_error(argument, "option 'env': invalid name");
    std::erase_if(result, [&](const std::string& setting) { return name_of_setting(setting) == name; });
    if (value.tag != Tag::kFalse) {
      result.push_back(name + "=" + system_text(call, argument, "option 'env': '" + name + "'", value));
    }
  }
  return result;
}

ChildRequest read_request(NativeCall& call, const OptionTable& options, bool pipes) {
  Table* table = call.check_table(1);
  check_keys(call, table);
  ChildRequest request;
  request.command = read_command(call, table);
  read_options(call, options, pipes, request);
  return request;
}

ChildRequest read_shell_request(NativeCall& call, const OptionTable& options) {
  ChildRequest request;
  (void)call.check_string(1);
  const std::string command = system_text(call, 1, "command", call.arg(1));
  if (command.empty()) call.argument_error(1, "the command is empty");
  request.command = {"/bin/sh", "-c", command};
  read_options(call, options, false, request);
  return request;
}

}  // namespace baton::stdlib
