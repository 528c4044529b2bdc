#include "package_lock.h"

#include <ctime>

#include "host/blocking.h"
#include "vm/safepoint.h"

namespace baton::stdlib {
namespace {

constexpr long kFirstPauseNs = 50'000;
constexpr long kLongestPauseNs = 2'000'000;

Value identity(ThreadState& thread) { return Value::light(&thread); }

// A table of the registry, made on first use; it lives as long as the runtime.
Table* registry_table(ThreadState& thread, const char* name) {
  const Value present = native::get_field(thread, thread.shared.registry, name);
  if (present.is_table()) return present.table();
  Table* made = table::make(thread.heap());
  native::set_field(thread, thread.shared.registry, name, Value::of(made));
  return made;
}

// Whether following "loaded by a thread that waits for ..." from `name` leads back to the thread `self`.
bool leads_back(const Table* loading, const Table* awaited, Value name, const Value& self) {
  for (;;) {
    const Value owner = *table::get(loading, name);
    if (owner.is_nil()) return false;
    if (raw_equal(owner, self)) return true;
    name = *table::get(awaited, owner);
    if (name.is_nil()) return false;
  }
}

}  // namespace

ModuleLock::ModuleLock(NativeCall& call, const Value& name)
    : thread_(call.thread()),
      loading_(registry_table(call.thread(), "_LOADING")),
      awaited_(registry_table(call.thread(), "_AWAITED")),
      name_(name) {
  if (!leads_back(loading_, awaited_, name_, identity(thread_))) wait(call);
  if (!table::get(loading_, name_)->is_nil()) return;  // a circle: loaded without the claim
  table::set(thread_.heap(), loading_, name_, identity(thread_));
  claimed_ = true;
}

ModuleLock::~ModuleLock() {
  // The key exists, so this neither allocates nor raises.
  if (claimed_) table::set(thread_.heap(), loading_, name_, Value());
}

void ModuleLock::wait(NativeCall& call) {
  timespec pause = {0, kFirstPauseNs};
  while (!table::get(loading_, name_)->is_nil()) {
    if (leads_back(loading_, awaited_, name_, identity(thread_))) return;
    waited_ = true;
    table::set(thread_.heap(), awaited_, identity(thread_), name_);
    {
      host::Blocking blocked(thread_, "require");
      nanosleep(&pause, nullptr);
    }
    table::set(thread_.heap(), awaited_, identity(thread_), Value());
    if (pause.tv_nsec < kLongestPauseNs) pause.tv_nsec *= 2;
    vm::poll(call.thread());
  }
}

}  // namespace baton::stdlib
