// Conversions between values of scripts and types of C++.
//
//   script                  C++
//   nil                     std::nullopt, std::monostate, nullptr, an empty Value
//   boolean                 bool
//   number                  every integer type (range checked; floats with integral values count), float, double
//   string                  std::string, std::string_view (arguments of bound functions: valid during the call), const char*
//   table                   std::vector, std::array, std::list; std::map, std::unordered_map; std::pair, std::tuple (as lists)
//   function                Function, std::function<R(A...)> (keeps a root; calling it takes the lock)
//   seconds as a number     std::chrono::duration
//   any of several          std::variant, std::optional
//   object of a host class  T (a copy), T&, T*, std::shared_ptr<T>    (class.hpp)
//
// There are no silent conversions between texts and numbers. Other types: specialise baton::convert<T> (value.hpp).
// Invariant: conversions run no script code, so slots stay valid. Threading: with the lock.
#pragma once

#include <array>
#include <chrono>
#include <cmath>
#include <concepts>
#include <limits>
#include <list>
#include <map>
#include <unordered_map>
#include <variant>
#include <vector>

#include "baton/value.hpp"

namespace baton {
inline namespace v0 {
namespace detail {

// A Codec<T> has
//   static abi::Slot push(Context&, const T&)                    may throw Error
//   static std::optional<T> pull(Context&, const abi::Slot&)     nullopt: no T
//   static const char* expected(Context&)                        what messages call it

template <class T>
using Plain = std::remove_cvref_t<T>;

template <class T>
concept HasConvert = requires(VM& vm, const T& value) { convert<T>::to_script(vm, value); } ||
                     requires(const Value& value) { convert<T>::from_script(value); };

// ---- scalars ----

template <>
struct Codec<bool> {
  static abi::Slot push(Context&, bool value) noexcept { return abi::Slot::of(value); }
  static std::optional<bool> pull(Context&, const abi::Slot& slot) noexcept {
    if (!slot.is_boolean()) return std::nullopt;
    return slot.tag == abi::kTrue;
  }
  static const char* expected(Context&) noexcept { return "boolean"; }
};

template <class T>
concept Integer = std::integral<T> && !std::same_as<T, bool>;

template <Integer T>
struct Codec<T> {
  static abi::Slot push(Context&, T value) noexcept {
    if constexpr (std::is_unsigned_v<T> && sizeof(T) == 8) {
      if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return abi::Slot::of(static_cast<double>(value));
    }
    return abi::Slot::of(static_cast<std::int64_t>(value));
  }
  static std::optional<T> pull(Context& context, const abi::Slot& slot) noexcept {
    std::int64_t integer;
    if (__builtin_expect(slot.is_integer(), 1)) {
      integer = slot.integer;
    } else if (slot.is_float()) {
      if (!(slot.number >= -0x1p63 && slot.number < 0x1p63) || std::floor(slot.number) != slot.number) {
        context.problem = "number has no integer representation";
        return std::nullopt;
      }
      integer = static_cast<std::int64_t>(slot.number);
    } else {
      return std::nullopt;
    }
    if (!std::in_range<T>(integer)) {
      context.problem = "number out of range";
      return std::nullopt;
    }
    return static_cast<T>(integer);
  }
  static const char* expected(Context&) noexcept { return "number"; }
};

template <std::floating_point T>
struct Codec<T> {
  static abi::Slot push(Context&, T value) noexcept { return abi::Slot::of(static_cast<double>(value)); }
  static std::optional<T> pull(Context&, const abi::Slot& slot) noexcept {
    if (__builtin_expect(slot.is_float(), 1)) return static_cast<T>(slot.number);
    if (slot.is_integer()) return static_cast<T>(slot.integer);
    return std::nullopt;
  }
  static const char* expected(Context&) noexcept { return "number"; }
};

template <class T>
  requires std::is_enum_v<T>
struct Codec<T> {
  using Number = std::underlying_type_t<T>;
  static abi::Slot push(Context& context, T value) { return Codec<Number>::push(context, static_cast<Number>(value)); }
  static std::optional<T> pull(Context& context, const abi::Slot& slot) {
    if (auto number = Codec<Number>::pull(context, slot)) return static_cast<T>(*number);
    return std::nullopt;
  }
  static const char* expected(Context&) noexcept { return "number"; }
};

template <>
struct Codec<std::nullptr_t> {
  static abi::Slot push(Context&, std::nullptr_t) noexcept { return {}; }
  static std::optional<std::nullptr_t> pull(Context&, const abi::Slot& slot) noexcept {
    if (!slot.is_nil()) return std::nullopt;
    return nullptr;
  }
  static const char* expected(Context&) noexcept { return "nil"; }
};
template <>
struct Codec<std::monostate> {
  static abi::Slot push(Context&, std::monostate) noexcept { return {}; }
  static std::optional<std::monostate> pull(Context&, const abi::Slot& slot) noexcept {
    if (!slot.is_nil()) return std::nullopt;
    return std::monostate{};
  }
  static const char* expected(Context&) noexcept { return "nil"; }
};
template <>
struct Codec<std::nullopt_t> {
  static abi::Slot push(Context&, std::nullopt_t) noexcept { return {}; }
};

template <class Rep, class Period>
struct Codec<std::chrono::duration<Rep, Period>> {
  using Duration = std::chrono::duration<Rep, Period>;
  static abi::Slot push(Context&, Duration value) noexcept {
    return abi::Slot::of(std::chrono::duration<double>(value).count());
  }
  static std::optional<Duration> pull(Context& context, const abi::Slot& slot) noexcept {
    const std::optional<double> seconds = Codec<double>::pull(context, slot);
    if (!seconds) return std::nullopt;
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(*seconds));
  }
  static const char* expected(Context&) noexcept { return "number"; }
};

// ---- texts ----

inline abi::Slot push_text(Context& context, std::string_view text) {
  abi::Slot slot;
  abi::Failure* failure = nullptr;
  check(abi::make_string(context.state, text.data(), text.size(), &slot, &failure), failure);
  return slot;
}

template <class T>
concept Text = std::same_as<T, std::string> || std::same_as<T, std::string_view>;

template <Text T>
struct Codec<T> {
  static abi::Slot push(Context& context, std::string_view text) { return push_text(context, text); }
  static std::optional<T> pull(Context&, const abi::Slot& slot) {
    if (!slot.is_string()) return std::nullopt;
    std::size_t size;
    const char* bytes = abi::string_bytes(slot, &size);
    return T(bytes, size);
  }
  static const char* expected(Context&) noexcept { return "string"; }
};
template <>
struct Codec<const char*> {
  static abi::Slot push(Context& context, const char* text) {
    return text != nullptr ? push_text(context, text) : abi::Slot();
  }
  static std::optional<const char*> pull(Context&, const abi::Slot& slot) noexcept {
    if (!slot.is_string()) return std::nullopt;
    std::size_t size;
    return abi::string_bytes(slot, &size);
  }
  static const char* expected(Context&) noexcept { return "string"; }
};
template <>
struct Codec<char*> : Codec<const char*> {};

// ---- handles ----

template <class T>
concept Handle = std::derived_from<T, Value>;

template <Handle T>
struct Codec<T> {
  static abi::Slot push(Context& context, const T& value) {
    if (value.state() != nullptr && value.state() != context.state) throw Error("a handle of another VM");
    return value.slot();
  }
  static bool fits(const abi::Slot& slot) noexcept {
    if constexpr (std::same_as<T, Table>) return slot.is_table();
    else if constexpr (std::same_as<T, Function>) return slot.is_function();
    else if constexpr (std::same_as<T, String>) return slot.is_string();
    else return true;
  }
  static std::optional<T> pull(Context& context, const abi::Slot& slot) {
    if (!fits(slot)) return std::nullopt;
    return T(Value(context.state, slot));
  }
  static const char* expected(Context&) noexcept {
    if constexpr (std::same_as<T, Table>) return "table";
    else if constexpr (std::same_as<T, Function>) return "function";
    else if constexpr (std::same_as<T, String>) return "string";
    else return "value";
  }
};
template <>
struct Codec<Field> {
  static abi::Slot push(Context& context, const Field& field) { return Codec<Value>::push(context, field.value()); }
};

// ---- containers ----

// A container whose table holds something that is no item of it.
inline std::nullopt_t wrong_inside(Context& context) noexcept {
  if (context.problem == nullptr) context.problem = "a value in the table has a wrong type";
  return std::nullopt;
}

// A raw table while it is filled.
inline abi::Slot new_table(Context& context, std::size_t list, std::size_t fields) {
  abi::Slot table;
  abi::Failure* failure = nullptr;
  check(abi::make_table(context.state, static_cast<std::uint32_t>(list), static_cast<std::uint32_t>(fields), &table, &failure), failure);
  return table;
}
inline void raw_store(Context& context, const abi::Slot& table, const abi::Slot& key, const abi::Slot& value) {
  abi::Failure* failure = nullptr;
  check(abi::set(context.state, table, key, value, true, &failure), failure);
}
inline abi::Slot raw_load(Context& context, const abi::Slot& table, const abi::Slot& key) {
  abi::Slot value;
  abi::Failure* failure = nullptr;
  check(abi::get(context.state, table, key, true, &value, &failure), failure);
  return value;
}

template <class List>
abi::Slot push_list(Context& context, const List& list, std::size_t size) {
  const abi::Slot table = new_table(context, size, 0);
  std::int64_t index = 0;
  for (const auto& item : list) {
    const abi::Slot slot = detail::push(context, item);
    raw_store(context, table, abi::Slot::of(++index), slot);
  }
  return table;
}

template <class List>
concept Sequence = requires(List& list) {
  typename List::value_type;
  list.push_back(std::declval<typename List::value_type>());
  list.size();
} && !Text<List>;

template <Sequence List>
struct Codec<List> {
  using Item = typename List::value_type;
  static abi::Slot push(Context& context, const List& list) { return push_list(context, list, list.size()); }
  static std::optional<List> pull(Context& context, const abi::Slot& slot) {
    if (!slot.is_table()) return std::nullopt;
    List list;
    const auto size = static_cast<std::int64_t>(abi::table_length(slot));
    for (std::int64_t i = 1; i <= size; ++i) {
      auto item = Codec<Item>::pull(context, raw_load(context, slot, abi::Slot::of(i)));
      if (!item) return wrong_inside(context);
      list.push_back(*std::move(item));
    }
    return list;
  }
  static const char* expected(Context&) noexcept { return "table"; }
};

template <class T, std::size_t N>
struct Codec<std::array<T, N>> {
  static abi::Slot push(Context& context, const std::array<T, N>& list) { return push_list(context, list, N); }
  static std::optional<std::array<T, N>> pull(Context& context, const abi::Slot& slot) {
    if (!slot.is_table() || abi::table_length(slot) != N) return std::nullopt;
    std::array<T, N> list{};
    for (std::size_t i = 0; i < N; ++i) {
      auto item = Codec<T>::pull(context, raw_load(context, slot, abi::Slot::of(static_cast<std::int64_t>(i) + 1)));
      if (!item) return wrong_inside(context);
      list[i] = *std::move(item);
    }
    return list;
  }
  static const char* expected(Context&) noexcept { return "table"; }
};

template <class Map>
concept Mapping = requires(Map& map) {
  typename Map::key_type;
  typename Map::mapped_type;
  map.size();
};

template <Mapping Map>
struct Codec<Map> {
  static abi::Slot push(Context& context, const Map& map) {
    const abi::Slot table = new_table(context, 0, map.size());
    for (const auto& [key, value] : map) {
      const abi::Slot k = detail::push(context, key);
      const abi::Slot v = detail::push(context, value);
      raw_store(context, table, k, v);
    }
    return table;
  }
  static std::optional<Map> pull(Context& context, const abi::Slot& slot) {
    if (!slot.is_table()) return std::nullopt;
    Map map;
    std::uint64_t position = 0;
    abi::Slot key, value;
    while (abi::table_next(slot, &position, &key, &value)) {
      auto k = Codec<typename Map::key_type>::pull(context, key);
      auto v = Codec<typename Map::mapped_type>::pull(context, value);
      if (!k || !v) return wrong_inside(context);
      map.emplace(*std::move(k), *std::move(v));
    }
    return map;
  }
  static const char* expected(Context&) noexcept { return "table"; }
};

template <class... T>
struct TupleCodec {
  template <class Tuple, std::size_t... I>
  static abi::Slot push(Context& context, const Tuple& tuple, std::index_sequence<I...>) {
    const abi::Slot table = new_table(context, sizeof...(T), 0);
    (raw_store(context, table, abi::Slot::of(static_cast<std::int64_t>(I) + 1), detail::push(context, std::get<I>(tuple))), ...);
    return table;
  }
  template <class Tuple, std::size_t... I>
  static std::optional<Tuple> pull(Context& context, const abi::Slot& slot, std::index_sequence<I...>) {
    if (!slot.is_table()) return std::nullopt;
    std::tuple<std::optional<T>...> items{
        Codec<T>::pull(context, raw_load(context, slot, abi::Slot::of(static_cast<std::int64_t>(I) + 1)))...};
    if (!(std::get<I>(items).has_value() && ...)) return wrong_inside(context);
    return Tuple(*std::move(std::get<I>(items))...);
  }
};
template <class... T>
struct Codec<std::tuple<T...>> {
  static abi::Slot push(Context& context, const std::tuple<T...>& tuple) {
    return TupleCodec<T...>::push(context, tuple, std::index_sequence_for<T...>());
  }
  static std::optional<std::tuple<T...>> pull(Context& context, const abi::Slot& slot) {
    return TupleCodec<T...>::template pull<std::tuple<T...>>(context, slot, std::index_sequence_for<T...>());
  }
  static const char* expected(Context&) noexcept { return "table"; }
};
template <class A, class B>
struct Codec<std::pair<A, B>> {
  static abi::Slot push(Context& context, const std::pair<A, B>& pair) {
    return TupleCodec<A, B>::push(context, pair, std::index_sequence_for<A, B>());
  }
  static std::optional<std::pair<A, B>> pull(Context& context, const abi::Slot& slot) {
    return TupleCodec<A, B>::template pull<std::pair<A, B>>(context, slot, std::index_sequence_for<A, B>());
  }
  static const char* expected(Context&) noexcept { return "table"; }
};

// ---- choices ----

template <class T>
struct Codec<std::optional<T>> {
  static abi::Slot push(Context& context, const std::optional<T>& value) {
    return value ? detail::push(context, *value) : abi::Slot();
  }
  static std::optional<std::optional<T>> pull(Context& context, const abi::Slot& slot) {
    if (slot.is_nil()) return std::optional<std::optional<T>>(std::in_place);
    auto value = Codec<T>::pull(context, slot);
    if (!value) return std::nullopt;
    return std::optional<T>(*std::move(value));
  }
  static const char* expected(Context& context) { return Codec<T>::expected(context); }
};

template <class... T>
struct Codec<std::variant<T...>> {
  using Variant = std::variant<T...>;
  static abi::Slot push(Context& context, const Variant& value) {
    return std::visit([&](const auto& held) { return detail::push(context, held); }, value);
  }
  // The first alternative that fits; a float is no integer here, so that the order of int and double does not matter.
  static std::optional<Variant> pull(Context& context, const abi::Slot& slot) {
    std::optional<Variant> found;
    (try_one<T>(context, slot, found, true), ...);
    if (!found) (try_one<T>(context, slot, found, false), ...);
    context.problem = nullptr;
    return found;
  }
  static const char* expected(Context& context) {
    static thread_local std::string text;
    text.clear();
    ((text += text.empty() ? "" : " or ", text += Codec<T>::expected(context)), ...);
    return text.c_str();
  }

 private:
  template <class Alternative>
  static void try_one(Context& context, const abi::Slot& slot, std::optional<Variant>& found, bool exact) {
    if (found) return;
    if constexpr (Integer<Alternative>) {
      if (exact && slot.is_float()) return;
    }
    if constexpr (std::floating_point<Alternative>) {
      if (exact && slot.is_integer()) return;
    }
    if (auto value = Codec<Alternative>::pull(context, slot)) found.emplace(std::in_place_type<Alternative>, *std::move(value));
  }
};

// ---- types with a conversion of their own ----

template <class T>
  requires HasConvert<T>
struct Codec<T> {
  static abi::Slot push(Context& context, const T& value);
  static std::optional<T> pull(Context& context, const abi::Slot& slot) {
    return convert<T>::from_script(Value(context.state, slot));
  }
  static const char* expected(Context&) noexcept {
    if constexpr (requires { convert<T>::name; }) return convert<T>::name;
    else return "convertible value";
  }
};

// ---- entry points ----

template <class T>
abi::Slot push(Context& context, T&& value) {
  if constexpr (std::is_array_v<std::remove_reference_t<T>>) {
    return push_text(context, std::string_view(value));
  } else {
    return Codec<Plain<T>>::push(context, std::forward<T>(value));
  }
}

// What a failed conversion says: the problem, or "X expected, got Y".
inline std::string mismatch(Context& context, const char* expected, const abi::Slot& slot) {
  if (context.problem != nullptr) return std::exchange(context.problem, nullptr);
  return std::string(expected) + " expected, got " + (slot.is_nil() ? "nil" : abi::type_name(context.state, slot));
}

// References to objects of host classes.
template <class T>
concept RefersToObject = std::is_lvalue_reference_v<T> && std::is_class_v<Plain<T>> && !Text<Plain<T>> && !Handle<Plain<T>> &&
                         !HasConvert<Plain<T>>;

// A T made of `slot`; `place()` is what the error begins with: where the value was found.
template <class T, class Place>
decltype(auto) pull_from(Context& context, const abi::Slot& slot, const Place& place) {
  using Bare = Plain<T>;
  if constexpr (RefersToObject<T>) {
    const auto object = Codec<Bare*>::pull(context, slot);
    if (!object || *object == nullptr) throw TypeError(place() + mismatch(context, Codec<Bare*>::expected(context), slot));
    return static_cast<T>(**object);
  } else {
    auto value = Codec<Bare>::pull(context, slot);
    if (__builtin_expect(!value, 0)) throw TypeError(place() + mismatch(context, Codec<Bare>::expected(context), slot));
    return Bare(*std::move(value));
  }
}

template <class T>
decltype(auto) pull(Context& context, const abi::Slot& slot) {
  return pull_from<T>(context, slot, [] { return std::string(); });
}

// A result of a call, the first one being 1.
template <class T>
decltype(auto) pull_result(Context& context, const abi::Slot& slot, std::size_t number) {
  return pull_from<T>(context, slot, [number] { return "result #" + std::to_string(number) + ": "; });
}

// Types whose conversion needs no lock.
template <class T>
inline constexpr bool is_plain_argument = std::is_arithmetic_v<Plain<T>> || std::is_same_v<Plain<T>, std::nullptr_t>;

// Texts, which the function of the border takes as they are.
template <class T>
inline constexpr bool is_lent_argument = Text<Plain<T>> || std::is_same_v<std::decay_t<T>, const char*> || std::is_same_v<std::decay_t<T>, char*>;

// The slot of an argument; a text is noted in `text` and lent.
template <class T>
abi::Slot push_argument(Context& context, T&& argument, [[maybe_unused]] abi::LentText& text) {
  if constexpr (is_lent_argument<T>) {
    if constexpr (std::is_pointer_v<std::remove_reference_t<T>>) {
      if (argument == nullptr) return {};
    }
    const std::string_view view(argument);
    text = {view.data(), view.size()};
    abi::Slot slot;
    slot.pointer = &text;
    slot.tag = abi::kLentText;
    return slot;
  } else {
    return detail::push(context, std::forward<T>(argument));
  }
}

// What calls have in common: converts the arguments, crosses with `cross(call, taken)`, converts the results to R.
template <class R, class Cross, class... Arguments>
R call_with(abi::State* state, const abi::Slot* function, const Cross& cross, Arguments&&... arguments) {
  Crossing crossing(state);
  if constexpr (!((is_plain_argument<Arguments> || is_lent_argument<Arguments>) && ...)) crossing.enter();
  [[maybe_unused]] Context context{state};
  constexpr int kCount = sizeof...(Arguments);
  [[maybe_unused]] abi::LentText texts[kCount + 1];
  [[maybe_unused]] int next = 0;  // initialisers in braces are evaluated in their order
  abi::Slot slots[kCount + 1] = {detail::push_argument(context, std::forward<Arguments>(arguments), texts[next++])...};
  abi::Failure* failure = nullptr;
  abi::Call call;
  call.state = state;
  call.failure = &failure;
  call.function = function;
  call.arguments = slots;
  call.count = kCount;
  if constexpr (std::is_void_v<R>) {
    call.wanted = 0;
    check(cross(call, crossing.taken()), failure);
  } else if constexpr (is_tuple<R>) {
    constexpr int kResults = std::tuple_size_v<R>;
    abi::Slot results[kResults + 1];
    call.results = results;
    call.wanted = kResults;
    check(cross(call, crossing.taken()), failure);
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      return R(detail::pull_result<std::tuple_element_t<I, R>>(context, results[I], I + 1)...);
    }(std::make_index_sequence<kResults>());
  } else if constexpr (std::is_same_v<R, std::vector<Value>>) {
    Results results;
    call.wanted = -1;
    call.all = &results.list;
    check(cross(call, crossing.taken()), failure);
    R list;
    for (int i = 0; i < results.list.count; ++i) list.emplace_back(state, results.list.items[i]);
    return list;
  } else {
    abi::Slot result;
    call.results = &result;
    call.wanted = 1;
    check(cross(call, crossing.taken()), failure);
    return detail::pull<R>(context, result);
  }
}

template <class R, class... Arguments>
R call(abi::State* state, const abi::Slot& function, Arguments&&... arguments) {
  constexpr auto cross = (is_lent_argument<Arguments> || ...) ? abi::call_with_texts : abi::call;
  return call_with<R>(state, &function, cross, std::forward<Arguments>(arguments)...);
}

// The global variable `name` is to be called and holds no function.
[[noreturn]] inline void refuse_global(abi::State* state, std::string_view name) {
  Context context{state};
  abi::Slot value;
  abi::Failure* failure = nullptr;
  bool taken = false;  // the caller has the lock
  check(abi::get_field(state, abi::globals(state), name.data(), name.size(), false, &value, &taken, &failure), failure);
  throw TypeError("global '" + std::string(name) + "': " + mismatch(context, "function", value));
}

// std::function: a Function that is called with the lock.
template <class R, class... A>
struct Codec<std::function<R(A...)>> {
  static abi::Slot push(Context& context, const std::function<R(A...)>& function);  // bind.hpp
  static std::optional<std::function<R(A...)>> pull(Context& context, const abi::Slot& slot) {
    if (!slot.is_function()) return std::nullopt;
    return std::function<R(A...)>([function = Function(Value(context.state, slot))](A... arguments) -> R {
      return function.call<R>(std::forward<A>(arguments)...);
    });
  }
  static const char* expected(Context&) noexcept { return "function"; }
};

}  // namespace detail

