// Positions of running functions, the names under which they were called, and tracebacks.
//
// A function has no name; what is told is how its caller got hold of it: the caller's current
// instruction is looked at (variable_names.cpp). A tail call has lost its caller, a native caller has
// no instruction; then a global function's name is looked for in the loaded modules, and a script
// function is told by the line where it is defined.
#include "vm/traceback.h"

#include <cstdio>

#include "base/chunk_name.h"
#include "value/string.h"
#include "value/table.h"
#include "vm/variable_names.h"

namespace baton::vm {
namespace {

constexpr int kFirstLevels = 10;  // a long traceback shows so many of the newest functions ...
constexpr int kLastLevels = 11;   // ... and so many of the oldest

Prototype* prototype_of(const CallFrame* frame) noexcept { return frame->base[-1].closure()->prototype; }

// Position of the instruction that the script frame executes (0-based). A function that is just being
// entered stands at its first.
std::int32_t current_pc(const CallFrame* frame) noexcept {
  const std::ptrdiff_t next = frame->pc - prototype_of(frame)->code.items;
  return next > 0 ? static_cast<std::int32_t>(next - 1) : 0;
}

std::string source_name(const Prototype* p) {
  return p->source == nullptr ? "?" : chunk_display_name(p->source->view());
}

// Number of functions running on `co`.
int depth(const Coroutine* co) noexcept { return static_cast<int>(co->frame - co->frames); }

// The function of a field of `t` (string keys only): its name, or "".
std::string field_holding(const Table* t, const Value& function) {
  std::uint64_t position = 0;
  Value key, value;
  while (table::next_at(t, position, key, value)) {
    if (key.is_string() && raw_equal(value, function)) return std::string(key.string()->view());
  }
  return "";
}

std::string function_description(ThreadState& thread, const Coroutine* co, const CallFrame* frame) {
  const std::string global = loaded_function_name(thread, frame->base[-1]);
  if (!global.empty()) return global;
  const CallName name = call_name(co, frame);
  if (name.kind[0] != '\0') return std::string(name.kind) + " '" + name.name + "'";
  if (!frame->is_script()) return "?";
  const Prototype* p = prototype_of(frame);
  if (p->line_defined == 0) return "main chunk";
  return "function <" + source_name(p) + ":" + std::to_string(p->line_defined) + ">";
}

// One line of a traceback for the function of `frame`.
std::string traceback_line(ThreadState& thread, const Coroutine* co, const CallFrame* frame) {
  std::string line = "\n\t";
  const int current = current_line(co, frame);
  line += frame->is_script() ? source_name(prototype_of(frame)) : "[C]";
  if (current > 0) line += ":" + std::to_string(current);
  line += ": in " + function_description(thread, co, frame);
  if ((frame->flags & kFrameTailCall) != 0) line += "\n\t(...tail calls...)";
  return line;
}

}  // namespace

CallFrame* frame_at(const Coroutine* co, int level) noexcept {
  if (level < 0 || level >= depth(co)) return nullptr;
  return co->frame - level;
}

int current_line(const Coroutine*, const CallFrame* frame) noexcept {
  if (!frame->is_script()) return -1;
  const Prototype* p = prototype_of(frame);
  if (p->lines.size == 0) return -1;
  return static_cast<int>(prototype::line_at(p, static_cast<std::uint32_t>(current_pc(frame))));
}

std::string position_of(const Coroutine* co) {
  for (const CallFrame* frame = co->frame; frame > co->frames; --frame) {
    if (current_line(co, frame) > 0) return source_name(prototype_of(frame)) + ":" + std::to_string(current_line(co, frame));
  }
  return "";
}

std::string position_in(const Value& function, const Instruction* pc) {
  if (!function.is_closure()) return "";
  const Prototype* p = function.closure()->prototype;
  if (p->lines.size == 0 || pc <= p->code.items) return "";
  const auto index = static_cast<std::uint32_t>(pc - p->code.items) - 1;
  return source_name(p) + ":" + std::to_string(prototype::line_at(p, index));
}

std::string where(ThreadState& thread, int level) {
  const CallFrame* frame = frame_at(thread.current, level);
  if (frame == nullptr || current_line(thread.current, frame) <= 0) return "";
  return script_position(thread.current, frame);
}

std::string script_position(const Coroutine* co, const CallFrame* frame) {
  if (frame == nullptr || !frame->is_script()) return "";
  return source_name(prototype_of(frame)) + ":" + std::to_string(current_line(co, frame)) + ": ";
}

CallName callee_name(const Coroutine*, const CallFrame* frame) {
  if (frame == nullptr) return {"", ""};
  if ((frame->flags & kFrameHooked) != 0) return {"hook", "?"};
  if ((frame->flags & kFrameFinalizer) != 0) return {"metamethod", "__gc"};
  if (!frame->is_script()) return {"", ""};
  const VariableName name = called_name(prototype_of(frame), current_pc(frame));
  return {name.kind, std::string(name.name)};
}

CallName call_name(const Coroutine* co, const CallFrame* frame) {
  if ((frame->flags & kFrameTailCall) != 0 || frame <= co->frames + 1) return {"", ""};
  return callee_name(co, frame - 1);
}

std::string variable_description(ThreadState& thread, const Value* slot) {
  const CallFrame* frame = frame_at(thread.current, 0);
  if (frame == nullptr || !frame->is_script()) return "";
  Closure* function = frame->base[-1].closure();
  const Prototype* p = function->prototype;
  VariableName name;
  for (std::uint32_t i = 0; i < function->count && !name; ++i) {
    if (function->upvalues()[i]->location == slot) name = {"upvalue", upvalue_name(p, static_cast<int>(i))};
  }
  if (!name && slot >= frame->base && slot < frame->base + p->max_stack) {
    name = register_name(p, current_pc(frame), static_cast<int>(slot - frame->base));
  }
  if (!name) return "";
  return std::string(" (") + name.kind + " '" + std::string(name.name) + "')";
}

std::string loaded_name(ThreadState& thread, const Value& function) {
  std::uint64_t position = 0;
  Value key, value;
  while (table::next_at(thread.shared.loaded, position, key, value)) {
    if (!key.is_string()) continue;
    const std::string module(key.string()->view());
    if (raw_equal(value, function)) return module;
    if (!value.is_table()) continue;
    const std::string field = field_holding(value.table(), function);
    if (!field.empty()) return module == "_G" ? field : module + "." + field;
  }
  return "";
}

std::string loaded_function_name(ThreadState& thread, const Value& function) {
  const std::string name = loaded_name(thread, function);
  return name.empty() ? "" : "function '" + name + "'";
}

std::string traceback(ThreadState& thread, const Coroutine* co, const char* message, int level) {
  std::string text;
  if (message != nullptr) text = std::string(message) + "\n";
  text += "stack traceback:";
  const int last = depth(co) - 1;
  const bool long_one = last - level > kFirstLevels + kLastLevels;
  const int skip_from = level + kFirstLevels;
  for (int i = level; const CallFrame* frame = frame_at(co, i); ++i) {
    if (long_one && i == skip_from) {
      const int skipped = last - i - kLastLevels + 1;
      // One less than are skipped: so PUC Lua counts.
      text += "\n\t...\t(skipping " + std::to_string(skipped - 1) + " levels)";
      i += skipped - 1;
      continue;
    }
    text += traceback_line(thread, co, frame);
  }
  return text;
}

}  // namespace baton::vm
