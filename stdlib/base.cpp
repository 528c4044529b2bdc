// The basic functions (manual 6.1): values, errors, protected calls, loading, the collector.
//
// pcall, xpcall, error, assert, next, select, type, rawget and rawequal carry intrinsic ids: a script's call of them is
// executed by the interpreter without a machine frame. The functions here do the same for every other caller.
#include "all_modules.h"
#include "base/number.h"
#include "base_load.h"
#include "host/load.h"
#include "io_stream.h"
#include "vm/call.h"
#include "vm/library_intrinsics.h"
#include "vm/native.h"
#include "vm/operations.h"
#include "vm/safepoint.h"
#include "vm/string_builder.h"
#include "vm/traceback.h"

namespace baton::stdlib {
namespace {

// --- errors and protected calls ------------------------------------------------------------------------------------------

// Raises `message`, a text with the place in front of it that `level` stands for.
int raise_at_level(NativeCall& call, const Value& message, std::int64_t level) {
  if (!message.is_string() || level <= 0) return call.fail(message);
  std::string text = vm::where(call.thread(), static_cast<int>(level < 1'000'000 ? level : 1'000'000));
  text.append(message.string()->view());
  return call.fail(Value::of(string::make(call.heap(), text)));
}

int base_assert(NativeCall& call) {
  if (call.truthy(1)) return call.count();
  call.check_any(1);
  if (call.count() > 1) return raise_at_level(call, call.arg(2), 1);
  return raise_at_level(call, Value::of(string::make(call.heap(), "assertion failed!")), 1);
}

int base_error(NativeCall& call) {
  std::int64_t level = call.optional_integer(2, 1);
  return raise_at_level(call, call.arg(1), level);
}

// The results of a protected call, which stand above slot `flag_slot`, with the flag in front; or false and the error.
int protected_results(NativeCall& call, Status status, int flag_slot, int results) {
  if (status == Status::kOk) return results + 1;
  call.set_size(flag_slot);
  call.slot(flag_slot).set_boolean(false);
  call.push(call.thread().pending);
  return 2;
}

int base_pcall(NativeCall& call) {
  call.check_any(1);
  call.push(Value());
  int size = call.size();
  for (int i = size; i > 1; i--) call.slot(i) = call.slot(i - 1);
  call.slot(1).set_boolean(true);
  int results = 0;
  Status status = vm::protected_call(call.thread(), size - 2, kMultipleResults, Value(), &results);
  return protected_results(call, status, 1, results);
}

int base_xpcall(NativeCall& call) {
  Value handler = call.check_function(2);
  // f, handler, args... becomes handler, true, f, args...
  call.push(Value());
  int size = call.size();
  for (int i = size; i > 3; i--) call.slot(i) = call.slot(i - 1);
  call.slot(3) = call.slot(1);
  call.slot(1) = handler;
  call.slot(2).set_boolean(true);
  int results = 0;
  Status status = vm::protected_call(call.thread(), size - 3, kMultipleResults, handler, &results);
  return protected_results(call, status, 2, results);
}

int base_warn(NativeCall& call) {
  call.check_string(1);
  for (int i = 2; i <= call.count(); i++) call.check_string(i);
  SharedState& shared = call.shared();
  if (shared.warn == nullptr) return 0;
  for (int i = 1; i <= call.count(); i++) shared.warn(shared, call.arg(i).string()->view(), i < call.count());
  return 0;
}

// --- values --------------------------------------------------------------------------------------------------------------

// Appends what tostring gives for a value that needs no metamethod. Returns: false if it needs one.
bool print_plain(StringBuilder& line, const Value& v) {
  char digits[number::kTextBytes];
  if (v.is_string()) {
    line.append(v.string()->view());
  } else if (v.is_integer()) {
    line.append({digits, number::to_text(v.integer, digits)});
  } else if (v.is_float()) {
    line.append({digits, number::to_text(v.number, digits)});
  } else if (v.is_nil() || v.is_boolean()) {
    line.append(v.is_nil() ? "nil" : v.is_truthy() ? "true" : "false");
  } else {
    return false;
  }
  return true;
}

int base_print(NativeCall& call) {
  StringBuilder line(call.thread());
  for (int i = 1; i <= call.count(); i++) {
    if (i > 1) line.append('\t');
    const Value v = call.arg(i);
    bool own_text = v.is_string() || v.is_number() ? false : call.shared().type_metatables[static_cast<int>(base_type(v.tag))] != nullptr;
    if (!own_text && print_plain(line, v)) continue;
    call.push(Value::of(vm::to_string(call.thread(), v)));
    line.append(call.slot(call.size()).string()->view());
    call.pop();
  }
  line.append('\n');
  StreamLock lock(call.thread(), stdout);
  write_stream(call.thread(), stdout, line.view());
  return 0;
}

int base_tostring(NativeCall& call) {
  call.check_any(1);
  if (call.arg(1).is_string()) return call.result(call.arg(1));
  return call.result(Value::of(vm::to_string(call.thread(), call.arg(1))));
}

int base_tonumber(NativeCall& call) {
  if (call.none_or_nil(2)) {
    Value result;
    if (call.arg(1).is_number()) return call.result(call.arg(1));
    call.check_any(1);
    if (call.arg(1).is_string() && vm::to_number(call.arg(1), result)) return call.result(result);
    return call.result(Value());
  }
  std::int64_t base = call.check_integer(2);
  if (!call.arg(1).is_string()) call.type_error(1, "string");
  if (base < 2 || base > 36) call.argument_error(2, "base out of range");
  std::int64_t result;
  if (!number::integer_from_text(call.arg(1).string()->view(), static_cast<int>(base), result)) return call.result(Value());
  return call.result(Value::from(result));
}

int base_type_of(NativeCall& call) {
  call.check_any(1);
  return call.result_string(base_type_name(call.arg(1)));
}

int base_select(NativeCall& call) {
  if (call.arg(1).is_string() && call.arg(1).string()->length > 0 && call.arg(1).string()->data()[0] == '#') {
    return call.result(Value::from(std::int64_t{call.count() - 1}));
  }
  std::int64_t first = call.check_integer(1);
  if (first < 0) first += call.count();
  else if (first > call.count()) first = call.count();
  if (first < 1) call.argument_error(1, "index out of range");
  return call.count() - static_cast<int>(first);
}

int base_rawequal(NativeCall& call) {
  call.check_any(1);
  call.check_any(2);
  return call.result(Value::boolean(raw_equal(call.arg(1), call.arg(2))));
}

int base_rawget(NativeCall& call) {
  Table* t = call.check_table(1);
  call.check_any(2);
  return call.result(*table::get(t, call.arg(2)));
}

int base_rawset(NativeCall& call) {
  Table* t = call.check_table(1);
  call.check_any(2);
  call.check_any(3);
  vm::repeat_at_cap(call.thread(), [&] { table::set(call.heap(), t, call.arg(2), call.arg(3)); });
  return call.result(call.arg(1));
}

int base_rawlen(NativeCall& call) {
  const Value v = call.arg(1);
  if (v.is_string()) return call.result(Value::from(static_cast<std::int64_t>(v.string()->length)));
  if (!v.is_table()) call.type_error(1, "table or string");
  return call.result(Value::from(static_cast<std::int64_t>(table::length(v.table()))));
}

int base_getmetatable(NativeCall& call) {
  call.check_any(1);
  Table* metatable = vm::metatable_of(call.shared(), call.arg(1));
  if (metatable == nullptr) return call.result(Value());
  const Value& shown = vm::metamethod(call.shared(), call.arg(1), Metamethod::kMetatable);
  return call.result(shown.is_nil() ? Value::of(metatable) : shown);
}

int base_setmetatable(NativeCall& call) {
  call.check_table(1);
  bool given = call.count() >= 2 && (call.arg(2).is_nil() || call.arg(2).is_table());
  if (!given) call.type_error(2, "nil or table");
  if (!vm::metamethod(call.shared(), call.arg(1), Metamethod::kMetatable).is_nil()) {
    call.error("cannot change a protected metatable");
  }
  vm::set_metatable(call.thread(), call.arg(1), call.arg(2).is_nil() ? nullptr : call.arg(2).table());
  return call.result(call.arg(1));
}

// --- iteration -----------------------------------------------------------------------------------------------------------

int base_next(NativeCall& call) {
  Table* t = call.check_table(1);
  Value key = call.arg(2);
  Value value;
  if (!table::next(t, key, value)) return call.result(Value());
  call.push(key);
  call.push(value);
  return 2;
}

int base_pairs(NativeCall& call) {
  call.check_any(1);
  const Value metamethod = vm::metamethod(call.shared(), call.arg(1), Metamethod::kPairs);
  if (metamethod.is_nil()) {
    call.push(call.upvalue(1));
    call.push(call.arg(1));
    call.push(Value());
    return 3;
  }
  call.push(metamethod);
  call.push(call.arg(1));
  vm::call(call.thread(), 1, 3);
  return 3;
}

int ipairs_step(NativeCall& call) {
  std::int64_t i = number::add(call.check_integer(2), 1);
  Value element = vm::index_integer(call.thread(), call.arg(1), i);
  if (element.is_nil()) return call.result(element);
  call.push(Value::from(i));
  call.push(element);
  return 2;
}

int base_ipairs(NativeCall& call) {
  call.check_any(1);
  call.push(call.upvalue(1));
  call.push(call.arg(1));
  call.push(Value::from(std::int64_t{0}));
  return 3;
}

// --- brief forms ---------------------------------------------------------------------------------------------------------

int brief_tostring(SharedState& shared, Value* function, int arguments) {
  if (arguments < 1) return kNotBrief;
  const Value& v = function[1];
  if (v.is_number() && shared.type_metatables[static_cast<int>(BaseType::kNumber)] == nullptr) {
    *function = Value::of(vm::number_to_string(shared.heap, v));
    return 1;
  }
  if (!v.is_string()) return kNotBrief;
  *function = v;
  return 1;
}

int brief_tonumber(SharedState&, Value* function, int arguments) {
  if (arguments != 1) return kNotBrief;
  const Value& v = function[1];
  Value result;
  if (v.is_number()) result = v;
  else if (!v.is_string()) return kNotBrief;
  else if (!vm::to_number(v, result)) result.set_nil();
  *function = result;
  return 1;
}

int brief_rawset(SharedState& shared, Value* function, int arguments) {
  if (arguments < 3 || !function[1].is_table() || !(function[2].is_integer() || function[2].is_string())) return kNotBrief;
  if ((function[1].table()->mode & kTableFrozen) != 0) return kNotBrief;
  table::set(shared.heap, function[1].table(), function[2], function[3]);
  *function = function[1];
  return 1;
}

// --- the collector -------------------------------------------------------------------------------------------------------

Value mode_name(NativeCall& call, CollectorMode mode) {
  return Value::of(string::make(call.heap(), mode == CollectorMode::kGenerational ? "generational" : "incremental"));
}

int percent(NativeCall& call, int i) { return static_cast<int>(call.optional_integer(i, 0)); }

enum CollectorOption { kStop, kRestart, kCollect, kCount, kStep, kSetPause, kSetStepMultiplier, kIsRunning, kGenerational, kIncremental };

Value change_mode(NativeCall& call, CollectorOption option) {
  Heap& heap = call.heap();
  if (option == kGenerational) {
    heap.set_minor_multiplier(percent(call, 2));
    heap.set_major_multiplier(percent(call, 3));
    return mode_name(call, heap.set_mode(CollectorMode::kGenerational));
  }
  int pause = percent(call, 2), multiplier = percent(call, 3), size = percent(call, 4);
  if (pause != 0) heap.set_pause(pause);
  if (multiplier != 0) heap.set_step_multiplier(multiplier);
  heap.set_step_size(size);
  return mode_name(call, heap.set_mode(CollectorMode::kIncremental));
}

Value step_collector(NativeCall& call) {
  std::int64_t kilobytes = call.optional_integer(2, 0);
  return Value::boolean(vm::collect_step(call.thread(), kilobytes > 0 ? static_cast<std::size_t>(kilobytes) : 0));
}

int base_collectgarbage(NativeCall& call) {
  static const char* const kNames[] = {"stop", "restart", "collect", "count", "step", "setpause", "setstepmul", "isrunning",
                                       "generational", "incremental", nullptr};
  auto option = static_cast<CollectorOption>(call.check_option(1, "collect", kNames));
  if (vm::in_finalizer(call.thread())) return call.result(Value());
  Heap& heap = call.heap();
  const Value zero = Value::from(std::int64_t{0});
  switch (option) {
    case kStop:
    case kRestart:
      heap.set_running(option == kRestart);
      return call.result(zero);
    case kCollect:
      vm::collect_all(call.thread());
      return call.result(zero);
    case kCount: return call.result(Value::from(static_cast<double>(heap.bytes_used()) / 1024.0));
    case kStep: return call.result(step_collector(call));
    case kSetPause: return call.result(Value::from(std::int64_t{heap.set_pause(percent(call, 2))}));
    case kSetStepMultiplier: return call.result(Value::from(std::int64_t{heap.set_step_multiplier(percent(call, 2))}));
    case kIsRunning: return call.result(Value::boolean(heap.is_running()));
    default: return call.result(change_mode(call, option));
  }
}

// --- registration --------------------------------------------------------------------------------------------------------

const NativeInfo kFunctions[] = {
    {"assert", "assert(v: any, message?: any, ...: any) -> any ...",
     "Returns all its arguments if v is neither false nor nil.\n"
     "Raises: message, any value; a string gets the position in front, as by error; without one \"assertion failed!\"."
     R"lua(

print(assert(io.type(io.stdout), "no handle"))  --> file	no handle
print(pcall(assert, false))                     --> false	assertion failed!)lua",
     base_assert, Intrinsic::kAssert},
    {"collectgarbage", "collectgarbage(option?: string, ...: any) -> any",
     "Controls the collector. \"collect\" (the default): a full cycle, 0; \"count\": kilobytes in use, a float; "
     "\"step\": a step, true if a cycle ended; \"stop\", \"restart\", \"isrunning\"; \"setpause\" and "
     "\"setstepmul\" with a number: the old one; \"incremental\" and \"generational\": the old mode. Inside a "
     "finalizer it does nothing and gives nil.\n"
     "Waits: calls finalizers, which are Lua functions; they cannot wait."
     R"lua(

local before = collectgarbage "count"
local t = {} for i = 1, 1e5 do t[i] = {} end
t = nil
collectgarbage()
print(collectgarbage "count" < before + 1000)  --> true)lua",
     base_collectgarbage},
    {"dofile", "dofile(filename?: string) -> any ...",
     "Runs a file, standard input by default, and returns its results.\n"
     "Raises: what the file raises, and a message if it cannot be read or compiled.\n"
     "Waits: blocks the native thread while it reads; the lock is free."
     R"lua(

local f = io.open("settings.lua", "w")
f:write "return {size = 3}" f:close()
print(dofile("settings.lua").size)  --> 3)lua",
     base_dofile},
    {"error", "error(message?: any, level?: integer)",
     "Raises message, any value. A string gets a position in front: of the caller (level 1, the default), of the caller's "
     "caller (2) and so on; level 0 adds none."
     R"lua(

print(pcall(error, {code = 7}) == false)  --> true
print(select(2, pcall(error, "late", 0))) --> late)lua",
     base_error, Intrinsic::kError},
    {"getmetatable", "getmetatable(object: any) -> any",
     "The object's metatable, or its field __metatable if it has one; nil without a metatable."
     R"lua(

print(getmetatable("").__index == string)  --> true)lua",
     base_getmetatable, intrinsic_of(LibraryIntrinsic::kGetMetatable)},
    {"load", "load(chunk: string|function, chunkname?: string, mode?: string, env?: table) -> function?, string",
     "Compiles a chunk: a string, or the pieces that a function returns until nil or \"\". chunkname stands in messages "
     "(\"=name\" as it is, \"@path\" for a file); mode is \"t\" (text), \"b\" (binary) or \"bt\" (the default); "
     "env becomes the chunk's globals.\n"
     "Fails: nil and the message, which begins with the position."
     R"lua(

print(load("return 1 + ...", "=sum")(2))    --> 3
print(select(2, load("x = = 1", "=broken")))  --> broken:1: unexpected symbol near '=')lua",
     base_load},
    {"loadfile", "loadfile(filename?: string, mode?: string, env?: table) -> function?, string",
     "As load, from a file, standard input by default. A first line that begins with # is skipped.\n"
     "Fails: nil and a message.\n"
     "Waits: blocks the native thread while it reads; the lock is free."
     R"lua(

print(loadfile "is_not_there.script")  --> nil	cannot open is_not_there.script: No such file or directory)lua",
     base_loadfile},
    {"next", "next(table: table, index?: any) -> any, any",
     "The entry behind index as key and value, in no particular order; the first one without an index, nil at the end. "
     "Fields may be changed or removed while a table is traversed, not added.\n"
     "Raises: \"invalid key to 'next'\" if index is no key of the table."
     R"lua(

print(next {})          --> nil
print(next {10})        --> 1	10)lua",
     base_next,
     Intrinsic::kNext},
    {"pcall", "pcall(f: function, ...: any) -> boolean, any ...",
     "Calls f with the arguments. Returns true and its results, or false and the error value. f may yield and wait. A "
     "cancellation is caught, too, and raised again at the next waiting point (async.try lets it through)."
     R"lua(

print(pcall(string.rep, "x", 3))        --> true	xxx
print(pcall(error, "no", 0))            --> false	no)lua",
     base_pcall, Intrinsic::kPcall},
    {"print", "print(...: any)",
     "Writes its arguments to standard output as tostring gives them, with tabs between them and a line end. All of a call "
     "is written at once: lines of native threads do not mix."
     R"lua(

print(1, "two", nil)  --> 1	two	nil)lua",
     base_print},
    {"rawequal", "rawequal(v1: any, v2: any) -> boolean",
     "Whether two values are equal, without metamethods."
     R"lua(

print(rawequal({}, {}))  --> false)lua",
     base_rawequal, Intrinsic::kRawEqual},
    {"rawget", "rawget(table: table, index: any) -> any",
     "The value of table[index], without metamethods."
     R"lua(

print(rawget(setmetatable({}, {__index = {x = 1}}), "x"))  --> nil)lua",
     base_rawget, Intrinsic::kRawGet},
    {"rawlen", "rawlen(v: table|string) -> integer",
     "The length of a table or string, without metamethods."
     R"lua(

print(rawlen {1, 2}, rawlen "abc")  --> 2	3)lua",
     base_rawlen,
     Intrinsic::kRawLen},
    {"rawset", "rawset(table: table, index: any, value: any) -> table",
     "Sets table[index] without metamethods and returns the table.\n"
     "Raises: \"table index is nil\", \"table index is NaN\"."
     R"lua(

print(rawset({}, "x", 1).x)  --> 1)lua",
     base_rawset,
     Intrinsic::kBrief, brief_rawset},
    {"select", "select(n: integer|string, ...: any) -> any ...",
     "The arguments from the n-th on; a negative n counts from the end, \"#\" gives their number.\n"
     "Raises: \"index out of range\" for 0 and for a negative n before the first."
     R"lua(

print(select("#", nil, nil), select(2, "a", "b", "c"))  --> 2	b	c)lua",
     base_select,
     Intrinsic::kSelect},
    {"setmetatable", "setmetatable(table: table, metatable: table?) -> table",
     "Gives the table a metatable, or with nil none, and returns the table.\n"
     "Raises: \"cannot change a protected metatable\" if the old one has a field __metatable."
     R"lua(

local Point = {__tostring = function(p) return "(" .. p.x .. ")" end}
print(setmetatable({x = 1}, Point))  --> (1))lua",
     base_setmetatable, intrinsic_of(LibraryIntrinsic::kSetMetatable)},
    {"tonumber", "tonumber(v: any, base?: integer) -> number?",
     "A number or numeral as a number; with a base (2 to 36) a string of digits as an integer. nil if it is none."
     R"lua(

print(tonumber "0x10", tonumber " 1e2 ", tonumber("zz", 36), tonumber "x")  --> 16	100.0	1295	nil)lua",
     base_tonumber, Intrinsic::kBrief,
     brief_tonumber},
    {"tostring", "tostring(v: any) -> string",
     "Text for any value: what the metamethod __tostring returns, else its name (__name, or the type) and address.\n"
     "Raises: \"'__tostring' must return a string\"."
     R"lua(

print(tostring(1.0), tostring(nil))  --> 1.0	nil)lua",
     base_tostring, Intrinsic::kBrief,
     brief_tostring},
    {"type", "type(v: any) -> string",
     "\"nil\", \"number\", \"string\", \"boolean\", \"table\", \"function\", \"thread\" (a coroutine) or "
     "\"userdata\"."
     R"lua(

print(type(print), type(coroutine.create(print)))  --> function	thread)lua",
     base_type_of, Intrinsic::kType},
    {"warn", "warn(message: string, ...: string)",
     "Writes a warning, the strings one after the other, to standard error if warnings are on (option -W). \"@on\" and "
     "\"@off\" alone switch them on and off."
     R"lua(

warn "@on"
warn("disk ", "is full")  --> stderr: Lua warning: disk is full)lua",
     base_warn},
    {"xpcall", "xpcall(f: function, handler: function, ...: any) -> boolean, any ...",
     "As pcall, but the error value is what handler returns for it; handler runs where the error happened, so "
     "debug.traceback shows the way there."
     R"lua(

print(xpcall(error, function(e) return e.code end, {code = 7}))  --> false	7)lua",
     base_xpcall,
     Intrinsic::kXpcall},
    {nullptr, nullptr, nullptr, nullptr},
};

