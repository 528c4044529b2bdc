// Tables: an array part and a hash part of chained scatter with Brent's variation.
//
// Hash part. 2^k nodes; a key's main position is its hash masked. A chain runs through nodes of the
// array itself by relative distance. Insertion of a new key:
//   - main position unused (its value is nil): the key goes there, the chain link stays;
//   - main position taken by a key that belongs there: the new key goes to a free node, which is linked
//     in behind the main position;
//   - taken by a key from another chain: that one moves to a free node, the new key takes its place.
// So a key in its main position is found at once, and the part can be filled completely. Free nodes
// are searched downwards from `last_free`, which never goes up between rehashes. When none is left,
// the table is rehashed: keys are counted and both parts get new sizes.
//
// Sizes. The array part gets the largest n (a power of two) such that more than half of 1..n is in use;
// everything else goes to the hash part, whose size is the next power of two. Thus memory is at most
// proportional to the number of entries, whatever the keys. The common case of a rehash, appending to
// a full array, is recognised without counting the nodes' keys: if all slots of the array are in use,
// doubling keeps the rule; keys beyond the old end are then moved over from the nodes.
//
// Growing a large hash part costs what its misses of the cache cost, two or three for each entry and more for strings, and all
// others wait meanwhile: it is one instruction. So entries move in batches that ask for their lines ahead (BulkMove), in two
// passes. The first gives main positions to whoever finds its own free; the second puts all others into free nodes. No
// key ever has to give way then, because what is at the main position of a key that waits belongs there.
//
// Parts that a table gets when it is made, up to kMaxPartsInCell, lie behind it in its own cell: one allocation, and
// nothing to free when it dies. A part that grows moves to a buffer; what it leaves goes with the table.
//
// Removal assigns nil and keeps the node: a traversal that stands on it finds its way (`next`), and
// the chain stays whole. The node's key may be collected, in which case it becomes Tag::kDeadKey with
// the old address, to which nothing but `next` compares. Such nodes vanish at the next rehash.
//
// Order of `next`: array part, then nodes upwards. The position of a key is found by looking it up.
//
// Border. `length_hint` is where the last border was found. If the hint is still a border (one compare
// each side), or the border moved by a few, that is O(1); else binary search in the array part. If the
// array part is full, the search goes on in the hash part by doubling, then halving.
//
// Large tables may be under traversal by the collector in slices (mark.cpp): moving a node inside a
// black table marks what is moved, and new parts restart the slice.
#include "value/table.h"

#include <algorithm>
#include <bit>

#include "base/number.h"
#include "value/heap_internals.h"

