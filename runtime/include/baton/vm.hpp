// A VM: a whole runtime in a program of the host.
//
//   #include <baton/baton.hpp>
//   int main() {
//     baton::VM vm;
//     vm.bind("add", [](double a, double b) { return a + b; });
//     vm.run("function twice(x) return add(x, x) end");
//     double four = vm.call<double>("twice", 2);
//   }
//
// Invariants
//  - The thread that makes a VM is its main thread: it runs the loop. Any thread may call scripts; each becomes a native
//    thread of the VM when it first does, and they take turns under the VM's lock.
//  - Several VMs share nothing and run in parallel.
//  - Destroying a VM stops everything in it and frees it; handles that outlive it are harmless.
// Owner: the program. Threading: every member from any thread, unless it says otherwise; destroy it when no other thread
// uses it any more.
#pragma once

#include "baton/bind.hpp"
#include "baton/config.hpp"

namespace baton {
inline namespace v0 {

// Metamethods of classes.
enum class op {
  add, sub, mul, div, mod, pow, unm, idiv, band, bor, bxor, shl, shr, bnot, concat, len, eq, lt, le, index, newindex, call,
  tostring, close, pairs, name, gc, metatable,
};

namespace detail {
inline const char* metamethod_name(op which) noexcept {
  static constexpr const char* kNames[] = {
      "__add", "__sub", "__mul", "__div", "__mod", "__pow", "__unm", "__idiv", "__band", "__bor", "__bxor", "__shl", "__shr",
      "__bnot", "__concat", "__len", "__eq", "__lt", "__le", "__index", "__newindex", "__call", "__tostring", "__close",
      "__pairs", "__name", "__gc", "__metatable"};
  return kNames[static_cast<int>(which)];
}
}  // namespace detail

// Figures of the lock. Times in nanoseconds.
struct GilStats {
  struct Thread {
    std::uint64_t id = 0;
    std::string name;
    std::uint64_t switches = 0;   // times it got the lock from another thread
    std::uint64_t forced = 0;     // times it gave it up because it was asked
    std::uint64_t voluntary = 0;  // times it gave it up to a waiter by itself
    std::chrono::nanoseconds held{0}, waited{0}, released{0}, longest{0};
  };
  std::uint64_t switches = 0, forced = 0, voluntary = 0;
  std::chrono::nanoseconds held{0}, waited{0}, released{0}, longest{0};
  std::vector<Thread> threads;
};

template <class T>
class Class;

// A recording of the lock's timeline; its end hands it over.
class [[nodiscard]] Trace {
 public:
  using Sink = std::function<void(std::string_view json)>;
  Trace(abi::State* state, Sink sink) : state_(state), sink_(std::move(sink)) { abi::retain(state_); }
  ~Trace() {
    try {
      close();
    } catch (...) {  // the sink's own
    }
    abi::release(state_);
  }
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;
  // Ends it and calls the sink with a text in the format of Chrome's trace viewer. Idempotent. Throws: what the sink throws.
  void close() {
    if (closed_ || abi::is_closed(state_)) return;
    closed_ = true;
    std::string json;
    {
      const Lock lock(state_);
      json = abi::end_trace(state_);
    }
    sink_(json);
  }

 private:
  abi::State* state_;
  Sink sink_;
  bool closed_ = false;
};

class VM {
 public:
  // Throws: Error if there is not enough memory.
  explicit VM(const Config& config = {}) {
    abi::Options options;
    options.name = config.name.c_str();
    options.libraries = static_cast<std::uint64_t>(config.libs);
    options.seed = config.seed;
    options.switch_interval_ns = config.switch_interval.count();
    options.memory_limit = config.memory_limit;
    options.stack_limit = config.stack_limit;
    options.close_timeout_ns = config.close_timeout.count();
    options.finalizer_limit_ns = config.finalizer_limit.count();
    options.host_loop = config.loop;
    options.use_environment = config.use_environment;
    options.worker_program = config.worker_program.c_str();
    abi::Failure* failure = nullptr;
    state_ = abi::open(options, &failure);
    if (state_ == nullptr) throw Error(failure);
  }
  // Closes it. What is stuck is not freed and not reported: call `close` to hear of it.
  ~VM() {
    if (state_ == nullptr) return;
    if (owns_) (void)abi::close(state_, nullptr);
    abi::release(state_);
  }
  VM(VM&& other) noexcept : state_(std::exchange(other.state_, nullptr)), owns_(other.owns_) {}
  VM& operator=(VM&& other) noexcept {
    std::swap(state_, other.state_);
    std::swap(owns_, other.owns_);
    return *this;
  }
  VM(const VM&) = delete;
  VM& operator=(const VM&) = delete;

  // Stops everything: tasks and calls are unwound, native threads are waited for (Config::close_timeout), finalizers run,
  // all is freed. Returns: the names of native threads that did not end; then memory stays behind, and nothing else happens.
  std::vector<std::string> close() {
    abi::CloseReport report;
    (void)abi::close(state_, &report);
    return report.stuck;
  }
  bool is_closed() const noexcept { return abi::is_closed(state_); }

  // ---- values ----

  Table globals() { return with<Table>([&] { return Table(Value(state_, abi::globals(state_))); }); }
  template <class K>
  Field operator[](K&& key) {
    return globals()[std::forward<K>(key)];
  }
  // The global variable `name` as a T. Throws: TypeError.
  template <class T = Value>
  T get(std::string_view name) {
    return globals().get<T>(name);
  }
  template <class T>
  void set(std::string_view name, T&& value) {
    globals().set(name, std::forward<T>(value));
  }
  Table table(std::size_t list_slots = 0, std::size_t fields = 0) {
    return with<Table>([&] {
      detail::Context context{state_};
      return Table(Value(state_, detail::new_table(context, list_slots, fields)));
    });
  }
  // Any convertible value as a handle.
  template <class T>
  Value value(T&& from) {
    return with<Value>([&] {
      detail::Context context{state_};
      return Value(state_, detail::push(context, std::forward<T>(from)));
    });
  }
  String string(std::string_view text) { return String(value(text)); }

  // ---- scripts ----

  // Compiles `source`; nothing runs yet. `name` as for Lua's load: "=job" is shown as job, "@x.script" as a file.
  // Throws: SyntaxError. `mode`: "t" texts, "b" binary chunks, "bt" both.
  Function load(std::string_view source, const std::string& name = "=script", const char* mode = "t") {
    return with<Function>([&] {
      abi::Slot function;
      abi::Failure* failure = nullptr;
      detail::check(abi::load(state_, source.data(), source.size(), name.c_str(), mode, &function, &failure), failure);
      return Function(Value(state_, function));
    });
  }
  Result<Function> try_load(std::string_view source, const std::string& name = "=script") {
    return detail::attempt<Function>([&] { return load(source, name); });
  }
  Function load_file(const std::string& path) {
    return with<Function>([&] {
      abi::Slot function;
      abi::Failure* failure = nullptr;
      detail::check(abi::load_file(state_, path.c_str(), &function, &failure), failure);
      return Function(Value(state_, function));
    });
  }
  // Compiles and runs `source`, converts its results as Function::call. Throws: SyntaxError, Error.
  template <class R = Value>
  R run(std::string_view source, const std::string& name = "=script") {
    const Lock lock(state_);
    return load(source, name).call<R>();
  }
  template <class R = Value>
  Result<R> try_run(std::string_view source, const std::string& name = "=script") {
    return detail::attempt<R>([&]() -> R { return run<R>(source, name); });
  }
  template <class R = Value>
  R run_file(const std::string& path) {
    const Lock lock(state_);
    return load_file(path).call<R>();
  }
  // The value of an expression.
  template <class R = Value>
  R eval(std::string_view expression) {
    return run<R>("return " + std::string(expression), "=expression");
  }
  // Calls the global function `name`.
  template <class R = Value, class... Arguments>
  R call(std::string_view name, Arguments&&... arguments) {
    const auto cross = [this, name](abi::Call& call, bool* taken) {
      const abi::Outcome outcome = abi::call_global(call, name.data(), name.size(), taken);
      if (__builtin_expect(outcome == abi::Outcome::kMisuse, 0)) detail::refuse_global(state_, name);
      return outcome;
    };
    return detail::call_with<R>(state_, nullptr, cross, std::forward<Arguments>(arguments)...);
  }
  template <class R = Value, class... Arguments>
  Result<R> try_call(std::string_view name, Arguments&&... arguments) {
    return detail::attempt<R>([&]() -> R { return call<R>(name, std::forward<Arguments>(arguments)...); });
  }

  // ---- functions and classes of the host ----

  // Sets the global `name` (or, "a.b", a field of the global table a) to a function that calls `callable` (bind.hpp).
  template <class F>
  void bind(std::string_view name, F&& callable) {
    bind(name, std::forward<F>(callable), keep_gil);
  }
  template <class F, class Policy>
    requires(std::is_same_v<Policy, ReleaseGil> || std::is_same_v<Policy, KeepGil>)
  void bind(std::string_view name, F&& callable, Policy) {
    const Lock lock(state_);
    place(name, function<Policy>(std::forward<F>(callable)));
  }
  // A function value without a name.
  template <class Policy = KeepGil, class F>
  Function function(F&& callable, Policy = {}) {
    return with<Function>([&] {
      detail::Context context{state_};
      return Function(Value(state_, detail::new_function(context, detail::make_binding<Policy>(std::forward<F>(callable)))));
    });
  }
  // Describes the class T, under the global `name`: see Class. Throws: Error.
  template <class T>
  Class<T> class_(const std::string& name);

  // ---- tasks and the loop ----

  // Calls `f` in a new task of the main thread's loop. The future is resolved when it returns.
  template <class R = Value, class... Arguments>
  Future<R> spawn(const Function& f, Arguments&&... arguments);
  // Calls function(lock) on the main thread's loop, as a task. Any thread, without the lock. Throws: VMClosed.
  template <class F>
  void post(F function);
  // Runs the loop until no task and no native thread is left. The next three: by the main thread, outside calls.
  // Throws: Interrupted, Error.
  void run() { turn(abi::RunMode::kUntilDone, -1); }
  // Runs what can run without waiting.
  void run_until_idle() { turn(abi::RunMode::kUntilIdle, 0); }
  // One turn of the loop, waiting at most `timeout` for something to do.
  void poll(std::chrono::nanoseconds timeout = std::chrono::nanoseconds(0)) { turn(abi::RunMode::kOnce, timeout.count()); }
  // For loops of others (epoll, Qt, GLib, Asio): when the descriptor is readable or the time has come, call poll(0ms).
  int backend_fd() {
    return with<int>([&] { return abi::backend_fd(state_); });
  }
  // nullopt: no timer. 0: there is something to do now.
  std::optional<std::chrono::nanoseconds> next_timeout() {
    return with<std::optional<std::chrono::nanoseconds>>([&]() -> std::optional<std::chrono::nanoseconds> {
      const std::int64_t timeout_ns = abi::next_timeout(state_);
      if (timeout_ns < 0) return std::nullopt;
      return std::chrono::nanoseconds(timeout_ns);
    });
  }

  // ---- limits and figures ----

  // Stops the calls that are under way, with everything they have started; they throw Interrupted. Scripts can neither catch
  // nor delay it. What does not run now is not concerned. Any thread, without the lock.
  void interrupt(std::string_view message = "interrupted") noexcept { abi::interrupt(state_, message.data(), message.size()); }
  GilStats gil_stats();
  // Records who holds and who waits for the lock; the sink gets it when the Trace ends. Throws: Error if one runs already.
  Trace trace_to(Trace::Sink sink) {
    const Lock lock(state_);
    if (!abi::begin_trace(state_)) throw Error("the lock is being traced already");
    return Trace(state_, std::move(sink));
  }
  std::size_t memory_used() {
    return with<std::size_t>([&] { return static_cast<std::size_t>(abi::memory_used(state_)); });
  }
  // A full collection; finalizers run.
  void collect() {
    const Lock lock(state_);
    abi::Failure* failure = nullptr;
    detail::check(abi::collect(state_, &failure), failure);
  }

  // For this library: the record behind it, and a VM that does not own it.
  abi::State* state() const noexcept { return state_; }
  struct View {};
  VM(View, abi::State* state) noexcept : state_(state), owns_(false) { abi::retain(state); }

 private:
  template <class R, class Body>
  R with(Body body) {
    const Lock lock(state_);
    return body();
  }
  void turn(abi::RunMode mode, std::int64_t timeout_ns) {
    const Lock lock(state_);
    abi::Failure* failure = nullptr;
    const abi::Outcome outcome = abi::run(state_, mode, timeout_ns, &failure);
    detail::check(outcome, failure);
  }
  void place(std::string_view name, const Value& value) {
    Table target = globals();
    for (std::size_t dot = name.find('.'); dot != std::string_view::npos; dot = name.find('.')) {
      Value inner = target.get<Value>(name.substr(0, dot));
      if (!inner.is_table()) {
        inner = table();
        target.set(name.substr(0, dot), inner);
      }
      target = Table(inner);
      name.remove_prefix(dot + 1);
    }
    target.set(name, value);
  }

  abi::State* state_ = nullptr;
  bool owns_ = true;
};

inline Lock::Lock(VM& vm) : Lock(vm.state()) {}
inline Unlock::Unlock(VM& vm) : Unlock(vm.state()) {}

// The description of a class. Members return *this:
//
//   vm.class_<Vec>("Vec").ctor<double, double>().method("len", &Vec::len).property("x", &Vec::x).meta(baton::op::add, add);
//   -- in a script: local v = Vec(3, 4)   print(v:len(), v.x)   v.x = 1   v = v + v
//
// The global `name` is a table with the class's functions: calling it, or its field `new`, constructs.
template <class T>
class Class {
 public:
  Class(abi::State* state, const std::string& name);

  // The constructor; several with different numbers of arguments may be given.
  template <class... A>
  Class& ctor() {
    return constructor(sizeof...(A), +[](A... arguments) { return T(std::forward<A>(arguments)...); });
  }
  // A constructor of the host's making: returns T or a pointer to one.
  template <class F>
  Class& factory(F&& make) {
    return constructor(detail::SignatureOf<std::decay_t<F>>::kCount, std::forward<F>(make));
  }
  // object:name(...). A member function, or a callable whose first parameter is the object.
  template <class F>
  Class& method(std::string_view name, F&& function) {
    return method(name, std::forward<F>(function), keep_gil);
  }
  template <class F, class Policy>
  Class& method(std::string_view name, F&& function, Policy) {
    methods_.raw_set(name, bound<Policy>(std::forward<F>(function)));
    return *this;
  }
  // object.name. A data member, or a getter and perhaps a setter. Reading a member that is an object gives a copy of it, so
  // `o.position.x = 1` changes nothing in o; a getter may return a pointer into the object instead, which must live on.
  template <class Member>
  Class& property(std::string_view name, Member member);
  template <class Getter, class Setter>
  Class& property(std::string_view name, Getter&& getter, Setter&& setter) {
    getters_.raw_set(name, bound<KeepGil>(std::forward<Getter>(getter)));
    setters_.raw_set(name, bound<KeepGil>(std::forward<Setter>(setter)));
    return *this;
  }
  // A property that cannot be assigned to.
  template <class Member>
  Class& readonly(std::string_view name, Member member);
  // A metamethod.
  template <class F>
  Class& meta(op which, F&& function) {
    const char* name = detail::metamethod_name(which);
    if (which == op::index) fallback_get_ = bound<KeepGil>(std::forward<F>(function));
    else if (which == op::newindex) fallback_set_ = bound<KeepGil>(std::forward<F>(function));
    else metatable_.raw_set(name, bound<KeepGil>(std::forward<F>(function)));
    if (which == op::index || which == op::newindex) install_access();
    return *this;
  }
  // Class.name(...): a function without an object. A value.
  template <class F>
  Class& static_function(std::string_view name, F&& function) {
    statics_.raw_set(name, bound<KeepGil>(std::forward<F>(function)));
    return *this;
  }
  template <class V>
  Class& constant(std::string_view name, V&& value) {
    statics_.raw_set(name, std::forward<V>(value));
    return *this;
  }
  // Objects of T are also objects of B, which has been described before: its methods and properties are inherited.
  template <class B>
  Class& base();

 private:
  template <class Policy, class F>
  Value bound(F&& function) {
    const Lock lock(state_);
    detail::Context context{state_};
    abi::Binding* binding;
    if constexpr (std::is_member_function_pointer_v<std::decay_t<F>>) binding = detail::make_method_binding<Policy, T>(function);
    else binding = detail::make_binding<Policy>(std::forward<F>(function));
    return Value(state_, detail::new_function(context, binding));
  }
  template <class F>
  Class& constructor(std::size_t count, F&& make);
  void install_access();

  abi::State* state_;
  Table metatable_, methods_, getters_, setters_, statics_, constructors_;
  Value fallback_get_, fallback_set_;
  Value same_object_;  // what == does unless op::eq says otherwise
};

}  // namespace v0
}  // namespace baton

#include "baton/vm_members.hpp"
