/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pages unpacked by the libraries that packed them; see core-unpack.h. */
#include "vmi/core-unpack.h"

#include <string.h>
#include <zlib.h>
#include <zstd.h>

#ifdef MOSE_HAVE_LZO
#include <lzo/lzo1x.h>
#endif
#ifdef MOSE_HAVE_SNAPPY
#include <snappy-c.h>
#endif

const char *
mose_unpack_lacks(guint32 flags)
{
#ifndef MOSE_HAVE_LZO
    if (flags & MOSE_PACKED_LZO)
        return "lzo";
#endif
#ifndef MOSE_HAVE_SNAPPY
    if (flags & MOSE_PACKED_SNAPPY)
        return "snappy";
#endif
    return NULL;
}

static gboolean
unpack_zlib(const guint8 *from, gsize len, guint8 *to, gsize size)
{
    uLongf got = size;

    return uncompress(to, &got, from, len) == Z_OK && got == size;
}

static gboolean
unpack_zstd(const guint8 *from, gsize len, guint8 *to, gsize size)
{
    return ZSTD_decompress(to, size, from, len) == size;
}

static gboolean
unpack_lzo(const guint8 *from, gsize len, guint8 *to, gsize size)
{
#ifdef MOSE_HAVE_LZO
    lzo_uint got = size;

    return lzo1x_decompress_safe(from, len, to, &got, NULL) == LZO_E_OK && got == size;
#else
    return FALSE;
#endif
}

static gboolean
unpack_snappy(const guint8 *from, gsize len, guint8 *to, gsize size)
{
#ifdef MOSE_HAVE_SNAPPY
    gsize got = size;

    return snappy_uncompress((const char *)from, len, (char *)to, &got) == SNAPPY_OK &&
           got == size;
#else
    return FALSE;
#endif
}

gboolean
mose_unpack(guint32 flags, const guint8 *from, gsize len, guint8 *to, gsize size)
{
    switch (flags & MOSE_PACKED_ANY) {
    case 0:
        if (len != size)
            return FALSE;
        memcpy(to, from, size);
        return TRUE;
    case MOSE_PACKED_ZLIB:
        return unpack_zlib(from, len, to, size);
    case MOSE_PACKED_LZO:
        return unpack_lzo(from, len, to, size);
    case MOSE_PACKED_SNAPPY:
        return unpack_snappy(from, len, to, size);
    case MOSE_PACKED_ZSTD:
        return unpack_zstd(from, len, to, size);
    default:
        return FALSE;
    }
}
