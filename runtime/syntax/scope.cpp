// Names, labels and jumps (manual 3.3.4, 3.3.7, 3.5).
//
// Names. A name is looked up in the active locals of the innermost function, innermost first; then in its upvalues; then the
// same in the enclosing function, and what is found there becomes an upvalue of every function between. A name found nowhere
// is a field of whatever `_ENV` means at that place. A compile-time constant is found like a local, but never becomes an
// upvalue: it is copied as a value. Names are unique strings, so that they compare by address.
//
// Jumps. A `goto` to a label already seen, and still visible, goes backward and is resolved at once. Every other jump waits
// in `jumps_`, a stack shared by all open functions and blocks. When a label appears, it takes the jumps of its own block
// (those above BlockScope::first_jump) that name it. When a block ends, its pending jumps move out: from then on they count
// as leaving the block, at the level of the locals around it. So the rule "no jump into the scope of a local" is a comparison
// of two levels: where the jump stands now, and where the label does. A label followed only by empty statements counts as
// standing outside the locals of its block. A `break` is a jump that only the end of a loop takes. What still waits at the
// end of a function is an error.
#include "syntax/scope.h"

#include <algorithm>
#include <string>

namespace baton::syntax {
namespace {

// Labels, and pending jumps, that may exist at one time; the search for them is linear.
constexpr std::size_t kMaxLabels = 32767;

// How many locals are active at a level.
int depth(const LocalVariable* level) { return level == nullptr ? 0 : level->index + 1; }

bool same_name(Name left, Name right) { return left.data() == right.data(); }

}  // namespace

Scopes::Scopes(Lexer& lexer, Arena& arena)
    : lexer_(lexer), arena_(arena), environment_name_(lexer.share("_ENV")), hidden_name_(lexer.share("(for state)")) {}

// ---------------------------------------------------------------------------------------------------------------------
// Functions and blocks

FunctionNode* Scopes::open_function(Line line) {
  auto* node = arena_.make<FunctionNode>();
  node->line_defined = line;
  if (function_ != nullptr) {
    node->parent = function_->node;
    node->child_index = static_cast<std::uint32_t>(function_->functions.size());
    function_->functions.push_back(arena_, node);
  }
  function_ = arena_.make<FunctionScope>(FunctionScope{node, function_});
  node->body = open_block();
  return node;
}

FunctionNode* Scopes::open_main() {
  FunctionNode* main = open_function(0);
  main->is_vararg = true;
  function_->upvalues.push_back(arena_, UpvalueDescriptor{environment_name_});
  return main;
}

void Scopes::close_function() {
  close_block();
  FunctionNode* node = function_->node;
  node->locals = function_->locals.span();
  node->upvalues = function_->upvalues.span();
  node->functions = function_->functions.span();
  function_ = function_->outer;
}

Block* Scopes::open_block() {
  auto* node = arena_.make<Block>();
  BlockScope* outer = function_->block;
  if (outer != nullptr) {
    node->parent = outer->node;
    node->inside_to_be_closed = outer->node->inside_to_be_closed;
  }
  node->outer_local = function_->active;
  function_->block = arena_.make<BlockScope>(BlockScope{node, outer, function_->labels, jumps_.size()});
  return node;
}

void Scopes::close_block() {
  BlockScope& block = *function_->block;
  block.node->last_local = function_->active;
  function_->active = block.node->outer_local;
  function_->declared = static_cast<std::size_t>(depth(function_->active));
  for (; function_->labels != block.labels; function_->labels = function_->labels->outer) --visible_labels_;
  function_->block = block.outer;
  if (block.outer != nullptr) {
    move_jumps_out(block);
  } else if (block.first_jump < jumps_.size()) {
    undefined_jump(*jumps_[block.first_jump].jump);
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Local variables

LocalVariable* Scopes::declare(Name name) {
  if (function_->declared >= kMaxLocals) limit_error(*function_, kMaxLocals, "local variables");
  ++function_->declared;
  auto* variable = arena_.make<LocalVariable>();
  variable->name = name;
  variable->function = function_->node;
  variable->line = lexer_.last_line();
  return variable;
}

LocalVariable* Scopes::declare_hidden() {
  LocalVariable* variable = declare(hidden_name_);
  variable->hidden = true;
  return variable;
}

void Scopes::activate(LocalVariable* variable) {
  variable->index = static_cast<std::uint16_t>(depth(function_->active));
  variable->outer = function_->active;
  variable->block = block();
  function_->active = variable;
  function_->locals.push_back(arena_, variable);
  FunctionNode* node = function_->node;
  node->max_active_locals = std::max<std::uint16_t>(node->max_active_locals, variable->index + 1);
}

void Scopes::mark_to_be_closed() {
  block()->has_to_be_closed = true;
  block()->inside_to_be_closed = true;
  function_->node->has_to_be_closed = true;
}

// ---------------------------------------------------------------------------------------------------------------------
// Names

Scopes::Found Scopes::find_local(FunctionScope& function, Name name) {
  for (LocalVariable* variable = function.active; variable != nullptr; variable = variable->outer) {
    if (same_name(variable->name, name)) {
      return {variable->constant != nullptr ? Found::kConstant : Found::kLocal, 0, variable};
    }
  }
  return {};
}

// Recursion is as deep as functions are nested, which the limit of levels bounds.
Scopes::Found Scopes::find(FunctionScope* function, Name name, bool from_inner) {
  if (function == nullptr) return {};
  const Found local = find_local(*function, name);
  if (local.kind != Found::kNothing) {
    if (from_inner && local.kind == Found::kLocal) {
      local.variable->captured = true;
      local.variable->block->has_captured_local = true;
    }
    return local;
  }
  const std::span<UpvalueDescriptor> upvalues = function->upvalues.span();
  for (std::size_t i = 0; i < upvalues.size(); ++i) {
    if (same_name(upvalues[i].name, name)) return {Found::kUpvalue, static_cast<std::uint16_t>(i), upvalues[i].origin};
  }
  const Found outer = find(function->outer, name, /*from_inner=*/true);
  if (outer.kind != Found::kLocal && outer.kind != Found::kUpvalue) return outer;
  return {Found::kUpvalue, add_upvalue(*function, name, outer), outer.variable};
}

std::uint16_t Scopes::add_upvalue(FunctionScope& function, Name name, const Found& in_parent) {
  const std::size_t index = function.upvalues.size();
  if (index >= kMaxUpvalues) limit_error(function, kMaxUpvalues, "upvalues");
  UpvalueDescriptor descriptor{name};
  if (in_parent.kind == Found::kLocal) {
    descriptor.parent_local = in_parent.variable;
  } else {
    descriptor.parent_upvalue = in_parent.upvalue;
  }
  descriptor.origin = in_parent.variable;
  if (in_parent.variable != nullptr) descriptor.attribute = in_parent.variable->attribute;
  function.upvalues.push_back(arena_, descriptor);
  return static_cast<std::uint16_t>(index);
}

Expression* Scopes::variable_expression(const Found& found, Name name) {
  const Line line = lexer_.last_line();
  switch (found.kind) {
    case Found::kLocal:
      return arena_.make<LocalExpression>(found.variable, line);
    case Found::kConstant:
      return arena_.make<ConstantExpression>(found.variable, line);
    case Found::kUpvalue:
      return arena_.make<UpvalueExpression>(found.upvalue, name, line);
    case Found::kNothing:
      break;
  }
  return nullptr;
}

Expression* Scopes::resolve(Name name) {
  Expression* variable = variable_expression(find(function_, name, /*from_inner=*/false), name);
  if (variable != nullptr) return variable;
  // The main function has _ENV as an upvalue, so that this is always found.
  Expression* environment = variable_expression(find(function_, environment_name_, /*from_inner=*/false), environment_name_);
  if (const auto* constant = as_if<ConstantExpression>(environment)) {
    environment = arena_.make<LiteralExpression>(*constant->variable->constant);
  }
  return arena_.make<GlobalExpression>(name, environment, 0);
}

void Scopes::check_assignable(Expression* target) {
  LocalVariable* variable = nullptr;
  if (const auto* local = as_if<LocalExpression>(target)) {
    variable = local->variable;
  } else if (const auto* constant = as_if<ConstantExpression>(target)) {
    variable = constant->variable;
  } else if (const auto* upvalue = as_if<UpvalueExpression>(target)) {
    variable = function_->upvalues[upvalue->index].origin;
  }
  if (variable == nullptr) return;
  if (variable->attribute != Attribute::kRegular) {
    lexer_.error_here("attempt to assign to const variable '" + std::string(variable->name) + "'");
  }
  variable->assigned = true;
}

// ---------------------------------------------------------------------------------------------------------------------
// Labels and jumps

void Scopes::add_jump(GotoStatement* jump) {
  jump->active_local = function_->active;
  if (!jump->is_break) {
    for (VisibleLabel* visible = function_->labels; visible != nullptr; visible = visible->outer) {
      if (!same_name(visible->label->name, jump->name)) continue;
      jump->target = visible->label;
      jump->is_backward = true;
      ++visible->label->goto_count;
      return;
    }
  }
  if (jumps_.size() >= kMaxLabels) {
    throw SyntaxError(SyntaxErrorKind::kOverflow, "too many labels/gotos (limit is 32767)", lexer_.line());
  }
  jumps_.push_back({jump, function_->active});
}

Label* Scopes::add_label(Name name, Line line, bool is_last) {
  for (VisibleLabel* visible = function_->labels; visible != nullptr; visible = visible->outer) {
    if (same_name(visible->label->name, name)) {
      lexer_.error_here("label '" + std::string(name) + "' already defined on line " +
                        std::to_string(visible->label->line));
    }
  }
  if (visible_labels_ >= kMaxLabels) {
    throw SyntaxError(SyntaxErrorKind::kOverflow, "too many labels/gotos (limit is 32767)", lexer_.line());
  }
  auto* label = arena_.make<Label>();
  label->name = name;
  label->line = line;
  label->active_local = is_last ? block()->outer_local : function_->active;
  function_->labels = arena_.make<VisibleLabel>(VisibleLabel{label, function_->labels});
  ++visible_labels_;
  resolve_pending(label, function_->block->first_jump, /*breaks=*/false);
  return label;
}

Label* Scopes::add_break_label(std::size_t first_jump) {
  const auto is_break = [](const PendingJump& pending) { return pending.jump->is_break; };
  if (std::none_of(jumps_.begin() + static_cast<std::ptrdiff_t>(first_jump), jumps_.end(), is_break)) return nullptr;
  auto* label = arena_.make<Label>();
  label->name = token::text(token::kBreak);
  label->line = lexer_.last_line();
  label->active_local = function_->active;
  resolve_pending(label, first_jump, /*breaks=*/true);
  return label;
}

// Keeps the order of the jumps that stay, because the oldest unresolved one is reported.
void Scopes::resolve_pending(Label* label, std::size_t first_jump, bool breaks) {
  std::size_t kept = first_jump;
  for (std::size_t i = first_jump; i < jumps_.size(); ++i) {
    const PendingJump pending = jumps_[i];
    if (pending.jump->is_break != breaks || (!breaks && !same_name(pending.jump->name, label->name))) {
      jumps_[kept++] = pending;
      continue;
    }
    if (depth(pending.level) < depth(label->active_local)) {
      const LocalVariable* entered = label->active_local;
      while (depth(entered->outer) > depth(pending.level)) entered = entered->outer;
      lexer_.error_here("<goto " + std::string(label->name) + "> at line " + std::to_string(pending.jump->line) +
                        " jumps into the scope of local '" + std::string(entered->name) + "'");
    }
    pending.jump->target = label;
    ++label->goto_count;
  }
  jumps_.resize(kept);
}

void Scopes::move_jumps_out(const BlockScope& block) {
  for (std::size_t i = block.first_jump; i < jumps_.size(); ++i) jumps_[i].level = block.node->outer_local;
}

// ---------------------------------------------------------------------------------------------------------------------
// Errors

void Scopes::undefined_jump(const GotoStatement& jump) {
  const std::string line = std::to_string(jump.line);
  if (jump.is_break) lexer_.error_here("break outside loop at line " + line);
  lexer_.error_here("no visible label '" + std::string(jump.name) + "' for <goto> at line " + line);
}

void Scopes::limit_error(const FunctionScope& function, int limit, std::string_view what) {
  const Line line = function.node->line_defined;
  std::string message("too many ");
  message.append(what).append(" (limit is ").append(std::to_string(limit)).append(") in ");
  message.append(line == 0 ? std::string("main function") : "function at line " + std::to_string(line));
  lexer_.error_near_current(message);
}

}  // namespace baton::syntax
