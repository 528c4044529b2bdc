// The global interpreter lock of one runtime: whoever holds it may touch values, heap and script code; nobody else may.
//
// Invariant: at most one slot holds it; while somebody waits it is never free. Ownership is handed over directly, so a
// release with waiters cannot be overtaken, and nobody starves. The algorithm and its bounds: gil.cpp.
// Owner: the runtime. Threading: all public functions may be called by any native thread, each with its own slot.
//
// Use: a native thread attaches once, then acquires and releases. Code around blocking operations uses `Released`
// (sync/released.h); safepoints that find kInterruptGilDrop in their interrupt word call `hand_over`. Nothing else gives
// the lock up.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/interrupt.h"
#include "base/platform.h"
#include "sync/futex.h"
#include "sync/os_thread.h"

namespace baton {

inline constexpr std::int64_t kDefaultSwitchIntervalNs = 5'000'000;
inline constexpr std::int64_t kBriefAbsenceNs = 50'000;
inline constexpr std::int64_t kShortestSwitchIntervalNs = 50'000;
inline constexpr std::int64_t kLongestSwitchIntervalNs = 1'000'000'000;

// Whether it pays to look for a notification before sleeping. Where the others have no processor of their own it never comes
// meanwhile: after each failure twice as many waits as after the last do without.
struct SpinLuck {
  std::uint16_t left_out = 0;  // so many waits from now on do without
  std::uint16_t in_vain = 0;   // how many did after the last failure; successes halve it
  void note(bool came) noexcept {
    in_vain = static_cast<std::uint16_t>(came ? in_vain / 2 : std::min(256, std::max(4, in_vain * 2)));
    if (!came) left_out = in_vain;
  }
};

// What slice a waiter has while it sleeps (the essay "Slices" in gil_waiting.cpp).
enum class SliceAsleep : std::uint8_t {
  kAsItRan,
  kShort,       // it has given itself a short one
  kLengthened,  // who gives it the lock has made it the usual one
};

// A native thread's place at the lock. Slots are used again but not freed before the Gil: a late wake-up finds memory.
// All members belong to gil.cpp and released.h.
struct alignas(kCacheLineBytes) GilSlot {
  Parker parker;  // alone on its line while the owner spins

  // Guarded by the mutex, except where a line says otherwise.
  alignas(kCacheLineBytes) GilSlot* next_waiting = nullptr;
  InterruptWord* interrupt = nullptr;
  std::int64_t turn_began_ns = 0;    // holder: when its contended turn began
  std::int64_t turn_ends_ns = 0;     // holder: when an ordinary waiter may ask for the lock
  std::int64_t turn_left_ns = 0;     // waiter: rest of a turn that a returning thread cut short; 0: a whole one
  std::int64_t credit_ns = 0;        // enough of it: goes ahead of ordinary waiters
  std::int64_t computed_ns = 0;      // owner: held while wanted, since it last came back from outside
  std::int64_t absence_ns = 0;       // owner: how long it was outside the last time
  std::int64_t credit_at_ns = 0;     // when credit_ns was last brought up to date
  std::int64_t armed_until_ns = 0;   // waiter: its timer's end; 0: it sleeps without a timer
  std::atomic<std::int64_t> wait_began_ns{0};  // 0: it does not wait; until its own thread has seen that it has the lock
  std::atomic<std::int64_t> enlisted_at_ns{0};  // 0: `outer` is null
  bool returning = false;            // waiter: in the class that goes first; holder: got its turn from there
  bool patient = false;              // returning waiter: does not ask at once, since the holder woke it in passing
  bool waits_returning = false;      // what `returning` was when the wait began; only the slot's own thread uses it
  bool asked = false;                // holder: kInterruptGilDrop was set for this turn
  bool waiting = false;
  bool attached = false;
  SpinLuck luck_invited, luck_cut_short, luck_outside;  // owner
  Parker* outer = nullptr;  // outside, but in line or holding already: sleeps there until it has the lock (`enlist`)
  bool called = false;      // waiter: bound to the holder's processor until it has the lock
  int kernel_thread = 0;    // its number at the kernel, set by its first wait
  ProcessorSet processors;  // where it may run, while it is called
  int hold_depth = 0;       // owner: open Gil::hold; asked meanwhile, it keeps the lock
  std::atomic<bool> hurried{false};    // waiter: a signal wants it to go before all others, once
  std::atomic<bool> invited{false};    // outside: another thread, holding the lock, has woken it. Cleared by go_outside
  std::atomic<bool> contended{false};  // holder: turn_began_ns is set. Read by the owner without the mutex
  std::atomic<SliceAsleep> slice_asleep{SliceAsleep::kAsItRan};

