// Writing messages; see marshal_format.h.
//
// Encoding reaches no safepoint: allocation never collects, no script code runs. So raw pointers stay valid throughout, and
// the message is a snapshot. Objects wait in a list for their bodies; a hash table of addresses says which number an object
// or string already has.
//
// Where a refused value stands is found out only when one is refused: then everything is encoded once more while each
// object remembers by whom and how it was reached. So the usual case pays nothing for good messages.
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <new>

#include "base/hash.h"
#include "bytecode/opcode.h"
#include "compiler/binary_format.h"
#include "host/marshal.h"
#include "host/marshal_format.h"
#include "host/marshal_names.h"
#include "value/closure.h"
#include "value/table.h"
#include "vm/native.h"
#include "vm/operations.h"

namespace baton::host {

// --- buffers ---------------------------------------------------------------------------------------------------------------

ByteBuffer::~ByteBuffer() { std::free(data_); }

ByteBuffer::ByteBuffer(ByteBuffer&& other) noexcept : data_(other.data_), size_(other.size_), capacity_(other.capacity_) {
  other.data_ = nullptr;
  other.size_ = other.capacity_ = 0;
}

ByteBuffer& ByteBuffer::operator=(ByteBuffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(capacity_, other.capacity_);
  return *this;
}

void ByteBuffer::grow(std::size_t bytes) {
  std::size_t wanted = capacity_ < 256 ? 512 : capacity_ * 2;
  if (wanted < size_ + bytes) wanted = size_ + bytes;
  void* grown = std::realloc(data_, wanted);
  if (grown == nullptr) throw std::bad_alloc();
  data_ = static_cast<char*>(grown);
  capacity_ = wanted;
}

Message::~Message() {
  for (const int descriptor : descriptors) {
    if (descriptor >= 0) close(descriptor);
  }
}

Message& Message::operator=(Message&& other) noexcept {
  std::swap(bytes, other.bytes);
  std::swap(descriptors, other.descriptors);
  return *this;
}

void add_traveller(ThreadState& thread, Table* metatable, const Traveller& traveller) {
  const Value pointer = Value::light(const_cast<Traveller*>(&traveller));
  native::set_field(thread, metatable, kTravellerField, pointer);
  native::set_field(thread, native::class_metatable(thread, kTravellersKey), traveller.class_name, pointer);
}

namespace marshal {
namespace {

constexpr std::size_t kLargestMessage = 0xF0000000;

// Address -> number. Open addressing; keys are never removed.
class Numbers {
 public:
  Numbers() : slots_(first_), mask_(kFirst - 1) { std::memset(first_, 0, sizeof first_); }
  ~Numbers() {
    if (slots_ != first_) std::free(slots_);
  }
  Numbers(const Numbers&) = delete;
  Numbers& operator=(const Numbers&) = delete;

  // The number of `key`; if it is new, it gets `number` and `is_new` is set. Raises: std::bad_alloc.
  std::uint32_t find_or_add(const void* key, std::uint32_t number, bool* is_new) {
    if (BATON_UNLIKELY(count_ * 2 > mask_)) grow();
    Slot& slot = place(slots_, mask_, key);
    *is_new = slot.key == nullptr;
    if (*is_new) {
      slot = {key, number};
      ++count_;
    }
    return slot.number;
  }

 private:
  struct Slot {
    const void* key;
    std::uint32_t number;
  };
  static constexpr std::size_t kFirst = 64;
  static Slot& place(Slot* slots, std::size_t mask, const void* key) noexcept {
    // Neighbours in a page of the heap are neighbours here: objects that were made together are met together.
    const auto address = reinterpret_cast<std::uintptr_t>(key);
    std::size_t at = ((address >> 12) * 0x9E3779B97F4A7C15u >> 32 << 7) + (address >> 5 & 127);
    for (;; ++at) {
      Slot& slot = slots[at & mask];
      if (slot.key == key || slot.key == nullptr) return slot;
    }
  }
  void grow() {
    const std::size_t larger = (mask_ + 1) * 4;
    auto* grown = static_cast<Slot*>(std::calloc(larger, sizeof(Slot)));
    if (grown == nullptr) throw std::bad_alloc();
    for (std::size_t i = 0; i <= mask_; ++i) {
      if (slots_[i].key != nullptr) place(grown, larger - 1, slots_[i].key) = slots_[i];
    }
    if (slots_ != first_) std::free(slots_);
    slots_ = grown;
    mask_ = larger - 1;
  }