// ---- members of the handles that convert ----

template <class T>
T Value::as() const {
  abi::State* state = this->state();
  if (state == nullptr) {
    detail::Context nowhere{nullptr};
    return detail::pull<T>(nowhere, abi::Slot());
  }
  const Lock lock(live_state());
  detail::Context context{state};
  return detail::pull<T>(context, slot());
}

template <class T>
std::optional<T> Value::get_if() const {
  if (state() == nullptr) {
    detail::Context nowhere{nullptr};
    return detail::Codec<T>::pull(nowhere, abi::Slot());
  }
  const Lock lock(live_state());
  detail::Context context{state()};
  return detail::Codec<T>::pull(context, slot());
}

template <class T>
bool Value::is() const {
  return get_if<T>().has_value();
}

inline std::string Value::to_string() const {
  if (state() == nullptr) return "nil";
  const Lock lock(live_state());
  std::string text;
  abi::Failure* failure = nullptr;
  detail::check(abi::to_text(state(), slot(), &text, &failure), failure);
  return text;
}

inline std::string Value::type_name() const {
  if (state() == nullptr) return "nil";
  const Lock lock(live_state());
  return abi::type_name(state(), slot());
}

namespace detail {

// Keys that are texts: the function of the border makes the string.
template <class K>
inline constexpr bool is_text_key =
    Text<Plain<K>> || (std::is_array_v<std::remove_reference_t<K>> && std::is_convertible_v<K, std::string_view>);

// How an error names a field: 'name' for texts, [7] for numbers, [table] for what has no text of its own.
inline std::string key_text(Context& context, const abi::Slot& key) {
  const Type type = type_of(key);
  std::string text;
  abi::Failure* failure = nullptr;
  if (type == Type::string || type == Type::integer || type == Type::number) check(abi::to_text(context.state, key, &text, &failure), failure);
  if (type == Type::string) return "'" + text + "'";
  return "[" + (text.empty() ? abi::type_name(context.state, key) : text) + "]";
}

template <class T, class K>
T load(abi::State* state, const abi::Slot& object, K&& key, bool raw) {
  Crossing crossing(state);
  Context context{state};
  abi::Slot value;
  abi::Failure* failure = nullptr;
  if constexpr (is_text_key<K>) {
    const std::string_view name(key);
    check(abi::get_field(state, object, name.data(), name.size(), raw, &value, crossing.taken(), &failure), failure);
    return detail::pull_from<T>(context, value, [&] { return "field '" + std::string(name) + "': "; });
  } else {
    crossing.enter();
    const abi::Slot k = detail::push(context, std::forward<K>(key));
    check(abi::get(state, object, k, raw, &value, &failure), failure);
    return detail::pull_from<T>(context, value, [&] { return "field " + key_text(context, k) + ": "; });
  }
}

template <class K, class T>
void store(abi::State* state, const abi::Slot& object, K&& key, T&& value, bool raw) {
  Crossing crossing(state);
  Context context{state};
  abi::Failure* failure = nullptr;
  if constexpr (is_text_key<K>) {
    if constexpr (!is_plain_argument<T>) crossing.enter();
    const abi::Slot v = detail::push(context, std::forward<T>(value));
    const std::string_view name(key);
    check(abi::set_field(state, object, name.data(), name.size(), v, raw, crossing.taken(), &failure), failure);
  } else {
    crossing.enter();
    const abi::Slot k = detail::push(context, std::forward<K>(key));
    const abi::Slot v = detail::push(context, std::forward<T>(value));
    check(abi::set(state, object, k, v, raw, &failure), failure);
  }
}

// A handle to a key.
template <class K>
Value key_handle(abi::State* state, K&& key) {
  const Lock lock(state);
  Context context{state};
  return Value(state, detail::push(context, std::forward<K>(key)));
}

}  // namespace detail

