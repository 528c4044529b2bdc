// Scopes while parsing: functions, blocks, local variables, upvalues, labels and pending jumps.
//
// Invariant: `FunctionScope::active` is the innermost active local; following LocalVariable::outer gives all active locals
//   of the function, innermost first. Declared locals that are not active yet are counted but not found.
// Invariant: a jump is pending until the block it is in, or one around it in the same function, shows its label.
// Owner: the parser; everything lives in the arena. Threading: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/arena.h"
#include "syntax/ast.h"
#include "syntax/lexer.h"

namespace baton::syntax {

// A label that can be jumped to from here.
struct VisibleLabel {
  Label* label;
  VisibleLabel* outer;
};

// An open block.
struct BlockScope {
  Block* node;
  BlockScope* outer;
  VisibleLabel* labels;     // those visible before the block
  std::size_t first_jump;   // jumps pending before the block
};

// An open function.
struct FunctionScope {
  FunctionNode* node;
  FunctionScope* outer;
  BlockScope* block = nullptr;
  LocalVariable* active = nullptr;
  VisibleLabel* labels = nullptr;
  std::size_t declared = 0;  // locals declared, active or not
  ArenaVector<LocalVariable*> locals = {};
  ArenaVector<UpvalueDescriptor> upvalues = {};
  ArenaVector<FunctionNode*> functions = {};
};

class Scopes {
 public:
  Scopes(Lexer& lexer, Arena& arena);
  Scopes(const Scopes&) = delete;
  Scopes& operator=(const Scopes&) = delete;

  // The innermost open function and block.
  FunctionScope& function() { return *function_; }
  Block* block() { return function_->block->node; }

  // Opens a function and its body block. Takes: the line of `function`, 0 for the main function.
  FunctionNode* open_function(Line line);
  // Opens the main function: variadic, with upvalue _ENV.
  FunctionNode* open_main();
  // Closes the innermost function. Raises: SyntaxError for a jump without a label.
  void close_function();

  // Opens a block in the innermost function.
  Block* open_block();
  // Closes the innermost block. Raises: SyntaxError for a jump without a label, if it is a function's body.
  void close_block();

  // Declares a local of the innermost function; it becomes visible when activated. Raises: SyntaxError at the limit.
  LocalVariable* declare(Name name);
  // Declares a loop's hidden local.
  LocalVariable* declare_hidden();
  // Makes a declared local visible in the innermost block. Takes: locals in the order of their declaration.
  void activate(LocalVariable* variable);
  // Notes that the innermost block must close a variable when it is left.
  void mark_to_be_closed();

  // Resolves a name. Returns: a new kLocal, kUpvalue, kGlobal or kConstant expression. Raises: SyntaxError at a limit.
  Expression* resolve(Name name);
  // Raises: SyntaxError if the expression is a variable that must not be assigned to. Effects: marks it as assigned.
  void check_assignable(Expression* target);

  // Adds a jump; a jump backward finds its label now, others are pending. Takes: a statement with its name and line.
  void add_jump(GotoStatement* jump);
  // Adds a label to the innermost block and directs pending jumps of the block to it. Takes: whether only empty statements
  // follow in the block. Raises: SyntaxError if it is visible already, or a jump would enter the scope of a local.
  Label* add_label(Name name, Line line, bool is_last);
  // Directs the pending breaks since `first_jump` behind the loop that just ended. Returns: null if there are none.
  Label* add_break_label(std::size_t first_jump);
  // Number of jumps pending now.
  std::size_t pending_jumps() const { return jumps_.size(); }

 private:
  struct PendingJump {
    GotoStatement* jump;
    LocalVariable* level;  // innermost local still active around the jump at the current block
  };
  struct Found {
    enum Kind : std::uint8_t { kNothing, kLocal, kConstant, kUpvalue } kind = kNothing;
    std::uint16_t upvalue = 0;
    LocalVariable* variable = nullptr;  // kLocal, kConstant: the variable; kUpvalue: its origin, null for the main _ENV
  };

  Found find(FunctionScope* function, Name name, bool from_inner);
  static Found find_local(FunctionScope& function, Name name);
  std::uint16_t add_upvalue(FunctionScope& function, Name name, const Found& in_parent);
  Expression* variable_expression(const Found& found, Name name);
  void resolve_pending(Label* label, std::size_t first_jump, bool breaks);
  void move_jumps_out(const BlockScope& block);
  [[noreturn]] void undefined_jump(const GotoStatement& jump);
  [[noreturn]] void limit_error(const FunctionScope& function, int limit, std::string_view what);

  Lexer& lexer_;
  Arena& arena_;
  FunctionScope* function_ = nullptr;
  std::vector<PendingJump> jumps_;
  std::size_t visible_labels_ = 0;
  Name environment_name_;
  Name hidden_name_;
};

}  // namespace baton::syntax
