// A script value: 16 bytes, an 8-byte payload and a one-byte tag.
//
// Integers (64 bit) and floats (double) are unboxed; everything else that lives on the heap is a
// pointer to an Object whose kind the tag repeats, so a type test never touches the object.
//
// Invariants
//  - Only `payload` and `tag` mean anything; the seven bytes behind the tag belong to whoever holds
//    the value (a hash node keeps its key's tag and chain there). Copying a Value therefore copies
//    nine bytes and never writes the rest. Never memcpy a Value over another.
//  - Tags are written as one byte and read as one byte: equal widths keep store forwarding alive.
//  - A Value holds no reference count and is no root: a heap pointer in it stays valid until the
//    next call that takes a `ThreadState&` (a safepoint may collect), unless it is reachable from
//    a root: a coroutine's stack, the registry, a Root<T>.
//  - Owner: whoever holds it. Threading: values are touched only while holding the GIL.
#pragma once

#include <cstdint>
#include <cstring>

#include "base/check.h"

namespace baton {

struct Object;
struct String;
struct Table;
struct Closure;
struct Native;
struct Userdata;
struct Coroutine;

// The order matters: false and nil are the two smallest, numbers differ in the lowest bit, and all
// heap kinds have kTagHeapBit. Kinds with a tag of their own repeat it in Object::kind.
enum class Tag : std::uint8_t {
  kNil = 0,
  kFalse = 1,
  kTrue = 2,
  kLightUserdata = 3,
  kInteger = 4,
  kFloat = 5,
  kShortString = 0x10,  // interned: equal means same pointer
  kLongString = 0x11,
  kTable = 0x12,
  kClosure = 0x13,  // script function
  kNative = 0x14,   // host function
  kUserdata = 0x15,
  kCoroutine = 0x16,
  // Never seen by scripts.
  kUpvalue = 0x17,
  kPrototype = 0x18,
  kDeadKey = 0x08,  // key of a removed entry whose object may be gone; only in hash nodes
};

inline constexpr std::uint8_t kTagHeapBit = 0x10;

// What `type` tells apart, in the order of the manual's C constants (a lua.h layer needs the numbers).
enum class BaseType : std::uint8_t {
  kNil = 0, kBoolean, kLightUserdata, kNumber, kString, kTable, kFunction, kUserdata, kThread,
};
inline constexpr int kBaseTypeCount = 9;

struct Value {
  union {
    std::int64_t integer;
    double number;
    void* pointer;  // light userdata
    Object* object;
    std::uint64_t bits;
  };
  Tag tag;

  Value() noexcept : bits(0), tag(Tag::kNil) {}
  Value(const Value& other) noexcept : bits(other.bits), tag(other.tag) {}
  Value& operator=(const Value& other) noexcept {
    bits = other.bits;
    tag = other.tag;
    return *this;
  }

  static Value nil() noexcept { return Value(); }
  static Value boolean(bool b) noexcept { return Value(0, b ? Tag::kTrue : Tag::kFalse); }
  static Value from(std::int64_t i) noexcept { return Value(static_cast<std::uint64_t>(i), Tag::kInteger); }
  static Value from(double d) noexcept {
    Value v;
    v.number = d;
    v.tag = Tag::kFloat;
    return v;
  }
  static Value light(void* p) noexcept { return Value(reinterpret_cast<std::uint64_t>(p), Tag::kLightUserdata); }
  // `tag` must be the tag of the object's kind; the typed overloads in the kinds' headers are preferred.
  static Value of(const Object* o, Tag tag) noexcept { return Value(reinterpret_cast<std::uint64_t>(o), tag); }
  static Value of(const String* s) noexcept;  // value/string.h
  static Value of(const Table* t) noexcept { return of_kind(t, Tag::kTable); }
  static Value of(const Closure* c) noexcept { return of_kind(c, Tag::kClosure); }
  static Value of(const Native* n) noexcept { return of_kind(n, Tag::kNative); }
  static Value of(const Userdata* u) noexcept { return of_kind(u, Tag::kUserdata); }
  static Value of(const Coroutine* c) noexcept { return of_kind(c, Tag::kCoroutine); }

