// The parts of our libraries that are written in script.
//
// Such a part is compiled into the program as text. It is called once, when its library is opened, with two arguments: the
// table of the library, into which it puts its functions, and what it needs from C++ and nobody else should see. Its globals are
// everybody's, unless the registry holds a table for them under kPartEnvironment (libraries.cpp: where not all is granted).
// Owner: nobody keeps anything. Threading: under the GIL.
#pragma once

#include <string_view>

#include "vm/native.h"

namespace baton::stdlib {

inline constexpr std::string_view kPartEnvironment = "_PARTS";

// Compiles `source` under the name `chunk_name` ("=async") and calls it with `library` and `internals`, which need no root of
// their own until then. Raises: kMemory, and what the part raises.
void run_script_part(ThreadState& thread, Table* library, const Value& internals, std::string_view source,
                     const char* chunk_name);

// The same with a table of natives as the second argument.
void run_script_part(ThreadState& thread, Table* library, const NativeInfo* internals, std::string_view source,
                     const char* chunk_name);

}  // namespace baton::stdlib
