// The heap: cycles, weak tables, ephemerons, finalizers, upvalues, stacks, the cap, the allocator.
#include <catch2/catch.hpp>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "value/closure.h"
#include "value/coroutine.h"
#include "value/heap.h"
#include "value/heap_internals.h"
#include "value/prototype.h"
#include "value/root.h"
#include "value/table.h"
#include "value/userdata.h"

using namespace baton;

namespace {

Value text(Heap& heap, const std::string& s) { return Value::of(string::make(heap, s)); }

Table* weak_table(Heap& heap, const char* mode) {
  Table* t = table::make(heap);
  Root<Table> keep(heap, t);
  Table* metatable = table::make(heap);
  t->metatable = metatable;
  heap.barrier(t, metatable);
  table::set(heap, metatable, text(heap, "__mode"), text(heap, mode));
  return t;
}

std::size_t entries(const Table* t) {
  std::uint64_t position = 0;
  Value k, v;
  std::size_t count = 0;
  while (table::next_at(t, position, k, v)) ++count;
  return count;
}

int releases = 0;
void count_release(void*) noexcept { ++releases; }

}  // namespace

TEST_CASE("heap: unreachable cycles are freed, reachable ones stay") {
  Heap heap(1);
  Root<Table> root(heap, table::make(heap));
  heap.collect();
  const std::size_t before = heap.bytes_used();
  for (int i = 0; i < 1000; ++i) {
    Table* a = table::make(heap, 3, 2);
    Table* b = table::make(heap);
    table::set_integer(heap, a, 1, Value::of(b));
    table::set_integer(heap, b, 1, Value::of(a));
    if (i == 500) table::set_integer(heap, root.get(), 1, Value::of(a));
  }
  heap.collect();
  heap.verify();
  const Table* a = table::get_integer(root.get(), 1)->table();
  REQUIRE(table::get_integer(table::get_integer(a, 1)->table(), 1)->table() == a);
  table::set_integer(heap, root.get(), 1, Value());
  heap.collect();
  REQUIRE(heap.bytes_used() <= before + 200);
}

TEST_CASE("heap: a list of two hundred thousand tables needs no recursion") {
  Heap heap(1);
  Root<Table> head(heap, table::make(heap));
  for (int i = 0; i < 200000; ++i) {
    Table* t = table::make(heap);
    table::set_integer(heap, t, 1, Value::of(head.get()));
    head.set(t);
  }
  heap.collect();
  std::size_t length = 0;
  for (const Table* t = head.get(); !table::get_integer(t, 1)->is_nil(); t = table::get_integer(t, 1)->table()) ++length;
  REQUIRE(length == 200000);
}

TEST_CASE("heap: increments keep a graph that the program changes all the time") {
  Heap heap(9);
  Root<Table> root(heap, table::make(heap));
  std::mt19937 random(5);
  constexpr int kSlots = 9000;  // more than the large table's threshold
  for (int i = 1; i <= kSlots; ++i) table::set_integer(heap, root.get(), i, Value::from(std::int64_t{i}));
  std::vector<std::int64_t> model(kSlots + 1, 0);
  for (int step = 0; step < 300000; ++step) {
    const int i = 1 + static_cast<int>(random() % kSlots);
    const int j = 1 + static_cast<int>(random() % kSlots);
    Table* t = table::make(heap, 1, step % 3);
    table::set_integer(heap, t, 1, Value::from(std::int64_t{step}));
    const Value old = *table::get_integer(root.get(), j);
    if (old.is_table() && random() % 4 == 0) table::set_integer(heap, t, 2, old);
    table::set_integer(heap, root.get(), i, Value::of(t));
    model[i] = step;
    if (step % 16 == 0) table::set(heap, root.get(), text(heap, "s" + std::to_string(step)), Value::of(t));
    if (step % 64 == 0) table::set(heap, root.get(), text(heap, "s" + std::to_string(step / 2)), Value());
    if (step % 8 == 0) heap.step_explicit(0);
    if (step % 20000 == 0) heap.verify();
  }
  for (int i = 1; i <= kSlots; ++i) {
    const Value v = *table::get_integer(root.get(), i);
    if (v.is_table()) REQUIRE(table::get_integer(v.table(), 1)->integer == model[i]);
  }
  REQUIRE(heap.statistics().cycles > 3);
}

