/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target: any bytes from a gdb stub. What is a packet is so again when it is
 * written anew, and carries the same.
 */
#include <string.h>

#include "fuzz/fuzz.h"
#include "qemu/gdb-packet.h"

static void
check_written_anew(const GString *data)
{
    g_autoptr(GString) packet = mose_gdb_packet_new(data->str, data->len);
    MoseGdbHeard heard = MOSE_GDB_MORE;
    MoseGdbReader reader;

    mose_gdb_reader_init(&reader);
    for (gsize i = 0; i < packet->len; i++) {
        FUZZ_CHECK(heard == MOSE_GDB_MORE);
        heard = mose_gdb_reader_push(&reader, (guint8)packet->str[i]);
    }
    FUZZ_CHECK(heard == MOSE_GDB_PACKET && g_string_equal(reader.data, data));
    mose_gdb_reader_clear(&reader);
}

int
LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
    MoseGdbReader reader;

    mose_gdb_reader_init(&reader);
    for (size_t i = 0; i < size; i++) {
        MoseGdbHeard heard = mose_gdb_reader_push(&reader, data[i]);

        FUZZ_CHECK(reader.data->len <= MOSE_GDB_PACKET_MAX);
        if (heard == MOSE_GDB_PACKET)
            check_written_anew(reader.data);
        if (heard == MOSE_GDB_TOO_LONG || heard == MOSE_GDB_GARBAGE)
            break;
    }
    mose_gdb_reader_clear(&reader);
    return 0;
}
