/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames there and back; see pump.h. */
#include "net/pump.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/socket.h>

#include "net/frame-end.h"
#include "util/error.h"
#include "util/fd.h"

/* Frames of one dispatch, so that others in the loop have their turn. */
#define BATCH 64
#define FRAME (MOSE_FRAME_LENGTH + MOSE_FRAME_MAX)

enum { AT_FRAMES, AT_STREAM };

/* The queue for the stream is buffer[start, end): twice as large as it may be full, so
 * that it is moved to the begin once in a queue's length only. */
struct MosePump {
    MoseFrameEnd end_point;
    MoseFd frames_fd, stream_fd;
    gboolean held;
    MoseFrames *incoming;
    MosePumpCounts counts;
    gsize start, end;
    guint8 buffer[2 * MOSE_PUMP_QUEUE + 2 * FRAME];
};

MosePump *
mose_pump_new(int frames, int stream, GError **error)
{
    MoseFrameEnd end_point;
    MosePump *pump;

    if (!mose_frame_end_init(&end_point, frames, error))
        return NULL;
    pump = g_new0(MosePump, 1);
    pump->end_point = end_point;
    pump->frames_fd = frames;
    pump->stream_fd = stream;
    pump->incoming = mose_frames_new();
    return pump;
}

void
mose_pump_free(MosePump *pump)
{
    if (!pump)
        return;
    mose_frames_free(pump->incoming);
    mose_fd_close(pump->frames_fd);
    mose_fd_close(pump->stream_fd);
    g_free(pump);
}

void
mose_pump_hold(MosePump *pump, gboolean hold)
{
    pump->held = hold;
}

static gboolean
takes_frames(const MosePump *pump)
{
    return !pump->held && pump->end - pump->start < MOSE_PUMP_QUEUE;
}

void
mose_pump_prepare(const MosePump *pump, struct pollfd *ret)
{
    gboolean queued = pump->start < pump->end;

    ret[AT_FRAMES] = (struct pollfd){ .fd = pump->frames_fd,
                                      .events = takes_frames(pump) ? POLLIN : 0 };
    ret[AT_STREAM] = (struct pollfd){ .fd = pump->stream_fd,
                                      .events = queued ? POLLIN | POLLOUT : POLLIN };
}

static gboolean
gone(GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_CLOSED,
                "the guest's network interface is not there any more");
    return FALSE;
}

static gboolean
closed(GError **error, const char *why)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_CLOSED,
                "the stream of the guest's network has ended: %s", why);
    return FALSE;
}

static gboolean
is_segmented(const guint8 *frame)
{
    struct virtio_net_hdr vnet;

    memcpy(&vnet, frame, sizeof(vnet));
    return vnet.gso_type != VIRTIO_NET_HDR_GSO_NONE;
}

/* ---- from the tap to the stream -------------------------------------------- */

static guint8 *
make_room(MosePump *pump)
{
    if (sizeof(pump->buffer) - pump->end < FRAME || pump->start == pump->end) {
        memmove(pump->buffer, pump->buffer + pump->start, pump->end - pump->start);
        pump->end -= pump->start;
        pump->start = 0;
    }
    return pump->buffer + pump->end;
}

static void
append(MosePump *pump, guint8 *at, gsize len)
{
    mose_frame_put_length(at, (guint32)len);
    pump->end += MOSE_FRAME_LENGTH + len;
    pump->counts.frames_out++;
    pump->counts.bytes_out += len - MOSE_FRAME_VNET;
    pump->counts.segmented_out += is_segmented(at + MOSE_FRAME_LENGTH);
}

static gboolean
take_frames(MosePump *pump, GError **error)
{
    for (int i = 0; i < BATCH && takes_frames(pump); i++) {
        guint8 *at = make_room(pump);
        gsize len;

        switch (mose_frame_end_read(&pump->end_point, at + MOSE_FRAME_LENGTH, &len)) {
        case MOSE_FRAME_DONE:
            append(pump, at, len);
            break;
        case MOSE_FRAME_BAD:
            pump->counts.lost_out++;
            break;
        case MOSE_FRAME_NOT_NOW:
            return TRUE;
        case MOSE_FRAME_GONE:
            return gone(error);
        }
    }
    return TRUE;
}

