// Queues between tasks and native threads: first in first out, or smallest priority first.
//
// The values lie in a table (user value 1) under small integer keys. A plain queue uses it as a ring that doubles until it
// has `max` places. A priority queue keeps a binary heap of (priority, arrival, key); equal priorities keep their order.
//
// Hand-over. A value that arrives while tasks wait in `get` is promised to the first of them: it stays in the queue, counted
// in `promised_values`, and who comes later sees only the rest. Likewise a place that becomes free is promised to the first
// task that waits in `put`. A task that was made ready therefore always succeeds, and nobody overtakes. A wait that ends
// otherwise was promised nothing.
//
// Closing refuses all waiting tasks: whoever waits in `get` then waits at an empty queue.
#include <algorithm>
#include <new>
#include <vector>

#include "thread_library.h"
#include "vm/operations.h"

namespace baton::stdlib {
namespace {

using sched::WaitQueue;
using sched::Waiter;
using sched::WaitResult;

constexpr const char* kQueueClass = "Queue";
constexpr const char* kPriorityClass = "PriorityQueue";
constexpr std::int64_t kFirstCapacity = 8;

struct HeapEntry {
  Value priority;  // a number
  std::uint64_t arrival;
  std::int64_t key;
};

bool number_less(const Value& a, const Value& b) noexcept {
  if (a.is_integer() && b.is_integer()) return a.integer < b.integer;
  const double x = a.is_integer() ? static_cast<double>(a.integer) : a.number;
  const double y = b.is_integer() ? static_cast<double>(b.integer) : b.number;
  return x < y;
}

// For std::push_heap and the like, which keep the greatest in front.
bool comes_later(const HeapEntry& a, const HeapEntry& b) noexcept {
  if (number_less(b.priority, a.priority)) return true;
  if (number_less(a.priority, b.priority)) return false;
  return a.arrival > b.arrival;
}

struct Queue {
  std::int64_t max;  // INT64_MAX: unbounded
  bool has_priorities;
  bool is_closed = false;
  std::int64_t count = 0;
  std::int64_t head = 0;      // ring: place of the oldest value
  std::int64_t capacity = 0;  // keys 1 ... capacity are in use or free
  std::int64_t promised_values = 0;
  std::int64_t promised_places = 0;
  std::int64_t unfinished = 0;  // put and not reported by task_done
  std::uint64_t arrivals = 0;
  std::vector<HeapEntry> heap;
  std::vector<std::int64_t> free_keys;
  WaitQueue getters, putters, joiners;

