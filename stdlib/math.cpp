// The library `math` (manual 6.7).
//
// Numbers keep their kind: an integer argument takes the integer branch of a function and never passes through a
// float. Results that are integral floats become integers where the manual says so (floor, ceil) if they fit.
//
// The generator of `random` is the manual's: xoshiro256**, whose four words of state live in a userdata that `random`
// and `randomseed` share as their upvalue. So every runtime has a generator of its own, and the same seed gives the
// same numbers as the reference implementation:
//   - a seed (x, y) sets the words to x, 255, y, 0; the first sixteen numbers are thrown away, because a state of few
//     bits needs some steps to spread;
//   - a float takes the 53 highest bits of a number;
//   - an integer of an interval is drawn by masking: the number is cut to the bits of the smallest 2^k - 1 that is not
//     below the interval's size, and drawn again while it exceeds the size. No division, no bias, less than two draws
//     on average.
#include <chrono>
#include <cmath>
#include <limits>

#include "base/number.h"
#include "all_modules.h"
#include "vm/library_intrinsics.h"
#include "vm/native.h"
#include "vm/operations.h"

namespace baton::stdlib {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr std::int64_t kMaxInteger = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMinInteger = std::numeric_limits<std::int64_t>::min();

// A float argument without a call when it is one already.
inline double number_argument(NativeCall& call, int i) {
  const Value v = call.arg(i);
  return v.is_float() ? v.number : call.check_number(i);
}

// An integral float as an integer if it fits, else as it is.
inline Value integral(double value) noexcept {
  std::int64_t integer;
  return number::to_integer(value, integer) ? Value::from(integer) : Value::from(value);
}

int math_abs(NativeCall& call) {
  const Value v = call.arg(1);
  if (v.is_integer()) return call.result(Value::from(v.integer < 0 ? number::negate(v.integer) : v.integer));
  return call.result(Value::from(std::fabs(number_argument(call, 1))));
}

int math_ceil(NativeCall& call) {
  const Value v = call.arg(1);
  return call.result(v.is_integer() ? v : integral(std::ceil(number_argument(call, 1))));
}

int math_floor(NativeCall& call) {
  const Value v = call.arg(1);
  return call.result(v.is_integer() ? v : integral(std::floor(number_argument(call, 1))));
}

int math_fmod(NativeCall& call) {
  const Value a = call.arg(1), b = call.arg(2);
  if (!a.is_integer() || !b.is_integer()) {
    const double divisor = number_argument(call, 2);  // the reference complains about this one first
    return call.result(Value::from(number::float_remainder(number_argument(call, 1), divisor)));
  }
  if (b.integer == 0) call.argument_error(2, "zero");
  if (b.integer == -1) return call.result(Value::from(std::int64_t{0}));  // the smallest integer by -1 would trap
  return call.result(Value::from(a.integer % b.integer));
}

int math_modf(NativeCall& call) {
  const Value v = call.arg(1);
  if (v.is_integer()) {
    call.push(v);
    call.push(Value::from(0.0));
    return 2;
  }
  const double x = number_argument(call, 1);
  const double whole = std::trunc(x);
  call.push(integral(whole));
  call.push(Value::from(x == whole ? 0.0 : x - whole));  // an infinity has no fraction
  return 2;
}

int math_sqrt(NativeCall& call) { return call.result(Value::from(std::sqrt(number_argument(call, 1)))); }
int math_exp(NativeCall& call) { return call.result(Value::from(std::exp(number_argument(call, 1)))); }
int math_sin(NativeCall& call) { return call.result(Value::from(std::sin(number_argument(call, 1)))); }
int math_cos(NativeCall& call) { return call.result(Value::from(std::cos(number_argument(call, 1)))); }
int math_tan(NativeCall& call) { return call.result(Value::from(std::tan(number_argument(call, 1)))); }
int math_asin(NativeCall& call) { return call.result(Value::from(std::asin(number_argument(call, 1)))); }
int math_acos(NativeCall& call) { return call.result(Value::from(std::acos(number_argument(call, 1)))); }

int math_atan(NativeCall& call) {
  const double y = number_argument(call, 1);
  return call.result(Value::from(std::atan2(y, call.optional_number(2, 1.0))));
}

int math_log(NativeCall& call) {
  const double x = number_argument(call, 1);
  if (call.none_or_nil(2)) return call.result(Value::from(std::log(x)));
  const double base = number_argument(call, 2);
  if (base == 2.0) return call.result(Value::from(std::log2(x)));
  if (base == 10.0) return call.result(Value::from(std::log10(x)));
  return call.result(Value::from(std::log(x) / std::log(base)));
}

int math_deg(NativeCall& call) { return call.result(Value::from(number_argument(call, 1) * (180.0 / kPi))); }
int math_rad(NativeCall& call) { return call.result(Value::from(number_argument(call, 1) * (kPi / 180.0))); }

// The arguments of max and min are compared as values of the language, whatever they are: the reference asks no more.
bool argument_less(NativeCall& call, const Value& a, const Value& b) {
  if (a.is_integer() && b.is_integer()) return a.integer < b.integer;
  if (a.is_float() && b.is_float()) return a.number < b.number;
  return vm::less(call.thread(), a, b);
}

int math_max(NativeCall& call) {
  if (call.count() == 0) call.argument_error(1, "value expected");
  int best = 1;
  for (int i = 2; i <= call.count(); ++i) {
    if (argument_less(call, call.arg(best), call.arg(i))) best = i;
  }
  return call.result(call.arg(best));
}

int math_min(NativeCall& call) {
  if (call.count() == 0) call.argument_error(1, "value expected");
  int best = 1;
  for (int i = 2; i <= call.count(); ++i) {
    if (argument_less(call, call.arg(i), call.arg(best))) best = i;
  }
  return call.result(call.arg(best));
}

int math_tointeger(NativeCall& call) {
  const Value v = call.arg(1);
  if (v.is_integer()) return call.result(v);
  std::int64_t integer;
  if (vm::to_integer(v, integer)) return call.result(Value::from(integer));
  call.check_any(1);
  return call.result(Value());
}

int math_type(NativeCall& call) {
  const Value v = call.arg(1);
  if (v.is_integer()) return call.result_string("integer");
  if (v.is_float()) return call.result_string("float");
  call.check_any(1);
  return call.result(Value());
}

int math_ult(NativeCall& call) {
  const auto a = static_cast<std::uint64_t>(call.check_integer(1));
  const auto b = static_cast<std::uint64_t>(call.check_integer(2));
  return call.result(Value::boolean(a < b));
}

// --- brief forms -----------------------------------------------------------------------------------------------------

int brief_ceil(SharedState&, Value* function, int arguments) {
  if (arguments < 1 || !function[1].is_number()) return kNotBrief;
  *function = function[1].is_integer() ? function[1] : integral(std::ceil(function[1].number));
  return 1;
}

template <double (*compute)(double)>
int brief_float(SharedState&, Value* function, int arguments) {
  if (arguments != 1 || !function[1].is_number()) return kNotBrief;
  *function = Value::from(compute(function[1].is_float() ? function[1].number : static_cast<double>(function[1].integer)));
  return 1;
}

int brief_tointeger(SharedState&, Value* function, int arguments) {
  if (arguments < 1 || !function[1].is_number()) return kNotBrief;
  std::int64_t integer;
  if (function[1].is_integer()) *function = function[1];
  else if (number::to_integer(function[1].number, integer)) function->set_integer(integer);
  else function->set_nil();
  return 1;
}

// --- the generator ---------------------------------------------------------------------------------------------------

struct Generator {
  std::uint64_t state[4];

