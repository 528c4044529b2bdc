#include "terminal_screen.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "sync/futex.h"
#include "sync/os_thread.h"

namespace baton::program::screen {
namespace {

// The terminal belongs to the process, so this is one. It is never destroyed: its thread may run until the last moment.
struct Screen {
  ShortMutex mutex;  // guards everything below, and writing to the terminal
  int terminal = -1;        // where the line is; open from the first `begin` on
  int error_terminal = -1;  // what descriptor 2 was, if it is a terminal
  int pipe[2] = {-1, -1};
  bool is_piped = false;
  bool works = false;
  std::string erase;
  std::string again;
  OsThread thread;
};

Screen& the_screen() noexcept {
  static Screen* screen = new Screen;
  return *screen;
}

void write_all(int target, std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    const ssize_t count = ::write(target, bytes.data(), bytes.size());
    if (count > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN) {
      pollfd room = {target, POLLOUT, 0};
      poll(&room, 1, 100);
    } else if (errno != EINTR) {
      return;
    }
  }
}

// Moves what is in the pipe to the terminal, around the edited line. The mutex is held.
void pass_on(Screen& screen) noexcept {
  char bytes[8192];
  bool began = false;
  char last = '\n';
  ssize_t count;
  while ((count = ::read(screen.pipe[0], bytes, sizeof bytes)) > 0) {
    if (!began) write_all(screen.terminal, screen.erase);
    began = true;
    write_all(screen.terminal, {bytes, static_cast<std::size_t>(count)});
    last = bytes[count - 1];
  }
  if (!began) return;
  if (last != '\n' && !screen.again.empty()) write_all(screen.terminal, "\r\n");
  write_all(screen.terminal, screen.again);
}

void pump(void*) noexcept {
  Screen& screen = the_screen();
  for (;;) {
    pollfd output = {screen.pipe[0], POLLIN, 0};
    if (poll(&output, 1, -1) < 0 && errno != EINTR) return;
    const ShortLock locked(screen.mutex);
    pass_on(screen);
  }
}

bool prepare(Screen& screen) noexcept {
  if (screen.terminal >= 0) return screen.works;
  screen.terminal = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);
  if (isatty(STDERR_FILENO) != 0) screen.error_terminal = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
  if (screen.terminal < 0 || pipe2(screen.pipe, O_CLOEXEC) != 0) return false;
  fcntl(screen.pipe[0], F_SETFL, O_NONBLOCK);
  if (screen.thread.start("terminal", 256 * 1024, nullptr, pump, nullptr) != 0) return false;
  screen.thread.detach();
  screen.works = true;
  return true;
}

}  // namespace

void begin() noexcept {
  Screen& screen = the_screen();
  if (!prepare(screen) || screen.is_piped) return;
  std::fflush(stdout);
  std::fflush(stderr);
  dup2(screen.pipe[1], STDOUT_FILENO);
  if (screen.error_terminal >= 0) dup2(screen.pipe[1], STDERR_FILENO);
  screen.is_piped = true;
}

void end() noexcept {
  Screen& screen = the_screen();
  if (!screen.is_piped) return;
  std::fflush(stdout);
  std::fflush(stderr);
  dup2(screen.terminal, STDOUT_FILENO);
  if (screen.error_terminal >= 0) dup2(screen.error_terminal, STDERR_FILENO);
  screen.is_piped = false;
  const ShortLock locked(screen.mutex);
  screen.erase.clear();
  screen.again.clear();
  pass_on(screen);
}

int descriptor() noexcept {
  const int terminal = the_screen().terminal;
  return terminal >= 0 ? terminal : STDOUT_FILENO;
}

void write(std::string_view bytes) noexcept {
  Screen& screen = the_screen();
  const ShortLock locked(screen.mutex);
  screen.erase.clear();
  screen.again.clear();
  write_all(descriptor(), bytes);
}

void draw(std::string_view bytes, const std::string& erase, const std::string& again) {
  Screen& screen = the_screen();
  const ShortLock locked(screen.mutex);
  screen.erase = erase;
  screen.again = again;
  write_all(descriptor(), bytes);
}

}  // namespace baton::program::screen
