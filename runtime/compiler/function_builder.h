// The code of one function while it is generated: instructions, registers, jump lists, locals.
//
// Invariants
//  - Registers below `active_registers()` belong to active locals, those from there to `free_register()` are temporaries,
//    used as a stack.
//  - A jump without target is linked into a list through its `j` field: the index of the next jump, or kNoJump.
//  - Strings and prototypes that it refers to are roots by way of the generator, which may poll while a builder lives.
// Owner: the generator, one builder per open function. Threading: as the heap.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bytecode/instruction.h"
#include "compiler/constant_table.h"
#include "compiler/operand.h"
#include "syntax/ast.h"
#include "value/heap.h"
#include "value/prototype.h"

namespace baton::compiler {

// Where an error is: what stands before its message.
struct ChunkName {
  String* source;       // as given to load
  std::string display;  // as messages show it
};

class FunctionBuilder {
 public:
  FunctionBuilder(Heap& heap, const syntax::FunctionNode& node, FunctionBuilder* parent, const ChunkName& chunk, Pieces& pieces);
  FunctionBuilder(const FunctionBuilder&) = delete;
  FunctionBuilder& operator=(const FunctionBuilder&) = delete;

  const syntax::FunctionNode& node() const { return node_; }
  FunctionBuilder* parent() const { return parent_; }
  ConstantTable& constants() { return constants_; }

  // --- instructions ---------------------------------------------------------------------------------
  // Index of the next instruction.
  int here() const { return static_cast<int>(code_.size()); }
  Instruction& at(int pc) { return code_[static_cast<std::size_t>(pc)]; }
  // Appends an instruction with a line. Returns: its index. Raises: CompileError at the limit of instructions.
  int emit(const Instruction& instruction, syntax::Line line);
  int emit(Opcode op, int a, int b, int c, syntax::Line line) { return emit(Instruction::abc(op, a, b, c), line); }
  // As `emit`, with the line set last by `set_line`: for what cannot fail.
  int emit(Opcode op, int a, int b = 0, int c = 0) { return emit(op, a, b, c, line_); }
  int emit_wide(Opcode op, int a, std::int32_t j) { return emit(Instruction::abj(op, a, 0, j), line_); }
  // Appends a jump without target. Returns: a list of this one jump.
  int emit_jump(Opcode op, int a, int b, syntax::Line line) { return emit(Instruction::abj(op, a, b, kNoJump), line); }
  int emit_jump() { return emit_jump(Opcode::kJump, 0, 0, line_); }
  // Appends a jump back to `target`, a back-edge.
  void emit_jump_back(int target, syntax::Line line);
  // Sets `count` registers to nil, joining the instruction before if that does the same.
  void emit_nil(int first, int count);
  // Loads a literal into a register.
  void emit_literal(const syntax::LiteralExpression& literal, int target);
  // Drops the last instruction. Takes: nothing jumps behind it.
  void remove_last();
  void set_line(syntax::Line line) { line_ = line; }
  syntax::Line line() const { return line_; }

  // --- jump lists ------------------------------------------------------------------------------------
  // Appends list `more` to `list`; cheap if `more` is long and `list` short.
  void join(int& list, int more);
  // Adds one jump to a list.
  void add_jump(int& list, int jump);
  // Directs all jumps of a list. Takes: a register for the values they carry (or kNoRegister: dropped); jumps that carry
  // none go to `plain_target`.
  void patch(int list, int value_target, int value_register, int plain_target);
  void patch(int list, int target) { patch(list, target, kNoRegister, target); }
  // Directs all jumps of a list to the next instruction.
  void patch_to_here(int list);
  // States that something jumps to the next instruction.
  int mark_target();
  // Whether some jump of the list does not carry a value.
  bool needs_boolean(int list);
  // Makes the jumps of a list carry no value.
  void drop_values(int list);
  // The opposite of a conditional jump's condition.
  void negate(int pc);
  // A jump, always taken, that carries a literal as its value.
  int emit_literal_jump(const syntax::LiteralExpression& literal);

  // --- registers --------------------------------------------------------------------------------------
  int free_register() const { return free_register_; }
  int active_registers() const { return active_registers_; }
  // Takes `count` registers from the top. Raises: CompileError if a function cannot have so many.
  void reserve(int count);
  // Counts registers that an instruction uses above the top. Raises: as reserve.
  void check_registers(int count);
  // Gives back one register, if it is a temporary.
  void release(int reg);
  void release_pair(int first, int second);
  // Gives back all temporaries from `reg` on.
  void release_down_to(int reg) { free_register_ = reg; }

  // --- locals ----------------------------------------------------------------------------------------
  // Makes a local active in the next register after the active ones, which must be reserved.
  void activate(syntax::LocalVariable* variable);
  // Counts the debug scope of the last activated local from here.
  void restart_last_local();
  // Ends the scope of all locals above `active_count()` = `count`, and frees their registers.
  void leave_scope(std::size_t count);
  std::size_t active_count() const { return active_.size(); }
  // Whether an active local is captured or to be closed, so that a return must close.
  bool must_close() const;

  // --- the result --------------------------------------------------------------------------------------
  // Marks what this builder refers to, whatever colour holds it. Raises: nothing.
  void mark_values(Heap& heap) const noexcept;
  // Adds a finished inner function. Returns: its index.
  int add_child(Prototype* child);
  // Shortens jumps to jumps, and makes the prototype. Raises: kMemory, what a poll throws.
  Prototype* finish();

  [[noreturn]] void error(std::string_view message) const;

 private:
  struct ActiveLocal {
    syntax::LocalVariable* variable;
    std::size_t description;
  };

  bool carries_value(int pc);
  void set_target(int pc, int target);
  void thread_jumps();
  void fill_code(Prototype* prototype);
  void fill_constants(Prototype* prototype);
  void fill_upvalues(Prototype* prototype);
  void fill_debug(Prototype* prototype);

  Heap& heap_;
  const syntax::FunctionNode& node_;
  FunctionBuilder* parent_;
  const ChunkName& chunk_;
  Pieces& pieces_;
  Prototype* made_ = nullptr;
  ConstantTable constants_;
  std::vector<Instruction> code_;
  std::vector<std::uint32_t> lines_;
  std::vector<Prototype*> children_;
  std::vector<LocalDescription> locals_;
  std::vector<ActiveLocal> active_;
  syntax::Line line_;
  int free_register_ = 0;
  int active_registers_ = 0;
  int max_stack_ = 2;
  int last_target_ = 0;  // nothing before it may be changed for what comes after it
  bool needs_close_ = false;
};

}  // namespace baton::compiler
