/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A scripted QMP peer; see peer.h. */
#include "fakeqemu/peer.h"

#include <string.h>
#include <sys/socket.h>

#include "fakeqemu/line.h"
#include "util/fd.h"

struct FakePeer {
    GThread *thread;
    const FakeStep *steps;
    FakeLine line;
    char *complaint;
};

static gboolean
play(FakePeer *peer, const FakeStep *step)
{
    if (step->expect) {
        g_autofree char *text = fake_line_read(&peer->line);

        if (!text || !strstr(text, step->expect)) {
            peer->complaint = g_strdup_printf("expected %s, got %s", step->expect,
                                              text ? text : "the end");
            return FALSE;
        }
    }
    if (step->reply)
        fake_line_send(&peer->line, step->reply);
    return !step->hang_up;
}

static gpointer
peer_main(gpointer data)
{
    FakePeer *peer = data;
    const FakeStep *step = peer->steps;
    gboolean more = TRUE;

    for (; more && (step->expect || step->reply || step->hang_up); step++)
        more = play(peer, step);
    while (more) {
        g_autofree char *text = fake_line_read(&peer->line);

        more = text != NULL;
        if (text && !peer->complaint)
            peer->complaint = g_strdup_printf("after the last step: %s", text);
    }
    fake_line_close(&peer->line);
    return NULL;
}

FakePeer *
fake_peer_start(const FakeStep *steps, int *ret_fd)
{
    FakePeer *peer = g_new0(FakePeer, 1);
    int pair[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
    *ret_fd = pair[0];
    peer->steps = steps;
    fake_line_init(&peer->line, pair[1]);
    peer->thread = g_thread_new("fake-qmp", peer_main, peer);
    return peer;
}

int
fake_peer_finish(FakePeer *peer)
{
    g_autofree char *complaint = NULL;
    int fd;

    g_thread_join(peer->thread);
    fd = mose_fd_steal(&peer->line.passed);
    complaint = g_steal_pointer(&peer->complaint);
    fake_line_clear(&peer->line);
    g_free(peer);
    g_assert_cmpstr(complaint, ==, NULL);
    return fd;
}
