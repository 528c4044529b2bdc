// Reading by formats: file:read, io.read, and the iterators of lines.
//
// Invariant: what was read before a failure is dropped, as the manual says: results are all formats up to the first that fails.
// Owner: none. Threading: as all natives; gives the GIL up while the system is asked for bytes.
#pragma once

#include "io_file.h"

namespace baton::stdlib {

// Reads by the formats in the slots first..last of the window (none: one line) and pushes the results. Returns: how many were
// pushed: values, the last of them nil if a format failed; or nil, message, code. Raises: "invalid format".
int read_formats(NativeCall& call, IoFile& file, int first, int last);

}  // namespace baton::stdlib
