/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The gdb client's connection: packets sent and answered, each within its time. What
 * they mean: gdb.c and gdb-state.c. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "qemu/gdb-link.h"
#include "util/error.h"
#include "util/fd.h"

/* A packet that arrives damaged is asked for, or sent, so many times. */
#define TRIES 3
/* So much of a packet is in an error's text. */
#define SHOWN 40
#define SAID_DAMAGED "QEMU says again that it came damaged"

gint64
mose_gdb_deadline(int timeout_ms)
{
    return timeout_ms < 0 ? G_MAXINT64
                          : g_get_monotonic_time() + timeout_ms * (gint64)1000;
}

gboolean
mose_gdb_fail(MoseGdb *gdb, int code, const char *packet, const char *what,
              GError **error)
{
    gdb->dead = TRUE;
    g_set_error(error, MOSE_ERROR, code, "gdb stub %s: %.*s: %s", gdb->name, SHOWN,
                packet, what);
    return FALSE;
}

/* Wait until the socket is @ready, or @cancel_fd readable: FALSE with INTERRUPTED or
 * TIMEOUT, which are no end of the connection by themselves. */
static gboolean
wait_ready(MoseGdb *gdb, short ready, gint64 deadline, int cancel_fd, GError **error)
{
    for (;;) {
        struct pollfd fds[2] = { { gdb->fd, ready, 0 }, { cancel_fd, POLLIN, 0 } };
        gint64 left = deadline - g_get_monotonic_time();
        int n = poll(fds, 2,
                     deadline == G_MAXINT64 ? -1
                     : left > 0             ? (int)MIN((left + 999) / 1000, G_MAXINT)
                                            : 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n > 0 && fds[0].revents)
            return TRUE;
        if (n > 0)
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_INTERRUPTED,
                        "the wait was ended from elsewhere");
        else
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_TIMEOUT,
                        "nothing came within the time limit");
        return FALSE;
    }
}

gboolean
mose_gdb_send(MoseGdb *gdb, const void *bytes, gsize len, const char *packet,
              GError **error)
{
    gint64 deadline = mose_gdb_deadline(gdb->timeout_ms);
    const char *from = bytes;

    while (len > 0) {
        ssize_t n = send(gdb->fd, from, len, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n > 0) {
            from += n;
            len -= n;
        } else if (n < 0 && errno == EAGAIN) {
            if (!wait_ready(gdb, POLLOUT, deadline, -1, NULL))
                return mose_gdb_fail(gdb, MOSE_ERROR_TIMEOUT, packet,
                                     "QEMU does not read it", error);
        } else if (errno != EINTR) {
            return mose_gdb_fail(gdb, MOSE_ERROR_CLOSED, packet, "QEMU closed it",
                                 error);
        }
    }
    return TRUE;
}

/* The next byte; FALSE with the error of wait_ready() or CLOSED. */
static gboolean
next_byte(MoseGdb *gdb, gint64 deadline, int cancel_fd, guint8 *ret, GError **error)
{
    while (gdb->at == gdb->end) {
        ssize_t n;

        if (!wait_ready(gdb, POLLIN, deadline, cancel_fd, error))
            return FALSE;
        n = recv(gdb->fd, gdb->input, sizeof(gdb->input), MSG_DONTWAIT);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n <= 0) {
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_CLOSED, "QEMU closed it");
            return FALSE;
        }
        gdb->at = 0;
        gdb->end = n;
    }
    *ret = gdb->input[gdb->at++];
    return TRUE;
}

/* The next thing that is heard. */
static gboolean
hear(MoseGdb *gdb, gint64 deadline, int cancel_fd, MoseGdbHeard *ret, GError **error)
{
    guint8 byte;

    do {
        if (!next_byte(gdb, deadline, cancel_fd, &byte, error))
            return FALSE;
        *ret = mose_gdb_reader_push(&gdb->reader, byte);
    } while (*ret == MOSE_GDB_MORE);
    if (*ret == MOSE_GDB_TOO_LONG)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "an answer of more than %d bytes", MOSE_GDB_PACKET_MAX);
    else if (*ret == MOSE_GDB_GARBAGE)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "byte 0x%02x outside a packet; is this a gdb stub?", byte);
    else
        return TRUE;
    return FALSE;
}

