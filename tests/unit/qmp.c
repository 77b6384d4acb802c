/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The QMP client against a scripted peer: what it understands, what it refuses. */
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fakeqemu/peer.h"
#include "lib/says.h"
#include "qemu/qmp.h"
#include "util/fd.h"
#include "util/json.h"

#define SHORT_MS 50
#define LONG_MS 20000

#define EVENT(name, second)                                                            \
    "{\"timestamp\": {\"seconds\": " second                                            \
    ", \"microseconds\": 7}, \"event\": \"" name "\"}\r\n"

/* A client of a peer that plays @steps; its name in errors is "fake". */
static MoseQmp *
connected(const FakeStep *steps, FakePeer **ret_peer)
{
    g_autoptr(GError) error = NULL;
    MoseQmp *qmp;
    int fd;

    *ret_peer = fake_peer_start(steps, &fd);
    qmp = mose_qmp_new(fd, "fake", LONG_MS, &error);
    g_assert_no_error(error);
    return qmp;
}

static void
done(MoseQmp *qmp, FakePeer *peer)
{
    mose_qmp_free(qmp);
    g_assert_cmpint(fake_peer_finish(peer), ==, -1);
}

static void
test_greeting(void)
{
    static const FakeStep steps[] = { FAKE_HELLO, { 0 } };
    FakePeer *peer;
    MoseQmp *qmp = connected(steps, &peer);

    g_assert_cmpint(mose_qmp_version(qmp), ==, 100002);
    done(qmp, peer);
}

/* An event that overtook the greeting is kept like others. */
static void
test_early_event(void)
{
    static const FakeStep steps[] = { { NULL, EVENT("STOP", "1") }, FAKE_HELLO, { 0 } };
    FakePeer *peer;
    MoseQmp *qmp = connected(steps, &peer);

    g_assert_cmpint(mose_qmp_version(qmp), ==, 100002);
    g_assert_true(mose_qmp_take_event(qmp, "STOP", NULL));
    done(qmp, peer);
}

/* What a client before us did not live to read is no answer to us, wherever it comes.
 */
static void
test_stale_answer(void)
{
    static const FakeStep steps[] = {
        { NULL, "{\"return\": {}, \"id\": \"old-1\"}\r\n" },
        FAKE_HELLO,
        { "\"query-status\"", "{\"return\": {}, \"id\": \"old-2\"}\r\n"
                              "{\"error\": {\"desc\": \"no\"}, \"id\": 3}\r\n"
                              "{\"return\": {\"running\": true}}\r\n" },
        { 0 }
    };
    FakePeer *peer;
    MoseQmp *qmp = connected(steps, &peer);
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) status = mose_qmp_query(qmp, "query-status", NULL, &error);

    g_assert_no_error(error);
    g_assert_true(mose_json_bool(status, "running", FALSE));
    done(qmp, peer);
}

/* Each of these is no beginning of a QMP connection. */
static void
test_bad_greeting(void)
{
    static const struct {
        FakeStep steps[3];
        MoseErrorCode code;
        const char *text;
    } cases[] = {
        { { { NULL, "{\"hello\": 1}\n" } }, MOSE_ERROR_QMP, "no QMP greeting" },
        { { { NULL, "QEMU 10.0.2 monitor\n" } }, MOSE_ERROR_INVALID, "monitor fake" },
        { { { NULL, "[1]\n" } }, MOSE_ERROR_INVALID, "not a JSON object" },
        { { { NULL, "\n" } }, MOSE_ERROR_INVALID, "not a JSON object" },
        { { { NULL, "{\"QMP\": {\"version\"", TRUE } },
          MOSE_ERROR_CLOSED,
          "QEMU closed it" },
        { { { NULL, NULL, TRUE } }, MOSE_ERROR_CLOSED, "QEMU closed it" },
        { { { NULL, FAKE_GREETING }, { "qmp_capabilities", NULL, TRUE } },
          MOSE_ERROR_CLOSED,
          "qmp_capabilities: monitor fake" },
        { { { 0 } }, MOSE_ERROR_TIMEOUT, "nothing came within the time limit" },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        int fd;
        FakePeer *peer = fake_peer_start(cases[i].steps, &fd);
        gboolean slow = cases[i].code == MOSE_ERROR_TIMEOUT;

        g_assert_null(mose_qmp_new(fd, "fake", slow ? SHORT_MS : LONG_MS, &error));
        assert_says(error, cases[i].code, cases[i].text);
        g_assert_cmpint(fake_peer_finish(peer), ==, -1);
    }
}

