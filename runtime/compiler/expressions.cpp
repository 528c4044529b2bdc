// Expressions but operators with two operands (manual 3.4).
//
// The left spine of an expression (`a.b.c(d).e + f + ...`) may be as long as the source. expression() descends it onto
// `spine_`, generates its innermost operand, and finishes the nodes inside out; every other operand is a recursion that the
// parser has bounded.
//
// Calls need their function and arguments in consecutive registers, so the function goes to the next free register and
// everything after it follows. The results replace it: a single result stays in that register as a temporary.
#include "compiler/generator.h"

namespace baton::compiler {

using syntax::as;
using syntax::Expression;
using syntax::ExpressionKind;
using syntax::LiteralKind;

namespace {

const Expression* left_of(const Expression& node) {
  switch (node.kind) {
    case ExpressionKind::kBinary: return as<syntax::BinaryExpression>(node).left;
    case ExpressionKind::kIndex: return as<syntax::IndexExpression>(node).object;
    case ExpressionKind::kCall: return as<syntax::CallExpression>(node).callee;
    case ExpressionKind::kMethodCall: return as<syntax::MethodCallExpression>(node).object;
    default: return nullptr;
  }
}

constexpr std::uint32_t kMaxHashHint = 65535;

}  // namespace

Operand Generator::expression(const Expression& root) {
  const std::size_t bottom = spine_.size();
  const Expression* node = &root;
  while (const Expression* left = left_of(*node)) {
    spine_.push_back(node);
    node = left;
  }
  Operand result = leaf(*node);
  while (spine_.size() > bottom) {
    node = spine_.back();
    spine_.pop_back();
    result = finish_spine(*node, result);
  }
  return result;
}

Operand Generator::finish_spine(const Expression& node, Operand left) {
  switch (node.kind) {
    case ExpressionKind::kBinary: return binary(as<syntax::BinaryExpression>(node), left);
    case ExpressionKind::kIndex: return index(as<syntax::IndexExpression>(node), left);
    case ExpressionKind::kCall: return call(as<syntax::CallExpression>(node), left);
    default: return method_call(as<syntax::MethodCallExpression>(node), left);
  }
}

Operand Generator::leaf(const Expression& node) {
  f().set_line(node.line);
  switch (node.kind) {
    case ExpressionKind::kLiteral: return Operand::of(as<syntax::LiteralExpression>(node));
    case ExpressionKind::kLocal:
      return {OperandKind::kLocal, as<syntax::LocalExpression>(node).variable->compiler_register, node.line};
    case ExpressionKind::kUpvalue:
      return {OperandKind::kUpvalue, static_cast<int>(as<syntax::UpvalueExpression>(node).index), node.line};
    case ExpressionKind::kVararg:
      return {OperandKind::kVararg, f().emit(Opcode::kVararg, kNoRegister, 1, 0, node.line), node.line};
    case ExpressionKind::kFunction: return closure(as<syntax::FunctionExpression>(node));
    case ExpressionKind::kGlobal: return global(as<syntax::GlobalExpression>(node));
    case ExpressionKind::kUnary: return unary(as<syntax::UnaryExpression>(node));
    case ExpressionKind::kConcat: return concat(as<syntax::ConcatExpression>(node));
    case ExpressionKind::kTable: return table(as<syntax::TableExpression>(node));
    default: break;
  }
  Operand inner = expression(*as<syntax::ParenthesizedExpression>(node).inner);
  discharge(inner);  // one value
  return inner;
}

// ---------------------------------------------------------------------------------------------------------------------
// Variables and accesses

Operand Generator::global(const syntax::GlobalExpression& node) {
  syntax::LiteralExpression name(LiteralKind::kString, node.line);
  name.string = node.name;
  return indexed(leaf(*node.environment), name, node.line);
}

Operand Generator::index(const syntax::IndexExpression& node, Operand object) {
  return indexed(object, *node.key, node.line);
}

// The object stays where it is until the access itself; only a key that is no literal may need code between.
Operand Generator::indexed(Operand object, const Expression& key, syntax::Line line) {
  const auto* literal = syntax::as_if<syntax::LiteralExpression>(&key);
  Operand result(OperandKind::kIndexed, 0, line);
  if (literal != nullptr && literal->literal == LiteralKind::kString) {
    result.key = short_string(literal->string);
    if (result.key >= 0) {
      const bool is_upvalue = object.kind == OperandKind::kUpvalue && !object.has_jumps();
      result.kind = is_upvalue ? OperandKind::kIndexedUpvalue : OperandKind::kIndexedField;
      result.info = is_upvalue ? object.info : to_any_register(object);
      return result;
    }
  }
  result.info = to_any_register(object);
  if (literal != nullptr && literal->literal == LiteralKind::kInteger && literal->integer >= 1 &&
      literal->integer <= UINT16_MAX) {
    result.kind = OperandKind::kIndexedInteger;
    result.key = static_cast<int>(literal->integer);
    return result;
  }
  if (literal != nullptr) {
    Operand constant = Operand::of(*literal);
    result.key = to_any_register(constant);
  } else {
    Operand variable = expression(key);
    result.key = to_any_register(variable);
  }
  return result;
}

// ---------------------------------------------------------------------------------------------------------------------
// Calls and lists

bool Generator::list_to_registers(Expressions values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    Operand value = expression(*values[i]);
    if (i + 1 == values.size() && value.is_open()) {
      set_results(value, -1);
      return true;
    }
    to_next_register(value);
  }
  return false;
}

