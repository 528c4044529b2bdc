// Which values every runtime finds by itself under a name: loaded modules and what they contain.
//
// Invariant: an entry is checked when it is used, so one that is out of date is only useless. Rebuilt when package.loaded
// has changed. Owner: the runtime's registry. Threading: under the GIL.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "value/table.h"
#include "vm/thread_state.h"

namespace baton::host::marshal {

struct Name {
  std::string module;
  std::string member;          // empty: the module itself
  bool is_everywhere = false;  // of a library that every runtime has open under a global name
};

class Names {
 public:
  // The runtime's. Raises: kMemory.
  static Names& of(ThreadState& thread);

  // The name of a table or function; null if it has none. Valid until refresh. Raises: kMemory.
  const Name* find(ThreadState& thread, const Value& v);
  // Looks for new modules; call it once per message. Raises: std::bad_alloc.
  void refresh(ThreadState& thread);

 private:
  void build(ThreadState& thread);
  void add_members(std::string_view module, const Table* globals, Table* members, bool is_ours);
  std::unordered_map<const void*, Name> names_;
  std::uint64_t fingerprint_ = 0;
};

}  // namespace baton::host::marshal
