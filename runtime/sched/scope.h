// Scopes: where cancellation is addressed to, and who owns tasks.
//
// A scope is entered by one task, its body, and left again; tasks are owned by the nursery in which they were spawned. So
// scopes and tasks form a tree:  scope -> enclosing scope of the same body ... -> body -> nursery that owns the body -> ...
// A cancellation of a scope or a task reaches everything below it. Nothing is copied downwards: a task that is to look finds
// the outermost cancelled ancestor by walking up, and stops at a shield.
//
// Invariants
//  - Whoever is reached by a cancellation has `attention` set, so a waiting point costs others one load.
//  - A nursery is left only when all its children have ended. The first child's error cancels it.
//  - A reached task raises at each waiting point; not while it closes variables of the scope that was cancelled (or of one
//    inside it), for as long as that scope's grace lasts.
// Owner: a local variable of a native (deadline, shield) or a userdata's block (nursery). Threading: under the GIL.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sched/timers.h"
#include "sched/wait.h"
#include "value/userdata.h"

namespace baton::sched {

inline constexpr std::int64_t kDefaultGraceNs = 5'000'000'000;

enum class ScopeKind : std::uint8_t { kNursery, kDeadline, kShield };

class Scope {
 public:
  explicit Scope(ScopeKind kind) noexcept : kind_(kind), alarm_(*this) {}
  ~Scope() { leave(); }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

  ScopeKind kind() const noexcept { return kind_; }
  // The running task enters it; at the deadline it is cancelled as expired. Raises: std::bad_alloc; then nothing happened.
  void enter(ThreadState& thread, std::int64_t deadline_ns);
  // Its body leaves it, in any order with others. Idempotent. Takes: a scope without children. Raises: nothing.
  void leave() noexcept;
  bool is_entered() const noexcept { return body_ != nullptr; }
  Task* body() const noexcept { return body_; }
  // The next scope outwards of the same body, or null.
  Scope* parent() const noexcept { return parent_; }

  // Cancels everything in it; `error` is what waiting points raise, nil: made when needed. The first call counts.
  void cancel(const Value& error) noexcept;
  bool is_cancelled() const noexcept { return is_cancelled_; }
  bool is_expired() const noexcept { return is_expired_; }
  const Value& error() const noexcept { return error_; }
  // What its cancellation raises. Raises: kMemory.
  Value cancellation(ThreadState& thread);
  void set_grace(std::int64_t grace_ns) noexcept { grace_ns_ = grace_ns; }

  // The userdata that keeps a nursery, or null.
  Userdata* handle() const noexcept { return handle_; }
  void set_handle(Userdata* handle) noexcept { handle_ = handle; }

  // Children. `adopt` before the child is started; `disown` when it has ended.
  std::size_t child_count() const noexcept { return child_count_; }
  void adopt(Task& child) noexcept;
  void disown(Task& child) noexcept;
  Task* first_child() const noexcept { return children_; }
  // A child has ended with an error: keeps it, and cancels the rest. Raises: nothing.
  void note_failure(Task& child) noexcept;
  // Takes the child that failed first out of those that are kept; null if there is none. Raises: nothing.
  Task* take_failure() noexcept;
  // Walks over them.
  Task* first_failure() const noexcept { return first_failure_; }
  static Task* next_failure(const Task& child) noexcept;
  // Who waits until the number of children falls: for a place, or for none being left.
  WaitQueue& watchers() noexcept { return watchers_; }

  void mark(Heap& heap) noexcept;

 private:
  friend class Task;
  friend struct Reach;
  struct Alarm final : Timer {
    explicit Alarm(Scope& owner) noexcept : Timer(ring), scope(owner) {}
    static void ring(Timer& timer) noexcept;
    Scope& scope;
  };

  ScopeKind kind_;
  bool is_cancelled_ = false;
  bool is_expired_ = false;
  std::int32_t closing_depth_ = 0;  // of its body when it was entered
  Task* body_ = nullptr;
  Scope* parent_ = nullptr;
  Task* children_ = nullptr;
  std::size_t child_count_ = 0;
  Task* first_failure_ = nullptr;
  Task* last_failure_ = nullptr;
  std::int64_t grace_ns_ = kDefaultGraceNs;
  std::int64_t grace_ends_ns_ = 0;  // 0: nobody has needed it yet
  Userdata* handle_ = nullptr;
  Value error_;
  WaitQueue watchers_;
  Alarm alarm_;
};

// Sets the attention of `task` and of everything below it, and wakes them. Raises: nothing.
void spread_attention(Task& task) noexcept;

// Raises the cancellation that reaches the running task, if there is one, unless it is closing and has grace left.
// Returns: when to ask again (the end of grace), or kNoDeadline. For wait.cpp.
std::int64_t deliver_cancellation(ThreadState& thread, Task& task);

// Whether a cancellation reaches the task, shields obeyed, grace not asked. Raises: nothing.
bool is_reached_by_cancellation(const Task& task) noexcept;

// The error value of a cancellation: a userdata with field `reason`; tostring: "cancelled", "cancelled: reason", "timeout".
// Raises: kMemory.
Value make_cancellation(ThreadState& thread, const Value& reason, bool is_timeout);
// Whether `error` is such a value; `is_timeout` (may be null) receives whether it tells of an expired scope. Raises: kMemory.
bool is_cancellation(ThreadState& thread, const Value& error, bool* is_timeout);

}  // namespace baton::sched