  // Figures. Written by one thread at a time, read by anybody.
  alignas(kCacheLineBytes) std::atomic<std::uint64_t> switches{0};  // times the lock was handed to it
  std::atomic<std::uint64_t> forced{0};     // times it gave the lock up because it was asked
  std::atomic<std::uint64_t> voluntary{0};  // times it gave the lock up to a waiter by itself
  std::atomic<std::int64_t> waited_ns{0};
  std::atomic<std::int64_t> released_ns{0};     // spent in Released regions, without the wait at their end
  std::atomic<std::int64_t> released_at_ns{0};  // 0: not in such a region
  std::atomic<std::int64_t> longest_ns{0};      // longest turn while somebody waited
  std::atomic<const char*> region{nullptr};     // what the present Released region does
  std::int64_t attached_at_ns = 0;     // moved when figures begin anew
  std::int64_t attached_since_ns = 0;  // truly
  std::uint64_t id = 0;  // numbered by attach, never used twice in one runtime
  std::string name;      // guarded by the mutex
  std::string longest_where;  // guarded by the lock: where the longest turn ended, if known
  GilSlot* next_slot = nullptr;  // all slots of the Gil
  GilSlot* next_free = nullptr;
};

// Figures of one thread, or of all that ever were attached (then `id` is 0 and `name` empty). Times in nanoseconds.
struct GilFigures {
  std::uint64_t id = 0;
  std::string name;
  std::uint64_t switches = 0;   // hand-overs to it
  std::uint64_t forced = 0;     // hand-overs by it, asked
  std::uint64_t voluntary = 0;  // hand-overs by it, by itself: it blocked, ended or called switch()
  std::int64_t held_ns = 0;     // attached, not waiting for the lock, not in a Released region
  std::int64_t waited_ns = 0;   // waiting for the lock
  std::int64_t released_ns = 0; // in Released regions
  std::int64_t longest_ns = 0;  // longest turn while somebody else waited
  bool waiting = false;
  bool holding = false;
  std::string longest_where;  // where it ended, if known; filled by callers of `threads` that hold the lock
  bool attached = true;       // false: the thread has ended

  // Makes this the sum of both: counts and times add up, of the longest turns the longer one stays. Raises: nothing.
  void add(const GilFigures& other) noexcept;
};

// What a traced thread did for a while; when it did none of these it ran, or held the lock without running.
enum class TraceState : std::uint8_t {
  kAttached,  // its whole life at the lock
  kWait,      // waited for the lock
  kReleased,  // in a Released region
};
struct TraceSegment {
  std::int64_t from_ns;
  std::int64_t to_ns;
  const char* region;  // kReleased: what it did; a literal
  std::uint32_t thread;
  TraceState state;
};
// A recording: what fits, and how much did not. Lives from `start_trace` to `stop_trace`.
struct GilTrace {
  std::vector<TraceSegment> segments;  // reserved; never grows
  std::vector<std::pair<std::uint32_t, std::string>> names;
  std::uint64_t dropped = 0;
  std::int64_t from_ns = 0;
};

class Gil {
 public:
  Gil() noexcept;
  ~Gil();  // all threads must have detached
  Gil(const Gil&) = delete;
  Gil& operator=(const Gil&) = delete;

