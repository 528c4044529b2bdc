// A compiled function: code, constants, nested functions, and what debugging needs.
//
// Invariants
//  - Built by the compiler or the binary loader, complete before the first closure over it exists.
//  - Afterwards only the interpreter writes it: it specialises opcodes and fills caches in `code`,
//    under the GIL; such a write never changes what the instruction means.
//  - Register r of a running function is base[r]; max_stack counts all it may use (<= 255).
//  - Arrays belong to the prototype and are freed with it.
#pragma once

#include <new>

#include "bytecode/instruction.h"
#include "value/object.h"

namespace baton {

class Heap;
struct TableTemplate;

struct UpvalueDescription {
  String* name;            // may be null (stripped)
  std::uint8_t in_stack;   // 1: register `index` of the enclosing function; 0: its upvalue `index`
  std::uint8_t index;
  std::uint8_t attribute;  // LocalAttribute of the variable: 0 regular, 1 const, 2 close
};

struct LocalDescription {
  String* name;
  std::uint32_t start_pc;  // first instruction where the variable is active
  std::uint32_t end_pc;    // first instruction where it is dead
};

template <class T>
struct PrototypeArray {
  T* items = nullptr;
  std::uint32_t size = 0;
  T& operator[](std::size_t i) noexcept { return items[i]; }
  const T& operator[](std::size_t i) const noexcept { return items[i]; }
  T* begin() const noexcept { return items; }
  T* end() const noexcept { return items + size; }
};

struct Prototype : TracedObject {
  std::uint8_t parameter_count;
  std::uint8_t is_vararg;  // 0 or 1; parameters() reads the two as one number
  std::uint8_t max_stack;
  std::uint8_t needs_close;  // has captured or to-be-closed locals
  std::uint32_t line_defined;       // 0 for a main chunk
  std::uint32_t last_line_defined;
  std::uint32_t guess_count;  // words in front of the constants, see prototype::allocate_constants
  String* source;  // chunk name as given to load ("@file", "=name" or text); null when stripped
  PrototypeArray<Instruction> code;
  PrototypeArray<Value> constants;  // the guesses lie in front of them, the first one nearest
  PrototypeArray<Prototype*> prototypes;
  PrototypeArray<UpvalueDescription> upvalues;
  PrototypeArray<std::uint32_t> lines;  // line of each instruction; empty when stripped
  PrototypeArray<LocalDescription> locals;  // ordered by start_pc; empty when stripped
  PrototypeArray<TableTemplate*> templates;  // of constructors that were executed (table_template.h)

  // The number of parameters; of a vararg function more than a call can have in registers.
  unsigned parameters() const noexcept { return parameter_count | static_cast<unsigned>(is_vararg) << 8; }
};

namespace prototype {

// An empty prototype; white. Raises: kMemory.
Prototype* make(Heap& heap);

// Room for `size` items of `item_bytes` bytes; null for none. What `allocate` is made of. Raises: kMemory.
void* allocate_items(Heap& heap, std::size_t size, std::size_t item_bytes);

// Gives `array` room for `size` items, counted by the heap and freed with the prototype; items are
// value-initialised. Called once per array. Raises: kMemory.
template <class T>
void allocate(Heap& heap, PrototypeArray<T>& array, std::uint32_t size) {
  array.items = static_cast<T*>(allocate_items(heap, size, sizeof(T)));
  array.size = size;
  for (std::uint32_t i = 0; i < size; ++i) new (&array.items[i]) T();
}

// Room for `size` constants, nil, and in front of them a guess for each instruction that keeps one (flag kOpGuess): an
// address that the instruction met last, which the interpreter compares with what it finds (vm/interpreter.cpp).
// Operand d of these instructions leads there: 64 KiB less than the distance in bytes. So the code must be there already. Raises: kMemory.
void allocate_constants(Heap& heap, Prototype* p, std::uint32_t size);

// Bytes in front of the constants, a multiple of a value's size. Raises: nothing.
inline std::size_t guess_bytes(const Prototype* p) noexcept { return (p->guess_count + 1) / 2 * sizeof(Value); }

// Line of instruction `pc` (0-based), or 0 without line information. Raises: nothing.
inline std::uint32_t line_at(const Prototype* p, std::uint32_t pc) noexcept {
  return pc < p->lines.size ? p->lines[pc] : 0;
}

// Name of the `n`-th (1-based) local variable active at `pc`, or null. Raises: nothing.
const String* local_name(const Prototype* p, int n, std::uint32_t pc) noexcept;

}  // namespace prototype
}  // namespace baton
