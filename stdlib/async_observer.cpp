// async.debug: which task holds its loop for too long. async.trace: what every task does, recorded.
//
// Both are told by the schedulers (sched/observer.h). A report happens in the middle of a switch, where no script can run: it
// spawns a task that calls the function. The files of a trace are drawn by the same script that draws those of the lock.
#include <cmath>
#include <cstdio>
#include <string>

#include "async_library.h"
#include "option_table.h"
#include "sched/native_thread.h"
#include "sched/scheduler.h"
#include "sched/thread_group.h"
#include "script_part.h"
#include "thread_library.h"
#include "vm/call.h"
#include "vm/traceback.h"

namespace baton::stdlib {
namespace {

constexpr const char* kSlowKey = "_ASYNC_ON_SLOW";
constexpr const char* kTraceKey = "_ASYNC_TRACE";
constexpr double kSlowSeconds = 0.1;
constexpr std::size_t kMostChanges = 1'000'000;  // 32 MB
constexpr std::string_view kTraceScript =
#include "gil_trace.inc"
    ;

double seconds(std::int64_t ns) noexcept { return static_cast<double>(ns) * 1e-9; }

// ---- debug ----

// Where the task stands behind its long turn; where it was spawned, if it has ended.
std::string place_of(sched::Task& task) {
  const std::string place = vm::position_of(task.leaf());
  if (!place.empty() || task.handle() == nullptr || task.spawned_at() == nullptr) return place;
  const std::string spawned = vm::position_in(task.handle()->user_values()[sched::Task::kSpawner], task.spawned_at());
  return spawned.empty() ? spawned : "a task spawned at " + spawned;
}

void tell_people(sched::Task& task, double took, const std::string& place) {
  std::fflush(stdout);
  std::fprintf(stderr, "baton: %s held its loop for %.3f s, until %s\n", sched::name_of(task).c_str(), took,
               place.empty() ? "?" : place.c_str());
  std::fflush(stderr);
}

void call_later(ThreadState& thread, sched::Task& task, double took, const std::string& place, const Value& f) {
  sched::Scheduler& scheduler = sched::scheduler_of(thread);
  const Value subject = task.handle() != nullptr ? Value::of(task.handle()) : thread_handle(thread, task.scheduler().owner());
  const Root<Value> handle(thread.heap(), Value::of(scheduler.create(thread, f, task)));
  handle.value().userdata()->metatable = task_metatable(thread);
  auto& reporter = *static_cast<sched::Task*>(handle.value().userdata()->block());
  scheduler.add_argument(reporter, subject);
  scheduler.add_argument(reporter, Value::from(took));
  scheduler.add_argument(reporter, Value::of(string::make(thread.heap(), place)));
  scheduler.start(reporter);
}

void report_slow(ThreadState& thread, sched::Task& task, std::int64_t turn_ns) noexcept {
  try {
    const std::string place = place_of(task);
    const Value f = native::get_field(thread, thread.shared.registry, kSlowKey);
    if (f.is_nil()) tell_people(task, seconds(turn_ns), place);
    else call_later(thread, task, seconds(turn_ns), place, f);
  } catch (const ScriptError&) {  // no memory: one report less
  } catch (const std::bad_alloc&) {
  }
}

}  // namespace

int async_debug(NativeCall& call) {
  static constexpr const char* kOptions[] = {"slow", "on_slow", nullptr};
  sched::ThreadGroup& group = sched::group_of(call.shared());
  const bool ends = call.arg(1).is_boolean() && !call.arg(1).is_truthy();
  const OptionTable options(call, ends ? call.count() + 1 : 1, kOptions);
  const double slow = options.number("slow", kSlowSeconds);
  if (!(slow >= 0)) options.mistake("slow", "must not be negative");
  const Value f = options.get("on_slow");
  if (!f.is_nil() && !f.is_function()) options.mistake("on_slow", "function expected");
  native::set_field(call.thread(), call.shared().registry, kSlowKey, f);
  group.observer().watch_turns(slow > 4e9 ? INT64_MAX : static_cast<std::int64_t>(slow * 1e9), ends ? nullptr : report_slow);
  group.update_observation();
  return 0;
}

// ---- trace ----

namespace {

int trace_start(NativeCall& call) {
  sched::ThreadGroup& group = sched::group_of(call.shared());
  (void)group.observer().start_recording(kMostChanges);
  group.update_observation();
  return 0;
}

int trace_now(NativeCall& call) { return call.result(Value::from(seconds(monotonic_ns()))); }

int trace_stop(NativeCall& call) {
  sched::ThreadGroup& group = sched::group_of(call.shared());
  group.observer().stop_recording();
  group.update_observation();
  return 0;
}

// {dropped=, names={[id]=}, task, state, from, to, region ...}: a flat list of five values for each segment.
int trace_copy(NativeCall& call) {
  const sched::Observer& observer = sched::group_of(call.shared()).observer();
  Heap& heap = call.heap();
  Table* result = table::make(heap);
  call.push(Value::of(result));
  native::set_field(call.thread(), result, "dropped", Value::from(static_cast<std::int64_t>(observer.dropped())));
  Table* names = table::make(heap);
  native::set_field(call.thread(), result, "names", Value::of(names));
  for (const auto& [id, name] : observer.names()) {
    table::set_integer(heap, names, static_cast<std::int64_t>(id), Value::of(string::make(heap, name)));
  }
  std::int64_t n = 0;
  const auto append = [&](const Value& v) { table::set_integer(heap, result, ++n, v); };
  for (const sched::TaskSegment& segment : observer.segments()) {
    append(Value::from(static_cast<std::int64_t>(segment.task)));
    append(Value::from(std::int64_t{segment.kind}));
    append(Value::from(seconds(segment.from_ns)));
    append(Value::from(seconds(segment.to_ns)));
    append(segment.region != nullptr ? Value::of(string::make(heap, segment.region)) : Value::boolean(false));
  }
  return 1;
}

const NativeInfo kTraceInternals[] = {
    {"copy", "copy()", "What was recorded.", trace_copy},
    {"now", "now()", "The time.", trace_now},
    {"start", "start()", "Begins a recording.", trace_start},
    {"stop", "stop()", "Ends it.", trace_stop},
    {nullptr, nullptr, nullptr, nullptr},
};

// The function `trace` that the script defines, loaded when it is first wanted.
Value trace_function(NativeCall& call) {
  ThreadState& thread = call.thread();
  const Value known = native::get_field(thread, call.shared().registry, kTraceKey);
  if (!known.is_nil()) return known;
  Table* module = table::make(call.heap());
  call.push(Value::of(module));
  Table* internals = table::make(call.heap());
  call.push(Value::of(internals));
  native::add_functions(thread, internals, kTraceInternals);
  native::set_field(thread, internals, "of_tasks", Value::boolean(true));
  run_script_part(thread, module, Value::of(internals), kTraceScript, "=async");
  const Value made = native::get_field(thread, module, "trace");
  native::set_field(thread, call.shared().registry, kTraceKey, made);
  return made;
}

}  // namespace

int async_trace(NativeCall& call) {
  const Value options = call.arg(1);
  if (!options.is_nil() && !options.is_table() && !options.is_string()) call.type_error(1, "path or table");
  call.push(trace_function(call));
  call.push(options);
  return vm::call(call.thread(), 1, kMultipleResults);
}

}  // namespace baton::stdlib
