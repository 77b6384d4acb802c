/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One channel's buffers and credits; see channel.h. */
#include "link/channel.h"

#include <errno.h>
#include <sys/socket.h>

#include "util/fd.h"

/* A grant is a frame of its own: not for each few bytes. */
#define GRANT_MIN (MOSE_FRAME_WINDOW / 8)
/* What has been written leaves the queue in one go when it is at least this. */
#define COMPACT_MIN (512 * 1024)

MoseChannel *
mose_channel_new(guint16 number, int fd)
{
    MoseChannel *channel = g_new0(MoseChannel, 1);

    channel->number = number;
    channel->fd = fd;
    channel->credit = MOSE_FRAME_WINDOW;
    channel->window = MOSE_FRAME_WINDOW;
    channel->open_service = -1;
    channel->queue = g_byte_array_new();
    return channel;
}

void
mose_channel_free(MoseChannel *channel)
{
    if (!channel)
        return;
    mose_fd_close(channel->fd);
    g_byte_array_unref(channel->queue);
    mose_squeeze_free(channel->squeeze);
    g_free(channel);
}

static gsize
queued(const MoseChannel *channel)
{
    return channel->queue->len - channel->queue_head;
}

gboolean
mose_channel_wants_input(const MoseChannel *channel)
{
    return channel->fd >= 0 && !channel->at_end && channel->credit > 0 &&
           channel->open_service < 0;
}

gboolean
mose_channel_wants_output(const MoseChannel *channel)
{
    return channel->fd >= 0 && queued(channel) > 0;
}

gsize
mose_channel_read(MoseChannel *channel, guint8 *buffer, gsize max)
{
    ssize_t n =
        recv(channel->fd, buffer, MIN(max, (gsize)channel->credit), MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    /* Reset: its user has closed it without having read all (Linux
     * net/unix/af_unix.c:unix_release_sock). What it has sent before has been read. */
    if (n <= 0) {
        channel->at_end = TRUE;
        return 0;
    }
    channel->credit -= (guint32)n;
    return (gsize)n;
}

/* How much of it the socket takes; it may turn out that nobody is there any more. */
static gsize
write_some(MoseChannel *channel, const guint8 *data, gsize len)
{
    ssize_t n = send(channel->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n >= 0) {
        channel->taken += (guint32)n;
        return (gsize)n;
    }
    if (errno != EAGAIN && errno != EINTR) {
        mose_channel_kill(channel);
        channel->reset_due = TRUE;
    }
    return 0;
}

gboolean
mose_channel_deliver(MoseChannel *channel, const guint8 *data, gsize len)
{
    gsize n = 0;

    if (channel->end_heard || len > channel->window)
        return FALSE;
    channel->window -= (guint32)len;
    if (queued(channel) == 0)
        n = write_some(channel, data, len);
    if (channel->fd >= 0 && n < len)
        g_byte_array_append(channel->queue, data + n, (guint)(len - n));
    return TRUE;
}

gboolean
mose_channel_credit(MoseChannel *channel, guint32 more)
{
    if (more > MOSE_FRAME_WINDOW - channel->credit)
        return FALSE;
    channel->credit += more;
    return TRUE;
}

gboolean
mose_channel_hear_end(MoseChannel *channel)
{
    if (channel->end_heard)
        return FALSE;
    channel->end_heard = TRUE;
    mose_channel_flush(channel);
    return TRUE;
}

void
mose_channel_flush(MoseChannel *channel)
{
    gsize n = 1;

    while (channel->fd >= 0 && n > 0 && queued(channel) > 0) {
        n = write_some(channel, channel->queue->data + channel->queue_head,
                       queued(channel));
        channel->queue_head += n;
    }
    if (queued(channel) == 0) {
        g_byte_array_set_size(channel->queue, 0);
        channel->queue_head = 0;
    } else if (channel->queue_head >= COMPACT_MIN) {
        g_byte_array_remove_range(channel->queue, 0, (guint)channel->queue_head);
        channel->queue_head = 0;
    }
    if (channel->fd >= 0 && channel->end_heard && queued(channel) == 0) {
        shutdown(channel->fd, SHUT_WR);
        channel->shut = TRUE;
    }
}

guint32
mose_channel_grant(MoseChannel *channel)
{
    guint32 more = channel->taken;

    if (more < GRANT_MIN || channel->end_heard || channel->fd < 0)
        return 0;
    channel->taken = 0;
    channel->window += more;
    return more;
}

void
mose_channel_kill(MoseChannel *channel)
{
    mose_fd_close(channel->fd);
    channel->fd = MOSE_FD_NONE;
    g_byte_array_set_size(channel->queue, 0);
    channel->queue_head = 0;
}

gboolean
mose_channel_is_over(const MoseChannel *channel)
{
    if (channel->reset_due)
        return FALSE;
    return channel->fd < 0 || (channel->end_sent && channel->shut);
}
