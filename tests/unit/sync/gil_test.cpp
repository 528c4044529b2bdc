// The lock as native threads of a runtime use it. A `Worker` stands for the interpreter: it polls its interrupt word at
// every step and hands over when asked.
#include "sync/gil.h"

#include <catch2/catch.hpp>

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <ctime>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "sync/released.h"

using namespace baton;

namespace {

constexpr std::int64_t kMillisecond = 1'000'000;

struct Worker {
  Gil& gil;
  InterruptWord word;
  GilSlot* slot;

  explicit Worker(Gil& lock, const char* name = "worker") : gil(lock), slot(lock.attach(name, &word)) {
    gil.acquire(slot);
  }
  ~Worker() {
    gil.release(slot);
    gil.detach(slot);
  }
  // A safepoint.
  void poll() {
    if (word.any()) gil.yield_if_asked(slot);
  }
};

void sleep_ns(std::int64_t ns) {
  timespec span{static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
  nanosleep(&span, nullptr);
}

// A thread that stands in line for the lock, does `work(slot)` when it has it, and ends. Returns: its slot, once it stands there.
template <class Work>
GilSlot* stand_in_line(Gil& gil, std::vector<std::thread>& threads, Work work) {
  std::atomic<GilSlot*> slot{nullptr};
  threads.emplace_back([&gil, &slot, work] {
    InterruptWord word;
    GilSlot* own = gil.attach("other", &word);
    slot = own;
    gil.acquire(own);
    work(own);
    gil.release(own);
    gil.detach(own);
  });
  while (slot.load() == nullptr || !gil.has_arrived(slot.load())) sched_yield();
  return slot;
}

}  // namespace

TEST_CASE("gil: one thread takes and gives without waiting") {
  Gil gil;
  InterruptWord word;
  GilSlot* slot = gil.attach("main", &word);
  REQUIRE(slot != nullptr);
  CHECK_FALSE(gil.held_by(slot));
  for (int i = 0; i < 1000; ++i) {
    gil.acquire(slot);
    CHECK(gil.held_by(slot));
    CHECK_FALSE(gil.wanted());
    CHECK_FALSE(gil.switch_now(slot));
    CHECK_FALSE(gil.hand_over(slot));
    gil.release(slot);
  }
  CHECK(gil.totals().switches == 0);
  CHECK(gil.totals().waited_ns == 0);
  gil.detach(slot);
}

TEST_CASE("gil: what it guards is never touched by two threads") {
  Gil gil;
  gil.set_switch_interval_ns(kShortestSwitchIntervalNs);
  long counter = 0;  // not atomic: the lock must do
  const int steps = BATON_TSAN ? 20000 : 100000;
  std::vector<std::thread> threads;
  std::atomic<int> started{0};
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&, t] {
      ++started;
      while (started.load() < 6) sched_yield();
      Worker worker(gil);
      for (int i = 0; i < steps; ++i) {
        ++counter;
        worker.poll();
        if (i % 97 == t) gil.switch_now(worker.slot);
        if (i % 531 == t) Released released(gil, worker.slot, "nothing");
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(counter == 6L * steps);
}

TEST_CASE("gil: a thread that only polls lets others in") {
  Gil gil;
  std::atomic<bool> done{false};
  std::thread hog([&] {
    Worker worker(gil, "hog");
    while (!done.load(std::memory_order_relaxed)) worker.poll();
  });
  sleep_ns(20 * kMillisecond);
  std::int64_t begin = monotonic_ns();
  {
    Worker worker(gil, "late");
    done = true;
  }
  std::int64_t waited = monotonic_ns() - begin;
  hog.join();
  CHECK(waited < 500 * kMillisecond);
}

// Turns are counted, not their time: on a busy machine a thread may get its turn and no processor.
TEST_CASE("gil: threads that compute share evenly") {
  constexpr int kTurns = 400;
  Gil gil;
  gil.set_switch_interval_ns(kMillisecond);
  std::atomic<int> started{0}, sum{0};
  std::vector<int> turns(4);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < turns.size(); ++t) {
    threads.emplace_back([&, t] {
      Worker worker(gil);
      started.fetch_add(1);
      while (sum.load(std::memory_order_relaxed) < kTurns) {
        if (!worker.word.any() || !gil.yield_if_asked(worker.slot)) continue;
        if (started.load() < 4) continue;
        ++turns[t];
        sum.fetch_add(1);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (int one : turns) CHECK(one > kTurns / 8);
}

// It has no credit, having computed in its last turns. On a busy machine it may be stopped before it stands in line, so it may
// try again; who goes to the end of the line never succeeds.
TEST_CASE("gil: who was outside for long goes first once, whatever it did before") {
  constexpr int kHogs = 16;
  Gil gil;
  gil.set_switch_interval_ns(kMillisecond);
  std::atomic<int> turns{0};
  std::atomic<bool> done{false};
  std::vector<std::thread> hogs;
  for (int i = 0; i < kHogs; ++i) {
    hogs.emplace_back([&] {
      Worker worker(gil, "hog");
      while (!done.load(std::memory_order_relaxed)) {
        if (worker.word.any() && gil.yield_if_asked(worker.slot)) turns.fetch_add(1);
      }
    });
  }
  bool went_first = false;
  {
    Worker worker(gil, "guest");
    for (int attempt = 0; attempt < 100 && !went_first; ++attempt) {
      for (int given = 0; given < 2;) given += worker.word.any() && gil.yield_if_asked(worker.slot);
      int before;
      {
        Released released(gil, worker.slot, "sleep");
        sleep_ns(4 * kMillisecond);
        before = turns.load();
      }
      went_first = turns.load() - before < kHogs / 2;
    }
  }
  done = true;
  for (auto& hog : hogs) hog.join();
  CHECK(went_first);
}

TEST_CASE("gil: a thread that the holder woke in passing gets the lock from one that only polls") {
  Gil gil;
  gil.set_switch_interval_ns(200 * kMillisecond);
  std::atomic<bool> done{false};
  std::thread guest([&] {
    Worker worker(gil, "guest");
    for (int i = 0; i < 20; ++i) {
      Released released(gil, worker.slot, "queue");
      sleep_ns(kMillisecond);
      Gil::invite(worker.slot);
    }
    done = true;
  });
  {
    Worker worker(gil, "hog");
    while (!done.load(std::memory_order_relaxed)) worker.poll();
  }
  guest.join();
  CHECK(gil.totals().forced > 0);
}

TEST_CASE("gil: a thread outside sleeps until it is notified or its time is over") {
  Gil gil;
  Worker worker(gil, "guest");
  Parker parker;
  for (int round = 0; round < 3; ++round) {  // from the second on its last absence was brief, if the machine is not busy
    {
      Released released(gil, worker.slot, "queue");
      parker.unpark();
      gil.park_outside(worker.slot, parker, kNoDeadline);
      CHECK_FALSE(parker.notified());
    }
    Released released(gil, worker.slot, "sleep");
    const std::int64_t until = monotonic_ns() + kMillisecond;
    gil.park_outside(worker.slot, parker, until);
    CHECK(monotonic_ns() >= until);
  }
}

TEST_CASE("gil: threads that notify each other in turn lose no notification") {
  Gil gil;
  constexpr int kRounds = 2000;
  Parker parkers[2];
  std::atomic<int> turn{0};
  auto play = [&](int me) {
    Worker worker(gil, "player");
    for (int i = 0; i < kRounds; ++i) {
      while (turn.load() != me) {
        Released released(gil, worker.slot, "turn");
        gil.park_outside(worker.slot, parkers[me], kNoDeadline);
      }
      turn.store(1 - me);
      parkers[1 - me].unpark();
    }
  };
  std::thread other(play, 1);
  play(0);
  other.join();
  CHECK(turn.load() == 0);
}

TEST_CASE("gil: who is given something while others wait stands in line without being woken") {
  Gil gil;
  gil.set_timed(false);  // nobody has to keep the time
  std::string order;
  std::vector<std::thread> threads;
  {
    Worker main(gil, "main");
    Parker parker;
    std::atomic<GilSlot*> guest{nullptr};
    std::atomic<bool> is_outside{false}, woke{false};
    threads.emplace_back([&] {
      Worker worker(gil, "guest");
      guest = worker.slot;
      {
        Released released(gil, worker.slot, "queue");
        is_outside = true;
        gil.park_outside(worker.slot, parker, kNoDeadline);
        woke = true;
      }
      order += 'g';
    });
    while (!is_outside.load()) {
      Released released(gil, main.slot, "let it in");
      sched_yield();
    }
    CHECK_FALSE(gil.enlist(guest.load(), parker));  // nobody waits: it is worth while to wake it
    stand_in_line(gil, threads, [&order](GilSlot*) { order += 'a'; });
    CHECK_FALSE(gil.enlist(main.slot, parker));  // has the lock
    CHECK(gil.enlist(guest.load(), parker));
    CHECK(gil.enlist(guest.load(), parker));  // stands there already
    CHECK(gil.has_arrived(guest.load()));
    stand_in_line(gil, threads, [&order](GilSlot*) { order += 'b'; });
    sleep_ns(kMillisecond);
    CHECK_FALSE(woke.load());
    CHECK_FALSE(parker.notified());
    for (const GilFigures& one : gil.threads()) {
      if (one.name == "guest") CHECK(one.waited_ns >= kMillisecond);
    }
    CHECK(gil.switch_now(main.slot));
    CHECK(order == "agb");
  }
  for (auto& thread : threads) thread.join();
}

TEST_CASE("gil: who is enlisted at the moment when its time is over stands in line once") {
  Gil gil;
  gil.set_switch_interval_ns(kShortestSwitchIntervalNs);
  constexpr int kPlayers = 4;
  const int rounds = BATON_TSAN ? 300 : 2000;
  struct Player {
    Parker parker;
    GilSlot* slot = nullptr;
    bool is_idle = false;  // guarded by the lock, as all below
    bool has_token = false;
  };
  Player players[kPlayers];
  players[0].has_token = true;
  long passed = 0;
  bool is_over = false;
  auto play = [&](int me) {
    Worker worker(gil, "player");
    Player& own = players[me];
    own.slot = worker.slot;
    for (std::int64_t pause = 1000; !is_over; pause = pause * 5 % 60'000 + 1000) {
      if (!own.has_token) {
        own.is_idle = true;
        {
          Released released(gil, worker.slot, "token");
          gil.park_outside(worker.slot, own.parker, monotonic_ns() + pause);
        }
        own.is_idle = false;
        worker.poll();
        continue;
      }
      Player& next = players[(me + 1 + passed % (kPlayers - 1)) % kPlayers];
      own.has_token = false;
      next.has_token = true;
      if (++passed >= rounds) is_over = true;
      if (next.is_idle && !gil.enlist(next.slot, next.parker)) {
        Gil::invite(next.slot);
        next.parker.unpark();
      }
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < kPlayers; ++i) threads.emplace_back(play, i);
  for (auto& thread : threads) thread.join();
  CHECK(passed >= rounds);
  const GilFigures sum = gil.totals();
  CHECK(sum.switches == sum.forced + sum.voluntary);
}

TEST_CASE("gil: a thread that comes back from outside does not wait for a whole turn") {
  Gil gil;
  gil.set_switch_interval_ns(200 * kMillisecond);
  std::atomic<bool> done{false};
  std::vector<std::thread> hogs;
  for (int t = 0; t < 2; ++t) {
    hogs.emplace_back([&] {
      Worker worker(gil, "hog");
      while (!done.load(std::memory_order_relaxed)) worker.poll();
    });
  }
  std::vector<std::int64_t> waits;
  std::thread guest([&] {
    Worker worker(gil, "guest");
    for (int i = 0; i < 50; ++i) {
      std::int64_t ready = 0;
      {
        Released released(gil, worker.slot, "sleep");
        sleep_ns(2 * kMillisecond);
        ready = monotonic_ns();
      }
      waits.push_back(monotonic_ns() - ready);
    }
  });
  guest.join();
  done = true;
  for (auto& hog : hogs) hog.join();
  std::sort(waits.begin(), waits.end());
  CHECK(waits[waits.size() / 2] < 20 * kMillisecond);
}

TEST_CASE("gil: the first time a thread comes back it goes first as well") {
  Gil gil;
  bool went_first = false;
  std::atomic<bool> outside{false}, held{false}, done{false};
  std::thread guest([&] {
    Worker worker(gil, "guest");
    {
      Released released(gil, worker.slot, "sleep");
      outside = true;
      while (!held) sleep_ns(kMillisecond);
      sleep_ns(10 * kMillisecond);
    }
    went_first = worker.slot->returning;
    done = true;
  });
  while (!outside) sleep_ns(kMillisecond);
  {
    Worker worker(gil, "hog");
    held = true;
    while (!done) worker.poll();
  }
  guest.join();
  CHECK(went_first);
}

TEST_CASE("gil: a thread that computes after each short absence gets no more than about its share") {
  Gil gil;
  gil.set_switch_interval_ns(2 * kMillisecond);
  std::atomic<bool> done{false};
  std::atomic<std::int64_t> hog_held{0};
  std::thread hog([&] {
    Worker worker(gil, "hog");
    std::int64_t last = monotonic_ns();
    while (!done.load(std::memory_order_relaxed)) {
      std::int64_t now = monotonic_ns();
      hog_held += now - last;
      last = now;
      if (worker.word.any() && gil.yield_if_asked(worker.slot)) last = monotonic_ns();
    }
  });
  std::int64_t begin = monotonic_ns();
  {
    Worker worker(gil, "abuser");
    while (monotonic_ns() - begin < 1000 * kMillisecond) {
      { Released released(gil, worker.slot, "sleep"); sleep_ns(1000); }
      std::int64_t busy_until = monotonic_ns() + kMillisecond;
      while (monotonic_ns() < busy_until) worker.poll();
    }
  }
  done = true;
  std::int64_t wall = monotonic_ns() - begin;
  hog.join();
  CHECK(hog_held.load() > wall / 4);
}

TEST_CASE("gil: a shorter interval takes effect during a turn") {
  Gil gil;
  gil.set_switch_interval_ns(kLongestSwitchIntervalNs * 5);
  CHECK(gil.switch_interval_ns() == kLongestSwitchIntervalNs);
  std::atomic<bool> done{false};
  std::atomic<int> entered{0};
  auto hog = [&] {
    Worker worker(gil, "hog");
    ++entered;
    while (!done.load(std::memory_order_relaxed)) worker.poll();
  };
  std::thread first(hog);
  while (entered.load() < 1) sched_yield();
  std::thread second(hog);
  sleep_ns(50 * kMillisecond);
  CHECK(entered.load() == 1);
  std::int64_t begin = monotonic_ns();
  gil.set_switch_interval_ns(kMillisecond);
  while (entered.load() < 2 && monotonic_ns() - begin < 2000 * kMillisecond) sched_yield();
  CHECK(entered.load() == 2);
  CHECK(monotonic_ns() - begin < 500 * kMillisecond);
  done = true;
  first.join();
  second.join();
  gil.set_switch_interval_ns(1);
  CHECK(gil.switch_interval_ns() == kShortestSwitchIntervalNs);
}

TEST_CASE("gil: figures agree with each other and with the clock") {
  Gil gil;
  gil.set_switch_interval_ns(kMillisecond);
  std::int64_t begin = monotonic_ns();
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  std::atomic<int> entered{0};
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      Worker worker(gil, t == 0 ? "zero" : "other");
      ++entered;
      while (!done.load(std::memory_order_relaxed)) {
        worker.poll();
        if (t == 0) { Released released(gil, worker.slot, "sleep"); sleep_ns(kMillisecond); }
      }
    });
  }
  sleep_ns(300 * kMillisecond);
  std::vector<GilFigures> each = gil.threads();
  CHECK(each.size() == 3);
  int holding = 0;
  bool named = false;
  for (const GilFigures& one : each) {
    holding += one.holding ? 1 : 0;
    if (one.name == "zero") {
      named = true;
      CHECK(one.released_ns > 10 * kMillisecond);
    }
    CHECK(one.switches + 1 >= one.forced + one.voluntary);
  }
  CHECK(holding <= 1);
  CHECK(named);
  done = true;
  for (auto& thread : threads) thread.join();
  std::int64_t wall = monotonic_ns() - begin;
  GilFigures sum = gil.totals();
  CHECK(gil.threads().empty());
  CHECK(sum.switches == sum.forced + sum.voluntary);
  CHECK(sum.forced > 10);
  CHECK(sum.voluntary > 10);
  CHECK(sum.held_ns > wall / 2);
  CHECK(sum.held_ns < wall * 3 / 2);
  CHECK(sum.waited_ns > 0);
  CHECK(sum.waited_ns < 3 * wall);
}

TEST_CASE("gil: threads come and go") {
  Gil gil;
  gil.set_switch_interval_ns(kShortestSwitchIntervalNs);
  const int lives = BATON_TSAN ? 100 : 400;
  long counter = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int life = 0; life < lives; ++life) {
        Worker worker(gil, "short");
        gil.rename(worker.slot, "renamed");
        for (int i = 0; i < 100; ++i) {
          ++counter;
          worker.poll();
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(counter == 400L * lives);
  CHECK(gil.threads().empty());
}

TEST_CASE("gil: it may be taken and given in any mixture at any interval") {
  Gil gil;
  std::atomic<bool> done{false};
  long counter = 0;
  std::atomic<long> expected{0};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 5; ++t) {
    threads.emplace_back([&, t] {
      unsigned random = t * 2654435761u + 1;
      long own = 0;
      {
        Worker worker(gil);
        while (!done.load(std::memory_order_relaxed)) {
          random = random * 1664525u + 1013904223u;
          ++counter;
          ++own;
          switch (random >> 29) {
            case 0: gil.switch_now(worker.slot); break;
            case 1: { Released released(gil, worker.slot, "short"); break; }
            case 2: {
              Released released(gil, worker.slot, "sleep");
              if ((random & 0xF00000) == 0) sleep_ns((random >> 8) & 0xFFFF);
              break;
            }
            case 3: gil.hand_over(worker.slot); break;
            default: for (unsigned i = 0; i < ((random >> 8) & 0xFF); ++i) worker.poll();
          }
        }
      }
      expected += own;
    });
  }
  unsigned random = 7;
  std::int64_t end = monotonic_ns() + 1500 * kMillisecond;
  while (monotonic_ns() < end) {
    random = random * 1664525u + 1013904223u;
    gil.set_switch_interval_ns(50'000 + (random >> 12));
    gil.set_spin_ns((random >> 28) == 0 ? 0 : 20'000);
    sleep_ns(200'000);
  }
  done = true;
  for (auto& thread : threads) thread.join();
  CHECK(counter == expected.load());
}

TEST_CASE("gil: late and needless wake-ups harm nothing") {
  // Parkers are notified at random, holders and waiters dawdle at random, the interval changes all the time.
  Gil gil;
  gil.set_switch_interval_ns(kShortestSwitchIntervalNs);
  constexpr int kThreads = 5;
  const int steps = BATON_TSAN ? 300 : 1500;
  long counter = 0;
  std::atomic<int> attached{0}, left{kThreads};
  GilSlot* slots[kThreads] = {};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::uint64_t random = static_cast<std::uint64_t>(t) + 1;
      const auto draw = [&](std::uint64_t below) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        return (random >> 33) % below;
      };
      Worker worker(gil);
      slots[t] = worker.slot;
      ++attached;
      while (attached.load() < kThreads) gil.switch_now(worker.slot);
      for (int i = 0; i < steps; ++i) {
        const long before = counter;
        if (draw(8) == 0) sched_yield();
        if (draw(64) == 0) sleep_ns(static_cast<std::int64_t>(draw(100'000)));
        counter = before + 1;
        worker.poll();
        if (draw(4) == 0) gil.switch_now(worker.slot);
        if (draw(8) == 0) {
          Released released(gil, worker.slot, "outside");
          if (draw(2) == 0) sleep_ns(static_cast<std::int64_t>(draw(50'000)));
        }
      }
      --left;
    });
  }
  while (attached.load() < kThreads) sched_yield();
  for (std::uint64_t i = 0; left.load() > 0; ++i) {
    slots[i * 2654435761u % kThreads]->parker.unpark();
    if (i % 16 == 0) gil.set_switch_interval_ns(kShortestSwitchIntervalNs * static_cast<std::int64_t>(1 + i / 16 % 40));
    sched_yield();
  }
  for (auto& thread : threads) thread.join();
  CHECK(counter == long{kThreads} * steps);
  const GilFigures sum = gil.totals();
  CHECK(sum.switches == sum.forced + sum.voluntary);
  CHECK(gil.ended_threads().size() == kThreads);
}

TEST_CASE("gil: without time it changes hands in the order of asking only") {
  Gil gil;
  gil.set_timed(false);
  gil.set_switch_interval_ns(kShortestSwitchIntervalNs);
  Worker main(gil, "main");
  std::string order;
  std::vector<std::thread> threads;
  for (char name = 'a'; name < 'e'; ++name) {
    stand_in_line(gil, threads, [&gil, &order, name](GilSlot* own) {
      order += name;
      gil.switch_now(own);
      order += name;
    });
  }
  sleep_ns(2 * kMillisecond);
  CHECK_FALSE(main.word.any());
  CHECK(gil.switch_now(main.slot));
  order += 'M';
  CHECK(gil.switch_now(main.slot));
  CHECK(order == "abcdMabcd");
  for (auto& thread : threads) thread.join();
  CHECK(gil.totals().forced == 0);
}

TEST_CASE("gil: whom a signal hurries goes before all others") {
  Gil gil;
  gil.set_switch_interval_ns(kLongestSwitchIntervalNs);
  std::string order;
  std::vector<std::thread> threads;
  {
    Worker main(gil, "main");
    GilSlot* last = nullptr;
    for (char name = 'a'; name < 'e'; ++name) {
      last = stand_in_line(gil, threads, [&order, name](GilSlot*) { order += name; });
    }
    Gil::hurry(last);
    while (last->hurried) sched_yield();
    while (!main.word.any()) sched_yield();
    CHECK(gil.hand_over(main.slot));
    CHECK(order.substr(0, 1) == "d");
  }
  for (auto& thread : threads) thread.join();
  CHECK(order.size() == 4);
}

TEST_CASE("gil: the hook learns of every change of holder, under the lock") {
  Gil gil;
  gil.set_switch_interval_ns(kShortestSwitchIntervalNs);
  InterruptWord* current = nullptr;  // not atomic: the lock must do
  gil.set_holder_hook(
      [](void* place, GilSlot* slot) noexcept { *static_cast<InterruptWord**>(place) = slot->interrupt; }, &current);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      for (int life = 0; life < 20; ++life) {
        Worker worker(gil);
        for (int i = 0; i < 300; ++i) {
          if (current != &worker.word) ++wrong;
          if (i % 50 == 0) gil.switch_now(worker.slot);
          if (i % 70 == 0) Released released(gil, worker.slot, "nothing");
          worker.poll();
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(wrong.load() == 0);
}

TEST_CASE("gil: several locks do not know of each other") {
  Gil first;
  Gil second;
  Worker outer(first, "outer");
  Worker inner(second, "inner");
  CHECK(first.held_by(outer.slot));
  CHECK(second.held_by(inner.slot));
  CHECK_FALSE(first.held_by(inner.slot));
}
