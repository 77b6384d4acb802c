/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The gdb client against a scripted stub: registers, memory, running and stopping. */
#include "qemu/gdb.h"

#include <string.h>
#include <sys/eventfd.h>

#include "fakeqemu/gdb-peer.h"
#include "lib/says.h"
#include "util/fd.h"

#define SHORT_MS 50
#define LONG_MS 20000

/* --- registers and memory --- */

/* 608 bytes, of which number i is i modulo 251, in hex. */
static char *
pattern(gsize len)
{
    GString *text = g_string_new(NULL);

    for (gsize i = 0; i < len; i++)
        g_string_append_printf(text, "%02x", (guint)(i % 251));
    return g_string_free(text, FALSE);
}

static void
test_registers(void)
{
    g_autofree char *text = pattern(608);
    const GdbStep steps[] = {
        GDB_HELLO,
        { "g", text },
        { "g", text },
        { "P0=8877665544332211", "OK" },
        { "P10=efcdab8967452301", "OK" },
        { "P11=46020000", "OK" },
        { "P20=0d00000000000000", "E22" },
        { 0 },
    };
    g_autoptr(GError) error = NULL;
    MoseGdbRegisters registers;
    GdbPeer *peer;
    MoseGdb *gdb = gdb_peer_connect(steps, &peer);

    g_assert_true(mose_gdb_read_registers(gdb, &registers, &error));
    g_assert_no_error(error);
    g_assert_cmphex(mose_gdb_register(&registers, MOSE_GDB_RBX), ==,
                    0x0f0e0d0c0b0a0908);
    g_assert_cmphex(mose_gdb_register(&registers, MOSE_GDB_RIP), ==,
                    0x8786858483828180);
    g_assert_cmphex(mose_gdb_register(&registers, MOSE_GDB_EFLAGS), ==, 0x8b8a8988);
    g_assert_cmphex(mose_gdb_register(&registers, MOSE_GDB_GS), ==, 0xa3a2a1a0);
    g_assert_cmphex(mose_gdb_register(&registers, MOSE_GDB_FS_BASE), ==,
                    0xabaaa9a8a7a6a5a4);
    g_assert_cmphex(mose_gdb_register(&registers, MOSE_GDB_CR3), ==,
                    0xd3d2d1d0cfcecdcc);
    g_assert_cmphex(mose_gdb_register(&registers, MOSE_GDB_EFER), ==,
                    0xebeae9e8e7e6e5e4);
    /* Those that were set are written, and no others. */
    mose_gdb_register_set(&registers, MOSE_GDB_EFER, 0xd);
    mose_gdb_register_set(&registers, MOSE_GDB_EFLAGS, 0x246);
    mose_gdb_register_set(&registers, MOSE_GDB_RIP, 0x0123456789abcdef);
    mose_gdb_register_set(&registers, MOSE_GDB_RAX, 0x1122334455667788);
    g_assert_cmphex(mose_gdb_register(&registers, MOSE_GDB_RIP), ==,
                    0x0123456789abcdef);
    g_assert_false(mose_gdb_write_registers(gdb, &registers, &error));
    assert_says(error, MOSE_ERROR_FAILED, "P20=0d00000000000000: error E22");
    gdb_peer_done(gdb, peer);
}

static void
test_bad_sizes(void)
{
    g_autofree char *short_text = pattern(607);
    g_autofree char *long_text = pattern(609);
    g_autofree char *no_hex = g_strdup(long_text);
    const char *const answers[] = { short_text, long_text, no_hex, "OK" };

    no_hex[1216] = '\0';
    no_hex[1000] = 'x';
    for (gsize i = 0; i < G_N_ELEMENTS(answers); i++) {
        const GdbStep steps[] = { GDB_HELLO, { "g", answers[i] }, { 0 } };
        g_autoptr(GError) error = NULL;
        MoseGdbRegisters registers;
        GdbPeer *peer;
        MoseGdb *gdb = gdb_peer_connect(steps, &peer);

        g_assert_false(mose_gdb_read_registers(gdb, &registers, &error));
        assert_says(error, MOSE_ERROR_INVALID, "g: the answer is not 608 bytes in hex");
        gdb_peer_done(gdb, peer);
    }
}

