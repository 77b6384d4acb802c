/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages over a socket: whole, in pieces, late, too long, and none. */
#include "link/words.h"

#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/says.h"
#include "util/json.h"

typedef struct {
    int ends[2];
    MoseWords *words; /* at the first */
} Pair;

static void
set_up(Pair *pair, gconstpointer data)
{
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, pair->ends), ==, 0);
    pair->words = mose_words_new(pair->ends[0]);
}

static void
tear_down(Pair *pair, gconstpointer data)
{
    mose_words_free(pair->words);
    close(pair->ends[0]);
    close(pair->ends[1]);
}

static void
hear(Pair *pair, const char *text)
{
    gssize n = (gssize)strlen(text);

    g_assert_cmpint(send(pair->ends[1], text, (gsize)n, 0), ==, n);
}

static void
expect_int(Pair *pair, gint64 value)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) object = mose_words_receive(pair->words, 10000, -1, &error);

    g_assert_no_error(error);
    g_assert_cmpint(mose_json_int(object, "n", -1), ==, value);
}

static void
expect_error(Pair *pair, int timeout_ms, int wake_fd, MoseErrorCode code,
             const char *says)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(mose_words_receive(pair->words, timeout_ms, wake_fd, &error));
    assert_says(error, code, says);
}

static void
test_both_ways(Pair *pair, gconstpointer data)
{
    g_autoptr(MoseWords) other = mose_words_new(pair->ends[1]);

    for (gint64 i = 0; i < 3; i++)
        g_assert_true(
            mose_words_send(other, mose_json_object("n", "i", i, NULL), NULL));
    for (gint64 i = 0; i < 3; i++)
        expect_int(pair, i);
}

static void
test_in_pieces(Pair *pair, gconstpointer data)
{
    int wake = eventfd(1, 0);

    hear(pair, "{\"n\"");
    expect_error(pair, 0, -1, MOSE_ERROR_TIMEOUT, "within the time limit");
    hear(pair, ": 4");
    expect_error(pair, -1, wake, MOSE_ERROR_INTERRUPTED, "interrupted");
    hear(pair, "}\n{\"n\":5}\n");
    expect_int(pair, 4);
    expect_int(pair, 5);
    close(wake);
}

static void
test_closed(Pair *pair, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    hear(pair, "{\"n\":1}\n{\"n\":");
    close(pair->ends[1]);
    pair->ends[1] = -1;
    expect_int(pair, 1);
    expect_error(pair, -1, -1, MOSE_ERROR_CLOSED, "has gone");
    g_assert_false(mose_words_send(
        pair->words, mose_json_object("n", "i", (gint64)1, NULL), &error));
    assert_says(error, MOSE_ERROR_CLOSED, "cannot be sent");
}

static void
test_no_words(Pair *pair, gconstpointer data)
{
    hear(pair, "hello\n{\"n\":1}\n");
    expect_error(pair, 10000, -1, MOSE_ERROR_INVALID, "a message of the other side");
    expect_error(pair, 10000, -1, MOSE_ERROR_INVALID, "no message");
}

static void
test_too_long(Pair *pair, gconstpointer data)
{
    g_autofree char *text = g_strnfill(MOSE_WORDS_MAX, 'x');
    g_autoptr(GError) error = NULL;
    pid_t pid;

    g_assert_false(
        mose_words_send(pair->words, mose_json_object("n", "s", text, NULL), &error));
    assert_says(error, MOSE_ERROR_INVALID, "is too long");
    pid = fork();
    if (pid == 0) {
        for (;;)
            if (send(pair->ends[1], text, strlen(text), MSG_NOSIGNAL) < 0)
                _exit(0);
    }
    expect_error(pair, 20000, -1, MOSE_ERROR_INVALID, "too long");
    kill(pid, SIGKILL);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/link-words/both-ways", Pair, NULL, set_up, test_both_ways, tear_down);
    g_test_add("/link-words/in-pieces", Pair, NULL, set_up, test_in_pieces, tear_down);
    g_test_add("/link-words/closed", Pair, NULL, set_up, test_closed, tear_down);
    g_test_add("/link-words/no-words", Pair, NULL, set_up, test_no_words, tear_down);
    g_test_add("/link-words/too-long", Pair, NULL, set_up, test_too_long, tear_down);
    return g_test_run();
}
