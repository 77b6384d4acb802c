/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests on a full KVM, which any machine can run: the program starts itself again in a
 * Linux under TCG whose CPU has SVM and whose kernel has kvm_amd (tests/vm/kvm-in-tcg),
 * and passes on what it says there.
 *
 * Environment: KVM_IN_TCG, MOSE, MOSE_GUEST_BUILD, SECONDS_INSIDE.
 */
#pragma once

#include <glib.h>

typedef struct {
    guint memory_mb;  /* of that Linux */
    const char *file; /* a variable that names a file which is wanted there; or NULL */
} FullKvm;

gboolean full_kvm_is_inside(void);

/* Run the program with @argv there: its exit status. -1, with a reason in
 * *@ret_why_not, where that cannot be. */
int full_kvm_run(const FullKvm *what, char **argv, const char **ret_why_not);
