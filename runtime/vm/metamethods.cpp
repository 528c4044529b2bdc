// Metatables and metamethods (manual 2.4).
//
// A metamethod is a raw field of a metatable. The first eight of metamethods.def are asked for at
// every access, comparison or call of an object that has a metatable, so their absence is cached in
// the metatable itself: bit m of Table::flags says "no field for metamethod m". The table layer
// clears all bits whenever a key gets a value that it did not have, which is the only way for an
// absent metamethod to appear; removing one needs no care, because presence is never cached.
#include "value/table.h"
#include "value/userdata.h"
#include "vm/operations.h"

namespace baton::vm {
namespace {

constexpr int kCachedMetamethods = 8;

// A metatable change invalidates what the collector noted about a table's weakness; it reads `__mode`
// anew at each traversal, so only the barrier and the finalizer matter here.
void note_finalizer(ThreadState& thread, Object* object, Table* metatable) {
  if (cached_metamethod(thread.shared, metatable, Metamethod::kFinalize).is_nil()) return;
  thread.heap().register_finalizer(object);
}

}  // namespace

Table* metatable_of(const SharedState& shared, const Value& v) noexcept {
  if (v.is_table()) return v.table()->metatable;
  if (v.is_userdata()) return v.userdata()->metatable;
  return shared.type_metatables[static_cast<int>(base_type(v.tag))];
}

const Value& cached_metamethod(const SharedState& shared, Table* mt, Metamethod which) noexcept {
  if (mt == nullptr) return table::kAbsent;
  const int number = static_cast<int>(which);
  BATON_DCHECK(number < kCachedMetamethods);
  const auto bit = static_cast<std::uint8_t>(1u << number);
  if ((mt->flags & bit) != 0) return table::kAbsent;
  const Value* field = table::get_short_string(mt, shared.metamethod_names[number]);
  if (field->is_nil()) mt->flags |= bit;
  return *field;
}

const Value& metamethod(const SharedState& shared, const Value& v, Metamethod which) noexcept {
  Table* mt = metatable_of(shared, v);
  if (mt == nullptr) return table::kAbsent;
  if (static_cast<int>(which) < kCachedMetamethods) return cached_metamethod(shared, mt, which);
  return *table::get_short_string(mt, shared.metamethod_names[static_cast<int>(which)]);
}

void set_metatable(ThreadState& thread, const Value& object, Table* metatable) {
  if (object.is_table() && (object.table()->mode & kTableFrozen) != 0) raise(ErrorId::kTableFrozen);
  // Registered first: it may raise, and then nothing has changed.
  note_finalizer(thread, object.object, metatable);
  if (object.is_table()) {
    object.table()->metatable = metatable;
  } else {
    object.userdata()->metatable = metatable;
  }
  thread.heap().barrier(object.object, static_cast<Object*>(metatable));
}

}  // namespace baton::vm
