// The library `string` (manual 6.4): the simple functions, and the metatable of all strings.
//
// Results of up to kShortStringMax bytes are built on the machine stack and interned; longer ones are filled in place.
// A result that takes long to fill (rep, case, reverse of megabytes) is pushed on the window first and filled in pieces
// with a poll between them: nobody else can see a string that only a native's window refers to.
//
// The metatable carries `__index`, the library itself, and the arithmetic metamethods: arithmetic on strings is not in
// the language's instructions but here (manual 3.4.3). A metamethod converts both operands to numbers; if one is no
// numeral, the second operand's own metamethod gets its turn, unless that is a string too.
#include <cstring>

#include "all_modules.h"
#include "host/load.h"
#include "string_library.h"
#include "vm/call.h"
#include "vm/library_intrinsics.h"
#include "vm/operations.h"
#include "vm/safepoint.h"
#include "vm/string_builder.h"

namespace baton::stdlib {

Table* make_byte_strings(Heap& heap) { return table::make(heap, 256, 0); }

Value byte_string(NativeCall& call, unsigned char byte) {
  Table* known = call.upvalue(1).table();
  if (BATON_LIKELY(byte < known->array_size && known->array[byte].is_string())) return known->array[byte];
  const char text = static_cast<char>(byte);
  const Value made = Value::of(string::make(call.heap(), {&text, 1}));
  table::set_integer(call.heap(), known, byte + 1, made);
  return made;
}

namespace {

int string_len(NativeCall& call) {
  return call.result(Value::from(static_cast<std::int64_t>(call.check_string(1)->length)));
}

int string_sub(NativeCall& call) {
  String* s = call.check_string(1);
  const std::size_t length = s->length;
  const std::size_t first = start_position(call.check_integer(2), length);
  const std::size_t last = end_position(call.optional_integer(3, -1), length);
  if (first == last) return call.result(byte_string(call, static_cast<unsigned char>(s->data()[first - 1])));
  if (first > last) return call.result_string({});
  if (first == 1 && last == length) return call.result(Value::of(s));
  return call.result_string({s->data() + first - 1, last - first + 1});
}

// Calls fill(to, from, bytes) for consecutive pieces of the subject, which gives a result of the same length.
template <class Fill>
int map_bytes(NativeCall& call, Fill fill) {
  String* s = call.check_string(1);
  const std::size_t length = s->length;
  if (length <= kShortStringMax) {
    char buffer[kShortStringMax];
    fill(buffer, *s, 0, length);
    return call.result_string({buffer, length});
  }
  vm::make_room(call.thread(), length);
  String* result = string::make_uninitialised(call.heap(), length);
  call.push(Value::of(result));
  for (std::size_t done = 0; done < length; done += kPieceBytes) {
    if (done != 0) vm::poll(call.thread());
    fill(result->mutable_data() + done, *s, done, length - done < kPieceBytes ? length - done : kPieceBytes);
  }
  return 1;
}

// The letters of ASCII are 32 apart; everything else stays. Written so that compilers use vectors.
template <unsigned char kFirst>
void change_case(char* to, const char* from, std::size_t bytes) noexcept {
  for (std::size_t i = 0; i < bytes; ++i) {
    const auto c = static_cast<unsigned char>(from[i]);
    to[i] = static_cast<char>(c ^ (static_cast<unsigned char>(c - kFirst) < 26 ? 0x20 : 0));
  }
}

int string_lower(NativeCall& call) {
  return map_bytes(call, [](char* to, const String& s, std::size_t start, std::size_t bytes) {
    change_case<'A'>(to, s.data() + start, bytes);
  });
}

template <unsigned char kFirst>
int brief_case(SharedState& shared, Value* function, int arguments) {
  if (arguments < 1 || !function[1].is_string() || function[1].string()->length > kShortStringMax) return kNotBrief;
  const String* s = function[1].string();
  char buffer[kShortStringMax];
  change_case<kFirst>(buffer, s->data(), s->length);
  *function = Value::of(string::make(shared.heap, {buffer, s->length}));
  return 1;
}

int string_upper(NativeCall& call) {
  return map_bytes(call, [](char* to, const String& s, std::size_t start, std::size_t bytes) {
    change_case<'a'>(to, s.data() + start, bytes);
  });
}

int string_reverse(NativeCall& call) {
  return map_bytes(call, [](char* to, const String& s, std::size_t start, std::size_t bytes) {
    const char* from = s.data() + s.length - start;
    for (std::size_t i = 0; i < bytes; ++i) to[i] = *--from;
  });
}

int brief_reverse(SharedState& shared, Value* function, int arguments) {
  if (arguments < 1 || !function[1].is_string() || function[1].string()->length > kShortStringMax) return kNotBrief;
  const std::string_view text = function[1].string()->view();
  char buffer[kShortStringMax];
  for (std::size_t i = 0; i < text.size(); ++i) buffer[i] = text[text.size() - 1 - i];
  *function = Value::of(string::make(shared.heap, {buffer, text.size()}));
  return 1;
}

// Fills `total` bytes with repetitions of the first `unit` ones, which are there already, by doubling what is done.
void repeat_bytes(NativeCall& call, char* bytes, std::size_t unit, std::size_t total) {
  for (std::size_t done = unit; done < total;) {
    std::size_t more = done < total - done ? done : total - done;
    if (more > kPieceBytes) {
      // Pieces must hold whole units, so that each starts where a repetition does; a longer unit is one piece.
      const std::size_t piece = unit < kPieceBytes ? kPieceBytes - kPieceBytes % unit : unit;
      if (more > piece) more = piece;
      vm::poll(call.thread());
    }
    vm::copy_bytes(call.thread(), bytes + done, bytes, more, vm::SafepointKind::kBackEdge);
    done += more;
  }
}

// PUC Lua's limit of what string.rep makes, here as there: a mistake in a count is an error and not a full memory.
constexpr std::uint64_t kMaxRepeatedBytes = 0x7FFFFFFF;

int string_rep(NativeCall& call) {
  String* s = call.check_string(1);
  const std::int64_t count = call.check_integer(2);
  const std::string_view separator = call.optional_text(3, {});
  const std::size_t unit = s->length + separator.size();
  if (count <= 0 || unit == 0) return call.result_string({});
  if (count == 1) return call.result(Value::of(s));
  if (unit > kMaxRepeatedBytes / static_cast<std::uint64_t>(count)) call.error("resulting string too large");
  const std::size_t total = unit * static_cast<std::size_t>(count) - separator.size();
  char buffer[kShortStringMax];
  char* bytes = buffer;
  if (total > kShortStringMax) {
    vm::make_room(call.thread(), total);
    String* result = string::make_uninitialised(call.heap(), total);
    call.push(Value::of(result));
    bytes = result->mutable_data();
  }
  vm::copy_bytes(call.thread(), bytes, s->data(), s->length, vm::SafepointKind::kBackEdge);
  if (!separator.empty()) std::memcpy(bytes + s->length, separator.data(), separator.size());
  repeat_bytes(call, bytes, unit, total);
  return total > kShortStringMax ? 1 : call.result_string({bytes, total});
}

int brief_rep(SharedState& shared, Value* function, int arguments) {
  if (arguments != 2 || !function[1].is_string() || !function[2].is_integer()) return kNotBrief;
  const std::string_view text = function[1].string()->view();
  const std::int64_t count = function[2].integer;
  constexpr auto kMost = static_cast<std::int64_t>(kShortStringMax);
  if (text.empty() || count < 1 || count > kMost || count * static_cast<std::int64_t>(text.size()) > kMost) return kNotBrief;
  char buffer[kShortStringMax];
  const std::size_t total = text.size() * static_cast<std::size_t>(count);
  if (text.size() == 1) {
    std::memset(buffer, text.front(), total);
  } else {
    for (std::size_t done = 0; done < total; ++done) buffer[done] = done < text.size() ? text[done] : buffer[done - text.size()];
  }
  *function = Value::of(string::make(shared.heap, {buffer, total}));
  return 1;
}

int string_byte(NativeCall& call) {
  String* s = call.check_string(1);
  const std::int64_t from = call.optional_integer(2, 1);
  const std::size_t first = start_position(from, s->length);
  const std::size_t last = end_position(call.optional_integer(3, from), s->length);
  if (first > last) return 0;
  const std::size_t count = last - first + 1;
  const auto* bytes = reinterpret_cast<const unsigned char*>(s->data()) + first - 1;
  if (count == 1) return call.result(Value::from(static_cast<std::int64_t>(*bytes)));
  const Coroutine* co = call.coroutine();
  const auto used = static_cast<std::size_t>(co->top - co->stack);
  if (count >= kMaxStackSlots - used) call.error("stack overflow (string slice too long)");
  call.reserve(static_cast<int>(count));
  for (std::size_t i = 0; i < count; ++i) call.push(Value::from(static_cast<std::int64_t>(bytes[i])));
  return static_cast<int>(count);
}

int string_char(NativeCall& call) {
  if (call.count() == 1) {
    const std::int64_t code = call.check_integer(1);
    if (code < 0 || code > 0xFF) call.argument_error(1, "value out of range");
    return call.result(byte_string(call, static_cast<unsigned char>(code)));
  }
  StringBuilder result(call.thread());
  for (int i = 1; i <= call.count(); ++i) {
    const Value v = call.arg(i);
    const auto code = static_cast<std::uint64_t>(v.is_integer() ? v.integer : call.check_integer(i));
    if (code > 0xFF) call.argument_error(i, "value out of range");
    result.append(static_cast<char>(code));
  }
  return call.result(Value::of(result.finish()));
}

int string_dump(NativeCall& call) {
  const Value function = call.check_function(1);
  if (!function.is_closure()) call.error("unable to dump given function");
  return call.result_string(host::dump(call.thread(), function.closure(), call.truthy(2)));
}

const NativeInfo kFunctions[] = {
    {"len", "string.len(s: string) -> integer",
     "The number of bytes of s; embedded zeros count."
     R"lua(

print(("a\0b"):len())  --> 3)lua",
     string_len,
     intrinsic_of(LibraryIntrinsic::kStringLen)},
    {"lower", "string.lower(s: string) -> string",
     "A copy of s with the letters A-Z in lower case."
     R"lua(

print(("LOUD"):lower())  --> loud)lua",
     string_lower,
     Intrinsic::kBrief, brief_case<'A'>},
    {"upper", "string.upper(s: string) -> string",
     "A copy of s with the letters a-z in upper case."
     R"lua(

print(("quiet"):upper())  --> QUIET)lua",
     string_upper,
     Intrinsic::kBrief, brief_case<'a'>},
    {"reverse", "string.reverse(s: string) -> string",
     "The bytes of s in reverse order."
     R"lua(

print(("abc"):reverse())  --> cba)lua",
     string_reverse,
     Intrinsic::kBrief, brief_reverse},
    {"rep", "string.rep(s: string, n: integer, separator?: string) -> string",
     "n copies of s with the separator between them; empty if n is not positive. A result beyond the limits is an error."
     R"lua(

print(("ab"):rep(3, "-"))  --> ab-ab-ab)lua",
     string_rep,
     Intrinsic::kBrief, brief_rep},
    {"byte", "string.byte(s: string, i?: integer, j?: integer) -> integer ...",
     "The codes of the bytes of s from position i (1 by default) to position j (i by default)."
     R"lua(

print(("ABC"):byte(1, -1))  --> 65	66	67)lua",
     string_byte,
     Intrinsic::kStringByte},
    {"dump", "string.dump(f: function, strip?: boolean) -> string",
     "The binary form of a script function, which `load` accepts; without debug information if strip is true. Upvalues are "
     "not kept. A native function is an error."
     R"lua(

print(load(string.dump(function() return 7 end))())  --> 7)lua",
     string_dump},
    {nullptr, nullptr, nullptr, nullptr},
};

