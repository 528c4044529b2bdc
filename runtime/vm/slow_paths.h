// The cold halves of instructions: metamethods, errors, growth. Each works on the running script
// frame, whose pc has been saved; a register is named by its index because the stack may move.
//
// What a metamethod returns completes the instruction: a script function gets a frame with
// kFrameFinish and the interpreter goes on there; a native runs at once.
// Raises: as the operation; Next::kError only from natives that failed by return code.
#pragma once

#include "bytecode/instruction.h"
#include "vm/frames.h"
#include "vm/operations.h"

namespace baton::vm::slow {

// R[destination] = object[key]. `object` may be a register or an upvalue: messages name it.
Next get(ThreadState& thread, int destination, const Value& object, const Value& key);
// object[key] = value.
Next set(ThreadState& thread, const Value& object, const Value& key, const Value& value);
// R[a] = b op c; operands may be constants.
Next arithmetic(ThreadState& thread, Operator op, int destination, const Value& b, const Value& c);
// The operand order that the program wrote, from the hint `d` of a constant form (opcodes.def).
Next arithmetic_constant(ThreadState& thread, Operator op, const Instruction& instruction, const Value& b, const Value& c);
Next length(ThreadState& thread, int destination, const Value& operand);
// Comparisons that numbers did not decide: leave the answer in `result` and return kContinue with
// *done = true, or have pushed a metamethod's frame (*done = false).
Next equal(ThreadState& thread, const Value& a, const Value& b, bool* done, bool* result);
Next less(ThreadState& thread, const Value& a, const Value& b, bool* done, bool* result);
Next less_equal(ThreadState& thread, const Value& a, const Value& b, bool* done, bool* result);
// R[destination] = R[first] .. ... .. R[first+count-1]. Returns: kContinue or kPromote.
Next concat(ThreadState& thread, int destination, int first, int count);
// Numeric for: checks and converts R[a] .. R[a+2], sets R[a+3]. Returns whether the loop runs.
bool prepare_for(ThreadState& thread, int a);
// One more turn of a loop over floats. Returns whether it goes on.
bool step_float_for(Value* a) noexcept;
// R[a][start+i] = R[a+i]; `count` < 0: up to the open results.
void set_list(ThreadState& thread, int a, int count, std::uint32_t start);
// NewTable; `pc` is behind the instruction, whose operand u notes that it was executed and, the second time, its template.
void new_table(ThreadState& thread, const Instruction* pc, int destination, std::uint32_t slots, std::uint32_t entries);
// NewTable by template `index` of the running function.
void new_table_from(ThreadState& thread, int destination, std::uint32_t index);
void make_closure(ThreadState& thread, int destination, std::uint32_t index);
// The frame moves behind its extra arguments (frames.cpp).
void prepare_varargs(ThreadState& thread);
// R[a].. = extra arguments; `wanted` < 0: all, left open.
void get_varargs(ThreadState& thread, int a, int wanted);
// Closes upvalues and to-be-closed variables from R[a] on. Returns: kContinue or kPromote.
Next close(ThreadState& thread, int a);
// The same before a return: `count` results from R[a] on survive it; returns where they are now, null for kPromote.
Value* close_for_return(ThreadState& thread, int a, int count);
void mark_to_be_closed(ThreadState& thread, int a);
// The running frame becomes a call of R[a] with `arguments` values.
Next tail_call(ThreadState& thread, int a, int arguments);
// The safepoint behind a call: where the function begins that it entered, as back_edge, or inside the script frame to which it
// has returned. `open`: results above the registers are live, up to `top`. It raises nothing when a native has given more than
// nil and booleans: the guard of a lock, an item of a queue reach their variable.
void safepoint(ThreadState& thread, bool open);
// The safepoint before the instruction at frame->pc, one that polls or the first of a function: if something is raised, its
// position is that of this instruction. Raises: as vm::safepoint.
void back_edge(ThreadState& thread);
// The traced dispatch table's work before the instruction at `pc`.
void trace(ThreadState& thread, const Instruction* pc);

}  // namespace baton::vm::slow
