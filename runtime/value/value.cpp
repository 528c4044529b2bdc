#include "value/value.h"

#include "base/number.h"
#include "value/string.h"

namespace baton {

const char* base_type_name(BaseType type) noexcept {
  static constexpr const char* kNames[kBaseTypeCount] = {"nil",   "boolean",  "userdata", "number", "string",
                                                         "table", "function", "userdata", "thread"};
  return kNames[static_cast<int>(type)];
}

bool raw_equal(const Value& a, const Value& b) noexcept {
  if (a.tag != b.tag) {
    if (!a.is_number() || !b.is_number()) return false;
    const double number = a.is_float() ? a.number : b.number;
    const std::int64_t integer = a.is_float() ? b.integer : a.integer;
    std::int64_t exact;
    return number::to_integer(number, exact) && exact == integer;
  }
  switch (a.tag) {
    case Tag::kNil:
    case Tag::kFalse:
    case Tag::kTrue:
      return true;
    case Tag::kFloat:
      return a.number == b.number;
    case Tag::kLongString:
      return string::equal(a.string(), b.string());
    default:
      return a.bits == b.bits;
  }
}

}  // namespace baton
