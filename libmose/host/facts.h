/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What else of this host matters to a switch: its TSC, its memory, how shared
 * memory gets huge pages, where guests' directories lie. Read from /proc, /sys
 * and CPUID; nothing is changed. KVM is in fitness.h.
 */
#pragma once

#include <glib.h>

typedef struct {
    gboolean tsc_constant;  /* same rate at every frequency of the processor */
    gboolean tsc_nonstop;   /* goes on in deep sleep */
    guint64 tsc_khz;        /* measured, within 1 % */
    char *clocksource;      /* the kernel's; NULL if unknown */
    guint64 mem_available;  /* bytes, MemAvailable */
    guint64 mem_limit;      /* bytes, the nearest cgroup's; G_MAXUINT64: none */
    char *shmem_huge_pages; /* "never", "advise", ...; NULL: kernel without */
    char *runtime_dir;      /* where guests' directories lie; NULL: nowhere, */
    GError *no_runtime;     /* because of this */
} MoseHostFacts;

MoseHostFacts *mose_host_facts_new(void);
void mose_host_facts_free(MoseHostFacts *facts);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseHostFacts, mose_host_facts_free)

/* The chosen word of a file like "always [never] deny", or NULL. */
char *mose_host_chosen_word(const char *text);

/* The value of "Name:  123 kB" in @text, in bytes; 0 if it is not there. */
guint64 mose_host_meminfo(const char *text, const char *name);

/* The directory of the cgroup of controller @controller ("" for version 2) in
 * the text of /proc/self/cgroup, or NULL. */
char *mose_host_cgroup_path(const char *text, const char *controller);
