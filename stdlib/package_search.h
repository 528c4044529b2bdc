// Finding modules in files: what package.cpp and package_native.cpp share.
//
// Invariant: natives declared here that are searchers have the package table as upvalue 1.
// Owner: none. Threading: as all natives.
#pragma once

#include <string>
#include <string_view>

#include "vm/native.h"

namespace baton::stdlib {

// The first readable file among the path's templates; empty if there is none, then `tried` lists them as require's message
// does. Raises: std::bad_alloc.
std::string search_path(std::string_view name, std::string_view path, std::string_view separator, std::string_view directory,
                        std::string& tried);

// search_path for a module name on package[field]. Raises: "'package.x' must be a string".
std::string find_module_file(NativeCall& call, std::string_view name, const char* field, std::string& tried);

// package.loadlib and the two searchers of shared objects.
int package_loadlib(NativeCall& call);
int search_native(NativeCall& call);
int search_native_root(NativeCall& call);

}  // namespace baton::stdlib
