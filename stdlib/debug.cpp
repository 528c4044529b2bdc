// The debug library (manual 6.10). What running functions look like from outside is found in debug_info.cpp.
#include <cstdio>
#include <cstring>
#include <string>

#include "all_modules.h"
#include "debug_info.h"
#include "host/blocking.h"
#include "host/load.h"
#include "vm/call.h"
#include "vm/debug_hooks.h"
#include "vm/operations.h"
#include "vm/traceback.h"

namespace baton::stdlib {
namespace {

int check_int(NativeCall& call, int i) {
  std::int64_t n = call.check_integer(i);
  return n > kMaxStackSlots ? static_cast<int>(kMaxStackSlots) : n < -static_cast<std::int64_t>(kMaxStackSlots) ? -static_cast<int>(kMaxStackSlots) : static_cast<int>(n);
}

// --- local variables -------------------------------------------------------------------------------------------------------

CallFrame* check_level(NativeCall& call, Coroutine* co, int i) {
  CallFrame* frame = frame_of_level(co, call.check_integer(i));
  if (frame == nullptr) call.argument_error(i, "level out of range");
  return frame;
}

int parameter_name(NativeCall& call, const Value& function, int n) {
  const String* name = nullptr;
  if (function.is_closure() && n > 0) name = prototype::local_name(function.closure()->prototype, n, 0);
  return call.result(name != nullptr ? Value::of(name) : Value());
}

int debug_getlocal(NativeCall& call) {
  int shift;
  Coroutine* co = target_coroutine(call, shift);
  int n = check_int(call, shift + 2);
  if (call.arg(shift + 1).is_function()) return parameter_name(call, call.arg(shift + 1), n);
  CallFrame* frame = check_level(call, co, shift + 1);
  Value* slot = nullptr;
  const char* name = find_local(co, frame, n, slot);
  if (name == nullptr) return call.result(Value());
  const Value v = *slot;
  call.push_string(name);
  call.push(v);
  return 2;
}

int debug_setlocal(NativeCall& call) {
  int shift;
  Coroutine* co = target_coroutine(call, shift);
  int n = check_int(call, shift + 2);
  CallFrame* frame = check_level(call, co, shift + 1);
  call.check_any(shift + 3);
  Value* slot = nullptr;
  const char* name = find_local(co, frame, n, slot);
  if (name == nullptr) return call.result(Value());
  *slot = call.arg(shift + 3);
  call.heap().barrier_back(co, *slot);
  call.push_string(name);
  return 1;
}

// --- upvalues --------------------------------------------------------------------------------------------------------------

// The cell of upvalue n of a function, or null; `name` is "" for natives.
Value* upvalue_cell(const Value& function, int n, std::string_view& name, Object*& owner) {
  if (function.is_native()) {
    Native* native = function.native();
    if (n < 1 || static_cast<std::uint32_t>(n) > native->count) return nullptr;
    name = "";
    owner = native;
    return &native->upvalues()[n - 1];
  }
  Closure* closure = function.closure();
  if (n < 1 || static_cast<std::uint32_t>(n) > closure->count) return nullptr;
  const String* known = closure->prototype->upvalues[static_cast<std::size_t>(n) - 1].name;
  name = known != nullptr ? known->view() : "(no name)";
  Upvalue* upvalue = closure->upvalues()[n - 1];
  owner = upvalue;
  return upvalue->location;
}

int debug_getupvalue(NativeCall& call) {
  int n = check_int(call, 2);
  std::string_view name;
  Object* owner;
  const Value* cell = upvalue_cell(call.check_function(1), n, name, owner);
  if (cell == nullptr) return 0;
  call.push_string(name);
  call.push(*cell);
  return 2;
}

int debug_setupvalue(NativeCall& call) {
  call.check_any(3);
  int n = check_int(call, 2);
  std::string_view name;
  Object* owner;
  const Value function = call.check_function(1);
  Value* cell = upvalue_cell(function, n, name, owner);
  if (cell == nullptr || function.is_native()) return 0;  // a native relies on what it keeps there
  *cell = call.arg(3);
  call.heap().barrier(owner, *cell);
  return call.result_string(name);
}

// What makes an upvalue itself: the cell of a script function, the place of a native's. Null: no such upvalue.
void* upvalue_identity(const Value& function, int n) {
  std::string_view name;
  Object* owner;
  Value* cell = upvalue_cell(function, n, name, owner);
  if (cell == nullptr) return nullptr;
  return function.is_closure() ? static_cast<void*>(owner) : static_cast<void*>(cell);
}

int debug_upvalueid(NativeCall& call) {
  int n = check_int(call, 2);
  void* identity = upvalue_identity(call.check_function(1), n);
  return call.result(identity != nullptr ? Value::light(identity) : Value());
}

int check_upvalue(NativeCall& call, int function_index, int number_index) {
  int n = check_int(call, number_index);
  if (upvalue_identity(call.check_function(function_index), n) == nullptr) {
    call.argument_error(number_index, "invalid upvalue index");
  }
  return n;
}

int debug_upvaluejoin(NativeCall& call) {
  int to = check_upvalue(call, 1, 2), from = check_upvalue(call, 3, 4);
  if (!call.arg(1).is_closure()) call.argument_error(1, "Lua function expected");
  if (!call.arg(3).is_closure()) call.argument_error(3, "Lua function expected");
  Closure* closure = call.arg(1).closure();
  Upvalue* shared = call.arg(3).closure()->upvalues()[from - 1];
  closure->upvalues()[to - 1] = shared;
  call.heap().barrier(closure, shared);
  return 0;
}

// --- hooks -----------------------------------------------------------------------------------------------------------------

int parse_mask(std::string_view text, std::int64_t count) {
  int mask = 0;
  if (text.find('c') != std::string_view::npos) mask |= vm::kHookCall;
  if (text.find('r') != std::string_view::npos) mask |= vm::kHookReturn;
  if (text.find('l') != std::string_view::npos) mask |= vm::kHookLine;
  return count > 0 ? mask | vm::kHookCount : mask;
}

int debug_sethook(NativeCall& call) {
  int shift;
  Coroutine* co = target_coroutine(call, shift);
  if (call.none_or_nil(shift + 1)) {
    vm::set_hook(call.heap(), co, Value(), 0, 0);
  } else {
    std::string_view mask = call.check_text(shift + 2);
    const Value function = call.check_function(shift + 1);
    std::int64_t count = call.optional_integer(shift + 3, 0);
    auto steps = static_cast<std::int32_t>(count < 0 ? 0 : count > INT32_MAX ? INT32_MAX : count);
    vm::set_hook(call.heap(), co, function, parse_mask(mask, count), steps);
  }
  if (co == call.coroutine()) vm::update_dispatch(call.thread());
  return 0;
}

int debug_gethook(NativeCall& call) {
  int shift;
  const Coroutine* co = target_coroutine(call, shift);
  if (co->hook.is_nil()) return call.result(Value());
  std::string mask;
  if ((co->hook_mask & vm::kHookCall) != 0) mask += 'c';
  if ((co->hook_mask & vm::kHookReturn) != 0) mask += 'r';
  if ((co->hook_mask & vm::kHookLine) != 0) mask += 'l';
  call.push(co->hook);
  call.push_string(mask);
  call.push(Value::from(std::int64_t{co->hook_count}));
  return 3;
}

// --- metatables, user values, the registry ---------------------------------------------------------------------------------

int debug_getmetatable(NativeCall& call) {
  call.check_any(1);
  Table* metatable = vm::metatable_of(call.shared(), call.arg(1));
  return call.result(metatable != nullptr ? Value::of(metatable) : Value());
}

int debug_setmetatable(NativeCall& call) {
  bool given = call.count() >= 2 && (call.arg(2).is_nil() || call.arg(2).is_table());
  if (!given) call.type_error(2, "nil or table");
  Table* metatable = call.arg(2).is_table() ? call.arg(2).table() : nullptr;
  const Value object = call.arg(1);
  if (object.is_table() || object.is_userdata()) vm::set_metatable(call.thread(), object, metatable);
  else call.shared().type_metatables[static_cast<int>(base_type(object.tag))] = metatable;
  return call.result(object);
}

int debug_getregistry(NativeCall& call) { return call.result(Value::of(call.shared().registry)); }

// User value n of a userdata, or null.
Value* user_value(const Value& v, std::int64_t n) {
  Userdata* block = v.userdata();
  return n >= 1 && n <= static_cast<std::int64_t>(block->count) ? &block->user_values()[n - 1] : nullptr;
}

int debug_getuservalue(NativeCall& call) {
  std::int64_t n = call.optional_integer(2, 1);
  const Value* found = call.arg(1).is_userdata() ? user_value(call.arg(1), n) : nullptr;
  if (found == nullptr) return call.result(Value());
  call.push(*found);
  call.push(Value::boolean(true));
  return 2;
}

int debug_setuservalue(NativeCall& call) {
  std::int64_t n = call.optional_integer(3, 1);
  if (!call.arg(1).is_userdata()) call.type_error(1, "userdata");
  call.check_any(2);
  Value* place = user_value(call.arg(1), n);
  if (place == nullptr) return call.result(Value());
  *place = call.arg(2);
  call.heap().barrier(call.arg(1).userdata(), *place);
  return call.result(call.arg(1));
}

// --- tracebacks, the console -----------------------------------------------------------------------------------------------

int debug_traceback(NativeCall& call) {
  int shift;
  Coroutine* co = target_coroutine(call, shift);
  const Value message = call.arg(shift + 1);
  if (!message.is_nil() && !message.is_string() && !message.is_number()) return call.result(message);
  std::int64_t level = call.optional_integer(shift + 2, co == call.coroutine() ? 1 : 0);
  const char* text = message.is_nil() ? nullptr : call.check_string(shift + 1)->data();
  if (level < 0 || level > kMaxStackSlots) level = kMaxStackSlots;
  return call.result_string(vm::traceback(call.thread(), co, text, static_cast<int>(level)));
}

bool read_command(NativeCall& call, std::string& line) {
  std::fputs("lua_debug> ", stderr);
  std::fflush(stderr);
  line.clear();
  host::Blocking pause(call.thread(), "debug.read");
  int byte;
  while ((byte = std::getc(stdin)) != EOF && byte != '\n') line.push_back(static_cast<char>(byte));
  return byte != EOF && line != "cont";
}

int debug_console(NativeCall& call) {
  std::string line;
  while (read_command(call, line)) {
    int results = 0;
    Status status = host::load(call.thread(), line, "=(debug command)", "t");
    if (status == Status::kOk) status = vm::protected_call(call.thread(), 0, 0, Value(), &results);
    if (status != Status::kOk) {
      call.push(call.thread().pending);
      std::fprintf(stderr, "%s\n", vm::to_string(call.thread(), call.slot(call.size()))->data());
    }
    call.set_size(0);
  }
  return 0;
}

int debug_setcstacklimit(NativeCall& call) {
  call.check_integer(1);
  return call.result(Value::from(std::int64_t{kMaxNesting}));
}

// --- registration ----------------------------------------------------------------------------------------------------------

const NativeInfo kFunctions[] = {
    {"debug", "debug.debug()",
     "Reads lines from standard input and runs each, until one says cont.\n"
     "Waits: blocks the native thread while it reads; the lock is free."
     R"lua(

debug.debug()  -- standard input is at its end here
--> stderr: lua_debug>)lua",
     debug_console},
    {"gethook", "debug.gethook(co?: thread) -> function?, string, integer",
     "The coroutine's hook, its mask and its count; nothing but nil if it has none."
     R"lua(

print(debug.gethook() == nil)  --> true)lua",
     debug_gethook},
    {"getinfo", "debug.getinfo([co: thread,] f: function|integer, what?: string) -> table?",
     "A table about a function, or about the function at level f (0 is getinfo itself, 1 its caller); nil for a level that "
     "does not exist. what selects fields: S (source, short_src, what, linedefined, lastlinedefined), l (currentline), u "
     "(nups, nparams, isvararg), n (name, namewhat), r (ftransfer, ntransfer), t (istailcall), L (activelines), f (func); "
     "all but L and f by default.\n"
     "Raises: \"invalid option\" for another letter."
     R"lua(

local function f(a, b) end
local info = debug.getinfo(f, "Su")
print(info.linedefined, info.nparams)  --> 1	2)lua",
     debug_getinfo},
    {"getlocal", "debug.getlocal([co: thread,] f: function|integer, number: integer) -> string?, any",
     "Name and value of a local variable of the function at level f; negative numbers are extra arguments. For a function "
     "the name of a parameter.\n"
     "Raises: \"level out of range\"."
     R"lua(

local x = 7
print(debug.getlocal(1, 1))  --> x	7)lua",
     debug_getlocal},
    {"getmetatable", "debug.getmetatable(value: any) -> table?",
     "The value's metatable, whatever its field __metatable says."
     R"lua(

print(debug.getmetatable("").__name)  --> nil)lua",
     debug_getmetatable},
    {"getregistry", "debug.getregistry() -> table",
     "The table where libraries keep what scripts do not see."
     R"lua(

print(type(debug.getregistry()))  --> table)lua",
     debug_getregistry},
    {"getupvalue", "debug.getupvalue(f: function, number: integer) -> string?, any",
     "Name and value of an upvalue; nothing if there is none of this number. Upvalues of natives have the name \"\"."
     R"lua(

local x = 7
print(debug.getupvalue(function() return x end, 1))  --> x	7)lua",
     debug_getupvalue},
    {"getuservalue", "debug.getuservalue(u?: any, n?: integer) -> any, boolean",
     "The n-th (1) user value of a userdata and true, or nil."
     R"lua(

print(debug.getuservalue(io.stdout, 1))  --> nil)lua",
     debug_getuservalue},
    {"sethook", "debug.sethook([co: thread,] hook?: function, mask?: string, count?: integer)",
     "Calls hook(event, line) in a coroutine at calls (mask \"c\"), returns (\"r\"), new lines (\"l\") and after every "
     "count instructions. Without arguments: no hook. A hook cannot wait."
     R"lua(

local lines = 0
debug.sethook(function() lines = lines + 1 end, "l")
local x = 1
debug.sethook()
print(lines >= 2)  --> true)lua",
     debug_sethook},
    {"setlocal", "debug.setlocal([co: thread,] level: integer, number: integer, value: any) -> string?",
     "Sets a local variable of the function at a level; returns its name, or nil.\n"
     "Raises: \"level out of range\"."
     R"lua(

local x = 7
print(debug.setlocal(1, 1, 8), x)  --> x	8)lua",
     debug_setlocal},
    {"setmetatable", "debug.setmetatable(value: any, metatable: table?) -> any",
     "Sets the metatable of any value (for other types than table and userdata: of all values of the type); returns the "
     "value."
     R"lua(

debug.setmetatable(0, {__len = function(n) return n end})
print(#7)  --> 7)lua",
     debug_setmetatable},
    {"setupvalue", "debug.setupvalue(f: function, number: integer, value: any) -> string?",
     "Sets an upvalue; returns its name, nothing if there is none of this number."
     R"lua(

local x = 7
debug.setupvalue(function() return x end, 1, 8)
print(x)  --> 8)lua",
     debug_setupvalue},
    {"setuservalue", "debug.setuservalue(u: userdata, value: any, n?: integer) -> userdata?",
     "Sets the n-th (1) user value; returns the userdata, or nil if it has no such value."
     R"lua(

print(debug.setuservalue(io.stdout, 1, 1))  --> nil)lua",
     debug_setuservalue},
    {"traceback", "debug.traceback([co: thread,] message?: any, level?: integer) -> any",
     "The message with a description of the call stack below it, from a level on (1: the caller). A message that is neither "
     "string nor nil is returned as it is."
     R"lua(

print((debug.traceback("here"):match "[^\n]*\n[^\n]*"))
--> here
--> stack traceback:)lua",
     debug_traceback},
    {"upvalueid", "debug.upvalueid(f: function, number: integer) -> userdata?",
     "A light userdata that two functions have in common if they share the variable; nil if there is no such upvalue."
     R"lua(

local x
local function f() return x end
local function g() return x end
print(debug.upvalueid(f, 1) == debug.upvalueid(g, 1))  --> true)lua",
     debug_upvalueid},
    {"upvaluejoin", "debug.upvaluejoin(f1: function, n1: integer, f2: function, n2: integer)",
     "Makes upvalue n1 of f1 the same variable as upvalue n2 of f2.\n"
     "Raises: \"invalid upvalue index\"."
     R"lua(

local a, b = 1, 2
local function f() return a end
debug.upvaluejoin(f, 1, function() return b end, 1)
print(f())  --> 2)lua",
     debug_upvaluejoin},
    {"setcstacklimit", "debug.setcstacklimit(limit: integer) -> integer",
     "Changes nothing; returns the fixed limit of nested native calls."
     R"lua(

print(debug.setcstacklimit(1000))  --> 200)lua",
     debug_setcstacklimit},
    {nullptr, nullptr, nullptr, nullptr},
};

}  // namespace

Table* open_debug(ThreadState& thread) {
  Table* library = table::make(thread.heap(), 0, 32);
  native::add_functions(thread, library, kFunctions);
  return library;
}

}  // namespace baton::stdlib
