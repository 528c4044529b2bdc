// Compiled functions as bytes: what string.dump gives and load takes back.
//
// Invariant: bytes depend only on the function (not on what the interpreter specialised), and a chunk that was cut, changed
// or made by another program or version is refused with an error, never run and never trusted for an allocation.
// Owner: none, pure functions. Threading: as the heap.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "value/heap.h"
#include "value/prototype.h"

namespace baton::compiler {

// The first bytes of every chunk; no text begins with its first byte.
inline constexpr std::string_view kBinarySignature = "\x1b" "Lua";

// Whether `load` must treat these bytes as a binary chunk (ours, or a foreign one to refuse).
inline bool is_binary(std::string_view bytes) noexcept { return !bytes.empty() && bytes.front() == kBinarySignature.front(); }

enum class DebugInformation { kKeep, kStrip };

// Returns the bytes of a function and all inside it. Takes: a function that stays reachable; whether names, lines and source go
// along; what is called now and then and may reach a safepoint (CompileOptions::poll). Raises: std::bad_alloc, what `poll` throws.
std::string dump(const Prototype& prototype, DebugInformation debug, const std::function<void()>& poll = {});

// Rebuilds a function. Takes: the bytes (what follows the chunk is ignored); the chunk's name as given to load, for errors; what
// is called now and then and may reach a safepoint (CompileOptions::poll).
// Raises: CompileError "NAME: bad binary format (WHY)", ScriptError(kMemory), what `poll` throws.
Prototype* undump(Heap& heap, std::string_view bytes, std::string_view chunk_name, const std::function<void()>& poll = {});

}  // namespace baton::compiler
