/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The gdb client against a scripted stub: the connection, its packets, what can be
 * wrong with them. What they carry: gdb-state.c. */
#include "qemu/gdb.h"

#include <string.h>

#include "fakeqemu/gdb-peer.h"
#include "lib/says.h"

#define SHORT_MS 50
#define LONG_MS 20000

/* --- beginning, packets --- */

/* With and without processes. */
static void
test_threads(void)
{
    static const GdbStep with[] = {
        GDB_HELLO,
        { "qfThreadInfo", "mp01.01" },
        { "qsThreadInfo", "mp01.02,p1.1F" },
        { "qsThreadInfo", "l" },
        { "Hgp1.2", "OK" },
        { "D;1", "OK" },
        { 0 },
    };
    static const GdbStep without[] = {
        { "qSupported:multiprocess+", "PacketSize=1000" },
        { "qC", "QC01" },
        { "qfThreadInfo", "m01,02,1f" },
        { "qsThreadInfo", "l" },
        { "Hg2", "OK" },
        { "D", "OK" },
        { 0 },
    };
    const GdbStep *const cases[] = { with, without };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(GArray) threads = NULL;
        GdbPeer *peer;
        MoseGdb *gdb = gdb_peer_connect(cases[i], &peer);

        threads = mose_gdb_threads(gdb, &error);
        g_assert_no_error(error);
        g_assert_cmpuint(threads->len, ==, 3);
        g_assert_cmpuint(g_array_index(threads, MoseGdbThread, 2).thread, ==, 31);
        g_assert_cmpuint(g_array_index(threads, MoseGdbThread, 2).process, ==, 1 - i);
        g_assert_true(
            mose_gdb_select(gdb, g_array_index(threads, MoseGdbThread, 1), &error));
        g_assert_true(mose_gdb_detach(gdb, &error));
        g_assert_no_error(error);
        gdb_peer_done(gdb, peer);
    }
}

/* Each of these is no beginning of a connection. */
static void
test_bad_begin(void)
{
    static const struct {
        GdbStep steps[3];
        MoseErrorCode code;
        const char *text;
    } cases[] = {
        { { { NULL, NULL, "{\"QMP\"" } }, MOSE_ERROR_INVALID, "byte 0x7b outside" },
        { { { NULL, NULL, "+\n" } }, MOSE_ERROR_INVALID, "byte 0x0a outside" },
        { { { "qSupported:multiprocess+", NULL, NULL, NULL, TRUE } },
          MOSE_ERROR_CLOSED,
          "gdb stub fake: qSupported:multiprocess+: QEMU closed it" },
        { { { "qSupported:multiprocess+", NULL, "$multi", NULL, TRUE } },
          MOSE_ERROR_CLOSED,
          "QEMU closed it" },
        { { { "qSupported:multiprocess+" } }, MOSE_ERROR_TIMEOUT, "nothing came" },
        { { { "qSupported:multiprocess+", NULL, "$multi" } },
          MOSE_ERROR_TIMEOUT,
          "nothing came" },
        { { { "qSupported:multiprocess+", "multiprocess+" }, { "qC", "p1.1" } },
          MOSE_ERROR_INVALID,
          "gdb stub fake: qC: 'p1.1' is no answer" },
        { { { "qSupported:multiprocess+", "multiprocess+" }, { "qC", "QCp1.1;" } },
          MOSE_ERROR_INVALID,
          "is no answer" },
        { { { "qSupported:multiprocess+", "multiprocess+" }, { "qC", "QCp1" } },
          MOSE_ERROR_INVALID,
          "is no answer" },
        { { { "qSupported:multiprocess+", "multiprocess+" },
            { "qC", "QCp1.111111111" } },
          MOSE_ERROR_INVALID,
          "is no answer" },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        gboolean slow = cases[i].code == MOSE_ERROR_TIMEOUT;
        gboolean garbage = cases[i].steps[0].raw && !cases[i].steps[0].expect;
        g_autoptr(GError) error = NULL;
        GdbStep steps[4] = { cases[i].steps[0], cases[i].steps[1] };
        GdbPeer *peer;
        int fd;

        if (garbage)
            steps[1].bytes = "$qSupported:multiprocess+#c6";
        peer = gdb_peer_start(steps, &fd);
        g_assert_null(mose_gdb_new(fd, "fake", slow ? SHORT_MS : LONG_MS, &error));
        assert_says(error, cases[i].code, cases[i].text);
        gdb_peer_finish(peer);
    }
}

