/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the kernel's stacks are on which a task, or a CPU, may run. */
#pragma once

#include "vmi/linux/linux.h"

typedef struct {
    const char *name; /* "task", "IRQ", "NMI", "#DF", "entry", ... */
    guint64 begin, end;
    gboolean visited;
} MoseStack;

/*
 * That of the task at @task; and, with @cpu >= 0, those of that CPU: for interrupts,
 * exceptions and for entry (Linux
 * arch/x86/kernel/dumpstack_64.c:get_stack_info_noinstr). Of MoseStack. NOT_FOUND for a
 * task that has none any more. Free with g_array_unref().
 */
GArray *mose_stacks_of(MoseLinux *kernel, guint64 task, int cpu, GError **error);

/* The stack of @stacks that has all @len bytes at @address; NULL: none. */
MoseStack *mose_stack_at(const GArray *stacks, guint64 address, gsize len);
