// The coroutine library (manual 6.2).
//
// resume, yield and the function that wrap makes carry intrinsic ids: a script's call of them is executed by the interpreter.
// The functions here do the same for every other caller. A coroutine belongs to the native thread that first resumed it.
#include "all_modules.h"
#include "vm/call.h"
#include "vm/native.h"

namespace baton::stdlib {
namespace {

Coroutine* check_coroutine(NativeCall& call, int i) {
  if (!call.arg(i).is_coroutine()) call.type_error(i, "thread");
  return call.arg(i).coroutine();
}

// A coroutine that has not started and will run argument 1. Hooks belong to one coroutine: it has none.
Coroutine* make_coroutine(NativeCall& call) {
  call.check_function(1);
  Coroutine* co = coroutine::make(call.heap());
  *co->top++ = call.arg(1);
  return co;
}

int coroutine_create(NativeCall& call) { return call.result(Value::of(make_coroutine(call))); }

int coroutine_resume(NativeCall& call) {
  Coroutine* co = check_coroutine(call, 1);
  int results = 0;
  vm::ResumeResult how = vm::resume(call.thread(), co, call.count() - 1, &results);
  bool fine = how == vm::ResumeResult::kYielded || how == vm::ResumeResult::kReturned;
  call.slot(1).set_boolean(fine);
  return results + 1;
}

int wrap_step(NativeCall& call) {
  Coroutine* co = call.upvalue(1).coroutine();
  int results = 0;
  vm::ResumeResult how = vm::resume(call.thread(), co, call.count(), &results);
  if (how == vm::ResumeResult::kYielded || how == vm::ResumeResult::kReturned) return results;
  return call.fail(vm::wrap_error(call.thread(), co, how == vm::ResumeResult::kRefused));
}

const NativeInfo kWrapStep = {"wrap", "step(...)",
                              "Resumes the wrapped coroutine with the arguments and returns what it yields or returns; raises its "
                              "errors.",
                              wrap_step, Intrinsic::kCoroutineWrapStep};

int coroutine_wrap(NativeCall& call) {
  Value co = Value::of(make_coroutine(call));
  Value step = native::make(call.thread(), &kWrapStep, 1);
  step.native()->upvalues()[0] = co;
  call.heap().barrier(step.native(), co);
  return call.result(step);
}

int coroutine_yield(NativeCall& call) { return vm::yield(call.thread(), call.count()); }

const char* status_name(CoroutineStatus status) {
  switch (status) {
    case CoroutineStatus::kSuspended: return "suspended";
    case CoroutineStatus::kRunning: return "running";
    case CoroutineStatus::kNormal:
    case CoroutineStatus::kLeft: return "normal";
    default: return "dead";
  }
}

int coroutine_status(NativeCall& call) { return call.result_string(status_name(check_coroutine(call, 1)->status)); }

int coroutine_isyieldable(NativeCall& call) {
  const Coroutine* co = call.count() == 0 ? call.coroutine() : check_coroutine(call, 1);
  if (co == call.coroutine()) return call.result(Value::boolean(vm::is_yieldable(call.thread())));
  return call.result(Value::boolean(!co->is_root));
}

int coroutine_running(NativeCall& call) {
  call.push(Value::of(call.coroutine()));
  call.push(Value::boolean(call.coroutine()->is_root));
  return 2;
}

int coroutine_close(NativeCall& call) {
  Coroutine* co = check_coroutine(call, 1);
  if (co->status != CoroutineStatus::kSuspended && co->status != CoroutineStatus::kDead) {
    call.error("cannot close a %s coroutine", status_name(co->status));
  }
  if (co->thread != nullptr && co->thread != &call.thread() && co->status == CoroutineStatus::kSuspended) {
    call.error("cannot close a coroutine of native thread '%s'", co->thread->name.c_str());
  }
  if (vm::close_coroutine(call.thread(), co) == Status::kOk) return call.result(Value::boolean(true));
  call.push(Value::boolean(false));
  call.push(call.thread().pending);
  return 2;
}

const NativeInfo kFunctions[] = {
    {"close", "coroutine.close(co: thread) -> boolean, any",
     "Closes a suspended or dead coroutine: its to-be-closed variables are closed. Returns true, or false and the error that "
     "it died of or that closing raised.\n"
     "Raises: \"cannot close a running coroutine\", also for a normal one."
     R"lua(

local co = coroutine.wrap(function() end)
local c = coroutine.create(function() local x <close> = setmetatable({}, {__close = function() print "closed" end}) coroutine.yield() end)
coroutine.resume(c)
print(coroutine.close(c))
--> closed
--> true)lua",
     coroutine_close},
    {"create", "coroutine.create(f: function) -> thread",
     "A new coroutine with body f, suspended. It runs on a stack of its own and may yield from anywhere: from a metamethod, "
     "a comparator of sort, a function called by gsub."
     R"lua(

local co = coroutine.create(function(a) return a + 1 end)
print(coroutine.resume(co, 1))  --> true	2)lua",
     coroutine_create, Intrinsic::kLeaf},
    {"isyieldable", "coroutine.isyieldable(co?: thread) -> boolean",
     "Whether the coroutine (the running one by default) can yield: false in the body of a task or native thread, which no "
     "resume called."
     R"lua(

print(coroutine.isyieldable())                   --> false
print(coroutine.wrap(coroutine.isyieldable)())   --> true)lua",
     coroutine_isyieldable, Intrinsic::kLeaf},
    {"resume", "coroutine.resume(co: thread, ...: any) -> boolean, any ...",
     "Starts or continues a coroutine with the arguments. Returns true and what it yields or returns, or false and its "
     "error. False and a message, too, if it cannot be resumed: \"cannot resume dead coroutine\", \"cannot resume "
     "non-suspended coroutine\", \"cannot resume a coroutine of native thread 'X'\".\n"
     "Waits: runs the coroutine, which may wait."
     R"lua(

local co = coroutine.create(function(a) local b = coroutine.yield(a * 2) return b end)
print(coroutine.resume(co, 21))   --> true	42
print(coroutine.resume(co, "x"))  --> true	x
print(coroutine.resume(co))       --> false	cannot resume dead coroutine)lua",
     coroutine_resume, Intrinsic::kCoroutineResume},
    {"running", "coroutine.running() -> thread, boolean",
     "The running coroutine and whether it is the root of a task or native thread."
     R"lua(

print(select(2, coroutine.running()))  --> true)lua",
     coroutine_running, Intrinsic::kLeaf},
    {"status", "coroutine.status(co: thread) -> string",
     "\"running\", \"suspended\" (not started, or it yielded), \"normal\" (it resumed another one) or \"dead\"."
     R"lua(

local co = coroutine.create(print)
print(coroutine.status(co))  --> suspended)lua",
     coroutine_status, Intrinsic::kLeaf},
    {"wrap", "coroutine.wrap(f: function) -> function",
     "A function that resumes a new coroutine with body f: it returns what resume gives behind true, and raises the "
     "coroutine's errors."
     R"lua(

local function upto(n) return coroutine.wrap(function() for i = 1, n do coroutine.yield(i) end end) end
for i in upto(2) do print(i) end
--> 1
--> 2)lua",
     coroutine_wrap, Intrinsic::kLeaf},
    {"yield", "coroutine.yield(...: any) -> any ...",
     "Suspends the running coroutine; the arguments become results of the resume. Returns the arguments of the next resume. "
     "Works across metamethods, pcall, sort, gsub, load and require.\n"
     "Raises: \"attempt to yield from outside a coroutine\" in a task's or native thread's own body."
     R"lua(

local numbers = coroutine.wrap(function() table.sort({3, 1, 2}, function(a, b) coroutine.yield(a) return a < b end) end)
print(math.type(numbers()))  --> integer)lua",
     coroutine_yield, Intrinsic::kCoroutineYield},
    {nullptr, nullptr, nullptr, nullptr},
};

}  // namespace

Table* open_coroutine(ThreadState& thread) {
  Table* library = table::make(thread.heap(), 0, 8);
  native::add_functions(thread, library, kFunctions);
  return library;
}

}  // namespace baton::stdlib
