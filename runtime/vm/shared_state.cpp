#include "vm/shared_state.h"

#include <algorithm>

#include "value/string.h"
#include "vm/thread_state.h"

namespace baton {
namespace {

constexpr const char* kMetamethodFields[] = {
#define BATON_METAMETHOD(name, field) field,
#include "vm/metamethods.def"
#undef BATON_METAMETHOD
};

// A whole message that begins with '@' is a command to the warning system and never printed (manual 6.1 warn).
bool is_control_message(const SharedState& shared, std::string_view piece, bool to_continue) {
  return !shared.warning_continues && !to_continue && piece.starts_with('@');
}

void write_to_stderr(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); }

// The warning function that a runtime begins with; off until somebody says "@on".
void warn_on_stderr(SharedState& shared, std::string_view piece, bool to_continue) {
  if (is_control_message(shared, piece, to_continue)) {
    if (piece == "@on") shared.warnings_on = true;
    if (piece == "@off") shared.warnings_on = false;
    return;
  }
  if (shared.warnings_on) {
    if (!shared.warning_continues) write_to_stderr("Lua warning: ");
    write_to_stderr(piece);
    if (!to_continue) write_to_stderr("\n");
  }
  shared.warning_continues = to_continue;
  if (!to_continue) std::fflush(stderr);
}

// The heap's requests always reach the thread that runs.
void attach_holder(void* context, GilSlot* slot) noexcept {
  static_cast<SharedState*>(context)->heap.attach_interrupt(slot->interrupt);
}

String* make_fixed(Heap& heap, std::string_view text) {
  String* s = string::make(heap, text);
  heap.fix(s);
  return s;
}

}  // namespace

SharedState::SharedState(std::uint64_t seed) : heap(seed), warn(warn_on_stderr) {
  heap.add_root_visitor(this);
  gil.set_holder_hook(attach_holder, this);
  for (int i = 0; i < static_cast<int>(Metamethod::kCount); ++i) {
    metamethod_names[i] = make_fixed(heap, kMetamethodFields[i]);
  }
  for (int i = 0; i < kBaseTypeCount; ++i) type_names[i] = make_fixed(heap, base_type_name(static_cast<BaseType>(i)));
  memory_error = make_fixed(heap, error_text(ErrorId::kMemory));
  registry = table::make(heap);
  globals = table::make(heap);
  loaded = table::make(heap);
  // The keys of the C API's registry: LUA_RIDX_GLOBALS and the table of loaded modules.
  table::set_integer(heap, registry, 2, Value::of(globals));
  table::set_string(heap, registry, string::make(heap, "_LOADED"), Value::of(loaded));
}

SharedState::~SharedState() {
  BATON_DCHECK(threads.empty());
  heap.remove_root_visitor(this);
}

// A thread's running coroutine reaches neither its resumers nor the root through its own fields for
// certain, so the whole chain is marked here.
void SharedState::mark_roots(Heap& visited) {
  for (Table* t : {registry, globals, loaded}) {
    if (t != nullptr) visited.mark_value(Value::of(t));
  }
  for (Table* t : type_metatables) {
    if (t != nullptr) visited.mark_value(Value::of(t));
  }
  for (const KnownClass& known : known_classes) {
    if (known.metatable != nullptr) visited.mark_value(Value::of(known.metatable));
  }
  for (Coroutine* co = abandoned; co != nullptr; co = co->resumer) visited.mark_value(Value::of(co));
  for (ThreadState* thread : threads) {
    if (thread->root != nullptr) visited.mark_value(Value::of(thread->root));
    for (Coroutine* co = thread->current; co != nullptr; co = co->resumer) visited.mark_value(Value::of(co));
    if (thread->storage != nullptr) visited.mark_value(Value::of(thread->storage));
    visited.mark_value(thread->pending);
    visited.mark_value(thread->cancel_reason);
  }
}

}  // namespace baton
