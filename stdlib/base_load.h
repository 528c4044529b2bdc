// The basic functions that turn text into functions: load, loadfile, dofile. Part of base.cpp's library.
//
// Invariant: errors of reading and compiling are results (nil, message), never raised; dofile raises them.
// Owner: none, plain natives. Threading: as all natives.
#pragma once

#include "vm/native.h"

namespace baton::stdlib {

// load(chunk [, chunkname [, mode [, env]]]). Raises: bad arguments.
int base_load(NativeCall& call);
// loadfile([filename [, mode [, env]]]). Raises: bad arguments.
int base_loadfile(NativeCall& call);
// dofile([filename]). Raises: what loading or the file raises.
int base_dofile(NativeCall& call);

}  // namespace baton::stdlib
