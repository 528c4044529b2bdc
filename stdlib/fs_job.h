// File operations in the thread pool: a function object that owns what it reads and writes.
//
// Invariant: as PoolJob: nothing in it refers to values or to the task's stack. Owner: shared. Threading: as PoolJob.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "loop/pool_work.h"
#include "vm/native.h"

namespace baton::stdlib {

// `State` is a struct with inputs, outputs and `int run()`, which returns 0 or an errno and lets nothing out.
template <class State>
class FileJob final : public loop::PoolJob {
 public:
  template <class... Arguments>
  explicit FileJob(Arguments&&... arguments) : state{std::forward<Arguments>(arguments)...} {}
  void run() noexcept override { error = state.run(); }
  State state;
  int error = 0;
};

// Runs it and returns the job with its outputs. Raises: cancellations, kMemory.
template <class State, class... Arguments>
std::shared_ptr<FileJob<State>> run_file_job(ThreadState& thread, const char* what, Arguments&&... arguments) {
  auto job = std::make_shared<FileJob<State>>(std::forward<Arguments>(arguments)...);
  loop::run_in_pool(thread, job, what);
  return job;
}

// A text argument for the system. Raises: "contains a NUL character".
inline std::string path_argument(NativeCall& call, int i) {
  const std::string_view text = call.check_text(i);
  if (text.find('\0') != std::string_view::npos) call.argument_error(i, "contains a NUL character");
  return std::string(text);
}

// fs.open and fs.watch, in files of their own.
int fs_open(NativeCall& call);
int fs_watch(NativeCall& call);

// Writes all bytes to a descriptor. Returns: 0 or an errno.
int write_fully(int descriptor, std::string_view bytes) noexcept;

}  // namespace baton::stdlib