static gboolean
send_queue(MosePump *pump, GError **error)
{
    while (pump->start < pump->end) {
        ssize_t sent = send(pump->stream_fd, pump->buffer + pump->start,
                            pump->end - pump->start, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (sent < 0 && (errno == EAGAIN || errno == EINTR))
            return TRUE;
        if (sent < 0)
            return closed(error, g_strerror(errno));
        pump->start += (gsize)sent;
    }
    return TRUE;
}

/* ---- from the stream to the tap -------------------------------------------- */

static gboolean
deliver(MosePump *pump, const guint8 *frame, gsize len, GError **error)
{
    switch (mose_frame_end_write(&pump->end_point, frame, len)) {
    case MOSE_FRAME_DONE:
        pump->counts.frames_in++;
        pump->counts.bytes_in += len - MOSE_FRAME_VNET;
        pump->counts.segmented_in += is_segmented(frame);
        return TRUE;
    case MOSE_FRAME_GONE:
        return gone(error);
    default:
        pump->counts.lost_in++;
        return TRUE;
    }
}

static gboolean
deliver_all(MosePump *pump, GError **error)
{
    g_autoptr(GError) why = NULL;
    const guint8 *frame;
    gsize len;

    while ((frame = mose_frames_next(pump->incoming, &len, &why)))
        if (!deliver(pump, frame, len, error))
            return FALSE;
    if (!why)
        return TRUE;
    g_propagate_error(error, g_steal_pointer(&why));
    return FALSE;
}

static gboolean
take_stream(MosePump *pump, GError **error)
{
    gsize room;
    guint8 *at = mose_frames_space(pump->incoming, &room);
    ssize_t got = recv(pump->stream_fd, at, room, MSG_DONTWAIT);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return TRUE;
    if (got < 0)
        return closed(error, g_strerror(errno));
    if (got == 0)
        return closed(error, mose_frames_at_boundary(pump->incoming)
                                 ? "the other host has closed it"
                                 : "within a frame");
    mose_frames_filled(pump->incoming, (gsize)got);
    return deliver_all(pump, error);
}

/* ---- both -------------------------------------------------------------------- */

gboolean
mose_pump_dispatch(MosePump *pump, const struct pollfd *polled, GError **error)
{
    if (mose_frame_end_refresh(&pump->end_point) != MOSE_FRAME_DONE)
        return gone(error);
    if (polled[AT_STREAM].revents & (POLLIN | POLLHUP | POLLERR) &&
        !take_stream(pump, error))
        return FALSE;
    if (polled[AT_FRAMES].revents & POLLIN && !take_frames(pump, error))
        return FALSE;
    return send_queue(pump, error);
}

gboolean
mose_pump_run(MosePump *pump, int stop, GError **error)
{
    for (;;) {
        struct pollfd fds[MOSE_PUMP_FDS + 1];

        mose_pump_prepare(pump, fds);
        fds[MOSE_PUMP_FDS] = (struct pollfd){ .fd = stop, .events = POLLIN };
        if (poll(fds, G_N_ELEMENTS(fds), -1) < 0) {
            if (errno == EINTR)
                continue;
            mose_error_set_errno(error, errno, "cannot wait for the guest's frames");
            return FALSE;
        }
        if (fds[MOSE_PUMP_FDS].revents)
            return TRUE;
        if (!mose_pump_dispatch(pump, fds, error))
            return FALSE;
    }
}

MosePumpCounts
mose_pump_counts(MosePump *pump)
{
    pump->counts.lost_out += mose_frame_end_lost(&pump->end_point);
    return pump->counts;
}