TEST_CASE("heap: weak values and weak keys") {
  Heap heap(1);
  Root<Table> values(heap, weak_table(heap, "v"));
  Root<Table> keys(heap, weak_table(heap, "k"));
  Root<Table> both(heap, weak_table(heap, "kv"));
  Root<Table> kept(heap, table::make(heap));
  for (Table* t : {values.get(), keys.get(), both.get()}) {
    table::set(heap, t, Value::of(kept.get()), Value::of(kept.get()));
    table::set(heap, t, Value::of(table::make(heap)), Value::from(std::int64_t{1}));
    table::set(heap, t, text(heap, "string key"), text(heap, "a string value"));
    table::set_integer(heap, t, 1, Value::of(table::make(heap)));
    table::set_integer(heap, t, 1000, Value::of(table::make(heap)));
  }
  heap.collect();
  heap.verify();
  REQUIRE(entries(values.get()) == 3);
  REQUIRE(entries(keys.get()) == 4);
  REQUIRE(entries(both.get()) == 2);
  REQUIRE(table::get(keys.get(), Value::of(kept.get()))->table() == kept.get());
  REQUIRE(table::get(keys.get(), text(heap, "string key"))->is_string());
}

TEST_CASE("heap: a long chain through ephemerons is kept as a whole or freed as a whole") {
  Heap heap(1);
  constexpr int kLinks = 50000;
  Root<Table> tables(heap, table::make(heap));
  for (int i = 1; i <= 10; ++i) table::set_integer(heap, tables.get(), i, Value::of(weak_table(heap, "k")));
  Root<Table> first(heap, table::make(heap));
  {
    Root<Table> link(heap, first.get());
    for (int i = 0; i < kLinks; ++i) {
      Root<Table> next(heap, table::make(heap));
      table::set(heap, table::get_integer(tables.get(), 1 + (i * 7) % 10)->table(), Value::of(link.get()), Value::of(next.get()));
      link.set(next.get());
    }
  }
  heap.collect();
  const auto count = [&] {
    std::size_t sum = 0;
    for (int i = 1; i <= 10; ++i) sum += entries(table::get_integer(tables.get(), i)->table());
    return sum;
  };
  REQUIRE(count() == kLinks);
  heap.verify();
  first.set(table::make(heap));
  heap.collect();
  REQUIRE(count() == 0);
}

TEST_CASE("heap: finalizers are queued in reverse order, once, and resurrect") {
  Heap heap(1);
  Root<Table> weak_keys(heap, weak_table(heap, "k"));
  Root<Table> weak_values(heap, weak_table(heap, "v"));
  {
    for (int i = 1; i <= 5; ++i) {
      Root<Table> t(heap, table::make(heap));
      table::set_integer(heap, t.get(), 1, Value::from(std::int64_t{i}));
      Root<Table> child(heap, table::make(heap));
      table::set_integer(heap, t.get(), 2, Value::of(child.get()));
      table::set(heap, weak_keys.get(), Value::of(t.get()), Value::of(table::make(heap)));
      table::set_integer(heap, weak_values.get(), i, Value::of(t.get()));
      heap.register_finalizer(t.get());
      heap.register_finalizer(t.get());
    }
  }
  InterruptWord word;
  heap.attach_interrupt(&word);
  REQUIRE_FALSE(heap.has_finalizable());
  heap.collect();
  REQUIRE((word.bits.load() & kInterruptFinalize) != 0);
  REQUIRE(entries(weak_values.get()) == 0);
  REQUIRE(entries(weak_keys.get()) == 5);  // keys go after finalization
  heap.collect();                          // waiting for finalization keeps alive
  for (int i = 5; i >= 1; --i) {
    Object* o = heap.next_finalizable();
    REQUIRE(o != nullptr);
    Table* t = static_cast<Table*>(o);
    REQUIRE(table::get_integer(t, 1)->integer == i);
    REQUIRE(table::get_integer(t, 2)->is_table());
    if (i == 3) heap.register_finalizer(t);
  }
  REQUIRE(heap.next_finalizable() == nullptr);
  heap.collect();
  REQUIRE(entries(weak_keys.get()) == 1);
  REQUIRE(static_cast<Table*>(heap.next_finalizable()) != nullptr);
  heap.collect();
  REQUIRE(entries(weak_keys.get()) == 0);
}

