// The format of messages. It never leaves the machine and both ends are the same binary, so there are no versions in it.
//
//   message   = count of values, values, bodies
//   value     = one tag byte, what belongs to it
//   body      = what an object holds: one for each object, in the order in which the values named them first
//
// A table is *named* in its place (tag, sizes) and *filled* later, when its turn comes. So neither end recurses, a list of a
// million linked tables needs no depth, cycles and shared references are just numbers, and the reader can make each table in
// its final size at once. Objects are tables, script functions and upvalues, numbered from 0; strings have numbers of their
// own, so that a key that occurs a thousand times costs two or three bytes, and reading it again costs no interning.
//
//   table     = kTable, array slots, hash entries           body = kind of the array, values, pairs, [metatable]
//   function  = kFunction, prototype                         body = upvalues (objects), globals that it names (name, value)
//   upvalue   = kUpvalue                                     body = value
//   prototype = its number; if it is new: size, binary chunk as of string.dump
//   class     = kClass, identity, table: a table that is, or looks like, a metatable. Who knows the identity already takes
//               the table it knows, so that objects that come back have the metatable they left with.
//   by name   = kGlobals; kModule, name; kMember, module, key; kUserdata, class, description
//
// Sizes are numbers in groups of seven bits, lowest first. Numbers and lengths stand in native order.
//
// What a function needs besides its upvalues: instructions that get or set a field with a constant name in an upvalue that is
// the table of globals. The values of these names travel with it, unless they are what every runtime has.
//
// Safety. Each table announced must be filled from the bytes that are left: array slots take at least a byte each, entries two.
// The reader subtracts these from the bytes left as soon as a table is announced, so all tables together never get more room
// than the message could fill. Binary chunks are checked as those of `load` are. Nothing else allocates by a number read.
#pragma once

#include <cstdint>

namespace baton::host::marshal {

enum MessageTag : std::uint8_t {
  kNil, kFalse, kTrue,
  kInteger8, kInteger16, kInteger32, kInteger64, kFloat,
  kString8,      // a new string with a length of one byte
  kString64,     // ... of eight bytes
  kStringAgain,  // number of a string
  kTable, kFunction, kUpvalue, kClass,
  kAgain,        // number of an object
  kGlobals, kModule, kMember, kUserdata,
  kShortString = 0x40,   // ... 0x7F: a new string of 0 to 63 bytes
  kSmallInteger = 0x80,  // ... 0xFF: an integer from 0 to 127
};
inline constexpr std::uint8_t kShortStringLimit = 64;
inline constexpr std::uint8_t kSmallIntegerLimit = 128;

// The first byte of a table's body.
enum TableShape : std::uint8_t { kHasMetatable = 1, kOnlyFloats = 2 };

inline constexpr std::uint32_t kNoObject = UINT32_MAX;
inline constexpr const char* kClassesKey = "_TRAVEL_CLASSES";  // identity -> table, table -> identity; weak

}  // namespace baton::host::marshal