namespace baton::table {

const Value kAbsent;
Node kEmptyNode = {0, Tag::kNil, Tag::kNil, 0, 0, 0};

namespace {

constexpr std::uint32_t kMaxNodesLog2 = 30;
constexpr std::uint32_t kMaxArraySlots = 1u << 30;
constexpr std::uint32_t kFirstArraySlots = 4;
constexpr std::size_t kMaxPartsInCell = 512;

std::uint32_t pointer_position(std::uint64_t bits, std::uint32_t mask) noexcept {
  return static_cast<std::uint32_t>(((bits >> 3) * hash::kFactor3) >> 32) & mask;
}

// Main position of a normalised key. `String::hash` of a long string must be valid.
std::uint32_t position_of_parts(Tag tag, std::uint64_t bits, std::uint32_t mask) noexcept {
  switch (tag) {
    case Tag::kShortString:
    case Tag::kLongString:
      return reinterpret_cast<const String*>(bits)->hash & mask;
    case Tag::kInteger:
      return integer_position(static_cast<std::int64_t>(bits), mask);
    case Tag::kFloat:
      return static_cast<std::uint32_t>(hash::mix(bits) >> 32) & mask;
    case Tag::kFalse:
      return 1 & mask;
    case Tag::kTrue:
      return 2 & mask;
    default:
      return pointer_position(bits, mask);
  }
}

Node* main_position(const Table* t, const Value& key) noexcept {
  return &t->nodes[position_of_parts(key.tag, key.bits, t->node_mask())];
}

Node* main_position(const Table* t, const Node* node) noexcept {
  return &t->nodes[position_of_parts(node->key_tag, node->key_bits, t->node_mask())];
}

bool is_array_index(const Table* t, std::int64_t key) noexcept {
  return static_cast<std::uint64_t>(key) - 1 < t->array_size;
}

// Floats with an integer value become that integer: t[1.0] is t[1].
Value normalised(const Value& key) noexcept {
  std::int64_t integer;
  if (key.is_float() && number::to_integer(key.number, integer)) return Value::from(integer);
  return key;
}

bool same_long_string(const Node* node, const String* s) noexcept {
  return node->key_tag == Tag::kLongString && string::equal(reinterpret_cast<const String*>(node->key_bits), s);
}

Node* find_long_string(const Table* t, const String* s) noexcept {
  Node* node = &t->nodes[s->hash & t->node_mask()];
  for (;;) {
    if (same_long_string(node, s)) return node;
    if (node->next == 0) return nullptr;
    node += node->next;
  }
}

// The node of a key that is neither nil, a long string nor an index of the array part; null: none.
// With a dead key's tag: the node whose collected key had this address.
Node* find_by_bits(const Table* t, const Value& key, Tag tag) noexcept {
  Node* node = main_position(t, key);
  for (;;) {
    if (node->key_bits == key.bits && node->key_tag == tag) return node;
    if (node->next == 0) return nullptr;
    node += node->next;
  }
}

// Booleans have no bits that count.
Value canonical(const Value& key) noexcept {
  return key.is_boolean() ? Value::boolean(key.tag == Tag::kTrue) : key;
}

// The node of a normalised key outside the array part, or null.
Node* find_node(const Table* t, const Value& key) noexcept {
  if (key.tag != Tag::kLongString) return find_by_bits(t, canonical(key), key.tag);
  string::hash(key.string());
  return find_long_string(t, key.string());
}

// ---------------------------------------------------------------------------------------------------------------------
// Insertion into the hash part

// An unused node, or null: the part is full.
Node* take_free_node(Table* t) noexcept {
  if (t->nodes == &kEmptyNode) return nullptr;
  while (t->last_free > 0) {
    Node* node = &t->nodes[--t->last_free];
    if (node->key_tag == Tag::kNil) return node;
  }
  return nullptr;
}

// Moves the node at `from` to the unused node `to`; its chain is `first`'s.
void move_node(Node* first, Node* from, Node* to) noexcept {
  while (first + first->next != from) first += first->next;
  first->next = static_cast<std::int32_t>(to - first);
  *to = *from;
  if (from->next != 0) to->next += static_cast<std::int32_t>(from - to);
  from->next = 0;
  from->value().set_nil();
}

// The node that a new key shall take, with its chain in order, or null: no room.
Node* claim_node(Heap& heap, Table* t, const Value& key) noexcept {
  Node* main = main_position(t, key);
  if (main->value().is_nil() && t->nodes != &kEmptyNode) return main;
  Node* free = take_free_node(t);
  if (free == nullptr) return nullptr;
  Node* other = main_position(t, main);
  if (other == main) {
    free->next = main->next == 0 ? 0 : static_cast<std::int32_t>(main + main->next - free);
    main->next = static_cast<std::int32_t>(free - main);
    return free;
  }
  move_node(other, main, free);
  if (BATON_UNLIKELY(t->is_black())) {  // it may have moved behind the cursor of a slice
    heap.barrier_back(t, Value::of(reinterpret_cast<Object*>(free->key_bits), free->key_tag));
    heap.barrier_back(t, free->value());
  }
  return main;
}

void fill_node(Node* node, const Value& key, const Value& value) noexcept {
  node->key_bits = key.bits;
  node->key_tag = key.tag;
  node->value() = value;
}

// ---------------------------------------------------------------------------------------------------------------------
// Sizes

std::size_t array_bytes(std::size_t slots) noexcept { return slots * sizeof(Value); }
std::size_t nodes_bytes(std::size_t nodes) noexcept { return nodes * sizeof(Node); }

// A cleared hash part of `nodes` (a power of two, or 0). Raises: kMemory.
Node* make_nodes(Heap& heap, std::size_t nodes) {
  if (nodes == 0) return &kEmptyNode;
  const std::size_t bytes = nodes_bytes(nodes);
  void* memory = heap.allocate_buffer(bytes);
  if (bytes < kMappedBufferBytes) std::memset(memory, 0, bytes);  // else it is zero
  return static_cast<Node*>(memory);
}

void free_nodes(Heap& heap, const Table* t, Node* nodes, std::size_t count) noexcept {
  if (nodes != &kEmptyNode && !is_in_cell(t, nodes)) heap.free_buffer(nodes, nodes_bytes(count));
}

void free_array(Heap& heap, const Table* t, Value* array, std::size_t slots) noexcept {
  if (slots != 0 && !is_in_cell(t, array)) heap.free_buffer(array, array_bytes(slots));
}

// A buffer of `slots` that starts with the present array, which is gone then. Raises: kMemory.
Value* longer_array(Heap& heap, const Table* t, std::uint32_t slots) {
  if (t->array_size != 0 && !is_in_cell(t, t->array)) {
    return static_cast<Value*>(heap.resize_buffer(t->array, array_bytes(t->array_size), array_bytes(slots)));
  }
  void* array = heap.allocate_buffer(array_bytes(slots));
  if (t->array_size != 0) std::memcpy(array, static_cast<void*>(t->array), array_bytes(t->array_size));
  return static_cast<Value*>(array);
}

void install_nodes(Table* t, Node* nodes, std::size_t count) noexcept {
  t->nodes = nodes;
  t->count = count == 0 ? 0 : static_cast<std::uint32_t>(count - 1);
  t->last_free = static_cast<std::uint32_t>(count);
}

std::size_t nodes_for(std::uint64_t entries) {
  if (entries == 0) return 0;
  if (entries > (std::uint64_t{1} << kMaxNodesLog2)) raise(ErrorId::kTableOverflow);
  return std::bit_ceil(entries);
}

// Enlarges the array part to `slots`; keys that now belong there are still in the nodes.
void extend_array(Heap& heap, Table* t, std::uint32_t slots) {
  if (slots > kMaxArraySlots) raise(ErrorId::kTableOverflow);
  t->array = longer_array(heap, t, slots);
  if (array_bytes(slots) < kMappedBufferBytes) {
    for (std::uint32_t i = t->array_size; i < slots; ++i) t->array[i].tag = Tag::kNil;
  }  // else it is zero, which is nil, and its pages are not touched before they are needed
  t->array_size = slots;
  heap.internals().table_rebuilt(t);
}

// Moves what lies in the nodes but belongs to the array slots, which were just added.
void gather_from_nodes(Table* t) noexcept {
  Node* const end = t->nodes + node_count(t);
  for (Node* node = t->nodes; node < end; ++node) {
    if (node->key_tag != Tag::kInteger || !is_array_index(t, static_cast<std::int64_t>(node->key_bits))) continue;
    t->array[node->key_bits - 1] = node->value();
    node->value().set_nil();
    node->key_tag = Tag::kDeadKey;
    node->key_bits = 0;
  }
}

void grow_array(Heap& heap, Table* t, std::uint32_t slots) {
  extend_array(heap, t, slots);
  gather_from_nodes(t);
}

// The entries of a large old hash part on their way into a fresh one (essay, "Growing a large hash part").
class BulkMove {
 public:
  BulkMove(Table* t, Node* old_nodes, std::size_t old_count) noexcept
      : t_(t), mask_(t->node_mask()), old_(old_nodes), end_(old_nodes + old_count) {}

