// The constants of one function, without duplicates.
//
// Invariant: two entries never have the same type and value; 1 and 1.0 differ, 0.0 and -0.0 differ, NaN equals itself by
// bits. Owner: the function's builder, which makes the values roots. Threading: as the heap (strings are created here).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "compiler/pieces.h"
#include "syntax/ast.h"
#include "value/heap.h"
#include "value/value.h"

namespace baton::compiler {

inline constexpr std::size_t kMaxConstants = std::size_t{1} << 26;

class ConstantTable {
 public:
  ConstantTable(Heap& heap, Pieces& pieces) : heap_(heap), pieces_(pieces) {}

  // The index of a literal's value, entering it if it is new; kMaxConstants if the table is full. Raises: kMemory, what a poll
  // throws.
  int index(const syntax::LiteralExpression& literal);
  // The index of a string. Raises: as index.
  int string(std::string_view text);

  const std::vector<Value>& values() const { return values_; }

 private:
  struct Slot {
    std::uint32_t hash;
    std::uint32_t place;  // index + 1; 0: free
  };

  template <class Equals>
  Slot& find(std::uint32_t hash, Equals equals);
  int enter(const Value& value);
  int long_string(std::string_view text);
  int append(Slot& slot, std::uint32_t hash, const Value& value);
  void make_room();

  Heap& heap_;
  Pieces& pieces_;
  std::vector<Value> values_;
  std::vector<Slot> slots_;  // a power of two of them, at most half in use: linear probing
};

}  // namespace baton::compiler
