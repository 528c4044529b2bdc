// A text form of syntax trees, for golden tests and for looking at the parser's work.
//
// Invariant: equal trees give equal text; every field that steers the compiler is shown.
// Owner: none, pure functions. Threading: any thread, on a finished tree.
//
// Form: a section for each function (main first, inner functions after it, depth first), a line for each statement, and
// expressions as (kind@line operands...). Locals are name#index, where index counts the active locals before it; upvalues
// name^index; globals name. Marks: `captured`, `assigned`, `const`, `close`, `= literal` for compile-time constants.
#pragma once

#include <string>

#include "syntax/ast.h"

namespace baton::syntax {

enum class DumpLines : std::uint8_t { kShow, kHide };

// Returns the text form of a function and all functions in it. Raises: std::bad_alloc.
std::string dump(const FunctionNode& function, DumpLines lines = DumpLines::kShow);

}  // namespace baton::syntax