  Slot first_[kFirst];
  Slot* slots_;
  std::size_t mask_;
  std::size_t count_ = 0;
};

// How an object was reached from another one, for refusals.
enum class Way : std::uint8_t { kRoot, kField, kKey, kMetatable, kUpvalue, kGlobal, kVariable };
struct Step {
  std::uint32_t from = kNoObject;
  Way way = Way::kRoot;
  Value key;  // kRoot: the number of the root
};

struct Refused {};

class Encoder {
 public:
  Encoder(ThreadState& thread, const MessageNames& names, Message& message, bool remembers_ways)
      : thread_(thread), shared_(thread.shared), names_(names), message_(message), out_(message.bytes),
        remembers_ways_(remembers_ways) {}

  void run(const Value* values, int count) {
    length(static_cast<std::uint64_t>(count));
    for (int i = 0; i < count; ++i) {
      step_ = {kNoObject, Way::kRoot, Value::from(std::int64_t{i})};
      value(values[i]);
    }
    for (std::uint32_t i = 0; i < objects_.size(); ++i) {
      step_.from = i;
      body(objects_[i]);
      if (out_.size() > kLargestMessage) refuse_all("the message is too large");
    }
  }
  const std::string& refusal() const noexcept { return refusal_; }
  bool is_refusal_final() const noexcept { return remembers_ways_ || !needs_way_; }

 private:
  struct Pending {
    Object* object;
    Tag tag;
  };

  // --- elements ---
  void byte(std::uint8_t b) {
    out_.reserve(1);
    *out_.end() = static_cast<char>(b);
    out_.advance(1);
  }
  template <class T>
  void tagged(MessageTag tag, T payload) {
    out_.reserve(1 + sizeof payload);
    *out_.end() = static_cast<char>(tag);
    std::memcpy(out_.end() + 1, &payload, sizeof payload);
    out_.advance(1 + sizeof payload);
  }
  void length(std::uint64_t n) {
    out_.reserve(10);
    char* at = out_.end();
    for (; n >= 128; n >>= 7) *at++ = static_cast<char>(n | 128);
    *at++ = static_cast<char>(n);
    out_.advance(static_cast<std::size_t>(at - out_.end()));
  }
  void text(std::string_view bytes) {
    length(bytes.size());
    out_.append(bytes);
  }
  void integer(std::int64_t n) {
    if (static_cast<std::uint64_t>(n) < kSmallIntegerLimit) byte(static_cast<std::uint8_t>(kSmallInteger + n));
    else if (n == static_cast<std::int8_t>(n)) tagged(kInteger8, static_cast<std::int8_t>(n));
    else if (n == static_cast<std::int16_t>(n)) tagged(kInteger16, static_cast<std::int16_t>(n));
    else if (n == static_cast<std::int32_t>(n)) tagged(kInteger32, static_cast<std::int32_t>(n));
    else tagged(kInteger64, n);
  }
  void string(const String* s) {
    bool is_new;
    const std::uint32_t number = numbers_.find_or_add(s, string_count_, &is_new);
    if (!is_new) {
      byte(kStringAgain);
      length(number);
      return;
    }
    ++string_count_;
    const std::size_t size = s->length;
    out_.reserve(size + 9);
    if (size < kShortStringLimit) byte(static_cast<std::uint8_t>(kShortString + size));
    else if (size < 256) tagged(kString8, static_cast<std::uint8_t>(size));
    else tagged(kString64, static_cast<std::uint64_t>(size));
    std::memcpy(out_.end(), s->data(), size);
    out_.advance(size);
  }

