/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Debug sessions on a real guest: what they see and do. Who dies in one:
 * debug-death.c. */
#include <string.h>

#include "switch/debug.h"
#include "util/error.h"
#include "vm/debug-guest.h"

#define LONG_MS 20000
#define HITS 100
#define ROUNDS 3

static void
assert_hit(MoseDebug *debug, const MoseGdbStop *stop, guint64 *seen)
{
    MoseGdb *gdb = mose_debug_gdb(debug);
    g_autoptr(GError) error = NULL;
    MoseGdbRegisters registers;
    guint64 rip, top;

    g_assert_cmpint(stop->signal, ==, 5);
    mose_gdb_select(gdb, stop->thread, &error);
    g_assert_no_error(error);
    mose_gdb_read_registers(gdb, &registers, &error);
    g_assert_no_error(error);
    rip = mose_gdb_register(&registers, MOSE_GDB_RIP);
    seen[DEBUG_SCHEDULE] += rip == debug_functions[DEBUG_SCHEDULE];
    seen[DEBUG_TICK] += rip == debug_functions[DEBUG_TICK];
    g_assert_true(rip == debug_functions[DEBUG_SCHEDULE] ||
                  rip == debug_functions[DEBUG_TICK]);
    /* At a function's entry its caller's address is on the kernel's stack. */
    mose_gdb_read_memory(gdb, mose_gdb_register(&registers, MOSE_GDB_RSP), &top,
                         sizeof(top), &error);
    g_assert_no_error(error);
    g_assert_cmphex(top >> 40, ==, 0xffffff);
    g_assert_cmphex(mose_gdb_register(&registers, MOSE_GDB_CR0) & 0x80000001, ==,
                    0x80000001);
    g_assert_cmphex(mose_gdb_register(&registers, MOSE_GDB_EFER) & 0x500, ==, 0x500);
}

/* Once disarmed it runs on, until it is stopped. */
static void
assert_no_more(MoseDebug *debug)
{
    g_autoptr(GError) error = NULL;
    MoseGdbStop stop;

    for (int i = 0; i < DEBUG_N_FUNCTIONS; i++) {
        const MoseGdbPoint point = { MOSE_GDB_HARDWARE, debug_functions[i], 1 };

        g_assert_true(mose_debug_disarm(debug, &point, &error));
        g_assert_false(mose_debug_disarm(debug, &point, &error));
        g_assert_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND);
        g_clear_error(&error);
    }
    g_assert_true(mose_debug_continue(debug, &error));
    g_assert_false(mose_debug_wait(debug, 200, -1, &stop, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_TIMEOUT);
    g_clear_error(&error);
    g_assert_true(mose_debug_stop(debug, &stop, &error));
    g_assert_no_error(error);
    g_assert_cmpint(stop.signal, ==, 2);
}

static void
test_hits(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseGuest) opened = NULL;
    g_autoptr(GArray) threads = NULL;
    MoseDebug *debug;
    guint64 seen[DEBUG_N_FUNCTIONS] = { 0 }, vcpus = 0;
    MoseGdbStop stop;

    if (debug_cannot_run())
        return;
    opened = debug_open(MOSE_GUEST_LOCK);
    debug = mose_debug_begin(opened, NULL, NULL, &error);
    g_assert_no_error(error);
    threads = mose_gdb_threads(mose_debug_gdb(debug), &error);
    g_assert_no_error(error);
    g_assert_cmpuint(threads->len, ==, 2);
    for (int i = 0; i < DEBUG_N_FUNCTIONS; i++) {
        mose_debug_arm(
            debug, &(MoseGdbPoint){ MOSE_GDB_HARDWARE, debug_functions[i], 1 }, &error);
        g_assert_no_error(error);
    }
    for (int i = 0; i < HITS; i++) {
        mose_debug_continue(debug, &error);
        g_assert_no_error(error);
        mose_debug_wait(debug, LONG_MS, -1, &stop, &error);
        g_assert_no_error(error);
        assert_hit(debug, &stop, seen);
        vcpus |= 1u << stop.thread.thread;
    }
    g_test_message("hits: schedule %d, tick %d", (int)seen[DEBUG_SCHEDULE],
                   (int)seen[DEBUG_TICK]);
    g_assert_cmpuint(seen[DEBUG_SCHEDULE], >, 0);
    g_assert_cmpuint(seen[DEBUG_TICK], >, 0);
    g_assert_cmpuint(vcpus, ==, 6); /* vCPUs 1 and 2 */
    assert_no_more(debug);
    mose_debug_end(debug, &error);
    g_assert_no_error(error);
    mose_guest_unlock(opened);
    debug_assert_healed("running");
    debug_assert_runs_on();
}