  // Gives the calling thread a slot; it does not hold the lock yet. `interrupt` (may be null: then the thread cannot be
  // asked) must stay valid until detach. With `outside`, a literal, it is as if go_outside had been called.
  // Returns: null when there is no memory. Raises: nothing.
  [[nodiscard]] GilSlot* attach(std::string_view name, InterruptWord* interrupt, const char* outside = nullptr) noexcept;

  // Gives the slot back. The lock must have been released. Its figures stay in the totals.
  void detach(GilSlot* slot) noexcept;

  // Changes the name that figures show. Raises: nothing; without memory the old name stays.
  void rename(GilSlot* slot, std::string_view name) noexcept;

  // Blocks until `slot` holds the lock. Never fails. Uncontended: one compare-and-swap.
  void acquire(GilSlot* slot) noexcept {
    std::uintptr_t seen = kFree;
    if (BATON_LIKELY(word_.compare_exchange_strong(seen, bits_of(slot), std::memory_order_acquire,
                                                   std::memory_order_relaxed))) {
      note_holder(slot);
      return;
    }
    acquire_slow(slot, 0);
  }

  // From now on the thread of `slot` is outside, doing `what` (a literal), until `come_back`: for the figures and the trace.
  // Called before the lock is given up. Released (sync/released.h) calls both.
  void go_outside(GilSlot* slot, const char* what) noexcept {
    slot->region.store(what, std::memory_order_relaxed);
    slot->invited.store(false, std::memory_order_relaxed);
    slot->released_at_ns.store(monotonic_ns(), std::memory_order_relaxed);
  }
  // The holder of the lock wakes the thread of `slot`, which is outside: it is to come when the holder blocks, or a moment later.
  static void invite(GilSlot* slot) noexcept { slot->invited.store(true, std::memory_order_relaxed); }
  // The holder gives the thread of `slot`, which is in `park_outside` with `parker`, what it waits for there. If others wait for the
  // lock, that thread stands in line from now on, as if it had come back: it is notified when it has the lock, and not before
  // unless it must keep the time. Returns: false if it must be invited and notified instead. Raises: nothing.
  [[nodiscard]] bool enlist(GilSlot* slot, Parker& parker) noexcept { return wanted() && enlist_behind(slot, parker); }
  // If the thread of `slot` waits for the lock, now or next, it goes first: it has to raise what a signal asked for. Any thread;
  // also from a signal handler. Raises: nothing.
  static void hurry(GilSlot* slot) noexcept {
    slot->hurried.store(true, std::memory_order_release);
    slot->parker.unpark();
  }
  // Outside: sleeps in `parker` until notified or until `deadline_ns`; after a brief absence it looks for the notification for
  // a moment first, since threads that exchange values notify each other soon. Its own thread only.
  void park_outside(GilSlot* slot, Parker& parker, std::int64_t deadline_ns) noexcept;
  // Ends that, and blocks until `slot` holds the lock. Its own thread only.
  void come_back(GilSlot* slot) noexcept {
    const std::int64_t enlisted_at = slot->enlisted_at_ns.load(std::memory_order_relaxed);
    const std::int64_t now = BATON_UNLIKELY(enlisted_at != 0) ? enlisted_at : monotonic_ns();
    const std::int64_t began = slot->released_at_ns.load(std::memory_order_relaxed);
    slot->wait_began_ns.store(now, std::memory_order_relaxed);
    if (BATON_UNLIKELY(is_traced_.load(std::memory_order_relaxed))) record(slot, TraceState::kReleased, began, now);
    slot->released_ns.store(slot->released_ns.load(std::memory_order_relaxed) + now - began, std::memory_order_relaxed);
    slot->released_at_ns.store(0, std::memory_order_relaxed);
    slot->region.store(nullptr, std::memory_order_relaxed);
    slot->absence_ns = now - began;
    std::uintptr_t seen = kFree;
    if (BATON_LIKELY(word_.compare_exchange_strong(seen, bits_of(slot), std::memory_order_acquire, std::memory_order_relaxed))) {
      slot->wait_began_ns.store(0, std::memory_order_relaxed);
      note_holder(slot);
      return;
    }
    acquire_slow(slot, now);
  }