  static std::uint64_t rotate_left(std::uint64_t x, int bits) noexcept { return (x << bits) | (x >> (64 - bits)); }

  std::uint64_t next() noexcept {
    const std::uint64_t result = rotate_left(state[1] * 5, 7) * 9;
    const std::uint64_t shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotate_left(state[3], 45);
    return result;
  }

  void seed(std::uint64_t x, std::uint64_t y) noexcept {
    state[0] = x;
    state[1] = 0xFF;  // never all zero
    state[2] = y;
    state[3] = 0;
    for (int i = 0; i < 16; ++i) next();
  }

  // `drawn`, and more numbers where it is too large, cut to 0..limit.
  std::uint64_t cut(std::uint64_t drawn, std::uint64_t limit) noexcept {
    if ((limit & (limit + 1)) == 0) return drawn & limit;  // 2^k - 1
    const std::uint64_t mask = ~std::uint64_t{0} >> __builtin_clzll(limit);
    while ((drawn &= mask) > limit) drawn = next();
    return drawn;
  }
};

inline Generator& generator_of(NativeCall& call) noexcept {
  return *static_cast<Generator*>(call.upvalue(1).userdata()->block());
}

std::uint64_t unpredictable(Generator& generator) noexcept {
  const auto now = std::chrono::system_clock::now().time_since_epoch().count();
  return static_cast<std::uint64_t>(now) * 0x9E3779B97F4A7C15u ^ reinterpret_cast<std::uintptr_t>(&generator);
}

int math_random(NativeCall& call) {
  Generator& generator = generator_of(call);
  const std::uint64_t drawn = generator.next();
  std::int64_t low = 1, high;
  switch (call.count()) {
    case 0: return call.result(Value::from(static_cast<double>(drawn >> 11) * 0x1p-53));
    case 1:
      high = call.check_integer(1);
      if (high == 0) return call.result(Value::from(static_cast<std::int64_t>(drawn)));  // all 64 bits
      break;
    case 2:
      low = call.check_integer(1);
      high = call.check_integer(2);
      break;
    default: call.error("wrong number of arguments");
  }
  if (low > high) call.argument_error(1, "interval is empty");
  const std::uint64_t size = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low);
  return call.result(Value::from(static_cast<std::int64_t>(generator.cut(drawn, size) + static_cast<std::uint64_t>(low))));
}

