// Compiler and sanitizer conditionals of the core. Invariant: every other file asks these macros
// and never a compiler's own predefined ones, so a port touches this file only.
#pragma once

#include <cstddef>

#define BATON_LIKELY(condition) __builtin_expect(!!(condition), 1)
#define BATON_UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#define BATON_NOINLINE __attribute__((noinline))
#define BATON_COLD __attribute__((noinline, cold))
#define BATON_ALWAYS_INLINE inline __attribute__((always_inline))

#if defined(__SANITIZE_ADDRESS__)
#define BATON_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BATON_ASAN 1
#endif
#endif
#ifndef BATON_ASAN
#define BATON_ASAN 0
#endif

#if defined(__SANITIZE_THREAD__)
#define BATON_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define BATON_TSAN 1
#endif
#endif
#ifndef BATON_TSAN
#define BATON_TSAN 0
#endif

// Tells the processor that this is a loop that waits for another thread.
#if defined(__x86_64__) || defined(__i386__)
#define BATON_PAUSE_PROCESSOR() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define BATON_PAUSE_PROCESSOR() asm volatile("yield")
#else
#define BATON_PAUSE_PROCESSOR() ((void)0)
#endif

// A counter of the processor's cycles that user code may read, where there is one.
#if defined(__x86_64__) || defined(__i386__)
#define BATON_HAS_CYCLE_COUNTER 1
#define BATON_CYCLE_COUNTER() __builtin_ia32_rdtsc()
#else
#define BATON_HAS_CYCLE_COUNTER 0
#endif

// Whether opcode handlers become tail-called functions (clang with both attributes) or the cases of
// one switch. Sanitizer builds use the switch: tail calls and their shadow stacks do not mix.
#if defined(__clang__) && defined(__has_cpp_attribute) && defined(__has_attribute)
#if __has_cpp_attribute(clang::musttail) && __has_attribute(preserve_none) && !BATON_ASAN && !BATON_TSAN
#define BATON_TAIL_CALL_DISPATCH 1
#endif
#endif
#ifndef BATON_TAIL_CALL_DISPATCH
#define BATON_TAIL_CALL_DISPATCH 0
#endif

// In front of a loop that runs a few times or not at all: unrolled, it would take registers from the common path.
#ifdef __clang__
#define BATON_SHORT_LOOP _Pragma("clang loop unroll(disable) vectorize(disable)")
#else
#define BATON_SHORT_LOOP _Pragma("GCC unroll 1")
#endif

// The build option `stress`: collect at every safepoint, move stacks at every call.
#ifndef BATON_STRESS
#define BATON_STRESS 0
#endif

namespace baton {
inline constexpr std::size_t kCacheLineBytes = 64;
}