static void
test_error_text(void)
{
    static const FakeStep steps[] = {
        FAKE_HELLO,
        { "\"execute\":\"cont\"}",
          "{\"error\": {\"class\": \"GenericError\", \"desc\": \"Resetting the Virtual "
          "Machine is required\"}}\r\n" },
        { "\"stop\"", "{\"error\": 5}\r\n" },
        { "\"query-status\"", "{\"return\": [1]}\r\n" },
        { "\"query-status\"", "{\"return\": {\"running\": true}}\r\n" },
        { 0 },
    };
    FakePeer *peer;
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) status = NULL;
    MoseQmp *qmp = connected(steps, &peer);

    g_assert_false(mose_qmp_run(qmp, "cont", NULL, &error));
    assert_says(error, MOSE_ERROR_QMP,
                "monitor fake: cont: Resetting the Virtual Machine is required "
                "(GenericError)");
    g_clear_error(&error);
    g_assert_false(mose_qmp_run(qmp, "stop", NULL, &error));
    assert_says(error, MOSE_ERROR_QMP, "stop: no reason (no class)");
    g_clear_error(&error);
    g_assert_null(mose_qmp_query(qmp, "query-status", NULL, &error));
    assert_says(error, MOSE_ERROR_QMP, "query-status: the answer is no object");
    g_clear_error(&error);
    /* None of them ended the connection. */
    status = mose_qmp_query(qmp, "query-status", NULL, &error);
    g_assert_no_error(error);
    g_assert_true(mose_json_bool(status, "running", FALSE));
    done(qmp, peer);
}

static void
test_arguments(void)
{
    static const FakeStep steps[] = {
        FAKE_HELLO,
        { "\"execute\":\"migrate\",\"arguments\":{\"uri\":\"fd:\\\"a\\\"\"}}",
          FAKE_OK },
        { "\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":"
          "\"info mtree -f\"}}",
          "{\"return\": \"one\\r\\ntwo\\r\\n\"}\r\n" },
        { 0 },
    };
    FakePeer *peer;
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;
    MoseQmp *qmp = connected(steps, &peer);

    mose_qmp_run(qmp, "migrate", mose_json_object("uri", "s", "fd:\"a\"", NULL),
                 &error);
    g_assert_no_error(error);
    text = mose_qmp_hmp(qmp, "info mtree -f", &error);
    g_assert_no_error(error);
    g_assert_cmpstr(text, ==, "one\ntwo\n");
    done(qmp, peer);
}

/* Several commands are all sent before the first answer comes; one that fails takes
 * nothing from the others. */
