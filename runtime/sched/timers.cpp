// Why an own heap. A sleep arms one timer and, unless it was cancelled, that timer fires: two operations on a structure that
// holds as many entries as there are sleeping tasks. Four children per entry halve the depth of a binary heap and lie in one
// or two cache lines; the entries carry the deadline, so comparing touches no Timer. libuv's own heap is binary, linked, and
// needs a handle of 128 bytes per timer.
#include "sched/timers.h"

#include <algorithm>

namespace baton::sched {
namespace {
constexpr std::uint32_t kChildren = 4;
}

void TimerHeap::arm(Timer& timer, std::int64_t deadline_ns) {
  const Entry entry{deadline_ns, next_order_++, &timer};
  entries_.push_back(entry);
  rise(static_cast<std::uint32_t>(entries_.size() - 1), entry);
}

void TimerHeap::rise(std::uint32_t place, const Entry& entry) noexcept {
  while (place > 0) {
    const std::uint32_t parent = (place - 1) / kChildren;
    if (!entry.before(entries_[parent])) break;
    put(place, entries_[parent]);
    place = parent;
  }
  put(place, entry);
}

void TimerHeap::sink(std::uint32_t place, const Entry& entry) noexcept {
  const auto count = static_cast<std::uint32_t>(entries_.size());
  for (;;) {
    const std::uint32_t first = place * kChildren + 1;
    if (first >= count) break;
    std::uint32_t least = first;
    for (std::uint32_t child = first + 1; child < std::min(first + kChildren, count); ++child) {
      if (entries_[child].before(entries_[least])) least = child;
    }
    if (!entries_[least].before(entry)) break;
    put(place, entries_[least]);
    place = least;
  }
  put(place, entry);
}

void TimerHeap::remove(std::uint32_t place) noexcept {
  entries_[place].timer->place = Timer::kDisarmed;
  const Entry last = entries_.back();
  entries_.pop_back();
  if (place == entries_.size()) return;
  const bool goes_up = place > 0 && last.before(entries_[(place - 1) / kChildren]);
  if (goes_up) rise(place, last);
  else sink(place, last);
}

bool TimerHeap::fire_due(std::int64_t now_ns) noexcept {
  const std::uint64_t armed_before = next_order_;
  bool fired = false;
  while (!entries_.empty() && entries_.front().deadline_ns <= now_ns && entries_.front().order < armed_before) {
    Timer& timer = *entries_.front().timer;
    remove(0);
    timer.fire(timer);
    fired = true;
  }
  return fired;
}

}  // namespace baton::sched
