/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A private tap without a QEMU: what is written into the tap comes out of the packet
 * socket and the other way round, with all that headers can ask for.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/tap-frames.h"
#include "net/frame-end.h"
#include "util/error.h"
#include "util/fd.h"

#define HEADER 12
#define OFFLOADS (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN)

/* As a QEMU whose guest has agreed to all of it. */
static void
set_tap(int tap, unsigned offloads)
{
    int size = HEADER;

    g_assert_cmpint(ioctl(tap, TUNSETVNETHDRSZ, &size), ==, 0);
    g_assert_cmpint(ioctl(tap, TUNSETOFFLOAD, offloads), ==, 0);
}

static void
from_packet(int packet, TestFrame *ret)
{
    g_autoptr(GError) error = NULL;
    MoseFrameEnd end;
    MoseFrameResult result = MOSE_FRAME_NOT_NOW;

    g_assert_true(mose_frame_end_init(&end, packet, &error));
    g_assert_true(end.is_packet);
    for (int i = 0; i < 500 && result == MOSE_FRAME_NOT_NOW; i++) {
        result = mose_frame_end_read(&end, ret->data, &ret->len);
        if (result == MOSE_FRAME_NOT_NOW)
            g_usleep(10000);
    }
    g_assert_cmpint(result, ==, MOSE_FRAME_DONE);
}

static MoseFrameResult
to_packet(int packet, const TestFrame *frame)
{
    MoseFrameEnd end;

    g_assert_true(mose_frame_end_init(&end, packet, NULL));
    return mose_frame_end_write(&end, frame->data, frame->len);
}

static void
there_and_back(const MosePrivateTap *tap, int header, const TestFrame *frame)
{
    g_autofree TestFrame *got = g_new(TestFrame, 1);

    g_assert_cmpint(tap_frames_write(tap->tap, header, frame), ==, 0);
    from_packet(tap->packet, got);
    tap_frames_assert_same(got, frame);
    g_assert_cmpint(to_packet(tap->packet, frame), ==, MOSE_FRAME_DONE);
    tap_frames_read(tap->tap, header, got);
    tap_frames_assert_same(got, frame);
}

static void
close_both(MosePrivateTap *tap)
{
    mose_fd_close(tap->tap);
    mose_fd_close(tap->packet);
}

static const gsize sizes[] = { 14, 60, 1514, 9014,
                               MOSE_TAP_MTU_MAX + MOSE_FRAME_ETHERNET };

static void
test_frames(gconstpointer vnet_hdr)
{
    g_autofree TestFrame *frame = g_new(TestFrame, 1);
    MosePrivateTap tap;

    if (!tap_frames_open("tap0", vnet_hdr != NULL, 0, &tap))
        return;
    if (vnet_hdr)
        set_tap(tap.tap, OFFLOADS);
    for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
        tap_frames_plain(frame, sizes[i]);
        there_and_back(&tap, vnet_hdr ? HEADER : 0, frame);
        /* Behind a tag Linux wants a byte at least, and there is room for one. */
        if (sizes[i] > 14 && sizes[i] < MOSE_TAP_MTU_MAX) {
            tap_frames_tag(frame, 0x123);
            there_and_back(&tap, vnet_hdr ? HEADER : 0, frame);
        }
    }
    close_both(&tap);
}

/* 64 KB in a frame, without a checksum, with and without a tag: as they are. */
static void
test_segmented(void)
{
    g_autofree TestFrame *frame = g_new(TestFrame, 1);
    MosePrivateTap tap;

    if (!tap_frames_open("tap0", TRUE, 0, &tap))
        return;
    set_tap(tap.tap, OFFLOADS);
    for (int tagged = 0; tagged < 2; tagged++)
        for (gsize payload = 1000; payload <= 65000; payload += 32000) {
            tap_frames_tcp(frame, payload, payload > 1448 ? 1448 : 0);
            if (tagged)
                tap_frames_tag(frame, 7);
            there_and_back(&tap, HEADER, frame);
        }
    close_both(&tap);
}