const NativeInfo kPairs = {
    "pairs", "pairs(t: any) -> function, any, any",
    "For a generic for: all keys and values of a table in no particular order. With a metamethod __pairs its first three "
    "results."
    R"lua(

for name, value in pairs {size = 3} do print(name, value) end  --> size	3)lua",
    base_pairs,
                           intrinsic_of(LibraryIntrinsic::kPairs)};
const NativeInfo kIpairs = {
    "ipairs", "ipairs(t: any) -> function, any, integer",
    "For a generic for: the pairs 1, t[1], 2, t[2] ... up to the first nil. Metamethods are honoured."
    R"lua(

for i, v in ipairs {"a", "b", nil, "d"} do print(i, v) end
--> 1	a
--> 2	b)lua",
    base_ipairs,
                            intrinsic_of(LibraryIntrinsic::kIpairs)};
const NativeInfo kIpairsStep = {"ipairs_step", "iterator(t, i)", "One step of ipairs: i + 1 and t[i + 1], or nil.", ipairs_step,
                                Intrinsic::kIpairsStep};

void add_iterator(ThreadState& thread, const NativeInfo* info, const Value& step) {
  Value maker = native::make(thread, info, 1);
  maker.native()->upvalues()[0] = step;
  thread.heap().barrier(maker.native(), step);
  native::set_field(thread, thread.shared.globals, info->name, maker);
}

}  // namespace

Table* open_base(ThreadState& thread) {
  Table* globals = thread.shared.globals;
  native::add_functions(thread, globals, kFunctions);
  add_iterator(thread, &kPairs, native::get_field(thread, globals, "next"));
  add_iterator(thread, &kIpairs, native::make(thread, &kIpairsStep));
  native::set_field(thread, globals, "_VERSION", Value::of(string::make(thread.heap(), "Lua 5.4")));
  return globals;
}

}  // namespace baton::stdlib
