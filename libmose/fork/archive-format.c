/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See archive-format.h. */
#include "fork/archive-format.h"

#include <gnutls/crypto.h>

void
archive_hash(const void *data, gsize len, guint8 *ret)
{
    /* It fails where the library was told to do without SHA-256 (FIPS of the future).
     */
    if (gnutls_hash_fast(GNUTLS_DIG_SHA256, data, len, ret) < 0)
        g_error("gnutls has no SHA-256");
}

ArchiveStream *
archive_stream_new(char *take)
{
    ArchiveStream *stream = g_new0(ArchiveStream, 1);

    stream->name = take;
    stream->map = g_array_new(FALSE, FALSE, sizeof(guint32));
    return stream;
}

void
archive_stream_free(gpointer data)
{
    ArchiveStream *stream = data;

    if (!stream)
        return;
    g_free(stream->name);
    g_array_unref(stream->map);
    g_free(stream);
}
