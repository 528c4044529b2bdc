// What the lock costs: uncontended beside std::mutex, hand-overs between computing threads, the wait of a thread that
// returns from a sleep beside computing threads. Prints one line per figure (with an argument the first only); checks nothing. On a virtual machine whose
// processors change speed compare the processor time (100 %: never idle, no overlap), not the work.
#include <algorithm>
#include <cstdio>
#include <mutex>
#include <thread>
#include <vector>

#include "sync/gil.h"
#include "sync/os_thread.h"
#include "sync/released.h"

using namespace baton;

namespace {

template <typename Body>
double best_ns(int count, Body body) {
  double best = 1e18;
  for (int repeat = 0; repeat < 7; ++repeat) {
    std::int64_t begin = monotonic_ns();
    for (int i = 0; i < count; ++i) body();
    best = std::min(best, static_cast<double>(monotonic_ns() - begin) / count);
  }
  return best;
}

void measure_uncontended() {
  std::thread([] {}).join();  // from here on the C library's mutex is the one of a program with threads
  Gil gil;
  InterruptWord word;
  GilSlot* slot = gil.attach("main", &word);
  GilSlot* idle[8];
  for (GilSlot*& other : idle) other = gil.attach("idle", nullptr);
  std::mutex mutex;
  double lock = best_ns(2000000, [&] {
    gil.acquire(slot);
    gil.release(slot);
  });
  double standard = best_ns(2000000, [&] {
    mutex.lock();
    mutex.unlock();
  });
  gil.acquire(slot);
  double region = best_ns(2000000, [&] { Released released(gil, slot, "nothing"); });
  gil.release(slot);
  gil.detach(slot);
  for (GilSlot* other : idle) gil.detach(other);
  std::printf("acquire + release %.1f ns, std::mutex pair %.1f ns, Released region %.1f ns\n", lock, standard, region);
}

// Processor time of the whole process.
std::int64_t processor_ns() {
  timespec used;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return std::int64_t{used.tv_sec} * 1'000'000'000 + used.tv_nsec;
}

// The work `count` threads get done together in a second, in steps, and the share of the slowest and the fastest.
double measure_hogs(int count, std::int64_t interval_ns, double alone) {
  Gil gil;
  gil.set_switch_interval_ns(interval_ns);
  std::atomic<bool> done{false};
  std::vector<std::int64_t> steps(static_cast<std::size_t>(count));
  std::vector<std::thread> threads;
  std::atomic<int> ready{0};
  for (std::size_t t = 0; t < steps.size(); ++t) {
    threads.emplace_back([&, t] {
      sharpen_timed_waits();
      InterruptWord word;
      GilSlot* slot = gil.attach("hog", &word);
      gil.acquire(slot);
      ++ready;
      std::int64_t own = 0;
      while (!done.load(std::memory_order_relaxed)) {
        for (int i = 0; i < 20; ++i) asm volatile("" ::: "memory");
        ++own;
        if (word.any()) gil.yield_if_asked(slot);
      }
      steps[t] = own;
      gil.release(slot);
      gil.detach(slot);
    });
  }
  std::int64_t begin = monotonic_ns();
  std::int64_t processor_begin = processor_ns();
  timespec second{1, 0};
  nanosleep(&second, nullptr);
  done = true;
  std::int64_t wall = monotonic_ns() - begin;
  std::int64_t processor = processor_ns() - processor_begin;
  for (auto& thread : threads) thread.join();
  std::int64_t sum = 0;
  for (std::int64_t one : steps) sum += one;
  double rate = static_cast<double>(sum) / static_cast<double>(wall);
  GilFigures figures = gil.totals();
  auto [least, most] = std::minmax_element(steps.begin(), steps.end());
  std::printf("%2d computing threads, interval %6.2f ms: work %5.1f %% of one thread's, processor %5.1f %%, shares %.3f to %.3f, %llu switches\n",
              count, static_cast<double>(interval_ns) / 1e6, alone > 0 ? 100 * rate / alone : 100.0,
              100 * static_cast<double>(processor) / static_cast<double>(wall),
              static_cast<double>(*least) / static_cast<double>(sum), static_cast<double>(*most) / static_cast<double>(sum),
              static_cast<unsigned long long>(figures.switches));
  return rate;
}

// How long a thread that slept for a millisecond waits for the lock beside `hogs` computing threads.
void measure_return(int hogs) {
  Gil gil;
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < hogs; ++t) {
    threads.emplace_back([&] {
      sharpen_timed_waits();
      InterruptWord word;
      GilSlot* slot = gil.attach("hog", &word);
      gil.acquire(slot);
      while (!done.load(std::memory_order_relaxed)) {
        if (word.any()) gil.yield_if_asked(slot);
      }
      gil.release(slot);
      gil.detach(slot);
    });
  }
  std::vector<double> waits;
  sharpen_timed_waits();
  InterruptWord word;
  GilSlot* slot = gil.attach("guest", &word);
  gil.acquire(slot);
  for (int i = 0; i < 1500; ++i) {
    std::int64_t awake = 0;
    {
      Released released(gil, slot, "sleep");
      timespec span{0, 1000000};
      nanosleep(&span, nullptr);
      awake = monotonic_ns();
    }
    waits.push_back(static_cast<double>(monotonic_ns() - awake) / 1000);
  }
  gil.release(slot);
  gil.detach(slot);
  done = true;
  for (auto& thread : threads) thread.join();
  std::sort(waits.begin(), waits.end());
  std::printf("return beside %2d computing threads: p50 %.1f us, p99 %.1f us, max %.1f us\n", hogs, waits[waits.size() / 2],
              waits[waits.size() * 99 / 100], waits.back());
}

}  // namespace

int main(int argc, char**) {
  measure_uncontended();
  if (argc > 1) return 0;
  double alone = measure_hogs(1, kDefaultSwitchIntervalNs, 0);
  for (int count : {2, 4, 16, 64}) measure_hogs(count, kDefaultSwitchIntervalNs, alone);
  for (std::int64_t interval : {50'000, 1'000'000, 100'000'000}) measure_hogs(2, interval, alone);
  for (int hogs : {0, 1, 4, 16}) measure_return(hogs);
}
