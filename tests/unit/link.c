/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A link between two processes: what goes through it, and what ends it. */
#include "link/link.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/link-far.h"
#include "lib/says.h"
#include "util/error.h"

#define MIB (1024 * 1024)

static void
test_echo(void)
{
    g_autoptr(MoseLink) link = link_far_open(NULL, "echo", NULL);

    g_assert_true(mose_link_is_up(link));
    g_assert_true(mose_link_check(link, NULL));
    for (guint i = MOSE_LINK_CONTROL; i <= MOSE_LINK_STREAM; i++)
        link_far_expect_echo(mose_link_channel(link, i), "is there anybody?");
    g_assert_cmpint(mose_link_channel(link, MOSE_LINK_N_CHANNELS), ==, -1);
}

static void
expect_source(const MoseLinkOptions *options, guint64 len)
{
    g_autofree char *size = g_strdup_printf("%" G_GUINT64_FORMAT, len);
    g_autoptr(MoseLink) link = link_far_open(options, "source", size);
    g_autofree guint8 *buffer = g_malloc(len + 1);
    int fd = mose_link_channel(link, MOSE_LINK_STREAM);

    g_assert_cmpuint(link_far_read(fd, buffer, len + 1), ==, len);
    for (guint64 i = 0; i < len; i++)
        if (buffer[i] != link_far_byte(i))
            g_error("byte %" G_GUINT64_FORMAT " is another", i);
    /* The end of one direction of one channel is that alone. */
    link_far_expect_echo(mose_link_channel(link, MOSE_LINK_CONTROL), "still there?");
}

/* More than all windows and buffers on the way hold. */
static void
test_stream(void)
{
    expect_source(NULL, 40 * MIB + 17);
}

static void
test_compressed(void)
{
    for (guint level = 1; level <= 19; level += 9)
        expect_source(&(MoseLinkOptions){ .compress_level = level }, 12 * MIB + 5);
}

static void
test_limited(void)
{
    const MoseLinkOptions options = { .bytes_per_second = 4 * MIB };
    gint64 began = g_get_monotonic_time();

    expect_source(&options, 4 * MIB);
    /* Less the burst that is allowed; an upper limit would be one on this machine. */
    g_assert_cmpint(g_get_monotonic_time() - began, >, 800 * 1000);
}

/* The whole stream goes out and its end, and comes back and its end. */
static void
test_half_close(void)
{
    g_autoptr(MoseLink) link = link_far_open(NULL, "echo", NULL);
    int fd = mose_link_take_channel(link, MOSE_LINK_STREAM);
    guint8 buffer[64];

    g_assert_cmpint(mose_link_channel(link, MOSE_LINK_STREAM), ==, -1);
    link_far_write(fd, "last words", 10);
    g_assert_cmpint(shutdown(fd, SHUT_WR), ==, 0);
    g_assert_cmpuint(link_far_read(fd, buffer, sizeof(buffer)), ==, 10);
    close(fd);
    link_far_expect_echo(mose_link_channel(link, MOSE_LINK_MONITOR), "and the others?");
}

/* Fill a channel until it takes no more: how much. */
static gsize
fill(int fd)
{
    g_autofree char *zeros = g_malloc0(MIB);
    struct pollfd room = { fd, POLLOUT, 0 };
    gsize sent = 0;

    while (poll(&room, 1, 500) == 1) {
        ssize_t n = send(fd, zeros, MIB, MSG_DONTWAIT);

        sent += n > 0 ? (gsize)n : 0;
    }
    return sent;
}

static void
test_stalled_channel(void)
{
    g_autoptr(MoseLink) link = link_far_open(NULL, "control", NULL);
    gsize sent = fill(mose_link_channel(link, MOSE_LINK_STREAM));

    /* At least the window, at most that and the socket buffers at both ends. */
    g_assert_cmpuint(sent, >=, 4 * MIB);
    g_assert_cmpuint(sent, <=, 16 * MIB);
    for (guint i = 0; i < 100; i++)
        link_far_expect_echo(mose_link_channel(link, MOSE_LINK_CONTROL), "through!");
}

/* Whoever closes his end without reading it does not harm the link. */
static void
test_closed_channel(void)
{
    g_autoptr(MoseLink) link = link_far_open(NULL, "source", "20000000");

    close(mose_link_take_channel(link, MOSE_LINK_STREAM));
    link_far_expect_echo(mose_link_channel(link, MOSE_LINK_CONTROL), "all is well");
    g_assert_true(mose_link_is_up(link));
}