  bool has_value() const noexcept { return count > promised_values; }
  bool has_place() const noexcept { return count + promised_places < max; }
};

void release_queue(void* block) noexcept { static_cast<Queue*>(block)->~Queue(); }

// Both classes are known by what releases them, which nothing else has.
Queue& check_queue(NativeCall& call) {
  const Value v = call.arg(1);
  if (BATON_LIKELY(v.is_userdata() && v.userdata()->release == release_queue)) return *static_cast<Queue*>(v.userdata()->block());
  call.type_error(1, kQueueClass);
}

// When the wait of a method ends whose timeout is argument i.
std::int64_t deadline_of(NativeCall& call, int i) { return BATON_LIKELY(call.count() < i) ? kNoDeadline : timeout_argument(call, i); }

Table* values_of(NativeCall& call) noexcept { return call.slot(1).userdata()->user_values()[0].table(); }

// Doubles the ring. Raises: kMemory; then the queue is as before.
void grow_ring(NativeCall& call, Queue& queue) {
  const std::int64_t capacity = queue.capacity == 0 ? std::min(kFirstCapacity, queue.max) : queue.capacity * 2;
  Table* wider = table::make(call.heap(), static_cast<std::uint32_t>(capacity));
  const Table* values = values_of(call);
  for (std::int64_t i = 0; i < queue.count; ++i) {
    table::set_integer(call.heap(), wider, i + 1, *table::get_integer(values, (queue.head + i) % queue.capacity + 1));
  }
  Userdata* self = call.slot(1).userdata();
  self->user_values()[0] = Value::of(wider);
  call.heap().barrier_back(self, Value::of(wider));
  queue.head = 0;
  queue.capacity = capacity;
}

// Stores argument 2, for which there is a place. Raises: kMemory, std::bad_alloc; then the queue is as before.
void store(NativeCall& call, Queue& queue) {
  if (queue.has_priorities) {
    if (queue.heap.size() == queue.heap.capacity()) queue.heap.reserve(queue.heap.size() * 2 + 8);
    if (queue.free_keys.capacity() < queue.heap.capacity()) queue.free_keys.reserve(queue.heap.capacity());
    if (queue.free_keys.empty()) queue.free_keys.push_back(++queue.capacity);
    const std::int64_t key = queue.free_keys.back();
    table::set_integer(call.heap(), values_of(call), key, call.arg(2));
    queue.free_keys.pop_back();
    queue.heap.push_back({call.arg(3), ++queue.arrivals, key});
    std::push_heap(queue.heap.begin(), queue.heap.end(), comes_later);
  } else {
    if (queue.count == queue.capacity) grow_ring(call, queue);
    std::int64_t place = queue.head + queue.count;
    if (place >= queue.capacity) place -= queue.capacity;
    Table* values = values_of(call);
    auto* slot = const_cast<Value*>(table::get_integer(values, place + 1));
    if (BATON_LIKELY(slot != &table::kAbsent)) {
      *slot = call.slot(2);
      call.heap().barrier_back(values, *slot);
    } else {
      table::set_integer(call.heap(), values, place + 1, call.slot(2));
    }
  }
  ++queue.count;
  ++queue.unfinished;
}

// Stores it and promises it to the first who waits.
void deliver(NativeCall& call, Queue& queue) {
  store(call, queue);
  if (Waiter* getter = queue.getters.pop()) {
    ++queue.promised_values;
    getter->make_ready();
  }
}

// Takes the next value out, and promises its place to the first who waits for one. Raises: nothing (keys exist).
Value take(NativeCall& call, Queue& queue) {
  Table* values = values_of(call);
  std::int64_t key;
  if (queue.has_priorities) {
    std::pop_heap(queue.heap.begin(), queue.heap.end(), comes_later);
    key = queue.heap.back().key;
    queue.heap.pop_back();
    queue.free_keys.push_back(key);  // `store` has reserved room
  } else {
    key = queue.head + 1;
    queue.head = key == queue.capacity ? 0 : key;
  }
  auto* slot = const_cast<Value*>(table::get_integer(values, key));
  const Value v = *slot;
  if (BATON_LIKELY(slot != &table::kAbsent)) slot->set_nil();
  --queue.count;
  if (!queue.putters.empty() && queue.has_place()) {
    Waiter* putter = queue.putters.pop();
    ++queue.promised_places;
    putter->make_ready();
  }
  return v;
}

int refuse_closed(NativeCall& call) {
  call.push(Value());
  call.push_string("closed");
  return 2;
}

// --- methods ---------------------------------------------------------------------------------------------------------------

// Checks value and priority. Returns: the argument behind them.
int check_put(NativeCall& call, const Queue& queue) {
  if (call.none_or_nil(2)) call.argument_error(2, "value expected, got nil");
  if (queue.has_priorities) {
    (void)call.check_number(3);
    const Value priority = call.check_numeric(3);
    if (priority.is_float() && priority.number != priority.number) call.argument_error(3, "priority is not a number");
    call.slot(3) = priority;
  }
  if (queue.is_closed) call.error("the queue is closed");
  return queue.has_priorities ? 4 : 3;
}

int queue_put(NativeCall& call) {
  Queue& queue = check_queue(call);
  sched::ResumableWait wait(call);
  if (!wait.is_resumed()) {
    const int after = check_put(call, queue);
    const std::int64_t deadline = deadline_of(call, after);
    sched::before_wait(call.thread());
    if (queue.is_closed) call.error("the queue is closed");
    if (BATON_LIKELY(queue.has_place() && queue.putters.empty())) {
      deliver(call, queue);
      return call.result(Value::boolean(true));
    }
    queue.putters.push(wait.begin(deadline));
  }
  const WaitResult result = wait.wait("queue.put");
  if (result == WaitResult::kLeft) return kNativeWaits;
  if (result == WaitResult::kTimedOut) return timeout_result(call);
  if (wait.is_refused()) call.error("the queue is closed");
  --queue.promised_places;
  deliver(call, queue);
  return call.result(Value::boolean(true));
}

int queue_try_put(NativeCall& call) {
  Queue& queue = check_queue(call);
  (void)check_put(call, queue);
  if (!queue.has_place() || !queue.putters.empty()) {
    call.push(Value::boolean(false));
    call.push_string("full");
    return 2;
  }
  deliver(call, queue);
  return call.result(Value::boolean(true));
}

int queue_get(NativeCall& call) {
  Queue& queue = check_queue(call);
  sched::ResumableWait wait(call);
  if (!wait.is_resumed()) {
    const std::int64_t deadline = deadline_of(call, 2);
    sched::before_wait(call.thread());
    if (BATON_LIKELY(queue.has_value())) return call.result(take(call, queue));
    if (queue.is_closed) return refuse_closed(call);
    queue.getters.push(wait.begin(deadline));
  }
  const WaitResult result = wait.wait("queue.get");
  if (result == WaitResult::kLeft) return kNativeWaits;
  if (result == WaitResult::kTimedOut) return timeout_result(call);
  if (wait.is_refused()) return refuse_closed(call);
  --queue.promised_values;
  return call.result(take(call, queue));
}

int queue_try_get(NativeCall& call) {
  Queue& queue = check_queue(call);
  if (queue.has_value()) return call.result(take(call, queue));
  if (queue.is_closed) return refuse_closed(call);
  call.push(Value());
  call.push_string("empty");
  return 2;
}

void refuse_all(WaitQueue& waiters) noexcept {
  while (Waiter* waiter = waiters.pop()) waiter->refuse();
}

int queue_close(NativeCall& call) {
  Queue& queue = check_queue(call);
  queue.is_closed = true;
  refuse_all(queue.getters);
  refuse_all(queue.putters);
  return call.result(Value::boolean(true));
}

int queue_task_done(NativeCall& call) {
  Queue& queue = check_queue(call);
  if (queue.unfinished == 0) call.error("task_done called more often than values were put");
  if (--queue.unfinished == 0) queue.joiners.wake_all();
  return call.result(Value::boolean(true));
}

int queue_join(NativeCall& call) {
  Queue& queue = check_queue(call);
  const std::int64_t deadline = deadline_of(call, 2);
  sched::before_wait(call.thread());
  while (queue.unfinished > 0) {
    Waiter waiter(call.thread());
    queue.joiners.push(waiter);
    if (sched::wait(call.thread(), waiter, deadline, "queue.join") == WaitResult::kTimedOut) return timeout_result(call);
  }
  return call.result(Value::boolean(true));
}

int queue_length(NativeCall& call) { return call.result(Value::from(check_queue(call).count)); }

// An iterator is a userdata, so that it can be closed; user value 1 is the queue, nil once it is closed.
constexpr const char* kIteratorClass = "QueueIterator";

int iterate(NativeCall& call) {
  (void)call.check_userdata(1, kIteratorClass);
  const Value of = call.arg(1).userdata()->user_values()[0];
  if (of.is_nil()) return call.result(Value());
  call.set_size(1);
  call.slot(1) = of;
  Queue& queue = check_queue(call);
  sched::before_wait(call.thread());
  if (!queue.has_value()) {
    if (queue.is_closed) return call.result(Value());
    Waiter waiter(call.thread());
    queue.getters.push(waiter);
    (void)sched::wait(call.thread(), waiter, kNoDeadline, "queue.get");
    if (waiter.is_refused()) return call.result(Value());
    --queue.promised_values;
  }
  return call.result(take(call, queue));
}

int iterator_close(NativeCall& call) {
  (void)call.check_userdata(1, kIteratorClass);
  call.arg(1).userdata()->user_values()[0].set_nil();
  return call.result(Value::boolean(true));
}

const NativeInfo kIteratorMethods[] = {
    {"close", "QueueIterator:close()",
     "Ends the iteration; the queue stays as it is.",
     iterator_close},
    {nullptr, nullptr, nullptr, nullptr},
};
const NativeInfo kIteratorMetamethods[] = {
    {"__call", "iterator()", "The next value of a queue; nil when it is closed and empty.", iterate},
    {"__close", "iterator:__close()", "The same as close.", iterator_close},
    {nullptr, nullptr, nullptr, nullptr},
};

int queue_iter(NativeCall& call) {
  (void)check_queue(call);
  Table* metatable = native::class_with_methods(call.thread(), kIteratorClass, kIteratorMethods, kIteratorMetamethods);
  Userdata* iterator = userdata::make(call.heap(), 0, 1);
  iterator->user_values()[0] = call.arg(1);
  vm::set_metatable(call.thread(), Value::of(iterator), metatable);
  call.push(Value::of(iterator));
  call.push(Value());
  call.push(Value());
  call.push(Value::of(iterator));
  return 4;
}

const NativeInfo kMethods[] = {
    {"close", "Queue:close()",
     "Takes no more values: put raises, get takes what is left and then gives nil, \"closed\". Tasks that wait are let go.",
     queue_close},
    {"get", "Queue:get(timeout?: number) -> any",
     "The next value, waited for. nil, \"closed\" when it is closed and empty; nil, \"timeout\", \"ETIMEDOUT\" when "
     "late.\n"
     "Waits: parks the task.",
     queue_get,
     Intrinsic::kResumable},
    {"iter", "Queue:iter() -> function",
     "A closable iterator over the values until the queue is closed and empty: `for v in q:iter() do`.\n"
     "Waits: each step parks the task.",
     queue_iter},
    {"join", "Queue:join(timeout?: number) -> boolean?",
     "Waits until task_done was called for every value that was put; nil, \"timeout\", \"ETIMEDOUT\" when late.\n"
     "Waits: parks the task.",
     queue_join},
    {"put", "Queue:put(v: any, timeout?: number) -> boolean?",
     "Adds a value, waiting for a place if the queue is bounded; a priority queue takes put(v, priority, timeout?) and gives "
     "the smallest priority first. True, or nil, \"timeout\", \"ETIMEDOUT\".\n"
     "Raises: \"the queue is closed\"; a bad argument for nil.\n"
     "Waits: parks the task.",
     queue_put,
     Intrinsic::kResumable},
    {"task_done", "Queue:task_done()",
     "Reports that a value that was taken has been dealt with.\n"
     "Raises: \"task_done called more often than values were put\".",
     queue_task_done},
    {"try_get", "Queue:try_get() -> any, string",
     "The next value, or nil and \"empty\" or \"closed\"; it does not wait.",
     queue_try_get},
    {"try_put", "Queue:try_put(v: any) -> boolean, string",
     "Adds a value if there is a place: true, else false, \"full\"; it does not wait.\n"
     "Raises: \"the queue is closed\"; a bad argument for nil.",
     queue_try_put},
    {nullptr, nullptr, nullptr, nullptr},
};

// Field `max`, else methods (upvalue 1).
int queue_index(NativeCall& call) {
  const Queue& queue = check_queue(call);
  const Value key = call.arg(2);
  if (key.is_string() && key.string()->view() == "max") {
    return call.result(queue.max == INT64_MAX ? Value() : Value::from(queue.max));
  }
  return call.result(*table::get(call.upvalue(1).table(), key));
}

const NativeInfo kMetamethods[] = {
    {"__close", "queue:__close()", "Closes the queue at the end of its scope.", queue_close},
    {"__index", "queue[key]", "Field max, and the methods of a queue.", queue_index},
    {"__len", "#queue", "How many values are in the queue.", queue_length},
    {nullptr, nullptr, nullptr, nullptr},
};

Table* queue_metatable(ThreadState& thread, const char* class_name) {
  return native::class_with_methods(thread, class_name, kMethods, kMetamethods);
}

int make_queue(NativeCall& call, const char* class_name, bool has_priorities) {
  const std::int64_t max = call.optional_integer(1, INT64_MAX);
  if (max < 1) call.argument_error(1, "a queue needs at least one place");
  Table* metatable = queue_metatable(call.thread(), class_name);
  Userdata* self = userdata::make(call.heap(), sizeof(Queue), 1);
  auto* queue = new (self->block()) Queue{};
  self->release = release_queue;
  queue->max = max;
  queue->has_priorities = has_priorities;
  self->user_values()[0] = Value::of(table::make(call.heap()));
  vm::set_metatable(call.thread(), Value::of(self), metatable);
  return call.result(Value::of(self));
}

}  // namespace

int thread_queue(NativeCall& call) { return make_queue(call, kQueueClass, false); }

int thread_priority_queue(NativeCall& call) { return make_queue(call, kPriorityClass, true); }

}  // namespace baton::stdlib
