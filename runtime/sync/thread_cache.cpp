// A native thread that begins and ends costs 25 to 50 us of processor time, most of it the kernel's: mapping and protecting a stack,
// the thread itself, page faults, giving all of it back. Programs that start a thread for each piece of work start few at a time,
// so a handful of threads that wait for a moment spares them nearly all of it.
//
// Who has ended its body puts a record on its own stack into a list and sleeps, with a limit. Who starts a body takes a record out,
// writes the body into it and notifies it, all under the mutex: a thread whose time is over finds under the mutex whether it is
// still in the list and ends, or was given something. Only the system call that wakes it comes afterwards; it takes no more than an
// address, since the thread may have run, ended and gone by then.
//
// What a body could have changed of its thread and the next one could notice is set anew: the name and a long slice; the processor
// time used until then is subtracted. The signal mask and sharp timers are the same for all. Processors are given back by who was
// called to one (gil_waiting.cpp). A thread that has called functions of the host ends with its body (`end_with_body`): the host may
// keep anything for it, and the embedding interface does, until its end. Memory: what a stack touched stays for a second at most, in kMostIdle threads.
#include "sync/thread_cache.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <memory>
#include <new>

namespace baton {
namespace {

thread_local std::int64_t processor_ns_before = 0;
thread_local bool ends_with_body = false;

std::int64_t processor_ns() noexcept {
  timespec used;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return std::int64_t{used.tv_sec} * 1'000'000'000 + used.tv_nsec;
}

}  // namespace

std::int64_t ThreadCache::processor_ns_before_body() noexcept { return processor_ns_before; }

void ThreadCache::end_with_body() noexcept { ends_with_body = true; }

int ThreadCache::start(std::string_view name, OsThread::Body body, void* argument) noexcept {
  if (give_to_idle(name, body, argument)) return 0;
  std::unique_ptr<First> first(new (std::nothrow) First{this, {body, argument, {}}});
  if (first == nullptr) return ENOMEM;
  OsThread thread;
  const int refusal = thread.start(name, stack_bytes_, &count_, serve, first.get());
  if (refusal != 0) return refusal;
  thread.detach();
  first.release();  // to `serve`
  return 0;
}

bool ThreadCache::give_to_idle(std::string_view name, OsThread::Body body, void* argument) noexcept {
  Idle* idle;
  bool sleeps;
  {
    ShortLock locked(mutex_);
    idle = idle_;
    if (idle == nullptr) return false;
    idle_ = idle->next;
    --idle_count_;
    idle->job = {body, argument, {}};
    std::memcpy(idle->job.name, name.data(), std::min(name.size(), sizeof idle->job.name - 1));
    sleeps = idle->parker.notify();
  }
  if (sleeps) idle->parker.wake_sleeper();
  return true;
}

// The body of all threads. The first job's name was given to it when it was made.
void ThreadCache::serve(void* data) noexcept {
  Idle own;
  ThreadCache* cache;
  {
    const std::unique_ptr<First> first(static_cast<First*>(data));
    cache = first->cache;
    own.job = first->job;
  }
  for (;;) {
    own.job.body(own.job.argument);
    if (!cache->wait_for_job(own)) return;
    processor_ns_before = processor_ns();
    set_current_thread_name(own.job.name);
  }
}

// Returns: whether `own` has a new job; false: the thread is to end.
bool ThreadCache::wait_for_job(Idle& own) noexcept {
  own.job.body = nullptr;
  if (ends_with_body) return false;
  {
    ShortLock locked(mutex_);
    if (is_closed_ || idle_count_ == kMostIdle) return false;
    own.next = idle_;
    idle_ = &own;
    ++idle_count_;
  }
  set_current_thread_name("idle thread");
  set_slice(Slice::kShort);
  (void)own.parker.park(monotonic_ns() + kIdleNs);
  ShortLock locked(mutex_);
  if (own.job.body != nullptr) return true;
  for (Idle** link = &idle_; *link != nullptr; link = &(*link)->next) {
    if (*link != &own) continue;
    *link = own.next;
    --idle_count_;
    break;
  }
  return false;
}

void ThreadCache::close() noexcept {
  Idle* sleeping[kMostIdle];
  int count = 0;
  {
    ShortLock locked(mutex_);
    is_closed_ = true;
    for (; idle_ != nullptr; idle_ = idle_->next) {
      if (idle_->parker.notify()) sleeping[count++] = idle_;
    }
    idle_count_ = 0;
  }
  for (int i = 0; i < count; ++i) sleeping[i]->parker.wake_sleeper();
}

int ThreadCache::idle_count() noexcept {
  ShortLock locked(mutex_);
  return idle_count_;
}

}  // namespace baton
