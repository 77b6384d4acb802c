/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A scripted gdb stub; see gdb-peer.h. */
#include "fakeqemu/gdb-peer.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LONG_MS 20000

struct GdbPeer {
    GThread *thread;
    const GdbStep *steps;
    int fd;
    char *complaint;
};

/* "$data#sum"; no data of these tests' needs an escape. */
static char *
frame(const char *data)
{
    guint sum = 0;

    for (const char *p = data; *p; p++)
        sum += (guint8)*p;
    return g_strdup_printf("$%s#%02x", data, sum & 0xff);
}

static gboolean
expect(GdbPeer *peer, const char *bytes)
{
    gsize len = strlen(bytes), got = 0;
    g_autofree char *came = g_malloc0(len + 1);
    ssize_t n;

    while (got < len && (n = recv(peer->fd, came + got, len - got, 0)) > 0)
        got += n;
    if (strcmp(came, bytes) == 0)
        return TRUE;
    peer->complaint = g_strdup_printf("expected '%s', got '%s'", bytes, came);
    return FALSE;
}

/* Byte by byte, as a stream may come. */
static void
put(GdbPeer *peer, const char *bytes)
{
    for (gsize len = strlen(bytes), at = 0; at < len;) {
        ssize_t n = send(peer->fd, bytes + at, len > 100 ? len - at : 1, MSG_NOSIGNAL);

        if (n <= 0)
            return;
        at += n;
    }
}

static gboolean
play(GdbPeer *peer, const GdbStep *step)
{
    g_autofree char *wanted = step->expect ? frame(step->expect) : NULL;
    g_autofree char *said = step->say ? frame(step->say) : NULL;

    if (wanted) {
        if (!expect(peer, wanted))
            return FALSE;
        put(peer, "+");
    }
    if (said) {
        put(peer, said);
        if (!expect(peer, "+"))
            return FALSE;
    }
    if (step->raw)
        put(peer, step->raw);
    return (!step->bytes || expect(peer, step->bytes)) && !step->hang_up;
}

static gpointer
peer_main(gpointer data)
{
    GdbPeer *peer = data;
    const GdbStep *step = peer->steps;
    gboolean more = TRUE;
    char byte;

    for (; more &&
           (step->expect || step->say || step->raw || step->bytes || step->hang_up);
         step++)
        more = play(peer, step);
    while (more && recv(peer->fd, &byte, 1, 0) > 0)
        if (!peer->complaint)
            peer->complaint = g_strdup_printf("after the last step: '%c'", byte);
    close(peer->fd);
    return NULL;
}

GdbPeer *
gdb_peer_start(const GdbStep *steps, int *ret_fd)
{
    GdbPeer *peer = g_new0(GdbPeer, 1);
    int pair[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
    *ret_fd = pair[0];
    peer->fd = pair[1];
    peer->steps = steps;
    peer->thread = g_thread_new("gdb-peer", peer_main, peer);
    return peer;
}

void
gdb_peer_finish(GdbPeer *peer)
{
    g_autofree char *complaint = NULL;

    g_thread_join(peer->thread);
    complaint = g_steal_pointer(&peer->complaint);
    g_free(peer);
    g_assert_cmpstr(complaint, ==, NULL);
}

MoseGdb *
gdb_peer_connect(const GdbStep *steps, GdbPeer **ret_peer)
{
    g_autoptr(GError) error = NULL;
    MoseGdb *gdb;
    int fd;

    *ret_peer = gdb_peer_start(steps, &fd);
    gdb = mose_gdb_new(fd, "fake", LONG_MS, &error);
    g_assert_no_error(error);
    return gdb;
}

void
gdb_peer_done(MoseGdb *gdb, GdbPeer *peer)
{
    mose_gdb_free(gdb);
    gdb_peer_finish(peer);
}