/* --- the end --- */

static void
expect_ends(MoseLink *link)
{
    guint8 byte;

    for (guint i = 0; i < MOSE_LINK_N_CHANNELS; i++)
        g_assert_cmpuint(link_far_read(mose_link_channel(link, i), &byte, 1), ==, 0);
}

static void
test_far_ends(void)
{
    g_autoptr(MoseLink) link = link_far_open(NULL, "echo", NULL);
    g_autoptr(GError) error = NULL;

    for (guint i = 0; i < MOSE_LINK_N_CHANNELS; i++)
        shutdown(mose_link_channel(link, i), SHUT_WR);
    error = link_far_wait_end(link);
    assert_says(error, MOSE_ERROR_CLOSED, "the link has ended");
    expect_ends(link);
    g_assert_cmpint(mose_link_connect(link, 1, NULL), ==, -1);
}

/* What the other side said before it ended arrives, however late it is read. */
static void
test_last_words(void)
{
    g_autoptr(MoseLink) link = link_far_open(NULL, "words", "3000000");
    g_autoptr(GError) error = link_far_wait_end(link);
    g_autofree guint8 *buffer = g_malloc(3000001);
    int fd = mose_link_channel(link, MOSE_LINK_CONTROL);

    assert_says(error, MOSE_ERROR_CLOSED, "the link has ended");
    g_assert_cmpuint(link_far_read(fd, buffer, 3000001), ==, 3000000);
}

static void
test_far_dies(void)
{
    g_autoptr(MoseLink) link = link_far_open(NULL, "die", NULL);
    g_autoptr(GError) error = link_far_wait_end(link);

    assert_says(error, MOSE_ERROR_CLOSED, "the link has ended");
    expect_ends(link);
}

static void
test_transport_dies(void)
{
    g_autoptr(MoseLink) link = link_far_open(NULL, "echo", NULL);
    g_autoptr(GError) error = NULL;

    kill(mose_link_transport_pid(link), SIGKILL);
    error = link_far_wait_end(link);
    assert_says(error, MOSE_ERROR_CLOSED, "the link has ended");
    expect_ends(link);
}

static void
test_process_dies(void)
{
    g_autoptr(MoseLink) link = link_far_open(NULL, "echo", NULL);
    g_autoptr(GError) error = NULL;

    kill(mose_link_pid(link), SIGKILL);
    error = link_far_wait_end(link);
    assert_says(error, MOSE_ERROR_CLOSED, "has died");
    expect_ends(link);
}

/* The command dies, and with it its link process and the transport. */
static void
test_command_dies(void)
{
    int ends[2];
    pid_t pid, processes[2];

    g_assert_cmpint(pipe(ends), ==, 0);
    pid = fork();
    if (pid == 0) {
        MoseLink *link = link_far_open(NULL, "echo", NULL);

        processes[0] = mose_link_pid(link);
        processes[1] = mose_link_transport_pid(link);
        link_far_write(ends[1], processes, sizeof(processes));
        for (;;)
            pause();
    }
    g_assert_cmpint(read(ends[0], processes, sizeof(processes)), ==, sizeof(processes));
    kill(pid, SIGKILL);
    for (guint i = 0; i < 2; i++)
        for (guint tries = 0; kill(processes[i], 0) == 0; tries++) {
            g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int)processes[i]);
            g_autofree char *stat = NULL;

            /* Who adopts it may be slow to reap it. */
            if (!g_file_get_contents(path, &stat, NULL, NULL) || strstr(stat, ") Z "))
                break;
            g_assert_cmpuint(tries, <, 1000);
            g_usleep(10000);
        }
    close(ends[0]);
    close(ends[1]);
}

/* Ctrl-C and a lost terminal are the command's affair. */
static void
test_signals(void)
{
    g_autoptr(MoseLink) link = link_far_open(NULL, "echo", NULL);
    static const int signals[] = { SIGINT, SIGQUIT, SIGHUP };

    for (gsize i = 0; i < G_N_ELEMENTS(signals); i++) {
        kill(mose_link_transport_pid(link), signals[i]);
        kill(mose_link_pid(link), signals[i]);
    }
    link_far_expect_echo(mose_link_channel(link, MOSE_LINK_CONTROL), "still there?");
}

