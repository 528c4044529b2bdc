// Reading messages; see marshal_format.h for the format and for what makes it safe.
//
// Tables are made when they are named and filled when their turn comes. Meanwhile everything made so far is kept by the
// reader, which is a visitor of roots: `require` and polls, in which the collector may run, are allowed at any place.
#include <cstring>

#include "compiler/binary_format.h"
#include "compiler/compiler.h"
#include "host/marshal.h"
#include "host/marshal_format.h"
#include "value/closure.h"
#include "value/table.h"
#include "vm/call.h"
#include "vm/native.h"
#include "vm/operations.h"
#include "vm/safepoint.h"

namespace baton::host {
namespace marshal {
namespace {

constexpr int kElementsPerPoll = 8192;

struct Malformed {
  const char* why;
};

class Decoder final : RootVisitor {
 public:
  Decoder(ThreadState& thread, std::string_view bytes, std::vector<int>& descriptors, GlobalsPolicy policy)
      : thread_(thread), heap_(thread.heap()), at_(bytes.data()), end_(bytes.data() + bytes.size()),
        room_(bytes.size()), descriptors_(descriptors), policy_(policy) {}
  ~Decoder() override {
    if (is_root_) heap_.remove_root_visitor(this);
  }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  // Returns: the number of values pushed.
  int run() {
    const std::uint64_t count = length();
    if (count > left() || count > kMaxStackSlots / 2) bad("too many values");
    for (std::uint64_t i = 0; i < count; ++i) results_.push_back(value());
    while (filled_ < objects_.size()) fill(objects_[filled_++]);
    if (at_ != end_) bad("bytes behind the end");
    for (const Value& v : results_) vm::push(thread_, v);
    return static_cast<int>(count);
  }

 private:
  enum Kind : std::uint8_t { kTableObject, kFunctionObject, kUpvalueObject, kKnownClass };
  struct Named {
    Object* object;
    std::uint32_t slots;    // of a table still to be filled
    std::uint32_t entries;
    Kind kind;
  };

  void mark_roots(Heap& heap) override {
    const auto mark = [&heap](Object* object) {
      if (object != nullptr && object->is_white()) heap.mark_object(object);
    };
    for (const Named& named : objects_) mark(named.object);
    for (String* s : strings_) mark(s);
    for (Prototype* p : prototypes_) mark(p);
    for (const Value& v : results_) heap.mark_value(v);
    for (const Value& v : others_) heap.mark_value(v);
    mark(placeholder_);
  }
  void become_root() {
    if (is_root_) return;
    heap_.add_root_visitor(this);
    is_root_ = true;
  }
  void poll() {
    if (BATON_LIKELY(--until_poll_ > 0)) return;
    until_poll_ = kElementsPerPoll;
    if (!thread_.interrupt.any()) return;
    become_root();
    vm::poll(thread_);
  }

  [[noreturn]] static void bad(const char* why) { throw Malformed{why}; }

  // --- elements ---
  std::size_t left() const noexcept { return static_cast<std::size_t>(end_ - at_); }
  void need(std::size_t bytes) const {
    if (BATON_UNLIKELY(left() < bytes)) bad("truncated");
  }
  std::uint8_t byte() {
    need(1);
    return static_cast<std::uint8_t>(*at_++);
  }
  template <class T>
  T raw() {
    need(sizeof(T));
    T result;
    std::memcpy(&result, at_, sizeof result);
    at_ += sizeof result;
    return result;
  }
  std::uint64_t length() {
    std::uint64_t n = 0;
    for (int shift = 0; shift < 63; shift += 7) {
      const std::uint8_t b = byte();
      n |= static_cast<std::uint64_t>(b & 127) << shift;
      if (b < 128) return n;
    }
    bad("a number is too large");
  }
  std::string_view text() { return bytes(length()); }
  std::string_view bytes(std::uint64_t count) {
    if (count > left()) bad("truncated");
    const std::string_view result(at_, static_cast<std::size_t>(count));
    at_ += count;
    return result;
  }
  // Before a large allocation: at the memory cap it collects.
  void make_room(std::size_t bytes) {
    if (BATON_LIKELY(bytes < kLargeStringBytes && !BATON_STRESS)) return;
    if (BATON_STRESS || !heap_.fits(bytes + kLargeStringBytes)) become_root();
    vm::make_room(thread_, bytes);
  }
  Value new_string(std::uint64_t size) {
    const std::string_view content = bytes(size);
    make_room(content.size());
    String* s = string::make(heap_, content);
    strings_.push_back(s);
    return Value::of(s);
  }
  // What is announced must fit into what is left, together with all that was announced before.
  void announce(std::uint64_t minimum) {
    if (minimum > room_ || announced_ > room_ - minimum) bad("too large");
    announced_ += minimum;
    if (announced_ > left()) bad("too large");
  }

