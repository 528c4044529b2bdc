#include "value/prototype.h"

#include <cstring>

#include "value/code_block.h"
#include "value/heap_internals.h"

namespace baton::prototype {

Prototype* make(Heap& heap) {
  auto* p = static_cast<Prototype*>(heap.allocate_object(sizeof(Prototype), ObjectKind::kPrototype));
  p->count = 0;
  p->parameter_count = 0;
  p->is_vararg = 0;
  p->max_stack = 2;
  p->needs_close = 0;
  p->line_defined = 0;
  p->last_line_defined = 0;
  p->guess_count = 0;
  p->source = nullptr;
  p->code = {};
  p->constants = {};
  p->prototypes = {};
  p->upvalues = {};
  p->lines = {};
  p->locals = {};
  p->templates = {};
  return p;
}

void* allocate_items(Heap& heap, std::size_t size, std::size_t item_bytes) {
  return size == 0 ? nullptr : heap.allocate_buffer(size * item_bytes);
}

void allocate_code(Heap& heap, Prototype* p, std::uint32_t size) {
  auto* block = static_cast<char*>(allocate_items(heap, kCodeHeaderBytes + size * sizeof(Instruction), 1));
  std::memset(block, 0, kCodeHeaderBytes);
  p->code.items = reinterpret_cast<Instruction*>(block + kCodeHeaderBytes);
  p->code.size = size;
}

void allocate_constants(Heap& heap, Prototype* p, std::uint32_t size) {
  constexpr std::uint32_t kMaxGuesses = UINT16_MAX / sizeof(void*);  // operand d; what is beyond shares the last one
  std::uint32_t count = 0;
  for (Instruction& i : p->code) {
    if ((opcode_info(i.op).flags & kOpGuess) == 0) continue;
    if (count < kMaxGuesses) ++count;
    i.d = static_cast<std::uint16_t>(0 - count * sizeof(void*));
  }
  const std::size_t before = (count + 1) / 2 * sizeof(Value);
  auto* block = static_cast<char*>(allocate_items(heap, before + size * sizeof(Value), 1));
  if (block == nullptr) return;
  std::memset(block, 0, before);
  p->guess_count = count;
  p->constants.items = reinterpret_cast<Value*>(block + before);
  p->constants.size = size;
  for (Value& constant : p->constants) new (&constant) Value();
  reinterpret_cast<Value**>(p->code.items)[-1] = p->constants.items;
}

const String* local_name(const Prototype* p, int n, std::uint32_t pc) noexcept {
  for (const LocalDescription& local : p->locals) {
    if (local.start_pc > pc) break;
    if (pc < local.end_pc && --n == 0) return local.name;
  }
  return nullptr;
}

}  // namespace baton::prototype
