#include "sync/thread_cache.h"

#include <catch2/catch.hpp>

#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <string>

using namespace baton;

namespace {

struct Report {
  std::atomic<bool> go{false}, done{false};
  int kernel_thread = 0;
  char name[16] = {};
};

void report(void* data) noexcept {
  auto& result = *static_cast<Report*>(data);
  result.kernel_thread = gettid();
  pthread_getname_np(pthread_self(), result.name, sizeof result.name);
  while (!result.go.load()) sched_yield();
  result.done.store(true);
}

// Runs one body to its end, and until its thread waits for the next.
void run(ThreadCache& cache, Report& result, const char* name, int idle_before) {
  result.go = true;
  REQUIRE(cache.start(name, report, &result) == 0);
  while (!result.done.load()) sched_yield();
  while (cache.idle_count() < idle_before + 1) sched_yield();
}

}  // namespace

TEST_CASE("thread cache: a thread whose body has ended runs the next one, under its name") {
  ThreadCount count;
  ThreadCache cache(256 * 1024, count);
  Report first, second;
  run(cache, first, "first body", 0);
  CHECK(std::string(first.name) == "first body");
  CHECK(count.running() == 1);
  run(cache, second, "\xC3\xA4""2345678901234\xC3\xA4", 0);
  CHECK(second.kernel_thread == first.kernel_thread);
  CHECK(std::string(second.name) == "\xC3\xA4""2345678901234");
  CHECK(count.running() == 1);
  cache.close();
  CHECK(count.wait_until_none(kNoDeadline));
}

TEST_CASE("thread cache: no more than so many wait, and none after the end") {
  ThreadCount count;
  ThreadCache cache(256 * 1024, count);
  constexpr int kThreads = ThreadCache::kMostIdle + 3;
  Report reports[kThreads];
  for (Report& one : reports) REQUIRE(cache.start("one of many", report, &one) == 0);
  CHECK(count.running() == kThreads);
  for (Report& one : reports) one.go = true;
  while (count.running() > ThreadCache::kMostIdle) sched_yield();
  while (cache.idle_count() < ThreadCache::kMostIdle) sched_yield();
  Report last;
  REQUIRE(cache.start("last", report, &last) == 0);
  CHECK(cache.idle_count() == ThreadCache::kMostIdle - 1);
  cache.close();
  CHECK(cache.idle_count() == 0);
  last.go = true;
  CHECK(count.wait_until_none(kNoDeadline));
  CHECK(last.done.load());
}

TEST_CASE("thread cache: it is started from several threads at once") {
  ThreadCount count;
  ThreadCache cache(256 * 1024, count);
  struct Spread {
    ThreadCache* cache;
    std::atomic<int> left;
    static void body(void* data) noexcept {
      auto& own = *static_cast<Spread*>(data);
      if (own.left.fetch_sub(1) > 0) (void)own.cache->start("spread", body, data);
      if (own.left.fetch_sub(1) > 0) (void)own.cache->start("spread", body, data);
    }
  };
  Spread spread{&cache, 300};
  REQUIRE(cache.start("spread", Spread::body, &spread) == 0);
  while (spread.left.load() > 0) sched_yield();
  cache.close();
  CHECK(count.wait_until_none(kNoDeadline));
}

TEST_CASE("thread cache: who asks for it ends with its body") {
  ThreadCount count;
  ThreadCache cache(256 * 1024, count);
  std::atomic<bool> done{false};
  const auto body = [](void* data) noexcept {
    ThreadCache::end_with_body();
    static_cast<std::atomic<bool>*>(data)->store(true);
  };
  REQUIRE(cache.start("guest", body, &done) == 0);
  while (count.running() > 0) {
    REQUIRE(cache.idle_count() == 0);  // else it would wait there for a second
    sched_yield();
  }
  CHECK(done.load());
  cache.close();
}
