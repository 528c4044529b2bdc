// The terminal as the parts in script see it: sizes, colours, keys, widths of characters.
//
// While a line is edited the terminal is raw: keys arrive one by one, Ctrl-C is a byte. In all other time it is as it was
// found; also when the process ends. Waiting for keys is done by the scheduler on one descriptor (an epoll descriptor, readable
// when the terminal is or when its size has changed), so tasks and native threads go on.
#include <fcntl.h>
#include <locale.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "terminal_screen.h"
#include "tool_scripts.h"

namespace baton::program {
namespace {

// The terminal belongs to the process, so this is one.
struct TerminalState {
  termios found = {};
  bool is_raw = false;
  bool will_restore = false;
  int events = -1;
  int resize_pipe[2] = {-1, -1};
};
TerminalState state;

void restore() {
  screen::end();
  if (!state.is_raw) return;
  tcsetattr(STDIN_FILENO, TCSADRAIN, &state.found);
  state.is_raw = false;
}

extern "C" void on_resize(int) {
  const int saved = errno;
  [[maybe_unused]] ssize_t written = write(state.resize_pipe[1], "", 1);
  errno = saved;
}

bool is_dumb() {
  const char* term = std::getenv("TERM");
  return term == nullptr || *term == '\0' || std::strcmp(term, "dumb") == 0;
}

bool wants_colours(int descriptor) {
  const char* refused = std::getenv("NO_COLOR");
  return (refused == nullptr || *refused == '\0') && isatty(descriptor) != 0 && !is_dumb();
}

int columns_of(int descriptor) {
  winsize size = {};
  if (ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  const char* given = std::getenv("COLUMNS");
  const int columns = given != nullptr ? std::atoi(given) : 0;
  return columns > 10 ? columns : 100;
}

void set_text(ThreadState& thread, Table* t, const char* name, const char* text) {
  native::set_field(thread, t, name, Value::of(string::make(thread.heap(), text)));
}

// error_colours(): the sequences for reports on standard error, empty where there are no colours; `width` in columns.
int terminal_error_colours(NativeCall& call) {
  const bool coloured = wants_colours(STDERR_FILENO);
  Table* t = table::make(call.heap());
  call.push(Value::of(t));
  set_text(call.thread(), t, "dim", coloured ? "\033[2m" : "");
  set_text(call.thread(), t, "reset", coloured ? "\033[0m" : "");
  set_text(call.thread(), t, "mark", coloured ? "\033[1;31m" : "");
  set_text(call.thread(), t, "note", coloured ? "\033[36m" : "");
  set_text(call.thread(), t, "hint", coloured ? "\033[32m" : "");
  native::set_field(call.thread(), t, "width", Value::from(std::int64_t{columns_of(STDERR_FILENO)}));
  return 1;
}

int terminal_has_colours(NativeCall& call) { return call.result(Value::boolean(wants_colours(STDOUT_FILENO))); }

int terminal_is_terminal(NativeCall& call) {
  return call.result(Value::boolean(isatty(STDIN_FILENO) != 0 && isatty(STDOUT_FILENO) != 0 && !is_dumb()));
}

int terminal_size(NativeCall& call) {
  winsize size = {};
  const bool known = ioctl(screen::descriptor(), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0;
  call.push(Value::from(std::int64_t{known ? size.ws_col : 80}));
  call.push(Value::from(std::int64_t{known ? size.ws_row : 24}));
  return 2;
}

void make_events() {
  if (state.events >= 0 || pipe2(state.resize_pipe, O_CLOEXEC | O_NONBLOCK) != 0) return;
  state.events = epoll_create1(EPOLL_CLOEXEC);
  epoll_event keys = {};
  keys.events = EPOLLIN;
  keys.data.fd = STDIN_FILENO;
  epoll_ctl(state.events, EPOLL_CTL_ADD, STDIN_FILENO, &keys);
  keys.data.fd = state.resize_pipe[0];
  epoll_ctl(state.events, EPOLL_CTL_ADD, state.resize_pipe[0], &keys);
  struct sigaction action = {};
  action.sa_handler = on_resize;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_ONSTACK | SA_RESTART;
  sigaction(SIGWINCH, &action, nullptr);
}

// raw(): begins to take keys. Returns: the descriptor to wait for, or nil if the terminal refuses.
int terminal_raw(NativeCall& call) {
  make_events();
  if (state.events < 0 || tcgetattr(STDIN_FILENO, &state.found) != 0) return call.result(Value());
  termios raw = state.found;
  raw.c_iflag &= ~static_cast<tcflag_t>(BRKINT | ICRNL | INPCK | ISTRIP | IXON);
  raw.c_lflag &= ~static_cast<tcflag_t>(ECHO | ICANON | IEXTEN | ISIG);
  raw.c_cc[VMIN] = 1;
  raw.c_cc[VTIME] = 0;
  if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) != 0) return call.result(Value());
  state.is_raw = true;
  screen::begin();
  if (!state.will_restore) state.will_restore = std::atexit(restore) == 0;
  return call.result(Value::from(std::int64_t{state.events}));
}

int terminal_cooked(NativeCall&) {
  restore();
  return 0;
}

// suspend(): stops the program as Ctrl-Z does elsewhere; returns when it is continued. The terminal must be cooked.
int terminal_suspend(NativeCall&) {
  std::raise(SIGTSTP);  // to this thread, so that it has stopped before anything else happens here
  return 0;
}

// read(): the bytes that are there ("" if none), and whether the size has changed; nil at the end of input.
int terminal_read(NativeCall& call) {
  char bytes[4096];
  const bool resized = read(state.resize_pipe[0], bytes, sizeof bytes) > 0;
  pollfd keys = {STDIN_FILENO, POLLIN, 0};
  ssize_t count = 0;
  if (poll(&keys, 1, 0) > 0) {
    count = read(STDIN_FILENO, bytes, sizeof bytes);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) count = 0;
    else if (count <= 0) return call.result(Value());
  }
  call.push_string({bytes, static_cast<std::size_t>(count)});
  call.push(Value::boolean(resized));
  return 2;
}

// write(text): to the terminal at once.
int terminal_write(NativeCall& call) {
  screen::write(call.check_text(1));
  return 0;
}

// draw(text, erase, again): writes text; what others print meanwhile comes between erase and again.
int terminal_draw(NativeCall& call) {
  screen::draw(call.check_text(1), std::string(call.check_text(2)), std::string(call.check_text(3)));
  return 0;
}

// The columns that a character takes; control characters and what the tables do not know take one.
int columns_of_character(wchar_t c, locale_t utf8) {
  const locale_t before = uselocale(utf8);
  const int columns = wcwidth(c);
  uselocale(before);
  return columns < 0 ? 1 : columns;
}

// width(code): the columns that the character of this code point takes.
int terminal_width(NativeCall& call) {
  static const locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  const std::int64_t code = call.check_integer(1);
  const int columns = code < 0x7F || utf8 == nullptr ? 1 : columns_of_character(static_cast<wchar_t>(code), utf8);
  return call.result(Value::from(std::int64_t{columns}));
}

const NativeInfo kTerminal[] = {
    {"cooked", "cooked()", "The terminal as it was found.", terminal_cooked},
    {"draw", "draw(text, erase, again)", "Draws the edited line.", terminal_draw},
    {"error_colours", "error_colours()", "Sequences for reports on standard error.", terminal_error_colours},
    {"has_colours", "has_colours()", "Whether standard output may be coloured.", terminal_has_colours},
    {"is_terminal", "is_terminal()", "Whether lines can be edited.", terminal_is_terminal},
    {"raw", "raw()", "Begins to take keys.", terminal_raw},
    {"read", "read()", "The keys that were pressed; whether the size changed.", terminal_read},
    {"size", "size()", "Columns and rows.", terminal_size},
    {"suspend", "suspend()", "Stops the program until the shell continues it.", terminal_suspend},
    {"width", "width(code)", "Columns of a character.", terminal_width},
    {"write", "write(text)", "Writes to the terminal at once.", terminal_write},
    {nullptr, nullptr, nullptr, nullptr},
};

}  // namespace

Table* open_terminal(ThreadState& thread) {
  Table* t = table::make(thread.heap());
  vm::push(thread, Value::of(t));
  native::add_functions(thread, t, kTerminal);
  --thread.current->top;
  return t;
}

}  // namespace baton::program
