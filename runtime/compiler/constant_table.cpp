#include "compiler/constant_table.h"

#include "base/hash.h"
#include "value/string.h"

namespace baton::compiler {

using syntax::LiteralKind;

std::size_t ConstantTable::KeyHash::operator()(const Key& key) const noexcept {
  return static_cast<std::size_t>(hash::mix(key.bits ^ static_cast<std::uint64_t>(key.tag) << 56));
}

int ConstantTable::index(const syntax::LiteralExpression& literal) {
  switch (literal.literal) {
    case LiteralKind::kNil: return enter(Value::nil());
    case LiteralKind::kFalse: return enter(Value::boolean(false));
    case LiteralKind::kTrue: return enter(Value::boolean(true));
    case LiteralKind::kInteger: return enter(Value::from(literal.integer));
    case LiteralKind::kFloat: return enter(Value::from(literal.number));
    default: return string(literal.string);
  }
}

int ConstantTable::string(std::string_view text) {
  if (text.size() <= kShortStringMax) return enter(Value::of(string::make(heap_, text)));
  const auto found = long_strings_.find(text);
  if (found != long_strings_.end()) return found->second;
  const String* made = string::make(heap_, text);
  const int index = enter(Value::of(made));
  long_strings_.emplace(made->view(), index);
  return index;
}

int ConstantTable::enter(const Value& value) {
  const bool is_simple = !value.is_heap() && !value.is_number();
  const Key key{is_simple ? 0 : value.bits, value.tag};
  const auto [place, is_new] = indices_.try_emplace(key, static_cast<int>(values_.size()));
  if (is_new) values_.push_back(value);
  return place->second;
}

}  // namespace baton::compiler
