/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One channel of a link, as the link process has it: a socket of the command's (or of a
 * service) on one side, credits on the other. It reads and writes the socket, never
 * waits, and knows nothing of the wire but the limits of frame.h.
 */
#pragma once

#include <glib.h>

#include "link/frame.h"
#include "link/squeeze.h"

typedef struct {
    guint16 number;
    int fd; /* owned; -1 when the channel is dead */

    /* From the socket to the wire. */
    guint32 credit;      /* bytes that the other side has room for */
    gint32 open_service; /* OPEN is to be sent first; -1: it need not, or has been */
    gboolean at_end;     /* the socket gives no more */
    gboolean end_sent;

    /* From the wire to the socket. */
    guint32 window;     /* bytes that the other side may still send */
    guint32 taken;      /* bytes that the socket has taken, not yet granted anew */
    GByteArray *queue;  /* what the socket has not taken yet, */
    gsize queue_head;   /* from here on */
    gboolean end_heard; /* no more will come */
    gboolean shut;      /* and the socket knows */

    gboolean reset_due;   /* it has died here, and the other side is to know */
    MoseSqueeze *squeeze; /* of bulk channels that are compressed, or have come so */
} MoseChannel;

/* A channel over @fd (a socket, taken over). */
MoseChannel *mose_channel_new(guint16 number, int fd);
void mose_channel_free(MoseChannel *channel);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseChannel, mose_channel_free)

/* Whether it is read from the socket; whether something waits to be written to it. */
gboolean mose_channel_wants_input(const MoseChannel *channel);
gboolean mose_channel_wants_output(const MoseChannel *channel);

/* Up to @max bytes of the socket, as far as there is credit: how many; 0: none now.
 * Notes the end. */
gsize mose_channel_read(MoseChannel *channel, guint8 *buffer, gsize max);

/* Bytes that have come for the socket: they are written, or kept. FALSE: more than the
 * other side has been granted, or after its end. */
gboolean mose_channel_deliver(MoseChannel *channel, const guint8 *data, gsize len);

/* The other side has room for @more bytes. FALSE: it cannot have so much. */
gboolean mose_channel_credit(MoseChannel *channel, guint32 more);

/* The other side sends no more. FALSE: it has said so before. */
gboolean mose_channel_hear_end(MoseChannel *channel);

/* Write what is kept, as far as the socket takes it; then its end, where there is one.
 */
void mose_channel_flush(MoseChannel *channel);

/* How many bytes are to be granted now; they count as granted. 0: none. */
guint32 mose_channel_grant(MoseChannel *channel);

/* Close the socket; what is kept for it goes. */
void mose_channel_kill(MoseChannel *channel);

/* Whether it has ended in both directions and the socket has got all, or it is dead and
 * the other side knows: nothing more happens on it. */
gboolean mose_channel_is_over(const MoseChannel *channel);
