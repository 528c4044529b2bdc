#include "compiler/constant_table.h"

#include <algorithm>
#include <cstring>

#include "base/hash.h"
#include "value/string.h"

namespace baton::compiler {
namespace {

constexpr std::size_t kFirstSlots = 16;
constexpr std::size_t kPieceBytes = std::size_t{1} << 18;
constexpr std::uint32_t kUnitsOfPiece = 1u << 14;  // copying a piece counts as so much work

std::uint32_t upper_half(std::uint64_t hash) { return static_cast<std::uint32_t>(hash >> 32); }

// Of a very long string only the ends are looked at; who finds an equal hash compares the bytes.
std::uint32_t hash_of(std::string_view text, std::uint64_t seed) {
  constexpr std::size_t kEnd = 4096;
  if (text.size() <= 2 * kEnd) return upper_half(hash::mix(hash::of_string(text, seed)));
  const std::uint64_t head = hash::of_string(text.substr(0, kEnd), seed + text.size());
  return upper_half(hash::mix(hash::of_string(text.substr(text.size() - kEnd), head)));
}

}  // namespace

using syntax::LiteralKind;

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
  if (text.size() > kShortStringMax) return long_string(text);
  make_room();  // here already: it may poll, and nobody holds the new string yet
  return enter(Value::of(string::make(heap_, text)));
}

// The slot of a constant with that hash for which equals(value) is true, or the free one where it belongs.
template <class Equals>
ConstantTable::Slot& ConstantTable::find(std::uint32_t hash, Equals equals) {
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t i = hash & mask;; i = (i + 1) & mask) {
    Slot& slot = slots_[i];
    if (slot.place == 0 || (slot.hash == hash && equals(values_[slot.place - 1]))) return slot;
  }
}

// Short strings by identity, numbers by their bits.
int ConstantTable::enter(const Value& value) {
  make_room();
  const bool is_simple = !value.is_heap() && !value.is_number();
  const std::uint64_t bits = is_simple ? 0 : value.bits;
  const std::uint32_t hash = upper_half(hash::mix(bits ^ static_cast<std::uint64_t>(value.tag) << 56));
  Slot& slot = find(hash, [&](const Value& v) { return v.tag == value.tag && (is_simple || v.bits == bits); });
  return slot.place != 0 ? static_cast<int>(slot.place - 1) : append(slot, hash, value);
}

// A new string is a constant, and so a root, before its bytes are there.
int ConstantTable::long_string(std::string_view text) {
  make_room();
  const std::uint32_t hash = hash_of(text, heap_.seed());
  Slot& slot = find(hash, [&](const Value& v) { return v.tag == Tag::kLongString && v.string()->view() == text; });
  if (slot.place != 0) return static_cast<int>(slot.place - 1);
  String* made = string::make_uninitialised(heap_, text.size());
  const int index = append(slot, hash, Value::of(made));
  for (std::size_t done = 0; done < text.size(); done += kPieceBytes) {
    const std::size_t bytes = std::min(kPieceBytes, text.size() - done);
    std::memcpy(made->mutable_data() + done, text.data() + done, bytes);
    if (bytes == kPieceBytes) pieces_.count(kUnitsOfPiece);
  }
  return index;
}

int ConstantTable::append(Slot& slot, std::uint32_t hash, const Value& value) {
  values_.push_back(value);
  slot = {hash, static_cast<std::uint32_t>(values_.size())};
  return static_cast<int>(values_.size()) - 1;
}

void ConstantTable::make_room() {
  if (BATON_LIKELY(values_.size() < slots_.size() / 2)) return;
  std::vector<Slot> old = std::move(slots_);
  slots_.assign(std::max(kFirstSlots, old.size() * 2), Slot{});
  for (const Slot& slot : old) {
    if (slot.place != 0) find(slot.hash, [](const Value&) { return false; }) = slot;
    pieces_.count();
  }
}

}  // namespace baton::compiler
