// Compiles patterns (manual 6.4.1) to arrays of items.
//
// The syntax has no alternation and no grouping of repetitions, so a pattern is a plain sequence: capture i always
// begins and ends at the same items, and whatever is malformed is so at a known place of the sequence. That is why
// numbers of captures are fixed here and faults become items of their own.
//
//     "^(%a+)%s*=(.-);$"   anchored   Open 0, Set+ %a, Close 0, Set* %s, Byte =, Open 1, Any-, Close 1, Byte ;, SubjectEnd
//
// What the matcher gains:
//  - sets and classes are 256-bit sets: one test per byte, however they were written;
//  - neighbouring plain bytes are one literal, compared at once;
//  - a repeated item knows the byte that must follow it, so most attempts to go on end before they start;
//  - the pattern knows its first byte or set, so a search skips places where it cannot begin.
// Compiling costs a few nanoseconds per byte, less than one failed attempt of a search.
//
// Classes are those of the "C" locale, whatever os.setlocale says: bytes above 127 belong to no class.
#include "base/number.h"
#include "pattern.h"

namespace baton::stdlib::pattern {
namespace {

constexpr char kEscape = '%';

using Predicate = bool (*)(int c);

constexpr ByteSet make_set(Predicate has) {
  ByteSet set{};
  for (int c = 0; c < 256; ++c) {
    if (has(c)) set.words[c >> 6] |= std::uint64_t{1} << (c & 63);
  }
  return set;
}

constexpr bool is_upper(int c) { return c >= 'A' && c <= 'Z'; }
constexpr bool is_lower(int c) { return c >= 'a' && c <= 'z'; }
constexpr bool is_digit(int c) { return c >= '0' && c <= '9'; }
constexpr bool is_alpha(int c) { return is_upper(c) || is_lower(c); }
constexpr bool is_alnum(int c) { return is_alpha(c) || is_digit(c); }
constexpr bool is_graph(int c) { return c > 32 && c < 127; }
constexpr bool is_punctuation(int c) { return is_graph(c) && !is_alnum(c); }
constexpr bool is_control(int c) { return c < 32 || c == 127; }
constexpr bool is_space(int c) { return c == ' ' || (c >= 9 && c <= 13); }
constexpr bool is_hexadecimal(int c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
constexpr bool is_zero(int c) { return c == 0; }

constexpr ByteSet kAlpha = make_set(is_alpha), kDigit = make_set(is_digit), kLower = make_set(is_lower),
                  kUpper = make_set(is_upper), kAlnum = make_set(is_alnum), kGraph = make_set(is_graph),
                  kPunctuation = make_set(is_punctuation), kControl = make_set(is_control), kSpace = make_set(is_space),
                  kHexadecimal = make_set(is_hexadecimal), kZero = make_set(is_zero);

// The set of a class letter in lower case, or null.
const ByteSet* class_set(int letter) noexcept {
  switch (letter) {
    case 'a': return &kAlpha;
    case 'c': return &kControl;
    case 'd': return &kDigit;
    case 'g': return &kGraph;
    case 'l': return &kLower;
    case 'p': return &kPunctuation;
    case 's': return &kSpace;
    case 'u': return &kUpper;
    case 'w': return &kAlnum;
    case 'x': return &kHexadecimal;
    case 'z': return &kZero;  // undocumented since 5.2, still there
    default: return nullptr;
  }
}

// Adds what `%letter` stands for: a class, the complement of one (upper case), or the letter itself.
void add_class(ByteSet& set, unsigned char letter) noexcept {
  const ByteSet* members = is_alpha(letter) ? class_set(letter | 0x20) : nullptr;
  if (members == nullptr) return set.add(letter);
  const std::uint64_t flip = is_upper(letter) ? ~std::uint64_t{0} : 0;
  for (int i = 0; i < 4; ++i) set.words[i] |= members->words[i] ^ flip;
}

}  // namespace

class Compiler {
 public:
  explicit Compiler(Pattern& pattern) noexcept
      : pattern_(pattern), place_(pattern.source_.data()), end_(place_ + pattern.source_.size()), node_(pattern.nodes_) {}

  void run() noexcept {
    while (place_ < end_ && !failed_) item();
    if (!failed_) emit(Kind::kEnd);
    pattern_.capture_count_ = captures_;
    note_following_bytes();
    pattern_.first_ = first_byte_item();
  }