// These have the table of byte_string as their upvalue.
const NativeInfo kByteStringFunctions[] = {
    {"sub", "string.sub(s: string, i: integer, j?: integer) -> string",
     "The bytes of s from position i to position j, both included. Negative positions count from the end, j is -1 by "
     "default; positions outside the string are moved to its ends."
     R"lua(

print(("hello"):sub(2, 4), ("hello"):sub(-3))  --> ell	llo)lua",
     string_sub, intrinsic_of(LibraryIntrinsic::kStringSub)},
    {"char", "string.char(...: integer) -> string",
     "The string of the bytes with the given codes. A code outside 0..255 is an error."
     R"lua(

print(string.char(72, 105))  --> Hi)lua",
     string_char,
     intrinsic_of(LibraryIntrinsic::kStringChar)},
    {nullptr, nullptr, nullptr, nullptr},
};

// --- arithmetic ------------------------------------------------------------------------------------------------------

// Neither operand's numerals helped: the second operand's own metamethod, else the error.
int try_second_operand(NativeCall& call, Operator op) {
  const Value a = call.arg(1), b = call.arg(2);
  ThreadState& thread = call.thread();
  const Metamethod which = metamethod_of(op);
  const Value other = b.is_string() ? Value() : vm::metamethod(thread.shared, b, which);
  if (other.is_nil()) {
    const char* name = thread.shared.metamethod_names[static_cast<int>(which)]->data() + 2;  // without the underscores
    call.error("attempt to %s a '%s' with a '%s'", name, base_type_name(a), base_type_name(b));
  }
  call.push(other);
  call.push(a);
  call.push(b);
  return vm::call(thread, 2, 1);
}