int brief_random(SharedState&, Value* function, int arguments) {
  Generator& generator = *static_cast<Generator*>(function->native()->upvalues()[0].userdata()->block());
  if (arguments == 0) {
    *function = Value::from(static_cast<double>(generator.next() >> 11) * 0x1p-53);
    return 1;
  }
  if (arguments > 2 || !function[1].is_integer() || !function[arguments].is_integer()) return kNotBrief;
  const std::int64_t low = arguments == 1 ? 1 : function[1].integer;
  const std::int64_t high = function[arguments].integer;
  if (low > high) return kNotBrief;  // also random(0)
  const std::uint64_t size = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low);
  const std::uint64_t drawn = generator.next();
  function->set_integer(static_cast<std::int64_t>(generator.cut(drawn, size) + static_cast<std::uint64_t>(low)));
  return 1;
}

int math_randomseed(NativeCall& call) {
  Generator& generator = generator_of(call);
  std::uint64_t x, y;
  if (call.count() == 0) {
    x = unpredictable(generator);
    y = generator.next();
  } else {
    x = static_cast<std::uint64_t>(call.check_integer(1));
    y = static_cast<std::uint64_t>(call.optional_integer(2, 0));
  }
  generator.seed(x, y);
  call.push(Value::from(static_cast<std::int64_t>(x)));
  call.push(Value::from(static_cast<std::int64_t>(y)));
  return 2;
}

