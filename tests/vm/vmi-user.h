/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of processes and their memory share: vmi-read.c has those of reading,
 * vmi-user.c those of ELF objects. */
#pragma once

#include "lib/kernels.h"
#include "vmi/linux/user.h"

/* The guest, opened by the library. It has the monitor that `mose` needs as well. */
typedef struct {
    MoseGuest *guest;
    MoseMemory *memory;
    MoseLinux *kernel;
} Opened;

void opened_begin(Opened *opened, const KernelsGuest *guest);
void opened_clear(Opened *opened);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Opened, opened_clear)

MoseTask *opened_task(const Opened *opened, const char *word);
MoseUser *opened_user(const Opened *opened, const MoseTask *task);

/* The witness's pid as text; to be freed. */
char *witness_pid(const KernelsGuest *guest);

/* What the 8-byte word at @index of contents made with @seed is
 * (guest/linux/witness/witness.h). */
guint64 pattern_word(guint64 seed, guint64 index);

/* vmi-cat.c: those of files. */
void vmi_cat_add(void);

void test_read_patterns(const KernelsGuest *guest);
void test_read_places(const KernelsGuest *guest);
void test_read_empty(const KernelsGuest *guest);
void test_read_kernel(const KernelsGuest *guest);
void test_read_partial(const KernelsGuest *guest);
