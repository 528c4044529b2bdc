// How a thread waits for the lock, or outside: what it asks of the processor and of the kernel. Who gets the lock and when is
// decided in gil.cpp; nothing here changes that, only when a waiter looks at its parker, and where and before whom it runs.
//
// Spinning. A waiter looks for its notification before it sleeps when it expects the lock any moment (`Soon`): it has asked;
// or it was cut short by a thread that answers somebody, which takes some 30 us, and will go on afterwards (if its turn was
// over anyway it leaves the processor to the next one, who was woken beside the answering thread and its client otherwise); or
// the holder has woken it and blocks soon. And a thread outside that waits for something of another thread's, if its last
// absence was brief (`park_outside`). A hand-over then costs no system call and no wake-up, of which the latter takes 5 to 50
// us. At most as many spin as processors would be idle. Where the others have no processor of their own it is always in vain,
// so each failure leaves out twice as many attempts as the last (`SpinLuck`); round trips on one processor take 10 us so, and
// took 127 without that.
//
// Slices. The kernel lets a thread run for its slice, 3 to 4 ms until the tick that ends it, before others on the same
// processor have their turn, unless one wakes whose slice is shorter: that one goes first at once. So who computes (2 ms of
// contended holding since it was outside, or who waited for an ordinary turn for 1 ms) has a long slice while it runs; it then
// keeps nobody waiting, neither the thread that answers nor the client, which is another process. All others have a short one,
// and so has who computes while it sleeps with a timer, since the holder may use the processor on which it rings. Who computes
// and sleeps without one keeps the slice it has: with a short one it cuts off the thread that hands it the lock, which has
// still to go to sleep and does so in the middle of the new turn, and goes before the client, woken a moment ago on that
// processor. For the same reason who gives the lock to one that sleeps with a short slice, and is about to compute, gives it
// the usual slice before it wakes it (`lengthen_slice`). Where all threads share a processor it went before the thread that
// woke it otherwise, which had answered and was about to sleep: that one then missed the next ping, since only a thread that
// wakes goes first. Answers beside 16 on one processor, three rounds each in turn, p99 as a multiple of that without load: 43
// x without this, 118 with a long slice instead of the usual one, 1.8 with it. A thread cut short that finds the lock while it
// spins goes on as it was. And a long slice is 10 ms, not 100: the timer may have to ring on the holder's processor if all
// others are in use.
//
// Processors. Only one computing thread runs at a time, so all of them together need one processor; the others should stay
// free for those that return, and for who talks to them. But the kernel wakes a thread where it slept last: with two
// computing threads the busy processor changed with every turn, and whoever slept there was woken beside a thread that had just
// begun. So a computing thread that hands over to another calls it to its own processor: it binds the sleeper to it, and the
// sleeper, having the lock, takes its old set of processors back. The system calls are made without the mutex: a thread that
// came back meanwhile slept at it, was woken on that same processor and lost 3 ms behind the computing thread. This is a hint for
// one wake-up; the kernel's balancing stays free to move the holder anywhere, and the others follow. It costs 3 us of a turn.
// Slices do not replace it: beside two computing threads p99 was 66 to 180 us with both, 200 to 2,300 with slices alone, 900 to
// 3,000 with the call alone (five rounds each in turn). Intervals below 4 ms do without.
#include "sync/gil.h"

#include <algorithm>

#include "sync/os_thread.h"