const NativeInfo kFunctions[] = {
    {"abs", "math.abs(x: number) -> number",
     "The maximum of x and -x. An integer gives an integer; the smallest integer wraps around to itself."
     R"lua(

print(math.abs(-3), math.abs(-0.5))  --> 3	0.5)lua",
     math_abs,
     intrinsic_of(LibraryIntrinsic::kMathAbs)},
    {"ceil", "math.ceil(x: number) -> number",
     "The smallest integral value that is not less than x: an integer if it fits one, else a float."
     R"lua(

print(math.ceil(2.1), math.ceil(-2.1))  --> 3	-2)lua",
     math_ceil,
     Intrinsic::kBrief, brief_ceil},
    {"floor", "math.floor(x: number) -> number",
     "The largest integral value that is not greater than x: an integer if it fits one, else a float."
     R"lua(

print(math.floor(2.9), math.floor(-2.1))  --> 2	-3)lua",
     math_floor,
     Intrinsic::kMathFloor},
    {"fmod", "math.fmod(x: number, y: number) -> number",
     "The remainder of x / y with the quotient rounded towards zero, so it has the sign of x (`%` has the sign of y). Two "
     "integers give an integer; then a y of zero is an error."
     R"lua(

print(math.fmod(-7, 3), -7 % 3)  --> -1	2)lua",
     math_fmod},
    {"modf", "math.modf(x: number) -> number, float",
     "The integral part of x, rounded towards zero (an integer if it fits one), and the fraction, a float."
     R"lua(

print(math.modf(3.25))  --> 3	0.25)lua",
     math_modf},
    {"sqrt", "math.sqrt(x: number) -> float",
     "The square root of x, a float; NaN for a negative number."
     R"lua(

print(math.sqrt(2) ^ 2 - 2 < 1e-9)  --> true)lua",
     math_sqrt,
     Intrinsic::kMathSqrt},
    {"exp", "math.exp(x: number) -> float",
     "e to the power of x."
     R"lua(

print(math.exp(0))  --> 1.0)lua",
     math_exp, Intrinsic::kBrief, brief_float<std::exp>},
    {"log", "math.log(x: number, base?: number) -> float",
     "The logarithm of x in the given base; the default is e. Bases 2 and 10 are exact for powers of the base."
     R"lua(

print(math.log(8, 2), math.log(1000, 10))  --> 3.0	3.0)lua",
     math_log,
     Intrinsic::kBrief, brief_float<std::log>},
    {"sin", "math.sin(x: number) -> float",
     "The sine of x, an angle in radians."
     R"lua(

print(math.sin(math.pi / 2))  --> 1.0)lua",
     math_sin, Intrinsic::kBrief,
     brief_float<std::sin>},
    {"cos", "math.cos(x: number) -> float",
     "The cosine of x, an angle in radians."
     R"lua(

print(math.cos(math.pi))  --> -1.0)lua",
     math_cos, Intrinsic::kBrief,
     brief_float<std::cos>},
    {"tan", "math.tan(x: number) -> float",
     "The tangent of x, an angle in radians."
     R"lua(

print(math.tan(0))  --> 0.0)lua",
     math_tan},
    {"asin", "math.asin(x: number) -> float",
     "The angle in radians whose sine is x; NaN outside -1..1."
     R"lua(

print(math.deg(math.asin(1)))  --> 90.0)lua",
     math_asin},
    {"acos", "math.acos(x: number) -> float",
     "The angle in radians whose cosine is x; NaN outside -1..1."
     R"lua(

print(math.deg(math.acos(-1)))  --> 180.0)lua",
     math_acos},
    {"atan", "math.atan(y: number, x?: number) -> float",
     "The angle in radians of the point (x, y), in -pi..pi: the signs of both choose the quadrant. x is 1 by default, which "
     "gives the arc tangent of y."
     R"lua(

print(math.deg(math.atan(1, -1)))  --> 135.0)lua",
     math_atan},
    {"deg", "math.deg(x: number) -> float",
     "Converts an angle from radians to degrees."
     R"lua(

print(math.deg(math.pi))  --> 180.0)lua",
     math_deg},
    {"rad", "math.rad(x: number) -> float",
     "Converts an angle from degrees to radians."
     R"lua(

print(math.rad(180) == math.pi)  --> true)lua",
     math_rad},
    {"max", "math.max(x: number, ...: number) -> number",
     "The largest of its arguments, compared as `<` does: integers and floats by their exact values. At least one is needed."
     R"lua(

print(math.max(1, 2.5, -3))  --> 2.5)lua",
     math_max, intrinsic_of(LibraryIntrinsic::kMathMax)},
    {"min", "math.min(x: number, ...: number) -> number",
     "The smallest of its arguments, compared as `<` does: integers and floats by their exact values. At least one is needed."
     R"lua(

print(math.min(1, 2.5, -3))  --> -3)lua",
     math_min, intrinsic_of(LibraryIntrinsic::kMathMin)},
    {"tointeger", "math.tointeger(x: any) -> integer?",
     "x as an integer if it is an integer, a float with an integral value that fits, or a string of one of those; else nil."
     R"lua(

print(math.tointeger(3.0), math.tointeger(3.5), math.tointeger "8")  --> 3	nil	8)lua",
     math_tointeger, Intrinsic::kBrief, brief_tointeger},
    {"type", "math.type(x: any) -> string?",
     "\"integer\" or \"float\" for a number, nil for any other value."
     R"lua(

print(math.type(1), math.type(1.0), math.type "1")  --> integer	float	nil)lua",
     math_type},
    {"ult", "math.ult(m: integer, n: integer) -> boolean",
     "Whether m < n when both are read as unsigned integers."
     R"lua(

print(math.ult(1, -1))  --> true)lua",
     math_ult},
    {nullptr, nullptr, nullptr, nullptr},
};

