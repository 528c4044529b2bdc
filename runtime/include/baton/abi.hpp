// The border between programs and the library: plain structures and the functions that the library exports. Nobody calls
// them by hand; the classes of the other headers stand on them.
//
// Invariants
//  - No exception crosses the border in either direction: functions that can fail return an Outcome and, if it is not kOk,
//    hand over a Failure that the caller frees (`free_failure`).
//  - A Slot is a value of a script as the runtime keeps it. It is no root: it stays valid while the lock is held and no script
//    code runs; a Root keeps its value until it is released.
//  - Functions that touch values are called with the lock held, between `enter` and `leave`.
// Owner: the program owns States, Roots and Signals by counted references. Threading: as each function says.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#define BATON_API __attribute__((visibility("default")))

struct uv_loop_s;

namespace baton::abi {

enum SlotTag : std::uint8_t {
  kNil = 0,
  kFalse = 1,
  kTrue = 2,
  kPointer = 3,
  kInteger = 4,
  kFloat = 5,
  kShortString = 0x10,
  kLongString = 0x11,
  kTable = 0x12,
  kScriptFunction = 0x13,
  kHostFunction = 0x14,
  kObject = 0x15,
  kCoroutine = 0x16,
  kLentText = 0x7F,  // no value: `pointer` is a LentText; for arguments of `call_with_texts` alone
};

// Bytes of the host that live during a call.
struct LentText {
  const char* bytes;
  std::size_t size;
};

struct __attribute__((may_alias)) Slot {
  union {
    std::int64_t integer;
    double number;
    void* pointer;
    std::uint64_t bits;
  };
  std::uint8_t tag;

