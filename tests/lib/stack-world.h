/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A kernel of which there is no more than what stacks and modules need: types, symbols,
 * and a piece of memory that the test fills. For tests of orc.h, unwind.h, modules.h.
 */
#pragma once

#include "lib/vmi-world.h"
#include "vmi/linux/linux.h"

/* Its memory: tables and stacks, and a task. */
#define STACK_WORLD_BASE G_GUINT64_CONSTANT(0xffffffff82000000)
enum { STACK_WORLD_SIZE = 64 << 10 };

/* What is where in it. Entries of ORC: STACK_WORLD_N of them. */
#define STACK_WORLD_IPS (STACK_WORLD_BASE + 0x1000)
#define STACK_WORLD_ENTRIES (STACK_WORLD_BASE + 0x2000)
#define STACK_WORLD_TASK (STACK_WORLD_BASE + 0x3000)
#define STACK_WORLD_MODULES (STACK_WORLD_BASE + 0x3800) /* the list's head */
#define STACK_WORLD_MODULE (STACK_WORLD_BASE + 0x4000)
#define STACK_WORLD_STACK (STACK_WORLD_BASE + 0x8000) /* of 16 kB */
enum { STACK_WORLD_N = 8 };

/* Code, which is nowhere: function @n of 0x100 bytes, for which ORC entry @n holds. */
#define STACK_WORLD_TEXT G_GUINT64_CONSTANT(0xffffffff81000000)
#define STACK_WORLD_FUNCTION(n) (STACK_WORLD_TEXT + (n)*0x100)

/* Offsets in its structs. */
enum {
    TASK_STACK = 0,
    TASK_ON_CPU = 8,
    TASK_NVCSW = 16,
    TASK_NIVCSW = 24,
    TASK_RETHOOKS = 32,
    TASK_RET_STACK = 40,
    TASK_CURR_RET_STACK = 48,
    TASK_MM = 56,
    TASK_SP = 64, /* thread.sp */
    FRAME_BP = 40,
    FRAME_RET = 48,
    FRAME_SIZE = 56,
    NODE_LIST = 16,
    NODE_RET = 32,
    NODE_FRAME = 40,
    MODULE_STATE = 0,
    MODULE_LIST = 8,
    MODULE_NAME = 24,
    MODULE_INIT = 80,
    MODULE_MEM = 88, /* seven of 24 bytes: base, size */
    MODULE_TAINTS = 256,
    MODULE_KALLSYMS = 264,
    MODULE_SYMS = 272,
    MODULE_NUM_SYMS = 280,
    MODULE_SOURCE_LIST = 288,
    MODULE_EXIT = 304,
    MODULE_REFCNT = 312,
    MODULE_ORCS = 320, /* num_orcs, orc_unwind_ip, orc_unwind */
    MODULE_SIZE = 384,
    KALLSYMS_SYMTAB = 0,
    KALLSYMS_NUM = 8,
    KALLSYMS_STRTAB = 16,
    KALLSYMS_TYPETAB = 24,
};

typedef struct {
    VmiWorld *world;
    MoseMemory *memory;
    MoseLinux *kernel;
} StackWorld;

/*
 * With zeros in its memory, but for an empty list of modules, and with no entry in
 * BTF that tells of ORC's: `schedule`, `kfree` and `vprintk` are function 1,
 * `entry_SYSCALL_64` is 0, `arch_rethook_trampoline` 7.
 */
StackWorld *stack_world_new(void);
void stack_world_free(StackWorld *world);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StackWorld, stack_world_free)

/* Write a number there. */
void stack_world_put(StackWorld *world, guint64 at, guint64 value, gsize size);

/* Entry @n of ORC, as its six bytes; all of them are given their functions. */
void stack_world_entry(StackWorld *world, guint n, gint16 sp_offset, gint16 bp_offset,
                       guint8 registers, guint8 upper);