  // Takes the lock if nobody holds it at this moment. Returns: whether `slot` holds it now. Never waits.
  bool try_acquire(GilSlot* slot) noexcept {
    std::uintptr_t seen = kFree;
    if (!word_.compare_exchange_strong(seen, bits_of(slot), std::memory_order_acquire, std::memory_order_relaxed)) return false;
    note_holder(slot);
    return true;
  }

  // Sets `reasons` in the interrupt word of the thread that holds the lock at this moment; any thread may call it.
  // Returns: false if nobody holds it, or a thread that cannot be asked. Raises: nothing.
  bool interrupt_holder(std::uint32_t reasons) noexcept;

  // Gives the lock up; the next in line has it when this returns. Uncontended: one compare-and-swap.
  void release(GilSlot* slot) noexcept {
    std::uintptr_t seen = bits_of(slot);
    if (BATON_LIKELY(!slot->contended.load(std::memory_order_relaxed)) &&
        BATON_LIKELY(word_.compare_exchange_strong(seen, kFree, std::memory_order_release, std::memory_order_relaxed))) {
      return;
    }
    release_slow(slot);
  }

  // At a safepoint, when kInterruptGilDrop is set: clears it and, if somebody's turn has come, hands the lock over and
  // waits for it again. Returns: whether others ran. Effects: everything guarded by the lock may have changed.
  bool hand_over(GilSlot* slot) noexcept;

  // Lets the first waiting thread run, if there is one, and waits behind all others. Returns: whether others ran.
  bool switch_now(GilSlot* slot) noexcept;

  // What a safepoint does about its interrupt word's kInterruptGilDrop. Returns: whether others ran.
  bool yield_if_asked(GilSlot* slot) noexcept {
    if (BATON_LIKELY((slot->interrupt->bits.load(std::memory_order_relaxed) & kInterruptGilDrop) == 0)) return false;
    return hand_over(slot);
  }

  // From now on `slot`, the holder, is asked in vain, until `end_hold` as often. It may still release the lock itself.
  void begin_hold(GilSlot* slot) noexcept { ++slot->hold_depth; }
  // Ends one hold; what was asked meanwhile is asked again. Raises: nothing.
  void end_hold(GilSlot* slot) noexcept;

  // Whether `slot` holds the lock. Exact for the calling thread's slot.
  bool held_by(const GilSlot* slot) const noexcept {
    return (word_.load(std::memory_order_relaxed) & ~kWaiters) == bits_of(slot);
  }
  // Whether anybody waits, at this moment.
  bool wanted() const noexcept { return (word_.load(std::memory_order_relaxed) & kWaiters) != 0; }

  // `hook(context, slot)` is called by each new holder, holding the lock, whenever the holder is not the same thread as
  // before: for what must always point to the running thread. Takes: a function that neither blocks nor touches the lock.
  // Call it before other threads attach.
  using HolderHook = void (*)(void* context, GilSlot* slot) noexcept;
  void set_holder_hook(HolderHook hook, void* context) noexcept;

  // How long a thread keeps the lock while others want it. A shorter one takes effect at once, also for the present
  // turn, a longer one from the next turn on.
  std::int64_t switch_interval_ns() const noexcept { return interval_ns_.load(std::memory_order_relaxed); }
  // Sets it, clamped to [kShortestSwitchIntervalNs, kLongestSwitchIntervalNs].
  void set_switch_interval_ns(std::int64_t interval_ns) noexcept;

  // Whether time decides: without it nobody asks for the lock and nobody goes first; it changes hands only where its holder
  // gives it up, in the order of asking. Before other threads attach.
  void set_timed(bool timed) noexcept { is_timed_ = timed; }
  // Whether `slot` waits for the lock or holds it.
  bool has_arrived(const GilSlot* slot) noexcept;

