// What the generator knows about an expression whose code is not finished yet.
//
// Invariant: a kPending operand's instruction is the last one emitted for the expression, and its `a` is still open: whoever
// takes the value chooses the register. Invariant: temporaries an operand names (its table, its key, its own register) are
// the topmost ones and are released in the reverse order of their reservation.
// Owner: the C++ stack of the generator. Threading: none.
#pragma once

#include <cstdint>
#include <utility>

#include "syntax/ast.h"

namespace baton::compiler {

inline constexpr int kNoJump = -1;
inline constexpr int kNoRegister = 255;

enum class OperandKind : std::uint8_t {
  kVoid,            // no expression (an empty list)
  kLiteral,         // `literal`; nothing emitted
  kLocal,           // local variable in register `info`
  kRegister,        // value in register `info`, a local's or a temporary
  kPending,         // instruction `info` computes it; its `a` is not set
  kUpvalue,         // upvalue `info`
  kIndexed,         // register `info` indexed by register `key`
  kIndexedField,    // register `info`, short string constant `key`
  kIndexedInteger,  // register `info`, integer `key` in 1..65535
  kIndexedUpvalue,  // upvalue `info`, short string constant `key`
  kCall,            // call instruction `info`, number of results not set
  kVararg,          // vararg instruction `info`, number of results not set
  kJump,            // comparison `info` that jumps if it is true
};

struct Operand {
  OperandKind kind = OperandKind::kVoid;
  int info = 0;
  int key = 0;
  syntax::Line line = 0;  // of the access that is still to be emitted
  const syntax::LiteralExpression* literal = nullptr;
  int true_list = kNoJump;   // jumps taken where the value is known to be true
  int false_list = kNoJump;  // jumps taken where the value is known to be false

  Operand() = default;
  Operand(OperandKind kind_of_operand, int information, syntax::Line at)
      : kind(kind_of_operand), info(information), line(at) {}
  static Operand of(const syntax::LiteralExpression& value) {
    Operand result(OperandKind::kLiteral, 0, value.line);
    result.literal = &value;
    return result;
  }

  bool has_jumps() const { return true_list != kNoJump || false_list != kNoJump; }
  bool is_plain_literal() const { return kind == OperandKind::kLiteral && !has_jumps(); }
  bool is_open() const { return kind == OperandKind::kCall || kind == OperandKind::kVararg; }
  bool is_numeral() const {
    return is_plain_literal() && (literal->literal == syntax::LiteralKind::kInteger ||
                                  literal->literal == syntax::LiteralKind::kFloat);
  }
  bool is_integer() const { return is_plain_literal() && literal->literal == syntax::LiteralKind::kInteger; }
  bool is_falsy_literal() const {
    return kind == OperandKind::kLiteral && (literal->literal == syntax::LiteralKind::kNil ||
                                             literal->literal == syntax::LiteralKind::kFalse);
  }
};

}  // namespace baton::compiler
