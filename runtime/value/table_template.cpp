#include "value/table_template.h"

#include "value/heap_internals.h"

namespace baton::table {

namespace {

constexpr std::uint32_t kMaxTemplates = 1u << 16;

// Appends to the list of templates, which has no spare room: it grows once for each constructor that is used twice.
void append(Heap& heap, Prototype* p, TableTemplate* made) {
  const std::uint32_t size = p->templates.size;
  p->templates.items = static_cast<TableTemplate**>(
      heap.resize_buffer(p->templates.items, size * sizeof(TableTemplate*), (size + 1) * sizeof(TableTemplate*)));
  p->templates.items[size] = made;
  p->templates.size = size + 1;
}

}  // namespace

std::int32_t add_template(Heap& heap, Prototype* p, std::uint32_t array_slots, std::uint32_t hash_entries,
                          String* const* keys, std::uint32_t key_count) {
  Table* model = make(heap, array_slots, hash_entries);
  for (std::uint32_t i = 0; i < key_count; ++i) set_string(heap, model, keys[i], Value::boolean(true));
  if (!is_in_cell(model, model->nodes) || p->templates.size >= kMaxTemplates) return -1;
  for (std::size_t i = 0; i < node_count(model); ++i) model->nodes[i].value().set_nil();
  const std::uint32_t bytes = kSizeClasses.bytes[model->size_class];
  auto* made = static_cast<TableTemplate*>(heap.allocate_buffer(TableTemplate::bytes(bytes)));
  made->cell_bytes = bytes;
  made->array_slots = array_slots;
  made->holds_keys = 0;
  made->learned = 0;
  made->nodes_offset = static_cast<std::uint32_t>(reinterpret_cast<char*>(model->nodes) - reinterpret_cast<char*>(model));
  std::memcpy(made->image(), static_cast<void*>(model), bytes);
  try {
    append(heap, p, made);
  } catch (const ScriptError&) {
    heap.free_buffer(made, TableTemplate::bytes(bytes));
    throw;
  }
  return static_cast<std::int32_t>(p->templates.size - 1);
}

std::int32_t add_learned_template(Heap& heap, Prototype* p, std::uint32_t array_slots, String* const* keys, std::uint32_t key_count) {
  const std::int32_t index = add_template(heap, p, array_slots, key_count, keys, key_count);
  if (index < 0) return index;
  TableTemplate* made = p->templates[static_cast<std::size_t>(index)];
  made->holds_keys = 1;
  made->learned = kLearnedEnough;
  for (std::uint32_t i = 0; i < key_count; ++i) heap.barrier(p, keys[i]);
  return index;
}

Table* make_from(Heap& heap, const TableTemplate* from) {
  Heap::Internals& h = heap.internals();
  const std::uint32_t bytes = from->cell_bytes;
  void* cell = h.allocate_cell(bytes, ObjectKind::kTable);
  const Object header = *static_cast<Object*>(cell);
  std::memcpy(cell, from->image(), bytes);
  Table* t = static_cast<Table*>(cell);
  static_cast<Object&>(*t) = header;
  t->flags = 0xFF;
  if (t->array_size != 0) t->array = reinterpret_cast<Value*>(t + 1);
  t->nodes = reinterpret_cast<Node*>(static_cast<char*>(cell) + from->nodes_offset);
  return t;
}

std::uint32_t array_slots_of(const Prototype* p, std::uint32_t operand) noexcept {
  if ((operand & kNewTableNever) == kNewTableTemplate) return p->templates[operand & kNewTableSlots]->array_slots;
  return operand & kNewTableSlots;
}

}  // namespace baton::table
