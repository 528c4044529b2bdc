// The module gil: the global interpreter lock as scripts see it. Its figures are sync's; names and units are made here.
#include <string>

#include "sync/gil.h"

#include "all_modules.h"
#include "script_part.h"
#include "vm/call.h"
#include "vm/native.h"
#include "vm/traceback.h"

namespace baton::stdlib {
namespace {

double seconds(std::int64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e9; }

void set_number(NativeCall& call, Table* t, const char* name, double v) { native::set_field(call.thread(), t, name, Value::from(v)); }

void set_count(NativeCall& call, Table* t, const char* name, std::uint64_t v) {
  native::set_field(call.thread(), t, name, Value::from(static_cast<std::int64_t>(v)));
}

int gil_switch_interval(NativeCall& call) {
  Gil& gil = call.shared().gil;
  if (!call.none_or_nil(1)) {
    const double wanted = call.check_number(1);
    constexpr double kLeast = static_cast<double>(kShortestSwitchIntervalNs) / 1e9;
    constexpr double kMost = static_cast<double>(kLongestSwitchIntervalNs) / 1e9;
    if (!(wanted >= kLeast && wanted <= kMost)) call.argument_error(1, "switch interval must be from 0.00005 to 1 second");
    gil.set_switch_interval_ns(static_cast<std::int64_t>(wanted * 1e9 + 0.5));
  }
  return call.result(Value::from(seconds(gil.switch_interval_ns())));
}

int gil_switch(NativeCall& call) {
  return call.result(Value::boolean(call.shared().gil.switch_now(call.thread().gil_slot)));
}

int gil_waiters(NativeCall& call) {
  std::int64_t count = 0;
  for (const GilFigures& figures : call.shared().gil.threads()) count += figures.waiting ? 1 : 0;
  return call.result(Value::from(count));
}

// {name=, held=, waited=, released=, switches=, forced=, voluntary=} of one native thread.
Value thread_figures(NativeCall& call, const GilFigures& figures) {
  Table* t = table::make(call.heap(), 0, 8);
  native::set_field(call.thread(), t, "name", Value::of(string::make(call.heap(), figures.name)));
  set_number(call, t, "held", seconds(figures.held_ns));
  set_number(call, t, "waited", seconds(figures.waited_ns));
  set_number(call, t, "released", seconds(figures.released_ns));
  set_count(call, t, "switches", figures.switches);
  set_count(call, t, "forced", figures.forced);
  set_count(call, t, "voluntary", figures.voluntary);
  return Value::of(t);
}

// {seconds=, where=}: the longest turn of all, and whose it was.
Value longest_turn(NativeCall& call, const GilFigures& totals, const std::vector<GilFigures>& threads) {
  Table* t = table::make(call.heap(), 0, 2);
  set_number(call, t, "seconds", seconds(totals.longest_ns));
  std::string where = totals.longest_ns > 0 ? "a native thread that ended long ago" : "nowhere";
  for (const GilFigures& figures : threads) {
    if (totals.longest_ns == 0 || figures.longest_ns != totals.longest_ns) continue;
    where = "native thread '" + figures.name + "'";
    if (!figures.longest_where.empty()) where = figures.longest_where + " (" + where + ")";
  }
  native::set_field(call.thread(), t, "where", Value::of(string::make(call.heap(), where)));
  return Value::of(t);
}

int gil_stats(NativeCall& call) {
  Gil& gil = call.shared().gil;
  std::vector<GilFigures> threads = gil.threads();
  for (GilFigures& ended : gil.ended_threads()) threads.push_back(std::move(ended));
  const GilFigures totals = gil.totals();
  if (call.truthy(1)) gil.reset_figures();
  Table* t = table::make(call.heap(), 0, 8);
  set_count(call, t, "switches", totals.switches);
  set_count(call, t, "forced", totals.forced);
  set_count(call, t, "voluntary", totals.voluntary);
  set_number(call, t, "held", seconds(totals.held_ns));
  set_number(call, t, "waited", seconds(totals.waited_ns));
  native::set_field(call.thread(), t, "longest", longest_turn(call, totals, threads));
  Table* list = table::make(call.heap());
  for (const GilFigures& figures : threads) {
    table::set_integer(call.heap(), list, static_cast<std::int64_t>(figures.id), thread_figures(call, figures));
  }
  native::set_field(call.thread(), t, "threads", Value::of(list));
  return call.result(Value::of(t));
}

// --- trace -----------------------------------------------------------------------------------------------------------------

constexpr std::size_t kTraceSegments = 200'000;  // 8 MB

int trace_start(NativeCall& call) { return call.result(Value::boolean(call.shared().gil.start_trace(kTraceSegments))); }

int trace_stop(NativeCall& call) {
  call.shared().gil.stop_trace();
  return 0;
}

// {from, to, dropped=, names={[id]=}, {thread, state, from, to, region}...} as a flat list of five values each.
int trace_copy(NativeCall& call) {
  const GilTrace trace = call.shared().gil.copy_trace();
  Table* result = table::make(call.heap());
  call.push(Value::of(result));
  set_number(call, result, "from", seconds(trace.from_ns));
  set_count(call, result, "dropped", trace.dropped);
  Table* names = table::make(call.heap());
  native::set_field(call.thread(), result, "names", Value::of(names));
  for (const auto& [id, name] : trace.names) {
    table::set_integer(call.heap(), names, id, Value::of(string::make(call.heap(), name)));
  }
  std::int64_t n = 0;
  const auto append = [&](const Value& v) { table::set_integer(call.heap(), result, ++n, v); };
  for (const TraceSegment& segment : trace.segments) {
    append(Value::from(std::int64_t{segment.thread}));
    append(Value::from(static_cast<std::int64_t>(segment.state)));
    append(Value::from(seconds(segment.from_ns)));
    append(Value::from(seconds(segment.to_ns)));
    append(segment.region != nullptr ? Value::of(string::make(call.heap(), segment.region)) : Value::boolean(false));
  }
  return 1;
}

int trace_now(NativeCall& call) { return call.result(Value::from(seconds(monotonic_ns()))); }

constexpr std::string_view kTraceScript =
#include "gil_trace.inc"
    ;

const NativeInfo kTraceInternals[] = {
    {"copy", "copy()", "What was recorded.", trace_copy},
    {"now", "now()", "The time.", trace_now},
    {"start", "start()", "Begins a recording; false if there is one.", trace_start},
    {"stop", "stop()", "Ends it.", trace_stop},
    {nullptr, nullptr, nullptr, nullptr},
};

void add_trace(ThreadState& thread, Table* library) {
  run_script_part(thread, library, kTraceInternals, kTraceScript, "=gil");
}

class Hold {
 public:
  explicit Hold(ThreadState& thread) noexcept : thread_(thread) { thread.shared.gil.begin_hold(thread.gil_slot); }
  ~Hold() { thread_.shared.gil.end_hold(thread_.gil_slot); }
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;