  // --- values ---
  BATON_ALWAYS_INLINE Value value() {
    const std::uint8_t tag = byte();
    if (tag >= kSmallInteger) return Value::from(static_cast<std::int64_t>(tag - kSmallInteger));
    if (tag >= kShortString) return new_string(static_cast<std::uint64_t>(tag - kShortString));
    if (tag == kStringAgain) {
      const std::uint64_t number = length();
      if (number >= strings_.size()) bad("unknown string");
      return Value::of(strings_[static_cast<std::size_t>(number)]);
    }
    return other(tag);
  }
  Value other(std::uint8_t tag) {
    switch (tag) {
      case kNil: return Value();
      case kFalse: return Value::boolean(false);
      case kTrue: return Value::boolean(true);
      case kInteger8: return Value::from(std::int64_t{raw<std::int8_t>()});
      case kInteger16: return Value::from(std::int64_t{raw<std::int16_t>()});
      case kInteger32: return Value::from(std::int64_t{raw<std::int32_t>()});
      case kInteger64: return Value::from(raw<std::int64_t>());
      case kFloat: return Value::from(raw<double>());
      case kString8: return new_string(raw<std::uint8_t>());
      case kString64: return new_string(raw<std::uint64_t>());
      case kTable: return Value::of(named_table());
      case kClass: return class_table();
      case kFunction: return function();
      case kAgain: return again();
      case kGlobals: return Value::of(thread_.shared.globals);
      case kModule: return module();
      case kMember: return member();
      case kUserdata: return userdata();
      default: bad("unknown tag");
    }
  }
  Table* named_table() {
    const std::uint64_t slots = length(), entries = length();
    if (slots > UINT32_MAX || entries > UINT32_MAX) bad("too large");
    announce(slots + 2 * entries + 1);
    make_room(static_cast<std::size_t>(slots * 16 + entries * 48));
    Table* t = table::make(heap_, static_cast<std::uint32_t>(slots), static_cast<std::uint32_t>(entries));
    objects_.push_back({t, static_cast<std::uint32_t>(slots), static_cast<std::uint32_t>(entries), kTableObject});
    return t;
  }
  Value class_table();
  Value function();
  Value again() {
    const Object* object = objects_[number_of_object()].object;
    if (object->kind == ObjectKind::kUpvalue) bad("an upvalue is no value");
    return Value::of(object, tag_of(object));
  }
  std::size_t number_of_object() {
    const std::uint64_t number = length();
    if (number >= objects_.size()) bad("unknown object");
    return static_cast<std::size_t>(number);
  }
  Value module();
  Value member();
  Value userdata();

  // --- bodies ---
  void fill(const Named& named) {
    const Named copy = named;  // the list grows
    if (copy.kind == kFunctionObject) fill_function(reinterpret_cast<Closure*>(copy.object));
    else if (copy.kind == kUpvalueObject) fill_upvalue(reinterpret_cast<Upvalue*>(copy.object));
    else fill_table(copy);
  }
  void fill_table(const Named& named);
  void fill_floats(Table* t, std::uint32_t slots);
  void fill_function(Closure* f);
  void fill_upvalue(Upvalue* u) {
    const Value v = value();
    u->closed = v;
    heap_.barrier(u, v);
  }
  Upvalue* upvalue();
  Prototype* prototype();
  Upvalue* placeholder() {
    if (placeholder_ == nullptr) placeholder_ = closure::make_closed_upvalue(heap_, Value());
    return placeholder_;
  }

