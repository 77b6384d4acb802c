/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Both ends of what two hosts do for each other's guests: `mose receive`, which serves
 * one connection, and the fetching of a guest that is on the other host.
 */
#pragma once

#include "guest/guest.h"
#include "switch/switch.h"

/* Serve the connection of @link (taken over) until the other side has ended it. Only
 * what kept us from serving is an error: what went wrong with a guest was answered. */
gboolean mose_receive(MoseLink *link, GError **error);

/* Options of a fetch: those of a switch that mean something there. */
typedef struct {
    MoseSide side;
    guint max_downtime_ms;
    guint64 bytes_per_second;
    gboolean overcommit;
    const char *without_rule;
    void (*progress)(const MoseSwitchProgress *progress, gpointer data); /* or NULL */
    gpointer data;
    int interrupt_fd; /* 0: none */
} MoseFetchOptions;

/*
 * Bring @guest, which is locked, recovered and away, to this host by @end, on which its
 * host was reached. On failure it stays there, running if it did.
 */
gboolean mose_fetch(MoseGuest *guest, MoseFarEnd *end, const MoseFetchOptions *options,
                    JsonObject **ret_report, GError **error);
