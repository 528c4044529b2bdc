// Dates and times of the operating system library: the natives os.cpp registers.
//
// Invariant: times are integers, seconds of the C library's time_t. Owner: none. Threading: as all natives.
#pragma once

#include "vm/native.h"

namespace baton::stdlib {

// os.date([format [, time]]). Raises: an unknown conversion, a time beyond the calendar.
int os_date(NativeCall& call);
// os.difftime(t2, t1). Raises: bad arguments.
int os_difftime(NativeCall& call);
// os.time([table]). Raises: missing, fractional or too large fields.
int os_time(NativeCall& call);

}  // namespace baton::stdlib
