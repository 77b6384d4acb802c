/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the loop share: its state, and their parts of it. */
#pragma once

#include "link/channel.h"
#include "link/frame.h"
#include "link/mux.h"

#define MUX_INPUT_SIZE (512 * 1024)
#define MUX_OUTPUT_SIZE (1024 * 1024)
/* Channels are read while less than this waits for the transport: what is written to
 * the control channel must not stand behind much. */
#define MUX_OUTPUT_LOW (256 * 1024)
/* Refusals that may wait to be sent; a side that opens more at once is broken. */
#define MUX_MAX_REFUSALS 256
#define MUX_MAX_OFFERS 64
#define MUX_MAX_LISTENERS 16

typedef struct {
    guint16 service;
    int fd;
} MuxListener;

typedef struct {
    int in, out;
    int words, transport, life;
    MoseLinkOptions options;
    MoseMuxReport *report;
    GString *said;

    MoseFrameReader reader;
    guint8 *input;
    guint8 *output; /* from head to tail it waits for the transport */
    gsize head, tail;
    guint8 *scratch;   /* what is to be packed */
    gboolean out_dead; /* nobody takes it any more */

    GPtrArray *channels; /* MoseChannel *; those of the start first, for ever */
    guint turn;          /* which bulk channel is read first */
    GArray *refusals;    /* guint16: opened there, not to be had here */
    guint32 next_own;    /* the next channel that we open, */
    guint32 next_other;  /* and that they may open */
    GHashTable *offers;  /* service -> path */
    GArray *listeners;   /* MuxListener */

    gint64 heard_at, sent_at; /* monotonic microseconds */
    gint64 close_by;          /* the command has gone; 0: it has not */
    double tokens;            /* bytes that the bandwidth limit lets go now */
    gint64 tokens_at;

    GError *error; /* why it ends */
} Mux;

static inline gsize
mux_output_waiting(const Mux *mux)
{
    return mux->tail - mux->head;
}

/* The channel of that number; NULL: it has ended, or never was. */
MoseChannel *mux_find(const Mux *mux, guint16 number);

/* mux-in.c: read from the transport, and do what the frames say. Sets mux->error. */
void mux_receive(Mux *mux);

/* mux-out.c: whether bulk channels may be read now; else *@ret_wait_ms is
 * lessened to the time until then. */
gboolean mux_may_send_bulk(Mux *mux, gint64 now, int *ret_wait_ms);
/* Frames without data that are due; those that find no room wait. */
void mux_put_small(Mux *mux, gint64 now);
/* Read @channel's socket into a frame. */
void mux_put_data(Mux *mux, MoseChannel *channel);
/* Write what waits, as far as the transport takes it. */
void mux_send(Mux *mux, gint64 now);
static inline gboolean
mux_is_bulk(const MoseChannel *channel)
{
    return channel->number == MOSE_LINK_STREAM ||
           channel->number >= MOSE_LINK_N_CHANNELS;
}

/* mux-services.c: requests of the command; FALSE: it has gone. */
gboolean mux_take_requests(Mux *mux);
/* The other side opens a channel. */
void mux_open_here(Mux *mux, guint16 number, guint16 service);
/* Make a waiting connection of @listener a channel. */
void mux_accept(Mux *mux, const MuxListener *listener);
/* Whether we may open one more. */
gboolean mux_has_room(const Mux *mux);
