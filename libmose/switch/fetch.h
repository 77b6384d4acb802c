/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest that is on another host, brought home. */
#pragma once

#include "guest/guest.h"
#include "switch/switch.h"

/* Options of a fetch: those of a switch that mean something there. */
typedef struct {
    MoseSide side;
    guint max_downtime_ms;
    guint64 bytes_per_second;
    guint channels;     /* with @tcp */
    MoseTcpOptions tcp; /* its address is one of this host */
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