/* Damaged on the way, in one direction or the other, and sent again. */
static void
test_damaged(void)
{
    static const GdbStep steps[] = {
        GDB_HELLO,
        /* Twice damaged is not too often. */
        { "Z1,1000,1", NULL, "$OK#00", "-" },
        { NULL, NULL, "$OK#9", NULL },
        { NULL, NULL, "x", "-" },
        { NULL, "OK" },
        { NULL, NULL, NULL, "$z1,1000,1#f5" },
        { NULL, NULL, "-", "$z1,1000,1#f5" },
        { NULL, NULL, "+$OK#9a", "+" },
        /* Three times is. */
        { "Z1,1000,1", NULL, "$OK#00", "-" },
        { NULL, NULL, "$OK#01", "-" },
        { NULL, NULL, "$OK#02" },
        { 0 },
    };
    const MoseGdbPoint point = { MOSE_GDB_HARDWARE, 0x1000, 1 };
    g_autoptr(GError) error = NULL;
    GdbPeer *peer;
    MoseGdb *gdb = gdb_peer_connect(steps, &peer);

    g_assert_true(mose_gdb_insert(gdb, &point, &error));
    g_assert_true(mose_gdb_remove(gdb, &point, &error));
    g_assert_no_error(error);
    g_assert_false(mose_gdb_insert(gdb, &point, &error));
    assert_says(error, MOSE_ERROR_INVALID, "Z1,1000,1: the answer came damaged again");
    g_clear_error(&error);
    g_assert_false(mose_gdb_insert(gdb, &point, &error));
    assert_says(error, MOSE_ERROR_CLOSED, "closed after an earlier failure");
    gdb_peer_done(gdb, peer);
}

static void
test_refused_again(void)
{
    static const GdbStep steps[] = {
        GDB_HELLO,
        { NULL, NULL, NULL, "$g#67" },
        { NULL, NULL, "-", "$g#67" },
        { NULL, NULL, "-", "$g#67" },
        { NULL, NULL, "-" },
        { 0 },
    };
    g_autoptr(GError) error = NULL;
    MoseGdbRegisters registers;
    GdbPeer *peer;
    MoseGdb *gdb = gdb_peer_connect(steps, &peer);

    g_assert_false(mose_gdb_read_registers(gdb, &registers, &error));
    assert_says(error, MOSE_ERROR_INVALID, "g: QEMU says again that it came damaged");
    gdb_peer_done(gdb, peer);
}

/* Escapes and runs: "}\x13" is '3', "0*," is 16 zeros. */
static void
test_encodings(void)
{
    static const GdbStep steps[] = {
        GDB_HELLO,
        { "m10,2", NULL,
          "$}\x13"
          "141#26",
          "+" },
        { "m10,8", NULL, "$0*,#86", "+" },
        { 0 },
    };
    g_autoptr(GError) error = NULL;
    guint8 bytes[8];
    GdbPeer *peer;
    MoseGdb *gdb = gdb_peer_connect(steps, &peer);

    memset(bytes, 0xff, sizeof(bytes));
    g_assert_true(mose_gdb_read_memory(gdb, 0x10, bytes, 2, &error));
    g_assert_no_error(error);
    g_assert_cmphex(bytes[0] << 8 | bytes[1], ==, 0x3141);
    g_assert_true(mose_gdb_read_memory(gdb, 0x10, bytes, 8, &error));
    g_assert_no_error(error);
    for (gsize i = 0; i < sizeof(bytes); i++)
        g_assert_cmphex(bytes[i], ==, 0);
    gdb_peer_done(gdb, peer);
}