const NativeInfo kRandom = {
    "random", "math.random(m?: integer, n?: integer) -> number",
    "A pseudo-random number: without arguments a float in [0, 1); with m and n an integer in m..n; with n only an integer in "
    "1..n; math.random(0) an integer of 64 random bits. An empty interval is an error. Not for secrets."
    R"lua(

local n = math.random(6)
print(n >= 1 and n <= 6)  --> true)lua",
    math_random, Intrinsic::kBrief, brief_random};

const NativeInfo kRandomSeed = {
    "randomseed", "math.randomseed(x?: integer, y?: integer) -> integer, integer",
    "Sets the seed of math.random to the integers x and y (y is 0 by default); equal seeds give equal sequences. Without "
    "arguments it takes a seed that nobody can foresee. Returns the two numbers that were used."
    R"lua(

math.randomseed(42)
local a = math.random()
math.randomseed(42)
print(a == math.random())  --> true)lua",
    math_randomseed};

void add_generator(ThreadState& thread, Table* library) {
  Heap& heap = thread.heap();
  Userdata* block = userdata::make(heap, sizeof(Generator));
  Generator& generator = *static_cast<Generator*>(block->block());
  generator.seed(unpredictable(generator), heap.seed());
  for (const NativeInfo* info : {&kRandom, &kRandomSeed}) {
    const Value function = native::make(thread, info, 1);
    function.native()->upvalues()[0] = Value::of(block);
    heap.barrier(function.native(), block);
    native::set_field(thread, library, info->name, function);
  }
}

}  // namespace

Table* open_math(ThreadState& thread) {
  Table* library = table::make(thread.heap(), 0, 32);
  native::add_functions(thread, library, kFunctions);
  add_generator(thread, library);
  native::set_field(thread, library, "pi", Value::from(kPi));
  native::set_field(thread, library, "huge", Value::from(std::numeric_limits<double>::infinity()));
  native::set_field(thread, library, "maxinteger", Value::from(kMaxInteger));
  native::set_field(thread, library, "mininteger", Value::from(kMinInteger));
  return library;
}

}  // namespace baton::stdlib
