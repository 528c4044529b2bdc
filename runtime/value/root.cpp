#include "value/root.h"

#include "value/heap_internals.h"

namespace baton {

RootBase::RootBase(Heap& heap, const Value& value) noexcept : value_(value) {
  RootBase*& head = heap.internals().roots;
  next_ = head;
  previous_ = &head;
  if (next_ != nullptr) next_->previous_ = &next_;
  head = this;
}

RootBase::~RootBase() {
  *previous_ = next_;
  if (next_ != nullptr) next_->previous_ = previous_;
}

}  // namespace baton
