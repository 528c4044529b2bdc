// The embedding API of Baton, whole. Link with pkg-config's `baton` or CMake's `Baton::baton`; C++20, nothing but the standard
// library is included.
//
//   vm.hpp       VM: scripts, globals, functions and classes of the host, tasks, the loop
//   value.hpp    handles: Value, Table, Function, String
//   convert.hpp  which types of C++ a value converts to; baton::convert<T> for others
//   bind.hpp     functions of the host
//   class.hpp    objects of the host
//   future.hpp   waiting across the border
//   lock.hpp     the lock: Lock, Unlock
//   limits.hpp   Budget: instructions, time, memory
//   error.hpp    Error, SyntaxError, Interrupted, VMClosed, TypeError, Result
//   config.hpp   Config, libs
//
// Invariant: exceptions of this library are thrown by inline code of these headers, so programs may be built with other
// compilers and options than the library. Owner, threading: as each class says.
#pragma once

#include "baton/bind.hpp"
#include "baton/class.hpp"
#include "baton/config.hpp"
#include "baton/convert.hpp"
#include "baton/error.hpp"
#include "baton/future.hpp"
#include "baton/limits.hpp"
#include "baton/lock.hpp"
#include "baton/value.hpp"
#include "baton/vm.hpp"
