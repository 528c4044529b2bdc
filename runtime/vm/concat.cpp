// Concatenation (manual 3.4.6).
//
// The operator is right associative: a .. b .. c .. d arrives as one operation on the last four
// slots of the stack, and is done from the right. As long as neighbours are strings or numbers they
// form a run whose result is built at once, so a chain costs one copy of each byte; where a neighbour
// is something else, one metamethod call joins it to what has been joined so far.
//
//     stack   ...  "x"  {}  1  "y" |          joined so far: "1y", then __concat({}, "1y"), then "x" .. that
//
// Invariants
//  - The operands are not written before the result is complete: an operation that fails, or that is
//    repeated because memory was found for it, finds them as they were.
//  - What has been joined so far is a plain value between metamethod calls (no safepoint can be
//    reached there) and on the stack during one, and while a long text is made, which polls.
//  - Numbers are written into a buffer here; they do not become string objects on the way.
#include <cstring>

#include "base/number.h"
#include "value/string.h"
#include "vm/call.h"
#include "vm/operations.h"
#include "vm/safepoint.h"

namespace baton::vm {
namespace {

constexpr int kLongestRun = 24;  // operands joined by one copy; longer chains are joined in pieces

bool has_text(const Value& v) noexcept { return v.is_string() || v.is_number(); }

// Copies a text in whole words: it may read and write up to seven bytes too many, which strings and the buffers here have.
inline char* copy_words(char* to, const char* from, std::size_t bytes) noexcept {
  for (std::size_t i = 0; i < bytes; i += sizeof(std::uint64_t)) std::memcpy(to + i, from + i, sizeof(std::uint64_t));
  return to + bytes;
}

// What is pushed while it lives is popped again, also by an error: the operation may be repeated.
class Pushed {
 public:
  explicit Pushed(ThreadState& thread) noexcept : coroutine_(thread.current), height_(coroutine_->top - coroutine_->stack) {}
  ~Pushed() { coroutine_->top = coroutine_->stack + height_; }
  Pushed(const Pushed&) = delete;
  Pushed& operator=(const Pushed&) = delete;

 private:
  Coroutine* coroutine_;
  std::ptrdiff_t height_;
};

// The texts of one run, collected from the right. Its arrays are written as far as they are used.
class Run {
 public:
  Run() noexcept {}  // NOLINT: leaves the arrays as they are
  bool is_full() const noexcept { return count_ == kLongestRun; }

  void prepend(const Value& v) {
    Text& text = texts_[count_];
    if (BATON_LIKELY(v.is_string())) {
      text = {v.string()->data(), v.string()->length};
      if (text.size != 0) only_ = v.string();
    } else {
      char* buffer = numbers_[count_];
      text = {buffer, v.is_integer() ? number::to_text(v.integer, buffer) : number::to_text(v.number, buffer)};
      only_ = nullptr;
    }
    if (BATON_UNLIKELY(text.size > kMaxStringBytes - size_)) raise(ErrorId::kStringTooLong);
    size_ += text.size;
    ++count_;
  }

  bool is_long() const noexcept { return size_ > kPieceBytes; }

  // A long result is put on the stack, above what has been joined so far: others may have the GIL while it is filled.
  String* join_long(ThreadState& thread, const Value& joined) const {
    if (only_ != nullptr && only_->length == size_) return only_;
    const Pushed pushed(thread);
    push(thread, joined);
    String* s = string::make_uninitialised(thread.heap(), size_);
    push(thread, Value::of(s));
    char* out = s->mutable_data();
    for (int i = count_ - 1; i >= 0; --i) {
      copy_bytes(thread, out, texts_[i].data, texts_[i].size, SafepointKind::kBackEdge);
      out += texts_[i].size;
    }
    return s;
  }

  String* join(Heap& heap) const {
    if (only_ != nullptr && only_->length == size_) return only_;
    if (size_ <= kShortStringMax) {
      char bytes[kShortStringMax + sizeof(std::uint64_t)];
      char* out = bytes;
      for (int i = count_ - 1; i >= 0; --i) out = copy_words(out, texts_[i].data, texts_[i].size);
      return string::make(heap, {bytes, size_});
    }
    String* s = string::make_uninitialised(heap, size_);
    char* out = s->mutable_data();
    for (int i = count_ - 1; i >= 0; --i) {
      std::memcpy(out, texts_[i].data, texts_[i].size);
      out += texts_[i].size;
    }
    return s;
  }

 private:
  struct Text {
    const char* data;
    std::size_t size;
  };

  std::size_t size_ = 0;
  int count_ = 0;
  String* only_ = nullptr;  // the last operand that is not empty, if it is a string: the result, if it is the only one
  Text texts_[kLongestRun];
  char numbers_[kLongestRun][number::kTextBytes];
};

// Joins two operands by a metamethod. `left` and `right` may stand on the stack.
Value join_by_metamethod(ThreadState& thread, const Value& left, const Value& right) {
  Value function = metamethod(thread.shared, left, Metamethod::kConcat);
  if (function.is_nil()) function = metamethod(thread.shared, right, Metamethod::kConcat);
  if (function.is_nil()) raise_concat(thread, left, right);
  const Value first = left, second = right;
  push(thread, function);
  push(thread, first);
  push(thread, second);
  call(thread, 2, 1);
  return *--thread.current->top;
}

}  // namespace

void concat(ThreadState& thread, int count) {
  Coroutine* co = thread.current;
  int left = count - 1;                        // operands still to be joined
  Value joined = co->top[-1];
  const Value* right = co->top - 1;            // the joined operand's slot: messages name its variable
  while (left > 0) {
    const Value* operands = co->top - count;   // anew in each round: a call may move the stack
    if (has_text(joined) && has_text(operands[left - 1])) {
      Run run;
      run.prepend(joined);
      while (left > 0 && has_text(operands[left - 1]) && !run.is_full()) run.prepend(operands[--left]);
      joined = Value::of(BATON_UNLIKELY(run.is_long()) ? run.join_long(thread, joined) : run.join(thread.heap()));
    } else {
      --left;
      joined = join_by_metamethod(thread, operands[left], right != nullptr ? *right : joined);
    }
    right = nullptr;
  }
  co->top -= count - 1;
  co->top[-1] = joined;
}

}  // namespace baton::vm
