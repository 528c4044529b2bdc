// Essay: how samples are taken.
//
// A thread of its own ticks. At a tick it sets a bit in the interrupt word of the native thread that holds the GIL; that thread
// takes the sample at its next safepoint. When nobody holds the GIL, the ticking thread takes the lock itself, if it gets it
// at once, and looks at the sleepers. So a sample never waits for the lock, script code pays nothing between ticks (the poll
// of its interrupt word is there anyway), and every stack that is walked stands still: its owner runs no script code.
//
// One sample looks at all native threads:
//   the one that takes it    runs: the path of its coroutines, from the task's body to the innermost frame
//   in a Released region     waits: the operation's name is the innermost frame; an idle scheduler's tasks stand for it
//   any other                waits for the lock
// and at the tasks that are parked or ready, at most once in ten milliseconds, since there may be a hundred thousand of them
// (then only the first of each thread are looked at). A sample stands for the time since the one before it. A native that
// reaches no safepoint for long delays it, and gets all that time: the time is in the right place, only the tick is late.
//
// Paths are kept as a tree. A node is found by its parent and the function's identity in one look into a hash map; a function's
// name is made when it is first seen, from the instruction that called it. Very deep stacks are cut in the middle. With
// no memory for a new node the sample goes to its nearest known caller.
#include "profile_sampler.h"

#include <algorithm>
#include <cerrno>
#include <new>

#include "base/chunk_name.h"
#include "sched/native_thread.h"
#include "sched/task.h"
#include "value/closure.h"
#include "value/prototype.h"
#include "vm/traceback.h"

