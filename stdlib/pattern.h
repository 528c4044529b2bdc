// Patterns of the language (manual 6.4.1): compiled once per call, matched by backtracking.
//
// Invariants
//  - A Pattern refers to the bytes of its source string and, while matching, to those of the subject: the caller keeps
//    both strings reachable.
//  - A malformed pattern compiles: its error is raised when matching reaches the malformed place, as the reference
//    implementation does, so `("b"):find("a(")` is nil and no error.
//  - After a compile a Pattern is never written, so matches of one Pattern may be nested and interleaved.
// Owner: a native's local variable, or the userdata of a gmatch iterator. Threading: under the GIL.
#pragma once

#include <cstdint>
#include <string_view>

#include "vm/native.h"

namespace baton::stdlib::pattern {

inline constexpr int kMaxCaptures = 32;
inline constexpr int kMaxDepth = 200;  // nested choices; beyond it "pattern too complex"

// Capture::length of captures without bytes.
inline constexpr std::ptrdiff_t kUnfinished = -1;
inline constexpr std::ptrdiff_t kPosition = -2;

struct Capture {
  const char* start;
  std::ptrdiff_t length;
};

enum class Kind : std::uint8_t {
  kEnd,
  kByte,         // one byte `byte`
  kAny,          // one byte
  kSet,          // one byte of set `index`
  kLiteral,      // `length` bytes at source + index
  kOpen,         // capture `byte` begins
  kOpenPosition, // capture `byte` is a position
  kClose,        // capture `byte` ends
  kBalance,      // %bxy: `byte`, then `byte2`
  kFrontier,     // %f, set `index`
  kBack,         // %1: capture `byte`
  kSubjectEnd,   // $ at the end
  kError,        // malformed from here on: Fault `byte`
};

enum class Repeat : std::uint8_t { kOnce, kOptional, kStar, kPlus, kLazy };

struct Node {
  Kind kind;
  Repeat repeat;
  std::uint8_t byte;
  std::uint8_t byte2;      // of a repeated item: 1 if it can not match next_byte, so that only whole runs count
  std::int16_t next_byte;  // the byte that must follow this item, -1: unknown. Valid for repeated items
  std::uint16_t length;
  std::uint32_t index;
};

// A set of bytes.
struct ByteSet {
  std::uint64_t words[4];
  bool has(unsigned char c) const noexcept { return (words[c >> 6] >> (c & 63)) & 1; }
  void add(unsigned char c) noexcept { words[c >> 6] |= std::uint64_t{1} << (c & 63); }
};

// What a malformed pattern says when matching reaches it (Node::byte of kError; byte2 is the capture's number).
enum class Fault : std::uint8_t {
  kEndsWithEscape,
  kMissingBracket,
  kMissingBalanceArguments,
  kMissingFrontierSet,
  kTooManyCaptures,
  kInvalidClose,
  kInvalidCaptureIndex,
};

enum class Anchors : std::uint8_t { kYes, kNo };  // whether a leading ^ is an anchor (not so in gmatch)

// A compiled pattern; its items lie in storage that somebody else owns.
class Pattern {
 public:
  // Bytes of storage that any pattern of this length fits in, aligned as ByteSet is.
  static constexpr std::size_t storage_bytes(std::size_t length) noexcept {
    return sizeof(ByteSet) * (length / 2 + 1) + sizeof(Node) * (length + 1);
  }

  // Compiles `source`, whose bytes stay referred to, into `storage`. Raises: nothing.
  Pattern(void* storage, std::string_view source, Anchors anchors) noexcept;
  Pattern(const Pattern&) = delete;
  Pattern& operator=(const Pattern&) = delete;

  bool is_anchored() const noexcept { return anchored_; }
  int capture_count() const noexcept { return capture_count_; }
  const Node* nodes() const noexcept { return nodes_; }
  const ByteSet& set(std::uint32_t i) const noexcept { return sets_[i]; }
  const char* source() const noexcept { return source_.data(); }
  // The first item that must match a byte, for skipping starts that cannot match; null: none.
  const Node* first_byte_item() const noexcept { return first_; }

 private:
  friend class Compiler;

