/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What runs inside the probing guest: one entry point a probe, each ending with
 * DONE, and the handlers of exceptions and interrupts. It judges nothing: it
 * leaves values in the data page (host/guest.h) for the host to judge.
 *
 * The code is data to MOSE: it is copied into the guest's memory, so every
 * reference is relative to RIP or a constant of host/guest.h.
 */
#include "host/guest.h"

#define DATA(offset) (GUEST_DATA + (offset))
#define VALUE(n) DATA(GUEST_VALUES + 8 * (n))

/* Leave KVM_RUN; the host may run the vCPU again, which then goes on. */
.macro DONE
    out     %al, $GUEST_PORT_DONE
.endm

/* ... and nothing comes after. */
.macro END
    DONE
777:
    cli
    hlt
    jmp     777b
.endm


/* Handle the next exception as \mode says; RESUME goes on at \label. */
.macro EXPECT mode, label
    lea     \label(%rip), %rax
    mov     %rax, DATA(GUEST_RESUME)
    movq    $\mode, DATA(GUEST_MODE)
.endm

/* Go to ring 3 at \label of the user code, with \flags as RFLAGS. */
.macro ENTER_USER label, flags=2
    pushq   $GUEST_USER_DS
    pushq   $GUEST_USER_STACK
    pushq   $\flags
    pushq   $GUEST_USER_CS
    pushq   $(GUEST_USER + \label - mose_guest_user)
    iretq
.endm

.macro WRITE_MSR msr /* from RAX */
    mov     $\msr, %ecx
    mov     %rax, %rdx
    shr     $32, %rdx
    wrmsr
.endm

.macro READ_MSR msr, to
    mov     $\msr, %ecx
    rdmsr
    shl     $32, %rdx
    or      %rdx, %rax
    mov     %rax, \to
.endm

/* Plain integer work: arithmetic, memory, branches, calls. RDI rounds; RAX. */
.macro WORK
    mov     $1, %eax
1:
    imul    $0x5bd1e995, %rax, %rax
    mov     %rax, -64(%rsp)
    xor     %rdi, %rax
    call    2f
    add     -64(%rsp), %rax
    dec     %rdi
    jnz     1b
    ret
2:
    rol     $7, %rax
    ret
.endm

    .section .rodata.mose_guest, "a", @progbits

#define ENTRY(name)                                                                    \
    .globl name;                                                                       \
    .hidden name;                                                                      \
    name:

    .balign 16
ENTRY(mose_guest_kernel)

/* ---- exceptions: 32 handlers, 16 bytes apart ---- */

.macro HANDLER vector, has_error
    .balign 16
    .if \has_error == 0
    pushq   $0
    .endif
    pushq   $\vector
    jmp     trap
.endm

ENTRY(mose_guest_vectors)
    .set    vector, 0
    .rept   32
    .if (vector == 8) || ((vector >= 10) && (vector <= 14)) || (vector == 17) || (vector == 21) || (vector == 29) || (vector == 30)
    HANDLER vector, 1
    .else
    HANDLER vector, 0
    .endif
    .set    vector, vector + 1
    .endr

ENTRY(mose_guest_vector_user)
    pushq   $0
    pushq   $GUEST_VECTOR_USER
    /* The stack: vector, error code, RIP, CS, RFLAGS, RSP, SS. */
trap:
    push    %rax
    push    %rcx
    mov     16(%rsp), %rax
    mov     %rax, DATA(GUEST_TRAP_VECTOR)
    mov     24(%rsp), %rax
    mov     %rax, DATA(GUEST_TRAP_ERROR)
    mov     32(%rsp), %rax
    mov     %rax, DATA(GUEST_TRAP_RIP)
    mov     40(%rsp), %rax
    mov     %rax, DATA(GUEST_TRAP_CS)
    mov     %cr2, %rax
    mov     %rax, DATA(GUEST_TRAP_CR2)
    incq    DATA(GUEST_TRAPS)
    mov     DATA(GUEST_MODE), %rax
    cmp     $GUEST_TRAP_RETURN, %rax
    je      trap_return
    cmp     $GUEST_TRAP_RESUME, %rax
    je      trap_resume
    cmp     $GUEST_TRAP_MAP, %rax
    je      trap_map
    out     %al, $GUEST_PORT_TRAP
