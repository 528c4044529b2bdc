#include "sched/observer.h"

#include <cstdio>
#include <new>

#include "sched/deadlock.h"
#include "sched/native_thread.h"
#include "sched/scheduler.h"
#include "sched/thread_group.h"
#include "sync/clock.h"
#include "vm/traceback.h"

namespace baton::sched {

// ---- recording ----

bool Observer::start_recording(std::size_t most) noexcept {
  if (is_recording_) return false;
  changes_.clear();
  names_.clear();
  most_ = most;
  dropped_ = 0;
  is_recording_ = true;
  return true;
}

void Observer::stop_recording() noexcept {
  is_recording_ = false;
  changes_ = {};
  names_ = {};
}

void Observer::remember(const Task& task, TaskChange change) {
  if (changes_.size() >= most_) throw std::bad_alloc();
  if (names_.find(task.id()) == names_.end()) names_.emplace(task.id(), name_of(task));
  changes_.push_back({task.id(), monotonic_ns(), change == TaskChange::kParked ? task.awaits() : nullptr, change});
}

void Observer::note(const Task& task, TaskChange change) noexcept {
  if (!is_recording_) return;
  try {
    remember(task, change);
  } catch (const std::bad_alloc&) {
    ++dropped_;
  }
}

std::vector<TaskSegment> Observer::segments() const {
  struct Life {
    std::int64_t from_ns;
    Change last;
  };
  std::unordered_map<std::uint64_t, Life> lives;
  std::vector<TaskSegment> result;
  const auto end_state = [&](const Change& last, std::int64_t at_ns) {
    if (last.change == TaskChange::kReady) result.push_back({last.task, TaskSegment::kReady, last.at_ns, at_ns, nullptr});
    if (last.change == TaskChange::kParked) result.push_back({last.task, TaskSegment::kParked, last.at_ns, at_ns, last.region});
  };
  for (const Change& change : changes_) {
    const auto [place, is_new] = lives.try_emplace(change.task, Life{change.at_ns, change});
    if (is_new) continue;
    end_state(place->second.last, change.at_ns);
    place->second.last = change;
  }
  const std::int64_t now = monotonic_ns();
  for (const auto& [id, life] : lives) {
    const bool has_ended = life.last.change == TaskChange::kEnded;
    if (!has_ended) end_state(life.last, now);
    result.push_back({id, TaskSegment::kLife, life.from_ns, has_ended ? life.last.at_ns : now, nullptr});
  }
  return result;
}

// ---- telling people ----

std::string name_of(const Task& task) {
  if (task.handle() == nullptr) return task.scheduler().owner().state().name;
  const Value& name = task.handle()->user_values()[Task::kName];
  return name.is_string() ? std::string(name.string()->view()) : "task-" + std::to_string(task.id());
}

namespace {

const char* state_of(const Task& task) noexcept {
  switch (task.state()) {
    case TaskState::kNew: return "has not begun";
    case TaskState::kReady: return "is ready";
    case TaskState::kRunning: return "runs";
    case TaskState::kParked: return "waits";
    case TaskState::kEnded: break;
  }
  return "has ended";
}

void describe(ThreadState& thread, Task& task, std::string& text) {
  text += task.is_root() ? "native thread " : "  ";
  text += place_of(task) + ": " + state_of(task);
  if (task.awaits() != nullptr) text += std::string(" in ") + task.awaits();
  std::string trace = vm::traceback(thread, task.leaf(), nullptr, 0);
  for (std::size_t at = 0; (at = trace.find('\n', at)) != std::string::npos; at += 3) trace.insert(at + 1, "  ");
  text += "\n    " + trace + "\n";
}

}  // namespace

std::string describe_all_tasks(ThreadState& thread) {
  constexpr std::size_t kMostTold = 1000;
  std::string text;
  for (NativeThread* native : group_of(thread.shared).threads()) {
    describe(thread, native->root_task(), text);
    std::vector<Task*> tasks;  // the newest first
    native->scheduler().for_each_task([&](Task& task) { tasks.push_back(&task); });
    std::size_t told = 0;
    for (auto task = tasks.rbegin(); task != tasks.rend() && told < kMostTold; ++task, ++told) describe(thread, **task, text);
    if (tasks.size() > told) text += "  and " + std::to_string(tasks.size() - told) + " more tasks\n";
  }
  return text;
}

void dump_all_tasks(ThreadState& thread) noexcept {
  try {
    const std::string text = describe_all_tasks(thread);
    std::fflush(stdout);
    std::fputs(text.c_str(), stderr);
    std::fflush(stderr);
  } catch (const std::bad_alloc&) {
  } catch (const ScriptError&) {
  }
}

}  // namespace baton::sched
