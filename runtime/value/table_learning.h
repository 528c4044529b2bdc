// Learning what tables become: sites of constructors whose tables get fields after the constructor.
//
// A constructor with named fields has a template (table_template.h) from its second execution on. Classes are as often
// written the other way, `local self = setmetatable({}, Class); self.x = x; self.y = y`: then the table grows at the first,
// second, third and fifth field. So one table in eight that such an instruction makes is remembered, and looked at eight
// executions later. If two of them in a row have the same few names as keys and nothing else, the instruction gets a template
// with these; if they are lists, have many or other keys, or never have any, it is left alone from then on. The same is done
// for constructors that have a template and whose tables grow afterwards.
//
// Invariants
//  - A sample is a table that the last atomic phase reached or that was made after it: its cell is not swept. The atomic
//    phase forgets all samples (TableSites::forget_samples).
//  - Sites that share a place in the list get in each other's way; that costs them the template, nothing else.
// Owner: the heap's internals. Threading: under the GIL.
#pragma once

#include "value/table_template.h"

namespace baton {

struct Instruction;

struct TableSite {
  const void* owner = nullptr;   // an instruction or a template
  Table* sample = nullptr;
  std::uint64_t keys = 0;        // of the last sample that had some: made of their addresses
  std::uint32_t executions = 0;
  std::uint32_t intruders = 0;   // executions of other sites that belong here
};

struct TableSites {
  static constexpr std::uint32_t kSites = 128;
  TableSite sites[kSites];

  // Called by the atomic phase. Raises: nothing.
  void forget_samples() noexcept {
    for (TableSite& site : sites) site.sample = nullptr;
  }
};

namespace table {

// A new empty table of a NewTable of `p` whose operand u says nothing yet: 0. The instruction's operand becomes that of a
// template, or kNewTableNever, when enough was seen. Raises: kMemory.
Table* make_and_learn(Heap& heap, Prototype* p, Instruction* instruction);

// A new table of the template `index` of `p`, which has not learned enough; another one may take its place. Raises: kMemory.
Table* make_from_and_learn(Heap& heap, Prototype* p, std::uint32_t index);

}  // namespace table
}  // namespace baton
