/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Compression of one channel: two zstd streams, one in each direction, in pieces that
 * can be unpacked as they come. The window is bounded, since the other side chooses it.
 */
#pragma once

#include <glib.h>

/* The most bytes of one piece when packed by us: the result fits a frame, whatever it
 * is; and when unpacked, from anybody. */
#define MOSE_SQUEEZE_PIECE (128 * 1024)
#define MOSE_SQUEEZE_UNPACKED_MAX (256 * 1024)

typedef struct MoseSqueeze MoseSqueeze;

/* @level 1..19 of zstd(1); beyond that the nearest. */
MoseSqueeze *mose_squeeze_new(guint level);
void mose_squeeze_free(MoseSqueeze *squeeze);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseSqueeze, mose_squeeze_free)

/* Pack @len bytes (up to MOSE_SQUEEZE_PIECE) to the @size bytes at @out: how many it
 * takes; 0 and @error (FAILED) where that is not possible. */
gsize mose_squeeze_pack(MoseSqueeze *squeeze, const guint8 *data, gsize len,
                        guint8 *out, gsize size, GError **error);

/* Unpack one piece: its bytes, *@ret_len of them (at least one), borrowed until the
 * next call; NULL and @error (INVALID) for what is no such piece. */
const guint8 *mose_squeeze_unpack(MoseSqueeze *squeeze, const guint8 *data, gsize len,
                                  gsize *ret_len, GError **error);
