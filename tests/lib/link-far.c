/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The other end of a link, and what tests do with this one; see link-far.h. */
#include "lib/link-far.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/error.h"
#include "util/fd.h"
#include "util/unix-socket.h"

#define FAR "--far"
#define WAIT_MS 30000
#define PIECE (256 * 1024)

void
link_far_write(int fd, const void *data, gsize len)
{
    g_autoptr(GError) error = NULL;

    mose_fd_write_all(fd, data, len, "the channel", &error);
    g_assert_no_error(error);
}

gsize
link_far_read(int fd, guint8 *buffer, gsize len)
{
    gsize have = 0;

    while (have < len) {
        struct pollfd ready = { fd, POLLIN, 0 };
        ssize_t n;

        g_assert_cmpint(poll(&ready, 1, WAIT_MS), ==, 1);
        n = recv(fd, buffer + have, len - have, 0);
        if (n < 0 && errno == ECONNRESET)
            n = 0;
        g_assert_cmpint(n, >=, 0);
        if (n == 0)
            break;
        have += (gsize)n;
    }
    return have;
}

void
link_far_expect_echo(int fd, const char *text)
{
    g_autofree guint8 *buffer = g_malloc0(strlen(text) + 1);

    link_far_write(fd, text, strlen(text));
    g_assert_cmpuint(link_far_read(fd, buffer, strlen(text)), ==, strlen(text));
    g_assert_cmpstr((char *)buffer, ==, text);
}

GError *
link_far_wait_end(const MoseLink *link)
{
    struct pollfd ready = { mose_link_fd(link), POLLIN, 0 };
    GError *error = NULL;

    g_assert_cmpint(poll(&ready, 1, 20000), ==, 1);
    g_assert_false(mose_link_is_up(link));
    g_assert_false(mose_link_check(link, &error));
    return error;
}

/* --- the far end --- */

static void
echo(int fd)
{
    g_autofree char *buffer = g_malloc(PIECE);
    ssize_t n;

    while ((n = read(fd, buffer, PIECE)) > 0)
        if (!mose_fd_write_all(fd, buffer, (gsize)n, "the echo", NULL))
            return;
    shutdown(fd, SHUT_WR);
}

/* One process a channel, so that none waits for another. */
static void
echo_channels(MoseLink *link, guint n)
{
    for (guint i = 0; i < n; i++) {
        int fd = mose_link_take_channel(link, i);

        if (fork() == 0) {
            mose_link_leave(link);
            echo(fd);
            _exit(0);
        }
        close(fd);
    }
    while (n-- > 0)
        wait(NULL);
}

static void
source(MoseLink *link, guint64 len)
{
    g_autofree guint8 *buffer = g_malloc(PIECE);
    int fd = mose_link_take_channel(link, MOSE_LINK_STREAM);

    for (guint64 at = 0; at < len;) {
        gsize n = MIN(len - at, PIECE);

        for (gsize i = 0; i < n; i++)
            buffer[i] = link_far_byte(at + i);
        if (!mose_fd_write_all(fd, buffer, n, "the stream", NULL))
            break;
        at += n;
    }
    close(fd);
    echo_channels(link, 1);
}

static void
words(MoseLink *link, gsize len)
{
    g_autofree char *text = g_strnfill(len, 'w');

    mose_fd_write_all(mose_link_channel(link, MOSE_LINK_CONTROL), text, len, "words",
                      NULL);
    mose_link_free(link);
    exit(0);
}

static void
raw(const char *hex, const char *seconds)
{
    g_autoptr(GString) bytes = g_string_new("MOSE-LINK 1 far\n");
    gint64 deadline = g_get_monotonic_time() + atoi(seconds) * G_USEC_PER_SEC;
    struct pollfd in = { 0, POLLIN, 0 };
    char buffer[4096];

    for (; hex[0] && hex[1]; hex += 2)
        g_string_append_c(bytes, (char)(g_ascii_xdigit_value(hex[0]) * 16 +
                                        g_ascii_xdigit_value(hex[1])));
    mose_fd_write_all(1, bytes->str, bytes->len, "raw bytes", NULL);
    while (g_get_monotonic_time() < deadline && poll(&in, 1, 100) >= 0)
        if (in.revents && read(0, buffer, sizeof(buffer)) <= 0)
            break;
    exit(0);
}

static void
serve(MoseLink *link, const char *kind, const char *argument)
{
    if (strcmp(kind, "offer") == 0) {
        mose_link_offer(link, 7, argument, NULL);
    } else if (strcmp(kind, "listen") == 0) {
        int fd = mose_unix_listen(argument, NULL);

        mose_link_listen(link, 9, fd, NULL);
        close(fd);
    } else if (strcmp(kind, "source") == 0) {
        source(link, g_ascii_strtoull(argument, NULL, 10));
        return;
    } else if (strcmp(kind, "words") == 0) {
        words(link, g_ascii_strtoull(argument, NULL, 10));
    } else if (strcmp(kind, "die") == 0) {
        kill(mose_link_pid(link), SIGKILL);
    }
    echo_channels(link, strcmp(kind, "control") == 0 ? 1 : 3);
}

void
link_far_main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    MoseLinkOptions options = { 0 };
    MoseLink *link;

    signal(SIGPIPE, SIG_IGN);
    if (argc < 8 || strcmp(argv[1], FAR) != 0)
        return;
    if (strcmp(argv[2], "raw") == 0)
        raw(argv[3], argv[4]);
    options.compress_level = (guint)atoi(argv[5]);
    options.bytes_per_second = g_ascii_strtoull(argv[6], NULL, 10);
    options.silence_ms = (guint)atoi(argv[7]);
    link = mose_link_accept(0, 1, &options, &error);
    if (!link) {
        g_printerr("far: %s\n", error->message);
        exit(1);
    }
    serve(link, argv[2], argv[3]);
    mose_link_free(link);
    exit(0);
}

MoseLink *
link_far_try(const MoseLinkOptions *options, const char *kind, const char *first,
             const char *second, GError **error)
{
    const MoseLinkOptions none = { 0 };
    const MoseLinkOptions *o = options ? options : &none;
    g_autofree char *level = g_strdup_printf("%u", o->compress_level);
    g_autofree char *rate = g_strdup_printf("%" G_GUINT64_FORMAT, o->bytes_per_second);
    g_autofree char *silence = g_strdup_printf("%u", o->silence_ms);
    const char *argv[] = { "/proc/self/exe",
                           FAR,
                           kind,
                           first ? first : "",
                           second ? second : "",
                           level,
                           rate,
                           silence,
                           NULL };

    return mose_link_open(argv, options, -1, error);
}

MoseLink *
link_far_open(const MoseLinkOptions *options, const char *kind, const char *first)
{
    g_autoptr(GError) error = NULL;
    MoseLink *link = link_far_try(options, kind, first, NULL, &error);

    g_assert_no_error(error);
    g_assert_nonnull(link);
    return link;
}
