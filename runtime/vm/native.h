// The contract of native functions and the calls that a native makes.
//
//   int insert(NativeCall& call);       // returns the number of results
//
// A native sees a window of its coroutine's value stack: argument i (1-based) is call.arg(i), what
// it pushes comes above. Its results are
//   - `return call.result(v);`          one value, stored where the caller expects it: the fast form
//   - `return n;`                       the last n values of the window, oldest first
//   - `return call.fail(v);`            raises v without a C++ throw (error, assert: hot paths)
//   - `throw ScriptError` / call.error  everything else that goes wrong
//
// Rules
//  - The GIL is held. Values taken from the window are plain copies: a pointer inside stays valid
//    until the next call that takes the ThreadState (`call.thread()`), unless the window or
//    another root still refers to the object. Keep what must survive on the window.
//  - At least kMinNativeSlots slots are free above the arguments; push() grows the stack anyway.
//  - Loops of unbounded length poll (safepoint.h) about every 10 us of work.
//  - A blocking operation stands inside `Released` (sync/released.h) and touches no value there.
//  - C++ objects with destructors are fine: errors and forced unwinding are exceptions. Destructors
//    never run script code. Never swallow an exception with catch(...): rethrow it.
// Threading: the running native thread.
#pragma once

#include <cstdarg>
#include <string>
#include <string_view>

#include "value/closure.h"
#include "value/coroutine.h"
#include "value/error.h"
#include "value/string.h"
#include "value/table.h"
#include "value/userdata.h"
#include "vm/safepoint.h"
#include "vm/thread_state.h"

namespace baton {

inline constexpr int kResultInPlace = -1;  // call.result stored the one result at base[-1]
inline constexpr std::size_t kLargeStringBytes = 1024;  // smaller ones come from the reserve below the cap
inline constexpr int kNativeFailed = -2;   // ThreadState::pending holds the error
inline constexpr int kNativeWaits = -3;    // the task waits, and the native will be called again: only as sched/wait.h says

class NativeCall {
 public:
  NativeCall(ThreadState& thread, int argument_count) noexcept
      : thread_(thread), coroutine_(thread.current), count_(argument_count) {}

  ThreadState& thread() noexcept { return thread_; }
  Heap& heap() noexcept { return thread_.shared.heap; }
  SharedState& shared() noexcept { return thread_.shared; }
  Coroutine* coroutine() noexcept { return coroutine_; }

  // Number of arguments given.
  int count() const noexcept { return count_; }
  // Argument i (1-based), nil if absent.
  Value arg(int i) const noexcept { return i <= count_ ? coroutine_->frame->base[i - 1] : Value(); }
  // First slot of the window; valid until the stack may grow.
  Value* base() const noexcept { return coroutine_->frame->base; }
  // Slot i of the window (1-based; i <= size()).
  Value& slot(int i) const noexcept { return coroutine_->frame->base[i - 1]; }
  // Values in the window: arguments and pushes.
  int size() const noexcept { return static_cast<int>(coroutine_->top - coroutine_->frame->base); }
  void set_size(int n);                     // drops or fills with nil. Raises: kStackOverflow, kMemory
  // Raises: kStackOverflow, kMemory.
  void push(const Value& v) {
    if (BATON_LIKELY(coroutine_->top < coroutine_->frame->top)) *coroutine_->top++ = v;
    else push_beyond(v);
  }
  void push_string(std::string_view bytes); // Raises: kMemory, kStringTooLong
  Value pop() noexcept { return *--coroutine_->top; }
  void reserve(int slots);                  // room for that many pushes. Raises: kStackOverflow, kMemory
  Value& upvalue(int i) const noexcept { return callee()->upvalues()[i - 1]; }  // 1-based; a store needs heap().barrier(callee(), v)
  Native* callee() const noexcept { return coroutine_->frame->base[-1].native(); }

  int result(const Value& v) noexcept {
    coroutine_->frame->base[-1] = v;
    return kResultInPlace;
  }
  int result_string(std::string_view bytes) { return result(Value::of(make_string(bytes))); }
  // A string for a result: at the memory cap a large one collects first, and a very large one hands over while it is copied, so
  // `bytes` must not belong to an object that no root holds. Raises: kMemory, kStringTooLong.
  String* make_string(std::string_view bytes) {
    if (BATON_UNLIKELY(bytes.size() > vm::kPieceBytes)) return make_long_string(bytes);
    if (bytes.size() >= kLargeStringBytes) vm::make_room(thread_, bytes.size());
    return string::make(heap(), bytes);
  }
  int fail(const Value& error) noexcept {
    thread_.pending = error;
    return kNativeFailed;
  }
  // nil, "message", code: how failures of the environment are reported (API.md). `what` may be empty.
  int failure(int error_number, std::string_view what);        // nil, "strerror" or "what: strerror", errno: as io.open does
  int failure_named(int error_number, std::string_view what);  // nil, "ENOENT: no such file or directory: what", "ENOENT"

