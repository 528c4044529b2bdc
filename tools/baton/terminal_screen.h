// The edited line on the terminal, and what others print meanwhile.
//
// While a line is edited, standard output and error of the process are a pipe. A thread of its own takes what tasks, native
// threads and children write there, takes the edited line away, prints, and draws the line again below. It never needs the
// GIL, so nobody who prints holds the lock for long.
// Invariant: descriptors 1 and 2 are the terminal's own whenever no line is edited.
// Owner: the process. Threading: all functions from the thread that edits.
#pragma once

#include <string>
#include <string_view>

namespace baton::program::screen {

// Standard output goes through the pipe from now on. Raises: nothing; without descriptors or a thread nothing changes.
void begin() noexcept;

// Standard output is the terminal again; all that was written before is on it. Idempotent; also at exit.
void end() noexcept;

// Writes to the terminal at once. From now on others' output does not touch the line.
void write(std::string_view bytes) noexcept;

// Writes `bytes`; others' output comes between `erase` and `again`, which are kept until the next call.
void draw(std::string_view bytes, const std::string& erase, const std::string& again);

// The terminal's descriptor.
int descriptor() noexcept;

}  // namespace baton::program::screen
