// Recording what threads do with the lock, for the pictures of gil.trace.
//
// A segment is written when it ends, by the thread it belongs to, under the mutex of the lock, into memory that was reserved
// before: nothing is allocated or formatted meanwhile. Running is not recorded: it is the rest of a thread's life. What no
// longer fits is counted. Without a recording, one relaxed load per slow path.
#include "sync/gil.h"

#include <algorithm>
#include <mutex>

namespace baton {

bool Gil::start_trace(std::size_t capacity) {
  auto trace = std::make_unique<GilTrace>();
  trace->segments.reserve(capacity);
  const std::lock_guard<ShortMutex> locked(mutex_);
  if (trace_ != nullptr) return false;
  trace->from_ns = monotonic_ns();
  trace_ = std::move(trace);
  is_traced_.store(true, std::memory_order_relaxed);
  return true;
}

void Gil::stop_trace() noexcept {
  std::unique_ptr<GilTrace> trace;  // freed without the mutex
  const std::lock_guard<ShortMutex> locked(mutex_);
  is_traced_.store(false, std::memory_order_relaxed);
  trace = std::move(trace_);
}

GilTrace Gil::copy_trace() {
  const std::lock_guard<ShortMutex> locked(mutex_);
  if (trace_ == nullptr) return {};
  GilTrace copy = *trace_;
  const std::int64_t now = monotonic_ns();
  for (const GilSlot* slot = slots_; slot != nullptr; slot = slot->next_slot) {
    if (!slot->attached) continue;
    const auto thread = static_cast<std::uint32_t>(slot->id);
    const auto add_until = [&](std::int64_t to, std::int64_t from, TraceState state, const char* region) {
      copy.segments.push_back({std::max(from, copy.from_ns), std::max(to, copy.from_ns), region, thread, state});
    };
    const auto add = [&](std::int64_t from, TraceState state, const char* region) { add_until(now, from, state, region); };
    copy.names.emplace_back(thread, slot->name);
    add(slot->attached_since_ns, TraceState::kAttached, nullptr);
    const std::int64_t released_at = slot->released_at_ns.load(std::memory_order_relaxed);
    const std::int64_t wait_began = slot->wait_began_ns.load(std::memory_order_relaxed);
    const std::int64_t enlisted_at = slot->enlisted_at_ns.load(std::memory_order_relaxed);
    const char* region = slot->region.load(std::memory_order_relaxed);
    if (wait_began != 0 && released_at == 0) {
      add(wait_began, TraceState::kWait, nullptr);
    } else if (released_at != 0 && enlisted_at != 0) {
      add_until(enlisted_at, released_at, TraceState::kReleased, region);
      add(enlisted_at, TraceState::kWait, nullptr);
    } else if (released_at != 0) {
      add(released_at, TraceState::kReleased, region);
    }
  }
  return copy;
}

// What is recorded is over from then on also for `copy_trace`, so that it finds each moment of a thread in one state.
void Gil::record(GilSlot* slot, TraceState state, std::int64_t from_ns, std::int64_t to_ns) noexcept {
  const std::lock_guard<ShortMutex> locked(mutex_);
  append(slot, state, from_ns, to_ns, slot->region.load(std::memory_order_relaxed));
  (state == TraceState::kWait ? slot->wait_began_ns : slot->released_at_ns).store(0, std::memory_order_relaxed);
}

// With the mutex held.
void Gil::append(const GilSlot* slot, TraceState state, std::int64_t from_ns, std::int64_t to_ns,
                 const char* region) noexcept {
  if (trace_ == nullptr) return;
  if (trace_->segments.size() == trace_->segments.capacity()) {
    ++trace_->dropped;
    return;
  }
  const auto thread = static_cast<std::uint32_t>(slot->id);
  trace_->segments.push_back({std::max(from_ns, trace_->from_ns), to_ns, region, thread, state});
  if (state != TraceState::kAttached) return;
  try {
    trace_->names.emplace_back(thread, slot->name);
  } catch (const std::bad_alloc&) {
    ++trace_->dropped;
  }
}

// The mutex keeps the slot's word from going while it is written: a slot is detached under it.
bool Gil::interrupt_holder(std::uint32_t reasons) noexcept {
  const std::lock_guard<ShortMutex> locked(mutex_);
  const GilSlot* holder = holder_of(word_.load(std::memory_order_relaxed));
  if (holder == nullptr || !holder->attached || holder->interrupt == nullptr) return false;
  holder->interrupt->set(reasons);
  return true;
}

}  // namespace baton