  std::string_view source_;
  ByteSet* sets_;
  Node* nodes_;
  const Node* first_ = nullptr;
  int capture_count_ = 0;
  bool anchored_ = false;
};

// The compiled pattern of one call. Short ones come from a cache of the native thread, since programs use few patterns
// again and again; others are compiled on the machine stack or into a buffer of the heap.
// Invariant: while a PatternUse exists, the cache leaves its entry alone, whatever other coroutines match meanwhile.
class PatternUse {
 public:
  // Compiles `source` with anchors, or finds it compiled; its bytes stay referred to. Raises: kMemory.
  PatternUse(Heap& heap, std::string_view source);
  ~PatternUse();
  PatternUse(const PatternUse&) = delete;
  PatternUse& operator=(const PatternUse&) = delete;
  const Pattern& pattern() const noexcept { return *pattern_; }

 private:
  static constexpr std::size_t kInlineLength = 24;  // longest source compiled on the machine stack

  const Pattern* pattern_;
  std::uint32_t* users_ = nullptr;  // of the entry of the cache
  Heap& heap_;
  void* buffer_ = nullptr;
  std::size_t buffer_bytes_ = 0;
  alignas(Pattern) char place_[sizeof(Pattern)];
  alignas(16) char inline_[Pattern::storage_bytes(kInlineLength)];
};

// The first place in `text` where the bytes of `what` (at least one) stand, or null. Linear time. Raises: nothing.
const char* find_bytes(std::string_view text, std::string_view what) noexcept;

// One matching of a pattern against one subject.
class Matcher {
 public:
  Matcher(NativeCall& call, const Pattern& pattern, std::string_view subject) noexcept
      : call_(call), pattern_(pattern), begin_(subject.data()), end_(subject.data() + subject.size()) {}

  // Matches at exactly this place. Returns: the end of the match or null.
  // Raises: malformed patterns, "pattern too complex", cancellations. Effects: polls after about 16 K steps.
  const char* match_at(const char* start) { return match(start, pattern_.nodes(), kMaxDepth); }

  // The first match that starts at or after `start`, only there if the pattern is anchored. Returns: its end, and its
  // start in `found`; or null. Raises, effects: as match_at.
  const char* search(const char* start, const char** found);

  // Pushes the captures of the last match, or the whole match if the pattern has none. Returns: how many.
  // Raises: "unfinished capture", kMemory, kStackOverflow.
  int push_captures(const char* start, const char* end);

  // Capture i (0-based) as a value; capture 0 of a pattern without captures is the whole match.
  // Raises: "invalid capture index", "unfinished capture", kMemory.
  Value capture_value(int i, const char* start, const char* end);
  // Bytes of capture i; false: it is a position. Raises: as capture_value.
  bool capture_bytes(int i, const char* start, const char* end, std::string_view& bytes);

  const char* begin() const noexcept { return begin_; }
  const char* end() const noexcept { return end_; }
  std::int64_t position_of(const char* place) const noexcept { return place - begin_ + 1; }

 private:
  const char* match(const char* s, const Node* node, int depth);
  const char* match_most(const char* s, const Node* node, int depth);
  const char* match_fewest(const char* s, const Node* node, int depth);
  const char* match_balance(const char* s, const Node* node);
  const char* match_back(const char* s, const Node* node);
  bool one(const char* s, const Node* node) const noexcept;
  const char* piece_end(const char* s, std::size_t bytes) const noexcept;
  const char* run_end(const char* s, const Node* node);
  bool at_frontier(const char* s, const Node* node) const noexcept;
  const char* skip_to_start(const char* s);
  void spend(std::size_t steps) { if (BATON_UNLIKELY((budget_ -= static_cast<std::ptrdiff_t>(steps)) < 0)) refill(); }
  void refill();
  [[noreturn]] void fail(const Node* node);
  [[noreturn]] void fail_too_complex();
  void check_capture(int i);

  static constexpr std::ptrdiff_t kBudget = 1 << 14;

  NativeCall& call_;
  const Pattern& pattern_;
  const char* const begin_;
  const char* const end_;
  std::ptrdiff_t budget_ = kBudget;
  Capture captures_[kMaxCaptures];
};

}  // namespace baton::stdlib::pattern