static void
test_memory(void)
{
    g_autofree char *first = pattern(2000);
    g_autofree char *second = pattern(1000);
    g_autofree char *written = g_strconcat("Mfff,7d0:", first, NULL);
    const GdbStep steps[] = {
        GDB_HELLO,
        { "mffffffff81000000,7d0", first },
        { "mffffffff810007d0,3e8", second },
        { written, "OK" },
        { "M17cf,1:f1", "OK" }, /* 2000 modulo 251 = 243, and so the last is 0xf1 */
        { "m0,2", "00" },
        { 0 },
    };
    g_autofree guint8 *bytes = g_malloc0(3000);
    g_autoptr(GError) error = NULL;
    GdbPeer *peer;
    MoseGdb *gdb = gdb_peer_connect(steps, &peer);

    g_assert_true(mose_gdb_read_memory(gdb, 0xffffffff81000000, bytes, 3000, &error));
    g_assert_no_error(error);
    for (gsize i = 0; i < 3000; i++)
        g_assert_cmphex(bytes[i], ==, (i < 2000 ? i : i - 2000) % 251);
    bytes[2000] = 0xf1;
    g_assert_true(mose_gdb_write_memory(gdb, 0xfff, bytes, 2001, &error));
    g_assert_no_error(error);
    g_assert_false(mose_gdb_read_memory(gdb, 0, bytes, 2, &error));
    assert_says(error, MOSE_ERROR_INVALID, "m0,2: the answer is not 2 bytes in hex");
    gdb_peer_done(gdb, peer);
}

/* --- running --- */

static void
test_stops(void)
{
    static const GdbStep steps[] = {
        GDB_HELLO,
        { "c", "T05thread:p01.02;" },
        { "vCont;s:p1.2", "T05thread:p01.02;core:1;" },
        { "c", "T05thread:p01.01;rwatch:ffffffff82001008;" },
        { "c", "T05thread:p01.01;watch:10;" },
        { "c", "T05awatch:10;thread:p01.1f;" },
        { "c", "S02" },
        { 0 },
    };
    static const MoseGdbStop stops[] = {
        { 5, { 1, 2 }, FALSE, 0, 0 },
        { 5, { 1, 2 }, FALSE, 0, 0 },
        { 5, { 1, 1 }, TRUE, MOSE_GDB_READS, 0xffffffff82001008 },
        { 5, { 1, 1 }, TRUE, MOSE_GDB_WRITES, 0x10 },
        { 5, { 1, 31 }, TRUE, MOSE_GDB_ACCESSES, 0x10 },
        { 2, { 0, 0 }, FALSE, 0, 0 },
    };
    g_autoptr(GError) error = NULL;
    GdbPeer *peer;
    MoseGdb *gdb = gdb_peer_connect(steps, &peer);

    for (gsize i = 0; i < G_N_ELEMENTS(stops); i++) {
        MoseGdbStop stop;

        if (i == 1)
            mose_gdb_step(gdb, (MoseGdbThread){ 1, 2 }, &error);
        else
            mose_gdb_continue(gdb, &error);
        g_assert_no_error(error);
        mose_gdb_wait_stop(gdb, LONG_MS, -1, &stop, &error);
        g_assert_no_error(error);
        g_assert_cmpint(stop.signal, ==, stops[i].signal);
        g_assert_cmpuint(stop.thread.process, ==, stops[i].thread.process);
        g_assert_cmpuint(stop.thread.thread, ==, stops[i].thread.thread);
        g_assert_cmpint(stop.watched, ==, stops[i].watched);
        g_assert_cmpint(stop.kind, ==, stops[i].kind);
        g_assert_cmphex(stop.address, ==, stops[i].address);
    }
    gdb_peer_done(gdb, peer);
}

static void
test_bad_stops(void)
{
    static const struct {
        const char *answer;
        MoseErrorCode code;
        const char *text;
    } cases[] = {
        { "W00", MOSE_ERROR_CLOSED, "stop: QEMU has ended" },
        { "X09", MOSE_ERROR_CLOSED, "stop: QEMU has ended" },
        { "T5", MOSE_ERROR_INVALID, "stop: 'T5' is no answer" },
        { "T05thread:px.1;", MOSE_ERROR_INVALID, "is no answer" },
        { "T05watch:;", MOSE_ERROR_INVALID, "is no answer" },
        { "T05watch:10x;", MOSE_ERROR_INVALID, "is no answer" },
        { "S0", MOSE_ERROR_INVALID, "is no answer" },
        { "S050", MOSE_ERROR_INVALID, "is no answer" },
        { "E22", MOSE_ERROR_INVALID, "stop: 'E22' is no answer" },
        { "", MOSE_ERROR_INVALID, "is no answer" },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        const GdbStep steps[] = { GDB_HELLO, { "c", cases[i].answer }, { 0 } };
        g_autoptr(GError) error = NULL;
        MoseGdbStop stop;
        GdbPeer *peer;
        MoseGdb *gdb = gdb_peer_connect(steps, &peer);

        g_assert_true(mose_gdb_continue(gdb, &error));
        g_assert_false(mose_gdb_wait_stop(gdb, LONG_MS, -1, &stop, &error));
        assert_says(error, cases[i].code, cases[i].text);
        gdb_peer_done(gdb, peer);
    }
}

