/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The stream's way from the source to the destination. See move.h.
 *
 * In place, and by copy through one channel, each QEMU gets one end of a socket pair,
 * and the relay has the others.
 *
 * By copy through several channels (multifd) QEMU needs a socket with a name: all the
 * source's channels go to the address of the first (QEMU migration/socket.c:
 * socket_send_channel_create). Memory is to go from QEMU to QEMU, and only the first
 * channel through the relay. So the source is told a path at which MOSE listens, for
 * one connection (backlog 0). When that one has come, the destination's socket is
 * renamed to the same path, and only then is the connection accepted. Channels that
 * were quicker wait in connect(2) until then, and look the path up again (Linux
 * net/unix/af_unix.c:unix_stream_connect, "restart").
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "qemu/migration.h"
#include "switch/move.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/json.h"
#include "util/unix-socket.h"

/* In place all that is left goes at once. */
#define ANY_DOWNTIME_MS 100000
#define ACCEPT_TIMEOUT_MS 5000

static gboolean
by_name(const MoseMove *move)
{
    return move->copy && (move->channels > 1 || move->options->tcp.address);
}

/* Only what this operation needs: another one may have left its own. */
static gboolean
set_capabilities(const MoseMove *move, MoseQmp *qmp, GError **error)
{
    const MoseCapability wanted[] = {
        { "events", TRUE },
        { "x-ignore-shared", !move->copy },
        { "return-path", TRUE },
        { "late-block-activate", TRUE },
        { "pause-before-switchover", FALSE },
        { "multifd", by_name(move) },
        { "postcopy-ram", FALSE },
        { "xbzrle", FALSE },
        { "auto-converge", move->copy },
        { "mapped-ram", FALSE },
    };

    return mose_migration_set(qmp, wanted, G_N_ELEMENTS(wanted), error);
}

/* QEMU compresses what does not go through the link. */
static void
set_channels(const MoseMove *move, JsonObject *parameters)
{
    guint level = move->options->tcp.compress_level;

    json_object_set_int_member(parameters, "multifd-channels", move->channels);
    json_object_set_string_member(parameters, "multifd-compression",
                                  level > 0 ? "zstd" : "none");
    if (level > 0)
        json_object_set_int_member(parameters, "multifd-zstd-level", level);
}

/* On one host there is no network to spare: at any speed. By copy the guest is granted
 * more time to stand still by need (move-copy.c). */
static gboolean
set_parameters(MoseMove *move, MoseQmp *qmp, GError **error)
{
    JsonObject *parameters = mose_json_object(
        "max-bandwidth", "i", (gint64)move->options->bytes_per_second, "downtime-limit",
        "i", (gint64)(move->copy ? mose_move_first_downtime_ms(move) : ANY_DOWNTIME_MS),
        NULL);

    if (by_name(move))
        set_channels(move, parameters);
    if (move->copy)
        move->copied.downtime_ms = mose_move_first_downtime_ms(move);
    return mose_qmp_run(qmp, "migrate-set-parameters", parameters, error);
}

static gboolean
watch(int epoll_fd, int fd, GError **error)
{
    struct epoll_event event = { .events = EPOLLIN };

    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0)
        return TRUE;
    mose_error_set_errno(error, errno, "cannot watch the move");
    return FALSE;
}

/* What ends a wait for the move: the user, the guardians' end, the relay's failure. */
static gboolean
open_wake_fd(MoseMove *move, GError **error)
{
    int user = move->options->interrupt_fd;

    move->wake_fd = epoll_create1(EPOLL_CLOEXEC);
    if (move->wake_fd >= 0)
        return watch(move->wake_fd, mose_guardian_fd(move->guardian), error) &&
               (user <= 0 || watch(move->wake_fd, user, error));
    mose_error_set_errno(error, errno, "cannot watch the move");
    return FALSE;
}

/* The guardian was forked before this thread is made. */
static gboolean
start_relay(MoseMove *move, MoseFd *source, MoseFd *destination, GError **error)
{
    move->relay = mose_relay_start(mose_fd_steal(source), mose_fd_steal(destination),
                                   mose_move_rewrite, move, error);
    if (!move->relay)
        return FALSE;
    if (move->options->freeze) {
        /* What an earlier try has left. */
        if (ftruncate(move->options->keep_fd, 0) < 0 ||
            lseek(move->options->keep_fd, 0, SEEK_SET) < 0) {
            mose_error_set_errno(error, errno, "cannot keep the stream");
            return FALSE;
        }
        mose_relay_keep(move->relay, move->options->keep_fd);
    }
    mose_relay_set_patience(move->relay, MOSE_MOVE_TIMEOUT_MS);
    return watch(move->wake_fd, mose_relay_failure_fd(move->relay), error);
}

/* --- socket pairs --- */

