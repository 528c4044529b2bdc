// The module time: clocks and sleeping.
#include <cmath>
#include <ctime>

#include "all_modules.h"
#include "sched/thread_group.h"
#include "sched/wait.h"
#include "vm/call.h"
#include "vm/native.h"

namespace baton::stdlib {
namespace {

double read_clock(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

int time_now(NativeCall& call) { return call.result(Value::from(read_clock(CLOCK_REALTIME))); }
int time_monotonic(NativeCall& call) { return call.result(Value::from(read_clock(CLOCK_MONOTONIC))); }
int time_cpu(NativeCall& call) { return call.result(Value::from(read_clock(CLOCK_PROCESS_CPUTIME_ID))); }
int time_thread_cpu(NativeCall& call) {
  const double before = static_cast<double>(ThreadCache::processor_ns_before_body()) * 1e-9;
  return call.result(Value::from(read_clock(CLOCK_THREAD_CPUTIME_ID) - before));
}

int time_sleep(NativeCall& call) {
  const double wanted = call.check_number(1);
  if (std::isnan(wanted)) call.argument_error(1, "number of seconds is not a number");
  sched::sleep_until(call.thread(), sched::deadline_after(wanted), "time.sleep");
  return 0;
}

int time_measure(NativeCall& call) {
  call.check_any(1);
  const std::int64_t began = monotonic_ns();
  const int results = vm::call(call.thread(), call.count() - 1, kMultipleResults);
  const double took = static_cast<double>(monotonic_ns() - began) * 1e-9;
  call.push(Value());
  const int last = call.size();
  for (int i = last; i > last - results; --i) call.slot(i) = call.slot(i - 1);
  call.slot(last - results) = Value::from(took);
  return results + 1;
}

const NativeInfo kFunctions[] = {
    {"cpu", "time.cpu() -> number",
     "Seconds of processor time that all native threads of this process have used."
     R"lua(

print(time.cpu() > 0)  --> true)lua",
     time_cpu},
    {"measure", "time.measure(f: function, ...: any) -> number, any ...",
     "Calls f; returns the seconds it took, then its results."
     R"lua(

local seconds, sum = time.measure(function(a, b) return a + b end, 1, 2)
print(seconds >= 0, sum)  --> true	3)lua",
     time_measure},
    {"monotonic", "time.monotonic() -> number",
     "Seconds on a clock that never goes back; its start means nothing, but all processes of a machine share it."
     R"lua(

local began = time.monotonic()
print(time.monotonic() >= began)  --> true)lua",
     time_monotonic},
    {"now", "time.now() -> number",
     "Seconds since the start of 1970, with fractions. This clock may be set."
     R"lua(

print(time.now() > 1.7e9)  --> true)lua",
     time_now},
    {"sleep", "time.sleep(seconds: number)",
     "Blocks the native thread, tasks included, for at least so long.\n"
     "Waits: blocks the native thread; the lock is free. async.sleep parks only the task."
     R"lua(

time.sleep(0.001))lua",
     time_sleep},
    {"thread_cpu", "time.thread_cpu() -> number",
     "Seconds of processor time that the running native thread has used."
     R"lua(

print(time.thread_cpu() > 0)  --> true)lua",
     time_thread_cpu},
    {nullptr, nullptr, nullptr, nullptr},
};

}  // namespace

Table* open_time(ThreadState& thread) {
  Table* library = table::make(thread.heap(), 0, 8);
  native::add_functions(thread, library, kFunctions);
  return library;
}

}  // namespace baton::stdlib
