/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The return path's messages, one after the other; see return-path.h. */
#include "stream/return-path.h"

#include "stream/wire.h"

#define HEADER_LEN 4u
#define KIND_SHUT 1u

/* A header, or SHUT with its value, is there. */
static void
message(MoseReturnPath *path)
{
    guint kind = (guint)mose_wire_get(path->partial, 2);
    guint len = (guint)mose_wire_get(path->partial + 2, 2);

    if (kind == KIND_SHUT && len == 4) {
        if (path->n_partial < HEADER_LEN + len)
            return;
        path->shut = TRUE;
        path->trouble = mose_wire_get(path->partial + HEADER_LEN, 4) != 0;
        len = 0;
    }
    path->skip = len;
    path->n_partial = 0;
}

void
mose_return_path_push(MoseReturnPath *path, const guint8 *data, gsize len)
{
    while (len > 0) {
        gsize n = MIN(path->skip, len);

        if (n == 0) {
            path->partial[path->n_partial++] = *data;
            if (path->n_partial >= HEADER_LEN)
                message(path);
            n = 1;
        } else {
            path->skip -= n;
        }
        data += n;
        len -= n;
    }
}
