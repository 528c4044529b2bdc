// Evaluation of operators on constants while parsing.
//
// Invariant: a folded expression has exactly the value its evaluation would have; what could raise, NaN, and zero floats
// (whose sign a constant table may lose) are never folded.
// Owner: the arena. Threading: none.
#pragma once

#include "base/arena.h"
#include "syntax/ast.h"

namespace baton::syntax {

// Returns a literal for `op operand`, or null if it must be evaluated at run time. Raises: std::bad_alloc.
[[nodiscard]] LiteralExpression* fold_unary(Arena& arena, UnaryOperator op, const Expression& operand, Line line);

// Returns a literal for `left op right`, arithmetic and bitwise operators only, or null. Raises: std::bad_alloc.
[[nodiscard]] LiteralExpression* fold_binary(Arena& arena, BinaryOperator op, const Expression& left,
                                             const Expression& right, Line line);

}  // namespace baton::syntax
