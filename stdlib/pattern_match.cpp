// Matches compiled patterns by backtracking.
//
// match() walks the items while there is no choice and calls itself where there is one:
//   - `?` tries with the byte first, then goes on without it in the same call;
//   - `*`, `+` take the longest run of bytes, then try the rest after each shorter one;
//   - `-` tries the rest first and takes one more byte after each failure.
// A capture's bounds are written when its items are passed. They need no undoing: the items of a capture always stand at
// the same place of the sequence, so an attempt that goes another way passes, and writes, them again.
//
// Depth: each choice, and each end of a capture, counts as one level, 200 at most, whatever the subject's length; so the
// machine stack needed is bounded by some 30 KB and a hostile pattern is the error "pattern too complex".
// Time: backtracking can take exponential time, so steps are counted and the safepoint polled after each 16 K of them.
#include <cstring>

#include "pattern.h"
#include "vm/safepoint.h"

namespace baton::stdlib::pattern {

namespace {

inline unsigned char byte_at(const char* s) noexcept { return static_cast<unsigned char>(*s); }

}  // namespace

// Looks for the first byte with memchr, which beats everything while it is rare; when too many places fail, memmem, whose
// preparation then pays, takes over.
const char* find_bytes(std::string_view text, std::string_view what) noexcept {
  if (text.size() < what.size()) return nullptr;
  const char* from = text.data();
  const std::size_t behind_first = what.size() - 1;
  const char* const last = from + (text.size() - what.size());  // the last place where it may stand
  for (std::size_t failures = 0; from <= last; ++from) {
    const char* place = static_cast<const char*>(std::memchr(from, what.front(), static_cast<std::size_t>(last - from) + 1));
    if (place == nullptr || behind_first == 0) return place;
    // A look at the last byte saves most of the calls.
    if (place[behind_first] == what.back() && std::memcmp(place + 1, what.data() + 1, behind_first - 1) == 0) return place;
    from = place;
    if (++failures >= 8 && static_cast<std::size_t>(from - text.data()) < failures * 16) {
      const auto left = static_cast<std::size_t>(last - from) + what.size();
      return static_cast<const char*>(memmem(from, left, what.data(), what.size()));
    }
  }
  return nullptr;
}

inline bool Matcher::one(const char* s, const Node* node) const noexcept {
  if (s == end_) return false;
  switch (node->kind) {
    case Kind::kByte: return byte_at(s) == node->byte;
    case Kind::kSet: return pattern_.set(node->index).has(byte_at(s));
    default: return true;
  }
}

const char* Matcher::match(const char* s, const Node* node, int depth) {
  if (BATON_UNLIKELY(depth == 0)) fail_too_complex();
  spend(1);
  for (;; ++node) {
    switch (node->kind) {
      case Kind::kEnd: return s;
      case Kind::kByte:
      case Kind::kAny:
      case Kind::kSet: {
        if (node->repeat == Repeat::kStar) return match_most(s, node, depth);
        if (node->repeat == Repeat::kLazy) return match_fewest(s, node, depth);
        const bool matches = one(s, node);
        if (node->repeat == Repeat::kPlus) return matches ? match_most(s + 1, node, depth) : nullptr;
        if (node->repeat == Repeat::kOnce) {
          if (!matches) return nullptr;
          ++s;
        } else if (matches) {
          const char* rest = match(s + 1, node + 1, depth - 1);
          if (rest != nullptr) return rest;
        }
        break;
      }
      case Kind::kLiteral:
        if (static_cast<std::size_t>(end_ - s) < node->length) return nullptr;
        if (std::memcmp(s, pattern_.source() + node->index, node->length) != 0) return nullptr;
        s += node->length;
        break;
      case Kind::kOpen:
      case Kind::kOpenPosition:
        if (BATON_UNLIKELY(--depth == 0)) fail_too_complex();
        captures_[node->byte] = {s, node->kind == Kind::kOpen ? kUnfinished : kPosition};
        break;
      case Kind::kClose:
        if (BATON_UNLIKELY(--depth == 0)) fail_too_complex();
        captures_[node->byte].length = s - captures_[node->byte].start;
        break;
      case Kind::kBalance:
        if ((s = match_balance(s, node)) == nullptr) return nullptr;
        break;
      case Kind::kFrontier:
        if (!at_frontier(s, node)) return nullptr;
        break;
      case Kind::kBack:
        if ((s = match_back(s, node)) == nullptr) return nullptr;
        break;
      case Kind::kSubjectEnd: return s == end_ ? s : nullptr;  // always the last item
      case Kind::kError: fail(node);
    }
  }
}

// Where the next poll is due in a run of bytes from s that is longer than any other work.
inline const char* Matcher::piece_end(const char* s, std::size_t bytes) const noexcept {
  return static_cast<std::size_t>(end_ - s) > bytes ? s + bytes : end_;
}

// The end of the longest run of bytes from s that match the item.
inline const char* Matcher::run_end(const char* s, const Node* node) {
  if (node->kind == Kind::kAny) return end_;
  for (;;) {
    const char* const stop = piece_end(s, vm::kPieceBytes);
    if (node->kind == Kind::kByte) {
      while (s < stop && byte_at(s) == node->byte) ++s;
    } else {
      const ByteSet set = pattern_.set(node->index);
      while (s < stop && set.has(byte_at(s))) ++s;
    }
    if (BATON_LIKELY(s < stop || stop == end_)) return s;
    vm::poll(call_.thread());
  }
}

const char* Matcher::match_most(const char* s, const Node* node, int depth) {
  const char* place = run_end(s, node);
  spend(static_cast<std::size_t>(place - s) / 16);
  if (BATON_UNLIKELY(depth == 1)) fail_too_complex();
  const Node* rest = node + 1;
  if (rest->kind == Kind::kEnd) return place;
  const int wanted = node->next_byte;
  for (;; --place) {
    if (wanted >= 0 && (place == end_ || byte_at(place) != wanted)) {
      if (node->byte2 != 0) return nullptr;
      place = static_cast<const char*>(memrchr(s, wanted, static_cast<std::size_t>(place - s)));
      if (place == nullptr) return nullptr;
    }
    const char* result = match(place, rest, depth - 1);
    if (result != nullptr || place == s) return result;
  }
}

const char* Matcher::match_fewest(const char* s, const Node* node, int depth) {
  if (BATON_UNLIKELY(depth == 1)) fail_too_complex();
  const int wanted = node->next_byte;
  for (;; ++s) {
    if (wanted >= 0 && node->kind == Kind::kAny) {
      const char* next = static_cast<const char*>(std::memchr(s, wanted, static_cast<std::size_t>(end_ - s)));
      if (next == nullptr) return nullptr;
      spend(static_cast<std::size_t>(next - s) / 64);
      s = next;
    }
    if (wanted < 0 || (s < end_ && byte_at(s) == wanted)) {
      const char* result = match(s, node + 1, depth - 1);
      if (result != nullptr) return result;
    }
    if (!one(s, node)) return nullptr;
    spend(1);
  }
}

const char* Matcher::match_balance(const char* s, const Node* node) {
  constexpr std::size_t kBytesPerStep = 8;
  if (s == end_ || byte_at(s) != node->byte) return nullptr;
  std::size_t open = 1;
  while (++s < end_) {
    const unsigned char c = byte_at(s);
    if (BATON_UNLIKELY(reinterpret_cast<std::uintptr_t>(s) % kBytesPerStep == 0)) spend(1);
    if (c == node->byte2) {
      if (--open == 0) return s + 1;
    } else if (c == node->byte) {
      ++open;
    }
  }
  return nullptr;
}

const char* Matcher::match_back(const char* s, const Node* node) {
  const Capture& capture = captures_[node->byte];
  if (capture.length < 0) return nullptr;  // a position has no bytes to find again
  const auto length = static_cast<std::size_t>(capture.length);
  if (static_cast<std::size_t>(end_ - s) < length || std::memcmp(capture.start, s, length) != 0) return nullptr;
  spend(length / 64);
  return s + length;
}

bool Matcher::at_frontier(const char* s, const Node* node) const noexcept {
  const ByteSet& set = pattern_.set(node->index);
  const unsigned char before = s == begin_ ? 0 : byte_at(s - 1);
  const unsigned char after = s == end_ ? 0 : byte_at(s);
  return !set.has(before) && set.has(after);
}

// The next place at or after s where the first item matches; null: there is none.
const char* Matcher::skip_to_start(const char* s) {
  const Node* first = pattern_.first_byte_item();
  for (;;) {
    const std::size_t overlap = first->kind == Kind::kLiteral ? first->length - 1u : 0;
    const char* const stop = piece_end(s, vm::kPieceBytes + overlap);
    const auto left = static_cast<std::size_t>(stop - s);
    const char* found = nullptr;
    if (first->kind == Kind::kByte) {
      found = static_cast<const char*>(std::memchr(s, first->byte, left));
    } else if (first->kind == Kind::kLiteral) {
      found = find_bytes({s, left}, {pattern_.source() + first->index, first->length});
    } else {
      const ByteSet set = pattern_.set(first->index);
      while (s < stop && !set.has(byte_at(s))) ++s;
      if (s < stop) found = s;
    }
    if (found != nullptr || stop == end_) return found;
    s = stop - overlap;
    vm::poll(call_.thread());
  }
}

const char* Matcher::search(const char* start, const char** found) {
  *found = start;
  if (pattern_.is_anchored()) return match_at(start);
  const bool skips = pattern_.first_byte_item() != nullptr;
  for (const char* s = start;; ++s) {
    if (skips) {
      const char* next = skip_to_start(s);
      if (next == nullptr) return nullptr;
      spend(static_cast<std::size_t>(next - s) / 16);
      s = next;
    }
    const char* result = match_at(s);
    if (result != nullptr) {
      *found = s;
      return result;
    }
    if (s == end_) return nullptr;
  }
}

void Matcher::check_capture(int i) {
  if (i >= pattern_.capture_count()) {
    if (i != 0) call_.error("invalid capture index %%%d", i + 1);
  } else if (captures_[i].length == kUnfinished) {
    call_.error("unfinished capture");
  }
}

bool Matcher::capture_bytes(int i, const char* start, const char* end, std::string_view& bytes) {
  check_capture(i);
  if (i >= pattern_.capture_count()) {
    bytes = {start, static_cast<std::size_t>(end - start)};
    return true;
  }
  if (captures_[i].length == kPosition) return false;
  bytes = {captures_[i].start, static_cast<std::size_t>(captures_[i].length)};
  return true;
}

Value Matcher::capture_value(int i, const char* start, const char* end) {
  std::string_view bytes;
  if (!capture_bytes(i, start, end, bytes)) return Value::from(position_of(captures_[i].start));
  return Value::of(call_.make_string(bytes));
}

int Matcher::push_captures(const char* start, const char* end) {
  const int count = pattern_.capture_count() == 0 ? 1 : pattern_.capture_count();
  if (count > 8) call_.reserve(count);
  for (int i = 0; i < count; ++i) call_.push(capture_value(i, start, end));
  return count;
}

void Matcher::refill() {
  budget_ = kBudget;
  vm::poll(call_.thread());
}

void Matcher::fail_too_complex() { call_.error("pattern too complex"); }

void Matcher::fail(const Node* node) {
  switch (static_cast<Fault>(node->byte)) {
    case Fault::kEndsWithEscape: call_.error("malformed pattern (ends with '%%')");
    case Fault::kMissingBracket: call_.error("malformed pattern (missing ']')");
    case Fault::kMissingBalanceArguments: call_.error("malformed pattern (missing arguments to '%%b')");
    case Fault::kMissingFrontierSet: call_.error("missing '[' after '%%f' in pattern");
    case Fault::kTooManyCaptures: call_.error("too many captures");
    case Fault::kInvalidClose: call_.error("invalid pattern capture");
    case Fault::kInvalidCaptureIndex: call_.error("invalid capture index %%%d", node->byte2);
  }
  __builtin_unreachable();
}

}  // namespace baton::stdlib::pattern