 private:
  Node& emit(Kind kind) noexcept {
    *node_ = {kind, Repeat::kOnce, 0, 0, -1, 0, 0};
    return *node_++;
  }

  void fault(Fault what, int number = 0) noexcept {
    Node& node = emit(Kind::kError);
    node.byte = static_cast<std::uint8_t>(what);
    node.byte2 = static_cast<std::uint8_t>(number);
    failed_ = true;
  }

  ByteSet& new_set(std::uint32_t& index) noexcept {
    index = set_count_++;
    ByteSet& set = pattern_.sets_[index];
    set = {};
    return set;
  }

  void item() noexcept {
    switch (*place_) {
      case '(': return open();
      case ')': return close();
      case '$':
        if (place_ + 1 != end_) return single();
        ++place_;
        emit(Kind::kSubjectEnd);
        return;
      case kEscape: return escape();
      default: return single();
    }
  }

  void open() noexcept {
    if (captures_ >= kMaxCaptures) return fault(Fault::kTooManyCaptures);
    const bool is_position = place_ + 1 < end_ && place_[1] == ')';
    emit(is_position ? Kind::kOpenPosition : Kind::kOpen).byte = static_cast<std::uint8_t>(captures_);
    is_open_[captures_++] = !is_position;
    place_ += is_position ? 2 : 1;
  }

  void close() noexcept {
    for (int i = captures_ - 1; i >= 0; --i) {
      if (!is_open_[i]) continue;
      is_open_[i] = false;
      emit(Kind::kClose).byte = static_cast<std::uint8_t>(i);
      ++place_;
      return;
    }
    fault(Fault::kInvalidClose);
  }

  void escape() noexcept {
    if (place_ + 1 == end_) return fault(Fault::kEndsWithEscape);
    const char letter = place_[1];
    if (letter == 'b') return balance();
    if (letter == 'f') return frontier();
    if (is_digit(letter)) return back_reference(letter - '0');
    single();
  }

  void balance() noexcept {
    if (end_ - place_ < 4) return fault(Fault::kMissingBalanceArguments);
    Node& node = emit(Kind::kBalance);
    node.byte = static_cast<std::uint8_t>(place_[2]);
    node.byte2 = static_cast<std::uint8_t>(place_[3]);
    place_ += 4;
  }

  void frontier() noexcept {
    place_ += 2;
    if (place_ == end_ || *place_ != '[') return fault(Fault::kMissingFrontierSet);
    std::uint32_t index;
    if (bracket_set(index)) emit(Kind::kFrontier).index = index;
  }

  void back_reference(int number) noexcept {
    if (number == 0 || number > captures_ || is_open_[number - 1]) return fault(Fault::kInvalidCaptureIndex, number);
    emit(Kind::kBack).byte = static_cast<std::uint8_t>(number - 1);
    place_ += 2;
  }

  // The set in brackets at place_, which moves behind it. Returns: false, with the fault emitted, if it has no end.
  bool bracket_set(std::uint32_t& index) noexcept {
    const char* p = place_ + 1;
    const bool complement = p < end_ && *p == '^';
    if (complement) ++p;
    const char* first = p;
    do {  // the first byte is a member even if it is ]
      if (p == end_) return fault(Fault::kMissingBracket), false;
      if (*p++ == kEscape && p < end_) ++p;
    } while (p == end_ || *p != ']');
    const char* close = p;
    ByteSet& set = new_set(index);
    for (p = first; p < close; ++p) {
      if (*p == kEscape) {
        add_class(set, static_cast<unsigned char>(*++p));
      } else if (p[1] == '-' && p + 2 < close) {
        for (int c = static_cast<unsigned char>(*p); c <= static_cast<unsigned char>(p[2]); ++c) set.add(static_cast<unsigned char>(c));
        p += 2;
      } else {
        set.add(static_cast<unsigned char>(*p));
      }
    }
    if (complement) for (std::uint64_t& word : set.words) word = ~word;
    place_ = close + 1;
    return true;
  }

