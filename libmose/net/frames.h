/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ethernet frames in a byte stream. No I/O here.
 *
 *   u32  length of what follows, big-endian: MOSE_FRAME_MIN to MOSE_FRAME_MAX
 *   10   struct virtio_net_hdr (<linux/virtio_net.h>), little-endian; zeros where a tap
 *        has none: a whole frame with its checksums
 *        the frame from its destination address on, a VLAN tag in its place, no FCS
 *
 * The header is what lets a guest send 64 KB at once, without checksums: it says what
 * is still to be done, and whoever delivers the frame does it or passes the header on.
 */
#pragma once

#include <glib.h>

#define MOSE_FRAME_LENGTH 4
#define MOSE_FRAME_VNET 10
#define MOSE_FRAME_ETHERNET 14
#define MOSE_FRAME_MIN (MOSE_FRAME_VNET + MOSE_FRAME_ETHERNET)
/* QEMU takes no larger one from a tap (include/net/net.h: NET_BUFSIZE). */
#define MOSE_FRAME_MAX (MOSE_FRAME_VNET + 65536 + 4096)

/* Write the length of a frame of @len bytes (with its header) to @ret[4]. */
void mose_frame_put_length(guint8 *ret, guint32 len);

/* Takes a stream apart. */
typedef struct MoseFrames MoseFrames;

MoseFrames *mose_frames_new(void);
void mose_frames_free(MoseFrames *frames);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseFrames, mose_frames_free)

/* Where the next bytes of the stream go: *@ret_len (never 0) of them at most. Frames
 * that were given by mose_frames_next() are gone after it. Then say how many there are.
 */
guint8 *mose_frames_space(MoseFrames *frames, gsize *ret_len);
void mose_frames_filled(MoseFrames *frames, gsize len);

/*
 * The next frame, header first, and its length; NULL without an error when its end has
 * not come yet. All of them have to be taken before there is space again. A length out
 * of bounds is an error (STREAM), now and ever after: the stream cannot be followed.
 */
const guint8 *mose_frames_next(MoseFrames *frames, gsize *ret_len, GError **error);

/* Whether the stream may end here: not within a frame. */
gboolean mose_frames_at_boundary(const MoseFrames *frames);
