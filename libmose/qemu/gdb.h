/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client of QEMU's gdb stub, for an x86-64 machine: vCPUs are its "threads".
 *
 * Synchronous, used by one thread. While the guest runs, the stub takes any byte as
 * the wish to stop it (gdbstub/gdbstub.c:gdb_read_byte), so nothing can be asked
 * then (INVALID) but mose_gdb_interrupt() and mose_gdb_wait_stop(). Whoever vanishes
 * leaves his breakpoints behind: switch/debug.h guards against that.
 *
 * Errors name the packet: FAILED (the stub answered with an error), UNSUPPORTED (it
 * does not know the packet), INVALID (what it sent is no answer), TIMEOUT, CLOSED.
 * After the last three the client answers nothing but CLOSED.
 */
#pragma once

#include <glib.h>

typedef struct MoseGdb MoseGdb;

/*
 * Begin on @fd, which is taken over: a socket of a stub that has stopped its guest, as
 * QEMU's does when somebody connects (gdbstub/system.c:gdb_chr_event). @name is for
 * errors, @timeout_ms the limit of each packet with its answer.
 */
MoseGdb *mose_gdb_new(int fd, const char *name, int timeout_ms, GError **error);
void mose_gdb_free(MoseGdb *gdb);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseGdb, mose_gdb_free)

/* --- vCPUs --- */

/* A vCPU by the stub's number: cpu_index + 1 (gdbstub/system.c:gdb_get_cpu_index). */
typedef struct {
    guint process; /* 0 where the stub does not name processes */
    guint thread;
} MoseGdbThread;

/* All of them, as an array of MoseGdbThread. */
GArray *mose_gdb_threads(MoseGdb *gdb, GError **error);

/* Whose registers and address space the calls below mean. After a stop it is the vCPU
 * that stopped (gdb_set_stop_cpu). */
gboolean mose_gdb_select(MoseGdb *gdb, MoseGdbThread thread, GError **error);

/* --- registers and memory --- */

/* Their numbers (target/i386/gdbstub.c). x87 (33-48), XMM (49-64) and MXCSR (65)
 * follow; they are read, not written. */
enum {
    MOSE_GDB_RAX,
    MOSE_GDB_RBX,
    MOSE_GDB_RCX,
    MOSE_GDB_RDX,
    MOSE_GDB_RSI,
    MOSE_GDB_RDI,
    MOSE_GDB_RBP,
    MOSE_GDB_RSP,
    MOSE_GDB_R8, /* to R15 = 15 */
    MOSE_GDB_RIP = 16,
    MOSE_GDB_EFLAGS,
    MOSE_GDB_CS,
    MOSE_GDB_SS,
    MOSE_GDB_DS,
    MOSE_GDB_ES,
    MOSE_GDB_FS,
    MOSE_GDB_GS,
    MOSE_GDB_FS_BASE,
    MOSE_GDB_GS_BASE,
    MOSE_GDB_K_GS_BASE,
    MOSE_GDB_CR0,
    MOSE_GDB_CR2,
    MOSE_GDB_CR3,
    MOSE_GDB_CR4,
    MOSE_GDB_CR8,
    MOSE_GDB_EFER,
    MOSE_GDB_N_WORDS, /* those that have at most 8 bytes */
};

#define MOSE_GDB_REGISTERS_SIZE 608

typedef struct {
    guint8 bytes[MOSE_GDB_REGISTERS_SIZE]; /* as packet `g` has them */
    guint64 changed;                       /* bit n: register n was set */
} MoseGdbRegisters;

guint64 mose_gdb_register(const MoseGdbRegisters *registers, guint number);
void mose_gdb_register_set(MoseGdbRegisters *registers, guint number, guint64 value);

gboolean mose_gdb_read_registers(MoseGdb *gdb, MoseGdbRegisters *ret, GError **error);

/*
 * Write those that were set since they were read, one by one. Not by `G`: QEMU 10.0
 * takes 4 bytes of each control register of 8 outside 64-bit code (target/i386/
 * gdbstub.c:gdb_write_reg_cs64), and puts the x87 registers, which `g` gives from the
 * top of the stack, to where the bottom is. Before each write `g` is asked: only it
 * fetches the registers from KVM, without which the write would be lost.
 */
