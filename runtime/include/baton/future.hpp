// Futures: waiting across the border between host and scripts.
//
//   vm.bind("fetch", [&](std::string url) -> baton::Future<std::string> { return host.fetch(url); });
//       // the calling task parks until somebody, in any thread, calls resolve or reject; other tasks run meanwhile
//   baton::Future<double> t = vm.spawn<double>(f, 1);    // a task of the VM
//   t.get();                // waits; t.then(callback); co_await t
//
// A Future is a handle: copies mean the same result. Who produces it calls resolve or reject, once; later calls do nothing.
// Invariant: callbacks are called exactly once, by the thread that resolves (which may hold a VM's lock), or at once if the
// result is there. A Future that nobody keeps is no loss: what it stands for goes on.
// Owner: shared by its copies. Threading: everything from any thread, without the lock.
#pragma once

#include <chrono>
#include <condition_variable>
#include <coroutine>
#include <cstdio>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <variant>
#include <vector>

#include "baton/error.hpp"
#include "baton/lock.hpp"

namespace baton {
inline namespace v0 {

namespace detail {

struct Nothing {};
template <class T>
using Stored = std::conditional_t<std::is_void_v<T>, Nothing, T>;

// What the copies of a Future share.
template <class T>
struct FutureState {
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<Stored<T>> value;
  std::exception_ptr error;
  bool ready = false;
  bool looked_at = false;  // somebody took the result or asked for a callback
  std::vector<std::function<void()>> callbacks;
  abi::State* vm = nullptr;  // whose task resolves it; a reference

  // The error of a task that nobody asks about is told, as scripts do.
  ~FutureState() {
    if (vm == nullptr) return;
    if (error != nullptr && !looked_at) report(error);
    abi::release(vm);
  }
  FutureState() = default;
  FutureState(const FutureState&) = delete;
  FutureState& operator=(const FutureState&) = delete;

  template <class Store>
  bool finish(Store store) {
    std::vector<std::function<void()>> due;
    {
      const std::lock_guard guard(mutex);
      if (ready) return false;
      store();
      ready = true;
      due.swap(callbacks);
      changed.notify_all();
    }
    for (const std::function<void()>& callback : due) callback();
    return true;
  }
  bool is_ready() {
    const std::lock_guard guard(mutex);
    return ready;
  }
  static void report(const std::exception_ptr& error) noexcept {
    try {
      std::rethrow_exception(error);
    } catch (const Interrupted&) {
    } catch (const VMClosed&) {
    } catch (const Error& e) {
      const std::string& text = e.traceback().empty() ? e.message() : e.traceback();
      std::fprintf(stderr, "error in a task of the host, taken by nobody: %s\n", text.c_str());
    } catch (...) {
    }
  }
  // Calls `callback` when the result is there, perhaps now.
  void when_ready(std::function<void()> callback) {
    {
      const std::lock_guard guard(mutex);
      if (!ready) {
        callbacks.push_back(std::move(callback));
        return;
      }
    }
    callback();
  }
};

// Waits until `shared` is ready: inside a script's call by parking the task, on a VM's main thread by running its loop, else
// by blocking the thread without any lock. Returns: whether it is. Throws: Interrupted, Error (the task was cancelled).
template <class T>
bool wait_for(FutureState<T>& shared, abi::State* inside, std::chrono::steady_clock::time_point deadline);

// Parks the running task of `state` until the result is there.
template <class T>
void park(FutureState<T>& shared, abi::State* state) {
  if (shared.is_ready()) return;
  abi::Signal* signal = abi::make_signal(state);
  if (signal == nullptr) throw std::bad_alloc();
  shared.when_ready([signal] { abi::raise_signal(signal); });
  abi::Failure* failure = nullptr;
  check(abi::wait_signal(signal, &failure), failure);
}

}  // namespace detail

template <class T>
class Future {
 public:
  using Stored = detail::Stored<T>;

  // A pending one.
  Future() : shared_(std::make_shared<detail::FutureState<T>>()) {}
  // A resolved one.
  template <class U>
    requires(!std::is_void_v<T> && std::is_convertible_v<U, Stored> && !std::is_same_v<std::decay_t<U>, Future>)
  static Future ready_with(U&& value) {
    Future made;
    made.resolve(std::forward<U>(value));
    return made;
  }

  // Ends it. Returns: false if it had ended.
  template <class U = Stored>
    requires(!std::is_void_v<T>)
  bool resolve(U&& value) const {
    return shared_->finish([&] { shared_->value.emplace(std::forward<U>(value)); });
  }
  bool resolve() const
    requires(std::is_void_v<T>)
  {
    return shared_->finish([&] { shared_->value.emplace(); });
  }
  bool reject(std::exception_ptr error) const {
    return shared_->finish([&] { shared_->error = std::move(error); });
  }
  bool reject(const Error& error) const { return reject(std::make_exception_ptr(error)); }
  bool reject(const std::string& message) const { return reject(Error(message)); }

  bool ready() const { return shared_->is_ready(); }

  // Waits for the result and returns it, or throws the error. Inside a bound function the calling task parks; on the main
  // thread of the VM that resolves it, the VM's loop runs meanwhile; else the thread blocks, its locks given up.
  T get() const {
    (void)detail::wait_for(*shared_, nullptr, std::chrono::steady_clock::time_point::max());
    return take();
  }
  void wait() const { (void)detail::wait_for(*shared_, nullptr, std::chrono::steady_clock::time_point::max()); }
  // Returns: whether the result is there in time. Not inside bound functions.
  template <class Rep, class Period>
  bool wait_for(std::chrono::duration<Rep, Period> time) const {
    return detail::wait_for(*shared_, nullptr, std::chrono::steady_clock::now() +
                                                   std::chrono::duration_cast<std::chrono::steady_clock::duration>(time));
  }
  // The outcome without throwing an Error; waits as get.
  Result<T> result() const {
    return detail::attempt<T>([this]() -> T { return get(); });
  }

  // Calls `callback` when the result is there: with a Result<T>, or with the value (then not after an error), or with nothing.
  template <class Callback>
  void then(Callback callback) const {
    {
      const std::lock_guard guard(shared_->mutex);
      shared_->looked_at = true;
    }
    shared_->when_ready([shared = shared_, callback = std::move(callback)]() mutable {
      Future self(std::move(shared));
      if constexpr (std::is_invocable_v<Callback&, Result<T>>) {
        callback(detail::attempt<T>([&]() -> T { return self.take(); }));
      } else if constexpr (std::is_invocable_v<Callback&, Future>) {
        callback(self);
      } else if constexpr (std::is_void_v<T>) {
        if (self.shared_->error == nullptr) callback();
      } else if constexpr (std::is_invocable_v<Callback&, const Stored&>) {
        if (self.shared_->error == nullptr) callback(*self.shared_->value);
      } else {
        callback();
      }
    });
  }

  // co_await: resumes where the result is resolved.
  auto operator co_await() const {
    struct Awaiter {
      Future future;
      bool await_ready() const { return future.ready(); }
      void await_suspend(std::coroutine_handle<> handle) const {
        future.shared_->when_ready([handle] { handle.resume(); });
      }
      T await_resume() const { return future.take(); }
    };
    return Awaiter{*this};
  }

  // For this library.
  explicit Future(std::shared_ptr<detail::FutureState<T>> shared) : shared_(std::move(shared)) {}
  detail::FutureState<T>& shared() const noexcept { return *shared_; }
  T take() const {
    const std::lock_guard guard(shared_->mutex);
    shared_->looked_at = true;
    if (shared_->error != nullptr) std::rethrow_exception(shared_->error);
    if constexpr (!std::is_void_v<T>) return *shared_->value;
  }

 private:
  std::shared_ptr<detail::FutureState<T>> shared_;
};

namespace detail {

// Runs the loop of `vm` on its main thread until the result is there. Returns: whether it is.
template <class T>
bool drive(FutureState<T>& shared, abi::State* vm, std::chrono::steady_clock::time_point deadline) {
  shared.when_ready([vm] { (void)abi::post(vm, [](void*) {}, [](void*) noexcept {}, nullptr); });  // ends the last sleep
  while (!shared.is_ready()) {
    const auto left = deadline - std::chrono::steady_clock::now();
    if (deadline != std::chrono::steady_clock::time_point::max() && left.count() <= 0) return false;
    const std::int64_t timeout_ns =
        deadline == std::chrono::steady_clock::time_point::max() ? -1 : std::chrono::duration_cast<std::chrono::nanoseconds>(left).count();
    const Lock lock(vm);
    abi::Failure* failure = nullptr;
    check(abi::run(vm, abi::RunMode::kOnce, timeout_ns, &failure), failure);
  }
  return true;
}

template <class T>
bool wait_for(FutureState<T>& shared, abi::State* inside, std::chrono::steady_clock::time_point deadline) {
  if (shared.is_ready()) return true;
  abi::State* vm = inside != nullptr ? inside : abi::current_state();
  if (vm != nullptr) {
    park(shared, vm);
    return true;
  }
  if (shared.vm != nullptr && abi::is_main_thread(shared.vm)) return drive(shared, shared.vm, deadline);
  void* locks = abi::block();
  bool ready;
  {
    std::unique_lock guard(shared.mutex);
    if (deadline == std::chrono::steady_clock::time_point::max()) shared.changed.wait(guard, [&] { return shared.ready; });
    else shared.changed.wait_until(guard, deadline, [&] { return shared.ready; });
    ready = shared.ready;
  }
  abi::unblock(locks);
  return ready;
}

}  // namespace detail
}  // namespace v0
}  // namespace baton
