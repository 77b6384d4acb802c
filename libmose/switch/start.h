/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The beginning of a guest's life. */
#pragma once

#include "guest/guest.h"

typedef struct {
    const char *accel;        /* "auto", "kvm" or "tcg" */
    const char *cpu;          /* "portable", or a value for -cpu; NULL: the user's -cpu
                                 among QEMU's options, else "portable" */
    const char *emulator_cpu; /* a value for -cpu of the emulator; NULL: as cpu */
    gboolean overcommit;      /* start even if the host has less memory */
    gboolean ram_private;     /* QEMU's own memory instead of shared */
    int interrupt_fd;         /* readable when the user wants no more of it; 0: none */
} MoseStartOptions;

/*
 * Start guest @name as @spec (taken over) says. *@ret_reason tells why "auto"
 * chose its accelerator. The guest returned is locked. On failure, and where this
 * process dies before the guest runs, there is no guest and no trace of it.
 */
MoseGuest *mose_start(const char *name, MoseSpec *spec, const MoseStartOptions *options,
                      char **ret_reason, GError **error);

/* Which accelerator "auto" takes on this host, and why. */
const char *mose_choose_accel(char **ret_reason);