TEST_CASE("heap: at close everything with a finalizer is queued") {
  Heap heap(1);
  Root<Table> a(heap, table::make(heap));
  Root<Table> b(heap, table::make(heap));
  heap.register_finalizer(a.get());
  heap.register_finalizer(b.get());
  heap.queue_all_finalizers();
  REQUIRE(heap.next_finalizable() == b.get());
  heap.register_finalizer(b.get());
  REQUIRE(heap.next_finalizable() == a.get());
  REQUIRE(heap.next_finalizable() == nullptr);
}

TEST_CASE("heap: userdata are zeroed, aligned and released once") {
  releases = 0;
  {
    Heap heap(1);
    for (std::size_t size : {0, 1, 8, 24, 100, 5000, 100000}) {
      Userdata* u = userdata::make(heap, size, 3);
      REQUIRE(reinterpret_cast<std::uintptr_t>(u->block()) % 16 == 0);
      const char* block = static_cast<const char*>(u->block());
      for (std::size_t i = 0; i < size; ++i) REQUIRE(block[i] == 0);
      REQUIRE(u->user_values()[2].is_nil());
      u->release = count_release;
    }
    heap.collect();
    REQUIRE(releases == 7);
    userdata::make(heap, 10)->release = count_release;
  }
  REQUIRE(releases == 8);
}

TEST_CASE("heap: the cap holds at the limit and one byte above it") {
  Heap heap(1);
  Root<Table> root(heap, table::make(heap));
  heap.collect();
  const std::size_t used = heap.bytes_used();
  heap.set_limit(used + 1'000'000);
  REQUIRE(heap.fits(1'000'000));
  REQUIRE_FALSE(heap.fits(1'000'001));
  void* buffer = heap.allocate_buffer(1'000'000);
  REQUIRE(heap.bytes_used() == used + 1'000'000);
  REQUIRE_THROWS_AS(heap.allocate_buffer(1), ScriptError);
  REQUIRE_THROWS_AS(table::make(heap), ScriptError);
  REQUIRE(heap.bytes_used() == used + 1'000'000);
  heap.free_buffer(buffer, 1'000'000);
  REQUIRE(heap.bytes_used() == used);
  REQUIRE_THROWS_AS(heap.allocate_buffer(1'000'001), ScriptError);
  REQUIRE_THROWS_AS(heap.allocate_buffer(SIZE_MAX - 5), ScriptError);
  REQUIRE_THROWS_AS(heap.add_external(1'000'001), ScriptError);
  heap.add_external(1'000'000);
  heap.remove_external(1'000'000);
  // A table that cannot grow stays as it was.
  int i = 0;
  try {
    for (;; ++i) table::set_integer(heap, root.get(), i + 1, Value::from(std::int64_t{i}));
  } catch (const ScriptError& error) {
    REQUIRE(error.id == ErrorId::kMemory);
  }
  REQUIRE(table::length(root.get()) == std::uint64_t(i));
  heap.collect_emergency();
  heap.set_limit(SIZE_MAX);
  table::set_integer(heap, root.get(), i + 1, Value::from(std::int64_t{1}));
  REQUIRE(table::length(root.get()) == std::uint64_t(i + 1));
}

TEST_CASE("heap: debt asks for a step, steps end the cycle, stop stops") {
  Heap heap(1);
  InterruptWord word;
  heap.attach_interrupt(&word);
  std::size_t peak = 0;
  for (int i = 0; i < 200000; ++i) {
    table::make(heap, 2, 0);
    if (word.take(kInterruptCollect) != 0) heap.step();
    peak = std::max(peak, heap.bytes_used());
  }
  REQUIRE(heap.statistics().cycles > 10);
  REQUIRE(peak < 2 * 1024 * 1024);
  heap.set_running(false);
  const auto cycles = heap.statistics().cycles;
  word.take(kInterruptCollect);
  for (int i = 0; i < 20000; ++i) table::make(heap, 2, 0);
  REQUIRE((word.bits.load() & kInterruptCollect) == 0);
  heap.step();
  REQUIRE(heap.statistics().cycles == cycles);
  REQUIRE(heap.step_explicit(1'000'000));
  heap.set_running(true);
  table::make(heap);
  REQUIRE(heap.set_pause(150) == 200);
  REQUIRE(heap.set_pause(0) == 148);  // kept in steps of four, as PUC Lua does
  REQUIRE(heap.set_mode(CollectorMode::kGenerational) == CollectorMode::kIncremental);
}