  void run() noexcept {
    for (Node* from = old_; from < end_; from += kBatch) place(from, std::min(from + kBatch, end_));
    for (Node* from = old_; from < end_; ++from) {
      if (from + kBatch < end_ && from[kBatch].unused == kWaits) __builtin_prefetch(&t_->nodes[from[kBatch].next], 1);
      if (from->unused == kWaits) chain(*from, &t_->nodes[from->next]);
    }
  }

 private:
  static constexpr int kBatch = 32;
  static constexpr std::uint16_t kWaits = 1;  // in `unused` of an old node; `next` is its main position then

  // Entries whose main position is free go there, or into the array part.
  void place(Node* from, Node* to) noexcept {
    for (Node* node = from; node < to; ++node) {
      if (is_string(*node)) __builtin_prefetch(reinterpret_cast<const void*>(node->key_bits));
    }
    for (Node* node = from; node < to; ++node) {
      if (node->value().is_nil()) continue;
      node->next = static_cast<std::int32_t>(position_of_parts(node->key_tag, node->key_bits, mask_));
      __builtin_prefetch(&t_->nodes[node->next], 1);
    }
    for (Node* node = from; node < to; ++node) {
      if (node->value().is_nil()) continue;
      if (node->key_tag == Tag::kInteger && is_array_index(t_, static_cast<std::int64_t>(node->key_bits))) {
        t_->array[node->key_bits - 1] = node->value();
        continue;
      }
      Node& main = t_->nodes[node->next];
      if (main.key_tag == Tag::kNil) copy(main, *node, 0);
      else node->unused = kWaits;
    }
  }

