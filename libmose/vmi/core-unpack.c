/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pages unpacked by the libraries that packed them; see core-unpack.h. */
#include "vmi/core-unpack.h"

#include <lzo/lzo1x.h>
#include <snappy-c.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

static gboolean
unpack_zlib(const guint8 *from, gsize len, guint8 *to, gsize size)
{
    uLongf got = size;
    uLong used = len;

    return uncompress2(to, &got, from, &used) == Z_OK && got == size && used == len;
}

static gboolean
unpack_zstd(const guint8 *from, gsize len, guint8 *to, gsize size)
{
    return ZSTD_decompress(to, size, from, len) == size;
}

static gboolean
unpack_lzo(const guint8 *from, gsize len, guint8 *to, gsize size)
{
    lzo_uint got = size;

    return lzo1x_decompress_safe(from, len, to, &got, NULL) == LZO_E_OK && got == size;
}

static gboolean
unpack_snappy(const guint8 *from, gsize len, guint8 *to, gsize size)
{
    gsize got = size;

    return snappy_uncompress((const char *)from, len, (char *)to, &got) == SNAPPY_OK &&
           got == size;
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
