// The call is written by hand because a compiler may address its frame by the stack pointer. The frame pointer of this function
// keeps the way back, and the unwinder is told so: it finds the caller's frame from there, whatever the stack pointer is. Each
// call instruction meets its own return, so the processor predicts all of them.
#include "fiber/stack_call.h"

#if BATON_HAS_STACK_CALL

// Where the compiler writes tables for the unwinder, it opens and closes this function's.
#ifdef __GCC_HAVE_DWARF2_CFI_ASM
#define BATON_CFI(directive) ".cfi_" directive "\n\t"
#else
#define BATON_CFI(directive)
#endif

extern "C" __attribute__((naked, noinline)) void baton_call_on_stack(void*, void*, void*, void**, void (*)(void*, void*) noexcept) noexcept {
  asm("pushq %rbp\n\t"
      BATON_CFI("def_cfa_offset 16") BATON_CFI("offset %rbp, -16")
      "movq %rsp, %rbp\n\t"
      BATON_CFI("def_cfa_register %rbp")
      "movq %rsp, (%rcx)\n\t"
      "movq %rdx, %rsp\n\t"
      "callq *%r8\n\t"
      "movq %rbp, %rsp\n\t"
      "popq %rbp\n\t"
      BATON_CFI("def_cfa %rsp, 8")
      "ret");
}

#endif
