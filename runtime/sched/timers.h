// Timers of one native thread: a heap of deadlines, the earliest first, equal ones in the order of arming.
//
// Invariant: a timer is armed in at most one heap and knows its place there, so disarming costs O(log n) without a search.
// Owner: whoever embeds the Timer disarms it before it goes; the heap belongs to the thread's Scheduler.
// Threading: under the GIL.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "sync/clock.h"

namespace baton::sched {

struct Timer {
  // Called once when the deadline has come, already disarmed. It runs no script code, and may arm and disarm timers.
  void (*fire)(Timer& timer) noexcept;
  std::uint32_t place = kDisarmed;  // index in the heap

  static constexpr std::uint32_t kDisarmed = UINT32_MAX;
  explicit Timer(void (*function)(Timer& timer) noexcept) noexcept : fire(function) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  bool is_armed() const noexcept { return place != kDisarmed; }
};

class TimerHeap {
 public:
  // Arms `timer`, which is not armed. Raises: std::bad_alloc; then nothing has happened.
  void arm(Timer& timer, std::int64_t deadline_ns);
  // Disarms it, if it is armed. Raises: nothing.
  void disarm(Timer& timer) noexcept {
    if (timer.is_armed()) remove(timer.place);
  }
  // The earliest deadline, or kNoDeadline. Raises: nothing.
  std::int64_t next_deadline() const noexcept { return entries_.empty() ? kNoDeadline : entries_.front().deadline_ns; }
  // Fires all timers whose deadline is at most `now_ns` when it begins. Returns: whether one fired. Raises: nothing.
  bool fire_due(std::int64_t now_ns) noexcept;
  std::size_t size() const noexcept { return entries_.size(); }

 private:
  struct Entry {
    std::int64_t deadline_ns;
    std::uint64_t order;  // of arming
    Timer* timer;
    bool before(const Entry& other) const noexcept {
      return deadline_ns != other.deadline_ns ? deadline_ns < other.deadline_ns : order < other.order;
    }
  };
  void remove(std::uint32_t place) noexcept;
  void rise(std::uint32_t place, const Entry& entry) noexcept;
  void sink(std::uint32_t place, const Entry& entry) noexcept;
  void put(std::uint32_t place, const Entry& entry) noexcept {
    entries_[place] = entry;
    entry.timer->place = place;
  }

  std::vector<Entry> entries_;  // each entry is before its four children 4 i + 1 ... 4 i + 4
  std::uint64_t next_order_ = 0;
};

}  // namespace baton::sched
