/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One fork on its way into life: the steps of fork.c for each of them. */
#pragma once

#include "fork/fork.h"
#include "guest/journal.h"
#include "guest/launch.h"
#include "qemu/ram.h"
#include "switch/facts.h"

/* What it is made of, the same for all that are made at once. */
typedef struct {
    MoseGuest *guest;
    const MoseForkOptions *options;
    MoseProcess *process; /* the guest's */
    int state_fd;         /* its kept state */
    MoseFactSet
        *facts; /* about the guest's machine and a fork's, once they are known */
} MoseForkSource;

typedef struct {
    MoseGuest *guest; /* the fork */
    MoseJournal *journal;
    MoseLaunch *launch;
    MoseRam *ram; /* its memory, once it is ready */
} MoseNewborn;

/* Make the directory of fork @name, which says what it is before anything runs in it.
 */
MoseNewborn *mose_newborn_new(const char *name, const MoseForkSource *source,
                              GError **error);

/* Start its QEMU over the guest's memory @ram_fd (the caller's), without waiting for
 * it. */
gboolean mose_newborn_begin(MoseNewborn *newborn, const MoseForkSource *source,
                            int ram_fd, GError **error);

/* Wait for it, and have all ready for the state. At any time after it has begun; once
 * more is no error. */
gboolean mose_newborn_get_ready(MoseNewborn *newborn, const MoseForkSource *source,
                                GError **error);

/* Load the kept state, let it run, and write down that there is such a guest. */
gboolean mose_newborn_finish(MoseNewborn *newborn, MoseForkSource *source,
                             GError **error);

/* It never was; then, and otherwise, the end of what we know of it. */
void mose_newborn_undo(MoseNewborn *newborn);
void mose_newborn_free(MoseNewborn *newborn);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseNewborn, mose_newborn_free)
