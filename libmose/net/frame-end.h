/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where frames come from and go to: a guest's own tap, or the packet socket of a
 * private one (private-tap.h). Both read and write the same here: a struct
 * virtio_net_hdr, then the frame (frames.h). Nothing blocks.
 */
#pragma once

#include "net/frames.h"

typedef enum {
    MOSE_FRAME_DONE,
    MOSE_FRAME_NOT_NOW, /* nothing to read; no room to write */
    MOSE_FRAME_BAD, /* this one is lost: the kernel does not take it, or it is too large
                     */
    MOSE_FRAME_GONE, /* the interface is not there any more */
} MoseFrameResult;

typedef struct {
    int fd; /* not owned */
    gboolean is_packet;
    int tap_header; /* bytes before a frame in the tap: 0 (vnet_hdr=off), 10, 12 or 20
                     */
} MoseFrameEnd;

/* See what @fd is; INVALID if it is neither. It becomes non-blocking. */
gboolean mose_frame_end_init(MoseFrameEnd *end, int fd, GError **error);

/*
 * See whether the interface is still there (MOSE_FRAME_GONE or MOSE_FRAME_DONE), and
 * ask a tap again how large its headers are. That is a property of the interface and
 * not of the descriptor (TUNSETVNETHDRSZ): QEMU sets it to 10 when it opens its end
 * (net/tap.c:net_tap_fd_init), and to what the guest's driver agreed to when it runs or
 * is loaded (hw/net/virtio-net.c:virtio_net_set_mrg_rx_bufs), also while another
 * process still reads the same tap.
 */
MoseFrameResult mose_frame_end_refresh(MoseFrameEnd *end);

/* Read one frame to @ret[MOSE_FRAME_MAX]; *@ret_len with its header. */
MoseFrameResult mose_frame_end_read(MoseFrameEnd *end, guint8 *ret, gsize *ret_len);

/* Write one: @len is at least MOSE_FRAME_MIN. */
MoseFrameResult mose_frame_end_write(MoseFrameEnd *end, const guint8 *frame, gsize len);

/* What the kernel had no room for, since the last call: a packet socket tells, a tap
 * doesn't (0). */
guint64 mose_frame_end_lost(MoseFrameEnd *end);
