// table.sort (manual 6.6).
//
// Two ways:
//
// 1. A plain list whose elements all lie in the array part and are all integers, all floats without NaN, or all strings,
//    and no comparison function: the keys are copied to a buffer, sorted there and written back. Pieces of kPiece keys
//    are sorted by std::sort, then merged, with polls in between; a strict order is guaranteed, which std::sort needs.
//    During the polls other threads may change the list; what they wrote is overwritten. Strings stay rooted by a hidden
//    table that holds the elements as they were.
//
// 2. Everything else: quicksort in place on the list itself, through metamethods where it has them. The choice of pivots
//    and the order of comparisons are those of the reference implementation, so that functions with ties, and functions
//    that are no order at all, give the same result or the same error "invalid order function for sorting". Per part:
//      - first, middle and last element are put in order: the middle one is the pivot, the outer two stop the scans;
//      - the pivot waits at the last place but one; two scans move towards each other, swapping what is misplaced;
//      - a scan that leaves the part proves that the function is no order: the error, never an access outside;
//      - the smaller side is sorted by recursion (depth <= log2 n), the larger one by going on; when the sides of a
//        large part are very unequal, later pivots are chosen at random, so no input takes quadratic time for long.
//    What is compared or kept across a comparison lies on the native's window, never only in C++ variables, and places
//    are asked from the list anew each time: the function may yield, change or shrink the list.
#include <algorithm>
#include <chrono>
#include <climits>
#include <cmath>

#include "table_library.h"
#include "vm/call.h"
#include "vm/safepoint.h"

namespace baton::stdlib {
namespace {

// --- keys in a buffer ------------------------------------------------------------------------------------------------

constexpr std::size_t kPiece = 1024;

// A buffer for `count` keys and as much scratch room, counted against the memory cap.
template <class Key>
class KeyBuffer {
 public:
  KeyBuffer(Heap& heap, std::size_t count)
      : heap_(heap), bytes_(2 * count * sizeof(Key)), keys_(static_cast<Key*>(heap.allocate_buffer(bytes_))), count_(count) {}
  ~KeyBuffer() { heap_.free_buffer(keys_, bytes_); }
  KeyBuffer(const KeyBuffer&) = delete;
  KeyBuffer& operator=(const KeyBuffer&) = delete;
  Key* keys() noexcept { return keys_; }
  Key* scratch() noexcept { return keys_ + count_; }

