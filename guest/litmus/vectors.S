/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where interrupts and exceptions come in (256 stubs, 16 bytes each), guarded calls,
 * and the way into user mode and out of it. The frame is struct Frame of litmus.h.
 */
    .section .text
    .code64
    .globl vector_stubs
    .align 16
vector_stubs:
    .set vector, 0
    .rept 256
    .align 16
    /* #DF #TS #NP #SS #GP #PF #AC #CP #VC #SX have an error code. */
    .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
    pushq $0
    .endif
    pushq $vector
    jmp enter
    .set vector, vector + 1
    .endr

enter:
    cld
    pushq %rax
    pushq %rbx
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %rbp
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, %rdi
    call interrupt
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rbp
    popq %rdi
    popq %rsi
    popq %rdx
    popq %rcx
    popq %rbx
    popq %rax
    addq $16, %rsp
    iretq

/* unsigned guard_enter(void (*call)(void *), void *argument, uint64_t *stack):
 * calls it; 0. An exception meanwhile comes out at guard_landing with *stack as its
 * stack and RAX = 1 + vector. */
    .globl guard_enter, guard_landing
guard_enter:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    subq $8, %rsp
    movq %rsp, (%rdx)
    movq %rdi, %rax
    movq %rsi, %rdi
    call *%rax
    xorl %eax, %eax
guard_landing:
    addq $8, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret
    .section .note.GNU-stack, "", @progbits
