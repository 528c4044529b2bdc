// The module fs: files and folders. Every operation is a job for the thread pool (fs_job.h); values are made from its
// outputs afterwards, under the GIL. Open files are in fs_file.cpp, watching in fs_watch.cpp.
#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "all_modules.h"
#include "fs_job.h"
#include "option_table.h"
#include "vm/operations.h"
#include "vm/safepoint.h"

namespace baton::stdlib {

int write_fully(int descriptor, std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

namespace {

// Closes itself.
class File {
 public:
  explicit File(int descriptor) noexcept : descriptor_(descriptor) {}
  ~File() { (void)close(); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  explicit operator bool() const noexcept { return descriptor_ >= 0; }
  int get() const noexcept { return descriptor_; }
  // Returns: 0 or an errno, which tells of writes that failed late.
  int close() noexcept {
    if (descriptor_ < 0) return 0;
    return ::close(std::exchange(descriptor_, -1)) == 0 ? 0 : errno;
  }

 private:
  int descriptor_;
};

int open_file(const std::string& path, int flags, mode_t mode = 0666) noexcept {
  int descriptor;
  do descriptor = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  while (descriptor < 0 && errno == EINTR);
  return descriptor;
}

int yes(NativeCall& call) { return call.result(Value::boolean(true)); }

// true, or nil, message, code.
int outcome(NativeCall& call, int error, const std::string& path) {
  return error == 0 ? yes(call) : call.failure_named(error, path);
}

// --- whole files -----------------------------------------------------------------------------------------------------------

struct ReadFile {
  std::string path;
  std::string bytes;

  int run() noexcept try {
    File file(open_file(path, O_RDONLY));
    if (!file) return errno;
    struct stat information;
    std::size_t expected = 0;
    if (fstat(file.get(), &information) == 0) {
      if (S_ISDIR(information.st_mode)) return EISDIR;
      expected = static_cast<std::size_t>(information.st_size);
    }
    std::size_t size = 0;
    bytes.resize(expected + 1);  // one more, to see the end without growing
    for (;;) {
      if (size == bytes.size()) bytes.resize(bytes.size() * 2 + 4096);
      const ssize_t got = ::read(file.get(), bytes.data() + size, bytes.size() - size);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return errno;
      if (got == 0) break;
      size += static_cast<std::size_t>(got);
    }
    bytes.resize(size);
    return 0;
  } catch (const std::bad_alloc&) {
    return ENOMEM;
  }
};

int fs_read(NativeCall& call) {
  const std::string path = path_argument(call, 1);
  const auto job = run_file_job<ReadFile>(call.thread(), "fs.read", path);
  return job->error != 0 ? call.failure_named(job->error, path) : call.result_string(job->state.bytes);
}

struct WriteFile {
  std::string path;
  std::string bytes;
  int flags;
  bool atomic;

  int run() noexcept {
    const int error = atomic ? replace() : write_in_place();
    std::string().swap(bytes);  // here, where nobody waits for the lock: large memory takes time to give back
    return error;
  }

  int write_in_place() noexcept {
    File file(open_file(path, flags));
    if (!file) return errno;
    const int error = write_fully(file.get(), bytes);
    const int late = file.close();
    return error != 0 ? error : late;
  }

  // The old content or the new one, whatever happens: a file beside it takes its name when it is safe on the disk.
  int replace() noexcept try {
    std::string beside = path + ".XXXXXX";
    File file(mkostemp(beside.data(), O_CLOEXEC));
    if (!file) return errno;
    struct stat old;
    const mode_t mask = umask(0);
    umask(mask);
    int error = fchmod(file.get(), stat(path.c_str(), &old) == 0 ? old.st_mode & 07777 : 0666 & ~mask) == 0 ? 0 : errno;
    if (error == 0) error = write_fully(file.get(), bytes);
    if (error == 0 && fsync(file.get()) != 0) error = errno;
    const int late = file.close();
    if (error == 0) error = late;
    if (error == 0 && rename(beside.c_str(), path.c_str()) != 0) error = errno;
    if (error != 0) unlink(beside.c_str());
    return error;
  } catch (const std::bad_alloc&) {
    return ENOMEM;
  }
};

int write_whole(NativeCall& call, int flags, bool atomic, const char* what) {
  const std::string path = path_argument(call, 1);
  const std::string_view bytes = call.check_text(2);
  const auto job = run_file_job<WriteFile>(call.thread(), what, path, vm::copied(call.thread(), bytes), flags, atomic);
  return outcome(call, job->error, path);
}

int fs_write(NativeCall& call) {
  static constexpr const char* kOptions[] = {"atomic", nullptr};
  const OptionTable options(call, 3, kOptions);
  return write_whole(call, O_WRONLY | O_CREAT | O_TRUNC, options.flag("atomic"), "fs.write");
}

int fs_append(NativeCall& call) { return write_whole(call, O_WRONLY | O_CREAT | O_APPEND, false, "fs.append"); }

struct CopyFile {
  std::string from, to;

  int run() noexcept {
    File source(open_file(from, O_RDONLY));
    if (!source) return errno;
    struct stat information;
    if (fstat(source.get(), &information) != 0) return errno;
    if (S_ISDIR(information.st_mode)) return EISDIR;
    File target(open_file(to, O_WRONLY | O_CREAT, information.st_mode & 0777));
    if (!target) return errno;
    struct stat present;
    if (fstat(target.get(), &present) == 0 && present.st_ino == information.st_ino && present.st_dev == information.st_dev) {
      return EINVAL;  // onto itself
    }
    if (ftruncate(target.get(), 0) != 0 && errno != EINVAL) return errno;
    char bytes[32768];
    for (;;) {
      const ssize_t got = ::read(source.get(), bytes, sizeof bytes);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return errno;
      if (got == 0) return target.close();
      const int error = write_fully(target.get(), {bytes, static_cast<std::size_t>(got)});
      if (error != 0) return error;
    }
  }
};

int fs_copy(NativeCall& call) {
  const std::string from = path_argument(call, 1), to = path_argument(call, 2);
  const auto job = run_file_job<CopyFile>(call.thread(), "fs.copy", from, to);
  return outcome(call, job->error, job->error == ENOENT || job->error == EISDIR ? from : to);
}

// --- names -----------------------------------------------------------------------------------------------------------------

struct StatFile {
  std::string path;
  struct stat information;
  int run() noexcept { return stat(path.c_str(), &information) == 0 ? 0 : errno; }
};

const char* type_of(mode_t mode) noexcept {
  switch (mode & S_IFMT) {
    case S_IFREG: return "file";
    case S_IFDIR: return "directory";
    case S_IFLNK: return "link";
    case S_IFSOCK: return "socket";
    case S_IFIFO: return "fifo";
    case S_IFCHR: return "character device";
    case S_IFBLK: return "block device";
    default: return "unknown";
  }
}

int fs_stat(NativeCall& call) {
  const std::string path = path_argument(call, 1);
  const auto job = run_file_job<StatFile>(call.thread(), "fs.stat", path);
  if (job->error != 0) return call.failure_named(job->error, path);
  const struct stat& information = job->state.information;
  Table* result = table::make(call.heap(), 0, 8);
  call.push(Value::of(result));
  const auto set = [&](const char* name, const Value& value) { native::set_field(call.thread(), result, name, value); };
  set("type", Value::of(string::make(call.heap(), type_of(information.st_mode))));
  set("size", Value::from(static_cast<std::int64_t>(information.st_size)));
  set("mtime", Value::from(static_cast<double>(information.st_mtim.tv_sec) + static_cast<double>(information.st_mtim.tv_nsec) * 1e-9));
  set("inode", Value::from(static_cast<std::int64_t>(information.st_ino)));
  set("dev", Value::from(static_cast<std::int64_t>(information.st_dev)));
  set("mode", Value::from(static_cast<std::int64_t>(information.st_mode & 07777)));
  return 1;
}

int fs_exists(NativeCall& call) {
  const auto job = run_file_job<StatFile>(call.thread(), "fs.exists", path_argument(call, 1));
  return call.result(Value::boolean(job->error == 0));
}

int push_list(NativeCall& call, const std::vector<std::string>& names) {
  Table* list = table::make(call.heap(), static_cast<std::uint32_t>(names.size()));
  call.push(Value::of(list));
  std::int64_t n = 0;
  for (const std::string& name : names) table::set_integer(call.heap(), list, ++n, Value::of(string::make(call.heap(), name)));
  return 1;
}

int list_folder(const std::string& path, std::vector<std::string>& names) {
  DIR* folder = opendir(path.c_str());
  if (folder == nullptr) return errno;
  errno = 0;
  while (const dirent* entry = readdir(folder)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  const int error = errno;
  closedir(folder);
  std::sort(names.begin(), names.end());
  return error;
}

struct ListFolder {
  std::string path;
  std::vector<std::string> names;
  int run() noexcept try { return list_folder(path, names); } catch (const std::bad_alloc&) { return ENOMEM; }
};

int fs_dir(NativeCall& call) {
  const std::string path = path_argument(call, 1);
  const auto job = run_file_job<ListFolder>(call.thread(), "fs.dir", path);
  return job->error != 0 ? call.failure_named(job->error, path) : push_list(call, job->state.names);
}

// One component of the pattern after the other; "**" stands for any number of folders.
struct Glob {
  std::string pattern;
  std::vector<std::string> found;

  int run() noexcept try {
    const bool is_absolute = !pattern.empty() && pattern[0] == '/';
    expand(is_absolute ? "/" : "", is_absolute ? 1 : 0);
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return 0;
  } catch (const std::bad_alloc&) {
    return ENOMEM;
  }

  static bool is_folder(const std::string& path, bool follow) {
    struct stat information;
    const int failed = follow ? stat(path.c_str(), &information) : lstat(path.c_str(), &information);
    return failed == 0 && S_ISDIR(information.st_mode);
  }

  // `base` is empty or ends in a slash; the rest of the pattern begins at `at`.
  void expand(const std::string& base, std::size_t at) {
    while (at < pattern.size() && pattern[at] == '/') ++at;
    if (at >= pattern.size()) return;
    const std::size_t end = std::min(pattern.find('/', at), pattern.size());
    const std::string part = pattern.substr(at, end - at);
    const bool is_last = end == pattern.size();
    if (part.find_first_of("*?[\\") == std::string::npos) {
      struct stat information;
      const std::string path = base + part;
      if (is_last) {
        if (lstat(path.c_str(), &information) == 0) found.push_back(path);
      } else if (is_folder(path, true)) {
        expand(path + "/", end);
      }
      return;
    }
    std::vector<std::string> names;
    if (list_folder(base.empty() ? "." : base, names) != 0) return;
    if (part == "**") {
      if (!is_last) expand(base, end);
      for (const std::string& name : names) {
        if (name[0] == '.') continue;
        if (is_last) found.push_back(base + name);
        if (is_folder(base + name, false)) expand(base + name + "/", at);
      }
      return;
    }
    for (const std::string& name : names) {
      if (fnmatch(part.c_str(), name.c_str(), FNM_PERIOD) != 0) continue;
      if (is_last) found.push_back(base + name);
      else if (is_folder(base + name, true)) expand(base + name + "/", end);
    }
  }
};

int fs_glob(NativeCall& call) {
  const auto job = run_file_job<Glob>(call.thread(), "fs.glob", path_argument(call, 1));
  return job->error != 0 ? call.failure_named(job->error, "") : push_list(call, job->state.found);
}

struct MakeFolder {
  std::string path;
  bool parents;

  int run() noexcept try {
    if (!parents) return mkdir(path.c_str(), 0777) == 0 ? 0 : errno;
    std::error_code error;
    std::filesystem::create_directories(path, error);
    return error.value();
  } catch (const std::bad_alloc&) {
    return ENOMEM;
  }
};

int fs_mkdir(NativeCall& call) {
  static constexpr const char* kOptions[] = {"parents", nullptr};
  const std::string path = path_argument(call, 1);
  const OptionTable options(call, 2, kOptions);
  const auto job = run_file_job<MakeFolder>(call.thread(), "fs.mkdir", path, options.flag("parents"));
  return outcome(call, job->error, path);
}

struct Remove {
  std::string path;
  bool recursive;

  int run() noexcept try {
    if (!recursive) return ::remove(path.c_str()) == 0 ? 0 : errno;
    struct stat information;
    if (lstat(path.c_str(), &information) != 0) return errno;
    std::error_code error;
    std::filesystem::remove_all(path, error);
    return error.value();
  } catch (const std::bad_alloc&) {
    return ENOMEM;
  }
};

int fs_remove(NativeCall& call) {
  static constexpr const char* kOptions[] = {"recursive", nullptr};
  const std::string path = path_argument(call, 1);
  const OptionTable options(call, 2, kOptions);
  const auto job = run_file_job<Remove>(call.thread(), "fs.remove", path, options.flag("recursive"));
  return outcome(call, job->error, path);
}

struct Rename {
  std::string from, to;
  int run() noexcept { return ::rename(from.c_str(), to.c_str()) == 0 ? 0 : errno; }
};

int fs_rename(NativeCall& call) {
  const std::string from = path_argument(call, 1), to = path_argument(call, 2);
  const auto job = run_file_job<Rename>(call.thread(), "fs.rename", from, to);
  return outcome(call, job->error, from);
}

// --- temporary folders -----------------------------------------------------------------------------------------------------

struct MakeTemporary {
  std::string path;
  int run() noexcept { return mkdtemp(path.data()) != nullptr ? 0 : errno; }
};

// Upvalue-free: the path stands in the object.
int tempdir_close(NativeCall& call) {
  Table* folder = call.check_table(1);
  const Value path = native::get_field(call.thread(), folder, "path");
  if (!path.is_string() || native::get_field(call.thread(), folder, "closed").is_truthy()) return 0;
  native::set_field(call.thread(), folder, "closed", Value::boolean(true));
  const std::string text(path.string()->view());
  const auto job = run_file_job<Remove>(call.thread(), "tempdir.close", text, true);
  return outcome(call, job->error, text);
}

constexpr NativeInfo kTempdirClose = {
    "close", "TemporaryFolder:close() -> boolean?",
    "Removes the folder with all that is in it.\n"
    "Waits: parks the task.",
    tempdir_close};

int fs_tempdir(NativeCall& call) {
  const char* parent = std::getenv("TMPDIR");
  const std::string pattern = std::string(parent != nullptr && *parent != '\0' ? parent : "/tmp") + "/baton-XXXXXX";
  const auto job = run_file_job<MakeTemporary>(call.thread(), "fs.tempdir", pattern);
  if (job->error != 0) return call.failure_named(job->error, pattern);
  Table* folder = table::make(call.heap(), 0, 2);
  call.push(Value::of(folder));
  native::set_field(call.thread(), folder, "path", Value::of(string::make(call.heap(), job->state.path)));
  bool created = false;
  Table* metatable = native::class_metatable(call.thread(), "TemporaryFolder", &created);
  if (created) {
    const Value closer = native::make(call.thread(), &kTempdirClose);
    native::set_field(call.thread(), metatable, "__close", closer);
    native::set_field(call.thread(), metatable, "close", closer);
    native::set_field(call.thread(), metatable, "__index", Value::of(metatable));
  }
  vm::set_metatable(call.thread(), Value::of(folder), metatable);
  return 1;
}

const NativeInfo kFunctions[] = {
    {"append", "fs.append(path: string, text: string) -> boolean?",
     "Adds text at the end of a file, which is made if it is missing.\n"
     "Fails: nil, message, code.\n"
     "Waits: parks the task."
     R"lua(

fs.append("log.txt", "one\n")
fs.append("log.txt", "two\n")
print(#fs.read "log.txt")  --> 8)lua",
     fs_append},
    {"copy", "fs.copy(from: string, to: string) -> boolean?",
     "Copies a file with its permissions; an existing one is replaced.\n"
     "Fails: nil, message, code.\n"
     "Waits: parks the task."
     R"lua(

fs.write("a.txt", "text")
print(fs.copy("a.txt", "b.txt"), fs.read "b.txt")  --> true	text)lua",
     fs_copy},
    {"dir", "fs.dir(path: string) -> table?",
     "A sorted list of the names in a folder, without \".\" and \"..\".\n"
     "Fails: nil, message, code.\n"
     "Waits: parks the task."
     R"lua(

fs.mkdir "d" fs.write("d/b", "") fs.write("d/a", "")
print(table.concat(fs.dir "d", " "))  --> a b)lua",
     fs_dir},
    {"exists", "fs.exists(path: string) -> boolean",
     "Whether there is such a file or folder; links are followed.\n"
     "Waits: parks the task."
     R"lua(

print(fs.exists "missing.txt")  --> false)lua",
     fs_exists},
    {"glob", "fs.glob(pattern: string) -> table",
     "A sorted list of the paths that match: * ? and [a-z] stand for parts of a name, \"**\" for any number of folders. "
     "Names with a dot in front need one in the pattern.\n"
     "Waits: parks the task."
     R"lua(

fs.mkdir("g/deep", {parents = true}) fs.write("g/x.txt", "") fs.write("g/deep/y.txt", "")
print(table.concat(fs.glob "g/**/*.txt", " "))  --> g/deep/y.txt g/x.txt)lua",
     fs_glob},
    {"mkdir", "fs.mkdir(path: string, options?: table) -> boolean?",
     "Makes a folder; with parents=true also those above it, and it may exist.\n"
     "Fails: nil, message, code.\n"
     "Waits: parks the task."
     R"lua(

print(fs.mkdir("one/two", {parents = true}))  --> true
print(select(3, fs.mkdir "one"))              --> EEXIST)lua",
     fs_mkdir},
    {"open", "fs.open(path: string, mode?: string) -> File?",
     "Opens a file, modes as of io.open, for use from any native thread.\n"
     "Fails: nil, message, code.\n"
     "Waits: parks the task."
     R"lua(

local f <close> = assert(fs.open("note.txt", "w"))
f:write("one\n", 2, "\n"))lua",
     fs_open},
    {"read", "fs.read(path: string) -> string?",
     "The content of a file.\n"
     "Fails: nil, message, code.\n"
     "Waits: parks the task."
     R"lua(

print(fs.read "missing.txt")  --> nil	ENOENT: no such file or directory: missing.txt	ENOENT)lua",
     fs_read},
    {"remove", "fs.remove(path: string, options?: table) -> boolean?",
     "Removes a file or an empty folder; with recursive=true a folder with all in it.\n"
     "Fails: nil, message, code.\n"
     "Waits: parks the task."
     R"lua(

fs.mkdir "r" fs.write("r/x", "")
print(select(3, fs.remove "r"), fs.remove("r", {recursive = true}))  --> ENOTEMPTY	true)lua",
     fs_remove},
    {"rename", "fs.rename(from: string, to: string) -> boolean?",
     "Renames or moves a file or folder; an existing file of the new name is replaced.\n"
     "Fails: nil, message, code.\n"
     "Waits: parks the task."
     R"lua(

fs.write("old.txt", "x")
print(fs.rename("old.txt", "new.txt"), fs.exists "old.txt")  --> true	false)lua",
     fs_rename},
    {"stat", "fs.stat(path: string) -> table?",
     "Facts about a file: {type, size, mtime, inode, dev, mode}: type is \"file\", \"directory\", \"socket\" ..., size "
     "in bytes, mtime in seconds since 1970 with fractions, mode the permission bits. Links are followed.\n"
     "Fails: nil, message, code.\n"
     "Waits: parks the task."
     R"lua(

fs.write("five.txt", "12345")
local facts = fs.stat "five.txt"
print(facts.type, facts.size)  --> file	5)lua",
     fs_stat},
    {"tempdir", "fs.tempdir() -> TemporaryFolder?",
     "A new folder, its name in the field path; closing it removes it with all in it.\n"
     "Fails: nil, message, code.\n"
     "Waits: parks the task."
     R"lua(

local path
do
  local folder <close> = fs.tempdir()
  path = folder.path
  fs.write(path .. "/x", "1")
end
print(fs.exists(path))  --> false)lua",
     fs_tempdir},
    {"watch", "fs.watch(path: string) -> FileWatch?",
     "An iterator over changes of a file or of a folder's files: tables {path=, "
     "kind=\"created\"|\"changed\"|\"removed\"}. Closable.\n"
     "Fails: nil, message, code."
     R"lua(

local folder <close> = fs.tempdir()
local changes <close> = fs.watch(folder.path)
fs.write(folder.path .. "/new.txt", "")
print(changes:next().kind)  --> created)lua",
     fs_watch},
    {"write", "fs.write(path: string, text: string, options?: table) -> boolean?",
     "Writes a file. With atomic=true it has the old content or the new one at any time, also after a crash.\n"
     "Fails: nil, message, code.\n"
     "Waits: parks the task."
     R"lua(

print(fs.write("settings.txt", "size = 3\n", {atomic = true}))  --> true)lua",
     fs_write},
    {nullptr, nullptr, nullptr, nullptr},
};

}  // namespace

Table* open_fs(ThreadState& thread) {
  Table* library = table::make(thread.heap(), 0, 16);
  native::add_functions(thread, library, kFunctions);
  return library;
}

}  // namespace baton::stdlib
