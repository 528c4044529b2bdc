// Reading what a script asks of process.run, shell and spawn: the command, its environment, where its descriptors lead.
//
// Invariant: everything is copied out of the table, so that nothing of it is needed while the child runs. Misuse raises.
// Owner: a native's local variable. Threading: as all natives.
#pragma once

#include "option_table.h"
#include "process_child.h"

namespace baton::stdlib {

// The request in table argument 1 of run and spawn: positions are the command, fields its options. `pipes`: what a script does
// not say is a pipe (spawn); else output is one and input ours (run). `options` was made from the same argument.
// Raises: misuse, kMemory.
ChildRequest read_request(NativeCall& call, const OptionTable& options, bool pipes);

// The same for process.shell: the command is argument 1, the options stand in argument 2.
ChildRequest read_shell_request(NativeCall& call, const OptionTable& options);

// Our own environment, changed by the table `changes` (may be null): a text sets a variable, false removes it.
std::vector<std::string> read_environment(NativeCall& call, const Table* changes, int argument);

// The name in front of '=' of a setting in the environment.
std::string_view name_of_setting(std::string_view setting) noexcept;

}  // namespace baton::stdlib