  // --- values ---
  BATON_ALWAYS_INLINE void value(const Value& v) {
    switch (v.tag) {
      case Tag::kInteger: integer(v.integer); break;
      case Tag::kFloat: tagged(kFloat, v.bits); break;
      case Tag::kShortString:
      case Tag::kLongString: string(v.string()); break;
      default: other(v); break;
    }
  }
  void other(const Value& v) {
    switch (v.tag) {
      case Tag::kNil: byte(kNil); break;
      case Tag::kFalse: byte(kFalse); break;
      case Tag::kTrue: byte(kTrue); break;
      case Tag::kTable: table(v); break;
      case Tag::kClosure: function(v); break;
      case Tag::kNative:
        if (!by_name(v)) refuse("a native function without a name in a module");
        break;
      case Tag::kUserdata: userdata(v.userdata()); break;
      case Tag::kCoroutine: refuse("a coroutine");
      case Tag::kLightUserdata: refuse("a light userdata");
      default: refuse("of an unknown kind");
    }
  }
  // Returns: whether the object had a number already; else it has one now.
  bool again(Object* object, Tag tag) {
    bool is_new;
    const std::uint32_t number = numbers_.find_or_add(object, static_cast<std::uint32_t>(objects_.size()), &is_new);
    if (!is_new) {
      byte(kAgain);
      length(number);
      return true;
    }
    objects_.push_back({object, tag});
    if (remembers_ways_) ways_.push_back(step_);
    return false;
  }
  Names& known_names() {
    if (module_names_ == nullptr) {
      module_names_ = &Names::of(thread_);
      module_names_->refresh(thread_);
    }
    return *module_names_;
  }
  bool by_name(const Value& v) {
    const Name* name = known_names().find(thread_, v);
    if (name == nullptr) return false;
    byte(name->member.empty() ? kModule : kMember);
    text(name->module);
    if (!name->member.empty()) text(name->member);
    return true;
  }
  void table(const Value& v);
  void class_identity(const Value& v);
  void function(const Value& v);
  void userdata(Userdata* u);
  void prototype(const Prototype* p);

  // --- bodies ---
  void body(const Pending& pending) {
    if (pending.tag == Tag::kTable) table_body(reinterpret_cast<Table*>(pending.object));
    else if (pending.tag == Tag::kClosure) function_body(reinterpret_cast<Closure*>(pending.object));
    else upvalue_body(reinterpret_cast<Upvalue*>(pending.object));
  }
  void table_body(Table* t);
  void function_body(Closure* f);
  void upvalue_body(Upvalue* u) {
    step_.way = Way::kVariable;
    value(*u->location);
  }
  void collect_globals(const Prototype* p, const std::vector<bool>& is_globals);
  bool is_everywhere(const String* name, const Value& v);

  // --- refusing ---
  [[noreturn]] void refuse(const std::string& what) {
    needs_way_ = true;
    if (remembers_ways_) refusal_ = path() + " is " + what;
    throw Refused();
  }
  [[noreturn]] void refuse_all(const char* why) {
    refusal_ = why;
    throw Refused();
  }
  std::string path() const;

