/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Looking from outside at what a guest's own /proc says before and after: at paths and
 * mounts of each sort, which are made there, and at the witness's world.
 */
#pragma once

#include "lib/kernels.h"

typedef struct {
    const KernelsGuest *guest;
    GHashTable *before; /* proc_dump() */
} ProcLook;

/* Make that world, if this guest has none yet, and read its /proc. */
ProcLook proc_look_begin(const KernelsGuest *guest);

/* What has not changed since, as proc_dump() has it; at most @max of those called
 * "PID/what" did. @look is empty then. */
GHashTable *proc_look_end(ProcLook *look, const char *what, guint max);

/* What `mose COMMAND GUEST PID` prints; NULL: that process is gone. */
char *proc_look_mose(const KernelsGuest *guest, const char *command, int pid);

/* That of each process that has a "PID/what", by that name. */
GHashTable *proc_look_at_all(const ProcLook *look, const char *what,
                             const char *command);

/* @what and @name are for the error, which shows both texts. */
void proc_look_assert_same(const char *what, const char *name, const char *got,
                           const char *expected);
