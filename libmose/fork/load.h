/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A kept device state, loaded into a QEMU that waits for it. */
#pragma once

#include "guest/launch.h"
#include "qemu/ram.h"
#include "switch/facts.h"

typedef struct {
    MoseLaunch *launch; /* the fork's; borrowed, as is */
    MoseRam *ram;       /* what mose_fork_load_prepare() gave for it */
    int state_fd;    /* the kept stream, read from its beginning; stays the caller's */
    guint direction; /* from the guest's accelerator to the fork's (rule.h) */
    const MoseFacts *facts;   /* about both machines, or NULL where they are the same */
    const char *without_rule; /* as in MoseSwitchOptions */
} MoseForkLoad;

/* A tap for a fork, where nobody else is: for MoseLaunchFor. */
int mose_fork_open_tap(const MoseTap *tap, gconstpointer data, GError **error);

/* What can be done before the state is there: the fork's memory, the caller's. */
MoseRam *mose_fork_load_prepare(MoseLaunch *launch, GError **error);

/*
 * Load it, by the rules. The guest's clocks go on from the moment of that state,
 * whenever this is. What the rules change in memory is in the fork's own when this
 * returns. Errors are those of a switch's move.
 */
gboolean mose_fork_load(const MoseForkLoad *load, GError **error);