  // How long a thread whose turn is near looks for it before it sleeps; 0: never. Default: 20 us, or 0 on one processor.
  void set_spin_ns(std::int64_t spin_ns) noexcept { spin_ns_.store(spin_ns, std::memory_order_relaxed); }

  // All figures begin anew, as if every thread had been attached just now. Callers hold the lock.
  void reset_figures() noexcept;

  // From now on every wait for the lock and every Released region is recorded when it ends, at most `capacity` of them.
  // Returns: false if there is a recording already. Raises: std::bad_alloc.
  bool start_trace(std::size_t capacity);
  // What was recorded so far, with what is under way cut off now. Raises: std::bad_alloc.
  GilTrace copy_trace();
  // Ends the recording. Raises: nothing.
  void stop_trace() noexcept;
  // Sums over all threads that are or were attached.
  GilFigures totals() noexcept;

  // One entry for each attached thread, in no order. Raises: std::bad_alloc.
  std::vector<GilFigures> threads();
  // One for each of the last thousand that have detached, the oldest first. Raises: std::bad_alloc.
  std::vector<GilFigures> ended_threads();

 private:
  // A FIFO of slots that also takes one back at its head.
  struct Line {
    GilSlot* first = nullptr;
    GilSlot* last = nullptr;
    void push_back(GilSlot* slot) noexcept;
    void push_front(GilSlot* slot) noexcept;
    GilSlot* pop() noexcept;
    void remove(GilSlot* slot) noexcept;  // which stands in it
  };
  // Whom to wake after the mutex was unlocked: the new holder, and a waiter who must set its timer.
  struct Wake {
    Parker* parker = nullptr;
    bool is_notified = false;  // only its sleeper is to be woken
  };
  struct Wakes {
    Wake holder;
    Wake timekeeper;
  };
  enum class Reason : std::uint8_t { kForced, kVoluntary };

  static constexpr std::uintptr_t kFree = 0;
  static constexpr std::uintptr_t kWaiters = 1;  // slots are aligned, so the low bits of their addresses are zero

  static std::uintptr_t bits_of(const GilSlot* slot) noexcept { return reinterpret_cast<std::uintptr_t>(slot); }
  static GilSlot* holder_of(std::uintptr_t word) noexcept { return reinterpret_cast<GilSlot*>(word & ~kWaiters); }

