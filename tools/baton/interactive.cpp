// The interactive loop: a line is tried as an expression, then as a statement that may go on over further lines.
#include <cstdio>
#include <cstring>

#include "host/blocking.h"
#include "program.h"

namespace baton::program {
namespace {

constexpr std::string_view kIncomplete = "<eof>";

// Prints the prompt and reads one line without its end. Returns: false at the end of input.
bool read_line(ThreadState& thread, const char* variable, const char* otherwise, std::string& line) {
  const Value wanted = native::get_field(thread, thread.shared.globals, variable);
  const std::string prompt = wanted.is_nil() ? otherwise : std::string(vm::to_string(thread, wanted)->view());
  std::fputs(prompt.c_str(), stdout);
  std::fflush(stdout);
  line.clear();
  host::Blocking pause(thread, "stdin.read");
  int byte;
  while ((byte = std::getc(stdin)) != EOF && byte != '\n') line.push_back(static_cast<char>(byte));
  return byte != EOF || !line.empty();
}

// Whether loading failed because the text ends too early.
bool is_incomplete(ThreadState& thread) {
  return thread.pending.is_string() && thread.pending.string()->view().ends_with(kIncomplete);
}

// Loads the statement that begins with `text`, reading more lines while it is incomplete.
Status load_statement(ThreadState& thread, std::string& text) {
  for (;;) {
    Status status = host::load(thread, text, "=stdin", "t");
    if (status == Status::kOk || !is_incomplete(thread)) return status;
    std::string more;
    const Value error = thread.pending;
    vm::push(thread, error);
    bool read = read_line(thread, "_PROMPT2", ">> ", more);
    thread.pending = *--thread.current->top;
    if (!read) return status;
    text += '\n';
    text += more;
  }
}

// Reads and loads what the user wants run. Returns: false at the end of input; `status` tells whether it loaded.
bool load_input(ThreadState& thread, Status& status) {
  std::string text;
  if (!read_line(thread, "_PROMPT", "> ", text)) return false;
  if (text.starts_with('=')) text.replace(0, 1, "return ");
  status = host::load(thread, "return " + text, "=stdin", "t");
  if (status != Status::kOk) status = load_statement(thread, text);
  return true;
}

// Messages of the loop do not name the program.
void print_bare(const std::string& message) {
  std::fflush(stdout);
  std::fprintf(stderr, "%s\n", message.c_str());
  std::fflush(stderr);
}

// Prints the last `count` values by the global function print.
void print_results(ThreadState& thread, int count) {
  if (count == 0) return;
  Coroutine* co = thread.current;
  vm::push(thread, Value());
  for (Value* slot = co->top - 1; slot > co->top - 1 - count; slot--) *slot = slot[-1];
  co->top[-1 - count] = native::get_field(thread, thread.shared.globals, "print");
  int results = 0;
  if (host::traced_call(thread, count, 0, &results) != Status::kOk) {
    print_bare("error calling 'print' (" + host::pending_report(thread) + ")");
  }
}

}  // namespace

void run_interactive(ThreadState& thread) {
  Status status = Status::kOk;
  while (load_input(thread, status)) {
    int results = 0;
    if (status == Status::kOk) status = interruptible_call(thread, 0, kMultipleResults, &results);
    if (status == Status::kOk) print_results(thread, results);
    else print_bare(host::pending_report(thread));
  }
  std::fputc('\n', stdout);
  std::fflush(stdout);
}

}  // namespace baton::program