 private:
  Heap& heap_;
  std::size_t bytes_;
  Key* keys_;
  std::size_t count_;
};

constexpr std::size_t kCopiedAtOnce = std::size_t{1} << 15;

template <class Key>
void copy_keys(ThreadState& thread, const Key* from, const Key* end, Key* to) {
  for (; static_cast<std::size_t>(end - from) > kCopiedAtOnce; from += kCopiedAtOnce, to += kCopiedAtOnce) {
    std::copy(from, from + kCopiedAtOnce, to);
    vm::poll(thread);
  }
  std::copy(from, end, to);
}

// Merges the sorted halves of keys[0, count), split at `middle`.
template <class Key, class Less>
void merge_halves(ThreadState& thread, Key* keys, Key* scratch, std::size_t middle, std::size_t count, Less less) {
  if (!less(keys[middle], keys[middle - 1])) return;  // in order already
  copy_keys(thread, keys, keys + middle, scratch);
  std::size_t left = 0, right = middle, to = 0;
  while (left < middle && right < count) {
    keys[to++] = less(keys[right], scratch[left]) ? keys[right++] : scratch[left++];
    if (to % (kPiece * 8) == 0) vm::poll(thread);
  }
  copy_keys(thread, scratch + left, scratch + middle, keys + to);
}

template <class Key, class Less>
void sort_keys(ThreadState& thread, Key* keys, Key* scratch, std::size_t count, Less less) {
  if (count <= kPiece) {
    std::sort(keys, keys + count, less);
    return vm::poll(thread);
  }
  const std::size_t middle = count / 2;
  sort_keys(thread, keys, scratch, middle, less);
  sort_keys(thread, keys + middle, scratch, count - middle, less);
  merge_halves(thread, keys, scratch, middle, count, less);
}

// Copies the elements out by `read(element, i, key)`, which tells whether one is of the wanted kind; sorts the keys, stores them by
// `write`. Returns: false if `read` did, or if the list has been changed so that its elements lie elsewhere: nothing is done then.
template <class Key, class Read, class Less, class Write>
bool sort_by_keys(ThreadState& thread, const Value& list, std::size_t count, Read read, Less less, Write write) {
  KeyBuffer<Key> buffer(thread.heap(), count);
  for (std::size_t i = 0; i < count; ++i) {
    if (i % kCopiedAtOnce == 0 && i != 0) {
      vm::poll(thread);
      if (!in_array(list, 1, static_cast<std::int64_t>(count))) return false;
    }
    if (!read(list.table()->array[i], i, buffer.keys()[i])) return false;
  }
  sort_keys(thread, buffer.keys(), buffer.scratch(), count, less);
  for (std::size_t i = 0; i < count; ++i) {
    list_set(thread, list, static_cast<std::int64_t>(i) + 1, write(buffer.keys()[i]));
    if (i % kCopiedAtOnce == kCopiedAtOnce - 1) vm::poll(thread);
  }
  return true;
}

bool sort_integers(ThreadState& thread, const Value& list, std::size_t count) {
  const auto read = [](const Value& v, std::size_t, std::int64_t& key) {
    key = v.integer;
    return v.is_integer();
  };
  return sort_by_keys<std::int64_t>(thread, list, count, read, std::less<>(), [](std::int64_t key) { return Value::from(key); });
}

bool sort_floats(ThreadState& thread, const Value& list, std::size_t count) {
  const auto read = [](const Value& v, std::size_t, double& key) {
    key = v.number;
    return v.is_float() && !std::isnan(v.number);
  };
  return sort_by_keys<double>(thread, list, count, read, std::less<>(), [](double key) { return Value::from(key); });
}

bool sort_strings(NativeCall& call, const Value& list, std::size_t count) {
  Table* keeper = table::make(call.heap(), static_cast<std::uint32_t>(count), 0);
  call.push(Value::of(keeper));
  const auto read = [&](const Value& v, std::size_t i, const String*& key) {
    if (!v.is_string()) return false;
    keeper->array[i] = v;
    call.heap().barrier_back(keeper, v);
    key = v.string();
    return true;
  };
  const bool done = sort_by_keys<const String*>(
      call.thread(), list, count, read, [](const String* a, const String* b) { return string::compare(a, b) < 0; },
      [](const String* s) { return Value::of(s); });
  call.pop();
  return done;
}

// The first way, if it is open. Returns: whether the list is sorted.
bool sort_directly(NativeCall& call, const Value& list, std::size_t count) {
  if (!in_array(list, 1, static_cast<std::int64_t>(count))) return false;
  const Value first = list.table()->array[0];
  if (first.is_integer()) return sort_integers(call.thread(), list, count);
  if (first.is_float()) return sort_floats(call.thread(), list, count);
  return first.is_string() && sort_strings(call, list, count);
}

// --- quicksort in place ----------------------------------------------------------------------------------------------

// With a comparison function or without.
template <bool kHasFunction>
class Quicksort {
 public:
  // The window holds the list as argument 1 and the function, or nil, as argument 2.
  explicit Quicksort(NativeCall& call) : call_(call), thread_(call.thread()) {
    call.set_size(2);
    for (int i = 0; i < 3; ++i) call.push(Value());
  }

  void run(std::uint64_t low, std::uint64_t high) {
    while (low < high) {
      order(low, high);
      if (high - low == 1) return;
      const std::uint64_t middle = choose_middle(low, high);
      if (!order(low, middle)) order(middle, high);
      if (high - low == 2) return;
      keep(kPivot, get(middle));
      swap(middle, high - 1);
      const std::uint64_t pivot = partition(low, high);
      std::uint64_t smaller;
      if (pivot - low < high - pivot) {
        run(low, pivot - 1);
        smaller = pivot - low;
        low = pivot + 1;
      } else {
        run(pivot + 1, high);
        smaller = high - pivot;
        high = pivot - 1;
      }
      if ((high - low) / 128 > smaller) randomize();
    }
  }