TEST_CASE("heap: open upvalues share, close and outlive their coroutine") {
  Heap heap(1);
  Root<Coroutine> co(heap, coroutine::make(heap));
  coroutine::check_stack(heap, co.get(), 10);
  for (int i = 0; i < 10; ++i) *co->top++ = Value::from(std::int64_t{i});
  Prototype* p = prototype::make(heap);
  Root<Table> keep(heap, table::make(heap));
  prototype::allocate(heap, p->upvalues, 2);
  Closure* c = closure::make(heap, p);
  table::set_integer(heap, keep.get(), 1, Value::of(c));
  c->upvalues()[0] = closure::find_open(heap, co.get(), co->top - 3);
  c->upvalues()[1] = closure::find_open(heap, co.get(), co->top - 1);
  REQUIRE(closure::find_open(heap, co.get(), co->top - 3) == c->upvalues()[0]);
  REQUIRE(co->open_upvalues == c->upvalues()[1]);
  coroutine::check_stack(heap, co.get(), 5000);  // moves the stack
  REQUIRE(c->upvalues()[0]->location == co->top - 3);
  *(co->top - 3) = text(heap, "captured");
  heap.collect();
  heap.verify();
  REQUIRE(c->upvalues()[0]->location->string()->view() == "captured");
  closure::close_upvalues(heap, co.get(), co->top - 2);
  REQUIRE_FALSE(c->upvalues()[1]->is_open());
  REQUIRE(c->upvalues()[1]->closed.integer == 9);
  REQUIRE(c->upvalues()[0]->is_open());
  co.set(coroutine::make(heap));  // the old one dies
  heap.collect();
  heap.verify();
  REQUIRE_FALSE(c->upvalues()[0]->is_open());
  REQUIRE(c->upvalues()[0]->closed.string()->view() == "captured");
}

TEST_CASE("heap: a suspended coroutine is scanned again only if it runs") {
  Heap heap(1);
  Root<Table> all(heap, table::make(heap));
  for (int i = 1; i <= 300; ++i) {
    Coroutine* co = coroutine::make(heap);
    table::set_integer(heap, all.get(), i, Value::of(co));
    *co->top++ = Value::of(table::make(heap));
  }
  std::mt19937 random(3);
  for (int step = 0; step < 60000; ++step) {
    Coroutine* co = table::get_integer(all.get(), 1 + random() % 300)->coroutine();
    coroutine::note_run(heap, co);
    co->status = CoroutineStatus::kRunning;
    *(co->top - 1) = Value::of(table::make(heap, 1));
    if (step % 3 == 0) heap.step_explicit(0);
    co->status = CoroutineStatus::kSuspended;
    if (step % 1000 == 0) heap.verify();
  }
  heap.collect();
  for (int i = 1; i <= 300; ++i) {
    REQUIRE((table::get_integer(all.get(), i)->coroutine()->top - 1)->table()->array_size <= 1);
  }
}

TEST_CASE("heap: stacks grow to the limit, keep their reserve, and shrink") {
  Heap heap(1);
  Root<Coroutine> co(heap, coroutine::make(heap));
  REQUIRE(co->stack_limit - co->stack >= 28);
  while (co->top - co->stack < kMaxStackSlots) {
    coroutine::check_stack(heap, co.get(), 1);
    *co->top++ = Value::from(std::int64_t{1});
  }
  REQUIRE_THROWS_AS(coroutine::check_stack(heap, co.get(), 1), ScriptError);
  for (std::uint32_t i = 0; i < kStackReserve; ++i) *co->top++ = Value::from(std::int64_t{2});
  try {
    coroutine::check_stack(heap, co.get(), 1);
    FAIL("no error");
  } catch (const ScriptError& error) {
    REQUIRE(error.id == ErrorId::kStackOverflow);
  }
  co->top = co->stack + 10;
  const std::size_t before = heap.bytes_used();
  for (int i = 0; i < 10; ++i) heap.collect();
  REQUIRE(heap.bytes_used() < before / 4);
  for (const Value* slot = co->top; slot < coroutine::stack_end(co.get()); ++slot) REQUIRE(slot->is_nil());
  const std::ptrdiff_t depth = 100;
  while (co->frame - co->frames < depth) {
    if (co->frame + 1 == co->frames_limit) coroutine::grow_frames(heap, co.get());
    ++co->frame;
    *co->frame = co->frame[-1];
  }
  for (int i = 0; i < 100; ++i) coroutine::push_to_be_closed(heap, co.get(), co->stack + i);
  REQUIRE(co->to_be_closed[99] == 99);
}

