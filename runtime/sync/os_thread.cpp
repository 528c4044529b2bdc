#include "sync/os_thread.h"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <memory>
#include <new>

#include "base/check.h"
#include "sync/futex.h"

namespace baton {
namespace {

constexpr std::size_t kNameBytes = 15;  // what Linux keeps

struct StartRecord {
  OsThread::Body body;
  void* argument;
  ThreadCount* count;
  char name[kNameBytes + 1];
};

void copy_name(char (&target)[kNameBytes + 1], std::string_view name) noexcept {
  std::size_t length = std::min(name.size(), kNameBytes);
  auto inside_character = [&](std::size_t at) { return (static_cast<unsigned char>(name[at]) & 0xC0) == 0x80; };
  while (length < name.size() && length > 0 && inside_character(length)) --length;
  std::memcpy(target, name.data(), length);
  target[length] = '\0';
}

// The kernel's struct sched_attr, as of its first version; the C library has no name for it yet.
struct SchedulingAttributes {
  std::uint32_t size;
  std::uint32_t policy;
  std::uint64_t flags;
  std::int32_t nice;
  std::uint32_t priority;
  std::uint64_t runtime_ns;  // of usual policies: the slice; 0: a kernel that has no slices
  std::uint64_t deadline_ns;
  std::uint64_t period_ns;
};

constexpr std::uint64_t kResetOnFork = 1;        // SCHED_FLAG_RESET_ON_FORK
constexpr std::uint64_t kShortSliceNs = 100'000;  // the shortest that kernels grant
constexpr std::uint64_t kLongSliceNs = 10'000'000;

struct SliceOfThread {
  bool allowed = false;
  Slice slice = Slice::kUsual;
};
thread_local SliceOfThread slice_of_thread;

// Of a thread; 0 is the calling one.
bool read_scheduling(int kernel_thread, SchedulingAttributes& attributes) noexcept {
  attributes = {};
  return syscall(SYS_sched_getattr, kernel_thread, &attributes, sizeof attributes, 0) == 0;
}

// Without negative nice values: to reset them in children, as the flag does, would be a change that nobody asked for.
bool may_have_slices(const SchedulingAttributes& attributes) noexcept {
  return (attributes.policy == SCHED_OTHER || attributes.policy == SCHED_BATCH) && attributes.nice >= 0 &&
         attributes.runtime_ns != 0;
}

bool write_slice(int kernel_thread, Slice slice) noexcept {
  SchedulingAttributes attributes;
  if (!read_scheduling(kernel_thread, attributes) || !may_have_slices(attributes)) return false;
  attributes.runtime_ns = slice == Slice::kShort ? kShortSliceNs : slice == Slice::kLong ? kLongSliceNs : 0;  // 0: the usual one
  attributes.size = sizeof attributes;
  attributes.flags = kResetOnFork;
  return syscall(SYS_sched_setattr, kernel_thread, &attributes, 0) == 0;
}

sigset_t asynchronous_signals() noexcept {
  sigset_t set;
  sigfillset(&set);
  for (int kept : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS}) sigdelset(&set, kept);
  return set;
}

}  // namespace

bool ThreadCount::wait_until_none(std::int64_t deadline_ns) noexcept {
  for (;;) {
    std::uint32_t left = running_.load(std::memory_order_acquire);
    if ((left & ~kAwaited) == 0) break;
    if ((left & kAwaited) == 0 && !running_.compare_exchange_weak(left, left | kAwaited, std::memory_order_acquire)) continue;
    if (futex_wait(running_, left | kAwaited, deadline_ns) == FutexResult::kTimedOut) break;
  }
  return running() == 0;
}

void ThreadCount::remove() noexcept {
  // After the last one's subtraction the counter may be gone; waking a dead address wakes nobody.
  if (running_.fetch_sub(1, std::memory_order_acq_rel) == (kAwaited | 1)) futex_wake(running_, INT_MAX);
}

OsThread::~OsThread() { BATON_CHECK(!started_, "a native thread was neither joined nor detached"); }

