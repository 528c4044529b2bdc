// A runtime for unit tests of vm: shared state, one thread whose root coroutine is the running one, and frames made by hand.
// Invariant: no scheduler and no interpreter are needed; what is called from here are natives.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "bytecode/instruction.h"
#include "value/code_block.h"
#include "value/coroutine.h"
#include "value/string.h"
#include "vm/native.h"
#include "vm/operations.h"

namespace baton::test {

struct Fixture {
  SharedState shared{1};
  ThreadState thread{shared};

  Fixture() {
    thread.root = thread.current = coroutine::make(shared.heap);
    thread.current->status = CoroutineStatus::kRunning;
    thread.current->is_root = true;
    thread.current->thread = &thread;
    shared.main_thread = &thread;
    shared.threads.push_back(&thread);
    shared.heap.attach_interrupt(&thread.interrupt);
  }
  ~Fixture() { shared.threads.clear(); }

  Value text(std::string_view bytes) { return Value::of(string::make(shared.heap, bytes)); }
  Value native(const NativeInfo& info) { return native::make(thread, &info); }

  // A table whose only metamethod is `info` under `event`.
  Value object_with(const char* event, const Value& metamethod) {
    Table* metatable = table::make(shared.heap);
    native::set_field(thread, metatable, event, metamethod);
    const Value object = Value::of(table::make(shared.heap));
    vm::set_metatable(thread, object, metatable);
    return object;
  }

  // Puts a frame of a native on top, its window empty.
  void enter_native(const NativeInfo& info) { enter(native(info), kFrameNative, nullptr, 40); }

  // Puts a frame of `p` on top, at instruction `pc`, registers nil.
  void enter_script(Prototype* p, int pc) {
    Closure* function = closure::make(shared.heap, p);
    for (std::uint32_t i = 0; i < function->count; ++i) {
      function->upvalues()[i] = closure::make_closed_upvalue(shared.heap, Value());
    }
    enter(Value::of(function), 0, p->code.items + pc + 1, p->max_stack);
  }

  void leave() {
    thread.current->top = thread.current->frame->base - 1;
    --thread.current->frame;
  }

  // The message of the error that `body` raises, or "no error".
  template <class Body>
  std::string message(Body&& body) {
    try {
      body();
    } catch (const ScriptError& error) {
      const Value value = vm::error_value(thread, error);
      return value.is_string() ? std::string(value.string()->view()) : "no string";
    }
    return "no error";
  }

 private:
  void enter(const Value& function, std::uint16_t flags, const Instruction* pc, int slots) {
    Coroutine* co = thread.current;
    coroutine::check_stack(shared.heap, co, 300);
    if (co->frame + 1 == co->frames_limit) coroutine::grow_frames(shared.heap, co);
    *co->top++ = function;
    CallFrame* frame = ++co->frame;
    *frame = CallFrame{co->top, pc, co->top + slots, 0, 0, 0, flags, 0, 0, nullptr};
    if (pc == nullptr) return;
    for (int i = 0; i < slots; ++i) *co->top++ = Value();
  }
};

// A prototype made by hand. Strings are made in the fixture's heap, which does not collect meanwhile.
class PrototypeBuilder {
 public:
  explicit PrototypeBuilder(Fixture& fixture) : fixture_(fixture), p_(prototype::make(fixture.shared.heap)) {
    p_->max_stack = 20;
    p_->source = fixture.text("=input").string();
  }
  int constant(const Value& v) {
    constants_.push_back(v);
    return static_cast<int>(constants_.size()) - 1;
  }
  int constant(std::string_view text) { return constant(fixture_.text(text)); }
  int upvalue(std::string_view name) {
    upvalues_.push_back({fixture_.text(name).string(), 1, 0, 0});
    return static_cast<int>(upvalues_.size()) - 1;
  }
  void local(std::string_view name, std::uint32_t start, std::uint32_t end) {
    locals_.push_back({fixture_.text(name).string(), start, end});
  }
  PrototypeBuilder& emit(Instruction i, std::uint32_t line = 1) {
    code_.push_back(i.encoded());
    lines_.push_back(line);
    return *this;
  }
  PrototypeBuilder& emit(Opcode op, int a, int b = 0, int c = 0) { return emit(Instruction::abc(op, a, b, c)); }

  Prototype* finish(bool strip = false) {
    prototype::allocate_code(fixture_.shared.heap, p_, static_cast<std::uint32_t>(code_.size()));
    std::copy(code_.begin(), code_.end(), p_->code.begin());
    fill(p_->constants, constants_);
    fill(p_->upvalues, upvalues_);
    if (strip) return p_;
    fill(p_->lines, lines_);
    fill(p_->locals, locals_);
    return p_;
  }

 private:
  template <class T>
  void fill(PrototypeArray<T>& array, const std::vector<T>& items) {
    prototype::allocate(fixture_.shared.heap, array, static_cast<std::uint32_t>(items.size()));
    for (std::size_t i = 0; i < items.size(); ++i) array[i] = items[i];
  }

  Fixture& fixture_;
  Prototype* p_;
  std::vector<Instruction> code_;
  std::vector<std::uint32_t> lines_;
  std::vector<Value> constants_;
  std::vector<UpvalueDescription> upvalues_;
  std::vector<LocalDescription> locals_;
};

}  // namespace baton::test
