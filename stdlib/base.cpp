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
  heap.set_pause(pause);
  heap.set_step_multiplier(multiplier);
  heap.set_step_size(size);
  return mode_name(call, heap.set_mode(CollectorMode::kIncremental));
}

Value step_collector(NativeCall& call) {
  std::int64_t kilobytes = call.optional_integer(2, 0);
  bool ended = call.heap().step_explicit(kilobytes > 0 ? static_cast<std::size_t>(kilobytes) : 0);
  vm::run_finalizers(call.thread());
  return Value::boolean(ended);
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
    {"assert", "assert(v [, message, ...])",
     "Returns all its arguments if v is neither false nor nil; else raises message (any value) or \"assertion failed!\".",
     base_assert, Intrinsic::kAssert},
    {"collectgarbage", "collectgarbage([option [, arguments...]])",
     "Controls the collector: collect (0), stop, restart, count (kilobytes), step (true if a cycle ended), setpause and "
     "setstepmul (the old value), isrunning, generational and incremental (the old mode). nil inside a finalizer.",
     base_collectgarbage},
    {"dofile", "dofile([filename])",
     "Runs a file (default: standard input) and returns its results; its errors are passed on.", base_dofile},
    {"error", "error(message [, level])",
     "Raises message, any value. A string gets the position of the caller in front (level 1, default), of the caller's caller "
     "(2), and so on; 0 adds nothing.",
     base_error, Intrinsic::kError},
    {"getmetatable", "getmetatable(object)",
     "Returns the __metatable field of the object's metatable if there is one, else the metatable, else nil.",
     base_getmetatable, intrinsic_of(LibraryIntrinsic::kGetMetatable)},
    {"load", "load(chunk [, chunkname [, mode [, env]]])",
     "Compiles a string, or the pieces that a function returns until nil or \"\", to a function. mode: \"t\", \"b\" or \"bt\". "
     "Returns nil and a message if that fails.",
     base_load},
    {"loadfile", "loadfile([filename [, mode [, env]]])",
     "As load, from a file (default: standard input). A first line that starts with # is skipped.", base_loadfile},
    {"next", "next(table [, index])",
     "Returns the entry after index, as key and value, nil at the end. Raises if index is no key of the table.", base_next,
     Intrinsic::kNext},
    {"pcall", "pcall(f, ...)",
     "Calls f with the arguments. Returns true and its results, or false and the error value.", base_pcall, Intrinsic::kPcall},
    {"print", "print(...)", "Writes its arguments, as tostring gives them, to standard output, tabs between them.", base_print},
    {"rawequal", "rawequal(v1, v2)", "Whether two values are equal, without metamethods.", base_rawequal, Intrinsic::kRawEqual},
    {"rawget", "rawget(table, index)", "The value of table[index], without metamethods.", base_rawget, Intrinsic::kRawGet},
    {"rawlen", "rawlen(v)", "The length of a table or string, without metamethods.", base_rawlen,
     Intrinsic::kRawLen},
    {"rawset", "rawset(table, index, value)", "Sets table[index] without metamethods; returns the table.", base_rawset,
     Intrinsic::kBrief, brief_rawset},
    {"select", "select(n, ...)",
     "Returns the arguments from the n-th on; a negative n counts from the end; \"#\" gives their number.", base_select,
     Intrinsic::kSelect},
    {"setmetatable", "setmetatable(table, metatable)",
     "Sets or (nil) removes the table's metatable; returns the table. Raises if the old one has a __metatable field.",
     base_setmetatable, intrinsic_of(LibraryIntrinsic::kSetMetatable)},
    {"tonumber", "tonumber(e [, base])",
     "Converts to a number; with a base (2 to 36), a string to an integer. nil if that is impossible.", base_tonumber, Intrinsic::kBrief,
     brief_tonumber},
    {"tostring", "tostring(v)", "Text for any value: __tostring decides, then __name.", base_tostring, Intrinsic::kBrief,
     brief_tostring},
    {"type", "type(v)", "The name of the value's type.", base_type_of, Intrinsic::kType},
    {"warn", "warn(message, ...)",
     "Emits a warning made of the strings. \"@on\" and \"@off\" alone switch warnings on and off.", base_warn},
    {"xpcall", "xpcall(f, msgh, ...)",
     "As pcall, but the error value is what msgh returns for it; msgh runs where the error happened.", base_xpcall,
     Intrinsic::kXpcall},
    {nullptr, nullptr, nullptr, nullptr},
};

const NativeInfo kPairs = {"pairs", "pairs(t)",
                           "Returns next, t and nil, or the first three results of __pairs(t): for k, v in pairs(t).", base_pairs,
                           intrinsic_of(LibraryIntrinsic::kPairs)};
const NativeInfo kIpairs = {"ipairs", "ipairs(t)",
                            "Iterates over t[1], t[2] ... to the first nil: for i, v in ipairs(t). Honours __index.", base_ipairs,
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