template <class K>
Field Table::operator[](K&& key) const {
  return Field(*this, detail::key_handle(live_state(), std::forward<K>(key)));
}
template <class T, class K>
T Table::get(K&& key) const {
  return detail::load<T>(live_state(), kept_slot(), std::forward<K>(key), false);
}
template <class K, class T>
void Table::set(K&& key, T&& value) const {
  detail::store(live_state(), kept_slot(), std::forward<K>(key), std::forward<T>(value), false);
}
template <class T, class K>
T Table::raw_get(K&& key) const {
  return detail::load<T>(live_state(), kept_slot(), std::forward<K>(key), true);
}
template <class K, class T>
void Table::raw_set(K&& key, T&& value) const {
  detail::store(live_state(), kept_slot(), std::forward<K>(key), std::forward<T>(value), true);
}
inline void Table::freeze(bool deep) const {
  const Lock lock(live_state());
  abi::Failure* failure = nullptr;
  detail::check(abi::freeze(state(), slot(), deep, &failure), failure);
}
inline void Table::set_metatable(const Table& metatable) const {
  const Lock lock(live_state());
  abi::Failure* failure = nullptr;
  detail::check(abi::set_metatable(state(), slot(), metatable.slot(), &failure), failure);
}
inline Table Table::metatable() const {
  const Lock lock(live_state());
  return Table(Value(state(), abi::metatable(state(), slot())));
}

inline std::string Field::name() const {
  const Lock lock(object_.state());
  detail::Context context{object_.state()};
  return detail::key_text(context, key_.slot());
}
template <class T>
T Field::load() const {
  if (object_.state() == nullptr) throw TypeError("attempt to index a nil value");
  return detail::load<T>(object_.state(), object_.slot(), key_, false);
}
template <class T>
void Field::store(T&& value) {
  if (object_.state() == nullptr) throw TypeError("attempt to index a nil value");
  detail::store(object_.state(), object_.slot(), key_, std::forward<T>(value), false);
}
template <class K>
Field Field::operator[](K&& key) const {
  Value object = value();
  if (object.state() == nullptr) throw TypeError("attempt to index a nil value (field " + name() + ")");
  Value handle = detail::key_handle(object.state(), std::forward<K>(key));
  return Field(std::move(object), std::move(handle));
}

}  // namespace v0
}  // namespace baton
