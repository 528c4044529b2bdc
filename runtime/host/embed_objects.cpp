// Objects of the host's classes: userdata whose block begins with a header that names the C++ type.
//
// The type is what the block says, never what the metatable says: a script that could swap metatables would still not get at
// another type's memory. Destroying is the sweeper's affair, which has no right to touch values; so a destructor that releases
// roots is fine (they are taken out of their list, or deferred), one that calls scripts is not.
#include <new>

#include "host/embed_state.h"
#include "value/userdata.h"
#include "vm/operations.h"

namespace baton::host {
namespace {

void release_object(void* block) noexcept {
  auto* header = static_cast<abi::ObjectHeader*>(block);
  if (header->destroy != nullptr) header->destroy(header);
}

abi::ObjectHeader* header_of(const Slot& value) noexcept {
  if (!value.is_object()) return nullptr;
  Userdata* object = value_of(value).userdata();
  return object->release == release_object ? static_cast<abi::ObjectHeader*>(object->block()) : nullptr;
}

// `object`, which is a `from`, as a `to`, through any number of bases; null: it is none.
void* cast(State* state, const void* from, const void* to, void* object) noexcept {
  if (from == to) return object;
  const auto record = state->classes.find(from);
  if (record == state->classes.end()) return nullptr;
  for (const abi::ClassRecord::Base& base : record->second.bases) {
    if (void* found = cast(state, base.type, to, base.cast(object))) return found;
  }
  return nullptr;
}

template <class Body>
Outcome with_memory(State* state, Failure** failure, Body body) noexcept {
  try {
    body();
    return Outcome::kOk;
  } catch (const std::bad_alloc&) {
  } catch (const ScriptError&) {
  }
  *failure = make_error(state, present_session(state).native->state(), Value::of(state->shared->memory_error));
  return Outcome::kError;
}

}  // namespace
}  // namespace baton::host

namespace baton::abi {

using namespace baton::host;

Outcome define_class(State* state, const void* type, const char* name, const Slot& metatable, Failure** failure) noexcept {
  return with_memory(state, failure, [&] {
    ClassRecord& record = state->classes[type];
    record.name = name;
    record.metatable = value_of(metatable);
  });
}

Outcome add_base(State* state, const void* type, const void* base, void* (*cast)(void*) noexcept, Failure** failure) noexcept {
  return with_memory(state, failure, [&] { state->classes[type].bases.push_back({base, cast}); });
}

Slot class_metatable(State* state, const void* type) noexcept {
  const auto record = state->classes.find(type);
  return record != state->classes.end() ? slot_of(record->second.metatable) : Slot();
}

const char* class_name(State* state, const void* type) noexcept {
  const auto record = state->classes.find(type);
  return record != state->classes.end() ? record->second.name.c_str() : nullptr;
}

Outcome make_object(State* state, const void* type, std::size_t size, Slot* object, ObjectHeader** header, Failure** failure) noexcept {
  return with_memory(state, failure, [&] {
    Userdata* made = userdata::make(state->shared->heap, size);
    *header = new (made->block()) ObjectHeader{type, nullptr, nullptr};
    made->release = release_object;
    const auto record = state->classes.find(type);
    if (record != state->classes.end() && record->second.metatable.is_table()) {
      vm::set_metatable(present_session(state).native->state(), Value::of(made), record->second.metatable.table());
    }
    *object = slot_of(Value::of(made));
  });
}

void* object_as(State* state, const Slot& value, const void* type, ObjectHeader** header) noexcept {
  ObjectHeader* found = header_of(value);
  if (found == nullptr || found->object == nullptr) return nullptr;
  if (header != nullptr) *header = found;
  return cast(state, found->type, type, found->object);
}

}  // namespace baton::abi