  bool is_nil() const noexcept { return tag == Tag::kNil; }
  bool is_falsy() const noexcept { return static_cast<std::uint8_t>(tag) <= static_cast<std::uint8_t>(Tag::kFalse); }
  bool is_truthy() const noexcept { return !is_falsy(); }
  bool is_boolean() const noexcept { return tag == Tag::kFalse || tag == Tag::kTrue; }
  bool is_integer() const noexcept { return tag == Tag::kInteger; }
  bool is_float() const noexcept { return tag == Tag::kFloat; }
  bool is_number() const noexcept { return (static_cast<std::uint8_t>(tag) & 0xFE) == static_cast<std::uint8_t>(Tag::kInteger); }
  bool is_string() const noexcept { return (static_cast<std::uint8_t>(tag) & 0xFE) == static_cast<std::uint8_t>(Tag::kShortString); }
  bool is_table() const noexcept { return tag == Tag::kTable; }
  bool is_closure() const noexcept { return tag == Tag::kClosure; }
  bool is_native() const noexcept { return tag == Tag::kNative; }
  bool is_function() const noexcept { return tag == Tag::kClosure || tag == Tag::kNative; }
  bool is_userdata() const noexcept { return tag == Tag::kUserdata; }
  bool is_coroutine() const noexcept { return tag == Tag::kCoroutine; }
  bool is_heap() const noexcept { return (static_cast<std::uint8_t>(tag) & kTagHeapBit) != 0; }

  // Unchecked in release builds; the caller has tested the tag. Raises: nothing.
  String* string() const noexcept { BATON_DCHECK(is_string()); return reinterpret_cast<String*>(object); }
  Table* table() const noexcept { BATON_DCHECK(is_table()); return reinterpret_cast<Table*>(object); }
  Closure* closure() const noexcept { BATON_DCHECK(is_closure()); return reinterpret_cast<Closure*>(object); }
  Native* native() const noexcept { BATON_DCHECK(is_native()); return reinterpret_cast<Native*>(object); }
  Userdata* userdata() const noexcept { BATON_DCHECK(is_userdata()); return reinterpret_cast<Userdata*>(object); }
  Coroutine* coroutine() const noexcept { BATON_DCHECK(is_coroutine()); return reinterpret_cast<Coroutine*>(object); }

  void set_nil() noexcept { tag = Tag::kNil; }
  void set_boolean(bool b) noexcept { tag = b ? Tag::kTrue : Tag::kFalse; }
  void set_integer(std::int64_t i) noexcept { integer = i; tag = Tag::kInteger; }
  void set_float(double d) noexcept { number = d; tag = Tag::kFloat; }

 private:
  Value(std::uint64_t raw, Tag t) noexcept : bits(raw), tag(t) {}
  template <class T>
  static Value of_kind(const T* object, Tag tag) noexcept {
    return Value(reinterpret_cast<std::uint64_t>(object), tag);
  }
};
static_assert(sizeof(Value) == 16);

// The basic type of a tag (manual 2.1). Raises: nothing.
inline BaseType base_type(Tag tag) noexcept {
  switch (tag) {
    case Tag::kNil: return BaseType::kNil;
    case Tag::kFalse:
    case Tag::kTrue: return BaseType::kBoolean;
    case Tag::kLightUserdata: return BaseType::kLightUserdata;
    case Tag::kInteger:
    case Tag::kFloat: return BaseType::kNumber;
    case Tag::kShortString:
    case Tag::kLongString: return BaseType::kString;
    case Tag::kTable: return BaseType::kTable;
    case Tag::kClosure:
    case Tag::kNative: return BaseType::kFunction;
    case Tag::kUserdata: return BaseType::kUserdata;
    case Tag::kCoroutine: return BaseType::kThread;
    default: return BaseType::kNil;
  }
}

// "nil", "boolean", "userdata", ... as `type` prints them. Raises: nothing.
const char* base_type_name(BaseType type) noexcept;
inline const char* base_type_name(const Value& v) noexcept { return base_type_name(base_type(v.tag)); }

// Primitive equality (manual 3.4.4, without metamethods): numbers by mathematical value, strings by
// content, everything else by identity. Raises: nothing.
bool raw_equal(const Value& a, const Value& b) noexcept;

}  // namespace baton