namespace {
int fibers_released = 0;
void release_fiber(void*, Coroutine* co) {
  ++fibers_released;
  co->fiber = nullptr;
}
}  // namespace

TEST_CASE("heap: dead coroutines give their machine stack back, those in natives are handed out") {
  Heap heap(1);
  fibers_released = 0;
  heap.set_fiber_release(release_fiber, nullptr);
  int dummy = 0;
  for (int i = 0; i < 10; ++i) {
    Root<Coroutine> co(heap, coroutine::make(heap));
    co->fiber = &dummy;
    ++co->frame;
    *co->frame = co->frame[-1];
    co->frame->flags = static_cast<std::uint16_t>(i < 3 ? kFrameNative : i < 6 ? kFrameNative | kFrameIntrinsic : 0);
  }
  heap.collect();
  REQUIRE(fibers_released == 7);
  REQUIRE(heap.has_abandoned());
  heap.collect();
  for (int i = 0; i < 3; ++i) {
    Coroutine* co = heap.next_abandoned();
    REQUIRE(co != nullptr);
    co->fiber = nullptr;
  }
  REQUIRE(heap.next_abandoned() == nullptr);
  heap.collect();
  REQUIRE(fibers_released == 7);
}

TEST_CASE("heap: memory of the dead is used again, pages go back") {
  Heap heap(1);
  for (int round = 0; round < 5; ++round) {
    Root<Table> root(heap, table::make(heap));
    for (int i = 1; i <= 50000; ++i) table::set_integer(heap, root.get(), i, Value::of(table::make(heap, i % 40, i % 17)));
    heap.collect();
    REQUIRE(heap.bytes_used() > 5'000'000);
    root.set(table::make(heap));
    heap.collect();
    REQUIRE(heap.bytes_used() < 100'000);
  }
}

TEST_CASE("heap: large constant tables of prototypes are marked in slices") {
  Heap heap(1);
  Prototype* p = prototype::make(heap);
  Root<Table> keep(heap, table::make(heap));
  prototype::allocate(heap, p->upvalues, 0);
  table::set_integer(heap, keep.get(), 1, Value::of(closure::make(heap, p)));
  prototype::allocate(heap, p->constants, 20000);
  for (int i = 0; i < 20000; ++i) p->constants[i] = text(heap, "constant " + std::to_string(i));
  for (int i = 0; i < 3; ++i) {
    heap.collect();
    heap.verify();
  }
  for (int i = 0; i < 20000; ++i) REQUIRE(p->constants[i].string()->view() == "constant " + std::to_string(i));
}

TEST_CASE("heap: what a large buffer grows by is zero, also where it was shrunk within a page") {
  const std::size_t large = kMappedBufferBytes + (std::size_t{1} << 20), small = kMappedBufferBytes + 100;
  auto* bytes = static_cast<unsigned char*>(map_buffer(large));
  REQUIRE(bytes != nullptr);
  std::fill(bytes, bytes + large, 0xFF);
  bytes = static_cast<unsigned char*>(remap_buffer(bytes, large, small));
  REQUIRE(bytes != nullptr);
  bytes = static_cast<unsigned char*>(remap_buffer(bytes, small, large));
  REQUIRE(bytes != nullptr);
  CHECK(std::all_of(bytes, bytes + small, [](unsigned char byte) { return byte == 0xFF; }));
  CHECK(std::all_of(bytes + small, bytes + large, [](unsigned char byte) { return byte == 0; }));
  unmap_buffer(bytes, large);
}