namespace baton::stdlib {
namespace {

constexpr std::size_t kMostNodes = 300'000;
constexpr std::size_t kMostFramesOfPath = 160;  // so many of the newest of one coroutine ...
constexpr std::size_t kOldestOfPath = 40;       // ... and so many of the oldest
constexpr std::uint32_t kNoFrame = 0;
constexpr std::int64_t kParkedInterval = 10'000'000;
constexpr int kMostParkedTasks = 500;  // of a thread, in one sample

std::uint64_t pair_of(std::uint32_t high, std::uint32_t low) noexcept { return std::uint64_t{high} << 32 | low; }

// "string.rep" of "string.rep(s, n [, sep])".
std::string name_of(const NativeInfo* info) {
  std::string name = info->signature != nullptr ? info->signature : info->name;
  return name.substr(0, name.find('('));
}

std::string name_of(const Coroutine* co, const CallFrame* frame, const Prototype* p) {
  if (p->line_defined == 0) return "main chunk";
  const vm::CallName called = vm::call_name(co, frame);
  return called.name.empty() || called.name == "?" ? "anonymous" : called.name;
}

}  // namespace

Sampler::Sampler(SharedState& shared, double hz) : shared_(shared), period_ns_(static_cast<std::int64_t>(1e9 / hz)) {
  frames_.push_back({});
  nodes_.push_back({0, 0, 0, kRunning});
}

Sampler::~Sampler() { stop(); }

int Sampler::start() {
  slot_ = shared_.gil.attach("profiler", &interrupt_);
  if (slot_ == nullptr) return ENOMEM;
  shared_.heap.add_root_visitor(this);
  began_ns_ = last_ns_ = parked_ns_ = monotonic_ns();
  shared_.sampler = this;
  shared_.sample = sample_at_safepoint;
  running_ = true;
  const int refusal = thread_.start("profiler", 256 * 1024, nullptr, run, this);
  if (refusal == 0) return 0;
  release();
  return refusal;
}

// The ticking thread never waits for the GIL, so it may be joined by whoever holds it.
void Sampler::stop() noexcept {
  if (!running_) return;
  last_ns_ = monotonic_ns();
  ends_.store(true, std::memory_order_release);
  sleep_.unpark();
  thread_.join();
  release();
}

// Names are known by now, so no function needs to stay.
void Sampler::release() noexcept {
  running_ = false;
  shared_.sample = nullptr;
  shared_.sampler = nullptr;
  shared_.heap.remove_root_visitor(this);
  shared_.gil.detach(slot_);
}

void Sampler::run(void* context) noexcept {
  auto& sampler = *static_cast<Sampler*>(context);
  std::int64_t next_ns = monotonic_ns();
  while (!sampler.ends_.load(std::memory_order_acquire)) {
    const std::int64_t now_ns = monotonic_ns();
    next_ns = std::max(next_ns + sampler.period_ns_, now_ns);  // missed ticks are not made up for
    (void)sampler.sleep_.park(next_ns);
    if (sampler.ends_.load(std::memory_order_acquire)) return;
    Gil& gil = sampler.shared_.gil;
    if (gil.interrupt_holder(kInterruptProfile) || !gil.try_acquire(sampler.slot_)) continue;
    sampler.take(nullptr);
    gil.release(sampler.slot_);
  }
}

void Sampler::sample_at_safepoint(ThreadState& thread) noexcept {
  static_cast<Sampler*>(thread.shared.sampler)->take(&thread);
}

// One sample of everything. `running` holds the GIL; null: the ticking thread does.
void Sampler::take(ThreadState* running) noexcept {
  const std::int64_t now_ns = monotonic_ns();
  const std::int64_t weight_ns = now_ns - last_ns_;
  last_ns_ = now_ns;
  ++ticks_;
  const std::int64_t parked_ns = now_ns - parked_ns_ >= kParkedInterval ? now_ns - parked_ns_ : 0;
  if (parked_ns > 0) parked_ns_ = now_ns;
  try {
    for (ThreadState* thread : shared_.threads) {
      sample_thread(*thread, thread == running, weight_ns);
      if (parked_ns == 0) continue;
      int left = kMostParkedTasks;
      auto& scheduler = static_cast<sched::NativeThread*>(thread->sched)->scheduler();
      sample_parked(scheduler.root(), *thread, parked_ns);
      scheduler.for_each_task([&](sched::Task& task) {
        if (--left > 0) sample_parked(task, *thread, parked_ns);
      });
    }
  } catch (const std::bad_alloc&) {
    // This sample is lost; the time of the next one includes nothing of it.
  }
}

// What the thread itself does. An idle scheduler does nothing: its tasks wait.
void Sampler::sample_thread(ThreadState& thread, bool runs, std::int64_t weight_ns) {
  auto& owner = *static_cast<sched::NativeThread*>(thread.sched);
  const GilSlot* slot = thread.gil_slot;
  const char* region = slot != nullptr ? slot->region.load(std::memory_order_relaxed) : nullptr;
  if (!runs && owner.scheduler().is_idle()) return;
  if (!runs && owner.has_ended()) return;
  const State state = runs ? kRunning : region != nullptr ? kWaits : kWaitsForLock;
  std::uint32_t node = task_node(root_of(thread, state), owner.scheduler().current());
  node = path_of(node, thread.current);
  if (state == kWaits) node = wait_node(node, region);
  add(node, weight_ns);
  if (runs) add_line(thread.current, weight_ns);
}

void Sampler::sample_parked(sched::Task& task, ThreadState& thread, std::int64_t weight_ns) {
  const bool is_ready = task.state() == sched::TaskState::kReady;
  if (task.state() != sched::TaskState::kParked && !is_ready) return;
  const std::uint32_t node = path_of(task_node(root_of(thread, kWaits), task), task.leaf());
  const char* what = is_ready || task.awaits() == nullptr ? "ready to run" : task.awaits();
  add(wait_node(node, what), weight_ns);
}

// The operation in which a path waits, unless that is what its innermost native is called.
std::uint32_t Sampler::wait_node(std::uint32_t node, const char* what) {
  return frames_[nodes_[node].frame].name == what ? node : child(node, label(what));
}

// The node of the newest frame of `co`, below `node`: first whoever resumed it.
std::uint32_t Sampler::path_of(std::uint32_t node, const Coroutine* co) {
  if (co->resumer != nullptr) node = path_of(node, co->resumer);
  const auto depth = static_cast<std::size_t>(co->frame - co->frames);
  for (std::size_t i = 1; i <= depth; ++i) {
    if (depth > kMostFramesOfPath + kOldestOfPath && i == kOldestOfPath) {
      node = child(node, label("..."));
      i = depth - kMostFramesOfPath;
    }
    const std::uint32_t frame = frame_of(co, co->frames + i);
    if (frame != kNoFrame) node = child(node, frame);
  }
  return node;
}

std::uint32_t Sampler::task_node(std::uint32_t node, sched::Task& task) {
  if (task.is_root() || task.handle() == nullptr) return node;
  const Value& name = task.handle()->user_values()[sched::Task::kName];
  return child(node, label(name.is_string() ? "task '" + std::string(name.string()->view()) + "'" : "tasks"));
}

std::uint32_t Sampler::root_of(const ThreadState& thread, State state) {
  const std::uint64_t key = pair_of(thread.id, state);
  if (const auto found = tree_of_.find(key); found != tree_of_.end()) return found->second;
  auto index = static_cast<std::uint32_t>(threads_.size());
  for (std::uint32_t i = 0; i < threads_.size(); ++i) {
    if (threads_[i].id == thread.id) index = i;
  }
  if (index == threads_.size()) threads_.push_back({thread.id, thread.name});
  nodes_.push_back({0, 0, index, state});
  const auto node = static_cast<std::uint32_t>(nodes_.size() - 1);
  tree_of_.emplace(key, node);
  return node;
}

std::uint32_t Sampler::child(std::uint32_t parent, std::uint32_t frame) {
  const std::uint64_t key = pair_of(parent, frame);
  if (const auto found = child_of_.find(key); found != child_of_.end()) return found->second;
  if (nodes_.size() >= kMostNodes) return parent;
  nodes_.push_back({parent, frame, nodes_[parent].thread, nodes_[parent].state});
  const auto node = static_cast<std::uint32_t>(nodes_.size() - 1);
  child_of_.emplace(key, node);
  return node;
}

std::uint32_t Sampler::frame_of(const Coroutine* co, const CallFrame* frame) {
  const Value& function = frame->base[-1];
  Prototype* prototype = frame->is_script() ? function.closure()->prototype : nullptr;
  const NativeInfo* info = prototype == nullptr && function.is_native() ? function.native()->info : nullptr;
  if (prototype == nullptr && info == nullptr) return label("native");
  const void* key = prototype != nullptr ? static_cast<const void*>(prototype) : info;
  if (const auto found = frame_of_key_.find(key); found != frame_of_key_.end()) return found->second;
  Frame made;
  if (prototype != nullptr) {
    made = {name_of(co, frame, prototype), prototype->source != nullptr ? chunk_display_name(prototype->source->view()) : "?",
            std::int64_t{prototype->line_defined}};
    prototypes_.push_back(prototype);
  } else {
    made.name = name_of(info);
    if (made.name == "host") {  // the program itself, below every main chunk
      frame_of_key_.emplace(key, kNoFrame);
      return kNoFrame;
    }
  }
  frames_.push_back(std::move(made));
  const auto index = static_cast<std::uint32_t>(frames_.size() - 1);
  frame_of_key_.emplace(key, index);
  return index;
}

std::uint32_t Sampler::label(const std::string& text) {
  if (const auto found = frame_of_label_.find(text); found != frame_of_label_.end()) return found->second;
  if (frame_of_label_.size() >= 10'000) return 0;
  frames_.push_back({text, "", 0});
  const auto index = static_cast<std::uint32_t>(frames_.size() - 1);
  frame_of_label_.emplace(text, index);
  return index;
}

void Sampler::add(std::uint32_t node, std::int64_t weight_ns) noexcept {
  ++nodes_[node].samples;
  nodes_[node].self_ns += weight_ns;
}

void Sampler::add_line(const Coroutine* co, std::int64_t weight_ns) {
  if (co->frame == co->frames) return;
  const int line = vm::current_line(co, co->frame);
  if (line > 0) line_ns_[pair_of(frame_of(co, co->frame), static_cast<std::uint32_t>(line))] += weight_ns;
}

std::vector<Sampler::Line> Sampler::lines() const {
  std::vector<Line> list;
  list.reserve(line_ns_.size());
  for (const auto& [key, ns] : line_ns_) {
    list.push_back({static_cast<std::uint32_t>(key >> 32), static_cast<std::int64_t>(key & 0xFFFFFFFF), ns});
  }
  return list;
}

void Sampler::mark_roots(Heap& heap) {
  for (Prototype* prototype : prototypes_) heap.mark_object(prototype);
}

}  // namespace baton::stdlib
