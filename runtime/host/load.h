// Loading chunks: text or binary to a function, as `load` and `loadfile` do (manual 6.1).
#pragma once

#include <string>
#include <string_view>

#include "vm/thread_state.h"

namespace baton::host {

// Compiles or undumps `bytes` (text, or a chunk of string.dump), which stay valid meanwhile. `mode`: "t", "b" or "bt".
// `name_string`: the chunk's name, if it is a string that stays reachable meanwhile; a large one is not copied then. On success
// returns kOk and pushes the function (its first upvalue is the globals table) on the running
// coroutine's stack; else kError with the message in thread.pending. Raises: kMemory, cancellations.
// A leading '#' line is not skipped here.
Status load(ThreadState& thread, std::string_view bytes, std::string_view chunk_name, std::string_view mode,
            String* name_string = nullptr);

// Reads a file (null: standard input), skips a byte-order mark and a leading '#' line, loads it as
// "@path" ("=stdin"). Errors as luaL_loadfilex words them ("cannot open x: No such file or directory").
Status load_file(ThreadState& thread, const char* path, std::string_view mode);

// The binary form of a script function (string.dump), made in pieces with polls between them. Takes: a function that stays
// reachable. Raises: kMemory, cancellations.
std::string dump(ThreadState& thread, const Closure* function, bool strip);

// The text form of a script function's code, nested functions included (--dump-bytecode).
std::string disassemble(const Closure* function);

}  // namespace baton::host
