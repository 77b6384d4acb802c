/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stacks of a Linux kernel, unwound by ORC (orc.h) as the kernel does it itself
 * (arch/x86/kernel/unwind_orc.c): nothing is guessed. What cannot be gone on with, is
 * said.
 */
#pragma once

#include "vmi/linux/orc.h"
#include "vmi/linux/stacks.h"
#include "vmi/vcpu.h"

/* The words of struct pt_regs; the last five are pushed by the CPU (SDM 3A, 6.14.2). */
enum {
    MOSE_REGS_R15,
    MOSE_REGS_R14,
    MOSE_REGS_R13,
    MOSE_REGS_R12,
    MOSE_REGS_BP,
    MOSE_REGS_BX,
    MOSE_REGS_R11,
    MOSE_REGS_R10,
    MOSE_REGS_R9,
    MOSE_REGS_R8,
    MOSE_REGS_AX,
    MOSE_REGS_CX,
    MOSE_REGS_DX,
    MOSE_REGS_SI,
    MOSE_REGS_DI,
    MOSE_REGS_ORIG_AX,
    MOSE_REGS_IP,
    MOSE_REGS_CS,
    MOSE_REGS_FLAGS,
    MOSE_REGS_SP,
    MOSE_REGS_SS,
    MOSE_REGS_WORDS,
};

typedef struct {
    guint64 ip;
    gboolean exact;    /* it stands, or was interrupted, at ip; else it called, and the
                        * call    returns to ip */
    const char *stack; /* its name; NULL where it is on none that is known */
    guint64 regs;      /* the pt_regs that told of ip, if any; 0: none */
    gboolean partial;  /* of which only the last five words are */
    guint64 words[MOSE_REGS_WORDS]; /* these registers */
} MoseFrame;

/* A trace that is longer than all words of a stack goes in circles. */
#define MOSE_BACKTRACE_MAX 4096

typedef struct {
    GArray *frames; /* MoseFrame, the innermost first */
    char *why;      /* it ends before its end, because of that; NULL: it is complete */
    gboolean from_user; /* it ends where user code was left, with these registers */
    guint64 user[MOSE_REGS_WORDS];
    GByteArray *user_stack; /* what was on its stack then, from its sp on; or NULL */
    guint64 user_stack_at;
} MoseBacktrace;

void mose_backtrace_free(MoseBacktrace *trace);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseBacktrace, mose_backtrace_free)

/*
 * The stack of the task at @task, which does not run. AGAIN where it does, or ran
 * meanwhile (mose_linux_retry()); NOT_FOUND where it has no stack. @with_user: keep
 * what is on its own stack, too (64 kB at most).
 */
MoseBacktrace *mose_backtrace_task(MoseOrc *orc, guint64 task, gboolean with_user,
                                   GError **error);

/*
 * That of the vCPU with these registers, which Linux numbers @cpu, and on which @task
 * runs: in user code without frames. To be called while the guest stands still
 * (memory.h: mose_memory_still()).
 */
MoseBacktrace *mose_backtrace_vcpu(MoseOrc *orc, const MoseVcpu *vcpu, guint cpu,
                                   guint64 task, gboolean with_user, GError **error);

/* @frame as the kernel prints it: "schedule+0x5e/0xd0", "virtnet_poll+0x1/0x2
 * [virtio_net]", or its number. Free with g_free(). */
char *mose_frame_name(MoseLinux *kernel, const MoseFrame *frame);

/*
 * Where a function returns to whose return address at @slot is that of a trampoline of
 * ftrace's or kprobes' (@ip): the true one, from the lists of the task at @task; @ip
 * where it is none. FALSE: it is one, and its list does not have it.
 */
gboolean mose_unwind_true_return(MoseLinux *kernel, guint64 task, guint64 slot,
                                 guint64 *ip, GError **error);
