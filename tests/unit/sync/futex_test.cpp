#include "sync/futex.h"

#include <catch2/catch.hpp>

#include <thread>
#include <vector>

using namespace baton;

TEST_CASE("futex: a short mutex excludes") {
  ShortMutex mutex;
  long counter = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50000; ++i) {
        mutex.lock();
        ++counter;
        mutex.unlock();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(counter == 200000);
}

TEST_CASE("futex: a notification before park is remembered once") {
  Parker parker;
  parker.unpark();
  parker.unpark();
  CHECK(parker.notified());
  CHECK(parker.park(kNoDeadline));
  CHECK_FALSE(parker.park(monotonic_ns() + 1'000'000));
}

TEST_CASE("futex: park ends at its deadline and not before") {
  Parker parker;
  std::int64_t begin = monotonic_ns();
  CHECK_FALSE(parker.park(begin + 20'000'000));
  CHECK(monotonic_ns() - begin >= 20'000'000);
  CHECK_FALSE(parker.park(begin));
}

TEST_CASE("futex: parkers pass data back and forth") {
  Parker ping;
  Parker pong;
  long value = 0;
  std::thread other([&] {
    for (int i = 0; i < 20000; ++i) {
      while (!ping.park(kNoDeadline)) {}
      ++value;
      pong.unpark();
    }
  });
  for (int i = 0; i < 20000; ++i) {
    ++value;
    ping.unpark();
    while (!pong.park(kNoDeadline)) {}
  }
  other.join();
  CHECK(value == 40000);
}