/* A wait that ends without a stop leaves the guest running; then it is stopped. */
static void
test_interrupt(void)
{
    static const GdbStep steps[] = {
        GDB_HELLO,
        { "c", NULL, NULL, "\003" },
        { NULL, "T02thread:p01.01;" },
        { "g", "E22" },
        { 0 },
    };
    g_auto(MoseFd) cancel = eventfd(1, EFD_CLOEXEC);
    g_autoptr(GError) error = NULL;
    MoseGdbRegisters registers;
    MoseGdbStop stop;
    GdbPeer *peer;
    MoseGdb *gdb = gdb_peer_connect(steps, &peer);

    g_assert_false(mose_gdb_interrupt(gdb, &error));
    assert_says(error, MOSE_ERROR_INVALID, "interrupt: the guest does not run");
    g_clear_error(&error);
    g_assert_false(mose_gdb_wait_stop(gdb, LONG_MS, -1, &stop, &error));
    assert_says(error, MOSE_ERROR_INVALID, "stop: the guest does not run");
    g_clear_error(&error);
    g_assert_true(mose_gdb_continue(gdb, &error));
    g_assert_false(mose_gdb_wait_stop(gdb, SHORT_MS, -1, &stop, &error));
    assert_says(error, MOSE_ERROR_TIMEOUT, "stop: nothing came");
    g_clear_error(&error);
    g_assert_false(mose_gdb_wait_stop(gdb, -1, cancel, &stop, &error));
    assert_says(error, MOSE_ERROR_INTERRUPTED, "stop: the wait was ended");
    g_clear_error(&error);
    g_assert_false(mose_gdb_read_registers(gdb, &registers, &error));
    assert_says(error, MOSE_ERROR_INVALID, "g: the guest runs");
    g_clear_error(&error);
    g_assert_true(mose_gdb_interrupt(gdb, &error));
    g_assert_true(mose_gdb_wait_stop(gdb, -1, -1, &stop, &error));
    g_assert_cmpint(stop.signal, ==, 2);
    g_assert_false(mose_gdb_read_registers(gdb, &registers, &error));
    assert_says(error, MOSE_ERROR_FAILED, "g: error E22");
    gdb_peer_done(gdb, peer);
}

/* What is sent again when it is to run, and what can't be. */
static void
test_continue_again(void)
{
    static const GdbStep steps[] = {
        GDB_HELLO,
        { NULL, NULL, NULL, "$c#63" },
        { NULL, NULL, "-", "$c#63" },
        { NULL, NULL, "+" },
        { NULL, "T05thread:p01.01;" },
        { NULL, NULL, NULL, "$c#63" },
        { NULL, NULL, "$T05#b9" },
        { 0 },
    };
    g_autoptr(GError) error = NULL;
    MoseGdbStop stop;
    GdbPeer *peer;
    MoseGdb *gdb = gdb_peer_connect(steps, &peer);

    g_assert_true(mose_gdb_continue(gdb, &error));
    g_assert_true(mose_gdb_wait_stop(gdb, LONG_MS, -1, &stop, &error));
    g_assert_no_error(error);
    g_assert_false(mose_gdb_continue(gdb, &error));
    assert_says(error, MOSE_ERROR_INVALID, "c: an answer before its acknowledgement");
    gdb_peer_done(gdb, peer);
}

static void
test_closed_while_running(void)
{
    static const GdbStep steps[] = { GDB_HELLO,
                                     { "c", NULL, "$T05", NULL, TRUE },
                                     { 0 } };
    g_autoptr(GError) error = NULL;
    MoseGdbStop stop;
    GdbPeer *peer;
    MoseGdb *gdb = gdb_peer_connect(steps, &peer);

    g_assert_true(mose_gdb_continue(gdb, &error));
    g_assert_false(mose_gdb_wait_stop(gdb, -1, -1, &stop, &error));
    assert_says(error, MOSE_ERROR_CLOSED, "stop: QEMU closed it");
    gdb_peer_done(gdb, peer);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/gdb/registers", test_registers);
    g_test_add_func("/gdb/bad-sizes", test_bad_sizes);
    g_test_add_func("/gdb/memory", test_memory);
    g_test_add_func("/gdb/stops", test_stops);
    g_test_add_func("/gdb/bad-stops", test_bad_stops);
    g_test_add_func("/gdb/interrupt", test_interrupt);
    g_test_add_func("/gdb/continue-again", test_continue_again);
    g_test_add_func("/gdb/closed-while-running", test_closed_while_running);
    return g_test_run();
}