 private:
  // Slots of the window: the values that must survive comparisons.
  static constexpr int kPivot = 3, kLeft = 4, kRight = 5;
  static constexpr std::uint64_t kLargePart = 100;  // from here on random pivots may be worth their choice

  Value get(std::uint64_t i) { return list_get(thread_, call_.slot(1), static_cast<std::int64_t>(i)); }
  void set(std::uint64_t i, const Value& v) { list_set(thread_, call_.slot(1), static_cast<std::int64_t>(i), v); }
  void keep(int slot, const Value& v) { call_.slot(slot) = v; }

  bool less(int a_slot, int b_slot) {
    const Value* window = call_.base();
    const Value a = window[a_slot - 1], b = window[b_slot - 1];
    if constexpr (!kHasFunction) {
      if (BATON_UNLIKELY(++comparisons_ % 1024 == 0)) vm::poll(thread_);
      if (a.is_integer() && b.is_integer()) return a.integer < b.integer;
      if (a.is_float() && b.is_float()) return a.number < b.number;
      return vm::less(thread_, a, b);
    }
    if (BATON_UNLIKELY(++comparisons_ % 64 == 0)) vm::poll(thread_);  // a function without loops would not
    Coroutine* co = call_.coroutine();
    Value* top = co->top;  // eight slots of the window are in use at most, so there is room
    top[0] = window[1];
    top[1] = a;
    top[2] = b;
    co->top = top + 3;
    vm::call(thread_, 2, 1);
    return (--co->top)->is_truthy();
  }

  // Swaps list[low] and list[high] if they are in the wrong order. Returns: whether they were.
  bool order(std::uint64_t low, std::uint64_t high) {
    keep(kLeft, get(low));
    keep(kRight, get(high));
    if (!less(kRight, kLeft)) return false;
    set(low, call_.slot(kRight));
    set(high, call_.slot(kLeft));
    return true;
  }

  void swap(std::uint64_t i, std::uint64_t j) {
    keep(kLeft, get(i));
    keep(kRight, get(j));
    set(i, call_.slot(kRight));
    set(j, call_.slot(kLeft));
  }

  std::uint64_t choose_middle(std::uint64_t low, std::uint64_t high) const noexcept {
    if (high - low < kLargePart || random_ == 0) return (low + high) / 2;
    const std::uint64_t quarter = (high - low) / 4;  // somewhere in the two middle quarters
    return random_ % (quarter * 2) + low + quarter;
  }

  // Splits low..high around the pivot, which stands at high - 1. Returns: its final place.
  std::uint64_t partition(std::uint64_t low, std::uint64_t high) {
    std::uint64_t i = low, j = high - 1;
    for (;;) {
      while (keep(kLeft, get(++i)), less(kLeft, kPivot)) {
        if (i == high - 1) call_.error("invalid order function for sorting");
      }
      while (keep(kRight, get(--j)), less(kPivot, kRight)) {
        if (j < i) call_.error("invalid order function for sorting");
      }
      if (j < i) {
        keep(kRight, get(high - 1));
        set(high - 1, call_.slot(kLeft));
        set(i, call_.slot(kRight));
        return i;
      }
      set(i, call_.slot(kRight));
      set(j, call_.slot(kLeft));
    }
  }

  void randomize() noexcept {
    const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
    random_ = static_cast<std::uint64_t>(now) * 0x9E3779B97F4A7C15u >> 32 | 1;
  }

  NativeCall& call_;
  ThreadState& thread_;
  std::uint64_t random_ = 0;
  unsigned comparisons_ = 0;
};

}  // namespace

int table_sort(NativeCall& call) {
  const std::int64_t size = list_length(call, 1, kReads | kWrites);
  if (size <= 1) return 0;
  if (size >= INT_MAX) call.argument_error(1, "array too big");
  const auto high = static_cast<std::uint64_t>(size);
  if (!call.none_or_nil(2)) {
    call.check_function(2);
    Quicksort<true>(call).run(1, high);
  } else if (!sort_directly(call, call.arg(1), high)) {
    Quicksort<false>(call).run(1, high);
  }
  return 0;
}

}  // namespace baton::stdlib
