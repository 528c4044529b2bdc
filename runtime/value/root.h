// Roots held by C++ code across safepoints.
//
// Root<T> keeps one object (or Value) alive and follows scope: roots of one heap form a doubly
// linked list, so they may be destroyed in any order. Cost: two stores at each end. Natives rarely
// need them: values on the native's stack window are rooted by it.
// Owner: the C++ scope. Threading: created, read and destroyed under the GIL.
#pragma once

#include "value/heap.h"

namespace baton {

class RootBase {
 public:
  RootBase(Heap& heap, const Value& value) noexcept;
  ~RootBase();
  RootBase(const RootBase&) = delete;
  RootBase& operator=(const RootBase&) = delete;

  const Value& value() const noexcept { return value_; }
  void set(const Value& value) noexcept { value_ = value; }

 private:
  friend struct HeapRoots;
  Value value_;
  RootBase* next_;
  RootBase** previous_;
};

// For the heap: walks the list of roots.
struct HeapRoots {
  static const RootBase* next(const RootBase* root) noexcept { return root->next_; }
};

template <class T>
class Root : public RootBase {
 public:
  Root(Heap& heap, T* object) noexcept : RootBase(heap, Value::of(object)) {}
  T* get() const noexcept { return reinterpret_cast<T*>(value().object); }
  T* operator->() const noexcept { return get(); }
  void set(T* object) noexcept { RootBase::set(Value::of(object)); }
};

template <>
class Root<Value> : public RootBase {
 public:
  using RootBase::RootBase;
};

}  // namespace baton
