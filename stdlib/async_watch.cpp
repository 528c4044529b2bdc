// A watch: several awaitables are waited for at once, and told in the order in which they end. gather, race, wait and the
// others, which are written in script, stand on it.
//
// Invariant: each awaitable that has not ended has one of the watch's entries in its queue; entries that ended stand in a
// list of their own until `next` has told them. The list of awaitables is user value 1 of the watch.
#include <memory>
#include <new>

#include "async_library.h"
#include "thread_library.h"

namespace baton::stdlib {
namespace {

constexpr const char* kWatchClass = "Watch";

class Watch {
 public:
  // Raises: std::bad_alloc.
  explicit Watch(std::size_t count) : entries_(new Entry[count]) {}

  void add(std::size_t index, sched::Awaitable& awaitable) noexcept {
    Entry& entry = entries_[index];
    entry.watch = this;
    entry.index = index;
    if (awaitable.has_ended()) append(entry);
    else awaitable.waiters().push(entry);
    ++open_;
  }

  bool is_over() const noexcept { return open_ == 0; }

  // Waits for the next end. Returns: its index, or -1 at the deadline.
  std::ptrdiff_t next(ThreadState& thread, std::int64_t deadline_ns) {
    sched::before_wait(thread);
    while (first_ == nullptr) {
      sched::Waiter waiter(thread);
      listeners_.push(waiter);
      if (sched::wait(thread, waiter, deadline_ns, "await") == sched::WaitResult::kTimedOut) return -1;
    }
    const Entry& entry = *first_;
    first_ = entry.next_ended;
    if (first_ == nullptr) last_ = nullptr;
    --open_;
    return static_cast<std::ptrdiff_t>(entry.index);
  }

 private:
  struct Entry final : sched::Waiter {
    Entry() noexcept : Waiter(notify) {}
    static void notify(sched::Waiter& waiter) noexcept {
      auto& entry = static_cast<Entry&>(waiter);
      entry.watch->append(entry);
      entry.watch->listeners_.wake_all();
    }
    Watch* watch = nullptr;
    Entry* next_ended = nullptr;
    std::size_t index = 0;
  };

  void append(Entry& entry) noexcept {
    (last_ != nullptr ? last_->next_ended : first_) = &entry;
    last_ = &entry;
  }

  std::unique_ptr<Entry[]> entries_;
  Entry* first_ = nullptr;
  Entry* last_ = nullptr;
  std::size_t open_ = 0;
  sched::WaitQueue listeners_;
};

// watch([seconds]) -> index of the next awaitable to end; nil when all were told; false when the time is over.
int watch_next(NativeCall& call) {
  auto& watch = *static_cast<Watch*>(call.check_userdata(1, kWatchClass));
  if (watch.is_over()) return call.result(Value());
  const std::ptrdiff_t index = watch.next(call.thread(), timeout_argument(call, 2));
  if (index < 0) return call.result(Value::boolean(false));
  return call.result(Value::from(static_cast<std::int64_t>(index) + 1));
}

constexpr NativeInfo kNext = {"next", "watch([timeout])", "The index of the next awaitable that ends.", watch_next};

Table* watch_metatable(ThreadState& thread) {
  bool created = false;
  Table* metatable = native::class_metatable(thread, kWatchClass, &created);
  if (created) native::set_field(thread, metatable, "__call", native::make(thread, &kNext));
  return metatable;
}

}  // namespace

int async_watch(NativeCall& call) {
  Table* list = call.check_table(1);
  const std::uint64_t count = table::length(list);
  Userdata* handle = userdata::make(call.heap(), sizeof(Watch), 1);
  auto* watch = new (handle->block()) Watch(count);
  handle->release = [](void* block) noexcept { static_cast<Watch*>(block)->~Watch(); };
  handle->user_values()[0] = Value::of(list);
  call.push(Value::of(handle));
  handle->metatable = watch_metatable(call.thread());
  for (std::uint64_t i = 1; i <= count; ++i) {
    const Awaited awaited = test_awaitable(call.thread(), *table::get_integer(list, static_cast<std::int64_t>(i)));
    if (!awaited) call.argument_error(1, "list of awaitables expected");
    watch->add(i - 1, awaited.state());
  }
  return 1;
}

}  // namespace baton::stdlib
