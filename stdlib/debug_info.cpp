#include "debug_info.h"

#include <climits>
#include <cstring>
#include <string>

#include "base/chunk_name.h"
#include "vm/operations.h"
#include "vm/traceback.h"

namespace baton::stdlib {

Coroutine* target_coroutine(NativeCall& call, int& shift) {
  shift = call.arg(1).is_coroutine() ? 1 : 0;
  return shift != 0 ? call.arg(1).coroutine() : call.coroutine();
}

CallFrame* frame_of_level(Coroutine* co, std::int64_t level) {
  if (level < 0 || level > INT_MAX) return nullptr;
  return vm::frame_at(co, static_cast<int>(level));
}

namespace {

// Position of the instruction that a script frame executes.
std::uint32_t position_of(const CallFrame* frame) {
  const Prototype* prototype = frame->base[-1].closure()->prototype;
  std::ptrdiff_t next = frame->pc - prototype->code.items;
  return next > 0 ? static_cast<std::uint32_t>(next - 1) : 0;
}

const char* find_extra_argument(const CallFrame* frame, std::int64_t n, Value*& slot) {
  if (!frame->is_script() || !frame->base[-1].closure()->prototype->is_vararg) return nullptr;
  if (n < -static_cast<std::int64_t>(frame->argument_count)) return nullptr;
  slot = frame->base - 1 - frame->argument_count + (-n - 1);
  return "(vararg)";
}

// End of the slots that belong to a frame: the running one's reach to the top, others' to the function they called.
Value* end_of_frame(Coroutine* co, const CallFrame* frame) { return frame == co->frame ? co->top : frame[1].base - 1; }

}  // namespace

const char* find_local(Coroutine* co, const CallFrame* frame, std::int64_t n, Value*& slot) {
  if (n < 0) return find_extra_argument(frame, n, slot);
  if (n == 0 || n > static_cast<std::int64_t>(kMaxStackSlots)) return nullptr;
  slot = frame->base + (n - 1);
  if (frame->is_script()) {
    const String* name = prototype::local_name(frame->base[-1].closure()->prototype, static_cast<int>(n), position_of(frame));
    if (name != nullptr) return name->data();
  }
  if (slot >= end_of_frame(co, frame)) return nullptr;
  return frame->is_script() ? "(temporary)" : "(C temporary)";
}

// --- getinfo -----------------------------------------------------------------------------------------------------------------

namespace {

struct Subject {
  Coroutine* coroutine;
  const CallFrame* frame;  // null: a function that is asked about by itself
  Value function;

  const Prototype* prototype() const { return function.is_closure() ? function.closure()->prototype : nullptr; }
};

class InfoTable {
 public:
  explicit InfoTable(NativeCall& call) : call_(call), table_(table::make(call.heap(), 0, 16)) { call.push(Value::of(table_)); }

  void set(const char* name, const Value& v) { native::set_field(call_.thread(), table_, name, v); }
  void set(const char* name, std::string_view text) { set(name, Value::of(string::make(call_.heap(), text))); }
  void set(const char* name, std::int64_t number) { set(name, Value::from(number)); }
  void set_flag(const char* name, bool flag) { set(name, Value::boolean(flag)); }

 private:
  NativeCall& call_;
  Table* table_;
};

void set_source(InfoTable& info, const Subject& subject) {
  const Prototype* prototype = subject.prototype();
  if (prototype == nullptr) {
    info.set("source", "=[C]");
    info.set("short_src", "[C]");
    info.set("linedefined", -1);
    info.set("lastlinedefined", -1);
    info.set("what", "C");
    return;
  }
  std::string_view source = prototype->source != nullptr ? prototype->source->view() : std::string_view("=?");
  info.set("source", source);
  info.set("short_src", chunk_display_name(source));
  info.set("linedefined", std::int64_t{prototype->line_defined});
  info.set("lastlinedefined", std::int64_t{prototype->last_line_defined});
  info.set("what", prototype->line_defined == 0 ? "main" : "Lua");
}

void set_arity(InfoTable& info, const Subject& subject) {
  const Prototype* prototype = subject.prototype();
  std::int64_t upvalues = subject.function.is_function() ? reinterpret_cast<TracedObject*>(subject.function.object)->count : 0;
  info.set("nups", upvalues);
  info.set("nparams", std::int64_t{prototype != nullptr ? prototype->parameter_count : 0});
  info.set_flag("isvararg", prototype == nullptr || prototype->is_vararg != 0);
}

void set_name(InfoTable& info, const Subject& subject) {
  vm::CallName name{"", ""};
  if (subject.frame != nullptr && (subject.frame->flags & kFrameTailCall) == 0) {
    name = vm::call_name(subject.coroutine, subject.frame);
  }
  if (name.kind[0] != '\0') info.set("name", name.name);
  info.set("namewhat", name.kind);
}

// Arguments or results that a call or return hook may look at, as numbers of local variables.
void set_transfer(InfoTable& info, const Subject& subject) {
  bool hooked = subject.frame != nullptr && (subject.frame->flags & kFrameHooked) != 0;
  info.set("ftransfer", std::int64_t{hooked ? subject.coroutine->hooked_first : 0});
  info.set("ntransfer", std::int64_t{hooked ? subject.coroutine->hooked_count : 0});
}

void set_active_lines(NativeCall& call, InfoTable& info, const Subject& subject) {
  const Prototype* prototype = subject.prototype();
  if (prototype == nullptr) return;
  Table* lines = table::make(call.heap());
  call.push(Value::of(lines));
  // The preparation of extra arguments is no line of the program.
  std::uint32_t first = prototype->is_vararg != 0 ? 1 : 0;
  for (std::uint32_t pc = first; pc < prototype->lines.size; pc++) {
    table::set_integer(call.heap(), lines, prototype->lines[pc], Value::boolean(true));
  }
  info.set("activelines", call.pop());
}

void fill(NativeCall& call, InfoTable& info, const Subject& subject, std::string_view options) {
  auto wanted = [options](char option) { return options.find(option) != std::string_view::npos; };
  if (wanted('S')) set_source(info, subject);
  if (wanted('l')) {
    bool running = subject.frame != nullptr && subject.frame->is_script();
    info.set("currentline", std::int64_t{running ? vm::current_line(subject.coroutine, subject.frame) : -1});
  }
  if (wanted('u')) set_arity(info, subject);
  if (wanted('n')) set_name(info, subject);
  if (wanted('r')) set_transfer(info, subject);
  if (wanted('t')) info.set_flag("istailcall", subject.frame != nullptr && (subject.frame->flags & kFrameTailCall) != 0);
  if (wanted('L')) set_active_lines(call, info, subject);
  if (wanted('f')) info.set("func", subject.function);
}

}  // namespace

int debug_getinfo(NativeCall& call) {
  int shift;
  Coroutine* co = target_coroutine(call, shift);
  std::string_view options = call.optional_text(shift + 2, "flnSrtu");
  if (options.starts_with('>')) call.argument_error(shift + 2, "invalid option '>'");
  Subject subject{co, nullptr, call.arg(shift + 1)};
  if (!subject.function.is_function()) {
    subject.frame = frame_of_level(co, call.check_integer(shift + 1));
    if (subject.frame == nullptr) return call.result(Value());
    subject.function = subject.frame->base[-1];
  }
  if (options.find_first_not_of("SlnrutLf") != std::string_view::npos) call.argument_error(shift + 2, "invalid option");
  InfoTable info(call);
  fill(call, info, subject, options);
  return 1;
}

}  // namespace baton::stdlib