/* "0", and 97 more of them for each "*~". */
static char *
long_run(void)
{
    GString *text = g_string_new("$0");

    for (int i = 0; i < 200; i++)
        g_string_append(text, "*~");
    return g_string_free(text, FALSE);
}

static void
test_too_long(void)
{
    g_autofree char *flood = g_strnfill(20000, '0');
    g_autofree char *run = long_run();
    const GdbStep plain[] = {
        GDB_HELLO, { "g", NULL, "$" }, { NULL, NULL, flood }, { 0 }
    };
    const GdbStep runs[] = { GDB_HELLO, { "g", NULL, run }, { 0 } };
    const GdbStep *const cases[] = { plain, runs };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        MoseGdbRegisters registers;
        GdbPeer *peer;
        MoseGdb *gdb = gdb_peer_connect(cases[i], &peer);

        g_assert_false(mose_gdb_read_registers(gdb, &registers, &error));
        assert_says(error, MOSE_ERROR_INVALID, "g: an answer of more than 16384 bytes");
        gdb_peer_done(gdb, peer);
    }
}

/* Answers that are errors leave the connection as it is. */
static void
test_error_answers(void)
{
    static const GdbStep steps[] = {
        GDB_HELLO,
        { "Z1,ffffffff81000000,1", "E22" },
        { "Z4,8,8", "" },
        { "m0,4", "E14" },
        { "z1,ffffffff81000000,1", "OK" },
        { "Hgp1.1", "ok" },
        { 0 },
    };
    const MoseGdbPoint point = { MOSE_GDB_HARDWARE, 0xffffffff81000000, 1 };
    const MoseGdbPoint watch = { MOSE_GDB_ACCESSES, 8, 8 };
    g_autoptr(GError) error = NULL;
    guint32 word;
    GdbPeer *peer;
    MoseGdb *gdb = gdb_peer_connect(steps, &peer);

    g_assert_false(mose_gdb_insert(gdb, &point, &error));
    assert_says(error, MOSE_ERROR_FAILED,
                "gdb stub fake: Z1,ffffffff81000000,1: error E22");
    g_clear_error(&error);
    g_assert_false(mose_gdb_insert(gdb, &watch, &error));
    assert_says(error, MOSE_ERROR_UNSUPPORTED, "Z4,8,8: it does not know this packet");
    g_clear_error(&error);
    g_assert_false(mose_gdb_read_memory(gdb, 0, &word, 4, &error));
    assert_says(error, MOSE_ERROR_FAILED, "m0,4: error E14");
    g_clear_error(&error);
    g_assert_true(mose_gdb_remove(gdb, &point, &error));
    g_assert_no_error(error);
    g_assert_false(mose_gdb_select(gdb, (MoseGdbThread){ 1, 1 }, &error));
    assert_says(error, MOSE_ERROR_INVALID, "Hgp1.1: the answer is not OK");
    gdb_peer_done(gdb, peer);
}

static void
test_bad_threads(void)
{
    static const char *const answers[] = { "OK",         "m",  "mp1.1,",
                                           "mp1.1;p1.2", "lx", "mxyz" };

    for (gsize i = 0; i < G_N_ELEMENTS(answers); i++) {
        const GdbStep steps[] = { GDB_HELLO, { "qfThreadInfo", answers[i] }, { 0 } };
        g_autoptr(GError) error = NULL;
        GdbPeer *peer;
        MoseGdb *gdb = gdb_peer_connect(steps, &peer);

        g_assert_null(mose_gdb_threads(gdb, &error));
        assert_says(error, MOSE_ERROR_INVALID, "qfThreadInfo: '");
        gdb_peer_done(gdb, peer);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/gdb/threads", test_threads);
    g_test_add_func("/gdb/bad-begin", test_bad_begin);
    g_test_add_func("/gdb/damaged", test_damaged);
    g_test_add_func("/gdb/refused-again", test_refused_again);
    g_test_add_func("/gdb/encodings", test_encodings);
    g_test_add_func("/gdb/too-long", test_too_long);
    g_test_add_func("/gdb/error-answers", test_error_answers);
    g_test_add_func("/gdb/bad-threads", test_bad_threads);
    return g_test_run();
}
