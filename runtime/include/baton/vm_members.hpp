// Members of the VM and of Class that need everything else. Included by vm.hpp only.
//
// Invariant: what a class's metatable refers to are tables and functions of the VM, so nothing here outlives a call.
// Owner: none. Threading: as the members say.
#pragma once

#include <cstdio>

#include "baton/vm.hpp"

namespace baton {
inline namespace v0 {
namespace detail {

// A parameter VM& sees a VM that does not own it.
template <class A>
  requires std::is_same_v<Plain<A>, VM>
struct Argument<A> {
  static constexpr bool kConsumes = false;
  void take(Context& context, const abi::Invocation&, std::size_t) { view.emplace(VM::View{}, context.state); }
  VM& get() { return *view; }
  std::optional<VM> view;
};

template <class T>
  requires HasConvert<T>
abi::Slot Codec<T>::push(Context& context, const T& value) {
  VM vm(VM::View{}, context.state);
  return Codec<Value>::push(context, convert<T>::to_script(vm, value));
}

// ---- spawning ----

template <class R>
struct SpawnCompletion : abi::Completion {
  explicit SpawnCompletion(std::shared_ptr<FutureState<R>> result) : abi::Completion{finish}, shared(std::move(result)) {}

  static void finish(abi::Completion* self, abi::State* state, const abi::Slot* results, int count, abi::Failure* failure) noexcept {
    const std::unique_ptr<SpawnCompletion> completion(static_cast<SpawnCompletion*>(self));
    FutureState<R>& shared = *completion->shared;
    try {
      if (results == nullptr || failure != nullptr) throw_failure(failure != nullptr ? failure->outcome : abi::Outcome::kStopped, failure);
      [[maybe_unused]] Context context{state};
      [[maybe_unused]] const abi::Slot first = count > 0 ? results[0] : abi::Slot();
      if constexpr (std::is_void_v<R>) {
        shared.finish([&] { shared.value.emplace(); });
      } else if constexpr (std::is_same_v<R, std::vector<Value>>) {
        R list;
        for (int i = 0; i < count; ++i) list.emplace_back(state, results[i]);
        shared.finish([&] { shared.value.emplace(std::move(list)); });
      } else if constexpr (is_tuple<R>) {
        R all = [&]<std::size_t... I>(std::index_sequence<I...>) {
          return R(pull_result<std::tuple_element_t<I, R>>(context, static_cast<int>(I) < count ? results[I] : abi::Slot(), I + 1)...);
        }(std::make_index_sequence<std::tuple_size_v<R>>());
        shared.finish([&] { shared.value.emplace(std::move(all)); });
      } else {
        auto value = pull<R>(context, first);
        shared.finish([&] { shared.value.emplace(std::move(value)); });
      }
    } catch (...) {
      shared.finish([&] { shared.error = std::current_exception(); });
    }
  }

  std::shared_ptr<FutureState<R>> shared;
};

// ---- posting ----

template <class F>
struct Posted {
  abi::State* state;
  F function;

  static void call(void* context) {
    const std::unique_ptr<Posted> posted(static_cast<Posted*>(context));
    try {
      Lock lock(posted->state);
      if constexpr (std::is_invocable_v<F&, Lock&>) posted->function(lock);
      else posted->function();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "error in a posted function: %s\n", error.what());
    }
  }
  static void drop(void* context) noexcept { delete static_cast<Posted*>(context); }
};

// ---- classes ----

// __index and __newindex of classes with properties; arguments: methods, getters, the class's own fallback. Errors are not told
// where these stand but where their caller does (host/embed_calls.cpp, which also knows the order of their parameters).
inline constexpr std::string_view kIndexSource =
    "local methods, getters, fallback = ... "
    "return function(object, key) "
    "local found = methods[key] if found ~= nil then return found end "
    "found = getters[key] if found ~= nil then return found(object) end "
    "return fallback(object, key) end";
inline constexpr std::string_view kNewIndexSource =
    "local setters, fallback = ... "
    "return function(object, key, value) "
    "local found = setters[key] if found ~= nil then return found(object, value) end "
    "return fallback(object, key, value) end";
inline constexpr std::string_view kCallSource = "local new = ... return function(_, ...) return new(...) end";

template <class... Arguments>
Value run_source(abi::State* state, std::string_view source, Arguments&&... arguments) {
  abi::Slot function;
  abi::Failure* failure = nullptr;
  check(abi::load(state, source.data(), source.size(), abi::kClassChunk, "t", &function, &failure), failure);
  return Function(Value(state, function)).call<Value>(std::forward<Arguments>(arguments)...);
}

}  // namespace detail

template <class R, class... Arguments>
Future<R> VM::spawn(const Function& f, Arguments&&... arguments) {
  const Lock lock(state_);
  [[maybe_unused]] detail::Context context{state_};
  constexpr int kCount = sizeof...(Arguments);
  abi::Slot slots[kCount + 1] = {detail::push(context, std::forward<Arguments>(arguments))...};
  auto shared = std::make_shared<detail::FutureState<R>>();
  shared->vm = state_;
  abi::retain(state_);
  auto completion = std::make_unique<detail::SpawnCompletion<R>>(shared);
  abi::Failure* failure = nullptr;
  detail::check(abi::spawn(state_, f.slot(), slots, kCount, completion.get(), &failure), failure);
  (void)completion.release();
  return Future<R>(std::move(shared));
}

template <class F>
void VM::post(F function) {
  using Post = detail::Posted<F>;
  auto posted = std::make_unique<Post>(Post{state_, std::move(function)});
  const abi::Outcome outcome = abi::post(state_, Post::call, Post::drop, posted.get());
  if (outcome == abi::Outcome::kClosed) throw VMClosed();
  if (outcome != abi::Outcome::kOk) throw std::bad_alloc();
  (void)posted.release();
}

inline GilStats VM::gil_stats() {
  const Lock lock(state_);
  abi::ThreadFigures totals;
  std::vector<abi::ThreadFigures> threads;
  abi::gil_figures(state_, &totals, &threads);
  const auto ns = [](std::int64_t n) { return std::chrono::nanoseconds(n); };
  GilStats stats{totals.switches, totals.forced, totals.voluntary, ns(totals.held_ns), ns(totals.waited_ns),
                 ns(totals.released_ns), ns(totals.longest_ns), {}};
  for (const abi::ThreadFigures& t : threads) {
    stats.threads.push_back({t.id, t.name, t.switches, t.forced, t.voluntary, ns(t.held_ns), ns(t.waited_ns), ns(t.released_ns),
                             ns(t.longest_ns)});
  }
  return stats;
}

// ---- Class ----

template <class T>
Class<T>::Class(abi::State* state, const std::string& name) : state_(state) {
  const Lock lock(state);
  VM vm(VM::View{}, state);
  metatable_ = vm.table();
  methods_ = vm.table();
  getters_ = vm.table();
  setters_ = vm.table();
  statics_ = vm.table();
  constructors_ = vm.table();
  metatable_.raw_set("__name", name);
  metatable_.raw_set("__index", methods_);
  abi::Failure* failure = nullptr;
  detail::check(abi::define_class(state, detail::key_of<T>(), name.c_str(), metatable_.slot(), &failure), failure);
  metatable_.raw_set("methods", methods_);
  metatable_.raw_set("getters", getters_);
  metatable_.raw_set("setters", setters_);
  metatable_.raw_set("__metatable", false);
  same_object_ = vm.function([state](const Value& a, const Value& b) {  // each push of a pointer makes an object for scripts
    detail::Context context{state};
    const T* object = detail::object_in<T>(context, a.slot());
    return object != nullptr && object == detail::object_in<T>(context, b.slot());
  });
  metatable_.raw_set("__eq", same_object_);
  vm.globals().raw_set(name, statics_);
}

template <class T>
template <class F>
Class<T>& Class<T>::constructor(std::size_t count, F&& make) {
  const Lock lock(state_);
  VM vm(VM::View{}, state_);
  Function made(bound<KeepGil>(std::forward<F>(make)));
  Function chosen = made;
  bool is_first = true;
  for (const auto& entry : constructors_) is_first = is_first && entry.first.is_nil();
  constructors_.raw_set(static_cast<std::int64_t>(count), made);
  if (!is_first) {
    chosen = vm.function([constructors = constructors_](VM& view, Args args) -> Multiple {
      const Function constructor(constructors.raw_get<Value>(static_cast<std::int64_t>(args.size())));
      if (!constructor.is_function()) throw Error("no constructor with " + std::to_string(args.size()) + " arguments");
      Multiple results;
      switch (args.size()) {
        case 0: results.values = constructor.call<std::vector<Value>>(); break;
        case 1: results.values = constructor.call<std::vector<Value>>(args[0]); break;
        case 2: results.values = constructor.call<std::vector<Value>>(args[0], args[1]); break;
        case 3: results.values = constructor.call<std::vector<Value>>(args[0], args[1], args[2]); break;
        case 4: results.values = constructor.call<std::vector<Value>>(args[0], args[1], args[2], args[3]); break;
        default: throw Error("too many arguments for a class with several constructors");
      }
      (void)view;
      return results;
    });
  }
  statics_.raw_set("new", chosen);
  Table statics_metatable = vm.table();
  statics_metatable.raw_set("__call", detail::run_source(state_, detail::kCallSource, chosen));
  statics_.set_metatable(statics_metatable);
  return *this;
}

template <class T>
void Class<T>::install_access() {
  const Lock lock(state_);
  VM vm(VM::View{}, state_);
  if (fallback_get_.is_nil()) fallback_get_ = vm.function([](Value, Value) { return Value(); });
  if (fallback_set_.is_nil()) {
    fallback_set_ = vm.function([](const Value& object, const Value& key, Value) {
      throw Error("cannot set field '" + key.to_string() + "' of a " + object.type_name());
    });
  }
  metatable_.raw_set("__index", detail::run_source(state_, detail::kIndexSource, methods_, getters_, fallback_get_));
  metatable_.raw_set("__newindex", detail::run_source(state_, detail::kNewIndexSource, setters_, fallback_set_));
}

template <class T>
template <class Member>
Class<T>& Class<T>::property(std::string_view name, Member member) {
  if constexpr (std::is_member_object_pointer_v<Member>) {
    using Field = std::remove_cvref_t<decltype(std::declval<T&>().*member)>;
    getters_.raw_set(name, bound<KeepGil>([member](T& object) -> Field { return object.*member; }));
    if constexpr (!std::is_const_v<std::remove_reference_t<decltype(std::declval<T&>().*member)>>) {
      setters_.raw_set(name, bound<KeepGil>([member](T& object, Field value) { object.*member = std::move(value); }));
    }
  } else {
    getters_.raw_set(name, bound<KeepGil>(member));
  }
  install_access();
  return *this;
}

template <class T>
template <class Member>
Class<T>& Class<T>::readonly(std::string_view name, Member member) {
  property(name, member);
  setters_.raw_set(name, nullptr);
  return *this;
}

template <class T>
template <class B>
Class<T>& Class<T>::base() {
  static_assert(std::is_base_of_v<B, T>);
  const Lock lock(state_);
  abi::Failure* failure = nullptr;
  detail::check(abi::add_base(state_, detail::key_of<T>(), detail::key_of<B>(),
                              +[](void* object) noexcept -> void* { return static_cast<B*>(static_cast<T*>(object)); }, &failure),
                failure);
  const abi::Slot slot = abi::class_metatable(state_, detail::key_of<B>());
  if (!slot.is_table()) throw Error("the base class has not been described");
  const Table theirs{Value(state_, slot)};
  VM vm(VM::View{}, state_);
  for (const char* part : {"methods", "getters", "setters"}) {
    const Table inherited = theirs.raw_get<Table>(part);
    Table own = metatable_.raw_get<Table>(part);
    for (const auto& [key, value] : inherited) {
      if (own.raw_get<Value>(key).is_nil()) own.raw_set(key, value);
    }
  }
  for (const auto& [key, value] : theirs) {
    const Value own = key.is_string() && value.is_function() ? metatable_.raw_get<Value>(key) : value;
    if (own.is_nil() || own == same_object_) metatable_.raw_set(key, value);
  }
  install_access();
  return *this;
}

template <class T>
Class<T> VM::class_(const std::string& name) {
  return Class<T>(state_, name);
}

}  // namespace v0
}  // namespace baton