  // --- argument checks: each raises "bad argument #i to 'name' (...)" as luaL_* word it -------------
  void check_any(int i);                                      // value expected
  std::int64_t check_integer(int i) {                         // converts strings and integral floats
    const Value v = arg(i);
    return BATON_LIKELY(v.is_integer()) ? v.integer : convert_integer(i);
  }
  std::int64_t optional_integer(int i, std::int64_t otherwise) { return none_or_nil(i) ? otherwise : check_integer(i); }
  double check_number(int i) {
    const Value v = arg(i);
    return BATON_LIKELY(v.is_float()) ? v.number : convert_number(i);
  }
  double optional_number(int i, double otherwise) { return none_or_nil(i) ? otherwise : check_number(i); }
  Value check_numeric(int i);                                 // integer or float value, converts strings
  String* check_string(int i) {                               // a number is converted in its slot
    const Value v = arg(i);
    return BATON_LIKELY(v.is_string()) ? v.string() : convert_string(i);
  }
  std::string_view check_text(int i) { return check_string(i)->view(); }
  std::string_view optional_text(int i, std::string_view otherwise);
  Table* check_table(int i);
  Value check_function(int i);
  // A userdata whose metatable is registry[class_name]; returns its block. "name expected, got ..."
  void* check_userdata(int i, const char* class_name);
  void* test_userdata(int i, const char* class_name) noexcept;  // null if it is not
  // Index of argument i in `names` (null-terminated list); `otherwise` may be null. "invalid option 'x'"
  int check_option(int i, const char* otherwise, const char* const* names);
  bool truthy(int i) const noexcept { return arg(i).is_truthy(); }
  bool none_or_nil(int i) const noexcept { return arg(i).is_nil(); }

  // --- raising ----------------------------------------------------------------------------------
  [[noreturn]] void raise(const Value& error);
  // Message with the position of the calling function in front (level 1). printf formats.
  [[noreturn]] void error(const char* format, ...) __attribute__((format(printf, 2, 3)));
  [[noreturn]] void argument_error(int i, const char* message);
  [[noreturn]] void type_error(int i, const char* expected);

 private:
  // The slow halves of the inline functions above.
  String* make_long_string(std::string_view bytes);
  void push_beyond(const Value& v);
  std::int64_t convert_integer(int i);
  double convert_number(int i);
  String* convert_string(int i);

  ThreadState& thread_;
  Coroutine* coroutine_;
  int count_;
};

// A list of natives for registration, ended by {nullptr}.
// `function` may be null: a placeholder whose field is set to false and filled later.
namespace native {

// Adds each of `list` to `target` as a function with `upvalue_count` copies of the top values of
// `thread.current`'s stack (left there). Raises: kMemory.
void add_functions(ThreadState& thread, Table* target, const NativeInfo* list);
// t[name] = v for a C string name. Raises: kMemory.
void set_field(ThreadState& thread, Table* t, std::string_view name, const Value& v);
// raw t[name]. Raises: kMemory (interning).
Value get_field(ThreadState& thread, Table* t, std::string_view name);
// The metatable registry[class_name], created on first use with __name; `created` tells. Raises: kMemory.
Table* class_metatable(ThreadState& thread, const char* class_name, bool* created = nullptr);
// The metatable registry[class_name] of a class whose objects have methods: made on first use, later calls only look it up.
// `metamethods` are added to it; a native "__index" among them (for classes with fields) finds the table of methods in its
// upvalue 1; without one "__index" is that table. Raises: kMemory.
Table* class_with_methods(ThreadState& thread, const char* class_name, const NativeInfo* methods,
                          const NativeInfo* metamethods = nullptr);
// A new native function value. Raises: kMemory.
Value make(ThreadState& thread, const NativeInfo* info, int upvalue_count = 0);
// printf into a script string. Raises: kMemory.
String* format(ThreadState& thread, const char* format, ...) __attribute__((format(printf, 2, 3)));

}  // namespace native
}  // namespace baton