1:
    cli
    hlt
    jmp     1b
trap_map:
    mov     DATA(GUEST_MAP_PTE), %rax
    mov     DATA(GUEST_MAP_VALUE), %rcx
    mov     %rcx, (%rax)
    mov     %cr2, %rax
    invlpg  (%rax)
    movq    $GUEST_TRAP_RESUME, DATA(GUEST_MODE)
trap_return:
    pop     %rcx
    pop     %rax
    add     $16, %rsp
    iretq
trap_resume:
    movq    $GUEST_TRAP_STOP, DATA(GUEST_MODE)
    mov     $GUEST_KERNEL_STACK, %esp
    jmp     *DATA(GUEST_RESUME)

ENTRY(mose_guest_ipi)
    push    %rax
    incq    DATA(GUEST_IPIS)
    jmp     end_of_interrupt
ENTRY(mose_guest_timer)
    push    %rax
    incq    DATA(GUEST_TIMERS)
end_of_interrupt:
    mov     $GUEST_APIC, %eax
    movl    $0, 0xb0(%rax)
    pop     %rax
    iretq

/* ---- ring 0 runs at all ---- */
ENTRY(mose_guest_start)
    movq    $GUEST_MAGIC, VALUE(0)
    END

/* ---- ring 3: syscall, sysret, syscall ---- */
ENTRY(mose_guest_syscall)
    mov     $(GUEST_STAR_USER << 16 | GUEST_KERNEL_CS), %rax
    shl     $32, %rax
    WRITE_MSR 0xc0000081 /* STAR */
    lea     syscall_entry(%rip), %rax
    WRITE_MSR 0xc0000082 /* LSTAR */
    mov     $0x700, %eax /* clear TF, IF, DF */
    WRITE_MSR 0xc0000084 /* FMASK */
    ENTER_USER user_syscall, 0x402
syscall_entry:
    cmp     $2, %rax
    je      1f
    mov     %rcx, VALUE(0)
    mov     %r11, VALUE(1)
    mov     %cs, %eax
    mov     %rax, VALUE(2)
    mov     %rsp, %r10
    mov     $GUEST_KERNEL_STACK, %esp
    pushfq
    popq    VALUE(3)
    mov     %r10, %rsp
    sysretq
1:
    mov     %rdi, VALUE(4)
    mov     %rsi, VALUE(5)
    END

/* ---- ring 3: a software interrupt, twice: return, then stay ---- */
ENTRY(mose_guest_int)
    EXPECT  GUEST_TRAP_RETURN, 1f
    ENTER_USER user_int
1:
    END

/* ---- ring 3: #UD, then #GP of a privileged instruction ---- */
ENTRY(mose_guest_exception)
    EXPECT  GUEST_TRAP_RESUME, 1f
    ENTER_USER user_undefined
1:
    mov     DATA(GUEST_TRAP_VECTOR), %rax
    mov     %rax, VALUE(0)
    mov     DATA(GUEST_TRAP_CS), %rax
    mov     %rax, VALUE(1)
    EXPECT  GUEST_TRAP_RESUME, 2f
    ENTER_USER user_privileged
2:
    END

/* ---- ring 3: a page on demand, then a write to a page that is read-only ---- */
ENTRY(mose_guest_page_fault)
    movq    $(GUEST_PT + (GUEST_DEMAND >> 12) * 8), DATA(GUEST_MAP_PTE)
    movq    $(GUEST_DEMAND | 7), DATA(GUEST_MAP_VALUE)
    EXPECT  GUEST_TRAP_MAP, 1f
    ENTER_USER user_page_fault
