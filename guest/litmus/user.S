/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Into user mode and out of it, and what runs there (section .user, which is mapped for
 * user mode at another address: it must not depend on where it is). */
#include "tables.h"

#define USER_FLAGS 0x202        /* IF */
#define CALL_POLL 1
#define CALL_BAD 2
#define CALL_LEAVE 3
#define PATTERN 0x5ca1ab1e0ddba11

    .section .text
    .code64

/* void user_enter(uint64_t rip, uint64_t rsp) */
    .globl user_enter
user_enter:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, kernel_rsp
    pushq $(SEL_USER_DATA | 3)
    pushq %rsi
    pushq $USER_FLAGS
    pushq $(SEL_USER_CODE | 3)
    pushq %rdi
    iretq

/* bool user_call(unsigned number): whether user mode goes on. */
    .globl syscall_entry, syscall_entry_compat
syscall_entry_compat:
syscall_entry:
    movq %rsp, user_rsp
    movq kernel_rsp, %rsp
    pushq %rcx
    pushq %r11
    call user_call
    testb %al, %al
    jz leave
    popq %r11
    popq %rcx
    movq user_rsp, %rsp
    sysretq
leave:
    movq kernel_rsp, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    sti
    ret

    .section .bss
    .align 8
kernel_rsp:
    .skip 8
user_rsp:
    .skip 8

    .section .user, "ax"
/* Work on registers and the stack, and ask by syscall and by int 0x80. */
    .globl user_work, user_sgdt, user_in
user_work:
    movabsq $PATTERN, %rbx
    leaq 1(%rbx), %rbp
    leaq 2(%rbx), %r12
    leaq 3(%rbx), %r13
    leaq 4(%rbx), %r14
    leaq 5(%rbx), %r15
    movl $1000, %ecx
1:  pushq %rbx
    pushq %r15
    popq %rax
    subq $5, %rax
    popq %rdx
    cmpq %rax, %rdx
    jne bad
    leaq 4(%rbx), %rax
    cmpq %rax, %r14
    jne bad
    leaq (%r12, %r13), %rax
    leaq 4(%rbx, %rbp), %rdx
    cmpq %rax, %rdx
    jne bad
    loop 1b
    int $0x80
    movl $CALL_POLL, %edi
    syscall
    jmp user_work
bad:
    movl $CALL_BAD, %edi
    syscall
    jmp bad

/* From a port that harms nobody. */
user_in:
    movl $IO_MAP_PORT, %edx
    inb %dx, %al
    movl $CALL_LEAVE, %edi
    syscall

user_sgdt:
    sgdt -16(%rsp)
    movl $CALL_LEAVE, %edi
    syscall
    .section .note.GNU-stack, "", @progbits
