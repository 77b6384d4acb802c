/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A memory of a few pages laid out as Linux does, and the stream of its two vCPUs, for
 * tests of the rules that look into a kernel.
 */
#pragma once

#include "lib/rule-world.h"
#include "stream/rules/kernel-view.h"

#define LINUX_KHZ 3200000u
#define LINUX_TSC 1000000000u
#define LINUX_CLOCK 5000000u

/* Physical pages. There are tables for the image, for per-CPU data in the direct map,
 * and for the fixmap. */
enum {
    LINUX_PML4 = 0x2000,
    LINUX_USER_PML4 = 0x3000, /* of page-table isolation: empty */
    LINUX_IMAGE_PDPT = 0x4000,
    LINUX_IMAGE_PD = 0x5000,
    LINUX_IMAGE_PT = 0x6000,
    LINUX_DIRECT_PDPT = 0x7000,
    LINUX_DIRECT_PD = 0x8000,
    LINUX_DIRECT_PT = 0x9000,
    LINUX_TEXT = 0xa000,
    LINUX_RODATA = 0xb000,
    LINUX_DATA = 0xc000,
    LINUX_AREAS = 0xd000, /* a page each */
    LINUX_FIX_PD = 0xf000,
    LINUX_FIX_PT = 0x10000,
    LINUX_RAM = 0x11000,
};
#define LINUX_V_TEXT MOSE_KERNEL_IMAGE
#define LINUX_V_RODATA (MOSE_KERNEL_IMAGE + 0x1000)
#define LINUX_V_DATA (MOSE_KERNEL_IMAGE + 0x2000)
#define LINUX_V_AREAS G_GUINT64_CONSTANT(0xffff888000000000)
/* The only page of the fixmap: the local APIC. */
#define V_APIC G_GUINT64_CONSTANT(0xffffffffff5fd000)
#define P_APIC 0xfee00000u

typedef struct {
    guint8 ram[LINUX_RAM];
    MoseDoc *doc;
    MoseSection *cpu[2], *apic[2], *common[2], *timer;
    const char *const *lost;
} LinuxWorld;

/* Both vCPUs are in the kernel, with interrupts on. */
LinuxWorld *linux_world_new(void);
void linux_world_free(LinuxWorld *world);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LinuxWorld, linux_world_free)

/* Set eight bytes of its memory; a field of a section. */
void linux_put(LinuxWorld *world, guint64 at, guint64 value);
void linux_set(MoseSection *section, const char *path, guint64 value);

/* Run @rule on it: what it plans to write is written at once. In the second it must go
 * well; whether it changed something. */
gboolean linux_run(LinuxWorld *world, const char *rule, guint direction,
                   gboolean *ret_changed, GError **error);
gboolean linux_run_well(LinuxWorld *world, const char *rule, guint direction);

/* It fails with @code and @why, and has written nothing. */
void linux_expect(LinuxWorld *world, const char *rule, guint direction, int code,
                  const char *why);
