// What a host asks about finalizers before it lets them run.
//
// Owner: none. Threading: under the GIL.
#pragma once

#include "value/heap.h"

namespace baton::finalizers {

// Whether one that is registered or queued may run script code: anything but a native that is a finalizer by name, of an object
// that scripts cannot make. Raises: nothing.
bool may_run_scripts(Heap& heap) noexcept;

}  // namespace baton::finalizers
