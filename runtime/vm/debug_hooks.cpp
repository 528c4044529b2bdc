// When hooks fire.
//
// Line events. A line event is due at an instruction that begins a line other than that of the
// instruction traced before it *in the same function*, or that was reached by a backward jump (each
// round of a one-line loop counts), or that is a function's first. So each script frame remembers the
// position of its last traced instruction (CallFrame::scratch). When a called function returns, its
// caller still remembers the position of the call: the rest of that line is not new. When a hook is
// installed while functions run, set_hook gives all of them the positions where they are.
//
// A vararg function begins with VarargPrepare, which moves its frame: no event before it, and the
// instruction behind it counts as the first.
//
// Count events. `hook_countdown` counts instructions down and starts again when it fires.
//
// The event's name and line are ordinary arguments; debug.getinfo finds the hooked function one level
// below the hook.
#include "vm/debug_hooks.h"

#include "value/string.h"
#include "vm/call.h"
#include "vm/interpreter.h"
#include "vm/traceback.h"

namespace baton::vm {
namespace {

// If the hook raises, the marks stay: a traceback made on the way out still sees a hook, and whoever
// handles the error drops the marked frame and calls restore_hooks.
void fire(ThreadState& thread, std::string_view event, int line, int hooked_first = 0, int hooked_count = 0) {
  Coroutine* co = thread.current;
  if (!co->hooks_allowed || co->hook.is_nil()) return;
  co->hooks_allowed = false;
  co->frame->flags |= kFrameHooked;
  co->hooked_first = hooked_count != 0 ? hooked_first : 0;
  co->hooked_count = hooked_count;
  push(thread, co->hook);
  push(thread, Value::of(string::make(thread.heap(), event)));
  push(thread, line >= 0 ? Value::from(std::int64_t{line}) : Value());
  call(thread, 2, 0);
  co->hooks_allowed = true;
  co->hooked_first = co->hooked_count = 0;
  co->frame->flags &= static_cast<std::uint16_t>(~kFrameHooked);
}

bool count_is_due(Coroutine* co) noexcept {
  if ((co->hook_mask & kHookCount) == 0 || --co->hook_countdown > 0) return false;
  co->hook_countdown = co->hook_count;
  return true;
}

bool is_new_line(const Prototype* p, std::uint32_t last, std::uint32_t now) noexcept {
  if (now <= last) return true;
  return prototype::line_at(p, last) != prototype::line_at(p, now);
}

}  // namespace

void set_hook(Heap& heap, Coroutine* co, const Value& function, int mask, std::int32_t count) noexcept {
  const bool none = function.is_nil() || mask == 0;
  co->hook = none ? Value() : function;
  co->hook_mask = none ? 0 : static_cast<std::uint8_t>(mask);
  co->hook_count = count;
  co->hook_countdown = count;
  heap.barrier_back(co, co->hook);
  for (CallFrame* frame = co->frames + 1; frame <= co->frame; ++frame) {
    if (!frame->is_script()) continue;
    const std::ptrdiff_t next = frame->pc - frame->base[-1].closure()->prototype->code.items;
    frame->scratch = next > 0 ? static_cast<std::uint32_t>(next - 1) : 0;
  }
}

void restore_hooks(Coroutine* co) noexcept {
  for (const CallFrame* frame = co->frames + 1; frame <= co->frame; ++frame) {
    if ((frame->flags & kFrameHooked) != 0) return;
  }
  co->hooks_allowed = true;
}

void inherit_hook(Heap& heap, const Coroutine* creator, Coroutine* created) noexcept {
  if (creator->hook_mask != 0) set_hook(heap, created, creator->hook, creator->hook_mask, creator->hook_count);
}

void update_dispatch(ThreadState& thread) noexcept {
  const SharedState& shared = thread.shared;
  const bool traced = thread.current->hook_mask != 0 || shared.is_seeded || shared.counts_instructions();
  thread.dispatch = traced ? traced_table() : &thread.own_table;
}

void trace_instruction(ThreadState& thread, const Instruction* pc) {
  Coroutine* co = thread.current;
  if (!co->hooks_allowed) return;
  const Prototype* p = co->frame->base[-1].closure()->prototype;
  const auto now = static_cast<std::uint32_t>(pc - p->code.items);
  if (opcode_info(pc->op).base == Opcode::kVarargPrepare) {
    co->frame->scratch = now + 1;
    return;
  }
  co->frame->pc = pc + 1;  // the position that debug functions see
  if (count_is_due(co)) fire(thread, "count", -1);
  if ((co->hook_mask & kHookLine) == 0) return;
  const std::uint32_t last = now == 0 ? 0 : co->frame->scratch;
  if (is_new_line(p, last, now)) fire(thread, "line", current_line(co, co->frame));
  co->frame->scratch = now;
}

void hook_call(ThreadState& thread, bool is_tail) {
  Coroutine* co = thread.current;
  if ((co->hook_mask & kHookCall) == 0) return;
  const CallFrame* frame = co->frame;
  const int arguments = frame->is_script() ? frame->base[-1].closure()->prototype->parameter_count
                                           : static_cast<int>(co->top - frame->base);
  fire(thread, is_tail ? "tail call" : "call", -1, 1, arguments);
}

void hook_return(ThreadState& thread, const Value* first, int count) {
  const Coroutine* co = thread.current;
  if ((co->hook_mask & kHookReturn) == 0) return;
  fire(thread, "return", -1, static_cast<int>(first - co->frame->base) + 1, count);
}

}  // namespace baton::vm
