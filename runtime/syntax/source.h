// Names of chunks as messages of this layer show them; the rule itself is base/chunk_name.h's, which vm shares.
// Invariant, owner and threading: see there.
#pragma once

#include "base/chunk_name.h"

namespace baton::syntax {

using baton::chunk_display_name;
using baton::kDisplayNameBytes;

}  // namespace baton::syntax
