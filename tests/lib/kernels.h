/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The demo guest with the kernels of several Debian releases, for tests of what has to
 * be true of any Linux: booted from the bzImage, with KASLR, under TCG; and the witness
 * in it (guest/linux/witness), which makes a known world and tells what it is.
 *
 * Environment: that of vm.h; MOSE_TEST_KERNEL, one of kernels_all, and MOSE_TEST_VCPUS:
 * kernels_add() adds tests of that kernel, and with that many vCPUs, alone.
 */
#pragma once

#include "lib/vm.h"

/* NULL-terminated: what `guest/linux/build --kernel` takes. */
extern const char *const kernels_all[];

/*
 * A new guest of the caller's, once it serves: @name, which goes to `mose run`, the
 * kernel of that version, @n_vcpus, @append for its command line (may be NULL). Where
 * that kernel cannot be had: g_test_skip() with the reason, and NULL.
 */
VmGuest *kernels_guest(const char *name, const char *kernel, guint n_vcpus,
                       const char *append);

/* What all tests of a program share, to look at and not to change. */
typedef struct {
    const char *kernel;
    guint n_vcpus;
    VmGuest *vm;
    char *witness; /* the lines it has told, the last one WITNESS READY */
} KernelsGuest;

typedef void (*KernelsTest)(const KernelsGuest *guest);

/* Whether its kernel is older than that version. */
gboolean kernels_is_older(const KernelsGuest *guest, int major, int minor);

/*
 * Add @test as PATH/KERNEL/VCPUS for each kernel with one vCPU and with four; the guest
 * is booted when the first test needs it. kernels_run_tests() is vm_run_tests() for a
 * program that has such tests.
 */
void kernels_add(const char *path, KernelsTest test);
/* A test that has no kernel to it: where tests of the first kernel are added. */
void kernels_add_once(const char *path, GTestFunc test);
int kernels_run_tests(void);

/* Start the witness in @guest with these @options (may be NULL); what it tells, once it
 * is ready. */
char *kernels_witness(const VmGuest *guest, const char *options);

/* The first line of that @kind in which @name is @value (@name NULL: any), and "" where
 * there is none; to be freed. */
char *kernels_line(const char *witness, const char *kind, const char *name,
                   const char *value);

/* The value of @name in such a line, which must have it; as a number, decimal or 0x...
 */
char *kernels_word(const char *line, const char *name);
guint64 kernels_number(const char *line, const char *name);