1:
    END

/* ---- cmpxchg16b: one that swaps, one that does not ---- */
ENTRY(mose_guest_cmpxchg16b)
    movq    $0x1111, DATA(GUEST_BUFFER)
    movq    $0x2222, DATA(GUEST_BUFFER + 8)
    mov     $0x1111, %eax
    mov     $0x2222, %edx
    mov     $0x3333, %ebx
    mov     $0x4444, %ecx
    lock cmpxchg16b DATA(GUEST_BUFFER)
    setz    VALUE(0)
    lock cmpxchg16b DATA(GUEST_BUFFER)
    setz    VALUE(1)
    mov     %rax, VALUE(2)
    mov     %rdx, VALUE(3)
    END

/* ---- XSAVE and XRSTOR of x87, SSE and (argument 7) AVX state ---- */
ENTRY(mose_guest_xsave)
    mov     %cr4, %rax
    or      $0x40000, %rax /* OSXSAVE */
    mov     %rax, %cr4
    xor     %ecx, %ecx
    xor     %edx, %edx
    mov     DATA(GUEST_ARGUMENT), %rax
    xsetbv
    fninit
    fld1
    cmp     $7, %eax
    je      1f
    movdqu  DATA(GUEST_PATTERN), %xmm0
    xsave64 GUEST_XSAVE
    fninit
    pxor    %xmm0, %xmm0
    xrstor64 GUEST_XSAVE
    movdqu  %xmm0, DATA(GUEST_BUFFER)
    jmp     2f
1:
    vmovdqu DATA(GUEST_PATTERN), %ymm0
    xsave64 GUEST_XSAVE
    fninit
    vpxor   %xmm0, %xmm0, %xmm0
    xrstor64 GUEST_XSAVE
    vmovdqu %ymm0, DATA(GUEST_BUFFER)
2:
    fistpll VALUE(0)
    END

/* ---- int3 in ring 0 ---- */
ENTRY(mose_guest_int3)
    EXPECT  GUEST_TRAP_RETURN, 1f
    int3
1:
    movq    $GUEST_MAGIC, VALUE(0)
    END

/* ---- x87 in ring 0 ---- */
ENTRY(mose_guest_x87)
    fninit
    fld1
    fadd    %st(0), %st(0)
    fwait
    fistpll VALUE(0)
    END

/* ---- GS bases and swapgs ---- */
ENTRY(mose_guest_swapgs)
    mov     $DATA(GUEST_BUFFER), %eax
    WRITE_MSR 0xc0000101 /* GS_BASE */
    mov     $DATA(GUEST_PATTERN), %eax
    WRITE_MSR 0xc0000102 /* KERNEL_GS_BASE */
    swapgs
    mov     %gs:0, %rax
    mov     %rax, VALUE(0)
    READ_MSR 0xc0000101, VALUE(1)
    READ_MSR 0xc0000102, VALUE(2)
    END

/* ---- CPUID in ring 0, then in ring 3 (which leaves by a page fault) ---- */
.macro READ_CPUID leaf, first
    mov     $\leaf, %eax
    xor     %ecx, %ecx
    cpuid
    mov     %rax, VALUE(\first)
    mov     %rbx, VALUE(\first + 1)
    mov     %rcx, VALUE(\first + 2)
.endm
ENTRY(mose_guest_cpuid)
    READ_CPUID 1, 0
    READ_CPUID 0x40000100, 3
    DONE
    EXPECT  GUEST_TRAP_RESUME, 1f
    ENTER_USER user_cpuid
1:
    END

/* ---- TSC: does it ever go back, and what is it now; again and again ---- */
ENTRY(mose_guest_tsc)
    mov     $200, %esi
    xor     %edi, %edi
1:
    rdtsc
    shl     $32, %rdx
    or      %rdx, %rax
    cmp     %rdi, %rax
    jae     2f
    incq    VALUE(1)
