/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The gdb client's connection, which its other files use. */
#pragma once

#include "qemu/gdb-packet.h"
#include "qemu/gdb.h"

struct MoseGdb {
    int fd;
    char *name;
    int timeout_ms;
    gboolean dead;
    gboolean running;
    gboolean processes; /* the stub names them: in thread ids, and in detach */
    guint process;      /* the one all vCPUs are in */
    MoseGdbReader reader;
    guint8 input[4096]; /* of which [at, end) was not read yet */
    gsize at, end;
};

/* A moment of g_get_monotonic_time(); negative: never. */
gint64 mose_gdb_deadline(int timeout_ms);

/*
 * Send the packet @text and return its answer, which is valid until the next. Answers
 * that tell of an error, or of no knowledge, are errors, which name @text (its first
 * bytes, if it is long).
 */
const GString *mose_gdb_ask(MoseGdb *gdb, const char *text, GError **error);

/* The same where the answer must be "OK". */
gboolean mose_gdb_tell(MoseGdb *gdb, const char *text, GError **error);

/* Whether @text can be asked now: neither dead nor running. */
gboolean mose_gdb_can_ask(MoseGdb *gdb, const char *text, GError **error);

/* Bytes of the packet @packet, as they are. */
gboolean mose_gdb_send(MoseGdb *gdb, const void *bytes, gsize len, const char *packet,
                       GError **error);

/* Wait for a packet, and acknowledge it: reader.data has it. @sent is sent again if the
 * stub wants that. The error does not say where. */
gboolean mose_gdb_hear_packet(MoseGdb *gdb, const GString *sent, gint64 deadline,
                              int cancel_fd, GError **error);

/* Send the packet @text and wait until it is acknowledged; its answer comes later. */
gboolean mose_gdb_hand_over(MoseGdb *gdb, const char *text, GError **error);

/* The connection has no use any more: set @error, return FALSE. */
gboolean mose_gdb_fail(MoseGdb *gdb, int code, const char *packet, const char *what,
                       GError **error);
