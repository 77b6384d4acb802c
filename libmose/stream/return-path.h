/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a destination says on the return path, as far as it tells of its end.
 * Messages are u16 kind, u16 length, length bytes, big-endian; the last one is
 * SHUT (kind 1) with u32 0 where all was well (QEMU migration/migration.c:
 * migrate_send_rp_message(), migration_incoming_state_destroy()). What else is said
 * is for the source to judge.
 */
#pragma once

#include <glib.h>

typedef struct {
    guint8 partial[8]; /* header, and the first bytes behind it */
    guint n_partial;
    guint skip;       /* bytes of a message that nobody looks at */
    gboolean shut;    /* the destination has said that it has ended */
    gboolean trouble; /* and that it could not load */
} MoseReturnPath;

/* Take what came next. */
void mose_return_path_push(MoseReturnPath *path, const guint8 *data, gsize len);