// Takes: the last operand of a list whose other values are in registers; how many values are missing without it.
void Generator::adjust(Operand& last, int missing) {
  if (last.is_open()) {
    const int results = missing < 0 ? 0 : missing;
    if (results == 1) {
      to_next_register(last);
      return;
    }
    if (last.kind == OperandKind::kCall) f().release_down_to(f().at(last.info).a);
    set_results(last, results);
    f().reserve(results);
  } else {
    if (last.kind != OperandKind::kVoid) {
      to_next_register(last);
      --missing;
    }
    if (missing > 0) {
      f().reserve(missing);
      f().emit_nil(f().free_register() - missing, missing);
    }
  }
}

void Generator::adjusted_list(Expressions values, int count) {
  const int first = f().free_register();
  const int given = static_cast<int>(values.size());
  Operand last;
  for (int i = 0; i < given; ++i) {
    last = expression(*values[static_cast<std::size_t>(i)]);
    if (i + 1 < given) to_next_register(last);
  }
  adjust(last, count - (given == 0 ? 0 : given - 1));
  f().release_down_to(first + count);
}

Operand Generator::finish_call(int base, Expressions arguments, syntax::Line line) {
  const bool open = list_to_registers(arguments);
  const int count = open ? 0 : f().free_register() - base;  // with the function: the operand's b
  f().release_down_to(base + 1);
  f().set_line(line);
  return {OperandKind::kCall, f().emit(Opcode::kCall, base, count, 2, line), line};
}

Operand Generator::call(const syntax::CallExpression& node, Operand callee) {
  to_next_register(callee);
  return finish_call(callee.info, node.arguments, node.line);
}

Operand Generator::method_call(const syntax::MethodCallExpression& node, Operand object) {
  const int name = short_string(node.name);
  const int receiver = to_any_register(object);
  release(object);
  const int base = f().free_register();
  f().reserve(2);
  if (name >= 0) {
    f().emit(Opcode::kSelf, base, receiver, name, node.self_line);
  } else {
    syntax::LiteralExpression literal(LiteralKind::kString, node.self_line);
    literal.string = node.name;
    f().emit(Opcode::kMove, base + 1, receiver);
    f().emit_literal(literal, base);
    f().emit(Opcode::kGetTable, base, base + 1, base, node.self_line);
  }
  return finish_call(base, node.arguments, node.line);
}

// ---------------------------------------------------------------------------------------------------------------------
// Operators with one operand, concatenation, functions

Operand Generator::unary(const syntax::UnaryExpression& node) {
  Operand operand = expression(*node.operand);
  if (node.op == syntax::UnaryOperator::kNot) return negation(operand, node.line);
  const int source = to_any_register(operand);
  release(operand);
  const Opcode op = node.op == syntax::UnaryOperator::kNegate   ? Opcode::kNegate
                    : node.op == syntax::UnaryOperator::kBitNot ? Opcode::kBitNot
                                                                : Opcode::kLength;
  return {OperandKind::kPending, f().emit(op, kNoRegister, source, 0, node.line), node.line};
}

Operand Generator::concat(const syntax::ConcatExpression& node) {
  const int first = f().free_register();
  for (const Expression* operand : node.operands) {
    Operand value = expression(*operand);
    to_next_register(value);
  }
  f().release_down_to(first);
  const int count = static_cast<int>(node.operands.size());
  return {OperandKind::kPending, f().emit(Opcode::kConcat, kNoRegister, first, count, node.line), node.line};
}

Operand Generator::closure(const syntax::FunctionExpression& node) {
  const int child = f().add_child(function(*node.function));
  f().set_line(node.line);
  const int pc = f().emit(Instruction::abu(Opcode::kMakeClosure, kNoRegister, 0, static_cast<std::uint32_t>(child)), node.line);
  return {OperandKind::kPending, pc, node.line};
}

// ---------------------------------------------------------------------------------------------------------------------
// Tables

void Generator::keyed_item(int table, const syntax::TableItem& item) {
  const int first = f().free_register();
  Operand object(OperandKind::kRegister, table, item.line);
  Operand target = indexed(object, *item.key, item.line);
  Operand value = expression(*item.value);
  store(target, value, item.line);
  f().release_down_to(first);
}

// Positional items gather in registers behind the table and are stored in batches; a last open one is stored with them.
Operand Generator::table(const syntax::TableExpression& node) {
  const bool ends_open = !node.items.empty() && node.items.back().key == nullptr && is_open(*node.items.back().value);
  const std::uint32_t array = node.positional_count - (ends_open ? 1 : 0);
  const std::uint32_t hash = node.keyed_count < kMaxHashHint ? node.keyed_count : kMaxHashHint;
  if (node.items.empty()) {
    return {OperandKind::kPending, f().emit(Opcode::kNewTable, kNoRegister, 0, 0, node.line), node.line};
  }
  f().reserve(1);
  const int table = f().free_register() - 1;
  f().emit(Instruction::abu(Opcode::kNewTable, table, static_cast<int>(hash), array), node.line);
  std::uint32_t stored = 0;
  int gathered = 0;
  const auto flush = [&](int count) {
    f().emit(Instruction::abu(Opcode::kSetList, table, count, stored), f().line());
    stored += static_cast<std::uint32_t>(gathered);
    gathered = 0;
    f().release_down_to(table + 1);
  };
  for (std::size_t i = 0; i < node.items.size(); ++i) {
    const syntax::TableItem& item = node.items[i];
    pieces_.count(Pieces::kPerStatement);
    if (item.key != nullptr) {
      keyed_item(table, item);
      continue;
    }
    if (gathered == kSetListBatch) flush(gathered);
    Operand value = expression(*item.value);
    if (ends_open && i + 1 == node.items.size()) {
      set_results(value, -1);
      f().set_line(node.end_line);
      flush(0);
    } else {
      to_next_register(value);
      ++gathered;
    }
  }
  f().set_line(node.end_line);
  if (gathered > 0) flush(gathered);
  return {OperandKind::kRegister, table, node.line};
}

}  // namespace baton::compiler