/* A guest that takes no offloads gets whole frames of the size that was asked for. */
static void
test_cut(void)
{
    g_autofree TestFrame *frame = g_new(TestFrame, 1);
    g_autofree TestFrame *got = g_new(TestFrame, 1);
    MosePrivateTap tap;
    gsize payload = 0;

    if (!tap_frames_open("tap0", FALSE, 0, &tap))
        return;
    tap_frames_tcp(frame, 65000, 1448);
    g_assert_cmpint(to_packet(tap.packet, frame), ==, MOSE_FRAME_DONE);
    for (int i = 0; payload < 65000; i++) {
        gsize len;

        tap_frames_read(tap.tap, 0, got);
        len = got->len - MOSE_FRAME_VNET - MOSE_FRAME_ETHERNET - 40;
        g_assert_cmpuint(len, ==, MIN(1448, 65000 - payload));
        payload += len;
    }
    tap_frames_assert_silent(tap.tap, 0);
    close_both(&tap);
}

/* Headers that make no sense: the frame is lost, and the next one comes. */
static void
test_wrong_headers(void)
{
    g_autofree TestFrame *frame = g_new(TestFrame, 1);
    MosePrivateTap tap;

    if (!tap_frames_open("tap0", TRUE, 0, &tap))
        return;
    set_tap(tap.tap, OFFLOADS);
    for (int i = 0; i < 2000; i++) {
        tap_frames_tcp(frame, 3000, 1448);
        for (gsize at = 0; at < MOSE_FRAME_VNET; at++)
            frame->data[at] = (guint8)g_test_rand_int();
        g_assert_cmpint(to_packet(tap.packet, frame), !=, MOSE_FRAME_GONE);
        while (read(tap.tap, frame->data, sizeof(frame->data)) > 0)
            ;
    }
    tap_frames_plain(frame, 100);
    there_and_back(&tap, HEADER, frame);
    close_both(&tap);
}

static void
test_mtu(void)
{
    g_autofree TestFrame *frame = g_new(TestFrame, 1);
    MosePrivateTap tap;

    if (!tap_frames_open("tap0", TRUE, 1500, &tap))
        return;
    set_tap(tap.tap, OFFLOADS);
    tap_frames_plain(frame, 1600);
    g_assert_cmpint(to_packet(tap.packet, frame), ==, MOSE_FRAME_BAD);
    tap_frames_plain(frame, 1514);
    there_and_back(&tap, HEADER, frame);
    close_both(&tap);
}

/* Its kernel says nothing: not when it comes up, not to a question that concerns all.
 */
static void
test_silent(void)
{
    g_autofree TestFrame *frame = g_new(TestFrame, 1);
    MosePrivateTap tap;

    if (!tap_frames_open("tap0", TRUE, 0, &tap))
        return;
    tap_frames_tcp(frame, 100, 0);
    memset(frame->data + MOSE_FRAME_VNET, 0xff, 6);
    g_assert_cmpint(tap_frames_write(tap.tap, MOSE_FRAME_VNET, frame), ==, 0);
    tap_frames_assert_silent(tap.tap, 2500);
    close_both(&tap);
}

/* When the tap's descriptor has been closed the other one says so. */
static void
test_gone(void)
{
    g_autofree TestFrame *frame = g_new(TestFrame, 1);
    MosePrivateTap tap;
    MoseFrameEnd end;

    if (!tap_frames_open("tap0", TRUE, 0, &tap))
        return;
    g_assert_true(mose_frame_end_init(&end, tap.packet, NULL));
    mose_fd_close(tap.tap);
    g_assert_cmpint(mose_frame_end_read(&end, frame->data, &frame->len), ==,
                    MOSE_FRAME_GONE);
    tap_frames_plain(frame, 100);
    g_assert_cmpint(to_packet(tap.packet, frame), ==, MOSE_FRAME_GONE);
    mose_fd_close(tap.packet);
}

