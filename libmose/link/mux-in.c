/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From the transport to the channels: frames are obeyed, or end the link. */
#include <errno.h>
#include <unistd.h>

#include "link/mux-private.h"
#include "util/error.h"

static void
broken(Mux *mux, const MoseFrame *frame, const char *what)
{
    if (!mux->error)
        g_set_error(&mux->error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "the other side of the link breaks its protocol: %s (channel %u)",
                    what, frame->channel);
}

/* Whether @number has been in use: frames to it may have been under way when it ended.
 */
static gboolean
has_been(const Mux *mux, guint16 number)
{
    guint32 next =
        (number & 1) == (mux->next_own & 1) ? mux->next_own : mux->next_other;

    return number < MOSE_LINK_N_CHANNELS || number < next;
}

static void
deliver(Mux *mux, MoseChannel *channel, const MoseFrame *frame)
{
    const guint8 *data = frame->data;
    gsize len = frame->len;

    if (frame->type == MOSE_FRAME_PACKED) {
        if (!channel->squeeze)
            channel->squeeze = mose_squeeze_new(mux->options.compress_level);
        data = mose_squeeze_unpack(channel->squeeze, data, len, &len, &mux->error);
        if (!data)
            return;
    }
    if (!mose_channel_deliver(channel, data, len))
        broken(mux, frame, "more bytes than there is room for, or after the end");
}

static void
obey_channel(Mux *mux, MoseChannel *channel, const MoseFrame *frame)
{
    switch (frame->type) {
    case MOSE_FRAME_DATA:
    case MOSE_FRAME_PACKED:
        deliver(mux, channel, frame);
        break;
    case MOSE_FRAME_WINDOW_MORE:
        if (!mose_channel_credit(channel, frame->number))
            broken(mux, frame, "more room than a channel can have");
        break;
    case MOSE_FRAME_END:
        if (!mose_channel_hear_end(channel))
            broken(mux, frame, "a second end");
        break;
    case MOSE_FRAME_RESET:
        mose_channel_kill(channel);
        channel->reset_due = FALSE;
        break;
    case MOSE_FRAME_OPEN:
    case MOSE_FRAME_PING:
        break;
    }
}

static void
obey(Mux *mux, const MoseFrame *frame)
{
    MoseChannel *channel;

    if (frame->type == MOSE_FRAME_PING)
        return;
    if (frame->type == MOSE_FRAME_OPEN) {
        if (frame->channel != mux->next_other)
            broken(mux, frame, "it opens a channel out of turn");
        else
            mux_open_here(mux, frame->channel, (guint16)frame->number);
        return;
    }
    channel = mux_find(mux, frame->channel);
    if (channel && channel->fd >= 0)
        obey_channel(mux, channel, frame);
    else if (channel && frame->type == MOSE_FRAME_RESET)
        channel->reset_due = FALSE;
    else if (!channel && !has_been(mux, frame->channel))
        broken(mux, frame, "a channel that nobody has opened");
}

static void
take_frames(Mux *mux, gsize len)
{
    gsize taken = 0;

    while (!mux->error && taken < len) {
        gboolean whole;
        MoseFrame frame;
        gssize n = mose_frame_reader_next(&mux->reader, mux->input + taken, len - taken,
                                          &frame, &whole, &mux->error);

        if (n < 0)
            return;
        taken += (gsize)n;
        if (whole)
            obey(mux, &frame);
    }
}

void
mux_receive(Mux *mux)
{
    ssize_t n = read(mux->in, mux->input, MUX_INPUT_SIZE);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0) {
        mux->heard_at = g_get_monotonic_time();
        take_frames(mux, (gsize)n);
    } else if (n == 0) {
        g_set_error(&mux->error, MOSE_ERROR, MOSE_ERROR_CLOSED,
                    "the link has ended: the other side has closed it, or its "
                    "transport has gone");
    } else {
        g_set_error(&mux->error, MOSE_ERROR, MOSE_ERROR_CLOSED,
                    "the link has ended: its transport cannot be read: %s",
                    g_strerror(errno));
    }
}
