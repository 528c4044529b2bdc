// find, match, gmatch, gsub (manual 6.4): searching strings, with the patterns of pattern.h.
//
// A pattern without special characters is searched for as plain bytes (find only; the others need its captures).
// gmatch keeps its compiled pattern in a userdata, an upvalue of the iterator together with subject and pattern, so an
// iterator may be called from any coroutine, and twice at the same time.
// gsub writes into a StringBuilder from the first replacement on; without one it returns the subject itself. Its
// callbacks may yield: all state is in this native's frame and window.
#include <cstring>
#include <new>

#include "base/number.h"
#include "pattern.h"
#include "string_library.h"
#include "vm/call.h"
#include "vm/operations.h"
#include "vm/safepoint.h"
#include "vm/string_builder.h"

namespace baton::stdlib {
namespace {

using pattern::Anchors;
using pattern::Matcher;
using pattern::Pattern;
using pattern::PatternUse;

bool has_special_characters(std::string_view text) noexcept {
  for (const char c : text) {
    switch (c) {
      case '^': case '$': case '*': case '+': case '?': case '.': case '(': case '[': case '%': case '-': return true;
      default: break;
    }
  }
  return false;
}

// The first place at or after `start` (0-based) where `what` stands, or npos. Polls between large pieces.
std::size_t find_plain(ThreadState& thread, std::string_view text, std::string_view what, std::size_t start) {
  if (what.empty()) return start;
  // Each piece is searched with some preparation in proportion to what is searched for.
  const std::size_t piece = what.size() < kPieceBytes / 4 ? kPieceBytes * 2 + what.size() : what.size() * 9;
  while (text.size() - start >= what.size()) {
    const std::size_t bytes = text.size() - start < piece ? text.size() - start : piece;
    const char* found = pattern::find_bytes(text.substr(start, bytes), what);
    if (found != nullptr) return static_cast<std::size_t>(found - text.data());
    if (bytes == text.size() - start) break;
    start += bytes - what.size() + 1;
    vm::poll(thread);
  }
  return std::string_view::npos;
}

int push_bounds(NativeCall& call, std::size_t first, std::size_t last) {
  call.push(Value::from(static_cast<std::int64_t>(first)));
  call.push(Value::from(static_cast<std::int64_t>(last)));
  return 2;
}

// Argument 3 of find, match and gmatch as an offset, beyond the length if nothing can match there.
std::size_t start_offset(NativeCall& call, std::size_t length) {
  const Value v = call.arg(3);
  return v.is_nil() ? 0 : start_position(call.check_integer(3), length) - 1;
}

int string_find(NativeCall& call) {
  const std::string_view subject = call.check_text(1);
  const std::string_view source = call.check_text(2);
  const std::size_t start = start_offset(call, subject.size());
  if (start > subject.size()) return call.result(Value());
  if (call.truthy(4) || !has_special_characters(source)) {
    const std::size_t place = find_plain(call.thread(), subject, source, start);
    if (place == std::string_view::npos) return call.result(Value());
    return push_bounds(call, place + 1, place + source.size());
  }
  const PatternUse use(call.heap(), source);
  const Pattern& compiled = use.pattern();
  Matcher matcher(call, compiled, subject);
  const char* found;
  const char* end = matcher.search(subject.data() + start, &found);
  if (end == nullptr) return call.result(Value());
  push_bounds(call, static_cast<std::size_t>(matcher.position_of(found)), static_cast<std::size_t>(end - subject.data()));
  return compiled.capture_count() == 0 ? 2 : 2 + matcher.push_captures(found, end);
}

// Plain texts in subjects that need no poll.
int brief_find(SharedState&, Value* function, int arguments) {
  if (arguments < 2 || !function[1].is_string() || !function[2].is_string()) return kNotBrief;
  const std::string_view subject = function[1].string()->view();
  const std::string_view what = function[2].string()->view();
  if (subject.size() > kPieceBytes || what.size() > kPieceBytes) return kNotBrief;
  std::size_t start = 0;
  if (arguments >= 3) {
    if (!function[3].is_integer()) return kNotBrief;
    start = start_position(function[3].integer, subject.size()) - 1;
  }
  if (what.empty() || start >= subject.size()) return kNotBrief;
  if ((arguments < 4 || !function[4].is_truthy()) && has_special_characters(what)) return kNotBrief;
  const char* found = pattern::find_bytes(subject.substr(start), what);
  if (found == nullptr) {
    function->set_nil();
    return 1;
  }
  const std::int64_t before = found - subject.data();
  function[0].set_integer(before + 1);
  function[1].set_integer(before + static_cast<std::int64_t>(what.size()));
  return 2;
}

int string_match(NativeCall& call) {
  const std::string_view subject = call.check_text(1);
  const std::string_view source = call.check_text(2);
  const std::size_t start = start_offset(call, subject.size());
  if (start > subject.size()) return call.result(Value());
  const PatternUse use(call.heap(), source);
  const Pattern& compiled = use.pattern();
  Matcher matcher(call, compiled, subject);
  const char* found;
  const char* end = matcher.search(subject.data() + start, &found);
  if (end == nullptr) return call.result(Value());
  if (compiled.capture_count() <= 1) return call.result(matcher.capture_value(0, found, end));
  return matcher.push_captures(found, end);
}

// --- gmatch ----------------------------------------------------------------------------------------------------------

// What an iterator remembers; the pattern's storage follows it in the same userdata.
struct GmatchState {
  GmatchState(void* storage, std::string_view source, const char* start) noexcept
      : pattern(storage, source, Anchors::kNo), next(start), last_end(nullptr) {}