  // The main position is taken by a key that belongs there.
  void chain(const Node& from, Node* main) noexcept {
    Node* free = take_free_node(t_);
    copy(*free, from, main->next == 0 ? 0 : static_cast<std::int32_t>(main + main->next - free));
    main->next = static_cast<std::int32_t>(free - main);
  }

  static bool is_string(const Node& node) noexcept {
    return (node.key_tag == Tag::kShortString || node.key_tag == Tag::kLongString) && !node.value().is_nil();
  }
  static void copy(Node& to, const Node& from, std::int32_t next) noexcept {
    to = from;
    to.unused = 0;
    to.next = next;
  }

  Table* t_;
  std::uint32_t mask_;
  Node* old_;
  Node* end_;
};

// Gives every entry of the old hash part its place in the new parts.
void move_entries(Heap& heap, Table* t, Node* old_nodes, std::size_t old_count) {
  constexpr std::size_t kLarge = 4096;
  if (old_count >= kLarge && t->nodes != &kEmptyNode) return BulkMove(t, old_nodes, old_count).run();
  for (std::size_t i = old_count; i-- > 0;) {
    const Node& node = old_nodes[i];
    if (node.value().is_nil()) continue;
    if (node.key_tag == Tag::kInteger && is_array_index(t, static_cast<std::int64_t>(node.key_bits))) {
      t->array[node.key_bits - 1] = node.value();
    } else {
      const Value key = Value::of(reinterpret_cast<Object*>(node.key_bits), node.key_tag);
      fill_node(claim_node(heap, t, key), key, node.value());
    }
  }
}

// Gives both parts new sizes; there is room for every entry. Raises: kMemory, nothing changed then.
void rebuild(Heap& heap, Table* t, std::uint32_t array_slots, std::size_t nodes) {
  Node* fresh = make_nodes(heap, nodes);
  Value* const old_array = t->array;
  const std::uint32_t old_slots = t->array_size;
  try {
    if (array_slots > old_slots) {
      extend_array(heap, t, array_slots);
    } else if (array_slots < old_slots && array_slots > 0) {
      t->array = static_cast<Value*>(heap.allocate_buffer(array_bytes(array_slots)));
      for (std::uint32_t i = 0; i < array_slots; ++i) t->array[i] = old_array[i];
    }
  } catch (const ScriptError&) {
    free_nodes(heap, t, fresh, nodes);
    throw;
  }
  Node* const old_nodes = t->nodes;
  const std::size_t old_count = node_count(t);
  install_nodes(t, fresh, nodes);
  t->array_size = array_slots;
  if (t->length_hint > array_slots) t->length_hint = array_slots;
  move_entries(heap, t, old_nodes, old_count);
  for (std::uint32_t i = array_slots; i < old_slots; ++i) {
    if (old_array[i].is_nil()) continue;
    const Value key = Value::from(std::int64_t{i} + 1);
    fill_node(claim_node(heap, t, key), key, old_array[i]);
  }
  if (array_slots < old_slots) {
    free_array(heap, t, old_array, old_slots);
    if (array_slots == 0) t->array = nullptr;
  }
  free_nodes(heap, t, old_nodes, old_count);
  heap.internals().table_rebuilt(t);
}

// Integer keys by size: counts[i] is how many lie in (2^(i-1), 2^i].
struct KeyCounts {
  std::uint32_t counts[32] = {};
  std::uint64_t integers = 0;  // that could be array indices
  std::uint64_t entries = 0;

