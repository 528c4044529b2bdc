// Handles: values of scripts in the host's hands.
//
// A Value, Table, Function or String keeps its value alive, also across collections, and may be copied and destroyed by any
// thread at any time; it refers to the VM's record, so it is harmless after the VM is gone (using it throws VMClosed).
//
//   baton::Table t = vm.globals()["config"];     // conversion checks the type: TypeError
//   t["name"] = "x";  int n = t["list"][1];  for (auto [key, value] : t) ...
//
// Owner: the program. Threading: copying and destroying anywhere; everything else takes the lock if it must.
#pragma once

#include <functional>
#include <iterator>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>

#include "baton/error.hpp"
#include "baton/lock.hpp"

namespace baton {
inline namespace v0 {

class Function;
class Table;
class VM;
class Field;
template <class T>
class Future;

enum class Type { nil, boolean, integer, number, string, table, function, object, coroutine, pointer };

// The conversion of T, to be specialised for types of the host:
//   template <> struct baton::convert<Point> {
//     static baton::Value to_script(baton::VM& vm, const Point& p);
//     static std::optional<Point> from_script(const baton::Value& v);   // nullopt: not a Point
//   };
template <class T>
struct convert;

namespace detail {

// Where a conversion happens: the lock is held, slots live until script code runs.
struct Context {
  abi::State* state;
  const char* problem = nullptr;  // why a value that has the type is not acceptable; a literal
};

template <class T, class = void>
struct Codec;

// A T made of `slot`. Throws: TypeError.
template <class T>
decltype(auto) pull(Context& context, const abi::Slot& slot);
template <class T>
abi::Slot push(Context& context, T&& value);

inline Type type_of(const abi::Slot& slot) noexcept {
  switch (slot.tag) {
    case abi::kFalse:
    case abi::kTrue: return Type::boolean;
    case abi::kPointer: return Type::pointer;
    case abi::kInteger: return Type::integer;
    case abi::kFloat: return Type::number;
    case abi::kShortString:
    case abi::kLongString: return Type::string;
    case abi::kTable: return Type::table;
    case abi::kScriptFunction:
    case abi::kHostFunction: return Type::function;
    case abi::kObject: return Type::object;
    case abi::kCoroutine: return Type::coroutine;
    default: return Type::nil;
  }
}

}  // namespace detail

// Any value. The base of the other handles.
class Value {
 public:
  Value() noexcept = default;  // nil
  Value(const Value& other) noexcept : root_(other.root_) {
    if (root_ != nullptr) abi::retain_root(root_);
  }
  Value(Value&& other) noexcept : root_(std::exchange(other.root_, nullptr)) {}
  Value& operator=(Value other) noexcept {
    std::swap(root_, other.root_);
    return *this;
  }
  ~Value() {
    if (root_ != nullptr) abi::release_root(root_);
  }

  Type type() const noexcept { return detail::type_of(slot()); }
  bool is_nil() const noexcept { return slot().is_nil(); }
  bool is_boolean() const noexcept { return slot().is_boolean(); }
  bool is_integer() const noexcept { return slot().is_integer(); }
  bool is_number() const noexcept { return slot().is_number(); }
  bool is_string() const noexcept { return slot().is_string(); }
  bool is_table() const noexcept { return slot().is_table(); }
  bool is_function() const noexcept { return slot().is_function(); }
  bool is_object() const noexcept { return slot().is_object(); }
  // Whether it counts as true: neither nil nor false.
  explicit operator bool() const noexcept { return slot().tag > abi::kFalse; }

  // The value as a T; T& for the object of a host class itself. Throws: TypeError. `is` only asks, `get_if` gives nothing instead.
  template <class T>
  T as() const;
  template <class T>
  bool is() const;
  template <class T>
  std::optional<T> get_if() const;
  // tostring(value), with __tostring.
  std::string to_string() const;
  // What error messages call its type: "number", "table", a class's name.
  std::string type_name() const;

  // Without metamethods.
  friend bool operator==(const Value& a, const Value& b) noexcept { return abi::raw_equal(a.slot(), b.slot()); }

  // For this library: a handle to `slot`, with the lock. Throws: std::bad_alloc.
  Value(abi::State* state, const abi::Slot& slot) {
    if (slot.is_nil()) return;
    root_ = abi::make_root(state, slot);
    if (root_ == nullptr) throw std::bad_alloc();
  }
  // Takes over `root`.
  explicit Value(abi::Root* root) noexcept : root_(root) {}
  abi::Slot slot() const noexcept { return root_ != nullptr ? root_->value : abi::Slot(); }
  abi::State* state() const noexcept { return root_ != nullptr ? root_->state : nullptr; }

 protected:
  // The state for an operation that takes the lock, which is refused when the VM is closed. Throws: TypeError for nil.
  abi::State* live_state() const {
    if (__builtin_expect(root_ == nullptr, 0)) refuse_nil();
    return root_->state;
  }
  // The value where it is kept: read it with the lock. Takes: a value that is not nil.
  const abi::Slot& kept_slot() const noexcept { return root_->value; }

 private:
  [[noreturn]] static void refuse_nil() { throw TypeError("attempt to use a nil value"); }
  abi::Root* root_ = nullptr;
};

namespace detail {
inline abi::Failure* failure_of(const Value& value) {
  if (value.is_nil()) throw TypeError("nil is no error value");
  const Lock lock(value.state());
  return abi::make_failure(value.state(), value.slot());
}
}  // namespace detail

inline Error::Error(const Value& value) : Error(detail::failure_of(value)) {}

inline Value Error::value() const {
  abi::Root* root = failure().value;
  if (root == nullptr) return Value();
  abi::retain_root(root);
  return Value(root);
}

// A text. Scripts' strings are bytes with any content.
class String : public Value {
 public:
  String() = default;
  using Value::Value;
  explicit String(Value value) : Value(std::move(value)) {}
  // The bytes: valid while this handle lives, also without the lock.
  std::string_view view() const noexcept {
    std::size_t size = 0;
    const abi::Slot text = slot();
    if (!text.is_string()) return {};
    const char* bytes = abi::string_bytes(text, &size);
    return {bytes, size};
  }
  std::string str() const { return std::string(view()); }
};

namespace detail {

// The list of results of a call with any number of them.
class Results {
 public:
  Results() = default;
  ~Results() { abi::free_slots(&list); }
  Results(const Results&) = delete;
  Results& operator=(const Results&) = delete;
  abi::SlotList list;
};

template <class T>
inline constexpr bool is_tuple = false;
template <class... T>
inline constexpr bool is_tuple<std::tuple<T...>> = true;

// Calls `function`, converts what comes back to R: void, one value, a tuple of several, or a vector of all. Takes the lock if the
// thread does not hold it.
template <class R, class... Arguments>
R call(abi::State* state, const abi::Slot& function, Arguments&&... arguments);

}  // namespace detail

// Something that can be called.
class Function : public Value {
 public:
  Function() = default;
  using Value::Value;
  explicit Function(Value value) : Value(std::move(value)) {}

  // Calls it and converts its results: void, T (the first), std::tuple<T...> (the first ones), std::vector<Value> (all).
  // Throws: Error with the script's error, Interrupted, TypeError if a result is no T.
  template <class R = Value, class... Arguments>
  R call(Arguments&&... arguments) const {
    abi::State* state = live_state();
    return detail::call<R>(state, kept_slot(), std::forward<Arguments>(arguments)...);
  }
  template <class... Arguments>
  Value operator()(Arguments&&... arguments) const {
    return call<Value>(std::forward<Arguments>(arguments)...);
  }
  // The same without throwing an Error.
  template <class R = Value, class... Arguments>
  Result<R> try_call(Arguments&&... arguments) const {
    return detail::attempt<R>([&]() -> R { return call<R>(std::forward<Arguments>(arguments)...); });
  }
};

// The place of a key in a table, as an expression: reads and writes go through metamethods, as in a script.
class Field {
 public:
  Field(Value object, Value key) : object_(std::move(object)), key_(std::move(key)) {}
  Field(const Field&) = default;

  template <class T>
    requires(!std::is_same_v<std::decay_t<T>, Field>)
  Field& operator=(T&& value) {
    store(std::forward<T>(value));
    return *this;
  }
  Field& operator=(const Field& other) {
    store(other.value());
    return *this;
  }

  Value value() const { return load<Value>(); }
  template <class T>
  T as() const {
    return load<T>();
  }
  template <class T>
  std::optional<T> get_if() const {
    return value().get_if<T>();
  }
  template <class T>
  T value_or(T otherwise) const {
    std::optional<T> found = get_if<T>();
    return found.has_value() ? *std::move(found) : std::move(otherwise);
  }
  bool is_nil() const { return value().is_nil(); }
  bool exists() const { return !is_nil(); }
  template <class T>
    requires(!std::is_same_v<T, Field> && !std::is_reference_v<T>)
  operator T() const {  // NOLINT: int n = t["n"]
    return load<T>();
  }

  template <class K>
  Field operator[](K&& key) const;
  template <class... Arguments>
  Value operator()(Arguments&&... arguments) const {
    return load<Function>().template call<Value>(std::forward<Arguments>(arguments)...);
  }
  template <class R = Value, class... Arguments>
  R call(Arguments&&... arguments) const {
    return load<Function>().template call<R>(std::forward<Arguments>(arguments)...);
  }
  template <class R = Value, class... Arguments>
  Result<R> try_call(Arguments&&... arguments) const {
    return detail::attempt<R>([&]() -> R { return call<R>(std::forward<Arguments>(arguments)...); });
  }

 private:
  template <class T>
  T load() const;
  template <class T>
  void store(T&& value);
  std::string name() const;  // of its key, as errors have it
  Value object_;
  Value key_;
};

// A table. Indices start at 1.
class Table : public Value {
 public:
  Table() = default;
  using Value::Value;
  explicit Table(Value value) : Value(std::move(value)) {}

  template <class K>
  Field operator[](K&& key) const;
  // t[key] as a T; throws TypeError. With metamethods; the raw ones without.
  template <class T, class K>
  T get(K&& key) const;
  template <class K, class T>
  void set(K&& key, T&& value) const;
  template <class T, class K>
  T raw_get(K&& key) const;
  template <class K, class T>
  void raw_set(K&& key, T&& value) const;
  // #t without metamethods.
  std::size_t size() const {
    const Lock lock(live_state());
    return static_cast<std::size_t>(abi::table_length(slot()));
  }
  // t[#t + 1] = value.
  template <class T>
  void append(T&& value) const {
    raw_set(size() + 1, std::forward<T>(value));
  }
  // Nobody changes the table any more, neither scripts nor the host: for what several scripts share. `deep`: nor what is
  // reachable from it through tables and metatables; of the globals that includes package.loaded, so require modules before.
  void freeze(bool deep = true) const;
  bool is_frozen() const noexcept { return abi::is_frozen(slot()); }
  void set_metatable(const Table& metatable) const;
  Table metatable() const;

  // Entries in no order, without metamethods: for (auto [key, value] : t). The table may change meanwhile; entries may then
  // be skipped.
  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = std::pair<Value, Value>;
    using difference_type = std::ptrdiff_t;
    using pointer = const value_type*;
    using reference = const value_type&;
    Iterator() = default;
    explicit Iterator(const Table& table) : table_(&table) { advance(); }
    reference operator*() const noexcept { return entry_; }
    pointer operator->() const noexcept { return &entry_; }
    Iterator& operator++() {
      advance();
      return *this;
    }
    friend bool operator==(const Iterator& a, const Iterator& b) noexcept { return a.table_ == b.table_; }

   private:
    void advance() {
      const Lock lock(table_->live_state());
      abi::Slot key, value;
      if (!abi::table_next(table_->slot(), &position_, &key, &value)) {
        table_ = nullptr;
        return;
      }
      entry_ = {Value(table_->state(), key), Value(table_->state(), value)};
    }
    const Table* table_ = nullptr;
    std::uint64_t position_ = 0;
    value_type entry_;
  };
  Iterator begin() const { return Iterator(*this); }
  Iterator end() const noexcept { return Iterator(); }

 private:
  friend class Iterator;
};

}  // namespace v0
}  // namespace baton