  Pattern pattern;
  const char* next;      // where the next search begins
  const char* last_end;  // of the last match: an empty match there would be the same place twice
};

constexpr std::size_t kGmatchStorageOffset = (sizeof(GmatchState) + 15) & ~std::size_t{15};

int gmatch_step(NativeCall& call) {
  auto& state = *static_cast<GmatchState*>(call.upvalue(3).userdata()->block());
  const std::string_view subject = call.upvalue(1).string()->view();
  Matcher matcher(call, state.pattern, subject);
  const char* start = state.next;
  while (start <= matcher.end()) {
    const char* found;
    const char* end = matcher.search(start, &found);
    if (end == nullptr) break;
    if (end == state.last_end) {
      start = found + 1;
      continue;
    }
    state.next = state.last_end = end;
    if (state.pattern.capture_count() <= 1) return call.result(matcher.capture_value(0, found, end));
    return matcher.push_captures(found, end);
  }
  return 0;
}

const NativeInfo kGmatchStep = {
    "gmatch_iterator", "iterator() -> string ...",
    "The captures of the next match, or the whole match if the pattern has none; nil after the last one.", gmatch_step};

int string_gmatch(NativeCall& call) {
  String* subject = call.check_string(1);
  String* source = call.check_string(2);
  std::size_t start = start_offset(call, subject->length);
  if (start > subject->length) start = subject->length + 1;
  Userdata* block = userdata::make(call.heap(), kGmatchStorageOffset + Pattern::storage_bytes(source->length));
  char* bytes = static_cast<char*>(block->block());
  new (bytes) GmatchState(bytes + kGmatchStorageOffset, source->view(), subject->data() + start);
  call.push(Value::of(block));
  const Value iterator = native::make(call.thread(), &kGmatchStep, 3);
  Native* step = iterator.native();
  step->upvalues()[0] = Value::of(subject);
  step->upvalues()[1] = Value::of(source);
  step->upvalues()[2] = Value::of(block);
  for (int i = 0; i < 3; ++i) call.heap().barrier(step, step->upvalues()[i]);
  return call.result(iterator);
}

// --- gsub ------------------------------------------------------------------------------------------------------------

class Substitution {
 public:
  Substitution(NativeCall& call, Matcher& matcher) : call_(call), matcher_(matcher), result_(call.thread()) {
    if (!call.arg(3).is_string()) return;
    template_ = call.arg(3).string()->view();
    is_plain_ = std::memchr(template_.data(), '%', template_.size()) == nullptr;
  }

  void append(const char* from, const char* to) { result_.append({from, static_cast<std::size_t>(to - from)}); }
  String* finish() { return result_.finish(); }

  // Long replacements make a long result in few matches.
  void poll() {
    if (BATON_LIKELY(result_.size() - polled_at_ < kPieceBytes)) return;
    polled_at_ = result_.size();
    vm::poll(call_.thread());
  }

  // Appends what replaces a match. Returns: whether it is something else than the match itself.
  bool replace(const char* start, const char* end) {
    const Value& by = call_.arg(3);
    if (by.is_string()) {
      if (is_plain_) result_.append(template_);
      else expand(start, end);
      return true;
    }
    if (by.is_table()) look_up(by, start, end);
    else call_function(by, start, end);
    const bool differs = append_value(call_.slot(call_.size()), start, end);
    call_.pop();
    return differs;
  }

 private:
  void expand(const char* start, const char* end) {
    const char* p = template_.data();
    const char* const stop = p + template_.size();
    for (;;) {
      const char* escape = static_cast<const char*>(std::memchr(p, '%', static_cast<std::size_t>(stop - p)));
      if (escape == nullptr) break;
      append(p, escape);
      p = escape + 2;
      const char what = escape[1];  // a NUL at the end
      if (what == '%') result_.append('%');
      else if (what == '0') append(start, end);
      else if (what >= '1' && what <= '9') append_capture(what - '1', start, end);
      else call_.error("invalid use of '%%' in replacement string");
    }
    append(p, stop);
  }

  void append_capture(int i, const char* start, const char* end) {
    std::string_view bytes;
    if (matcher_.capture_bytes(i, start, end, bytes)) return result_.append(bytes);
    append_number(matcher_.capture_value(i, start, end));
  }

