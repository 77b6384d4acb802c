/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One end of a relay: a socket, or two descriptors of any kind (the pipes of a
 * process, ssh's standard input and output). Reads and writes that never wait and
 * never raise a signal; how it is told that no more comes.
 */
#pragma once

#include <glib.h>
#include <sys/uio.h>

typedef struct {
    int in;  /* its bytes come from there */
    int out; /* and go there; the same number for a socket */
} MoseRelayEnd;

/*
 * Make its descriptors, which are the relay's own, ready for what follows. Whoever
 * shares them with us keeps them as they are: a socket is told not to wait call by
 * call, a pipe is opened anew. Only what allows neither becomes O_NONBLOCK.
 */
gboolean mose_relay_end_open(MoseRelayEnd *end, GError **error);

/*
 * Have the kernel hold more between the writer at @fd (a socket or a pipe) and its
 * reader, as far as it allows: three processes on two processors need not change
 * places so often. The relay does so with what it writes to; what a source writes to
 * is its maker's to widen.
 */
void mose_relay_widen(int fd);

/* As read(2): EAGAIN where nothing is there now. */
gssize mose_relay_end_read(const MoseRelayEnd *end, void *data, gsize len);

/* What was read at one end and waits to be written to the other: borrowed. */
typedef struct {
    struct iovec parts[2];
    guint at; /* the first with something in it; 2: none */
} MoseRelayLoad;

/* @data, and behind it @more (may be NULL). */
void mose_relay_load(MoseRelayLoad *load, void *data, gsize len, GByteArray *more);

static inline gboolean
mose_relay_is_loaded(const MoseRelayLoad *load)
{
    return load->at < G_N_ELEMENTS(load->parts);
}

/* Write to @end what it takes now; *@ret_some tells if that was anything. FALSE and
 * errno where nobody will ever read it. SIGPIPE must be blocked. */
gboolean mose_relay_unload(MoseRelayLoad *load, const MoseRelayEnd *end,
                           gboolean *ret_some);

/* Nothing more is written; what comes from there is still read. */
void mose_relay_end_finish(MoseRelayEnd *end);

/* The same, and it is to hear that nobody listens to it, where it can: a socket. */
void mose_relay_end_shutdown(MoseRelayEnd *end);

void mose_relay_end_close(MoseRelayEnd *end);
