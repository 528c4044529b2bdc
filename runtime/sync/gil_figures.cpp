// What threads did with the lock: sums, one entry for each thread, the last thousand that have ended.
//
// Figures. Turns are timed only while they are wanted; waiting and Released regions always. What a thread *held* is
// its life less those two, which needs no clock on the fast paths.
//
// Each figure is written by one thread at a time, by its owner or under the lock or the mutex, and read by anybody; a sum is
// taken under the mutex, so that no thread comes or goes meanwhile, and is as exact as the clock reading it begins with.
#include "sync/gil.h"

#include <algorithm>
#include <new>

namespace baton {
namespace {

constexpr std::size_t kMostEndedKept = 1000;

}  // namespace

void GilFigures::add(const GilFigures& other) noexcept {
  switches += other.switches;
  forced += other.forced;
  voluntary += other.voluntary;
  held_ns += other.held_ns;
  waited_ns += other.waited_ns;
  released_ns += other.released_ns;
  longest_ns = std::max(longest_ns, other.longest_ns);
}

// With the mutex held. Without memory its figures are in the sums only.
void Gil::keep_ended(GilSlot& slot, GilFigures&& last) noexcept {
  try {
    last.name = slot.name;
    last.longest_where = slot.longest_where;
    last.attached = false;
    if (ended_.size() == kMostEndedKept) ended_.pop_front();
    ended_.push_back(std::move(last));
  } catch (const std::bad_alloc&) {
  }
}

GilFigures Gil::figures_of(const GilSlot& slot, std::int64_t now_ns) const {
  GilFigures result;
  result.id = slot.id;
  result.switches = slot.switches.load(std::memory_order_relaxed);
  result.forced = slot.forced.load(std::memory_order_relaxed);
  result.voluntary = slot.voluntary.load(std::memory_order_relaxed);
  result.waited_ns = slot.waited_ns.load(std::memory_order_relaxed);
  if (slot.waiting) result.waited_ns += now_ns - slot.wait_began_ns.load(std::memory_order_relaxed);
  result.released_ns = slot.released_ns.load(std::memory_order_relaxed);
  const std::int64_t released_at = slot.released_at_ns.load(std::memory_order_relaxed);
  const std::int64_t enlisted_at = slot.enlisted_at_ns.load(std::memory_order_relaxed);
  if (released_at != 0) result.released_ns += (enlisted_at != 0 ? enlisted_at : now_ns) - released_at;
  result.held_ns = std::max<std::int64_t>(0, now_ns - slot.attached_at_ns - result.waited_ns - result.released_ns);
  result.longest_ns = slot.longest_ns.load(std::memory_order_relaxed);
  result.waiting = slot.waiting;
  result.holding = held_by(&slot);
  return result;
}

// Waits and regions that are under way are counted from now on; their ends correct the figures by the whole duration, so
// their beginnings are moved. A region's end is computed by its own thread: `released_ns` starts below zero for it.
void Gil::reset_figures() noexcept {
  ShortLock locked(mutex_);
  std::int64_t now = monotonic_ns();
  gone_ = GilFigures{};
  ended_.clear();
  for (GilSlot* slot = slots_; slot != nullptr; slot = slot->next_slot) {
    for (auto* figure : {&slot->switches, &slot->forced, &slot->voluntary}) figure->store(0, std::memory_order_relaxed);
    for (auto* figure : {&slot->waited_ns, &slot->longest_ns}) figure->store(0, std::memory_order_relaxed);
    std::int64_t released_at = slot->released_at_ns.load(std::memory_order_relaxed);
    slot->released_ns.store(released_at != 0 ? released_at - now : 0, std::memory_order_relaxed);
    if (slot->waiting) slot->wait_began_ns.store(now, std::memory_order_relaxed);
    if (slot->outer != nullptr) slot->enlisted_at_ns.store(now, std::memory_order_relaxed);
    slot->attached_at_ns = now;
  }
}

GilFigures Gil::totals() noexcept {
  ShortLock locked(mutex_);
  std::int64_t now = monotonic_ns();
  GilFigures sum = gone_;
  for (const GilSlot* slot = slots_; slot != nullptr; slot = slot->next_slot) {
    if (!slot->attached) continue;
    sum.add(figures_of(*slot, now));
  }
  return sum;
}

std::vector<GilFigures> Gil::threads() {
  std::vector<GilFigures> result;
  ShortLock locked(mutex_);
  std::int64_t now = monotonic_ns();
  for (const GilSlot* slot = slots_; slot != nullptr; slot = slot->next_slot) {
    if (!slot->attached) continue;
    result.push_back(figures_of(*slot, now));
    result.back().name = slot->name;
    if (slot->released_at_ns.load(std::memory_order_relaxed) == 0) result.back().longest_where = slot->longest_where;
  }
  return result;
}

std::vector<GilFigures> Gil::ended_threads() {
  ShortLock locked(mutex_);
  return {ended_.begin(), ended_.end()};
}

}  // namespace baton
