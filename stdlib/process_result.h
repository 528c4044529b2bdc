// How a finished command is reported to scripts: by os.execute and by closing a popen file.
//
// Invariant: three values: true or nil, "exit" or "signal", the number. Owner: none. Threading: as all natives.
#pragma once

#include "vm/native.h"

namespace baton::stdlib {

// Results for a wait status of `system` or `pclose`; -1: the failure that `error_number` names.
int process_result(NativeCall& call, int status, int error_number);

}  // namespace baton::stdlib
