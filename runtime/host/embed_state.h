// What stands behind a baton::VM: the record of a runtime that the border's functions (baton/abi.hpp) work on.
//
// Invariants
//  - The record is counted and outlives its runtime: roots, futures and threads of the host refer to it. `closed` says whether
//    the runtime may still be entered.
//  - A session's `depth` says whether its thread is between enter and leave, `users` counts those that come or go; the runtime
//    is freed only when there are none of either.
//  - Each thread that has entered has a Session for each State, found through a thread-local list. Whether it holds the lock
//    is asked of the lock itself, so nothing must be kept in step.
//  - Script code runs only on fibers: outside all calls a session switches to its thread's kept fiber (`run_inside`).
// Owner: counted references. Threading: fields below `mutex` under it, roots under the GIL, the rest as it says.
#pragma once

#include <atomic>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "baton/abi.hpp"
#include "host/runtime.h"
#include "sched/completion.h"
#include "sync/released.h"
#include "value/string.h"
#include "vm/call.h"
#include "vm/native.h"

namespace baton::loop {
class HostLoop;
}

namespace baton::host {
struct SpawnRequest;
struct Watchdog;
}  // namespace baton::host

namespace baton::abi {

// What the C++ runtime knows about the exceptions that a thread handles, as the Itanium C++ ABI lays it out (2.2.2).
struct HandledExceptions {
  void* caught;
  unsigned int uncaught;
};

// A thread of the operating system at one State.
struct Session {
  State* state = nullptr;  // holds a reference
  sched::NativeThread* native = nullptr;
  std::atomic<bool> inside{false};  // between the switch to the kept fiber and back
  bool is_main = false;
  bool is_host = false;  // attached for the host, to be detached with it; otherwise the runtime's own thread
  bool has_clock = false;  // `os_thread` is alive: it is the one that made this session
  pthread_t os_thread{};
  std::atomic<int> depth{0};  // times that `enter` took the lock and `leave` has not followed; written by its own thread only
  HandledExceptions* handled_exceptions = nullptr;  // the thread's
  std::optional<Released> released;  // a pause
  int plain_pauses = 0;              // pauses inside it
  std::string message;    // of the newest error, kept by the handler
  std::string traceback;
};

struct Post {
  void (*function)(void* context);
  void (*drop)(void* context) noexcept;
  void* context;
};

struct ClassRecord {
  std::string name;
  Value metatable;
  struct Base {
    const void* type;
    void* (*cast)(void*) noexcept;
  };
  std::vector<Base> bases;
};

// Whether two short texts of the same size are equal, without a call.
inline bool equal_short(const char* a, const char* b, std::size_t size) noexcept {
  constexpr std::size_t kWord = sizeof(std::uint64_t);
  if (size < kWord) {
    for (std::size_t i = 0; i < size; ++i) {
      if (a[i] != b[i]) return false;
    }
    return true;
  }
  std::uint64_t x, y;
  for (std::size_t i = 0;; i += kWord) {
    const std::size_t at = i + kWord > size ? size - kWord : i;  // the last words may overlap
    std::memcpy(&x, a + at, kWord);
    std::memcpy(&y, b + at, kWord);
    if (x != y) return false;
    if (at + kWord == size) return true;
  }
}

// Texts that the host used, by their address: found again without hashing them. A comparison with the text decides, so an
// address may be used for another text at any time. Roots, a bounded number of them.
struct KeptTexts {
  struct Entry {
    const char* address = nullptr;
    String* string = nullptr;
  };
  static constexpr std::size_t kEntries = 64;
  Entry entries[kEntries];

  Entry& at(const char* address) noexcept {
    const auto bits = reinterpret_cast<std::uintptr_t>(address);
    return entries[(bits ^ bits >> 6) % kEntries];
  }
  // The string of these bytes, if they were noted for this address before; else null.
  String* find(const char* bytes, std::size_t size) noexcept {
    const Entry& entry = at(bytes);
    if (BATON_UNLIKELY(entry.address != bytes || entry.string == nullptr || entry.string->length != size)) return nullptr;
    return BATON_LIKELY(equal_short(entry.string->data(), bytes, size)) ? entry.string : nullptr;
  }
  // Takes: a short string of the bytes at `address`.
  void note(const char* address, String* string) noexcept { at(address) = {address, string}; }
  void mark(Heap& heap) {
    for (const Entry& entry : entries) {
      if (entry.string != nullptr) heap.mark_value(Value::of(entry.string));
    }
  }
};

struct State final : RootVisitor {
  State();
  ~State() override;
  void mark_roots(Heap& heap) override;

  std::atomic<std::uint32_t> references{1};
  std::atomic<bool> closed{false};
  std::atomic<std::uint32_t> users{0};
  std::atomic<bool> has_deferred{false};
  std::unique_ptr<host::Runtime> runtime;
  SharedState* shared = nullptr;
  std::int64_t close_timeout_ns = 0;
  std::int64_t finalizer_limit_ns = 0;
  std::atomic<bool> freed{false};  // closing has freed everything

  // Under the GIL.
  Root* roots = nullptr;
  KeptTexts kept_keys;       // of fields
  KeptTexts kept_arguments;  // of calls
  Value handler;  // the message handler of calls from the host
  std::unordered_map<const void*, ClassRecord> classes;
  host::SpawnRequest* spawned = nullptr;  // not ended

