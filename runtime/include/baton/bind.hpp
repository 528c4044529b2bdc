// Functions of the host as functions of scripts.
//
// A bound function is any callable with one signature: function pointers, lambdas, std::function, member functions (their
// object is the first argument). Arguments are checked and converted (convert.hpp); a mismatch raises Lua's "bad argument"
// error in the script. Parameters of the types VM& and Lock& take no argument of the script; Args, as the last, takes the rest.
//
//   result              the script gets
//   void                nothing
//   T                   one value
//   std::tuple<T...>    several
//   Multiple            as many as it holds
//   Future<T>           its result, when it is there: the calling task parks meanwhile
//
// An exception becomes an error of the script: a baton::Error with its value, any other std::exception with its text and the
// caller's position. Policies: release_gil drops the lock while the function runs, keep_gil (the default) does not.
// Invariant: no exception and no C++ object crosses into the runtime. Threading: called by any native thread of the VM.
#pragma once

#include "baton/class.hpp"
#include "baton/future.hpp"

namespace baton {
inline namespace v0 {

// Policies of VM::bind.
struct ReleaseGil {};
struct KeepGil {};
inline constexpr ReleaseGil release_gil{};
inline constexpr KeepGil keep_gil{};

// The arguments that no parameter took. Copyable; its values are roots.
class Args {
 public:
  Args() = default;
  explicit Args(std::vector<Value> values) : values_(std::move(values)) {}
  std::size_t size() const noexcept { return values_.size(); }
  bool empty() const noexcept { return values_.empty(); }
  const Value& operator[](std::size_t i) const noexcept { return values_[i]; }
  template <class T>
  T get(std::size_t i) const {
    return i < values_.size() ? values_[i].as<T>() : Value().as<T>();
  }
  auto begin() const noexcept { return values_.begin(); }
  auto end() const noexcept { return values_.end(); }

 private:
  std::vector<Value> values_;
};

// Any number of results.
struct Multiple {
  std::vector<Value> values;
};

namespace detail {

// ---- signatures ----

template <class R, class... A>
struct Signature {
  using Result = R;
  static constexpr std::size_t kCount = sizeof...(A);
  template <template <class...> class Template, class... Front>
  using Apply = Template<Front..., R, A...>;
};

template <class F, class = void>
struct SignatureOf : SignatureOf<decltype(&F::operator())> {};
template <class R, class... A>
struct SignatureOf<R (*)(A...)> : Signature<R, A...> {};
template <class R, class... A>
struct SignatureOf<R (*)(A...) noexcept> : Signature<R, A...> {};
template <class R, class... A>
struct SignatureOf<std::function<R(A...)>> : Signature<R, A...> {};
#define BATON_MEMBER_SIGNATURE(qualifiers)                                  \
  template <class C, class R, class... A>                                   \
  struct SignatureOf<R (C::*)(A...) qualifiers> : Signature<R, A...> {      \
    using Class = C;                                                        \
  };
BATON_MEMBER_SIGNATURE()
BATON_MEMBER_SIGNATURE(const)
BATON_MEMBER_SIGNATURE(noexcept)
BATON_MEMBER_SIGNATURE(const noexcept)
BATON_MEMBER_SIGNATURE(&)
BATON_MEMBER_SIGNATURE(const&)
#undef BATON_MEMBER_SIGNATURE

// ---- arguments ----

// An argument of type A while the call lasts. kConsumes: whether it takes one of the script's arguments.
template <class A>
struct Argument {
  using Bare = Plain<A>;
  static constexpr bool kConsumes = true;
  std::optional<Bare> value;
  bool pull(Context& context, const abi::Slot& slot) {
    value = Codec<Bare>::pull(context, slot);
    return value.has_value();
  }
  static const char* expected(Context& context) { return Codec<Bare>::expected(context); }
  decltype(auto) get() {
    if constexpr (std::is_lvalue_reference_v<A>) return static_cast<A>(*value);
    else return std::move(*value);
  }
};

// Types that travel as objects: nothing but the general codec takes them.
template <class T>
concept HostClass = std::is_class_v<T> && !HasConvert<T> && !std::is_same_v<T, VM> && !std::is_same_v<T, Lock> &&
                    !std::is_same_v<T, Args> && requires { &Codec<T>::template push<const T&>; };

template <class A>
  requires(std::is_lvalue_reference_v<A> && HostClass<Plain<A>>)
struct Argument<A> {
  using Bare = Plain<A>;
  static constexpr bool kConsumes = true;
  Bare* object = nullptr;
  bool pull(Context& context, const abi::Slot& slot) {
    object = object_in<Bare>(context, slot);
    return object != nullptr;
  }
  static const char* expected(Context& context) { return class_name<Bare>(context); }
  A get() { return *object; }
};

template <class A>
  requires std::is_same_v<Plain<A>, Lock>
struct Argument<A> {
  static constexpr bool kConsumes = false;
  void take(Context& context, const abi::Invocation&, std::size_t) { lock.emplace(context.state); }
  Lock& get() { return *lock; }
  std::optional<Lock> lock;
};

template <class A>
  requires std::is_same_v<Plain<A>, Args>
struct Argument<A> {
  static constexpr bool kConsumes = false;
  void take(Context& context, const abi::Invocation& call, std::size_t next) {
    std::vector<Value> values;
    for (auto i = static_cast<int>(next); i < call.count; ++i) values.emplace_back(context.state, call.arguments[i]);
    args = Args(std::move(values));
  }
  Args& get() { return args; }
  Args args;
};

// Converts argument `next` of the script. Returns: false with the complaint in `call`.
template <class A>
bool pull_argument(Context& context, abi::Invocation& call, std::size_t& next, Argument<A>& argument) {
  if constexpr (Argument<A>::kConsumes) {
    const auto index = static_cast<int>(next++);
    const abi::Slot missing;
    if (__builtin_expect(argument.pull(context, index < call.count ? call.arguments[index] : missing), 1)) return true;
    call.bad_argument = index + 1;
    call.complaint = context.problem;
    call.expected = Argument<A>::expected(context);
    return false;
  } else {
    argument.take(context, call, next);
    return true;
  }
}

// ---- results ----

inline abi::Answer raise_text(Context& context, abi::Invocation& call, const char* text) noexcept {
  abi::Failure* failure = nullptr;
  if (abi::make_string(context.state, text, std::char_traits<char>::length(text), &call.result, &failure) != abi::Outcome::kOk) {
    if (failure != nullptr && failure->value != nullptr) call.result = failure->value->value;
    abi::free_failure(failure);
    return abi::Answer::kRaise;
  }
  return abi::Answer::kRaiseText;
}

// What the exception that is being handled means for the script.
inline abi::Answer answer_of_exception(Context& context, abi::Invocation& call) noexcept {
  try {
    throw;
  } catch (const Interrupted& error) {
    return abi::Answer::kUnwind;
  } catch (const Error& error) {
    const abi::Slot value = error.value().slot();
    if (value.is_nil()) return raise_text(context, call, error.what());
    call.result = value;
    return abi::Answer::kRaise;
  } catch (const std::exception& error) {
    return raise_text(context, call, error.what());
  } catch (...) {
    return raise_text(context, call, "unknown C++ exception");
  }
}

template <class R>
abi::Answer give(Context& context, abi::Invocation& call, R&& result) {
  using Bare = Plain<R>;
  if constexpr (std::is_same_v<Bare, Multiple>) {
    for (const Value& value : result.values) {
      if (!abi::push_result(&call, Codec<Value>::push(context, value))) throw Error("too many results");
    }
    return abi::Answer::kPushed;
  } else if constexpr (is_tuple<Bare>) {
    std::apply([&](auto&&... items) {
      if (!(abi::push_result(&call, detail::push(context, std::forward<decltype(items)>(items))) && ...)) throw Error("too many results");
    }, std::forward<R>(result));
    return abi::Answer::kPushed;
  } else {
    call.result = detail::push(context, std::forward<R>(result));
    return abi::Answer::kResult;
  }
}

template <class T>
abi::Answer give(Context& context, abi::Invocation& call, Future<T> future) {
  park(future.shared(), context.state);
  if constexpr (std::is_void_v<T>) {
    future.take();
    return abi::Answer::kNothing;
  } else {
    return give(context, call, future.take());
  }
}

// ---- the binding ----

template <class Policy, class F, class R, class... A>
struct BoundFunction : abi::Binding {
  explicit BoundFunction(F callable) : Binding{run, remove}, function(std::move(callable)) {}

  static abi::Answer run(abi::Binding* self, abi::Invocation* call) noexcept {
    Context context{call->state};
    try {
      return static_cast<BoundFunction*>(self)->call_with(context, *call, std::index_sequence_for<A...>());
    } catch (...) {
      return answer_of_exception(context, *call);
    }
  }
  static void remove(abi::Binding* self) noexcept { delete static_cast<BoundFunction*>(self); }

  template <std::size_t... I>
  abi::Answer call_with(Context& context, abi::Invocation& call, std::index_sequence<I...>) {
    std::tuple<Argument<A>...> arguments;
    [[maybe_unused]] std::size_t next = 0;
    if (!(pull_argument<A>(context, call, next, std::get<I>(arguments)) && ...)) return abi::Answer::kBadArgument;
    if constexpr (std::is_void_v<R>) {
      invoke(context, std::get<I>(arguments)...);
      return abi::Answer::kNothing;
    } else {
      return give(context, call, invoke(context, std::get<I>(arguments)...));
    }
  }
  R invoke(Context& context, Argument<A>&... arguments) {
    if constexpr (std::is_same_v<Policy, ReleaseGil>) {
      const Unlock unlocked(context.state);
      return function(arguments.get()...);
    } else {
      return function(arguments.get()...);
    }
  }

  F function;
};

template <class Policy, class F>
abi::Binding* make_binding(F&& callable) {
  using Callable = std::decay_t<F>;
  if constexpr (std::is_member_function_pointer_v<Callable>) {
    return make_method_binding<Policy, typename SignatureOf<Callable>::Class>(callable);
  } else {
    using Bound = typename SignatureOf<Callable>::template Apply<BoundFunction, Policy, Callable>;
    return new Bound(std::forward<F>(callable));
  }
}

// A member function becomes a callable whose first parameter is the object.
template <class T, class Member>
struct MethodCaller {
  Member member;
  template <class Object, class... A>
  decltype(auto) operator()(Object& object, A&&... arguments) const {
    return (object.*member)(std::forward<A>(arguments)...);
  }
};
template <class Policy, class T, class Member>
struct BoundMethod {
  template <class R, class... A>
  using With = BoundFunction<Policy, MethodCaller<T, Member>, R, T&, A...>;
};
template <class Policy, class T, class Member>
abi::Binding* make_method_binding(Member member) {
  using Bound = typename SignatureOf<Member>::template Apply<BoundMethod<Policy, T, Member>::template With>;
  return new Bound(MethodCaller<T, Member>{member});
}

// A slot that holds a new function of the script.
inline abi::Slot new_function(Context& context, abi::Binding* binding) {
  abi::Slot slot;
  abi::Failure* failure = nullptr;
  check(abi::make_function(context.state, binding, &slot, &failure), failure);
  return slot;
}

template <class R, class... A>
abi::Slot Codec<std::function<R(A...)>>::push(Context& context, const std::function<R(A...)>& function) {
  if (!function) return {};
  return new_function(context, make_binding<KeepGil>(function));
}

// Lambdas and function pointers as values: t["f"] = [](int n) { return n + 1; };
template <class F>
concept Callable = std::is_class_v<F> && requires { &F::operator(); };

template <class F>
  requires(Callable<F> && !Handle<F> && !HasConvert<F>)
struct Codec<F> {
  static abi::Slot push(Context& context, F function) { return new_function(context, make_binding<KeepGil>(std::move(function))); }
};
template <class R, class... A>
struct Codec<R (*)(A...)> {
  static abi::Slot push(Context& context, R (*function)(A...)) { return new_function(context, make_binding<KeepGil>(function)); }
};
template <class R, class... A>
struct Codec<R(A...)> {
  static abi::Slot push(Context& context, R (*function)(A...)) { return new_function(context, make_binding<KeepGil>(function)); }
};

}  // namespace detail
}  // namespace v0
}  // namespace baton