  // One byte, class or set, and its repetition.
  void single() noexcept {
    const char* start = place_;
    Node item = {Kind::kByte, Repeat::kOnce, 0, 0, -1, 0, 0};
    if (*place_ == '[') {
      if (!bracket_set(item.index)) return;
      item.kind = Kind::kSet;
    } else if (*place_ == kEscape) {
      escaped_single(item, static_cast<unsigned char>(place_[1]));
      place_ += 2;
    } else {
      item.kind = *place_ == '.' ? Kind::kAny : Kind::kByte;
      item.byte = static_cast<std::uint8_t>(*place_++);
    }
    item.repeat = repetition();
    const bool is_plain = item.kind == Kind::kByte && item.repeat == Repeat::kOnce && place_ - start == 1;
    if (is_plain && extend_literal(start)) return;
    item.length = is_plain ? 1 : 0;  // marks a byte that a literal may start with
    if (is_plain) item.index = static_cast<std::uint32_t>(start - pattern_.source_.data());
    *node_++ = item;
  }

  void escaped_single(Node& item, unsigned char letter) noexcept {
    if (!is_alpha(letter) || class_set(letter | 0x20) == nullptr) {
      item.byte = letter;
      return;
    }
    item.kind = Kind::kSet;
    add_class(new_set(item.index), letter);
  }

  Repeat repetition() noexcept {
    if (place_ == end_) return Repeat::kOnce;
    switch (*place_) {
      case '?': ++place_; return Repeat::kOptional;
      case '*': ++place_; return Repeat::kStar;
      case '+': ++place_; return Repeat::kPlus;
      case '-': ++place_; return Repeat::kLazy;
      default: return Repeat::kOnce;
    }
  }

  // Adds the byte at `start` to the literal before it, if that ends there.
  bool extend_literal(const char* start) noexcept {
    if (node_ == pattern_.nodes_) return false;
    Node& last = node_[-1];
    const bool joins = (last.kind == Kind::kByte || last.kind == Kind::kLiteral) && last.length > 0 &&
                       last.length < 0xFFFF && pattern_.source_.data() + last.index + last.length == start;
    if (!joins) return false;
    last.kind = Kind::kLiteral;
    ++last.length;
    return true;
  }

  static bool is_capture(const Node* node) noexcept {
    return node->kind == Kind::kOpen || node->kind == Kind::kOpenPosition || node->kind == Kind::kClose;
  }

  // From the end: what byte must stand where an item begins; items before it take it over.
  void note_following_bytes() noexcept {
    std::int16_t following = -1;
    for (Node* node = node_ - 1; node >= pattern_.nodes_; --node) {
      node->next_byte = following;
      if (following >= 0) note_exclusive(*node, static_cast<unsigned char>(following));
      const bool needed = node->repeat == Repeat::kOnce || node->repeat == Repeat::kPlus;
      if (is_capture(node)) continue;
      following = needed && (node->kind == Kind::kByte || node->kind == Kind::kLiteral) ? node->byte : -1;
    }
  }

  // Whether the item's runs end for sure where the byte that must follow them stands.
  void note_exclusive(Node& node, unsigned char following) noexcept {
    if (node.kind == Kind::kByte && node.repeat != Repeat::kOnce) node.byte2 = node.byte != following;
    if (node.kind == Kind::kSet) node.byte2 = !pattern_.set(node.index).has(following);
  }

  const Node* first_byte_item() const noexcept {
    const Node* node = pattern_.nodes_;
    while (is_capture(node)) ++node;
    const bool needed = node->repeat == Repeat::kOnce || node->repeat == Repeat::kPlus;
    const bool helps = node->kind == Kind::kByte || node->kind == Kind::kLiteral || node->kind == Kind::kSet;
    return needed && helps ? node : nullptr;
  }

  Pattern& pattern_;
  const char* place_;
  const char* end_;
  Node* node_;
  std::uint32_t set_count_ = 0;
  int captures_ = 0;
  bool failed_ = false;
  bool is_open_[kMaxCaptures] = {};
};

Pattern::Pattern(void* storage, std::string_view source, Anchors anchors) noexcept
    : source_(source), sets_(static_cast<ByteSet*>(storage)), nodes_(reinterpret_cast<Node*>(sets_ + source.size() / 2 + 1)) {
  if (anchors == Anchors::kYes && !source_.empty() && source_.front() == '^') {
    anchored_ = true;
    source_.remove_prefix(1);
  }
  Compiler(*this).run();
}

}  // namespace baton::stdlib::pattern
