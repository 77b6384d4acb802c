/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two pumps, as on two hosts: a QEMU's private tap at one end, at the other a tap whose
 * packet socket stands for the bridge.
 */
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "lib/tap-frames.h"
#include "net/frame-end.h"
#include "net/pump.h"
#include "util/error.h"
#include "util/fd.h"

#define HEADER 12
#define OFFLOADS (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN)
#define TURNS 500

typedef struct {
    MosePrivateTap home, away;
    MosePump *pumps[2]; /* at home, away */
} Hosts;

static void
set_tap(int tap, int header)
{
    g_assert_cmpint(ioctl(tap, TUNSETVNETHDRSZ, &header), ==, 0);
    g_assert_cmpint(ioctl(tap, TUNSETOFFLOAD, OFFLOADS), ==, 0);
}

static gboolean
hosts_init(Hosts *hosts, gboolean vnet_hdr)
{
    g_autoptr(GError) error = NULL;
    int pair[2];

    if (!tap_frames_open("tap0", vnet_hdr, 0, &hosts->home))
        return FALSE;
    g_assert_true(tap_frames_open("tap0", vnet_hdr, 0, &hosts->away));
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
    if (vnet_hdr) {
        set_tap(hosts->home.tap, HEADER);
        set_tap(hosts->away.tap, HEADER);
    }
    hosts->pumps[0] = mose_pump_new(hosts->home.tap, pair[0], &error);
    g_assert_no_error(error);
    hosts->pumps[1] = mose_pump_new(hosts->away.packet, pair[1], &error);
    g_assert_no_error(error);
    return TRUE;
}

static void
hosts_clear(Hosts *hosts)
{
    mose_pump_free(hosts->pumps[0]);
    mose_pump_free(hosts->pumps[1]);
    mose_fd_close(hosts->home.packet);
    mose_fd_close(hosts->away.tap);
}

/* One turn of one pump; FALSE when it is done. */
static gboolean
turn(MosePump *pump, int timeout, GError **error)
{
    struct pollfd fds[MOSE_PUMP_FDS];

    mose_pump_prepare(pump, fds);
    g_assert_cmpint(poll(fds, MOSE_PUMP_FDS, timeout), >=, 0);
    return mose_pump_dispatch(pump, fds, error);
}

static void
turn_both(Hosts *hosts)
{
    g_autoptr(GError) error = NULL;

    for (int i = 0; i < 2; i++)
        if (!turn(hosts->pumps[i], 5, &error))
            g_error("pump %d: %s", i, error->message);
}

/* Both turn until @fd is readable. */
static void
turn_until(Hosts *hosts, int fd)
{
    struct pollfd pfd = { .fd = fd, .events = POLLIN };

    for (int i = 0; i < TURNS && poll(&pfd, 1, 0) == 0; i++)
        turn_both(hosts);
    g_assert_cmpint(poll(&pfd, 1, 0), ==, 1);
}

static void
from_bridge(Hosts *hosts, TestFrame *ret)
{
    MoseFrameEnd end;

    g_assert_true(mose_frame_end_init(&end, hosts->home.packet, NULL));
    turn_until(hosts, end.fd);
    g_assert_cmpint(mose_frame_end_read(&end, ret->data, &ret->len), ==,
                    MOSE_FRAME_DONE);
}

static void
to_bridge(Hosts *hosts, const TestFrame *frame)
{
    MoseFrameEnd end;

    g_assert_true(mose_frame_end_init(&end, hosts->home.packet, NULL));
    g_assert_cmpint(mose_frame_end_write(&end, frame->data, frame->len), ==,
                    MOSE_FRAME_DONE);
}

static void
there_and_back(Hosts *hosts, int header, const TestFrame *frame)
{
    g_autofree TestFrame *got = g_new(TestFrame, 1);

    g_assert_cmpint(tap_frames_write(hosts->away.tap, header, frame), ==, 0);
    from_bridge(hosts, got);
    tap_frames_assert_same(got, frame);
    to_bridge(hosts, frame);
    turn_until(hosts, hosts->away.tap);
    tap_frames_read(hosts->away.tap, header, got);
    tap_frames_assert_same(got, frame);
}

