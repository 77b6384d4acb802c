/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests on a full KVM, whatever KVM this host has: the program starts itself again in a
 * Linux under TCG whose CPU has SVM and whose kernel has kvm_amd (tests/vm/kvm-in-tcg),
 * and passes on what it says there. The guest's KVM is Linux's own; only the processor
 * below is slow, and in the emulator (TCG inside TCG) a guest is some hundred times
 * slower than a real one: it is to be asked little, by a shell that starts no program.
 *
 * Environment: KVM_IN_TCG, SECONDS_INSIDE, and what lib/vm.h wants; LITMUS goes along
 * where it is set.
 */
#pragma once

#include "lib/vm.h"

typedef struct {
    const char *path;
    void (*run)(void);
} FullKvmTest;

/* The whole main(): run @tests inside, or skip them with the reason. */
int full_kvm_main(int argc, char **argv, const FullKvmTest *tests, gsize n);

/* Have the guest's shell run @command; what it printed, or NULL when it has not ended
 * within @seconds. */
char *full_kvm_ask(const VmGuest *guest, const char *command, int seconds);
