#include "process_child.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace baton::stdlib {
namespace {

constexpr int kFirstOwnDescriptor = 3;
constexpr int kChannelDescriptor = 3;

// Children that nobody waits for any more. Under the GIL of whichever runtime: a short spin lock covers several runtimes.
class Abandoned {
 public:
  void add(pid_t pid) noexcept {
    const Lock lock(*this);
    try {
      pids_.push_back(pid);
    } catch (const std::bad_alloc&) {  // it stays a zombie until we end
    }
  }
  void reap() noexcept {
    const Lock lock(*this);
    std::erase_if(pids_, [](pid_t pid) { return waitpid(pid, nullptr, WNOHANG) != 0; });
  }

 private:
  struct Lock {
    explicit Lock(Abandoned& owner) noexcept : flag(owner.flag_) {
      while (__atomic_test_and_set(&flag, __ATOMIC_ACQUIRE)) {
      }
    }
    ~Lock() { __atomic_clear(&flag, __ATOMIC_RELEASE); }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;
    bool& flag;
  };
  bool flag_ = false;
  std::vector<pid_t> pids_;
};

Abandoned& abandoned() {
  static Abandoned children;
  return children;
}

// A descriptor that is closed at the end of the scope unless taken.
class Descriptor {
 public:
  Descriptor() noexcept = default;
  explicit Descriptor(int number) noexcept : number_(number) {}
  ~Descriptor() { reset(-1); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  void reset(int number) noexcept {
    if (number_ >= 0) close(number_);
    number_ = number;
  }
  int get() const noexcept { return number_; }
  int take() noexcept { return std::exchange(number_, -1); }

 private:
  int number_ = -1;
};

// Numbers below 3 occur when our own standard descriptors are closed: the child's would overwrite them before they are used.
int above_standard(int descriptor) noexcept {
  if (descriptor < 0 || descriptor >= kFirstOwnDescriptor) return descriptor;
  const int moved = fcntl(descriptor, F_DUPFD_CLOEXEC, kFirstOwnDescriptor + 1);
  const int error = errno;
  close(descriptor);
  errno = error;
  return moved;
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> result;
  result.reserve(texts.size() + 1);
  for (const std::string& text : texts) result.push_back(const_cast<char*>(text.c_str()));
  result.push_back(nullptr);
  return result;
}

// Text as a file without a name: nobody has to feed the child, and it cannot get stuck. Returns: a descriptor or -1.
int text_file(const std::string& text) noexcept {
  Descriptor file(above_standard(memfd_create("stdin", MFD_CLOEXEC)));
  if (file.get() < 0) return -1;
  std::size_t written = 0;
  while (written < text.size()) {
    const ssize_t count = pwrite(file.get(), text.data() + written, text.size() - written, static_cast<off_t>(written));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return -1;
    written += static_cast<std::size_t>(count);
  }
  return file.take();
}

// What one standard descriptor of the child becomes.
struct Plumbing {
  Descriptor ours, theirs;  // ours: our end of a pipe

  int open(const Redirect& redirect, bool is_input) noexcept {
    switch (redirect.kind) {
      case Redirection::kPipe: return open_pipe(is_input);
      case Redirection::kText: theirs.reset(text_file(redirect.text)); break;
      case Redirection::kNull: theirs.reset(above_standard(::open("/dev/null", O_RDWR | O_CLOEXEC))); break;
      case Redirection::kFile:
      case Redirection::kAppend: {
        const int mode = is_input ? O_RDONLY : O_WRONLY | O_CREAT | (redirect.kind == Redirection::kAppend ? O_APPEND : O_TRUNC);
        theirs.reset(above_standard(::open(redirect.text.c_str(), mode | O_CLOEXEC, 0666)));
        break;
      }
      case Redirection::kDescriptor:
        theirs.reset(fcntl(redirect.descriptor, F_DUPFD_CLOEXEC, kFirstOwnDescriptor + 1));
        break;
      case Redirection::kInherit:
      case Redirection::kStandardOutput: return 0;
    }
    return theirs.get() < 0 ? errno : 0;
  }