template <Operator op>
int arithmetic(NativeCall& call) {
  Value a, b;
  if (!vm::to_number(call.arg(1), a) || !vm::to_number(call.arg(2), b)) return try_second_operand(call, op);
  Value result;
  const vm::ArithmeticStatus status = vm::raw_arithmetic(op, a, b, result);
  if (status == vm::ArithmeticStatus::kDone) return call.result(result);
  // Raised by a native, so without a position, as the reference implementation words it.
  const bool divides = status == vm::ArithmeticStatus::kDivideByZero;
  call.raise(Value::of(string::make(call.heap(), divides ? "attempt to divide by zero" : "attempt to perform 'n%0'")));
}

#define BATON_ARITHMETIC(field, symbol, op)                                                               \
  {field, "metamethod(a: any, b: any) -> number",                                                         \
   "The operator `" symbol "` of strings: both operands are converted to numbers; if one is no numeral, " \
   "the second operand's metamethod is called, and without one it is an error.",                          \
   arithmetic<op>}

const NativeInfo kMetamethods[] = {
    BATON_ARITHMETIC("__add", "+", Operator::kAdd),
    BATON_ARITHMETIC("__sub", "-", Operator::kSubtract),
    BATON_ARITHMETIC("__mul", "*", Operator::kMultiply),
    BATON_ARITHMETIC("__div", "/", Operator::kDivide),
    BATON_ARITHMETIC("__mod", "%", Operator::kModulo),
    BATON_ARITHMETIC("__pow", "^", Operator::kPower),
    BATON_ARITHMETIC("__idiv", "//", Operator::kFloorDivide),
    BATON_ARITHMETIC("__unm", "- (unary)", Operator::kNegate),
    {nullptr, nullptr, nullptr, nullptr},
};
#undef BATON_ARITHMETIC

}  // namespace

Table* open_string(ThreadState& thread) {
  Heap& heap = thread.heap();
  Table* library = table::make(heap, 0, 32);
  native::add_functions(thread, library, kFunctions);
  Table* byte_strings = make_byte_strings(heap);
  for (const NativeInfo* info = kByteStringFunctions; info->name != nullptr; ++info) {
    const Value function = native::make(thread, info, 1);
    function.native()->upvalues()[0] = Value::of(byte_strings);
    heap.barrier(function.native(), byte_strings);
    native::set_field(thread, library, info->name, function);
  }
  native::add_functions(thread, library, kStringMatchFunctions);
  native::add_functions(thread, library, kStringFormatFunctions);
  native::add_functions(thread, library, kStringPackFunctions);
  Table* metatable = table::make(heap, 0, 16);
  native::add_functions(thread, metatable, kMetamethods);
  native::set_field(thread, metatable, "__index", Value::of(library));
  thread.shared.type_metatables[static_cast<int>(BaseType::kString)] = metatable;
  return library;
}

}  // namespace baton::stdlib
