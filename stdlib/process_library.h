// What the files of the module process share.
//
// Invariant: none. Owner: none. Threading: as all natives.
#pragma once

#include <cstdint>
#include <string>

#include "vm/native.h"

namespace baton::stdlib {

// process.stdin(), stdout(), stderr(): the process's standard descriptors as Streams.
int process_stdin(NativeCall& call);
int process_stdout(NativeCall& call);
int process_stderr(NativeCall& call);
// process.cpu_count().
int process_cpu_count(NativeCall& call);
// process.on("SIGTERM", f).
int process_on(NativeCall& call);
// process.spawn{...}.
int process_spawn(NativeCall& call);

class ChildProcess;
class DescriptorStream;

// Waits until the child (null: of no interest) is over or one of the two streams (may be null or closed; its own readers come
// first) may be read. Returns: false at the deadline. Raises: as sched::wait.
bool wait_for_child(ThreadState& thread, const ChildProcess* child, const DescriptorStream* output,
                    const DescriptorStream* errors, std::int64_t deadline_ns, const char* what);
// Takes the child's handle out of the loops and closes it. Raises: nothing.
void forget_handle(ThreadState& thread, ChildProcess& child) noexcept;
// Pushes {ok=, code=|signal=} for a wait status. Raises: kMemory.
void push_status(NativeCall& call, int status);
// "exit code 3", "signal 9". Raises: std::bad_alloc.
std::string status_text(int status);
// The number of the signal in argument i, a number or a name with or without SIG. Raises: "unknown signal".
int check_signal(NativeCall& call, int i);

}  // namespace baton::stdlib