namespace baton {
namespace {

constexpr std::int64_t kReturningSpinNs = 5'000;  // a holder that runs on another processor answers sooner
constexpr std::int64_t kShortestFollowedIntervalNs = 4'000'000;  // the kernel lets a thread run 3 ms before it wakes one beside it
constexpr std::int64_t kSpinnerLeavesNs = 3'000;  // who spins while another begins to has as a rule just got what it looks for
constexpr int kSpinsUntilAnswer = 3;  // who answers, or fills a queue, takes longer than who was asked
constexpr std::int64_t kSlowWakeUpNs = 15'000;
constexpr std::int64_t kComputingNs = 2'000'000;
constexpr std::int64_t kShortestLongTurnNs = 1'000'000;

}  // namespace

// Sleeps until the word names `slot`. `deadline_ns`: what `arm` said.
void Gil::wait(GilSlot* slot, std::int64_t deadline_ns, Soon soon) noexcept {
  for (;;) {
    spin(slot, soon, deadline_ns);
    sleep_until_notified(slot, deadline_ns);
    if (holder_of(word_.load(std::memory_order_acquire)) == slot) break;
    mutex_.lock();
    GilSlot* holder = holder_of(word_.load(std::memory_order_acquire));
    if (holder == slot) {
      mutex_.unlock();
      break;
    }
    if (slot->hurried.exchange(false, std::memory_order_acquire)) put_first(slot);
    deadline_ns = arm(slot, holder, monotonic_ns());
    soon = slot != heir() || !holder->asked ? Soon::kNo : will_call(holder, slot) ? Soon::kCalled : Soon::kAsked;
    const Wakes wakes{{}, notify(late_timekeeper(holder))};  // who kept the time for the heir may not do so any more
    mutex_.unlock();
    wake(wakes);
  }
  end_wait(slot);
}

// The thread of `slot`, which waited, has seen that it has the lock.
void Gil::end_wait(GilSlot* slot) noexcept {
  const std::int64_t began = slot->wait_began_ns.load(std::memory_order_relaxed), now = monotonic_ns();
  add(slot->waited_ns, now - began);
  if (BATON_UNLIKELY(is_traced_.load(std::memory_order_relaxed))) record(slot, TraceState::kWait, began, now);
  slot->wait_began_ns.store(0, std::memory_order_relaxed);
  if (now - began >= kSlowWakeUpNs) {
    // The turn of one who came back begins when its thread is awake, and not so much earlier, when it was given the lock: of a turn
    // of 50 us, which is all that a thread with little credit has, nothing was left otherwise on a busy machine.
    ShortLock locked(mutex_);
    const std::int64_t lost = std::min(now - slot->turn_began_ns, switch_interval_ns());
    if (slot->returning && lost >= kSlowWakeUpNs) {
      slot->turn_began_ns += lost;
      slot->turn_ends_ns += lost;
    }
  }
  if (slot->called) {
    slot->called = false;
    (void)set_thread_processors(0, slot->processors);
  }
  if (computes(slot) || (!slot->waits_returning && now - began >= kShortestLongTurnNs)) set_slice(Slice::kLong);
  note_holder(slot);
}

// Who has a timer, or has somebody to answer, must run at once when woken.
void Gil::sleep_until_notified(GilSlot* slot, std::int64_t deadline_ns) noexcept {
  const bool must_run_at_once = deadline_ns != kNoDeadline || slot->waits_returning;
  if (must_run_at_once && !slot->parker.notified()) set_slice(Slice::kShort);
  if (current_slice() == Slice::kShort) slot->slice_asleep.store(SliceAsleep::kShort, std::memory_order_relaxed);
  (void)slot->parker.park(deadline_ns);  // does not sleep, but consumes, if the spin found a notification
  if (slot->slice_asleep.exchange(SliceAsleep::kAsItRan, std::memory_order_relaxed) == SliceAsleep::kLengthened) note_slice(Slice::kUsual);
}

// Whether `next`, a waiter or null, would go before who wakes it with the lock.
bool Gil::wakes_too_eagerly(const GilSlot* next) const noexcept {
  if (next == nullptr || next->returning || next->slice_asleep.load(std::memory_order_relaxed) != SliceAsleep::kShort) return false;
  return next->turn_left_ns > 0 || computes(next) ||
         monotonic_ns() - next->wait_began_ns.load(std::memory_order_relaxed) >= kShortestLongTurnNs;
}

// Without the mutex, since it is a system call; only the holder takes waiters out of line, so `next` waits meanwhile.
void Gil::lengthen_slice(GilSlot* next) noexcept {
  SliceAsleep expected = SliceAsleep::kShort;
  if (next->slice_asleep.compare_exchange_strong(expected, SliceAsleep::kLengthened, std::memory_order_relaxed)) {
    set_slice_of(next->kernel_thread, Slice::kUsual);
  }
}

bool Gil::computes(const GilSlot* slot) const noexcept {
  return slot->computed_ns >= kComputingNs && switch_interval_ns() >= kShortestLongTurnNs;
}

// Looks for a notification without sleeping. It runs without the mutex, so it may not look at `returning`: once the slot has
// the lock, the next waiter writes that.
void Gil::spin(GilSlot* slot, Soon soon, std::int64_t deadline_ns) noexcept {
  std::int64_t limit = spin_ns_.load(std::memory_order_relaxed);
  if (soon == Soon::kInvited || soon == Soon::kCutShort) {
    const bool invited = soon == Soon::kInvited;
    look_for_notification(slot->parker, kSpinsUntilAnswer * limit, deadline_ns, invited ? &slot->luck_invited : &slot->luck_cut_short);
  } else if (soon == Soon::kAsked) {
    if (slot->waits_returning) limit = std::min(limit, kReturningSpinNs);
    look_for_notification(slot->parker, limit, deadline_ns, nullptr);
  }
}

void Gil::park_outside(GilSlot* slot, Parker& parker, std::int64_t deadline_ns) noexcept {
  if (slot->absence_ns < kBriefAbsenceNs && is_timed_) {
    const std::int64_t limit = kSpinsUntilAnswer * spin_ns_.load(std::memory_order_relaxed);
    look_for_notification(parker, limit, deadline_ns, &slot->luck_outside);
  }
  (void)parker.park(deadline_ns);
}

// Unless enough others do, and go on with it, or it was in vain lately. `luck` may be null.
void Gil::look_for_notification(const Parker& parker, std::int64_t limit_ns, std::int64_t deadline_ns, SpinLuck* luck) noexcept {
  if (limit_ns <= 0 || most_spinners_ == 0) return;
  if (luck != nullptr && luck->left_out > 0) {
    --luck->left_out;
    return;
  }
  std::int64_t now = monotonic_ns();
  const std::int64_t end = deadline_ns != kNoDeadline ? std::min(now + limit_ns, deadline_ns) : now + limit_ns;
  const std::int64_t give_up = now + kSpinnerLeavesNs;
  bool counted = false, came = parker.notified();
  while (!came && now < end) {
    if (!counted) {
      counted = spinners_.fetch_add(1, std::memory_order_relaxed) < most_spinners_;
      if (!counted) {
        spinners_.fetch_sub(1, std::memory_order_relaxed);
        if (now > give_up) return;
      }
    }
    for (int i = 0; i < 16 && !came; ++i) {
      BATON_PAUSE_PROCESSOR();
      came = parker.notified();
    }
    now = monotonic_ns();
  }
  if (counted) spinners_.fetch_sub(1, std::memory_order_relaxed);
  if (luck != nullptr) luck->note(came);
}

// Whether `next` is to go on where `holder` runs now: the essay says why.
bool Gil::will_call(const GilSlot* holder, const GilSlot* next) const noexcept {
  return most_spinners_ > 0 && !holder->returning && !next->returning && next->kernel_thread != 0 &&
         switch_interval_ns() >= kShortestFollowedIntervalNs;
}

// Binds the next in line, if its turn has come and it is to go on here, to this processor until it has the lock. Without the
// mutex, which a thread that comes back must not find taken for as long as system calls need: only the holder takes waiters
// out of line, so `next` stays there. If another one goes first after all, it is called again by the next holder.
void Gil::call_next(GilSlot* holder) noexcept {
  mutex_.lock();
  GilSlot* next = heir();
  const bool due = next != nullptr && due_ns(holder, next) <= monotonic_ns();
  const bool calls = due && will_call(holder, next), lengthens = due && wakes_too_eagerly(next);
  mutex_.unlock();
  if (lengthens) lengthen_slice(next);
  if (!calls) return;
  if (!next->called) next->called = thread_processors(next->kernel_thread, next->processors);
  if (next->called) (void)call_thread_here(next->kernel_thread);
}

}  // namespace baton
