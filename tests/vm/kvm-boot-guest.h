/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A Linux that boots under this host's real KVM, until the line at which it is
 * switched.
 *
 * KVM need not be fit for a general guest: the kernel is switched while it boots. The
 * flags keep it from what a KVM in software cannot do in ring 0; its CPUID may be the
 * host's whatever -cpu says, so the emulator has all features.
 */
#pragma once

#include "lib/vm.h"

/* That line, of Linux 6.1 and 6.12. A KVM in software takes up to a minute to it, a
 * full one less than a second. */
#define KVM_BOOT_LINE "mem auto-init: "
#define KVM_BOOT_SECONDS 240

/* g_test_skip() and TRUE where no guest, or no KVM, is to be had. */
gboolean kvm_boot_cannot_run(void);

/* Start one with @vcpus, and do not wait for it. */
VmGuest *kvm_boot_start(const char *name, int vcpus);
