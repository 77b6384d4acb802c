/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The transport command as a child: three pipes, and how it has ended. */
#pragma once

#include <glib.h>
#include <sys/types.h>

#include "util/fd.h"

typedef struct {
    pid_t pid; /* 0: none, or it has been waited for */
    MoseFd pidfd;
    MoseFd in;    /* we read its standard output here, */
    MoseFd out;   /* write its standard input, */
    MoseFd words; /* and read its standard error */
    int status;   /* of waitpid(2), once it has been waited for */
} MoseTransport;

/* Start @argv, with its terminal but not with the terminal's signals (link.h). Our ends
 * do not block. FAILED: it cannot be started. */
gboolean mose_transport_start(MoseTransport *transport, const char *const *argv,
                              GError **error);

/* Wait for its end: FALSE after @timeout_ms. */
gboolean mose_transport_wait(MoseTransport *transport, int timeout_ms);

/* Close our ends; wait for it a while, then kill it. */
void mose_transport_end(MoseTransport *transport);

/* How it has ended, in words that follow its name: "has ended with status 127". The
 * caller's. */
char *mose_transport_fate(const MoseTransport *transport);

/* Close our ends. */
void mose_transport_close(MoseTransport *transport);
