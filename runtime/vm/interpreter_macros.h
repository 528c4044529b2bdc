// What opcode handlers are written with; included by interpreter.cpp only.
//
// Rules for handlers
//  1. A body is BATON_OP(Name) { ... } and ends every path with one of BATON_NEXT, BATON_RESUME,
//     BATON_RELOAD or a jump macro. It is a function where the compiler has guaranteed tail calls and
//     a label elsewhere, so it uses no `return`, `break` out of itself or static data.
//  2. `pc` already points behind the instruction. Operands: A, B, C, D, J, U, SB, SC; registers RA, RB,
//     RC; constants KB, KC.
//  3. Before anything that may raise, look at frames or reach a safepoint: BATON_SAVE, which publishes
//     pc and the frame itself; between two of them Coroutine::frame may be an older or a left one.
//     Afterwards base and pc may be stale: BATON_RELOAD (same thread, maybe another frame) or
//     BATON_RELOAD_BASE (same frame for certain).
//  4. An instruction allocates before it changes anything a script can see, so it can be repeated
//     after an emergency collection.
//  5. A store into a table is followed by the barrier; into a register by nothing.
//  6. Bodies stay below 15 lines; what is rarely taken goes to slow_paths.
//  7. The common path of a hot body calls nothing: a call needs a machine frame, and one call anywhere
//     in a handler makes every pass through it set that frame up. What calls is a BATON_SLOW_OP of its
//     own, with the same state, continued with BATON_TAIL.
#pragma once

#define A (static_cast<unsigned>((word >> 8) & 0xFF))
#define B (static_cast<unsigned>(pc[-1].b))
#define C (static_cast<unsigned>(pc[-1].c))
#define D (static_cast<unsigned>(word >> 48))
#define J (static_cast<std::int32_t>(word >> 32))
#define U (static_cast<std::uint32_t>(word >> 32))
#define SB (static_cast<std::int16_t>(word >> 16))
#define SC (static_cast<std::int16_t>(word >> 32))
#define RA (base[A])
#define RB (value_at(base, static_cast<std::uint32_t>(word) >> 16))
#define RC (value_at(base, C))
#define KB (value_at(constants, static_cast<std::uint32_t>(word) >> 16))
#define KC (value_at(constants, C))

#define BATON_NOTE_PC() (frame->pc = pc)
#define BATON_SAVE() (BATON_NOTE_PC(), thread->current->frame = frame)
#define BATON_RELOAD_BASE() (frame = thread->current->frame, base = frame->base)

// Loads the pinned state from the running frame, which is a script frame.
#define BATON_LOAD_FRAME()                                        \
  do {                                                            \
    frame = thread->current->frame;                               \
    base = frame->base;                                           \
    pc = frame->pc;                                               \
    constants = frame->constants;                                 \
    dispatch = thread->dispatch;                                  \
  } while (0)

#if BATON_TAIL_CALL_DISPATCH

#define BATON_OP_PARAMETERS                                                                    \
  ThreadState *thread, const Instruction *pc, Value *base, const Value *constants, CallFrame *frame, const DispatchTable *dispatch, std::uint64_t word
#define BATON_HANDLER(table, word) (reinterpret_cast<Handler>((table)->handlers[(word) & 0xFF].load(std::memory_order_relaxed)))
#define BATON_OP(name) __attribute__((preserve_none)) static Next op_##name(BATON_OP_PARAMETERS)
// The empty assembly is different at each place: otherwise the compiler lets the paths through a handler share one
// dispatch, which costs a jump and hides from the processor which path led where.
#define BATON_NEXT()                                                                           \
  do {                                                                                         \
    word = fetch(pc++);                                                                        \
    Handler next_handler_ = BATON_HANDLER(dispatch, word);                                     \
    __asm__ volatile("" : "+r"(next_handler_) : "i"(__COUNTER__));                             \
    [[clang::musttail]] return next_handler_(thread, pc, base, constants, frame, dispatch, word); \
  } while (0)
#define BATON_LEAVE(next) return next
#define BATON_SLOW_OP(name) __attribute__((preserve_none, noinline)) static Next op_##name(BATON_OP_PARAMETERS)
#define BATON_TAIL(name) [[clang::musttail]] return op_##name(thread, pc, base, constants, frame, dispatch, word)

#else

#define BATON_OP(name) label_##name:
#define BATON_NEXT()                          \
  do {                                        \
    word = fetch(pc++);                       \
    goto* reinterpret_cast<void*>(dispatch->handlers[word & 0xFF].load(std::memory_order_relaxed)); \
  } while (0)