static void
test_batch(void)
{
    static const FakeStep steps[] = {
        FAKE_HELLO,
        { "\"stop\"", NULL },
        { "\"info registers -a\"", NULL },
        { "\"eject\"", NULL },
        { "\"cont\"", EVENT("STOP", "1") FAKE_OK
          "{\"return\": \"one\\r\\ntwo\\r\\n\"}\r\n"
          "{\"error\": {\"desc\": \"no such device\"}}\r\n" EVENT("RESUME", "2")
              FAKE_OK },
        { "\"query-status\"", "{\"return\": {\"running\": true}}\r\n" },
        { 0 },
    };
    FakePeer *peer;
    MoseQmp *qmp = connected(steps, &peer);
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) status = NULL;
    g_autofree char *text = NULL;
    MoseQmpCommand batch[] = {
        { .command = "stop" },
        mose_qmp_hmp_command("info registers -a"),
        { .command = "eject", .arguments = mose_json_object("id", "s", "cd", NULL) },
        { .command = "cont" },
    };

    g_assert_false(mose_qmp_batch(qmp, batch, G_N_ELEMENTS(batch), &error));
    assert_says(error, MOSE_ERROR_QMP, "eject: no such device");
    g_clear_error(&error);
    g_assert_nonnull(batch[0].answer);
    text = mose_qmp_hmp_text(batch[1].answer);
    g_assert_cmpstr(text, ==, "one\ntwo\n");
    g_assert_null(batch[2].answer);
    g_assert_nonnull(batch[3].answer);
    for (gsize i = 0; i < G_N_ELEMENTS(batch); i++)
        g_clear_pointer(&batch[i].answer, json_node_unref);
    g_assert_true(mose_qmp_take_event(qmp, "STOP", NULL));
    g_assert_true(mose_qmp_take_event(qmp, "RESUME", NULL));
    status = mose_qmp_query(qmp, "query-status", NULL, &error);
    g_assert_no_error(error);
    g_assert_true(mose_json_bool(status, "running", FALSE));
    done(qmp, peer);
}

/* Where the end comes in between, the rest has no answer, and says so at once. */
static void
test_batch_cut(void)
{
    static const FakeStep steps[] = {
        FAKE_HELLO,
        { "\"stop\"", FAKE_OK },
        { "\"cont\"", NULL, TRUE },
        { 0 },
    };
    FakePeer *peer;
    MoseQmp *qmp = connected(steps, &peer);
    g_autoptr(GError) error = NULL;
    MoseQmpCommand batch[] = { { .command = "stop" },
                               { .command = "cont" },
                               { .command = "query-status" } };

    g_assert_false(mose_qmp_batch(qmp, batch, 2, &error));
    assert_says(error, MOSE_ERROR_CLOSED, "cont: monitor fake");
    g_clear_error(&error);
    g_clear_pointer(&batch[0].answer, json_node_unref);
    g_assert_null(batch[1].answer);
    g_assert_false(mose_qmp_batch(qmp, batch + 2, 1, &error));
    assert_says(error, MOSE_ERROR_CLOSED, "earlier failure");
    g_assert_null(batch[2].answer);
    done(qmp, peer);
}

/* Events that come before, within and after an answer; and an answer in pieces. */
static void
test_events(void)
{
    static const FakeStep steps[] = {
        FAKE_HELLO,
        { "\"cont\"", EVENT("MIGRATION", "1") EVENT("RESUME", "2") "{\"ret" },
        { NULL, "urn\": {}}\r\n" EVENT("STOP", "3") },
        { "\"stop\"", FAKE_OK EVENT("STOP", "4") },
        { 0 },
    };
    FakePeer *peer;
    g_autoptr(GError) error = NULL;
    MoseQmp *qmp = connected(steps, &peer);
    MoseQmpEvent event;

    g_assert_true(mose_qmp_run(qmp, "cont", NULL, &error));
    g_assert_true(mose_qmp_wait_event(qmp, "RESUME", LONG_MS, -1, &event, &error));
    g_assert_cmpint(event.time_us, ==, 2000007);
    g_assert_false(mose_qmp_take_event(qmp, "RESUME", NULL));
    g_assert_true(mose_qmp_run(qmp, "stop", NULL, &error));
    g_assert_true(mose_qmp_wait_event(qmp, "STOP", LONG_MS, -1, &event, &error));
    g_assert_cmpint(event.time_us, ==, 3000007);
    g_assert_true(mose_qmp_wait_event(qmp, "STOP", LONG_MS, -1, &event, &error));
    g_assert_cmpint(event.time_us, ==, 4000007);
    /* That which nobody waited for is still there. */
    g_assert_true(mose_qmp_take_event(qmp, "MIGRATION", &event));
    g_assert_cmpstr(event.name, ==, "MIGRATION");
    g_assert_no_error(error);
    done(qmp, peer);
}

