/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Carries a guest's frames between a tap (or the packet socket of a private one) and
 * one end of a stream, both ways. The other host has its like at the other end.
 *
 * A pump is two descriptors in somebody's poll(2) loop, and never blocks. When the
 * stream takes no more it leaves frames where they are, until the kernel drops them as
 * a switch would: of a tap, those beyond its txqueuelen (the interface's tx_dropped
 * counts them); of a packet socket, those beyond its receive buffer.
 */
#pragma once

#include <glib.h>
#include <poll.h>

/* So many bytes (and a frame more) wait for the stream here. */
#define MOSE_PUMP_QUEUE (1u << 20)

/* The places that it needs in the loop's array. */
#define MOSE_PUMP_FDS 2

typedef struct {
    guint64 frames_out, bytes_out; /* from the tap to the stream, headers not counted */
    guint64 frames_in, bytes_in;   /* from the stream to the tap */
    guint64 segmented_out;         /* of frames_out: larger than one goes over a wire */
    guint64 segmented_in;          /* of frames_in */
    guint64 lost_out;              /* no room in the packet socket, or no frame */
    guint64 lost_in;               /* the tap did not take them */
} MosePumpCounts;

typedef struct MosePump MosePump;

/* Between @frames (a tap or a packet socket) and @stream (a stream socket), which the
 * pump owns from then on; INVALID, and nothing owned, if @frames is neither. */
MosePump *mose_pump_new(int frames, int stream, GError **error);
void mose_pump_free(MosePump *pump);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MosePump, mose_pump_free)

/*
 * Leave the tap's frames where they are (they wait in its queue, 500 or 1000 of them),
 * or take them again; frames that come from the stream are delivered either way. For
 * the time in which the guest stands still, or moves to a QEMU that reads this tap.
 */
void mose_pump_hold(MosePump *pump, gboolean hold);

/* Fill @ret[MOSE_PUMP_FDS] for poll(2); after that do what can be done. FALSE when
 * there is nothing more to do: CLOSED when the stream has ended or the interface is
 * gone, STREAM when it carries no frames. */
void mose_pump_prepare(const MosePump *pump, struct pollfd *ret);
gboolean mose_pump_dispatch(MosePump *pump, const struct pollfd *polled,
                            GError **error);

/* A loop for a process that has nothing else to do: until one of those, or until @stop
 * (or -1) is readable or closed at its other end, which is TRUE. */
gboolean mose_pump_run(MosePump *pump, int stop, GError **error);

MosePumpCounts mose_pump_counts(MosePump *pump);
