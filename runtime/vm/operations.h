// The language's operations on any values, with metamethods, for natives and slow paths.
//
// All that take ThreadState& may run script code (metamethods) and so reach safepoints: pointers
// not reachable from a root are invalid afterwards; results are plain values, root them if needed.
// Raises: ScriptError(kValue) worded as PUC Lua words it, with variable names where known.
#pragma once

#include "vm/thread_state.h"

namespace baton {

// Arithmetic and bitwise operators, in the order of their metamethods (Metamethod::kAdd ... kBitNot).
enum class Operator : std::uint8_t {
  kAdd, kSubtract, kMultiply, kDivide, kModulo, kPower, kFloorDivide,
  kBitAnd, kBitOr, kBitXor, kShiftLeft, kShiftRight, kNegate, kBitNot,
};

inline Metamethod metamethod_of(Operator op) noexcept {
  return static_cast<Metamethod>(static_cast<int>(Metamethod::kAdd) + static_cast<int>(op));
}

namespace vm {

// --- metamethods ------------------------------------------------------------------------------
Table* metatable_of(const SharedState& shared, const Value& v) noexcept;
// The metamethod field of v's metatable, or a nil. Raw. Raises: nothing.
const Value& metamethod(const SharedState& shared, const Value& v, Metamethod which) noexcept;
// As above for a table's metatable `mt` (may be null) and one of the cached eight; fills the cache.
const Value& cached_metamethod(const SharedState& shared, Table* mt, Metamethod which) noexcept;
// Sets the metatable of a table or userdata (barrier, finalizer registration, cache). Raises: kMemory.
void set_metatable(ThreadState& thread, const Value& object, Table* metatable);

// --- access -----------------------------------------------------------------------------------
Value index(ThreadState& thread, const Value& object, const Value& key);               // object[key]
Value index_field(ThreadState& thread, const Value& object, std::string_view name);    // object.name
Value index_integer(ThreadState& thread, const Value& object, std::int64_t key);
void set_index(ThreadState& thread, const Value& object, const Value& key, const Value& value);
void set_index_integer(ThreadState& thread, const Value& object, std::int64_t key, const Value& value);

// --- arithmetic, comparison, length, concatenation ------------------------------------------------
// Numbers only, no metamethods, no string conversion. kDone stores `result`.
enum class ArithmeticStatus : std::uint8_t { kDone, kNotNumbers, kDivideByZero, kModuloByZero, kNoInteger };
ArithmeticStatus raw_arithmetic(Operator op, const Value& a, const Value& b, Value& result) noexcept;
Value arithmetic(ThreadState& thread, Operator op, const Value& a, const Value& b);  // unary: b == a
bool equal(ThreadState& thread, const Value& a, const Value& b);
bool less(ThreadState& thread, const Value& a, const Value& b);
bool less_equal(ThreadState& thread, const Value& a, const Value& b);
Value length(ThreadState& thread, const Value& v);               // # with __len
std::int64_t length_integer(ThreadState& thread, const Value& v); // raises "object length is not an integer"
// Concatenates the last `count` values of the stack (count >= 1) into one that replaces them. Raises: kStringTooLong ...
void concat(ThreadState& thread, int count);

// --- conversions ------------------------------------------------------------------------------
bool to_number(const Value& v, Value& result) noexcept;                 // numbers and numeric strings
bool to_integer(const Value& v, std::int64_t& result) noexcept;         // integers, integral floats, strings of those
bool to_integer_strict(const Value& v, std::int64_t& result) noexcept;  // as above, no strings
String* number_to_string(Heap& heap, const Value& number);              // as tostring. Raises: kMemory
// tostring(v): __tostring, __name. Raises: "'__tostring' must return a string".
String* to_string(ThreadState& thread, const Value& v);
// Type name for messages: __name of the metatable if it is a string, else the basic type's. Raises: nothing.
std::string type_name(const SharedState& shared, const Value& v);

// --- error values of failing operations, complete with position and names; nothing is thrown --------
// For instructions, which fail by return code. Raises: kMemory.
namespace error {
Value text(ThreadState& thread, std::string_view message);
Value type(ThreadState& thread, const Value& culprit, const char* action);
Value call(ThreadState& thread, const Value& culprit);
Value arithmetic(ThreadState& thread, Operator op, const Value& a, const Value& b);
Value order(ThreadState& thread, const Value& a, const Value& b);
}  // namespace error

// --- raising (messages with position and variable names; the failing instruction is the current frame's) ---
[[noreturn]] void raise_value(ThreadState& thread, const Value& error);
[[noreturn]] void raise_text(ThreadState& thread, std::string_view message);          // adds "chunk:line: " of the running script function
[[noreturn]] void raise_type(ThreadState& thread, const Value& culprit, const char* action);   // attempt to ACTION a X value (local 'n')
[[noreturn]] void raise_call(ThreadState& thread, const Value& culprit);              // attempt to call ...
[[noreturn]] void raise_arithmetic(ThreadState& thread, Operator op, const Value& a, const Value& b);
[[noreturn]] void raise_order(ThreadState& thread, const Value& a, const Value& b);   // attempt to compare ...
[[noreturn]] void raise_concat(ThreadState& thread, const Value& a, const Value& b);
[[noreturn]] void raise_for(ThreadState& thread, const Value& culprit, const char* what);  // 'for' initial value must be a number
// The error value of an exception id (adds position where PUC Lua does). Raises: nothing (falls back to the memory error).
Value error_value(ThreadState& thread, const ScriptError& error) noexcept;

}  // namespace vm
}  // namespace baton
