/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The other end of a gdb connection, played from a script in a thread. It frames
 * packets by itself, so that a mistake of the client's is not made twice.
 */
#pragma once

#include "qemu/gdb.h"

typedef struct {
    const char *expect; /* data of the packet that must come; it is acknowledged */
    const char *say;    /* then data of a packet, whose acknowledgement must come */
    const char *raw;    /* then bytes as they are */
    const char *bytes;  /* then these bytes must come */
    gboolean hang_up;   /* and the connection is closed */
} GdbStep;

/* How each connection begins. */
#define GDB_HELLO                                                                      \
    { "qSupported:multiprocess+", "PacketSize=1000;multiprocess+" },                   \
    {                                                                                  \
        "qC", "QCp01.01"                                                               \
    }

typedef struct GdbPeer GdbPeer;

/* Play @steps, ended by one that is all zero; *@ret_fd is the client's end. */
GdbPeer *gdb_peer_start(const GdbStep *steps, int *ret_fd);

/* Wait for its end, the client's end being closed: fails the test unless each step was
 * played and nothing came after the last. */
void gdb_peer_finish(GdbPeer *peer);

/* The same with a client, which must be content with the beginning of @steps; its name
 * in errors is "fake". */
MoseGdb *gdb_peer_connect(const GdbStep *steps, GdbPeer **ret_peer);
void gdb_peer_done(MoseGdb *gdb, GdbPeer *peer);
