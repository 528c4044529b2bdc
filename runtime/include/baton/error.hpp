// What goes wrong: exceptions, and Result, which carries the same without throwing.
//
//   try { f.call<int>(1); } catch (const baton::Error& e) { e.what(); e.value(); e.traceback(); }
//   if (auto r = f.try_call<int>(1)) use(*r); else log(r.error().what());
//
// Invariant: an Error holds the error value as a handle, a root; it may be copied and thrown across threads.
// Owner: the program. Threading: reading is free; the value's content needs the lock, as any handle's.
#pragma once

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "baton/abi.hpp"

namespace baton {
inline namespace v0 {

class Value;

// Why a call was stopped.
enum class StopReason { none, interrupt, instructions, wall_time, cpu_time };

// A script raised an error, or an operation of this library failed. what() is the message, without the traceback.
class Error : public std::runtime_error {
 public:
  // An error of the host's own: what() and, as a script sees it, a string.
  explicit Error(const std::string& message) : std::runtime_error(message), details_(std::make_shared<Details>()) {}
  // An error of the host's own with any value, which is what a script catches. Defined in value.hpp.
  explicit Error(const Value& value);
  // Takes over `failure`. For this library.
  explicit Error(abi::Failure* failure)
      : std::runtime_error(failure != nullptr ? failure->message : "not enough memory"), details_(std::make_shared<Details>(failure)) {}

  // The message: the error value if it is a text, else its tostring or its type.
  std::string message() const { return what(); }
  // The error value itself; nil if there is none. Defined in value.hpp.
  Value value() const;
  // The message and where it happened: the calls of script and host that were under way. Empty if unknown.
  const std::string& traceback() const noexcept { return details_->get().traceback; }
  // Which task it happened in: "main", "task 7 'name' of main", "native thread 'io'".
  const std::string& task_path() const noexcept { return details_->get().task_path; }

 protected:
  struct Details {
    explicit Details(abi::Failure* taken = nullptr) noexcept : failure(taken) {}
    ~Details() { abi::free_failure(failure); }
    Details(const Details&) = delete;
    Details& operator=(const Details&) = delete;
    const abi::Failure& get() const noexcept { return failure != nullptr ? *failure : own; }
    abi::Failure* failure;
    abi::Failure own;
  };
  const abi::Failure& failure() const noexcept { return details_->get(); }

 private:
  std::shared_ptr<Details> details_;
};

// A chunk did not compile.
class SyntaxError : public Error {
 public:
  using Error::Error;
  int line() const noexcept { return failure().line; }        // from 1; 0: unknown
  int column() const noexcept { return failure().column; }    // of the offending token, from 1; 0: unknown
  const std::string& excerpt() const noexcept { return failure().excerpt; }  // the source line
};

// A call was stopped: by VM::interrupt, by a limit, or because its VM is being closed. Scripts cannot catch it.
// traceback() says where the script was.
class Interrupted : public Error {
 public:
  using Error::Error;
  StopReason reason() const noexcept { return static_cast<StopReason>(failure().reason); }
};

// The VM has been closed.
class VMClosed : public Error {
 public:
  VMClosed() : Error("the VM is closed") {}
  using Error::Error;
};

// A value has not the type that was asked for.
class TypeError : public Error {
 public:
  using Error::Error;
};

namespace detail {

// Throws what `failure` tells of; takes it over.
[[noreturn]] inline void throw_failure(abi::Outcome outcome, abi::Failure* failure) {
  switch (outcome) {
    case abi::Outcome::kSyntax: throw SyntaxError(failure);
    case abi::Outcome::kStopped: throw Interrupted(failure);
    case abi::Outcome::kClosed:
      abi::free_failure(failure);
      throw VMClosed();
    default: throw Error(failure);
  }
}

// By reference: `check(f(&failure), failure)` may evaluate its arguments from the right.
inline void check(abi::Outcome outcome, abi::Failure* const& failure) {
  if (__builtin_expect(outcome != abi::Outcome::kOk, 0)) throw_failure(outcome, failure);
}

}  // namespace detail

// The outcome of an operation: a T, or an Error that was not thrown.
template <class T>
class Result {
 public:
  Result(T value) : value_(std::move(value)) {}  // NOLINT: as std::expected
  Result(std::shared_ptr<const Error> error) : error_(std::move(error)) {}

  bool ok() const noexcept { return value_.has_value(); }
  bool has_value() const noexcept { return ok(); }
  explicit operator bool() const noexcept { return ok(); }
  // The value. Throws the error if there is none.
  T& value() & { return rethrow(), *value_; }
  const T& value() const& { return rethrow(), *value_; }
  T&& value() && { return rethrow(), std::move(*value_); }
  T value_or(T otherwise) const& { return ok() ? *value_ : std::move(otherwise); }
  T& operator*() & noexcept { return *value_; }
  const T& operator*() const& noexcept { return *value_; }
  T* operator->() noexcept { return &*value_; }
  const T* operator->() const noexcept { return &*value_; }
  // The error. Takes: a result without value.
  const Error& error() const noexcept { return *error_; }

 private:
  void rethrow() const {
    if (!ok()) throw Error(*error_);
  }
  std::optional<T> value_;
  std::shared_ptr<const Error> error_;
};

template <>
class Result<void> {
 public:
  Result() = default;
  Result(std::shared_ptr<const Error> error) : error_(std::move(error)) {}
  bool ok() const noexcept { return error_ == nullptr; }
  bool has_value() const noexcept { return ok(); }
  explicit operator bool() const noexcept { return ok(); }
  void value() const {
    if (!ok()) throw Error(*error_);
  }
  const Error& error() const noexcept { return *error_; }

 private:
  std::shared_ptr<const Error> error_;
};

namespace detail {

// Runs `body` and keeps an Error that it throws.
template <class T, class Body>
Result<T> attempt(Body&& body) {
  try {
    if constexpr (std::is_void_v<T>) {
      body();
      return Result<void>();
    } else {
      return Result<T>(body());
    }
  } catch (const SyntaxError& error) {
    return Result<T>(std::make_shared<const SyntaxError>(error));
  } catch (const Interrupted& error) {
    return Result<T>(std::make_shared<const Interrupted>(error));
  } catch (const VMClosed& error) {
    return Result<T>(std::make_shared<const VMClosed>(error));
  } catch (const TypeError& error) {
    return Result<T>(std::make_shared<const TypeError>(error));
  } catch (const Error& error) {
    return Result<T>(std::make_shared<const Error>(error));
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace baton
