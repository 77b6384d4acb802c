/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets of gdb's remote protocol ("Debugging with GDB", appendix E, Overview), in
 * and out of bytes. No I/O: socket, test and fuzzer share it.
 *
 *   $data#cc    cc: the sum of data's bytes as sent, modulo 256, two hex digits
 *   + -         the packet before was received well, or is to be sent again
 *   }c          in data: the byte c ^ 0x20
 *   c*n         in data: c, and once more for each of the n - 29 repetitions
 */
#pragma once

#include <glib.h>

/* The longest packet that is read, in bytes of data. QEMU's are at most twice its
 * MAX_PACKET_LENGTH of 4096 (gdbstub/internals.h), in hex. */
#define MOSE_GDB_PACKET_MAX 16384

/* What one more byte has made of those before it. */
typedef enum {
    MOSE_GDB_MORE,     /* nothing yet */
    MOSE_GDB_ACK,      /* "+" */
    MOSE_GDB_NAK,      /* "-" */
    MOSE_GDB_PACKET,   /* a whole packet: reader->data */
    MOSE_GDB_DAMAGED,  /* the end of one that is not as it was sent */
    MOSE_GDB_TOO_LONG, /* more than MOSE_GDB_PACKET_MAX */
    MOSE_GDB_GARBAGE,  /* a byte that begins nothing */
} MoseGdbHeard;

typedef struct {
    GString *data; /* of the packet that was heard last, or of its part */
    int state;
    guint8 sum, told; /* of the bytes; as the packet says */
    gboolean damaged;
} MoseGdbReader;

void mose_gdb_reader_init(MoseGdbReader *reader);
void mose_gdb_reader_clear(MoseGdbReader *reader);

/* After TOO_LONG and GARBAGE nothing more can be read. */
MoseGdbHeard mose_gdb_reader_push(MoseGdbReader *reader, guint8 byte);

/* The packet that carries @data. */
GString *mose_gdb_packet_new(const char *data, gsize len);