 private:
  ThreadState& thread_;
};

int gil_hold(NativeCall& call) {
  call.check_any(1);
  const Hold hold(call.thread());
  return vm::call(call.thread(), call.count() - 1, kMultipleResults);
}

const NativeInfo kFunctions[] = {
    {"hold", "gil.hold(f: function, ...: any) -> any ...",
     "Calls f without any forced switch to another native thread and returns its results.\n"
     "Raises: a wait inside f that would park raises."
     R"lua(

local n = 0
gil.hold(function() for _ = 1, 1000 do n = n + 1 end end)
print(n)  --> 1000)lua",
     gil_hold},
    {"stats", "gil.stats(reset?: boolean) -> table",
     "Figures since the start or the last reset: {switches, forced, voluntary, held, waited, longest={seconds, where}, "
     "threads={[id]={name, held, waited, released, switches, forced, voluntary}}}, times in seconds; the last thousand "
     "native threads that have ended are among them. With true they begin anew afterwards."
     R"lua(

print(gil.stats().forced)  --> 0)lua",
     gil_stats},
    {"switch", "gil.switch() -> boolean",
     "Lets the native thread run that waits longest for the lock. Whether there was one."
     R"lua(

print(gil.switch())  --> false)lua",
     gil_switch},
    {"switch_interval", "gil.switch_interval(seconds?: number) -> number",
     "How long a native thread keeps the GIL while others want it; with an argument (0.00005 to 1) sets it first.\n"
     "Raises: a bad argument outside that range."
     R"lua(

print(gil.switch_interval())  --> 0.005)lua",
     gil_switch_interval},
    {"waiters", "gil.waiters() -> integer",
     "The number of native threads that wait for the GIL at this moment."
     R"lua(

print(gil.waiters())  --> 0)lua",
     gil_waiters},
    {nullptr, nullptr, nullptr, nullptr},
};

}  // namespace

Table* open_gil(ThreadState& thread) {
  Table* library = table::make(thread.heap(), 0, 8);
  native::add_functions(thread, library, kFunctions);
  add_trace(thread, library);
  return library;
}

}  // namespace baton::stdlib