  // Called by the new holder.
  void note_holder(GilSlot* slot) noexcept {
    if (BATON_UNLIKELY(last_holder_id_ != slot->id)) change_holder(slot);
  }
  BATON_NOINLINE void change_holder(GilSlot* slot) noexcept;
  // `came_back_ns`: since when it has been waiting; 0: since now.
  BATON_COLD void acquire_slow(GilSlot* slot, std::int64_t came_back_ns) noexcept;
  BATON_COLD void release_slow(GilSlot* slot) noexcept;
  bool enlist_behind(GilSlot* slot, Parker& parker) noexcept;
  // Why a waiter expects the lock any moment. From kCalled on its next wake-up gives it the lock.
  enum class Soon : std::uint8_t {
    kNo,
    kInvited,   // the holder woke it: it blocks soon
    kCalled,    // asked, and the holder binds it to its own processor
    kAsked,
    kCutShort,  // who has it now came back from outside and answers somebody
  };
  // Adds to a figure that only one thread at a time writes.
  template <typename Number>
  static void add(std::atomic<Number>& figure, Number amount) noexcept {
    figure.store(figure.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
  void wait(GilSlot* slot, std::int64_t deadline_ns, Soon soon) noexcept;
  void end_wait(GilSlot* slot) noexcept;
  void sleep_until_notified(GilSlot* slot, std::int64_t deadline_ns) noexcept;
  bool computes(const GilSlot* slot) const noexcept;
  void spin(GilSlot* slot, Soon soon, std::int64_t deadline_ns) noexcept;
  void look_for_notification(const Parker& parker, std::int64_t limit_ns, std::int64_t deadline_ns, SpinLuck* luck) noexcept;

  // With the mutex held, but for call_next and lengthen_slice:
  bool enter_free_or_mark_wanted(GilSlot* slot, bool& first_waiter) noexcept;
  GilSlot* heir() const noexcept { return returning_.first != nullptr ? returning_.first : ordinary_.first; }
  GilSlot* take_heir() noexcept;
  void put_first(GilSlot* slot) noexcept;
  void rank(GilSlot* slot, std::int64_t now_ns, std::int64_t absence_ns) noexcept;
  void join_line(GilSlot* slot, Line& line, bool at_front) noexcept;
  void begin_turn(GilSlot* slot, std::int64_t now_ns, std::int64_t length_ns) noexcept;
  void end_turn(GilSlot* slot, std::int64_t now_ns) noexcept;
  void refill_credit(GilSlot* slot, std::int64_t now_ns, int contenders) noexcept;
  std::int64_t least_credit_ns() const noexcept;
  std::int64_t credit_of_absence_ns(std::int64_t absence_ns) const noexcept;
  std::int64_t due_ns(const GilSlot* holder, const GilSlot* heir) const noexcept;
  std::int64_t arm(GilSlot* slot, GilSlot* holder, std::int64_t now_ns) noexcept;
  void ask(GilSlot* holder) noexcept;
  void call_next(GilSlot* holder) noexcept;
  bool wakes_too_eagerly(const GilSlot* next) const noexcept;
  static void lengthen_slice(GilSlot* next) noexcept;
  bool will_call(const GilSlot* holder, const GilSlot* next) const noexcept;
  void requeue(GilSlot* slot, const GilSlot* next, std::int64_t now_ns) noexcept;
  void grant(GilSlot* next, std::int64_t now_ns) noexcept;
  bool is_time_kept(const GilSlot* holder) const noexcept;
  GilSlot* late_timekeeper(const GilSlot* holder) const noexcept;
  static Wake notify(GilSlot* slot) noexcept;
  void count_hand_over(GilSlot* from, Reason reason) noexcept;
  GilFigures figures_of(const GilSlot& slot, std::int64_t now_ns) const;
  void keep_ended(GilSlot& slot, GilFigures&& last) noexcept;
  BATON_COLD void record(GilSlot* slot, TraceState state, std::int64_t from_ns, std::int64_t to_ns) noexcept;
  void append(const GilSlot* slot, TraceState state, std::int64_t from_ns, std::int64_t to_ns, const char* region) noexcept;
  static void wake(const Wakes& wakes) noexcept;

  alignas(kCacheLineBytes) std::atomic<std::uintptr_t> word_{kFree};  // the holder's slot, and kWaiters
  std::uint64_t last_holder_id_ = 0;  // guarded by the lock itself, as the next two
  HolderHook holder_hook_ = nullptr;
  void* holder_context_ = nullptr;
  alignas(kCacheLineBytes) ShortMutex mutex_;  // guards everything below but the atomics
  bool is_timed_ = true;
  int waiting_ = 0;
  Line returning_;  // goes first
  Line ordinary_;
  GilSlot* timekeeper_ = nullptr;  // the waiter that set its timer last; it still sleeps with it, or is about to look
  std::atomic<std::int64_t> interval_ns_{kDefaultSwitchIntervalNs};
  std::atomic<std::int64_t> spin_ns_;
  std::atomic<int> spinners_{0};
  int most_spinners_;
  GilSlot* slots_ = nullptr;
  GilSlot* free_slots_ = nullptr;
  std::uint64_t next_id_ = 1;
  GilFigures gone_;  // sums of the threads that have detached
  std::deque<GilFigures> ended_;  // the last of them, each for itself
  std::unique_ptr<GilTrace> trace_;
  std::atomic<bool> is_traced_{false};
};

}  // namespace baton
