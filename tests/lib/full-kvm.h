/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests on a full KVM, which any machine can run: the program starts itself again in a
 * Linux under TCG whose CPU has SVM and whose kernel has kvm_amd (tests/vm/kvm-in-tcg),
 * and passes on what it says there.
 *
 * Environment: KVM_IN_TCG, MOSE, MOSE_GUEST_BUILD, SECONDS_INSIDE.
 */
#pragma once

#include "lib/vm.h"

typedef struct {
    guint memory_mb;  /* of that Linux */
    const char *file; /* a variable that names a file which is wanted there; or NULL */
} FullKvm;

gboolean full_kvm_is_inside(void);

/* Run the program with @argv there: its exit status. -1, with a reason in
 * *@ret_why_not, where that cannot be. */
int full_kvm_run(const FullKvm *what, char **argv, const char **ret_why_not);

typedef struct {
    const char *path;
    void (*run)(void);
} FullKvmTest;

/* The whole main(): run @tests there, or skip them with the reason. */
int full_kvm_main(const FullKvm *what, int argc, char **argv, const FullKvmTest *tests,
                  gsize n);

/* There: have the guest's shell run @command; what it printed, or NULL when it has not
 * ended within @seconds. A guest in the emulator (TCG inside TCG) is some hundred times
 * slower than a real one: it is to be asked little, by a shell that starts no program.
 */
char *full_kvm_ask(const VmGuest *guest, const char *command, int seconds);