  std::mutex mutex;
  Root* deferred = nullptr;      // released without the GIL
  bool roots_are_gone = false;   // the runtime is gone, and all roots have let go
  std::vector<Session*> sessions;
  std::vector<sched::NativeThread*> orphans;  // of threads of the host that ended while the runtime was being closed
  std::vector<Post> posts;
  bool post_is_announced = false;
  std::shared_ptr<sched::Completion> mail;  // shared: destroyed as what it was made
  std::string stop_message;
  StopReason stop_reason = StopReason::kNone;
  std::unique_ptr<host::Watchdog> watchdog;
  std::atomic<bool> has_budget{false};
  loop::HostLoop* host_loop = nullptr;
  bool is_watched = false;  // a loop of the host watches the backend descriptor; under the GIL
};

}  // namespace baton::abi

namespace baton::host {

using abi::Failure;
using abi::HandledExceptions;
using abi::Outcome;
using abi::Session;
using abi::Slot;
using abi::State;

inline const Value& value_of(const Slot& slot) noexcept { return reinterpret_cast<const Value&>(slot); }
inline Slot slot_of(const Value& v) noexcept { return Slot::make(v.bits, static_cast<std::uint8_t>(v.tag)); }

// The calling thread's session, made if it is new. Returns: null if that failed. Takes: an open state. Raises: nothing.
Session* session_of(State* state) noexcept;
// The session that the calling thread used last: apart from the list of all, so that looking at it neither initialises nor calls.
extern __attribute__((tls_model("initial-exec"))) constinit thread_local Session* last_session;
// The session whose outermost call the thread made last and is still inside of; null: none, or in a thread of the runtime's own.
extern __attribute__((tls_model("initial-exec"))) constinit thread_local Session* innermost_session;
// The session of a thread that is inside the runtime already. Raises: nothing.
Session& find_present_session(State* state) noexcept;
inline Session& present_session(State* state) noexcept {
  Session* session = last_session;
  if (BATON_LIKELY(session != nullptr && session->state == state)) return *session;
  return find_present_session(state);
}
// Makes a session for the native thread that runs `thread`, which is the runtime's own, if it has none. Raises: std::bad_alloc.
Session& find_or_adopt_session(State* state, ThreadState& thread);
inline Session& adopt_session(State* state, ThreadState& thread) {
  Session* session = last_session;
  if (BATON_LIKELY(session != nullptr && session->state == state)) return *session;
  return find_or_adopt_session(state, thread);
}

// Takes the lock for a function of the border that does so itself (abi::enter), unless the thread holds it.
BATON_ALWAYS_INLINE Outcome enter_if_needed(State* state, bool* taken) noexcept {
  const Session* session = last_session;
  if (BATON_LIKELY(session != nullptr && session->state == state && session->native != nullptr && !state->freed.load(std::memory_order_relaxed) &&
                   state->shared->gil.held_by(session->native->state().gil_slot))) {
    return Outcome::kOk;
  }
  return abi::enter(state, taken);
}

// Why something failed, made of the error value; `traceback` is taken from the record that the handler left. Raises: nothing.
Failure* make_error(State* state, ThreadState& thread, const Value& error) noexcept;
Failure* make_failure(Outcome outcome, const char* message) noexcept;
// The failure of a call that was stopped. Raises: nothing.
Failure* make_stopped(State* state) noexcept;

// Runs `body(thread, context)` where script code may run: on a fiber. It lets out nothing but ForcedUnwind; kError means that
// thread.pending is an error. What it leaves on the stack is dropped. Outcomes: kOk, kError, kStopped with `failure`.
// Takes: the GIL. Raises: nothing.
Outcome run_inside(State* state, Status (*body)(ThreadState& thread, void* context), void* context, Failure** failure) noexcept;

// The same for a callable that may raise anything.
template <class Body>
Outcome run_body(State* state, Body& body, Failure** failure) noexcept {
  return run_inside(
      state,
      [](ThreadState& thread, void* context) {
        return vm::protected_run(thread, [](ThreadState& t, void* inner) { (*static_cast<Body*>(inner))(t); }, context);
      },
      &body, failure);
}

// The native handler of calls from the host: keeps the traceback of an error. Raises: kMemory.
Value make_handler(State* state, ThreadState& thread);

// Ends what the last stop of this thread asked for: its tasks and the runtime's own threads. Called at the outermost call's
// end, on its fiber. Raises: nothing.
void finish_stop(State* state, ThreadState& thread) noexcept;
// Stops the entered calls of all threads. Any thread. Raises: nothing.
void stop_all(State* state, abi::StopReason reason, std::string_view message) noexcept;
// Whether a limit has been exceeded and its budget has not ended. Raises: nothing.
bool is_exhausted(State* state) noexcept;
// Stops script code that runs beyond the state's finalizer limit, for its lifetime.
class FinalizerLimit {
 public:
  explicit FinalizerLimit(State* state) noexcept;
  ~FinalizerLimit();
  FinalizerLimit(const FinalizerLimit&) = delete;
  FinalizerLimit& operator=(const FinalizerLimit&) = delete;

 private:
  abi::Budget* budget_ = nullptr;
};

// Ends the watchdog's thread. Raises: nothing.
void end_watchdog(State* state) noexcept;

// While a loop of the host watches the backend descriptor and nothing runs, whoever readies a task must write to it.
// Takes: a watched state. Raises: nothing.
void set_watched(State* state, bool watched) noexcept;

// Everything that still waits for the runtime learns that it is closed. Raises: nothing.
void drop_posts(State* state) noexcept;
void fail_spawned(State* state) noexcept;
void close_host_loop(State* state) noexcept;
// The host's libuv loop drives the main thread. Raises: std::bad_alloc.
void open_host_loop(State* state, uv_loop_s* loop);

}  // namespace baton::host