  void append_number(const Value& v) {
    char digits[number::kTextBytes];
    result_.append({digits, v.is_integer() ? number::to_text(v.integer, digits) : number::to_text(v.number, digits)});
  }

  // The replacement stands on top of the window afterwards, as a root.
  void look_up(const Value& object, const char* start, const char* end) {
    const Value key = matcher_.capture_value(0, start, end);
    if (object.table()->metatable == nullptr) return call_.push(*table::get(object.table(), key));
    call_.push(key);
    const Value found = vm::index(call_.thread(), object, key);
    call_.slot(call_.size()) = found;
  }

  // As look_up.
  void call_function(const Value& function, const char* start, const char* end) {
    call_.push(function);
    const int arguments = matcher_.push_captures(start, end);
    vm::call(call_.thread(), arguments, 1);
  }

  bool append_value(const Value value, const char* start, const char* end) {
    if (value.is_falsy()) {
      append(start, end);
      return false;
    }
    if (value.is_string()) {
      result_.append(value.string()->view());
    } else if (value.is_number()) {
      append_number(value);
    } else {
      call_.error("invalid replacement value (a %s)", base_type_name(value));
    }
    return true;
  }

  NativeCall& call_;
  Matcher& matcher_;
  std::string_view template_;
  bool is_plain_ = false;
  StringBuilder result_;
  std::size_t polled_at_ = 0;
};

int string_gsub(NativeCall& call) {
  String* text = call.check_string(1);
  const std::string_view subject = text->view();
  const std::string_view source = call.check_text(2);
  const Value by = call.arg(3);
  const std::int64_t limit = call.optional_integer(4, static_cast<std::int64_t>(subject.size()) + 1);
  if (by.is_number()) call.check_string(3);
  else if (!by.is_string() && !by.is_table() && !by.is_function()) call.type_error(3, "string/function/table");
  const PatternUse use(call.heap(), source);
  const Pattern& compiled = use.pattern();
  Matcher matcher(call, compiled, subject);
  Substitution substitution(call, matcher);
  const char* copied = subject.data();  // what lies before is in the result
  const char* place = copied;
  const char* last_end = nullptr;
  std::int64_t count = 0;
  bool changed = false;
  while (count < limit) {
    const char* found;
    const char* end = matcher.search(place, &found);
    if (end == nullptr) break;
    if (end == last_end) {  // an empty match where the last one ended
      if (place++ == matcher.end()) break;
    } else {
      ++count;
      substitution.append(copied, found);
      if (substitution.replace(found, end)) changed = true;
      copied = place = last_end = end;
      substitution.poll();
    }
    if (compiled.is_anchored()) break;
  }
  if (!changed) {
    call.push(Value::of(text));
  } else {
    substitution.append(copied, matcher.end());
    call.push(Value::of(substitution.finish()));
  }
  call.push(Value::from(count));
  return 2;
}

}  // namespace

const NativeInfo kStringMatchFunctions[] = {
    {"find", "string.find(s: string, pattern: string, init?: integer, plain?: boolean) -> integer?, integer, ...",
     "Looks for the first match of the pattern in s, from position init on (1 by default, negative: from the end). Returns "
     "the positions of its first and last byte and its captures, or nil. plain turns the pattern into plain text."
     R"lua(

print(("key = value"):find "(%w+)%s*=%s*(%w+)")  --> 1	11	key	value
print(("1.5"):find(".", 1, true))                --> 2	2)lua",
     string_find, Intrinsic::kBrief, brief_find},
    {"match", "string.match(s: string, pattern: string, init?: integer) -> string? ...",
     "Looks for the first match of the pattern in s, from position init on. Returns its captures, the whole match if the "
     "pattern has none, or nil."
     R"lua(

print(("2024-05-06"):match "(%d+)-(%d+)")  --> 2024	05)lua",
     string_match},
    {"gmatch", "string.gmatch(s: string, pattern: string, init?: integer) -> function",
     "An iterator over all matches of the pattern in s, from position init on: each call returns the captures of the next "
     "one, or the whole match. A ^ at the start is an ordinary byte here."
     R"lua(

for word in ("one two"):gmatch "%a+" do print(word) end
--> one
--> two)lua",
     string_gmatch},
    {"gsub", "string.gsub(s: string, pattern: string, by: string|table|function, limit?: integer) -> string, integer",
     "A copy of s with the matches of the pattern (at most limit of them) replaced, and how many matched. A string replaces "
     "them with %0-%9 standing for the match and its captures; a table is asked for the first capture, a function called "
     "with all; false and nil keep the match, other values than strings and numbers are errors."
     R"lua(

print(("hello world"):gsub("o", "0"))                       --> hell0 w0rld	2
print((("$name!"):gsub("%$(%w+)", {name = "Ada"})))          --> Ada!)lua",
     string_gsub},
    {nullptr, nullptr, nullptr, nullptr},
};

}  // namespace baton::stdlib
