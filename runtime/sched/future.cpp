#include "sched/future.h"

#include <new>

#include "value/heap.h"

namespace baton::sched {

Userdata* Future::make(Heap& heap) {
  Userdata* handle = userdata::make(heap, sizeof(Future), 2);
  new (handle->block()) Future(handle);
  handle->release = [](void* block) noexcept { static_cast<Future*>(block)->~Future(); };
  return handle;
}

bool Future::settle(Heap& heap, ThreadStatus status, const Value& outcome) noexcept {
  if (has_ended()) return false;
  handle_->user_values()[0] = outcome;
  heap.barrier(handle_, outcome);
  end(status);
  return true;
}

}  // namespace baton::sched