/* Of a flood the newest 4096 are kept, and the answer behind it is found. */
static void
test_event_flood(void)
{
    g_autoptr(GString) flood = g_string_new(NULL);
    FakeStep steps[] = { FAKE_HELLO, { "\"stop\"", NULL }, { 0 } };
    FakePeer *peer;
    g_autoptr(GError) error = NULL;
    MoseQmpEvent event;
    MoseQmp *qmp;
    gint64 n = 0;

    for (int i = 0; i < 5000; i++)
        g_string_append_printf(flood,
                               "{\"event\": \"FLOOD\", \"timestamp\": {\"seconds\": "
                               "%d, \"microseconds\": 0}}\n",
                               i);
    g_string_append(flood, FAKE_OK);
    steps[2].reply = flood->str;
    qmp = connected(steps, &peer);
    g_assert_true(mose_qmp_run(qmp, "stop", NULL, &error));
    g_assert_no_error(error);
    while (mose_qmp_take_event(qmp, "FLOOD", &event)) {
        g_assert_cmpint(event.time_us, ==, (5000 - 4096 + n) * G_USEC_PER_SEC);
        n++;
    }
    g_assert_cmpint(n, ==, 4096);
    done(qmp, peer);
}

/* A late answer must not be taken for that of the next command. */
static void
test_dead_after_timeout(void)
{
    static const FakeStep steps[] = { FAKE_HELLO, { "\"cont\"", NULL }, { 0 } };
    FakePeer *peer;
    g_autoptr(GError) error = NULL;
    MoseQmp *qmp = connected(steps, &peer);

    mose_qmp_set_timeout(qmp, SHORT_MS);
    g_assert_false(mose_qmp_run(qmp, "cont", NULL, &error));
    assert_says(error, MOSE_ERROR_TIMEOUT, "cont: monitor fake: nothing came");
    g_clear_error(&error);
    g_assert_false(mose_qmp_run(qmp, "stop", NULL, &error));
    assert_says(error, MOSE_ERROR_CLOSED, "closed after an earlier failure");
    g_clear_error(&error);
    g_assert_false(mose_qmp_wait_event(qmp, "STOP", LONG_MS, -1, NULL, &error));
    assert_says(error, MOSE_ERROR_CLOSED, "waiting for STOP: ");
    done(qmp, peer);
}

static gpointer
talk(gpointer data)
{
    static const char hello[] = FAKE_GREETING FAKE_OK;
    static const char event[] = "{\"event\": \"NOISE\"}\r\n";
    int fd = GPOINTER_TO_INT(data);
    gssize n = send(fd, hello, sizeof(hello) - 1, MSG_NOSIGNAL);

    while (n > 0)
        n = send(fd, event, sizeof(event) - 1, MSG_NOSIGNAL);
    close(fd);
    return NULL;
}

