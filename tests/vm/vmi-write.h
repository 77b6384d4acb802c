/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of writing share: vmi-write.c has the guest and most of them,
 * vmi-write-death.c those who die, vmi-write-litmus.c guests without a Linux. */
#pragma once

#include "lib/kernels.h"
#include "vm/debug-guest.h"

#define PAGE 4096

/* g_test_skip() and TRUE where no guest can run. Otherwise it (debug_guest) runs, with
 * the witness in it, to whose memory is written. */
gboolean write_cannot_run(void);

/* Its pid; the address of its mapping of @kind; an address as text; to be freed. */
char *write_pid(void);
guint64 write_mapping(const char *kind);
char *write_place(guint64 address);

/* The program as a writer that dies: --write NAME PHYSICAL STEP. */
int write_die(char **argv);

void test_write_mode(void);
void test_write_death(void);
void test_write_kvm(void);
void test_write_unknown(void);
