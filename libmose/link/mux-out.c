/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From the channels to the transport: frames are made as there is room for them, so
 * that what waits is bounded. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "link/mux-private.h"
#include "util/error.h"

/* A frame of data that is worth its header. */
#define DATA_MIN (16 * 1024)
/* Kept free for frames without data when data is put. */
#define SMALL_ROOM (8 * 1024)
#define FRAME_ROOM (MOSE_FRAME_HEADER + MOSE_FRAME_MAX + SMALL_ROOM)
/* What the bandwidth limit lets go at once: a tenth of a second, and at least so much.
 */
#define BURST_MIN (64 * 1024)

/* --- the bandwidth limit --- */

static void
refill(Mux *mux, gint64 now)
{
    double rate = (double)mux->options.bytes_per_second;
    double burst = MAX(rate / 10, BURST_MIN);

    mux->tokens += rate * (double)(now - mux->tokens_at) / G_USEC_PER_SEC;
    mux->tokens = MIN(mux->tokens, burst);
    mux->tokens_at = now;
}

gboolean
mux_may_send_bulk(Mux *mux, gint64 now, int *ret_wait_ms)
{
    double rate = (double)mux->options.bytes_per_second;

    if (mux->options.bytes_per_second == 0)
        return TRUE;
    refill(mux, now);
    if (mux->tokens >= DATA_MIN)
        return TRUE;
    *ret_wait_ms = (int)MIN(*ret_wait_ms, (DATA_MIN - mux->tokens) * 1000 / rate + 1);
    return FALSE;
}

/* --- frames without data --- */

static gboolean
put_small(Mux *mux, MoseFrameType type, guint16 channel, guint32 number)
{
    if (mux->out_dead || MUX_OUTPUT_SIZE - mux->tail < MOSE_FRAME_SMALL)
        return FALSE;
    mux->tail += mose_frame_put_small(mux->output + mux->tail, type, channel, number);
    return TRUE;
}

/* What is due of @channel, in the order in which it may be said. */
static void
put_small_of(Mux *mux, MoseChannel *channel)
{
    guint32 more;

    if (channel->open_service >= 0 && put_small(mux, MOSE_FRAME_OPEN, channel->number,
                                                (guint32)channel->open_service))
        channel->open_service = -1;
    if (channel->open_service >= 0)
        return;
    if (channel->reset_due && put_small(mux, MOSE_FRAME_RESET, channel->number, 0))
        channel->reset_due = FALSE;
    if (channel->fd < 0 || MUX_OUTPUT_SIZE - mux->tail < 2 * MOSE_FRAME_SMALL)
        return;
    more = mose_channel_grant(channel);
    if (more > 0)
        put_small(mux, MOSE_FRAME_WINDOW_MORE, channel->number, more);
    if (channel->at_end && !channel->end_sent)
        channel->end_sent = put_small(mux, MOSE_FRAME_END, channel->number, 0);
}

void
mux_put_small(Mux *mux, gint64 now)
{
    while (
        mux->refusals->len > 0 &&
        put_small(mux, MOSE_FRAME_RESET, g_array_index(mux->refusals, guint16, 0), 0))
        g_array_remove_index(mux->refusals, 0);
    for (guint i = 0; i < mux->channels->len; i++)
        put_small_of(mux, mux->channels->pdata[i]);
    if (mux_output_waiting(mux) == 0 &&
        now - mux->sent_at >= mux->options.silence_ms * (gint64)100)
        put_small(mux, MOSE_FRAME_PING, 0, 0);
}

/* --- data --- */

/* How many bytes may be read for one frame; 0: no room at present. */
static gsize
room_for(const Mux *mux, const MoseChannel *channel)
{
    gsize used = mux->tail + MOSE_FRAME_HEADER + SMALL_ROOM;
    gsize room = used < MUX_OUTPUT_SIZE ? MUX_OUTPUT_SIZE - used : 0;

    if (mux_is_bulk(channel) && mux->options.bytes_per_second > 0)
        room = MIN(room, mux->tokens > 0 ? (gsize)mux->tokens : 0);
    return room < DATA_MIN ? 0 : MIN(room, MOSE_FRAME_MAX);
}

static gsize
read_packed(Mux *mux, MoseChannel *channel, guint8 *payload)
{
    gsize n;

    if (MUX_OUTPUT_SIZE - mux->tail < FRAME_ROOM)
        return 0;
    n = mose_channel_read(channel, mux->scratch, MOSE_SQUEEZE_PIECE);
    if (n == 0)
        return 0;
    if (!channel->squeeze)
        channel->squeeze = mose_squeeze_new(mux->options.compress_level);
    return mose_squeeze_pack(channel->squeeze, mux->scratch, n, payload, MOSE_FRAME_MAX,
                             &mux->error);
}

void
mux_put_data(Mux *mux, MoseChannel *channel)
{
    gboolean packed = mux_is_bulk(channel) && mux->options.compress_level > 0;
    guint8 *header = mux->output + mux->tail;
    guint8 *payload = header + MOSE_FRAME_HEADER;
    gsize room = room_for(mux, channel), n;

    if (room == 0)
        return;
    n = packed ? read_packed(mux, channel, payload)
               : mose_channel_read(channel, payload, room);
    if (n == 0)
        return;
    mose_frame_put_header(header, packed ? MOSE_FRAME_PACKED : MOSE_FRAME_DATA,
                          channel->number, (guint32)n);
    mux->tail += MOSE_FRAME_HEADER + n;
    if (mux_is_bulk(channel) && mux->options.bytes_per_second > 0)
        mux->tokens -= (double)n;
}

void
mux_send(Mux *mux, gint64 now)
{
    ssize_t n = 0;

    if (mux_output_waiting(mux) > 0 && !mux->out_dead)
        n = write(mux->out, mux->output + mux->head, mux_output_waiting(mux));
    if (n > 0) {
        mux->head += (gsize)n;
        mux->sent_at = now;
    } else if (n < 0 && errno != EAGAIN && errno != EINTR) {
        /* The other side has gone; what it has said before is still to be read. */
        mux->out_dead = TRUE;
        mux->heard_at = now;
    }
    if (mux->out_dead)
        mux->head = mux->tail;
    /* Moved seldom: a transport that takes little at a time would have all of it moved
     * each time. */
    if (mux->head > 0 &&
        (mux_output_waiting(mux) == 0 || MUX_OUTPUT_SIZE - mux->tail < FRAME_ROOM)) {
        memmove(mux->output, mux->output + mux->head, mux_output_waiting(mux));
        mux->tail -= mux->head;
        mux->head = 0;
    }
}
