/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Channels that are opened later, in both directions; and peers that mean ill. */
#include <glib/gstdio.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/link-far.h"
#include "lib/says.h"
#include "util/fd.h"
#include "util/unix-socket.h"

#define WAIT_MS 20000
#define MANY 40

static char *
make_dir(void)
{
    char *dir = g_dir_make_tmp("mose-link-XXXXXX", NULL);

    g_assert_nonnull(dir);
    return dir;
}

static void
remove_all(const char *dir, const char *path)
{
    g_unlink(path);
    g_rmdir(dir);
}

static int
listen_at(const char *path)
{
    int fd = mose_unix_listen_for(path, MANY, NULL);

    g_assert_cmpint(fd, >=, 0);
    return fd;
}

static int
accept_one(int listener)
{
    struct pollfd ready = { listener, POLLIN, 0 };

    g_assert_cmpint(poll(&ready, 1, WAIT_MS), ==, 1);
    return accept4(listener, NULL, NULL, SOCK_CLOEXEC);
}

static void
expect_through(int from, int to, const char *text)
{
    g_autofree guint8 *buffer = g_malloc0(strlen(text) + 1);

    link_far_write(from, text, strlen(text));
    g_assert_cmpuint(link_far_read(to, buffer, strlen(text)), ==, strlen(text));
    g_assert_cmpstr((char *)buffer, ==, text);
}

static void
expect_closed(int fd)
{
    guint8 byte;

    g_assert_cmpuint(link_far_read(fd, &byte, 1), ==, 0);
}

/* The far side offers a socket; we open channels to it, and use and close them. */
static void
test_offered(void)
{
    g_autofree char *dir = make_dir();
    g_autofree char *path = g_build_filename(dir, "offered", NULL);
    g_auto(MoseFd) listener = listen_at(path);
    g_autoptr(MoseLink) link = link_far_open(NULL, "offer", path);

    link_far_expect_echo(mose_link_channel(link, MOSE_LINK_CONTROL), "offered?");
    for (guint i = 0; i < MANY; i++) {
        g_auto(MoseFd) ours = mose_link_connect(link, 7, NULL);
        g_auto(MoseFd) theirs = accept_one(listener);

        expect_through(ours, theirs, "from here to there");
        expect_through(theirs, ours, "and back");
        shutdown(ours, SHUT_WR);
        expect_closed(theirs);
        expect_through(theirs, ours, "one direction is left");
        mose_fd_close(mose_fd_steal(&theirs));
        expect_closed(ours);
    }
    remove_all(dir, path);
}

/* We offer a socket; what connects to the far side's comes out of it. */
static void
test_listened(void)
{
    g_autofree char *dir = make_dir();
    g_autofree char *here = g_build_filename(dir, "here", NULL);
    g_autofree char *there = g_build_filename(dir, "there", NULL);
    g_auto(MoseFd) listener = listen_at(here);
    g_autoptr(MoseLink) link = link_far_open(NULL, "listen", there);

    g_assert_true(mose_link_offer(link, 9, here, NULL));
    link_far_expect_echo(mose_link_channel(link, MOSE_LINK_CONTROL), "listening?");
    for (guint i = 0; i < 3; i++) {
        g_auto(MoseFd) ours = mose_unix_connect(there, NULL);
        g_auto(MoseFd) theirs = accept_one(listener);

        expect_through(ours, theirs, "from there to here");
        expect_through(theirs, ours, "and back");
    }
    g_unlink(there);
    remove_all(dir, here);
}

/* Unknown services, and known ones where nobody listens. */
static void
test_refused(void)
{
    g_autoptr(MoseLink) link = link_far_open(NULL, "offer", "/nonexistent/socket");

    for (guint service = 7; service < 9; service++) {
        g_auto(MoseFd) fd = mose_link_connect(link, service, NULL);

        expect_closed(fd);
    }
    g_assert_true(mose_link_is_up(link));
}

