/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The step machine that reads packets, and their writing; see gdb-packet.h. */
#include "qemu/gdb-packet.h"

#include <string.h>

/* A count of repetitions is sent as a printable byte, 29 more than it is. */
#define RUN_BASE 29
#define RUN_MIN 3

enum { OUTSIDE, DATA, ESCAPED, RUN, SUM_HIGH, SUM_LOW };

void
mose_gdb_reader_init(MoseGdbReader *reader)
{
    *reader = (MoseGdbReader){ .data = g_string_new(NULL), .state = OUTSIDE };
}

void
mose_gdb_reader_clear(MoseGdbReader *reader)
{
    if (reader->data)
        g_string_free(reader->data, TRUE);
    reader->data = NULL;
}

static MoseGdbHeard
outside(MoseGdbReader *reader, guint8 byte)
{
    switch (byte) {
    case '+':
        return MOSE_GDB_ACK;
    case '-':
        return MOSE_GDB_NAK;
    case '$':
        g_string_truncate(reader->data, 0);
        reader->sum = 0;
        reader->damaged = FALSE;
        reader->state = DATA;
        return MOSE_GDB_MORE;
    default:
        return MOSE_GDB_GARBAGE;
    }
}

static MoseGdbHeard
add(MoseGdbReader *reader, guint8 byte, gsize times)
{
    if (reader->data->len + times > MOSE_GDB_PACKET_MAX)
        return MOSE_GDB_TOO_LONG;
    for (gsize i = 0; i < times; i++)
        g_string_append_c(reader->data, (char)byte);
    return MOSE_GDB_MORE;
}

/* Repeat the last byte. */
static MoseGdbHeard
run(MoseGdbReader *reader, guint8 byte)
{
    GString *data = reader->data;

    if (data->len == 0 || byte < RUN_BASE + RUN_MIN || byte > '~') {
        reader->damaged = TRUE;
        return MOSE_GDB_MORE;
    }
    return add(reader, data->str[data->len - 1], byte - RUN_BASE);
}

static MoseGdbHeard
inside(MoseGdbReader *reader, guint8 byte)
{
    int state = reader->state;

    if (byte == '#') {
        reader->damaged |= state != DATA;
        reader->state = SUM_HIGH;
        return MOSE_GDB_MORE;
    }
    reader->sum += byte;
    reader->state = DATA;
    if (state == ESCAPED)
        return add(reader, byte ^ 0x20, 1);
    if (state == RUN)
        return run(reader, byte);
    if (byte == '}')
        reader->state = ESCAPED;
    else if (byte == '*')
        reader->state = RUN;
    else
        return add(reader, byte, 1);
    return MOSE_GDB_MORE;
}

static MoseGdbHeard
checksum(MoseGdbReader *reader, guint8 byte)
{
    int value = g_ascii_xdigit_value((char)byte);
    guint digit = value < 0 ? 0 : (guint)value;

    reader->damaged |= value < 0;
    if (reader->state == SUM_HIGH) {
        reader->told = (guint8)(digit << 4);
        reader->state = SUM_LOW;
        return MOSE_GDB_MORE;
    }
    reader->state = OUTSIDE;
    if (reader->damaged || (reader->told | digit) != reader->sum)
        return MOSE_GDB_DAMAGED;
    return MOSE_GDB_PACKET;
}

MoseGdbHeard
mose_gdb_reader_push(MoseGdbReader *reader, guint8 byte)
{
    switch (reader->state) {
    case OUTSIDE:
        return outside(reader, byte);
    case SUM_HIGH:
    case SUM_LOW:
        return checksum(reader, byte);
    default:
        return inside(reader, byte);
    }
}

GString *
mose_gdb_packet_new(const char *data, gsize len)
{
    GString *packet = g_string_new("$");
    guint8 sum = 0;

    for (gsize i = 0; i < len; i++) {
        gboolean special = data[i] && strchr("#$*}", data[i]);

        if (special)
            g_string_append_c(packet, '}');
        g_string_append_c(packet, (char)(special ? data[i] ^ 0x20 : data[i]));
    }
    for (gsize i = 1; i < packet->len; i++)
        sum += (guint8)packet->str[i];
    g_string_append_printf(packet, "#%02x", sum);
    return packet;
}