  ThreadState& thread_;
  SharedState& shared_;
  const MessageNames& names_;
  Message& message_;
  ByteBuffer& out_;
  Numbers numbers_;
  std::uint32_t string_count_ = 0;
  std::vector<Pending> objects_;
  std::vector<const Prototype*> prototypes_;
  Names* module_names_ = nullptr;
  std::vector<String*> global_names_;   // those that the message defines, or need not
  std::size_t globals_done_ = 0;
  bool remembers_ways_;
  bool needs_way_ = false;
  Step step_;
  std::vector<Step> ways_;
  std::string refusal_;
};

// --- tables ----------------------------------------------------------------------------------------------------------------

std::uint32_t array_slots(const Table* t) noexcept {
  std::uint32_t count = t->array_size;
  while (count > 0 && t->array[count - 1].is_nil()) --count;
  return count;
}

std::uint32_t hash_entries(const Table* t) noexcept {
  if (t->nodes == &table::kEmptyNode) return 0;
  std::uint32_t count = 0;
  for (std::uint32_t i = 0; i <= t->node_mask(); ++i) count += t->nodes[i].value_tag != Tag::kNil ? 1 : 0;
  return count;
}

void Encoder::table(const Value& v) {
  if (v.table() == shared_.globals) return byte(kGlobals);
  Table* t = v.table();
  const std::uint32_t entries = hash_entries(t);
  if (entries > 0) {
    if (by_name(v)) return;
    class_identity(v);
  }
  if (again(t, Tag::kTable)) return;
  byte(kTable);
  length(array_slots(t));
  length(entries);
}

// A table with __index (or that is used as a metatable: it then has some event) keeps its identity across processes.
void Encoder::class_identity(const Value& v) {
  if (vm::cached_metamethod(shared_, v.table(), Metamethod::kIndex).is_nil()) return;
  Table* classes = native::class_metatable(thread_, kClassesKey);
  Value identity = *table::get(classes, v);
  if (!identity.is_integer()) {
    bool created = false;
    Table* weak = native::class_metatable(thread_, "_TRAVEL_CLASSES_META", &created);
    if (created) native::set_field(thread_, weak, "__mode", Value::of(string::make(shared_.heap, "kv")));
    classes->metatable = weak;
    shared_.heap.barrier_back(classes, Value::of(weak));
    static std::uint64_t serial = static_cast<std::uint64_t>(getpid()) << 32;  // processes of one machine never share it
    identity = Value::from(static_cast<std::int64_t>(hash::mix(__atomic_add_fetch(&serial, 1, __ATOMIC_RELAXED))));
    table::set(shared_.heap, classes, v, identity);
    table::set(shared_.heap, classes, identity, v);
  }
  tagged(kClass, identity.integer);
}

void Encoder::table_body(Table* t) {
  const std::uint32_t slots = array_slots(t);
  bool only_floats = slots > 0;
  for (std::uint32_t i = 0; only_floats && i < slots; ++i) only_floats = t->array[i].is_float();
  byte(static_cast<std::uint8_t>((t->metatable != nullptr ? kHasMetatable : 0) | (only_floats ? kOnlyFloats : 0)));
  if (only_floats) {
    out_.reserve(std::size_t{slots} * 8);
    char* at = out_.end();
    for (std::uint32_t i = 0; i < slots; ++i, at += 8) std::memcpy(at, &t->array[i].bits, 8);
    out_.advance(std::size_t{slots} * 8);
  } else {
    step_.way = Way::kField;
    for (std::uint32_t i = 0; i < slots; ++i) {
      if (remembers_ways_) step_.key = Value::from(std::int64_t{i} + 1);
      value(t->array[i]);
    }
  }
  if (t->nodes != &table::kEmptyNode) {
    for (std::uint32_t i = 0; i <= t->node_mask(); ++i) {
      const Node& node = t->nodes[i];
      if (node.value_tag == Tag::kNil) continue;
      Value key;
      key.bits = node.key_bits;
      key.tag = node.key_tag;
      step_.key = key;
      step_.way = Way::kKey;
      value(key);
      step_.way = Way::kField;
      value(node.value());
    }
  }
  if (t->metatable != nullptr) {
    step_.way = Way::kMetatable;
    value(Value::of(t->metatable));
  }
}

// --- functions -------------------------------------------------------------------------------------------------------------

void Encoder::function(const Value& v) {
  if (by_name(v)) return;
  if (again(v.object, Tag::kClosure)) return;
  byte(kFunction);
  prototype(v.closure()->prototype);
}

void Encoder::prototype(const Prototype* p) {
  for (std::size_t i = 0; i < prototypes_.size(); ++i) {
    if (prototypes_[i] == p) return length(i);
  }
  length(prototypes_.size());
  prototypes_.push_back(p);
  text(compiler::dump(*p, compiler::DebugInformation::kKeep));
}

// Notes the names of globals that `p` and the functions in it use; `is_globals` tells which of its upvalues are the globals.
void Encoder::collect_globals(const Prototype* p, const std::vector<bool>& is_globals) {
  for (const Instruction& instruction : p->code) {
    const Opcode op = opcode_info(instruction.op).base;
    if (op != Opcode::kGetGlobal && op != Opcode::kSetGlobal) continue;
    const Instruction plain = instruction.decoded();
    if (plain.b >= is_globals.size() || !is_globals[plain.b] || plain.c >= p->constants.size) continue;
    const Value& name = p->constants[plain.c];
    if (!name.is_string()) continue;
    bool known = false;
    for (const String* other : global_names_) known = known || other == name.string();
    if (!known) global_names_.push_back(name.string());
  }
  for (const Prototype* child : p->prototypes) {
    std::vector<bool> inherited;
    for (const UpvalueDescription& upvalue : child->upvalues) {
      inherited.push_back(upvalue.in_stack == 0 && upvalue.index < is_globals.size() && is_globals[upvalue.index]);
    }
    collect_globals(child, inherited);
  }
}

// Whether every runtime has `v` under the global name from the start.
bool Encoder::is_everywhere(const String* name, const Value& v) {
  if (v.is_table() && v.table() == shared_.globals) return name->view() == "_G";
  if (!v.is_table() && !v.is_native()) return false;
  const Name* known = known_names().find(thread_, v);
  if (known == nullptr || !known->is_everywhere) return false;
  return known->member.empty() ? known->module == name->view() : known->module == "_G" && known->member == name->view();
}

void Encoder::function_body(Closure* f) {
  std::vector<bool> is_globals;
  for (std::uint32_t i = 0; i < f->count; ++i) {
    Upvalue* cell = f->upvalues()[i];
    const String* name = i < f->prototype->upvalues.size ? f->prototype->upvalues[i].name : nullptr;
    step_.way = Way::kUpvalue;
    if (remembers_ways_) step_.key = name != nullptr ? Value::of(name) : Value::from(std::int64_t{i} + 1);
    is_globals.push_back(cell->location->is_table() && cell->location->table() == shared_.globals);
    if (!again(cell, Tag::kUpvalue)) byte(kUpvalue);
  }
  collect_globals(f->prototype, is_globals);
  std::vector<std::pair<String*, Value>> needed;
  for (; globals_done_ < global_names_.size(); ++globals_done_) {
    String* name = global_names_[globals_done_];
    const Value v = *table::get_string(shared_.globals, name);
    if (!v.is_nil() && !is_everywhere(name, v)) needed.emplace_back(name, v);
  }
  length(needed.size());
  for (const auto& [name, v] : needed) {
    step_.way = Way::kGlobal;
    step_.key = Value::of(name);
    string(name);
    value(v);
  }
}

// --- userdata --------------------------------------------------------------------------------------------------------------

void Encoder::userdata(Userdata* u) {
  const Value pointer = u->metatable != nullptr ? native::get_field(thread_, u->metatable, kTravellerField) : Value();
  if (pointer.tag != Tag::kLightUserdata) {
    const std::string name = vm::type_name(shared_, Value::of(u));
    const bool vowel = !name.empty() && std::strchr("AEIOUaeiou", name[0]) != nullptr;
    refuse((vowel ? "an " : "a ") + name);
  }
  const auto& traveller = *static_cast<const Traveller*>(pointer.pointer);
  std::string description;
  if (const char* problem = traveller.pack(u, description, message_.descriptors)) refuse(problem);
  byte(kUserdata);
  text(traveller.class_name);
  text(description);
}

// --- refusals --------------------------------------------------------------------------------------------------------------

bool is_identifier(std::string_view text) noexcept {
  if (text.empty() || (text[0] >= '0' && text[0] <= '9')) return false;
  for (const char c : text) {
    if (!(c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))) return false;
  }
  return true;
}

std::string key_text(ThreadState& thread, const Value& key) {
  if (key.is_string()) {
    if (is_identifier(key.string()->view())) return "." + std::string(key.string()->view());
    return "[\"" + std::string(key.string()->view()) + "\"]";
  }
  if (key.is_number()) return "[" + std::string(vm::number_to_string(thread.heap(), key)->view()) + "]";
  if (key.is_boolean()) return key.is_truthy() ? "[true]" : "[false]";
  return std::string("[") + base_type_name(key) + "]";
}

// "upvalue 'cfg'.sock", "argument 2.list[3]", "global 'x'": from the last global on, if there is one.
std::string Encoder::path() const {
  std::vector<Step> steps{step_};
  while (steps.back().way != Way::kRoot && steps.back().from != kNoObject && steps.back().way != Way::kGlobal) {
    steps.push_back(ways_[steps.back().from]);
  }
  std::string text;
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    const std::string separator = text.empty() ? "" : ", ";
    switch (step->way) {
      case Way::kRoot:
        if (names_.first_is_function && step->key.integer == 0) text = steps.size() == 1 ? "the function" : "";
        else text = names_.what + (names_.is_single ? "" : " " + std::to_string(step->key.integer + (names_.first_is_function ? 0 : 1)));
        break;
      case Way::kField: text += key_text(thread_, step->key); break;
      case Way::kKey: text = "a key of " + text; break;
      case Way::kMetatable: text = "the metatable of " + text; break;
      case Way::kGlobal: text = "global '" + std::string(step->key.string()->view()) + "'"; break;
      case Way::kUpvalue:
        text += separator + "upvalue ";
        text += step->key.is_string() ? "'" + std::string(step->key.string()->view()) + "'" : std::to_string(step->key.integer);
        break;
      case Way::kVariable: break;
    }
  }
  return text;
}

}  // namespace
}  // namespace marshal

bool encode(ThreadState& thread, const Value* values, int count, const MessageNames& names, Message& message,
            std::string& refusal) {
  for (const bool remembers_ways : {false, true}) {
    message = Message();
    marshal::Encoder encoder(thread, names, message, remembers_ways);
    try {
      encoder.run(values, count);
      return true;
    } catch (const marshal::Refused&) {
      refusal = encoder.refusal();
      if (encoder.is_refusal_final()) return false;
    }
  }
  return false;
}

}  // namespace baton::host