/* Beyond the limit nothing is opened, until others have gone. */
static void
test_too_many(void)
{
    g_autofree char *dir = make_dir();
    g_autofree char *path = g_build_filename(dir, "offered", NULL);
    g_auto(MoseFd) listener = listen_at(path);
    g_autoptr(MoseLink) link = link_far_open(NULL, "offer", path);
    int fds[MOSE_LINK_MAX_OPENED];
    int more;

    link_far_expect_echo(mose_link_channel(link, MOSE_LINK_CONTROL), "offered?");
    for (guint i = 0; i < MOSE_LINK_MAX_OPENED; i++)
        fds[i] = mose_link_connect(link, 7, NULL);
    more = mose_link_connect(link, 7, NULL);
    expect_closed(more);
    close(more);
    for (guint i = 0; i < MOSE_LINK_MAX_OPENED; i++) {
        g_auto(MoseFd) theirs = accept_one(listener);

        expect_through(fds[i], theirs, "each its own");
        close(fds[i]);
    }
    remove_all(dir, path);
}

/* --- peers that break the protocol --- */

static void
expect_broken(const char *hex, const char *says)
{
    g_autoptr(GError) error = NULL, cause = NULL;
    g_autoptr(MoseLink) link = link_far_try(NULL, "raw", hex, "30", &error);

    g_assert_no_error(error);
    cause = link_far_wait_end(link);
    assert_says(cause, MOSE_ERROR_INVALID, says);
}

static void
test_broken(void)
{
    expect_broken("ffffffff00000100", "a DATA frame of 4294967295 bytes");
    expect_broken("68656c6c6f20776f", "no frame");
    expect_broken("0000000100060100aa", "a channel that nobody has opened (channel 6)");
    expect_broken("0000000100050100aa", "a channel that nobody has opened (channel 5)");
    expect_broken("00000002000706000001", "out of turn (channel 7)");
    expect_broken("00000002000406000001", "out of turn (channel 4)");
    expect_broken("00000000000104000000000000010400", "a second end (channel 1)");
    expect_broken("000000000001040000000001000101000a", "after the end (channel 1)");
    expect_broken("000000040000030000000001", "more room than a channel can have");
    expect_broken("0000000400020200ffffffff", "cannot be unpacked");
}

/* Channels that we have not offered, again and again, and nothing is heard. */
static void
test_flood(void)
{
    g_autoptr(GString) hex = g_string_new(NULL);

    for (guint i = 0; i < 300; i++)
        g_string_append_printf(hex, "00000002%04x06000001", 5 + 2 * i);
    expect_broken(hex->str, "opens too many channels");
}

/* More than its window on a channel that nobody reads: 4 MiB and what two sockets hold.
 */
static void
test_beyond_window(void)
{
    const char *argv[] = {
        "sh", "-c",
        "echo MOSE-LINK 1 far; frame() { printf '\\0\\4\\0\\0\\0\\2\\1\\0'; "
        "head -c 262144 /dev/zero; }; i=0; while [ $i -lt 100 ]; do frame; "
        "i=$((i+1)); done; sleep 30",
        NULL
    };
    g_autoptr(GError) error = NULL, cause = NULL;
    g_autoptr(MoseLink) link = mose_link_open(argv, NULL, -1, &error);

    g_assert_no_error(error);
    cause = link_far_wait_end(link);
    assert_says(cause, MOSE_ERROR_INVALID, "more bytes than there is room for");
}

int
main(int argc, char **argv)
{
    link_far_main(argc, argv);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/link-services/offered", test_offered);
    g_test_add_func("/link-services/listened", test_listened);
    g_test_add_func("/link-services/refused", test_refused);
    g_test_add_func("/link-services/too-many", test_too_many);
    g_test_add_func("/link-services/broken", test_broken);
    g_test_add_func("/link-services/flood", test_flood);
    g_test_add_func("/link-services/beyond-window", test_beyond_window);
    return g_test_run();
}