  Slot() noexcept : bits(0), tag(kNil) {}
  Slot(const Slot& other) noexcept : bits(other.bits), tag(other.tag) {}
  Slot& operator=(const Slot& other) noexcept {
    bits = other.bits;
    tag = other.tag;
    return *this;
  }
  static Slot of(std::int64_t i) noexcept { return make(static_cast<std::uint64_t>(i), kInteger); }
  static Slot of(double d) noexcept {
    Slot s;
    s.number = d;
    s.tag = kFloat;
    return s;
  }
  static Slot of(bool b) noexcept { return make(0, b ? kTrue : kFalse); }
  static Slot make(std::uint64_t bits, std::uint8_t tag) noexcept {
    Slot s;
    s.bits = bits;
    s.tag = tag;
    return s;
  }
  bool is_nil() const noexcept { return tag == kNil; }
  bool is_boolean() const noexcept { return tag == kFalse || tag == kTrue; }
  bool is_integer() const noexcept { return tag == kInteger; }
  bool is_float() const noexcept { return tag == kFloat; }
  bool is_number() const noexcept { return (tag & 0xFE) == kInteger; }
  bool is_string() const noexcept { return (tag & 0xFE) == kShortString; }
  bool is_table() const noexcept { return tag == kTable; }
  bool is_function() const noexcept { return tag == kScriptFunction || tag == kHostFunction; }
  bool is_object() const noexcept { return tag == kObject; }
};

// A runtime with what belongs to it. Counted; what refers to it (roots, futures) keeps the record, not the runtime.
struct State;

// A counted root. Copying is free of the lock; the last release takes the value back at once if the thread holds the lock,
// else at the next occasion.
struct Root {
  Slot value;
  State* state;
  std::atomic<std::uint32_t> references;
  Root* next;
  Root** previous;  // null: the runtime is gone
  Root* next_deferred;
};

enum class Outcome : int {
  kOk = 0,
  kError,    // the script raised
  kSyntax,   // a chunk did not compile
  kStopped,  // interrupted, or a limit was exceeded
  kClosed,   // the runtime is closed
  kMisuse,   // called where it may not be
};

enum class StopReason : int { kNone = 0, kInterrupt, kInstructions, kWallTime, kCpuTime };

// The name of the chunks that a class's metatable is made of.
inline constexpr const char* kClassChunk = "=[class]";

struct Failure {
  Outcome outcome = Outcome::kError;
  StopReason reason = StopReason::kNone;
  Root* value = nullptr;  // owned by whoever holds the failure
  int line = 0;           // kSyntax
  int column = 0;
  std::string message;
  std::string traceback;
  std::string task_path;
  std::string excerpt;
};
BATON_API void free_failure(Failure* failure) noexcept;

struct Options {
  const char* name = "main";
  std::uint64_t libraries = 0;
  std::uint64_t seed = 0;
  std::int64_t switch_interval_ns = 0;  // 0: the default
  std::size_t memory_limit = 0;         // bytes, 0: none
  std::size_t stack_limit = 0;          // slots of a coroutine, 0: the language's million
  std::int64_t close_timeout_ns = 0;    // how long closing waits for native threads
  std::int64_t finalizer_limit_ns = 0;  // how long one run of finalizers may take, 0: without limit
  uv_loop_s* host_loop = nullptr;
  bool use_environment = true;
  const char* worker_program = "";
};

struct CloseReport {
  std::vector<std::string> stuck;  // names of native threads that did not end
};

// ---- lifetime. Any thread ------------------------------------------------------------------------------------------------

// A new runtime, whose main thread is the calling one; one reference. Returns: null with `failure` set.
BATON_API State* open(const Options& options, Failure** failure) noexcept;
// Ends the runtime: everything in it is stopped and freed. Idempotent. Takes: no lock held. Returns: whether all was freed.
BATON_API bool close(State* state, CloseReport* report) noexcept;
BATON_API bool is_closed(const State* state) noexcept;
BATON_API void retain(State* state) noexcept;
BATON_API void release(State* state) noexcept;

// ---- the lock ------------------------------------------------------------------------------------------------------------

// Takes the lock for the calling thread, attaching it to the runtime if it is new. `taken` receives whether it had to be
// taken, and `leave` must follow. Outcomes: kClosed.
BATON_API Outcome enter(State* state, bool* taken) noexcept;
BATON_API void leave(State* state) noexcept;
// Gives the lock up around code that blocks, if the thread holds it. Returns: whether `resume` must follow.
BATON_API bool pause(State* state, const char* what) noexcept;
BATON_API void resume(State* state) noexcept;
BATON_API bool holds_lock(State* state) noexcept;
// Gives up the locks of all runtimes that the calling thread holds, before it blocks. Returns: a token for `unblock`.
BATON_API void* block() noexcept;
BATON_API void unblock(void* token) noexcept;

// ---- values. With the lock ------------------------------------------------------------------------------------------------

BATON_API Root* make_root(State* state, const Slot& value) noexcept;  // null: no memory
BATON_API void retain_root(Root* root) noexcept;                      // any thread
BATON_API void release_root(Root* root) noexcept;                     // any thread
// Outcomes: kError ("not enough memory").
BATON_API Outcome make_string(State* state, const char* bytes, std::size_t size, Slot* result, Failure** failure) noexcept;
BATON_API const char* string_bytes(const Slot& text, std::size_t* size) noexcept;
BATON_API Outcome make_table(State* state, std::uint32_t list_slots, std::uint32_t fields, Slot* result, Failure** failure) noexcept;
// object[key] and object[key] = value with metamethods, which is a safepoint for slots that no root holds; `raw`: without both.
BATON_API Outcome get(State* state, const Slot& object, const Slot& key, bool raw, Slot* result, Failure** failure) noexcept;
BATON_API Outcome set(State* state, const Slot& object, const Slot& key, const Slot& value, bool raw, Failure** failure) noexcept;
// The same for the text `name` as key. They take the lock as `enter` does, if the thread does not hold it: outcomes also kClosed.
BATON_API Outcome get_field(State* state, const Slot& object, const char* name, std::size_t size, bool raw, Slot* result,
                            bool* taken, Failure** failure) noexcept;
BATON_API Outcome set_field(State* state, const Slot& object, const char* name, std::size_t size, const Slot& value, bool raw,
                            bool* taken, Failure** failure) noexcept;
BATON_API std::uint64_t table_length(const Slot& table) noexcept;
// The entry at `position`, which starts at 0 and is advanced. Returns: false at the end.
BATON_API bool table_next(const Slot& table, std::uint64_t* position, Slot* key, Slot* value) noexcept;
BATON_API bool is_frozen(const Slot& table) noexcept;
// From now on nobody changes the table; `deep`: nor the tables and metatables reachable from it.
BATON_API Outcome freeze(State* state, const Slot& table, bool deep, Failure** failure) noexcept;
BATON_API Outcome set_metatable(State* state, const Slot& object, const Slot& metatable, Failure** failure) noexcept;
BATON_API Slot metatable(State* state, const Slot& object) noexcept;
BATON_API Slot globals(State* state) noexcept;
BATON_API bool raw_equal(const Slot& a, const Slot& b) noexcept;
// tostring(value).
BATON_API Outcome to_text(State* state, const Slot& value, std::string* text, Failure** failure) noexcept;
// "number", "table", or the __name of a metatable.
BATON_API std::string type_name(State* state, const Slot& value);
BATON_API std::uint64_t memory_used(State* state) noexcept;
BATON_API Outcome collect(State* state, Failure** failure) noexcept;

// ---- running code. With the lock -----------------------------------------------------------------------------------------

// A function from text, or from a binary chunk if `mode` contains 'b'. Outcomes: kSyntax, kError.
BATON_API Outcome load(State* state, const char* text, std::size_t size, const char* name, const char* mode, Slot* function,
                       Failure** failure) noexcept;
BATON_API Outcome load_file(State* state, const char* path, Slot* function, Failure** failure) noexcept;
struct SlotList {
  Slot* items = nullptr;
  int count = 0;
};
BATON_API void free_slots(SlotList* list) noexcept;
// A call of a script's function, filled by the caller up to `all`; the rest is the library's while it lasts.
struct Call {
  State* state;
  Failure** failure;
  const Slot* function;
  const Slot* arguments;
  Slot* results;     // exactly `wanted` results
  int count;         // of arguments
  int wanted;
  SlotList* all;     // wanted < 0: receives all results
  void* thread;
  Outcome outcome;
  bool is_outermost;
};
// Performs it. Takes the lock as `enter` does, if the thread does not hold it: outcomes also kClosed.
BATON_API Outcome call(Call& call, bool* taken) noexcept;
// The same for arguments of which some are lent texts: the strings are made on the way. Outcomes: also kError ("not enough memory").
BATON_API Outcome call_with_texts(Call& call, bool* taken) noexcept;
// The same for the function in the global variable `name`; lent texts may be among the arguments. Outcomes: also kMisuse, without a
// failure: the variable holds no function.
BATON_API Outcome call_global(Call& call, const char* name, std::size_t size, bool* taken) noexcept;
// A failure as if a script had raised `value`.
BATON_API Failure* make_failure(State* state, const Slot& value) noexcept;

// ---- functions and objects of the host. With the lock -----------------------------------------------------------------------

// A call of a bound function. `arguments` are valid until script code runs.
struct Invocation {
  State* state;
  void* native_call;
  const Slot* arguments;
  int count;
  int bad_argument;       // kBadArgument: from 1
  const char* complaint;  // ... its whole text, or null: "`expected` expected, got ..."
  const char* expected;
  int pushed;  // kPushed: how many results `push_result` has collected
  Slot result;
};
enum class Answer : int {
  kNothing = 0,  // no results
  kResult,       // `result`
  kPushed,       // what `push_result` collected
  kRaise,        // raises `result`
  kRaiseText,    // raises the text `result` with the caller's position
  kBadArgument,
  kUnwind,       // the call was stopped while it waited or ran script code
};
struct Binding {
  Answer (*invoke)(Binding* self, Invocation* call) noexcept;
  void (*destroy)(Binding* self) noexcept;  // called by any thread that holds the lock
};
// Takes over `binding`, also if it fails.
BATON_API Outcome make_function(State* state, Binding* binding, Slot* function, Failure** failure) noexcept;
// Returns: false if there is no room for another result.
BATON_API bool push_result(Invocation* call, const Slot& value) noexcept;

// An object of a host class: the block begins with this header.
struct ObjectHeader {
  const void* type;  // what `define_class` was given
  void* object;
  void (*destroy)(ObjectHeader* header) noexcept;
};
// Sets the metatable of a type's objects. `type` is any address that stands for it.
BATON_API Outcome define_class(State* state, const void* type, const char* name, const Slot& metatable, Failure** failure) noexcept;
// Objects of `type` may stand where `base` is wanted; `cast` moves the pointer.
BATON_API Outcome add_base(State* state, const void* type, const void* base, void* (*cast)(void*) noexcept, Failure** failure) noexcept;
// The metatable of a type's objects, or nil; its name, or null.
BATON_API Slot class_metatable(State* state, const void* type) noexcept;
BATON_API const char* class_name(State* state, const void* type) noexcept;
// A zeroed block of `size` bytes with the metatable of `type`, or of nothing. Fill the header at once.
BATON_API Outcome make_object(State* state, const void* type, std::size_t size, Slot* object, ObjectHeader** header, Failure** failure) noexcept;
// The C++ object in `value` as a `type`, or null if it is none; `header` (may be null) receives where it is kept.
BATON_API void* object_as(State* state, const Slot& value, const void* type, ObjectHeader** header) noexcept;

// ---- tasks, waiting, the loop ------------------------------------------------------------------------------------------------

// How a spawned function ended. `failure` is null and `results` are valid during the call, or the other way round.
struct Completion {
  void (*done)(Completion* self, State* state, const Slot* results, int count, Failure* failure) noexcept;  // called once
};
// A new task of the main thread's loop. Takes over `completion` also if it fails, then it is not called.
BATON_API Outcome spawn(State* state, const Slot& function, const Slot* arguments, int count, Completion* completion, Failure** failure) noexcept;

// Something one task waits for and any thread gives.
struct Signal;
BATON_API Signal* make_signal(State* state) noexcept;            // with the lock, inside a script's call; null: no memory
BATON_API void raise_signal(Signal* signal) noexcept;            // any thread, no lock needed; gives the raiser's reference back
// Parks the running task until the signal is raised. Gives the waiter's reference back. Outcomes: kError (cancelled), kStopped.
BATON_API Outcome wait_signal(Signal* signal, Failure** failure) noexcept;
// Whether the calling thread is inside a call of `state` (then waiting parks a task), or is its main thread outside one.
BATON_API bool is_inside(State* state) noexcept;
BATON_API bool is_main_thread(State* state) noexcept;
// The state inside one of whose calls the calling thread is, holding its lock; null: none.
BATON_API State* current_state() noexcept;

enum class RunMode : int {
  kUntilDone,  // until no task and no native thread is left
  kUntilIdle,  // until everything waits
  kOnce,       // one turn, waiting at most until the deadline
};
// Runs the loop of the main thread, from that thread and outside any call. `deadline_ns`: from now, < 0: none.
BATON_API Outcome run(State* state, RunMode mode, std::int64_t timeout_ns, Failure** failure) noexcept;
// A descriptor that is readable when `run` has something to do; < 0: the system refused. Nanoseconds until the next timer; < 0: none.
BATON_API int backend_fd(State* state) noexcept;
BATON_API std::int64_t next_timeout(State* state) noexcept;
// Calls function(context) on the main thread's loop, as a task, with the lock; `drop` instead if the runtime closes first. Any
// thread, no lock needed. Outcomes: kClosed (neither is called), kError.
BATON_API Outcome post(State* state, void (*function)(void* context), void (*drop)(void* context) noexcept, void* context) noexcept;

// ---- limits ----------------------------------------------------------------------------------------------------------------

// Stops what runs in the runtime now. Any thread, no lock needed.
BATON_API void interrupt(State* state, const char* message, std::size_t size) noexcept;

struct Limits {
  std::int64_t instructions = 0;  // 0: no limit
  std::int64_t wall_ns = 0;
  std::int64_t cpu_ns = 0;
  std::int64_t memory = 0;
};
struct Usage {
  std::int64_t instructions = 0;
  std::int64_t wall_ns = 0;
  std::int64_t cpu_ns = 0;
  bool exceeded = false;
  StopReason reason = StopReason::kNone;
};
struct Budget;
// The limits hold from now until `end_budget`; the tightest of several counts. Outcomes: kError.
BATON_API Outcome begin_budget(State* state, const Limits& limits, Budget** budget, Failure** failure) noexcept;
BATON_API void budget_usage(Budget* budget, Usage* usage) noexcept;
BATON_API void end_budget(Budget* budget) noexcept;

// ---- figures ---------------------------------------------------------------------------------------------------------------

struct ThreadFigures {
  std::uint64_t id = 0;
  std::string name;
  std::uint64_t switches = 0, forced = 0, voluntary = 0;
  std::int64_t held_ns = 0, waited_ns = 0, released_ns = 0, longest_ns = 0;
};
// Figures of the lock: all threads together, and each that is attached. Raises: std::bad_alloc.
BATON_API void gil_figures(State* state, ThreadFigures* totals, std::vector<ThreadFigures>* threads);
// Records the lock's timeline. Returns: false if a recording runs already. `end_trace`: as JSON of Chrome's trace viewer.
BATON_API bool begin_trace(State* state) noexcept;
BATON_API std::string end_trace(State* state);
BATON_API const char* version() noexcept;

}  // namespace baton::abi