static void
test_frames(gconstpointer vnet_hdr)
{
    g_autofree TestFrame *frame = g_new(TestFrame, 1);
    int header = vnet_hdr ? HEADER : 0;
    MosePumpCounts home, away;
    Hosts hosts;

    if (!hosts_init(&hosts, vnet_hdr != NULL))
        return;
    for (gsize len = 60; len <= 9000; len += 745) {
        tap_frames_plain(frame, len);
        there_and_back(&hosts, header, frame);
        tap_frames_tag(frame, 99);
        there_and_back(&hosts, header, frame);
    }
    if (vnet_hdr) {
        tap_frames_tcp(frame, 65000, 1448);
        there_and_back(&hosts, header, frame);
        tap_frames_tag(frame, 99);
        there_and_back(&hosts, header, frame);
    }
    home = mose_pump_counts(hosts.pumps[0]);
    away = mose_pump_counts(hosts.pumps[1]);
    g_assert_cmpuint(home.frames_in, ==, vnet_hdr ? 28 : 26);
    g_assert_cmpuint(home.segmented_in, ==, vnet_hdr ? 2 : 0);
    g_assert_cmpuint(home.frames_in, ==, away.frames_out);
    g_assert_cmpuint(home.bytes_in, ==, away.bytes_out);
    g_assert_cmpuint(home.frames_out, ==, away.frames_in);
    g_assert_cmpuint(home.bytes_out, ==, away.bytes_in);
    g_assert_cmpuint(home.lost_in + home.lost_out + away.lost_in + away.lost_out, ==,
                     0);
    hosts_clear(&hosts);
}

/* Another QEMU opens the tap at home, which makes its headers smaller: those of the
 * frames that go through do not suffer. */
static void
test_header_size(void)
{
    static const int sizes[] = { 10, 12, 20, 12, 10 };
    g_autofree TestFrame *frame = g_new(TestFrame, 1);
    Hosts hosts;

    if (!hosts_init(&hosts, TRUE))
        return;
    tap_frames_tcp(frame, 30000, 1448);
    for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
        set_tap(hosts.home.tap, sizes[i]);
        there_and_back(&hosts, HEADER, frame);
    }
    hosts_clear(&hosts);
}

/* No headers in the tap at home: a frame that is not whole cannot be delivered there.
 * It is lost and counted, and the next one comes. */
static void
test_not_whole(void)
{
    g_autofree TestFrame *frame = g_new(TestFrame, 1);
    guint8 length[MOSE_FRAME_LENGTH];
    MosePrivateTap tap;
    MosePump *pump;
    int pair[2];

    if (!tap_frames_open("tap0", FALSE, 0, &tap))
        return;
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
    pump = mose_pump_new(tap.tap, pair[0], NULL);
    for (int i = 0; i < 3; i++) {
        if (i < 2)
            tap_frames_tcp(frame, 3000, i == 0 ? 1448 : 0);
        else
            tap_frames_plain(frame, 1000);
        mose_frame_put_length(length, (guint32)frame->len);
        g_assert_true(
            mose_fd_write_all(pair[1], length, sizeof(length), "frame", NULL));
        g_assert_true(
            mose_fd_write_all(pair[1], frame->data, frame->len, "frame", NULL));
    }
    g_assert_true(turn(pump, 5, NULL));
    g_assert_cmpuint(mose_pump_counts(pump).lost_in, ==, 2);
    g_assert_cmpuint(mose_pump_counts(pump).frames_in, ==, 1);
    mose_pump_free(pump);
    mose_fd_close(pair[1]);
    mose_fd_close(tap.packet);
}

/* The other host takes nothing: what waits is bounded, the guest's frames are dropped,
 * and what was not comes when it takes them again. */
static void
test_full(void)
{
    g_autofree TestFrame *frame = g_new(TestFrame, 1);
    g_autofree TestFrame *got = g_new(TestFrame, 1);
    MosePumpCounts away;
    Hosts hosts;

    if (!hosts_init(&hosts, TRUE))
        return;
    tap_frames_tcp(frame, 65000, 1448);
    for (int i = 0; i < 1000; i++) {
        g_assert_cmpint(tap_frames_write(hosts.away.tap, HEADER, frame), ==, 0);
        g_assert_true(turn(hosts.pumps[1], 0, NULL));
    }
    away = mose_pump_counts(hosts.pumps[1]);
    g_assert_cmpuint(away.lost_out, >, 500);
    g_assert_cmpuint(away.bytes_out, >, MOSE_PUMP_QUEUE);
    g_assert_cmpuint(away.bytes_out, <, 4 * MOSE_PUMP_QUEUE);
    for (guint64 i = 0; i < 1000 - away.lost_out; i++) {
        from_bridge(&hosts, got);
        tap_frames_assert_same(got, frame);
    }
    there_and_back(&hosts, HEADER, frame);
    g_assert_cmpuint(mose_pump_counts(hosts.pumps[0]).frames_in, ==,
                     1000 - away.lost_out + 1);
    hosts_clear(&hosts);
}

