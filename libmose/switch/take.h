/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest taken from another host: the destination's half of a switch between two. The
 * other half, which asks for each step, is move-far.c.
 *
 * Until the commit, whatever ends this (the link's end, an error, the user) ends the
 * guest's new process, and nothing is left of it. The other host's word "commit" counts
 * only within a lease that begins with our "ready": after that no commit is possible
 * here any more, which the other host relies on where it hears nothing from us.
 */
#pragma once

#include "guest/guest.h"
#include "switch/doubt.h"

/* How long "commit" is waited for after "ready", */
#define MOSE_LEASE_MS 5000
/* ... and after that, by another host's clock, no commit can be under way. */
#define MOSE_LEASE_OVER_MS (MOSE_LEASE_MS + 2000)

typedef struct {
    /* The guest that comes home, locked, borrowed; NULL: a new one. */
    MoseGuest *home;
    int interrupt_fd; /* readable when the user wants no more of it; 0: none */
    /* What the other host tells of the copy, as it goes; or NULL. */
    void (*progress)(JsonObject *progress, gpointer data);
    gpointer data;
} MoseTakeOptions;

/*
 * Serve @request ("take") and what follows it. TRUE: the guest is here, and
 * *@ret_report, the caller's, is what the other host tells of the switch (NULL where it
 * did not any more). Errors were told to the other host, where it still listens.
 * *@ret_taken is whose the guest is, also where something that had to follow went
 * wrong; UNKNOWN: the guardians see to it.
 */
gboolean mose_take(MoseFarEnd *end, JsonObject *request, const MoseTakeOptions *options,
                   MoseDoubt *ret_taken, JsonObject **ret_report, GError **error);
