/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Big-endian integers at any address, of 1, 2, 4 or 8 bytes. */
#pragma once

#include <glib.h>

static inline guint64
mose_wire_get(const guint8 *data, gsize size)
{
    guint64 value = 0;

    for (gsize i = 0; i < size; i++)
        value = value << 8 | data[i];
    return value;
}

static inline void
mose_wire_put(guint8 *data, gsize size, guint64 value)
{
    for (gsize i = size; i-- > 0; value >>= 8)
        data[i] = (guint8)value;
}

static inline void
mose_wire_append(GByteArray *out, gsize size, guint64 value)
{
    guint8 bytes[8];

    mose_wire_put(bytes, size, value);
    g_byte_array_append(out, bytes, (guint)size);
}
