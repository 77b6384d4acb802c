/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's state as `list` and `status` show it. */
#pragma once

#include "guest/guest.h"

typedef struct {
    char *name;
    MoseGuest *guest; /* NULL when its description can't be read */
    const char *side; /* "-" when unknown */
    const char *accel;
    char *run_state; /* QEMU's word, or one of mose-list(1)'s */
    char *trouble;   /* the reason for one of the latter, or NULL */
    pid_t pid;       /* 0 unless the guest's process runs */
} MoseState;

/* See to what forks of guest @name, or it as one, have left, if nobody else has: those
 * that are to end, and memory that is still frozen for them. A switch may be needed for
 * that: not from a thread. */
void mose_state_tidy(const char *name);

/* Never fails: says what it found. An interrupted switch is recovered first, and
 * an end noted, when no other command holds the guest. */
MoseState *mose_state_read(const char *name);
void mose_state_free(MoseState *state);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseState, mose_state_free)

/* What @run_state means for the guest: ", " and words, or "" where QEMU's name for it
 * says enough. */
const char *mose_state_words(const char *run_state);

JsonObject *mose_state_to_json(const MoseState *state);
