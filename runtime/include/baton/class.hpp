// Objects of the host's classes in scripts. vm.class_<T>(name) (vm.hpp) describes a class; this is how objects travel.
//
//   passed as            a script gets
//   T by value           an object with a copy (moved) of its own
//   std::shared_ptr<T>   an object that shares ownership
//   std::unique_ptr<T>   an object that owns it
//   T*, reference_wrapper<T>   an object that refers to it: the host keeps it alive
//
// An argument T&, const T& or T* of a bound function refers to the object inside; its type is checked against the class and
// its bases. Objects that refer to the same T are equal (==) unless the class has its own op::eq; as keys of tables they are
// different ones. const is not kept: what is pushed as const T* or from a const T can be changed by scripts. Invariant: an object is destroyed by the collector, at any time and in any thread that holds the lock, so a
// destructor must not call scripts. Owner: the script's object. Threading: with the lock.
#pragma once

#include <memory>
#include <new>

#include "baton/convert.hpp"

namespace baton {
inline namespace v0 {
namespace detail {

// Stands for the type T; only its address counts.
template <class T>
inline char type_key = 0;

template <class T>
const void* key_of() noexcept {
  return &type_key<std::remove_cv_t<T>>;
}

// A block whose header is followed by a Holder, which destroys itself.
template <class Holder>
struct ObjectBlock : abi::ObjectHeader {
  alignas(Holder) unsigned char holder[sizeof(Holder)];
  static void destroy_holder(abi::ObjectHeader* header) noexcept {
    reinterpret_cast<Holder*>(static_cast<ObjectBlock*>(header)->holder)->~Holder();
  }
};

template <class T, class Holder>
abi::Slot push_object(Context& context, Holder&& from, T* (*object_in)(std::decay_t<Holder>&)) {
  using Kept = std::decay_t<Holder>;
  static_assert(alignof(Kept) <= 16, "objects are aligned to 16 bytes");
  abi::Slot slot;
  abi::ObjectHeader* header = nullptr;
  abi::Failure* failure = nullptr;
  check(abi::make_object(context.state, key_of<T>(), sizeof(ObjectBlock<Kept>), &slot, &header, &failure), failure);
  auto* block = static_cast<ObjectBlock<Kept>*>(header);
  auto* kept = new (block->holder) Kept(std::forward<Holder>(from));
  header->object = const_cast<std::remove_cv_t<T>*>(object_in(*kept));
  header->destroy = ObjectBlock<Kept>::destroy_holder;
  return slot;
}

// The object of type T in `slot`, or null.
template <class T>
T* object_in(Context& context, const abi::Slot& slot) noexcept {
  return static_cast<T*>(abi::object_as(context.state, slot, key_of<T>(), nullptr));
}

template <class T>
const char* class_name(Context& context) noexcept {
  const char* name = context.state != nullptr ? abi::class_name(context.state, key_of<T>()) : nullptr;
  return name != nullptr ? name : "object of the host";
}

// Classes of the host: everything that no other codec takes.
template <class T, class>
struct Codec {
  static_assert(std::is_class_v<T> || std::is_union_v<T>, "no conversion for this type: specialise baton::convert");
  template <class U>
  static abi::Slot push(Context& context, U&& value) {
    return push_object<T>(context, T(std::forward<U>(value)), +[](T& kept) { return &kept; });
  }
  static std::optional<T> pull(Context& context, const abi::Slot& slot) {
    static_assert(std::is_copy_constructible_v<T>, "objects of this class cannot be copied: ask for a reference or pointer");
    const T* object = object_in<T>(context, slot);
    if (object == nullptr) return std::nullopt;
    return *object;
  }
  static const char* expected(Context& context) noexcept { return class_name<T>(context); }
};

template <class T>
  requires std::is_class_v<T>
struct Codec<T*> {
  static abi::Slot push(Context& context, T* object) {
    if (object == nullptr) return {};
    return push_object<T>(context, object, +[](T*& kept) { return kept; });
  }
  static std::optional<T*> pull(Context& context, const abi::Slot& slot) noexcept {
    if (slot.is_nil()) return static_cast<T*>(nullptr);
    T* object = object_in<std::remove_const_t<T>>(context, slot);
    if (object == nullptr) return std::nullopt;
    return object;
  }
  static const char* expected(Context& context) noexcept { return class_name<T>(context); }
};

template <class T>
struct Codec<std::reference_wrapper<T>> {
  static abi::Slot push(Context& context, std::reference_wrapper<T> object) { return Codec<T*>::push(context, &object.get()); }
  static std::optional<std::reference_wrapper<T>> pull(Context& context, const abi::Slot& slot) noexcept {
    T* object = object_in<std::remove_const_t<T>>(context, slot);
    if (object == nullptr) return std::nullopt;
    return std::ref(*object);
  }
  static const char* expected(Context& context) noexcept { return class_name<T>(context); }
};

template <class T>
struct Codec<std::shared_ptr<T>> {
  using Pointer = std::shared_ptr<T>;
  static abi::Slot push(Context& context, Pointer object) {
    if (object == nullptr) return {};
    return push_object<T>(context, std::move(object), +[](Pointer& kept) { return kept.get(); });
  }
  // Only objects that were passed as shared pointers of this very type have one.
  static std::optional<Pointer> pull(Context& context, const abi::Slot& slot) {
    if (slot.is_nil()) return Pointer();
    abi::ObjectHeader* header = nullptr;
    if (abi::object_as(context.state, slot, key_of<T>(), &header) == nullptr) return std::nullopt;
    if (header->destroy != ObjectBlock<Pointer>::destroy_holder) {
      context.problem = "object is not shared";
      return std::nullopt;
    }
    return *reinterpret_cast<Pointer*>(static_cast<ObjectBlock<Pointer>*>(header)->holder);
  }
  static const char* expected(Context& context) noexcept { return class_name<T>(context); }
};

template <class T>
struct Codec<std::unique_ptr<T>> {
  using Pointer = std::unique_ptr<T>;
  static abi::Slot push(Context& context, Pointer&& object) {
    if (object == nullptr) return {};
    return push_object<T>(context, std::move(object), +[](Pointer& kept) { return kept.get(); });
  }
};

}  // namespace detail
}  // namespace v0
}  // namespace baton
