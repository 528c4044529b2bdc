// The module profile: where time goes. Samples are taken by profile_sampler.cpp; what is made of them is written in script.
#include <cstring>
#include <memory>

#include "all_modules.h"
#include "profile_sampler.h"
#include "script_part.h"
#include "vm/call.h"
#include "vm/native.h"

namespace baton::stdlib {
namespace {

constexpr const char* kClass = "ProfileSampler";

double seconds(std::int64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e9; }

Sampler& check_sampler(NativeCall& call) { return **static_cast<Sampler**>(call.check_userdata(1, kClass)); }

// start(hz): a sampler at work; nil and a message if there is one already, or no thread for it.
int sampler_start(NativeCall& call) {
  const double hz = call.check_number(1);
  if (call.shared().sampler != nullptr) {
    call.push(Value());
    call.push_string("a profile is being taken already");
    return 2;
  }
  auto sampler = std::make_unique<Sampler>(call.shared(), hz);
  Userdata* handle = userdata::make(call.heap(), sizeof(Sampler*));
  call.push(Value::of(handle));
  handle->metatable = native::class_metatable(call.thread(), kClass);
  *static_cast<Sampler**>(handle->block()) = sampler.release();
  handle->release = [](void* block) noexcept { delete *static_cast<Sampler**>(block); };
  if (const int refusal = (*static_cast<Sampler**>(handle->block()))->start(); refusal != 0) {
    call.push(Value());
    call.push_string(std::strerror(refusal));
    return 2;
  }
  return 1;
}

int sampler_stop(NativeCall& call) {
  check_sampler(call).stop();
  return 0;
}

// A list of flat tuples, appended to one by one.
class FlatList {
 public:
  FlatList(NativeCall& call, Table* target, const char* name) : call_(call), list_(table::make(call.heap())) {
    native::set_field(call.thread(), target, name, Value::of(list_));
  }
  void add(const Value& v) { table::set_integer(call_.heap(), list_, ++count_, v); }
  void add(const std::string& text) { add(Value::of(string::make(call_.heap(), text))); }
  void add(std::int64_t n) { add(Value::from(n)); }
  void add(double n) { add(Value::from(n)); }

 private:
  NativeCall& call_;
  Table* list_;
  std::int64_t count_ = 0;
};

// data(sampler): what was recorded so far, in flat lists: frames (name, source, line), threads (id, name), nodes (parent, frame,
// thread, state, samples, seconds), lines (frame, line, seconds); `duration`, `samples`. All indices from 1.
int sampler_data(NativeCall& call) {
  const Sampler& sampler = check_sampler(call);
  Table* data = table::make(call.heap());
  call.push(Value::of(data));
  native::set_field(call.thread(), data, "duration", Value::from(seconds(sampler.duration_ns())));
  native::set_field(call.thread(), data, "samples", Value::from(static_cast<std::int64_t>(sampler.ticks())));
  FlatList frames(call, data, "frames");
  for (const Sampler::Frame& frame : sampler.frames()) {
    frames.add(frame.name);
    frames.add(frame.source);
    frames.add(frame.line);
  }
  FlatList threads(call, data, "threads");
  for (const Sampler::Thread& thread : sampler.threads()) {
    threads.add(std::int64_t{thread.id});
    threads.add(thread.name);
  }
  FlatList nodes(call, data, "nodes");
  for (const Sampler::Node& node : sampler.nodes()) {
    nodes.add(std::int64_t{node.parent} + 1);
    nodes.add(std::int64_t{node.frame} + 1);
    nodes.add(std::int64_t{node.thread} + 1);
    nodes.add(std::int64_t{node.state});
    nodes.add(static_cast<std::int64_t>(node.samples));
    nodes.add(seconds(node.self_ns));
  }
  FlatList lines(call, data, "lines");
  for (const Sampler::Line& line : sampler.lines()) {
    lines.add(std::int64_t{line.frame} + 1);
    lines.add(line.line);
    lines.add(seconds(line.self_ns));
  }
  return 1;
}

const NativeInfo kInternals[] = {
    {"data", "data(sampler)", "What was recorded.", sampler_data},
    {"start", "start(hz)", "Begins to sample.", sampler_start},
    {"stop", "stop(sampler)", "Ends it.", sampler_stop},
    {nullptr, nullptr, nullptr, nullptr},
};

constexpr std::string_view kScript =
#include "profile.inc"
    ;

}  // namespace

Table* open_profile(ThreadState& thread) {
  Table* library = table::make(thread.heap());
  run_script_part(thread, library, kInternals, kScript, "=profile");
  return library;
}

}  // namespace baton::stdlib