gboolean mose_gdb_write_registers(MoseGdb *gdb, const MoseGdbRegisters *registers,
                                  GError **error);

/* Any number of bytes at a virtual address of the vCPU's, by requests of at most
 * MOSE_GDB_MEMORY_MAX (the stub's limit is half of its packet of 4,096). */
#define MOSE_GDB_MEMORY_MAX 2000
gboolean mose_gdb_read_memory(MoseGdb *gdb, guint64 address, void *to, gsize len,
                              GError **error);
gboolean mose_gdb_write_memory(MoseGdb *gdb, guint64 address, const void *from,
                               gsize len, GError **error);

/*
 * The same at a guest-physical address (QEMU's Qqemu.PhyMemMode). It is for RAM: what
 * is written to a device is done by the device. The mode is QEMU's, not the
 * connection's (gdbstub/system.c: phy_memory_mode): whoever begins a session sets it
 * back (mose_gdb_reset_mode()), as one that died may have left it.
 */
gboolean mose_gdb_write_physical(MoseGdb *gdb, guint64 address, const void *from,
                                 gsize len, GError **error);
gboolean mose_gdb_reset_mode(MoseGdb *gdb, GError **error);

/* --- breakpoints and watchpoints --- */

/* The numbers are the protocol's. Under KVM SOFTWARE writes int3 into the guest's
 * memory (accel/kvm: kvm_arch_insert_sw_breakpoint), the others take one of the four
 * debug registers. Under TCG nothing of the guest's is touched. */
typedef enum {
    MOSE_GDB_SOFTWARE,
    MOSE_GDB_HARDWARE,
    MOSE_GDB_WRITES,
    MOSE_GDB_READS,
    MOSE_GDB_ACCESSES,
    MOSE_GDB_N_KINDS,
} MoseGdbKind;

typedef struct {
    MoseGdbKind kind;
    guint64 address;
    guint length; /* of the data watched: 1, 2, 4 or 8; of a breakpoint: 1 */
} MoseGdbPoint;

/* They hold for all vCPUs. What is inserted twice is there twice (TCG). */
gboolean mose_gdb_insert(MoseGdb *gdb, const MoseGdbPoint *point, GError **error);

/* FAILED where there is none. */
gboolean mose_gdb_remove(MoseGdb *gdb, const MoseGdbPoint *point, GError **error);

/* --- running --- */

typedef struct {
    /* As gdb counts them: 5 a breakpoint or a step, 2 stopped from outside, others by
     * QEMU's run state (gdbstub/system.c:gdb_vm_state_change). */
    int signal;
    MoseGdbThread thread;
    gboolean watched; /* a watchpoint: of this kind, by this address */
    MoseGdbKind kind;
    guint64 address;
} MoseGdbStop;

/* All vCPUs run. One that stands at a breakpoint hits it again at once. */
gboolean mose_gdb_continue(MoseGdb *gdb, GError **error);

/* @thread alone runs, for one instruction, over a breakpoint at it. A hlt may take for
 * ever: the stub lets no interrupt in meanwhile where it can (SSTEP_NOIRQ). */
gboolean mose_gdb_step(MoseGdb *gdb, MoseGdbThread thread, GError **error);

/* Ask for a stop; mose_gdb_wait_stop() gets it, or the stop that came first. */
gboolean mose_gdb_interrupt(MoseGdb *gdb, GError **error);

/*
 * Wait until the guest stops; @timeout_ms negative: for ever. TIMEOUT, and INTERRUPTED
 * when @cancel_fd (or -1) becomes readable, leave it running. CLOSED when QEMU ends.
 */
gboolean mose_gdb_wait_stop(MoseGdb *gdb, int timeout_ms, int cancel_fd,
                            MoseGdbStop *ret, GError **error);

/* Take leave: the stub removes what is left of the breakpoints and lets the guest run,
 * even one that was paused before (gdbstub/gdbstub.c:handle_detach). */
gboolean mose_gdb_detach(MoseGdb *gdb, GError **error);