/* Held, the frames wait in the tap; the other way goes on. */
static void
test_hold(void)
{
    g_autofree TestFrame *frame = g_new(TestFrame, 1);
    g_autofree TestFrame *got = g_new(TestFrame, 1);
    Hosts hosts;

    if (!hosts_init(&hosts, TRUE))
        return;
    mose_pump_hold(hosts.pumps[0], TRUE);
    tap_frames_tcp(frame, 65000, 1448);
    for (int i = 0; i < 100; i++)
        to_bridge(&hosts, frame);
    for (int i = 0; i < 10; i++)
        turn_both(&hosts);
    g_assert_cmpuint(mose_pump_counts(hosts.pumps[0]).frames_out, ==, 0);
    g_assert_cmpint(tap_frames_write(hosts.away.tap, HEADER, frame), ==, 0);
    from_bridge(&hosts, got);
    tap_frames_assert_same(got, frame);
    mose_pump_hold(hosts.pumps[0], FALSE);
    for (int i = 0; i < 100; i++) {
        turn_until(&hosts, hosts.away.tap);
        tap_frames_read(hosts.away.tap, HEADER, got);
        tap_frames_assert_same(got, frame);
    }
    hosts_clear(&hosts);
}

/* How it ends, each with what it says. */
static void
assert_ends(MosePump *pump, int code, const char *why)
{
    g_autoptr(GError) error = NULL;
    int turns = 0;

    while (turn(pump, 5, &error))
        g_assert_cmpint(++turns, <, TURNS);
    g_assert_error(error, MOSE_ERROR, code);
    if (!strstr(error->message, why))
        g_error("'%s' does not say '%s'", error->message, why);
}

static void
test_ends(void)
{
    static const guint8 noise[MOSE_FRAME_MIN] = "SSH-2.0";
    static const guint8 piece[] = { 0, 0 };
    Hosts hosts;
    int pair[2];
    MosePrivateTap tap;
    MosePump *pump;

    if (!hosts_init(&hosts, TRUE))
        return;
    mose_fd_close(hosts.away.tap);
    assert_ends(hosts.pumps[1], MOSE_ERROR_CLOSED, "interface is not there");
    mose_pump_free(g_steal_pointer(&hosts.pumps[1]));
    hosts.away.tap = MOSE_FD_NONE;
    assert_ends(hosts.pumps[0], MOSE_ERROR_CLOSED, "closed it");
    hosts_clear(&hosts);
    for (int i = 0; i < 2; i++) {
        g_assert_true(tap_frames_open("tap0", TRUE, 0, &tap));
        g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==,
                        0);
        pump = mose_pump_new(tap.packet, pair[0], NULL);
        g_assert_true(
            i == 0 ? mose_fd_write_all(pair[1], noise, sizeof(noise), "noise", NULL)
                   : mose_fd_write_all(pair[1], piece, sizeof(piece), "piece", NULL));
        mose_fd_close(pair[1]);
        if (i == 0)
            assert_ends(pump, MOSE_ERROR_STREAM, "at offset 0");
        else
            assert_ends(pump, MOSE_ERROR_CLOSED, "within a frame");
        mose_pump_free(pump);
        mose_fd_close(tap.tap);
    }
}

/* The loop of its own ends when it is told to. */
static gpointer
run(gpointer data)
{
    gpointer *arguments = data;
    g_autoptr(GError) error = NULL;

    g_assert_true(mose_pump_run(arguments[0], GPOINTER_TO_INT(arguments[1]), &error));
    g_assert_no_error(error);
    return NULL;
}

static void
test_run(void)
{
    g_autofree TestFrame *frame = g_new(TestFrame, 1);
    g_autofree TestFrame *got = g_new(TestFrame, 1);
    gpointer arguments[2][2];
    GThread *threads[2];
    Hosts hosts;
    int stop[2];

    if (!hosts_init(&hosts, TRUE))
        return;
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stop), ==, 0);
    for (int i = 0; i < 2; i++) {
        arguments[i][0] = hosts.pumps[i];
        arguments[i][1] = GINT_TO_POINTER(stop[0]);
        threads[i] = g_thread_new("pump", run, arguments[i]);
    }
    tap_frames_tcp(frame, 65000, 1448);
    for (int i = 0; i < 50; i++) {
        to_bridge(&hosts, frame);
        tap_frames_read(hosts.away.tap, HEADER, got);
        tap_frames_assert_same(got, frame);
    }
    mose_fd_close(stop[1]);
    g_thread_join(threads[0]);
    g_thread_join(threads[1]);
    mose_fd_close(stop[0]);
    hosts_clear(&hosts);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/pump/frames/vnet-hdr", "on", test_frames);
    g_test_add_data_func("/pump/frames/plain", NULL, test_frames);
    g_test_add_func("/pump/header-size", test_header_size);
    g_test_add_func("/pump/not-whole", test_not_whole);
    g_test_add_func("/pump/full", test_full);
    g_test_add_func("/pump/hold", test_hold);
    g_test_add_func("/pump/ends", test_ends);
    g_test_add_func("/pump/run", test_run);
    return g_test_run();
}