  void add(const Value& key) noexcept {
    ++entries;
    if (!key.is_integer() || key.integer < 1 || key.integer > std::int64_t{kMaxArraySlots}) return;
    ++integers;
    ++counts[std::bit_width(static_cast<std::uint64_t>(key.integer) - 1)];
  }
};

// The largest power of two of which more than half are used; `in_array` receives how many.
std::uint32_t best_array_size(const KeyCounts& keys, std::uint64_t& in_array) noexcept {
  std::uint64_t sum = 0;
  std::uint32_t best = 0;
  in_array = 0;
  for (std::uint32_t i = 0; i < 31 && keys.integers > (std::uint64_t{1} << i) / 2; ++i) {
    sum += keys.counts[i];
    if (sum > (std::uint64_t{1} << i) / 2) {
      best = 1u << i;
      in_array = sum;
    }
  }
  return best;
}

void count_array(const Table* t, KeyCounts& keys) noexcept {
  std::uint32_t i = 0;
  for (std::uint32_t bit = 0; i < t->array_size; ++bit) {
    const std::uint64_t end = std::min<std::uint64_t>(std::uint64_t{1} << bit, t->array_size);
    std::uint32_t used = 0;
    for (; i < end; ++i) used += !t->array[i].is_nil();
    keys.counts[bit] += used;
    keys.integers += used;
    keys.entries += used;
  }
}

// No node is free: new sizes for the entries there are and for `key`.
void rehash(Heap& heap, Table* t, const Value& key) {
  KeyCounts keys;
  keys.add(key);
  for (std::size_t i = 0; i < node_count(t); ++i) {
    const Node& node = t->nodes[i];
    if (!node.value().is_nil()) keys.add(Value::of(reinterpret_cast<Object*>(node.key_bits), node.key_tag));
  }
  if (keys.integers == 0) {  // the array part is not concerned
    rebuild(heap, t, t->array_size, nodes_for(keys.entries));
    return;
  }
  count_array(t, keys);
  std::uint64_t in_array;
  const std::uint32_t slots = best_array_size(keys, in_array);
  rebuild(heap, t, slots, nodes_for(keys.entries - in_array));
}

// Whether all of the array part is in use. Of a large one only some slots are looked at: a pass over all of them at each
// doubling costs as much as filling them, and a wrong answer only makes the part larger than the rule allows.
bool seems_full(const Table* t) noexcept {
  constexpr std::uint32_t kAll = 4096, kSamples = 1021;
  const std::uint32_t size = t->array_size;
  const std::uint32_t step = size <= kAll ? 1 : size / kSamples;
  for (std::uint32_t i = 1; i <= size; i += step) {
    if (t->array[size - i].is_nil()) return false;
  }
  return true;
}

// The key is the first behind the array part: makes the array part larger if all of it is in use.
bool append_to_array(Heap& heap, Table* t, const Value& value) {
  const std::uint32_t size = t->array_size;
  if (!seems_full(t)) return false;
  if (size >= kMaxArraySlots) raise(ErrorId::kTableOverflow);
  grow_array(heap, t, size == 0 ? kFirstArraySlots : std::bit_ceil(size + 1));
  t->array[size] = value;
  return true;
}

// Gives a key that has neither a slot in the array part nor a node its first value.
void insert_new(Heap& heap, Table* t, const Value& key, const Value& value) {
  if (key.is_integer() && static_cast<std::uint64_t>(key.integer) == std::uint64_t{t->array_size} + 1) {
    if (append_to_array(heap, t, value)) return;
  }
  if (key.tag == Tag::kLongString) string::hash(key.string());
  Node* node = claim_node(heap, t, key);
  if (BATON_UNLIKELY(node == nullptr)) {
    rehash(heap, t, key);
    if (key.is_integer() && is_array_index(t, key.integer)) {
      t->array[key.integer - 1] = value;
      return;
    }
    node = claim_node(heap, t, key);
  }
  fill_node(node, key, value);
}

[[noreturn]] BATON_COLD void raise_bad_key(const Value& key) {
  raise(key.is_nil() ? ErrorId::kIndexIsNil : ErrorId::kIndexIsNaN);
}

bool is_bad_key(const Value& key) noexcept {
  return key.is_nil() || (key.is_float() && key.number != key.number);
}

}  // namespace

// ---------------------------------------------------------------------------------------------------------------------
// Making

namespace {

// Gives a fresh table its parts in the cell behind it.
void place_parts(Table* t, std::uint32_t array_slots, std::size_t nodes) noexcept {
  Value* array = reinterpret_cast<Value*>(t + 1);
  if (array_slots != 0) t->array = array;
  t->array_size = array_slots;
  for (std::uint32_t i = 0; i < array_slots; ++i) array[i].tag = Tag::kNil;
  if (nodes == 0) return;
  void* behind = array + array_slots;
  std::memset(behind, 0, nodes_bytes(nodes));
  install_nodes(t, static_cast<Node*>(behind), nodes);
}

}  // namespace

Table* make(Heap& heap, std::uint32_t array_slots, std::uint32_t hash_entries) {
  const std::size_t nodes = nodes_for(hash_entries);
  const std::size_t parts = array_bytes(array_slots) + nodes_bytes(nodes);
  const std::size_t inside = parts <= kMaxPartsInCell ? parts : 0;
  auto* t = static_cast<Table*>(heap.internals().allocate_cell(sizeof(Table) + inside, ObjectKind::kTable));
  t->flags = 0xFF;  // nothing is in it, so no metamethod
  t->count = 0;
  t->array_size = 0;
  t->length_hint = 0;
  t->array = nullptr;
  t->nodes = &kEmptyNode;
  t->metatable = nullptr;
  t->last_free = 0;
  t->mode = 0;
  if (inside == parts) {
    place_parts(t, array_slots, nodes);
    return t;
  }
  if (array_slots != 0) extend_array(heap, t, array_slots);
  if (nodes != 0) install_nodes(t, make_nodes(heap, nodes), nodes);
  return t;
}

void resize(Heap& heap, Table* t, std::uint32_t array_slots, std::uint32_t hash_entries) {
  const std::uint32_t slots = std::max(t->array_size, array_slots);
  if (hash_entries <= node_count(t)) {
    if (slots > t->array_size) grow_array(heap, t, slots);
    return;
  }
  std::uint64_t entries = 0;
  for (std::size_t i = 0; i < node_count(t); ++i) entries += !t->nodes[i].value().is_nil();
  rebuild(heap, t, slots, nodes_for(std::max<std::uint64_t>(entries, hash_entries)));
}

std::size_t bytes(const Table* t) noexcept {
  std::size_t sum = kSizeClasses.bytes[t->size_class];
  if (t->array_size != 0 && !is_in_cell(t, t->array)) sum += buffer_bytes(array_bytes(t->array_size));
  if (node_count(t) != 0 && !is_in_cell(t, t->nodes)) sum += buffer_bytes(nodes_bytes(node_count(t)));
  return sum;
}

// ---------------------------------------------------------------------------------------------------------------------
// Reading and writing

const Value* get_string(const Table* t, String* key) noexcept {
  if (key->is_short()) return get_short_string(t, key);
  string::hash(key);
  Node* node = find_long_string(t, key);
  return node == nullptr ? &kAbsent : &node->value();
}

const Value* get(const Table* t, const Value& key) noexcept {
  switch (key.tag) {
    case Tag::kNil:
      return &kAbsent;
    case Tag::kInteger:
      return get_integer(t, key.integer);
    case Tag::kShortString:
      return get_short_string(t, key.string());
    case Tag::kFloat: {
      const Value integer = normalised(key);
      if (integer.is_integer()) return get_integer(t, integer.integer);
      [[fallthrough]];
    }
    default: {
      const Node* node = find_node(t, key);
      return node == nullptr ? &kAbsent : &node->value();
    }
  }
}

void insert(Heap& heap, Table* t, const Value& key, const Value* slot, const Value& value) {
  if (BATON_UNLIKELY((t->mode & kTableFrozen) != 0)) raise(ErrorId::kTableFrozen);
  if (slot != &kAbsent) {
    *const_cast<Value*>(slot) = value;
  } else {
    if (BATON_UNLIKELY(is_bad_key(key))) raise_bad_key(key);
    if (value.is_nil()) return;
    if (key.is_float() || key.is_boolean()) {
      insert_new(heap, t, canonical(normalised(key)), value);
    } else {
      insert_new(heap, t, key, value);
      heap.barrier_back(t, key);
    }
  }
  t->flags = 0;
  heap.barrier_back(t, value);
}

namespace {

void set_slot(Heap& heap, Table* t, const Value& key, const Value* slot, const Value& value) {
  if (slot->is_nil() || BATON_UNLIKELY((t->mode & kTableFrozen) != 0)) {
    insert(heap, t, key, slot, value);
    return;
  }
  *const_cast<Value*>(slot) = value;
  heap.barrier_back(t, value);
}

}  // namespace

void set(Heap& heap, Table* t, const Value& key, const Value& value) { set_slot(heap, t, key, get(t, key), value); }

void set_integer(Heap& heap, Table* t, std::int64_t key, const Value& value) {
  set_slot(heap, t, Value::from(key), get_integer(t, key), value);
}

void set_string(Heap& heap, Table* t, String* key, const Value& value) {
  set_slot(heap, t, Value::of(key), get_string(t, key), value);
}

// ---------------------------------------------------------------------------------------------------------------------
// Length

namespace {

// `used` has a value (or is 0), `empty` has none: a border between them in the array part.
std::uint32_t search_array(const Table* t, std::uint32_t used, std::uint32_t empty) noexcept {
  while (empty - used > 1) {
    const std::uint32_t middle = used + (empty - used) / 2;
    if (t->array[middle - 1].is_nil()) empty = middle;
    else used = middle;
  }
  return used;
}

// A border at or above `used`, which has a value, in the hash part.
std::uint64_t search_nodes(const Table* t, std::uint64_t used) noexcept {
  constexpr std::uint64_t kMax = INT64_MAX;
  std::uint64_t empty = used;
  do {
    used = empty;
    if (used > kMax / 2) {
      if (!get_integer(t, INT64_MAX)->is_nil()) return kMax;
      empty = kMax;
      break;
    }
    empty *= 2;
  } while (!get_integer(t, static_cast<std::int64_t>(empty))->is_nil());
  while (empty - used > 1) {
    const std::uint64_t middle = used + (empty - used) / 2;
    if (get_integer(t, static_cast<std::int64_t>(middle))->is_nil()) empty = middle;
    else used = middle;
  }
  return used;
}

// A border in the array part, or array_size if its last slot has a value.
std::uint32_t array_border(const Table* t) noexcept {
  constexpr int kNear = 4;
  const std::uint32_t size = t->array_size;
  std::uint32_t border = std::min(t->length_hint, size);
  if (border > 0 && t->array[border - 1].is_nil()) {
    for (int i = 0; i < kNear; ++i) {
      --border;
      if (border == 0 || !t->array[border - 1].is_nil()) return border;
    }
    return search_array(t, 0, border);
  }
  for (int i = 0; i < kNear; ++i) {
    if (border == size || t->array[border].is_nil()) return border;
    ++border;
  }
  return t->array[size - 1].is_nil() ? search_array(t, border, size) : size;
}

}  // namespace

std::uint64_t length(Table* t) noexcept {
  if (t->array_size != 0) {
    const std::uint32_t border = array_border(t);
    t->length_hint = border;
    if (border < t->array_size) return border;
  }
  if (t->nodes == &kEmptyNode) return t->array_size;
  const std::int64_t first = std::int64_t{t->array_size} + 1;
  if (get_integer_from_nodes(t, first)->is_nil()) return t->array_size;
  return search_nodes(t, static_cast<std::uint64_t>(first));
}

// ---------------------------------------------------------------------------------------------------------------------
// Traversal

bool find_position(const Table* t, const Value& original, std::uint64_t& position) noexcept {
  position = 0;
  if (original.is_nil()) return true;
  const Value key = normalised(original);
  position = static_cast<std::uint64_t>(key.integer);
  if (key.is_integer() && is_array_index(t, key.integer)) return true;
  const Node* node = find_node(t, key);
  if (node == nullptr && key.is_heap()) node = find_by_bits(t, key, Tag::kDeadKey);
  position = t->array_size + static_cast<std::uint64_t>(node - t->nodes) + 1;
  return node != nullptr;
}

bool next_at(const Table* t, std::uint64_t& position, Value& key, Value& value) noexcept {
  for (; position < t->array_size; ++position) {
    const Value& slot = t->array[position];
    if (slot.is_nil()) continue;
    key = Value::from(static_cast<std::int64_t>(++position));
    value = slot;
    return true;
  }
  const std::uint64_t end = t->array_size + node_count(t);
  for (; position < end; ++position) {
    const Node& node = t->nodes[position - t->array_size];
    if (node.value().is_nil()) continue;
    key = Value::of(reinterpret_cast<Object*>(node.key_bits), node.key_tag);
    value = node.value();
    ++position;
    return true;
  }
  return false;
}

bool next(const Table* t, Value& key, Value& value) {
  std::uint64_t position;
  if (!find_position(t, key, position)) raise(ErrorId::kInvalidNextKey);
  return next_at(t, position, key, value);
}

}  // namespace baton::table
