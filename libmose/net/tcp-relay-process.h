/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The process of a relay; see tcp-relay.h. */
#pragma once

#include <glib.h>

#include "net/tls.h"

/* Shared with who has started it. */
typedef struct {
    gint told; /* atomic: there is a text */
    char text[512];
} MoseTcpReport;

typedef struct {
    int listener, life;
    gboolean accepts; /* TCP, and connects to @path; else the other way */
    const char *token, *path, *address;
    guint16 port;
    const MoseTls *tls; /* or NULL */
    MoseTcpReport *report;
} MoseTcpSetup;

/* In a new child: never returns. Keeps no other descriptor open. */
G_NORETURN void mose_tcp_relay_main(const MoseTcpSetup *setup);
