/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The relay and its destination: how long it is waited for, and how it may leave. */
#include "lib/make-stream.h"
#include "lib/relay-line.h"

/* Short enough for a test, and far from LONG. */
#define SHORT_MS 100
#define LONG_MS (10 * 60 * 1000)

static void
test_takes_nothing(void)
{
    g_autoptr(GByteArray) stream = mk_big_stream();
    Line line = line_begin(LINE_SOCKETS, NULL, NULL);
    LineSender sender;

    mose_relay_set_patience(line.relay, SHORT_MS);
    line_send_from_thread(&sender, &line.source, stream, 0);
    line_expect_failure(&line, MOSE_ERROR_TIMEOUT,
                        "the destination hangs: for 0.1 s it has taken nothing of the "
                        "migration stream");
    g_assert_false(mose_relay_source_ended(line.relay));
    g_assert_cmpuint(line_sent(&sender), <, stream->len);
    line_expect_end(&line.source);
    line_end(&line);
}

static void
test_has_all_and_hangs(void)
{
    g_autoptr(GByteArray) stream = mk_small_stream();
    Line line = line_begin(LINE_SOCKETS, NULL, NULL);

    mose_relay_set_patience(line.relay, SHORT_MS);
    line_send(&line.source, stream->data, stream->len);
    line_expect(&line.destination, stream->data, stream->len);
    line_expect_failure(&line, MOSE_ERROR_TIMEOUT,
                        "for 0.1 s it has had all of the migration stream and has not "
                        "loaded it");
    line_end(&line);
}

/* A limit that is set while the relay already waits holds at once. */
static void
test_less_patience(void)
{
    g_autoptr(GByteArray) stream = mk_small_stream();
    Line line = line_begin(LINE_SOCKETS, NULL, NULL);

    mose_relay_set_patience(line.relay, LONG_MS);
    line_send(&line.source, stream->data, stream->len);
    line_expect(&line.destination, stream->data, stream->len);
    mose_relay_set_patience(line.relay, SHORT_MS);
    line_expect_failure(&line, MOSE_ERROR_TIMEOUT, "the destination hangs: for 0.1 s");
    line_end(&line);
}

/* Five times as long as its patience is, and the relay has nothing against it. */
static void
let_time_pass(const Line *line)
{
    g_usleep(5 * SHORT_MS * 1000);
    line_expect_good(line);
}

/* Waiting for the source, at the beginning and between two halves, is no fault of the
 * destination's; nor is what is left to do once it has said that it has loaded. */
static void
test_not_its_fault(void)
{
    g_autoptr(GByteArray) stream = mk_small_stream();
    Line line = line_begin(LINE_SOCKETS, NULL, NULL);
    guint half = stream->len / 2;

    mose_relay_set_patience(line.relay, SHORT_MS);
    let_time_pass(&line);
    line_send(&line.source, stream->data, half);
    line_expect(&line.destination, stream->data, half);
    let_time_pass(&line);
    mose_relay_set_patience(line.relay, LONG_MS);
    line_send(&line.source, stream->data + half, stream->len - half);
    line_send(&line.destination, line_shut, sizeof(line_shut));
    line_expect(&line.source, line_shut, sizeof(line_shut));
    mose_relay_set_patience(line.relay, SHORT_MS);
    let_time_pass(&line);
    line_end(&line);
}

/* How a destination may leave once it has got all: what it said before decides. */
static const struct {
    const char *name;
    const guint8 *said;
    const char *text; /* of the error; NULL: none */
} partings[] = {
    { "loaded", line_shut, NULL },
    { "not-loaded", line_shut_trouble,
      "the destination closed the migration stream and said that it could not load" },
    { "without-a-word", NULL,
      "the destination closed the migration stream when it had got all of it, without "
      "a "
      "word that it has loaded it" },
};

static void
test_parting(gconstpointer data)
{
    const guint8 pong[] = { 0, 2, 0, 4, 0, 0, 0, 1 };
    gsize i = GPOINTER_TO_SIZE(data);
    g_autoptr(GByteArray) stream = mk_small_stream();
    Line line = line_begin(LINE_SOCKETS, NULL, NULL);

    line_send(&line.source, stream->data, stream->len);
    line_send(&line.destination, pong, sizeof(pong));
    line_expect(&line.source, pong, sizeof(pong));
    line_expect(&line.destination, stream->data, stream->len);
    /* In two pieces, since pieces have no meaning. */
    if (partings[i].said) {
        line_send(&line.destination, partings[i].said, 3);
        line_expect(&line.source, partings[i].said, 3);
        line_send(&line.destination, partings[i].said + 3, 5);
        line_expect(&line.source, partings[i].said + 3, 5);
    }
    line_close(&line.destination);
    line_expect_end(&line.source);
    if (partings[i].text)
        line_expect_failure(&line, MOSE_ERROR_CLOSED, partings[i].text);
    else
        line_expect_good(&line);
    line_end(&line);
}

/* A source that opened no return path is owed no word on it. */
static void
test_no_return_path(void)
{
    g_autoptr(GByteArray) stream = mk_big_stream();
    Line line = line_begin(LINE_SOCKETS, NULL, NULL);
    LineSender sender;

    line_send_from_thread(&sender, &line.source, stream, 0);
    line_expect(&line.destination, stream->data, stream->len);
    g_assert_cmpuint(line_sent(&sender), ==, stream->len);
    line_close(&line.destination);
    line_expect_end(&line.source);
    line_expect_good(&line);
    line_end(&line);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/relay-patience/takes-nothing", test_takes_nothing);
    g_test_add_func("/relay-patience/has-all-and-hangs", test_has_all_and_hangs);
    g_test_add_func("/relay-patience/less-patience", test_less_patience);
    g_test_add_func("/relay-patience/not-its-fault", test_not_its_fault);
    for (gsize i = 0; i < G_N_ELEMENTS(partings); i++) {
        g_autofree char *path =
            g_strdup_printf("/relay-patience/parting/%s", partings[i].name);

        g_test_add_data_func(path, GSIZE_TO_POINTER(i), test_parting);
    }
    g_test_add_func("/relay-patience/no-return-path", test_no_return_path);
    return g_test_run();
}