/* A process forked from the command has the link for as long as it likes. */
static void
test_handed_on(void)
{
    MoseLink *link = link_far_open(NULL, "echo", NULL);
    int go[2], status;
    pid_t pid;

    g_assert_cmpint(pipe(go), ==, 0);
    pid = fork();
    if (pid == 0) {
        char byte;

        close(go[1]);
        g_assert_cmpint(read(go[0], &byte, 1), ==, 0);
        link_far_expect_echo(mose_link_channel(link, MOSE_LINK_MONITOR), "mine now");
        mose_link_free(link);
        _exit(0);
    }
    mose_link_leave(link);
    close(go[0]);
    close(go[1]);
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_cmpint(status, ==, 0);
}

static void
test_silence(void)
{
    const MoseLinkOptions options = { .silence_ms = 1000 };
    g_autoptr(MoseLink) link = link_far_open(&options, "control", NULL);
    pid_t transport = mose_link_transport_pid(link);
    g_autoptr(GError) error = NULL;

    /* Signs of life alone keep it up. */
    g_usleep(3 * G_USEC_PER_SEC);
    g_assert_true(mose_link_is_up(link));
    kill(mose_link_pid(link), SIGSTOP);
    g_usleep(3 * G_USEC_PER_SEC);
    /* The far side has given up and gone: that is told, and not a silence. */
    kill(mose_link_pid(link), SIGCONT);
    error = link_far_wait_end(link);
    assert_says(error, MOSE_ERROR_CLOSED, "the link has ended");
    g_assert_cmpint(transport, ==, mose_link_transport_pid(link));
}

/* A transport that hangs; the end takes no longer than its limits. */
static void
test_transport_hangs(void)
{
    const MoseLinkOptions options = { .silence_ms = 1000 };
    const char *argv[] = { "sh", "-c", "echo MOSE-LINK 1 far; exec sleep 1000", NULL };
    g_autoptr(GError) none = NULL;
    g_autoptr(MoseLink) link = mose_link_open(argv, &options, -1, &none);
    g_autoptr(GError) error = NULL;

    g_assert_no_error(none);
    kill(mose_link_transport_pid(link), SIGSTOP);
    error = link_far_wait_end(link);
    assert_says(error, MOSE_ERROR_TIMEOUT,
                "nothing has come from the other side for 1 s");
    expect_ends(link);
}

/* What the transport says when it ends is told. */
static void
test_transport_says(void)
{
    const char *argv[] = { "sh", "-c",
                           "echo be warned >&2; echo MOSE-LINK 1 far; read hello; read "
                           "more; echo 'broken pipe of ssh' >&2",
                           NULL };
    g_autoptr(MoseLink) link = mose_link_open(argv, NULL, -1, NULL);
    g_autoptr(GError) error = NULL;
    g_autofree char *said = NULL;

    g_assert_nonnull(link);
    link_far_write(mose_link_channel(link, MOSE_LINK_CONTROL), "\n", 1);
    error = link_far_wait_end(link);
    assert_says(error, MOSE_ERROR_CLOSED, "broken pipe of ssh");
    said = mose_link_said(link);
    g_assert_cmpstr(said, ==, "be warned; broken pipe of ssh");
}

int
main(int argc, char **argv)
{
    link_far_main(argc, argv);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/link/echo", test_echo);
    g_test_add_func("/link/stream", test_stream);
    g_test_add_func("/link/compressed", test_compressed);
    g_test_add_func("/link/limited", test_limited);
    g_test_add_func("/link/half-close", test_half_close);
    g_test_add_func("/link/stalled-channel", test_stalled_channel);
    g_test_add_func("/link/closed-channel", test_closed_channel);
    g_test_add_func("/link/far-ends", test_far_ends);
    g_test_add_func("/link/last-words", test_last_words);
    g_test_add_func("/link/far-dies", test_far_dies);
    g_test_add_func("/link/transport-dies", test_transport_dies);
    g_test_add_func("/link/process-dies", test_process_dies);
    g_test_add_func("/link/command-dies", test_command_dies);
    g_test_add_func("/link/signals", test_signals);
    g_test_add_func("/link/handed-on", test_handed_on);
    g_test_add_func("/link/silence", test_silence);
    g_test_add_func("/link/transport-hangs", test_transport_hangs);
    g_test_add_func("/link/transport-says", test_transport_says);
    return g_test_run();
}
