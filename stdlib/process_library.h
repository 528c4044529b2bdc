// What the files of the module process share.
//
// Invariant: none. Owner: none. Threading: as all natives.
#pragma once

#include "vm/native.h"

namespace baton::stdlib {

// process.stdin(), stdout(), stderr(): the process's standard descriptors as Streams.
int process_stdin(NativeCall& call);
int process_stdout(NativeCall& call);
int process_stderr(NativeCall& call);
// process.on("SIGTERM", f).
int process_on(NativeCall& call);

}  // namespace baton::stdlib
