// The constants of one function, without duplicates.
//
// Invariant: two entries never have the same type and value; 1 and 1.0 differ, 0.0 and -0.0 differ, NaN equals itself by
// bits. Owner: the function's builder. Threading: as the heap (strings are created here).
#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "syntax/ast.h"
#include "value/heap.h"
#include "value/value.h"

namespace baton::compiler {

inline constexpr std::size_t kMaxConstants = std::size_t{1} << 26;

class ConstantTable {
 public:
  explicit ConstantTable(Heap& heap) : heap_(heap) {}

  // The index of a literal's value, entering it if it is new; kMaxConstants if the table is full. Raises: kMemory.
  int index(const syntax::LiteralExpression& literal);
  // The index of a string. Raises: kMemory.
  int string(std::string_view text);

  const std::vector<Value>& values() const { return values_; }

 private:
  struct Key {
    std::uint64_t bits;
    Tag tag;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const noexcept;
  };

  int enter(const Value& value);

  Heap& heap_;
  std::vector<Value> values_;
  std::unordered_map<Key, int, KeyHash> indices_;          // short strings by identity, the rest by bits
  std::unordered_map<std::string_view, int> long_strings_;  // views of the strings' own bytes
};

}  // namespace baton::compiler