 private:
  int open_pipe(bool is_input) noexcept {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return errno;
    ours.reset(above_standard(ends[is_input ? 1 : 0]));
    theirs.reset(above_standard(ends[is_input ? 0 : 1]));
    if (ours.get() < 0 || theirs.get() < 0) return errno;
    const int flags = fcntl(ours.get(), F_GETFL);
    return fcntl(ours.get(), F_SETFL, flags | O_NONBLOCK) == 0 ? 0 : errno;
  }
};

// What the child does with its descriptors before it becomes the command.
class FileActions {
 public:
  FileActions() noexcept { posix_spawn_file_actions_init(&actions_); }
  ~FileActions() { posix_spawn_file_actions_destroy(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  void become(int from, int number) noexcept { posix_spawn_file_actions_adddup2(&actions_, from, number); }
  void change_folder(const char* folder) noexcept { posix_spawn_file_actions_addchdir_np(&actions_, folder); }
  void close_from(int number) noexcept { posix_spawn_file_actions_addclosefrom_np(&actions_, number); }
  const posix_spawn_file_actions_t* get() const noexcept { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

// The child begins with no signal blocked, whatever this native thread blocks, and with the usual end for broken pipes.
class Attributes {
 public:
  explicit Attributes(bool leads_group) noexcept {
    posix_spawnattr_init(&attributes_);
    sigset_t none, usual;
    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGPIPE);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &usual);
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    if (leads_group) flags |= POSIX_SPAWN_SETPGROUP;
    posix_spawnattr_setpgroup(&attributes_, 0);
    posix_spawnattr_setflags(&attributes_, flags);
  }
  ~Attributes() { posix_spawnattr_destroy(&attributes_); }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;
  const posix_spawnattr_t* get() const noexcept { return &attributes_; }

 private:
  posix_spawnattr_t attributes_;
};

// A group of its own would be stopped when it uses the terminal.
bool uses_terminal(const ChildRequest& request) noexcept {
  return (request.input.kind == Redirection::kInherit && isatty(STDIN_FILENO) != 0) ||
         (request.output.kind == Redirection::kInherit && isatty(STDOUT_FILENO) != 0);
}

}  // namespace

ChildProcess::~ChildProcess() {
  if (pid_ > 0 && !ended_) {
    send_signal(SIGKILL);
    while (waitpid(pid_, &status_, 0) < 0 && errno == EINTR) {
    }
  }
  for (const int descriptor : {handle_, input_, output_, errors_}) {
    if (descriptor >= 0) close(descriptor);
  }
}

int ChildProcess::start(const ChildRequest& request, std::string* culprit) {
  abandoned().reap();
  Plumbing plumbing[3];
  const Redirect* redirects[] = {&request.input, &request.output, &request.errors};
  FileActions actions;
  for (int i = 0; i < 3; ++i) {
    if (const int error = plumbing[i].open(*redirects[i], i == 0); error != 0) {
      if (redirects[i]->kind == Redirection::kFile || redirects[i]->kind == Redirection::kAppend) *culprit = redirects[i]->text;
      return error;
    }
    if (redirects[i]->kind == Redirection::kStandardOutput) actions.become(STDOUT_FILENO, i);
    else if (plumbing[i].theirs.get() >= 0) actions.become(plumbing[i].theirs.get(), i);
  }
  if (request.channel >= 0) actions.become(request.channel, kChannelDescriptor);
  actions.close_from(request.channel >= 0 ? kChannelDescriptor + 1 : kFirstOwnDescriptor);
  if (!request.folder.empty()) actions.change_folder(request.folder.c_str());
  std::vector<char*> arguments = pointers(request.command);
  std::vector<char*> environment = pointers(request.environment);
  leads_group_ = !uses_terminal(request);
  const Attributes attributes(leads_group_);
  pid_t pid = -1;
  const int error = posix_spawnp(&pid, arguments[0], actions.get(), attributes.get(), arguments.data(), environment.data());
  if (error != 0) {
    struct stat information;
    const bool folder_is_missing = !request.folder.empty() && stat(request.folder.c_str(), &information) != 0;
    *culprit = folder_is_missing ? request.folder : request.command[0];
    return error;
  }
  pid_ = pid;
  input_ = plumbing[0].ours.take();
  output_ = plumbing[1].ours.take();
  errors_ = plumbing[2].ours.take();
  handle_ = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
  return 0;
}

bool ChildProcess::is_over() const noexcept {
  if (ended_ || pid_ <= 0) return true;
  siginfo_t information = {};
  const int result = waitid(P_PID, static_cast<id_t>(pid_), &information, WEXITED | WNOHANG | WNOWAIT);
  return (result == 0 && information.si_pid == pid_) || (result != 0 && errno != EINTR);
}

bool ChildProcess::reap() noexcept {
  if (ended_ || pid_ <= 0) return true;
  pid_t result;
  do {
    result = waitpid(pid_, &status_, WNOHANG);
  } while (result < 0 && errno == EINTR);
  ended_ = result != 0;
  return ended_;
}

int ChildProcess::send_signal(int number) noexcept {
  if (ended_ || pid_ <= 0) return ESRCH;
  if (leads_group_ && kill(-pid_, number) == 0) return 0;
  return kill(pid_, number) == 0 ? 0 : errno;
}

void ChildProcess::abandon() noexcept {
  if (pid_ > 0 && !reap()) abandoned().add(pid_);
  ended_ = true;
}

}  // namespace baton::stdlib