static void
test_wrong_use(void)
{
    g_autoptr(GError) error = NULL;
    MosePrivateTap tap;
    MoseFrameEnd end;

    g_assert_false(
        mose_private_tap_open("a-name-too-long-for-linux", TRUE, 0, &tap, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_INVALID);
    g_clear_error(&error);
    g_assert_false(mose_frame_end_init(&end, STDIN_FILENO, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_INVALID);
}

/* ---- without privilege --------------------------------------------------------- */

#define NOBODY 65534

/* Other hosts let everybody open /dev/net/tun (systemd's
 * rules.d/50-udev-default.rules); here one is put in its place for this process. */
static gboolean
become_nobody(void)
{
    g_autofree char *dir = g_dir_make_tmp("mose-tun-XXXXXX", NULL);
    g_autofree char *node = g_build_filename(dir, "tun", NULL);
    gboolean done = unshare(CLONE_NEWNS) == 0 &&
                    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
                    mknod(node, S_IFCHR | 0666, makedev(10, 200)) == 0 &&
                    chmod(node, 0666) == 0 &&
                    mount(node, "/dev/net/tun", NULL, MS_BIND, NULL) == 0;

    unlink(node);
    rmdir(dir);
    /* What setuid() takes from who was root, no ordinary user's process lacks: its own
     * files in /proc. */
    return done && setgid(NOBODY) == 0 && setuid(NOBODY) == 0 &&
           prctl(PR_SET_DUMPABLE, 1) == 0;
}

enum { WORKED, NO_NOBODY, NO_TAP, TOO_MUCH };

static int
as_nobody(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree TestFrame *frame = g_new(TestFrame, 1);
    MosePrivateTap tap;

    if (!become_nobody())
        return NO_NOBODY;
    if (unshare(CLONE_NEWNET) == 0)
        return TOO_MUCH;
    if (!mose_private_tap_open("tap0", TRUE, 0, &tap, &error)) {
        g_test_message("%s", error->message);
        return NO_TAP;
    }
    set_tap(tap.tap, OFFLOADS);
    tap_frames_tcp(frame, 65000, 1448);
    there_and_back(&tap, HEADER, frame);
    tap_frames_assert_silent(tap.tap, 2500);
    return WORKED;
}

static void
test_ordinary_user(void)
{
    int status;
    pid_t pid;

    if (geteuid() != 0) {
        test_segmented();
        return;
    }
    if (access("/dev/net/tun", F_OK) < 0) {
        g_test_skip("/dev/net/tun is not there");
        return;
    }
    pid = fork();
    if (pid == 0)
        _exit(as_nobody());
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == NO_NOBODY)
        g_test_skip("no mount namespace to become an ordinary user in");
    else
        g_assert_cmpint(WEXITSTATUS(status), ==, WORKED);
}

/* The lock of every thread may be held when it forks. */
static gpointer
be_busy(gpointer stop)
{
    while (!g_atomic_int_get((int *)stop))
        g_free(g_strdup_printf("%d", g_random_int_range(0, 100)));
    return NULL;
}

static void
test_threads(void)
{
    GThread *threads[3];
    int stop = 0;

    for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
        threads[i] = g_thread_new("busy", be_busy, &stop);
    for (int i = 0; i < 20; i++) {
        MosePrivateTap tap;

        if (!tap_frames_open("tap0", TRUE, 0, &tap))
            break;
        close_both(&tap);
    }
    g_atomic_int_set(&stop, 1);
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
        g_thread_join(threads[i]);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/private-tap/frames/vnet-hdr", "on", test_frames);
    g_test_add_data_func("/private-tap/frames/plain", NULL, test_frames);
    g_test_add_func("/private-tap/segmented", test_segmented);
    g_test_add_func("/private-tap/cut", test_cut);
    g_test_add_func("/private-tap/wrong-headers", test_wrong_headers);
    g_test_add_func("/private-tap/mtu", test_mtu);
    g_test_add_func("/private-tap/silent", test_silent);
    g_test_add_func("/private-tap/gone", test_gone);
    g_test_add_func("/private-tap/wrong-use", test_wrong_use);
    g_test_add_func("/private-tap/ordinary-user", test_ordinary_user);
    g_test_add_func("/private-tap/threads", test_threads);
    return g_test_run();
}
