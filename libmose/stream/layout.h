/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the fields of a section stand in its bytes.
 *
 * The description says what follows what; this puts an offset on each node and
 * checks, on the way, all that a stream says twice: that a struct is as long as
 * its fields, and that each subsection on the wire is the one described.
 */
#pragma once

#include "stream/vmdesc.h"

/*
 * Place the nodes of @section in @data, of which it takes no more than @len bytes;
 * *@ret_used is how many it took. section->offset must be set. Errors are STREAM
 * and name section, field and stream offset.
 */
gboolean mose_layout_place(MoseSection *section, const guint8 *data, gsize len,
                           gsize *ret_used, GError **error);

/* Put @len bytes at @data in the place of @old_len bytes at @at in the bytes of
 * @section, and move and resize all nodes around it. The tree must already be
 * changed, except for sizes and offsets. */
void mose_layout_splice(MoseSection *section, gsize at, gsize old_len,
                        const guint8 *data, gsize len);
