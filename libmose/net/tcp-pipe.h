/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One connection of a relay (tcp-relay.h): a QEMU's unix socket on one side, TCP on the
 * other. Blocking; for a thread of its own. */
#pragma once

#include <glib.h>

#include "net/tls.h"

typedef struct {
    int qemu, tcp;       /* connected sockets that block */
    MoseTlsSession *tls; /* over @tcp, or NULL */
    /* It belongs to a source, whose socket is never closed before QEMU closes it. */
    gboolean drains;
} MoseTcpPipe;

/* Carry both directions until both have ended; descriptors stay open. FALSE where the
 * TCP side broke. */
gboolean mose_tcp_pipe_run(MoseTcpPipe *pipe);

/* Throw away what QEMU sends, until it closes. */
void mose_tcp_drain(int qemu);