  ThreadState& thread_;
  Heap& heap_;
  const char* at_;
  const char* end_;
  std::size_t room_;
  std::uint64_t announced_ = 0;
  std::vector<int>& descriptors_;
  std::size_t next_descriptor_ = 0;
  GlobalsPolicy policy_;
  std::vector<Named> objects_;
  std::vector<String*> strings_;
  std::vector<Prototype*> prototypes_;
  std::vector<Value> results_;
  std::vector<Value> others_;  // userdata, modules
  Upvalue* placeholder_ = nullptr;
  std::size_t filled_ = 0;
  int until_poll_ = kElementsPerPoll;
  bool is_root_ = false;
};

// --- tables ----------------------------------------------------------------------------------------------------------------

// The body of a class that is known here is read into a table that nobody sees.
Value Decoder::class_table() {
  const auto identity = Value::from(raw<std::int64_t>());
  const std::uint8_t tag = byte();
  if (tag == kAgain) return again();
  if (tag != kTable) bad("a class is no table");
  Table* classes = native::class_metatable(thread_, kClassesKey);
  const Value known = *table::get(classes, identity);
  Table* t = named_table();
  if (known.is_table()) {
    others_.push_back(Value::of(t));
    objects_.back().object = known.table();
    objects_.back().kind = kKnownClass;
    return known;
  }
  bool created = false;
  Table* weak = native::class_metatable(thread_, "_TRAVEL_CLASSES_META", &created);
  if (created) native::set_field(thread_, weak, "__mode", Value::of(string::make(heap_, "kv")));
  classes->metatable = weak;
  heap_.barrier_back(classes, Value::of(weak));
  table::set(heap_, classes, identity, Value::of(t));
  table::set(heap_, classes, Value::of(t), identity);
  return Value::of(t);
}

void Decoder::fill_floats(Table* t, std::uint32_t slots) {
  announced_ -= slots;
  need(std::size_t{slots} * 8);
  for (std::uint32_t i = 0; i < slots; ++i, at_ += 8) {
    Value v = Value::from(0.0);
    std::memcpy(&v.bits, at_, 8);
    if (BATON_LIKELY(i < t->array_size)) t->array[i] = v;
    else table::set_integer(heap_, t, std::int64_t{i} + 1, v);
  }
}

void Decoder::fill_table(const Named& named) {
  // What a known class would hold goes where nobody looks.
  Table* t = named.kind == kKnownClass ? table::make(heap_, named.slots, named.entries)
                                       : reinterpret_cast<Table*>(named.object);
  if (named.kind == kKnownClass) others_.push_back(Value::of(t));
  const std::uint8_t shape = byte();
  if (shape > (kHasMetatable | kOnlyFloats)) bad("unknown shape of a table");
  announced_ -= 1;
  if ((shape & kOnlyFloats) != 0) {
    fill_floats(t, named.slots);
  } else {
    for (std::uint32_t i = 0; i < named.slots; ++i) {
      poll();
      announced_ -= 1;
      const Value v = value();
      if (BATON_LIKELY(i < t->array_size)) {
        t->array[i] = v;
        heap_.barrier_back(t, v);
      } else if (!v.is_nil()) {
        table::set_integer(heap_, t, std::int64_t{i} + 1, v);
      }
    }
  }
  for (std::uint32_t i = 0; i < named.entries; ++i) {
    poll();
    announced_ -= 2;
    const Value key = value();
    const Value v = value();
    if (key.is_nil() || (key.is_float() && key.number != key.number)) bad("invalid key");
    if (key.tag == Tag::kShortString) table::set_string(heap_, t, key.string(), v);
    else table::set(heap_, t, key, v);
  }
  if ((shape & kHasMetatable) == 0) return;
  const Value metatable = value();
  if (!metatable.is_table()) bad("a metatable is no table");
  if (named.kind != kKnownClass) vm::set_metatable(thread_, Value::of(t), metatable.table());
}

// --- functions -------------------------------------------------------------------------------------------------------------

Prototype* Decoder::prototype() {
  const std::uint64_t number = length();
  if (number < prototypes_.size()) return prototypes_[static_cast<std::size_t>(number)];
  if (number != prototypes_.size()) bad("unknown prototype");
  try {
    prototypes_.push_back(compiler::undump(heap_, text(), "=function"));
  } catch (const compiler::CompileError&) {
    bad("invalid code");
  }
  return prototypes_.back();
}

Value Decoder::function() {
  Prototype* p = prototype();
  Upvalue* nothing = placeholder();
  Closure* f = closure::make(heap_, p);
  for (std::uint32_t i = 0; i < f->count; ++i) f->upvalues()[i] = nothing;
  objects_.push_back({f, 0, 0, kFunctionObject});
  return Value::of(f);
}

Upvalue* Decoder::upvalue() {
  const std::uint8_t tag = byte();
  if (tag == kUpvalue) {
    Upvalue* made = closure::make_closed_upvalue(heap_, Value());
    objects_.push_back({made, 0, 0, kUpvalueObject});
    return made;
  }
  if (tag != kAgain) bad("an upvalue was expected");
  Object* object = objects_[number_of_object()].object;
  if (object->kind != ObjectKind::kUpvalue) bad("an upvalue was expected");
  return reinterpret_cast<Upvalue*>(object);
}

void Decoder::fill_function(Closure* f) {
  for (std::uint32_t i = 0; i < f->count; ++i) {
    Upvalue* cell = upvalue();
    f->upvalues()[i] = cell;
    heap_.barrier(f, cell);
  }
  const std::uint64_t globals = length();
  if (globals > left()) bad("truncated");
  for (std::uint64_t i = 0; i < globals; ++i) {
    const Value name = value();
    const Value v = value();
    if (!name.is_string()) bad("the name of a global is no string");
    Table* all = thread_.shared.globals;
    if (policy_ == GlobalsPolicy::kKeep && !table::get_string(all, name.string())->is_nil()) continue;
    table::set_string(heap_, all, name.string(), v);
  }
}

// --- by name ---------------------------------------------------------------------------------------------------------------

Value Decoder::module() {
  const std::string_view name = text();
  if (name.empty()) bad("a module without a name");
  const Value key = Value::of(string::make(heap_, name));
  const Value loaded = *table::get(thread_.shared.loaded, key);
  if (loaded.is_truthy()) return loaded;
  become_root();
  vm::push(thread_, native::get_field(thread_, thread_.shared.registry, "_REQUIRE"));
  vm::push(thread_, key);
  vm::call(thread_, 1, 1);
  const Value result = *--thread_.current->top;
  others_.push_back(result);
  return result;
}

Value Decoder::member() {
  const Value owner = module();
  const std::string_view name = text();
  const Value found = owner.is_table() ? native::get_field(thread_, owner.table(), name) : Value();
  if (found.is_nil()) bad("a module lacks what it has at the sender's");
  others_.push_back(found);
  return found;
}

Value Decoder::userdata() {
  const std::string_view name = text();
  const std::string_view description = text();
  Table* travellers = native::class_metatable(thread_, kTravellersKey);
  const Value pointer = name.empty() || name[0] == '_' ? Value() : native::get_field(thread_, travellers, name);
  if (pointer.tag != Tag::kLightUserdata) bad("unknown class");
  const Value made = static_cast<const Traveller*>(pointer.pointer)->unpack(thread_, description, descriptors_, next_descriptor_);
  if (made.is_nil()) bad("the description of an object is invalid");
  others_.push_back(made);
  return made;
}

}  // namespace
}  // namespace marshal

int decode_bytes(ThreadState& thread, std::string_view bytes, std::vector<int>& descriptors, GlobalsPolicy policy,
                 std::string& problem) {
  const auto height = thread.current->top - thread.current->stack;
  try {
    marshal::Decoder decoder(thread, bytes, descriptors, policy);
    return decoder.run();
  } catch (const marshal::Malformed& malformed) {
    problem = std::string("malformed message: ") + malformed.why;
  }
  thread.current->top = thread.current->stack + height;
  return -1;
}

int decode(ThreadState& thread, Message& message, GlobalsPolicy policy, std::string& problem) {
  return decode_bytes(thread, message.bytes.view(), message.descriptors, policy, problem);
}

}  // namespace baton::host
