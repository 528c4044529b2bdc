#include "base/interrupt.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

using namespace baton;

namespace {

constexpr unsigned kCount = 3;

PolledEntries entries_of_three() {
  PolledEntries entries;
  entries.count = kCount;
  for (unsigned i = 0; i < kCount; ++i) {
    entries.quiet[i] = 100 + i;
    entries.asked[i] = 200 + i;
  }
  return entries;
}

bool all_are(const std::atomic<std::uintptr_t>* table, std::uintptr_t first) {
  for (unsigned i = 0; i < kCount; ++i) {
    if (table[i].load() != first + i) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("interrupt: a word without entries is bits only") {
  InterruptWord word;
  CHECK_FALSE(word.any());
  word.set(kInterruptCollect | kInterruptSignal);
  CHECK(word.any());
  CHECK(word.take(kInterruptSignal | kInterruptCancel) == kInterruptSignal);
  CHECK(word.take(kInterruptSignal) == 0);
  word.settle();
  CHECK(word.any());
  CHECK(word.take(kInterruptCollect) == kInterruptCollect);
  CHECK_FALSE(word.any());
}

TEST_CASE("interrupt: entries lead to the poll while something is asked") {
  const PolledEntries what = entries_of_three();
  std::atomic<std::uintptr_t> table[kCount + 1] = {0, 0, 0, 7};
  InterruptWord word;
  word.direct(what, table);
  CHECK(all_are(table, 100));
  word.set(kInterruptGilDrop);
  CHECK(all_are(table, 200));
  word.settle();  // it is still asked
  CHECK(all_are(table, 200));
  word.set(kInterruptCollect);
  CHECK(word.take(kInterruptGilDrop) == kInterruptGilDrop);
  word.settle();
  CHECK(all_are(table, 200));
  CHECK(word.take(kInterruptCollect) == kInterruptCollect);
  CHECK(all_are(table, 200));  // taking alone does not write
  word.settle();
  CHECK(all_are(table, 100));
  word.settle();
  CHECK(all_are(table, 100));
  CHECK(table[kCount].load() == 7);
}

TEST_CASE("interrupt: nothing that was asked is left without the poll") {
  constexpr int kRounds = 2000;
  const PolledEntries what = entries_of_three();
  std::atomic<std::uintptr_t> table[kCount] = {};
  InterruptWord word;
  word.direct(what, table);
  std::atomic<int> asked{0}, served{0};
  std::thread asker([&] {
    for (int i = 1; i <= kRounds; ++i) {
      asked.store(i);
      word.set(kInterruptGilDrop);
      while (served.load() < i) std::this_thread::yield();
    }
  });
  // The owner does what the interpreter does: it looks at an entry, and at the word only if that leads to the poll. If an
  // asker's bit could be left behind quiet entries, this would not end.
  unsigned turn = 0, idle_polls = 0;
  while (served.load() < kRounds) {
    const std::uintptr_t entry = table[turn++ % kCount].load(std::memory_order_relaxed);
    if (entry < 200) {
      std::this_thread::yield();
      continue;
    }
    const bool found = word.take(kInterruptGilDrop) != 0;
    word.settle();
    if (found) served.store(asked.load());
    else ++idle_polls;
  }
  asker.join();
  INFO(idle_polls);
  CHECK_FALSE(word.any());
  word.settle();
  CHECK(all_are(table, 100));
}