/* A session with @point armed, in @ret_guest; it runs. */
static MoseDebug *
begin_with(MoseGdbPoint point, MoseGuest **ret_guest)
{
    g_autoptr(GError) error = NULL;
    MoseDebug *debug;

    *ret_guest = debug_open(MOSE_GUEST_LOCK);
    debug = mose_debug_begin(*ret_guest, NULL, NULL, &error);
    g_assert_no_error(error);
    mose_debug_arm(debug, &point, &error);
    g_assert_no_error(error);
    g_assert_false(mose_debug_arm(debug, &point, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_INVALID);
    return debug;
}

static void
next_stop(MoseDebug *debug, MoseGdbStop *ret)
{
    g_autoptr(GError) error = NULL;

    mose_debug_continue(debug, &error);
    g_assert_no_error(error);
    mose_debug_wait(debug, LONG_MS, -1, ret, &error);
    g_assert_no_error(error);
}

static void
test_watch(void)
{
    g_autoptr(MoseGuest) opened = NULL;
    g_autoptr(GError) error = NULL;
    guint64 before = 0, after = 0;
    MoseGdbStop stop;
    MoseDebug *debug;

    if (debug_cannot_run())
        return;
    debug = begin_with((MoseGdbPoint){ MOSE_GDB_WRITES, debug_jiffies, 8 }, &opened);
    mose_gdb_read_memory(mose_debug_gdb(debug), debug_jiffies, &before, 8, &error);
    for (int i = 0; i < ROUNDS; i++) {
        next_stop(debug, &stop);
        g_assert_true(stop.watched);
        g_assert_cmpint(stop.kind, ==, MOSE_GDB_WRITES);
        g_assert_cmphex(stop.address, ==, debug_jiffies);
    }
    mose_gdb_read_memory(mose_debug_gdb(debug), debug_jiffies, &after, 8, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(after, >, before);
    mose_debug_end(debug, &error);
    g_assert_no_error(error);
    mose_guest_unlock(opened);
    debug_assert_healed("running");
    debug_assert_runs_on();
}

/* What is written is there, on each vCPU; and what is put back does no harm. */
static void
test_state(void)
{
    g_autoptr(MoseGuest) opened = NULL;
    g_autoptr(GError) error = NULL;
    MoseGdbPoint point = { MOSE_GDB_HARDWARE, 0, 1 };
    guint8 code[3000];
    MoseDebug *debug;
    MoseGdb *gdb;

    if (debug_cannot_run())
        return;
    point.address = debug_functions[DEBUG_SCHEDULE];
    debug = begin_with(point, &opened);
    gdb = mose_debug_gdb(debug);
    for (guint thread = 1; thread <= 2; thread++) {
        MoseGdbRegisters before, changed, after;

        mose_gdb_select(gdb, (MoseGdbThread){ 1, thread }, &error);
        g_assert_no_error(error);
        g_assert_true(mose_gdb_read_registers(gdb, &before, &error));
        changed = before;
        mose_gdb_register_set(&changed, MOSE_GDB_R8, 0x1122334455667788);
        mose_gdb_register_set(&changed, MOSE_GDB_RIP, debug_functions[DEBUG_TICK]);
        g_assert_true(mose_gdb_write_registers(gdb, &changed, &error));
        g_assert_true(mose_gdb_read_registers(gdb, &after, &error));
        g_assert_cmpmem(after.bytes, sizeof(after.bytes), changed.bytes,
                        sizeof(changed.bytes));
        before.changed = changed.changed;
        g_assert_true(mose_gdb_write_registers(gdb, &before, &error));
    }
    g_assert_true(mose_gdb_read_memory(gdb, debug_functions[DEBUG_SCHEDULE], code,
                                       sizeof(code), &error));
    g_assert_true(mose_gdb_write_memory(gdb, debug_functions[DEBUG_SCHEDULE], code,
                                        sizeof(code), &error));
    g_assert_no_error(error);
    /* The first page is never mapped. */
    g_assert_false(mose_gdb_write_memory(gdb, 0, code, 8, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_FAILED);
    mose_debug_free(debug);
    mose_guest_unlock(opened);
    debug_assert_healed("running");
    debug_assert_runs_on();
}

/* An instruction that waits for an interrupt can be stepped over, too. */
static void
test_halt(void)
{
    static const guint8 sti_hlt[] = { 0xfb, 0xf4 };
    MoseGdbPoint point = { MOSE_GDB_HARDWARE, 0, 1 };
    g_autoptr(MoseGuest) opened = NULL;
    g_autoptr(GError) error = NULL;
    guint8 code[64], *found;
    MoseDebug *debug;

    if (debug_cannot_run())
        return;
    opened = debug_open(MOSE_GUEST_LOCK);
    debug = mose_debug_begin(opened, NULL, NULL, &error);
    g_assert_no_error(error);
    g_assert_true(mose_gdb_read_memory(mose_debug_gdb(debug), debug_halt, code,
                                       sizeof(code), &error));
    found = memmem(code, sizeof(code), sti_hlt, sizeof(sti_hlt));
    g_assert_nonnull(found);
    point.address = debug_halt + (found - code) + 1;
    g_assert_true(mose_debug_arm(debug, &point, &error));
    for (int i = 0; i < ROUNDS; i++) {
        MoseGdbStop stop;

        next_stop(debug, &stop);
        g_assert_cmpint(stop.signal, ==, 5);
    }
    mose_debug_end(debug, &error);
    g_assert_no_error(error);
    mose_guest_unlock(opened);
    debug_assert_healed("running");
    debug_assert_runs_on();
}

int
main(int argc, char **argv)
{
    int ret;

    g_test_init(&argc, &argv, NULL);
    vm_setup();
    g_test_add_func("/debug/hits", test_hits);
    g_test_add_func("/debug/watch", test_watch);
    g_test_add_func("/debug/state", test_state);
    g_test_add_func("/debug/halt", test_halt);
    ret = vm_run_tests();
    vm_guest_free(debug_guest);
    return ret;
}
