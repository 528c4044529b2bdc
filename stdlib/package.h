// What the program adds to the module system beyond the library table: the script's own folder.
//
// Invariant: package.path lists each template once. Owner: none. Threading: under the GIL.
#pragma once

#include <string_view>

#include "vm/thread_state.h"

namespace baton::stdlib {

// Puts the templates for `folder` in front of package.path and takes their later copies out of it. Raises: kMemory.
void add_module_folder(ThreadState& thread, std::string_view folder);

}  // namespace baton::stdlib