gboolean
mose_gdb_hear_packet(MoseGdb *gdb, const GString *sent, gint64 deadline, int cancel_fd,
                     GError **error)
{
    MoseGdbHeard heard;

    for (int tries = 0; hear(gdb, deadline, cancel_fd, &heard, error);) {
        if (heard == MOSE_GDB_PACKET)
            return mose_gdb_send(gdb, "+", 1, "+", error);
        if (heard == MOSE_GDB_ACK)
            continue;
        if (++tries >= TRIES || (heard == MOSE_GDB_NAK && !sent)) {
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                        heard == MOSE_GDB_NAK ? SAID_DAMAGED
                                              : "the answer came damaged again");
            return FALSE;
        }
        if (heard == MOSE_GDB_NAK
                ? !mose_gdb_send(gdb, sent->str, sent->len, "-", error)
                : !mose_gdb_send(gdb, "-", 1, "-", error))
            return FALSE;
    }
    return FALSE;
}

/* Wait for the acknowledgement of @sent, which is sent again if need be. */
static gboolean
hear_ack(MoseGdb *gdb, const GString *sent, gint64 deadline, GError **error)
{
    for (int tries = 0; tries < TRIES; tries++) {
        MoseGdbHeard heard;

        if (!hear(gdb, deadline, -1, &heard, error))
            return FALSE;
        if (heard == MOSE_GDB_ACK)
            return TRUE;
        if (heard != MOSE_GDB_NAK) {
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                        "an answer before its acknowledgement");
            return FALSE;
        }
        if (!mose_gdb_send(gdb, sent->str, sent->len, "-", error))
            return FALSE;
    }
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID, SAID_DAMAGED);
    return FALSE;
}

gboolean
mose_gdb_hand_over(MoseGdb *gdb, const char *text, GError **error)
{
    g_autoptr(GString) packet = mose_gdb_packet_new(text, strlen(text));
    g_autoptr(GError) cause = NULL;

    if (!mose_gdb_can_ask(gdb, text, error) ||
        !mose_gdb_send(gdb, packet->str, packet->len, text, error))
        return FALSE;
    if (hear_ack(gdb, packet, mose_gdb_deadline(gdb->timeout_ms), &cause))
        return TRUE;
    return mose_gdb_fail(gdb, cause->code, text, cause->message, error);
}

/* Errors and the answer of a stub that does not know the packet. */
static gboolean
is_answer(MoseGdb *gdb, const char *text, const GString *answer, GError **error)
{
    if (answer->len == 0)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                    "gdb stub %s: %.*s: it does not know this packet", gdb->name, SHOWN,
                    text);
    else if (answer->len == 3 && answer->str[0] == 'E')
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED, "gdb stub %s: %.*s: error %s",
                    gdb->name, SHOWN, text, answer->str);
    else
        return TRUE;
    return FALSE;
}

gboolean
mose_gdb_can_ask(MoseGdb *gdb, const char *text, GError **error)
{
    if (gdb->dead)
        return mose_gdb_fail(gdb, MOSE_ERROR_CLOSED, text,
                             "closed after an earlier failure", error);
    if (gdb->running)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "gdb stub %s: %.*s: the guest runs", gdb->name, SHOWN, text);
    return !gdb->running;
}

const GString *
mose_gdb_ask(MoseGdb *gdb, const char *text, GError **error)
{
    g_autoptr(GString) packet = mose_gdb_packet_new(text, strlen(text));
    g_autoptr(GError) cause = NULL;

    if (!mose_gdb_can_ask(gdb, text, error) ||
        !mose_gdb_send(gdb, packet->str, packet->len, text, error))
        return NULL;
    if (!mose_gdb_hear_packet(gdb, packet, mose_gdb_deadline(gdb->timeout_ms), -1,
                              &cause)) {
        mose_gdb_fail(gdb, cause->code, text, cause->message, error);
        return NULL;
    }
    return is_answer(gdb, text, gdb->reader.data, error) ? gdb->reader.data : NULL;
}

gboolean
mose_gdb_tell(MoseGdb *gdb, const char *text, GError **error)
{
    const GString *answer = mose_gdb_ask(gdb, text, error);

    if (!answer)
        return FALSE;
    if (strcmp(answer->str, "OK") != 0)
        return mose_gdb_fail(gdb, MOSE_ERROR_INVALID, text, "the answer is not OK",
                             error);
    return TRUE;
}