2:
    mov     %rax, %rdi
    dec     %esi
    jnz     1b
    mov     %rdi, VALUE(0)
    DONE
    jmp     mose_guest_tsc

/* ---- local APIC: an IPI to itself, then its timer out of hlt ---- */
ENTRY(mose_guest_lapic)
    mov     $GUEST_APIC, %ebx
    movl    $0, 0x80(%rbx)     /* TPR */
    movl    $0x1ff, 0xf0(%rbx) /* SVR: enabled, spurious vector 0xff */
    sti
    movl    $(0x44000 | GUEST_VECTOR_IPI), 0x300(%rbx) /* ICR: self, assert */
    mov     $2000, %ecx
1:
    cmpq    $0, DATA(GUEST_IPIS)
    jne     2f
    pause
    dec     %ecx
    jnz     1b
2:
    cli
    movl    $0xb, 0x3e0(%rbx)                  /* divide by 1 */
    movl    $GUEST_VECTOR_TIMER, 0x320(%rbx)   /* one shot */
    movl    $500000, 0x380(%rbx)
3:
    cli
    cmpq    $0, DATA(GUEST_TIMERS)
    jne     4f
    sti
    hlt
    jmp     3b
4:
    END

/* ---- speed of ring 0: ARGUMENT rounds of work, again and again ---- */
ENTRY(mose_guest_speed)
    mov     DATA(GUEST_ARGUMENT), %rdi
    call    1f
    mov     %rax, VALUE(0)
    DONE
    jmp     mose_guest_speed
1:
    WORK

/* ---- page tables: map, touch and unmap ARGUMENT pages, again and again ---- */
ENTRY(mose_guest_paging)
    mov     DATA(GUEST_ARGUMENT), %rcx
    xor     %r8d, %r8d
1:
    mov     %ecx, %esi
    and     $(GUEST_SCRATCH_PAGES - 1), %esi
    mov     %esi, %edi
    shl     $12, %edi
    add     $GUEST_SCRATCH, %edi
    lea     3(%rdi), %rax
    mov     %rax, GUEST_PT + (GUEST_SCRATCH >> 12) * 8(, %rsi, 8)
    invlpg  (%rdi)
    mov     %rcx, (%rdi)
    add     (%rdi), %r8
    movq    $0, GUEST_PT + (GUEST_SCRATCH >> 12) * 8(, %rsi, 8)
    invlpg  (%rdi)
    dec     %rcx
    jnz     1b
    mov     %r8, VALUE(0)
    DONE
    jmp     mose_guest_paging

ENTRY(mose_guest_kernel_end)

    .balign 16
ENTRY(mose_guest_user)

user_syscall:
    mov     $1, %eax
    syscall
ENTRY(mose_guest_syscall_return)
    mov     %cs, %edi
    mov     %ss, %esi
    mov     $2, %eax
    syscall
    ud2

user_int:
    int     $GUEST_VECTOR_USER
    movq    $GUEST_MAGIC, VALUE(0)
    movq    $GUEST_TRAP_RESUME, DATA(GUEST_MODE)
    int     $GUEST_VECTOR_USER
    ud2

user_undefined:
    ud2

user_privileged:
    cli
    ud2

user_page_fault:
    mov     GUEST_DEMAND, %rax
    mov     %rax, VALUE(0)
    mov     DATA(GUEST_TRAP_ERROR), %rax
    mov     %rax, VALUE(1)
    mov     DATA(GUEST_TRAP_CR2), %rax
    mov     %rax, VALUE(2)
    movq    $1, GUEST_READONLY
    ud2

user_cpuid:
    READ_CPUID 1, 6
    READ_CPUID 0x40000100, 9
    movq    $1, GUEST_READONLY
    ud2

ENTRY(mose_guest_user_end)

    .text
    .globl  mose_native_work
    .hidden mose_native_work
    .type   mose_native_work, @function
mose_native_work:
    WORK
    .size   mose_native_work, . - mose_native_work

    .section .note.GNU-stack, "", @progbits