/* One end of a new socket pair goes to QEMU as "mose", the other is returned. */
static int
give_socket(MoseQmp *qmp, GError **error)
{
    g_auto(MoseFd) ours = MOSE_FD_NONE;
    g_auto(MoseFd) theirs = MOSE_FD_NONE;
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        mose_error_set_errno(error, errno, "cannot make a socket pair");
        return -1;
    }
    ours = pair[0];
    theirs = pair[1];
    mose_relay_widen(theirs);
    if (!mose_qmp_send_fd(qmp, "mose", theirs, error))
        return -1;
    return mose_fd_steal(&ours);
}

static gboolean
connect_pairs(MoseMove *move, GError **error)
{
    g_auto(MoseFd) source = give_socket(move->source_qmp, error);
    g_auto(MoseFd) destination = source < 0 ? MOSE_FD_NONE
                                 : move->far
                                     ? mose_move_far_stream(move, error)
                                     : give_socket(move->destination->qmp, error);

    return destination >= 0 && start_relay(move, &source, &destination, error) &&
           (move->far ||
            mose_qmp_run(move->destination->qmp, "migrate-incoming",
                         mose_json_object("uri", "s", "fd:mose", NULL), error));
}

/* --- sockets with names --- */

static char *
channel_path(const MoseMove *move, const char *what)
{
    return mose_launch_channel(move->guest, what, move->destination->generation);
}

static gboolean
run_uri(MoseQmp *qmp, const char *command, const char *path, GError **error)
{
    g_autofree char *uri = g_strconcat("unix:", path, NULL);

    return mose_qmp_run(qmp, command, mose_json_object("uri", "s", uri, NULL), error);
}

/* To another host a relay over TCP listens in the place of the destination. */
static gboolean
listen_by_name(MoseMove *move, GError **error)
{
    g_autofree char *ours = channel_path(move, MOSE_CHANNEL_STREAM);
    g_autofree char *theirs = channel_path(move, MOSE_CHANNEL_INCOMING);

    move->listener = mose_unix_listen_for(ours, 0, error);
    if (move->listener < 0)
        return FALSE;
    return move->far
               ? mose_move_far_tcp(move, theirs, error)
               : run_uri(move->destination->qmp, "migrate-incoming", theirs, error);
}

/* Wait until the source's first channel has come, and not been accepted. */
static gboolean
wait_channel(MoseMove *move, GError **error)
{
    struct pollfd fds[] = { { move->listener, POLLIN, 0 },
                            { move->wake_fd, POLLIN, 0 } };
    int n;

    while ((n = poll(fds, G_N_ELEMENTS(fds), ACCEPT_TIMEOUT_MS)) < 0 && errno == EINTR)
        ;
    if (n > 0 && fds[0].revents)
        return TRUE;
    g_set_error(error, MOSE_ERROR, n > 0 ? MOSE_ERROR_CLOSED : MOSE_ERROR_TIMEOUT,
                "the source did not connect to %s/stream.%u", move->guest->dir,
                move->destination->generation);
    return FALSE;
}

/* The first channel is ours from here on, the others find the destination. */
static gboolean
take_channel(MoseMove *move, GError **error)
{
    g_autofree char *ours = channel_path(move, MOSE_CHANNEL_STREAM);
    g_autofree char *theirs = channel_path(move, MOSE_CHANNEL_INCOMING);
    g_auto(MoseFd) source = MOSE_FD_NONE;
    g_auto(MoseFd) destination = MOSE_FD_NONE;
    struct sockaddr_un peer;
    socklen_t len = sizeof(peer);

    if (!wait_channel(move, error))
        return FALSE;
    if (rename(theirs, ours) < 0) {
        mose_error_set_errno(error, errno, "cannot rename socket %s", theirs);
        return FALSE;
    }
    source = accept4(move->listener, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC);
    if (source < 0) {
        mose_error_set_errno(error, errno, "cannot accept the source's channel");
        return FALSE;
    }
    mose_fd_close(move->listener);
    move->listener = MOSE_FD_NONE;
    destination = move->far
                      ? mose_link_connect(move->far->link, MOSE_SERVICE_STREAM, error)
                      : mose_unix_connect(ours, error);
    return destination >= 0 && start_relay(move, &source, &destination, error);
}

gboolean
mose_move_connect(MoseMove *move, GError **error)
{
    MoseQmp *to = move->destination->qmp;

    if (!open_wake_fd(move, error) ||
        !set_capabilities(move, move->source_qmp, error) ||
        !set_capabilities(move, to, error) ||
        !set_parameters(move, move->source_qmp, error) ||
        (move->copy && !set_parameters(move, to, error)))
        return FALSE;
    return by_name(move) ? listen_by_name(move, error) : connect_pairs(move, error);
}

gboolean
mose_move_send(MoseMove *move, GError **error)
{
    g_autofree char *path = channel_path(move, MOSE_CHANNEL_STREAM);

    if (by_name(move))
        return run_uri(move->source_qmp, "migrate", path, error) &&
               take_channel(move, error);
    return mose_qmp_run(move->source_qmp, "migrate",
                        mose_json_object("uri", "s", "fd:mose", NULL), error);
}