int OsThread::start(std::string_view name, std::size_t stack_bytes, ThreadCount* count, Body body,
                    void* argument) noexcept {
  BATON_DCHECK(!started_);
  std::unique_ptr<StartRecord> record(new (std::nothrow) StartRecord{body, argument, count, {}});
  if (record == nullptr) return ENOMEM;
  copy_name(record->name, name);

  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  int error = 0;
  if (stack_bytes > 0) {
    std::size_t page = 4096;
    std::size_t wanted = std::max<std::size_t>(stack_bytes, static_cast<std::size_t>(PTHREAD_STACK_MIN));
    error = pthread_attr_setstacksize(&attributes, (wanted + page - 1) / page * page);
  }
  if (error == 0) {
    auto run = [](void* data) -> void* {
      std::unique_ptr<StartRecord> own(static_cast<StartRecord*>(data));
      StartRecord start = *own;
      own.reset();
      if (start.name[0] != '\0') pthread_setname_np(pthread_self(), start.name);
      sharpen_timed_waits();
      allow_slices();
      start.body(start.argument);
      if (start.count != nullptr) start.count->remove();
      return nullptr;
    };
    if (count != nullptr) count->add();
    // The new thread inherits the mask, so no signal can slip in before it could block them itself.
    sigset_t before;
    sigset_t blocked = asynchronous_signals();
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    error = pthread_create(&handle_, &attributes, run, record.get());
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (error != 0 && count != nullptr) count->remove();
  }
  pthread_attr_destroy(&attributes);
  if (error != 0) return error;
  record.release();
  started_ = true;
  return 0;
}

void OsThread::join() noexcept {
  BATON_CHECK(started_, "join of a native thread that was not started");
  started_ = false;
  BATON_CHECK(pthread_join(handle_, nullptr) == 0, "a native thread cannot be joined");
}

void OsThread::detach() noexcept {
  BATON_CHECK(started_, "detach of a native thread that was not started");
  started_ = false;
  BATON_CHECK(pthread_detach(handle_) == 0, "a native thread cannot be detached");
}

void set_current_thread_name(std::string_view name) noexcept {
  char kept[kNameBytes + 1];
  copy_name(kept, name);
  pthread_setname_np(pthread_self(), kept);
}

void sharpen_timed_waits() noexcept { (void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); }

void allow_slices() noexcept { slice_of_thread.allowed = true; }

void set_slice(Slice slice) noexcept {
  SliceOfThread& own = slice_of_thread;
  if (!own.allowed || own.slice == slice) return;
  own.allowed = write_slice(0, slice);
  if (own.allowed) own.slice = slice;
}

Slice current_slice() noexcept { return slice_of_thread.slice; }

void set_slice_of(int kernel_thread, Slice slice) noexcept { (void)write_slice(kernel_thread, slice); }

void note_slice(Slice slice) noexcept { slice_of_thread.slice = slice; }

void block_asynchronous_signals() noexcept {
  sigset_t blocked = asynchronous_signals();
  pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
}

int current_kernel_thread() noexcept { return gettid(); }

bool thread_processors(int kernel_thread, ProcessorSet& result) noexcept {
  return sched_getaffinity(kernel_thread, sizeof result, &result) == 0;
}

bool set_thread_processors(int kernel_thread, const ProcessorSet& processors) noexcept {
  return sched_setaffinity(kernel_thread, sizeof processors, &processors) == 0;
}

bool call_thread_here(int kernel_thread) noexcept {
  const int here = sched_getcpu();
  if (here < 0 || here >= CPU_SETSIZE) return false;
  ProcessorSet only;
  CPU_ZERO(&only);
  CPU_SET(here, &only);
  return set_thread_processors(kernel_thread, only);
}

StackExtent current_native_stack() noexcept {
  static thread_local StackExtent known{};  // asking takes five system calls and several allocations
  if (known.top != nullptr) return known;
  auto* here = static_cast<std::byte*>(__builtin_frame_address(0));
  if (gettid() == getpid()) {
    // The kernel lets arguments and environment take a quarter of the limit; what they really took is above us.
    rlimit limit{};
    std::size_t bytes = std::size_t{8} << 20;
    if (getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) bytes = limit.rlim_cur;
    bytes = std::min(bytes, std::size_t{1} << 30);
    return {here - bytes / 4 * 3, here};
  }
  pthread_attr_t attributes;
  void* low = nullptr;
  std::size_t bytes = 0;
  BATON_CHECK(pthread_getattr_np(pthread_self(), &attributes) == 0, "the system does not tell a thread's stack");
  pthread_attr_getstack(&attributes, &low, &bytes);
  pthread_attr_destroy(&attributes);
  auto* lowest = static_cast<std::byte*>(low);
  known = {lowest, lowest + bytes};
  return known;
}

int usable_processors() noexcept {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

}  // namespace baton