#define BATON_LEAVE(next) return next
#define BATON_SLOW_OP(name) label_##name:
#define BATON_TAIL(name) goto label_##name

#endif

// Jumps when `condition` holds. It must be a machine branch: as a conditional move (what compilers
// make of `if (condition) pc += J`) the next instruction's operands would wait for the comparison, and
// nothing could run ahead of it.
#define BATON_JUMP_IF(condition)       \
  do {                                 \
    if (condition) {                   \
      pc = Instruction::jump_from(pc, J);                         \
      __asm__ volatile("" : "+r"(pc)); \
      BATON_NEXT();                    \
    }                                  \
    BATON_NEXT();                      \
  } while (0)

// What was loaded before is not kept in registers for what follows, which is rare and loads it again.
#define BATON_FORGET_LOADS() __asm__ volatile("" ::: "memory")

// Goes on wherever the running frame says.
#define BATON_RELOAD()  \
  do {                  \
    BATON_LOAD_FRAME(); \
    BATON_NEXT();       \
  } while (0)

// After a slow path that returned a Next.
#define BATON_RESUME(expression)                                   \
  do {                                                             \
    const Next next_ = (expression);                               \
    if (BATON_UNLIKELY(next_ != Next::kContinue)) BATON_LEAVE(next_); \
    BATON_RELOAD();                                                \
  } while (0)

// The poll of functions that no Call enters: `pc` is where to go on. A build with BATON_UNPOLLED, which tools/bench/polls
// makes to measure what polling costs, leaves out this one and redirects no entries; it polls instead where something was
// allocated, so that the collector runs.
#ifndef BATON_UNPOLLED
#define BATON_UNPOLLED 0
#endif
#if BATON_UNPOLLED
#define BATON_POLL() (void)0
#define BATON_POLL_ALLOCATION()         \
  do {                                  \
    if (thread->interrupt.any()) {      \
      BATON_SAVE();                     \
      slow::safepoint(*thread, false);  \
      BATON_RELOAD_BASE();              \
    }                                   \
  } while (0)
#else
#define BATON_POLL() \
  if (thread->interrupt.any()) BATON_TAIL(Safepoint)
#define BATON_POLL_ALLOCATION() (void)0
#endif

// Polled: a call polls behind its work.
#define BATON_POLL_CALL()                                                        \
  do {                                                                           \
    if ((word & 0xFF) == static_cast<unsigned>(Opcode::kCall)) BATON_TAIL(CallPolled); \
    if ((word & 0xFF) == static_cast<unsigned>(Opcode::kTailCall)) BATON_TAIL(TailCallPolled); \
  } while (0)

// Polled: in front of a back-edge, which is in `word` and then runs, whatever is still asked.
#define BATON_REACH_SAFEPOINT() \
  do {                          \
    --pc;                       \
    BATON_SAVE();               \
    slow::back_edge(*thread);   \
    BATON_LOAD_FRAME();         \
    word = fetch(pc++);         \
  } while (0)

// Traced: what is done in front of every instruction.
#define BATON_TRACE()                                                                                              \
  do {                                                                                                             \
    BATON_SAVE();                                                                                                  \
    if (BATON_UNLIKELY(thread->current->in_place && thread->current->hook_mask != 0)) BATON_LEAVE(Next::kPromote); /* a hook may yield */ \
    slow::trace(*thread, pc - 1);                                                                                  \
    BATON_RELOAD_BASE();                                                                                           \
    constants = frame->constants;                                                                                  \
    dispatch = thread->dispatch;                                                                                   \
    word = fetch(pc - 1);                                                                                          \
    if (polls(static_cast<Opcode>(word & 0xFF)) && thread->interrupt.any()) BATON_TAIL(Polled);                    \
  } while (0)

// The same after a store, which may have made a table larger.
#define BATON_RESUME_STORE(expression)                                \
  do {                                                                \
    const Next next_ = (expression);                                  \
    if (BATON_UNLIKELY(next_ != Next::kContinue)) BATON_LEAVE(next_); \
    BATON_LOAD_FRAME();                                               \
    BATON_POLL_ALLOCATION();                                          \
    BATON_NEXT();                                                     \
  } while (0)

// Leaves the frame by the fast path: the caller is a script frame for certain and hooks did not change.
#define BATON_LEAVE_FRAME()                                     \
  do {                                                            \
    --frame;                                                      \
    base = frame->base;                                           \
    pc = frame->pc;                                               \
    constants = frame->constants;                                 \
    BATON_NEXT();                                                 \
  } while (0)