/* A QEMU that never stops talking does not hold anybody beyond the limit. */
static void
test_endless(void)
{
    g_autoptr(GError) error = NULL;
    GThread *thread;
    MoseQmp *qmp;
    int pair[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
    thread = g_thread_new("talk", talk, GINT_TO_POINTER(pair[1]));
    qmp = mose_qmp_new(pair[0], "fake", LONG_MS, &error);
    g_assert_no_error(error);
    g_assert_false(mose_qmp_wait_event(qmp, "STOP", SHORT_MS, -1, NULL, &error));
    assert_says(error, MOSE_ERROR_TIMEOUT, "only events came");
    g_clear_error(&error);
    mose_qmp_set_timeout(qmp, SHORT_MS);
    g_assert_false(mose_qmp_run(qmp, "cont", NULL, &error));
    assert_says(error, MOSE_ERROR_TIMEOUT, "cont: monitor fake: only events came");
    mose_qmp_free(qmp);
    g_thread_join(thread);
}

static void
test_closed(void)
{
    static const FakeStep steps[] = {
        FAKE_HELLO, { "\"cont\"", EVENT("SHUTDOWN", "1") "{\"retu", TRUE }, { 0 }
    };
    FakePeer *peer;
    g_autoptr(GError) error = NULL;
    MoseQmp *qmp = connected(steps, &peer);

    g_assert_false(mose_qmp_run(qmp, "cont", NULL, &error));
    assert_says(error, MOSE_ERROR_CLOSED, "cont: monitor fake: QEMU closed it");
    g_clear_error(&error);
    /* What came before the end is not lost. */
    g_assert_true(mose_qmp_take_event(qmp, "SHUTDOWN", NULL));
    g_assert_false(mose_qmp_run(qmp, "cont", NULL, &error));
    assert_says(error, MOSE_ERROR_CLOSED, "closed after an earlier failure");
    done(qmp, peer);
}

static void
test_garbage(void)
{
    static const char *const garbage[] = {
        "\x01\x02\xff\xfe\n", "{\"return\": \n", "{\"return\": {}} trailing\n",
        "\"text\"\n",         "null\n",
    };

    for (gsize i = 0; i < G_N_ELEMENTS(garbage); i++) {
        const FakeStep steps[] = { FAKE_HELLO, { "\"cont\"", garbage[i] }, { 0 } };
        FakePeer *peer;
        g_autoptr(GError) error = NULL;
        MoseQmp *qmp = connected(steps, &peer);

        g_assert_false(mose_qmp_run(qmp, "cont", NULL, &error));
        assert_says(error, MOSE_ERROR_INVALID, "cont: monitor fake: ");
        g_clear_error(&error);
        g_assert_false(mose_qmp_run(qmp, "cont", NULL, &error));
        assert_says(error, MOSE_ERROR_CLOSED, "closed after an earlier failure");
        done(qmp, peer);
    }
}

/* Members of other types than QEMU's are as good as absent. */
static void
test_odd_members(void)
{
    static const FakeStep steps[] = {
        FAKE_HELLO,
        { "\"cont\"", "{\"event\": 7, \"timestamp\": []}\n"
                      "{\"event\": \"STOP\", \"data\": \"x\", \"timestamp\": "
                      "{\"seconds\": \"now\"}}\n"
                      "{\"return\": null}\n" },
        { 0 },
    };
    FakePeer *peer;
    g_autoptr(GError) error = NULL;
    MoseQmp *qmp = connected(steps, &peer);
    MoseQmpEvent event;

    g_assert_true(mose_qmp_run(qmp, "cont", NULL, &error));
    g_assert_no_error(error);
    g_assert_true(mose_qmp_take_event(qmp, "STOP", &event));
    g_assert_null(event.data);
    g_assert_cmpint(event.time_us, ==, 0);
    g_assert_true(mose_qmp_take_event(qmp, "", &event));
    done(qmp, peer);
}

static void
test_long_line(void)
{
    g_autofree char *line = g_malloc(17 << 20);
    const FakeStep steps[] = { FAKE_HELLO, { "\"cont\"", line }, { 0 } };
    FakePeer *peer;
    g_autoptr(GError) error = NULL;
    MoseQmp *qmp;

    memset(line, 'x', 17 << 20);
    line[(17 << 20) - 1] = '\0';
    qmp = connected(steps, &peer);
    g_assert_false(mose_qmp_run(qmp, "cont", NULL, &error));
    assert_says(error, MOSE_ERROR_QMP, "cont: monitor fake: a line of more than 16 MB");
    done(qmp, peer);
}

static void
test_pass_fd(void)
{
    static const FakeStep steps[] = {
        FAKE_HELLO,
        { "\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"mose\"}}", FAKE_OK },
        { 0 },
    };
    g_auto(MoseFd) ours = eventfd(0, EFD_CLOEXEC);
    g_auto(MoseFd) theirs = MOSE_FD_NONE;
    FakePeer *peer;
    g_autoptr(GError) error = NULL;
    guint64 value = 42, seen = 0;
    MoseQmp *qmp = connected(steps, &peer);

    g_assert_true(mose_qmp_send_fd(qmp, "mose", ours, &error));
    g_assert_no_error(error);
    mose_qmp_free(qmp);
    theirs = fake_peer_finish(peer);
    g_assert_cmpint(theirs, >=, 0);
    /* It is the same eventfd, and ours is still open. */
    g_assert_cmpint(write(ours, &value, sizeof(value)), ==, sizeof(value));
    g_assert_cmpint(read(theirs, &seen, sizeof(seen)), ==, sizeof(seen));
    g_assert_cmpint(seen, ==, 42);
}

/* A wait ends when something else does, but what QEMU said first counts first. */
static void
test_wait_also(void)
{
    static const FakeStep steps[] = { FAKE_HELLO,
                                      { "\"cont\"", FAKE_OK EVENT("STOP", "1") },
                                      { 0 } };
    g_auto(MoseFd) also = eventfd(1, EFD_CLOEXEC);
    FakePeer *peer;
    g_autoptr(GError) error = NULL;
    MoseQmp *qmp = connected(steps, &peer);

    g_assert_false(mose_qmp_wait_event(qmp, "STOP", LONG_MS, also, NULL, &error));
    assert_says(error, MOSE_ERROR_CLOSED,
                "waiting for STOP: monitor fake: the wait was ended from elsewhere");
    g_clear_error(&error);
    g_assert_false(mose_qmp_wait_event(qmp, "STOP", SHORT_MS, -1, NULL, &error));
    assert_says(error, MOSE_ERROR_TIMEOUT, "waiting for STOP: ");
    g_clear_error(&error);
    /* Neither of them is a failure of the monitor. */
    g_assert_true(mose_qmp_run(qmp, "cont", NULL, &error));
    g_assert_true(mose_qmp_wait_event(qmp, "STOP", LONG_MS, -1, NULL, &error));
    g_assert_no_error(error);
    done(qmp, peer);
}

static void
test_nobody_listens(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(mose_qmp_connect("/proc/self/fdinfo/none", LONG_MS, &error));
    assert_says(error, MOSE_ERROR_CLOSED, "nobody listens at /proc/self/fdinfo/none");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qmp/greeting", test_greeting);
    g_test_add_func("/qmp/early-event", test_early_event);
    g_test_add_func("/qmp/stale-answer", test_stale_answer);
    g_test_add_func("/qmp/bad-greeting", test_bad_greeting);
    g_test_add_func("/qmp/error-text", test_error_text);
    g_test_add_func("/qmp/arguments", test_arguments);
    g_test_add_func("/qmp/batch", test_batch);
    g_test_add_func("/qmp/batch-cut", test_batch_cut);
    g_test_add_func("/qmp/events", test_events);
    g_test_add_func("/qmp/event-flood", test_event_flood);
    g_test_add_func("/qmp/dead-after-timeout", test_dead_after_timeout);
    g_test_add_func("/qmp/endless", test_endless);
    g_test_add_func("/qmp/closed", test_closed);
    g_test_add_func("/qmp/garbage", test_garbage);
    g_test_add_func("/qmp/odd-members", test_odd_members);
    g_test_add_func("/qmp/long-line", test_long_line);
    g_test_add_func("/qmp/pass-fd", test_pass_fd);
    g_test_add_func("/qmp/wait-also", test_wait_also);
    g_test_add_func("/qmp/nobody-listens", test_nobody_listens);
    return g_test_run();
}
