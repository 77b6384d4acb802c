/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whoever dies in the middle of a switch, the guest runs on, on one side, and
 * nothing is left of the other.
 */
#include <gio/gio.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/vm.h"
#include "qemu/command.h"
#include "switch/recover.h"
#include "switch/switch.h"
#include "util/json.h"

/* A guest that ran is running again within this time, with nobody typing. */
#define LIMIT_US (2 * G_USEC_PER_SEC)
#define KILLS 20

static VmGuest *guest;

static gboolean
cannot_run(void)
{
    if (vm_why_not()) {
        g_test_skip(vm_why_not());
        return TRUE;
    }
    if (!guest) {
        guest = vm_guest_new("death");
        vm_run(guest, NULL, NULL, "mose.work=1");
        vm_wait_console(guest, "MOSE-GUEST READY", 60);
    }
    return FALSE;
}

/* QEMU processes whose pidfile is in this guest's directory. */
static guint
count_processes(void)
{
    g_autoptr(MoseGuest) opened = mose_guest_open(guest->name, MOSE_GUEST_LOOK, NULL);
    guint n = 0;

    g_assert_nonnull(opened);
    for (guint generation = 1; generation <= opened->generation + 1; generation++) {
        g_autoptr(MoseProcess) process = mose_find_generation(opened, generation);

        n += process != NULL;
    }
    return n;
}

/* The state by QEMU's own word, without `mose`, which would mend things. */
static gboolean
runs(void)
{
    g_autoptr(MoseGuest) opened = mose_guest_open(guest->name, MOSE_GUEST_LOOK, NULL);
    g_autoptr(MoseQmp) qmp =
        opened ? mose_guest_connect(opened, MOSE_MONITOR_QUERY, NULL) : NULL;
    g_autoptr(JsonObject) status =
        qmp ? mose_qmp_query(qmp, "query-status", NULL, NULL) : NULL;

    return mose_json_bool(status, "running", FALSE);
}

static void
assert_one_and_running(void)
{
    gint64 deadline = g_get_monotonic_time() + LIMIT_US;
    g_autoptr(JsonObject) page = NULL;

    while ((count_processes() != 1 || !runs()) && g_get_monotonic_time() < deadline)
        g_usleep(10000);
    g_assert_cmpuint(count_processes(), ==, 1);
    g_assert_true(runs());
    page = vm_assert_healthy(guest);
}

static MoseSide
other_side(void)
{
    g_autoptr(MoseGuest) opened = mose_guest_open(guest->name, MOSE_GUEST_LOOK, NULL);

    return opened->side == MOSE_SIDE_VIRTUALIZER ? MOSE_SIDE_EMULATOR
                                                 : MOSE_SIDE_VIRTUALIZER;
}

/* --- the command --- */

/* Kill `mose` after @delay_us of a switch. */
static void
kill_after(gint64 delay_us)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GSubprocess) mose = g_subprocess_new(
        G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_SILENCE, &error,
        g_getenv("MOSE"), other_side() == MOSE_SIDE_EMULATOR ? "emulate" : "virtualize",
        guest->name, NULL);

    g_assert_no_error(error);
    g_usleep(delay_us);
    g_subprocess_force_exit(mose);
    g_subprocess_wait(mose, NULL, NULL);
}

static void
test_command(void)
{
    g_autoptr(JsonObject) whole = NULL;
    gint64 longest;

    if (cannot_run())
        return;
    whole = vm_mose_json(other_side() == MOSE_SIDE_EMULATOR ? "emulate" : "virtualize",
                         guest->name, NULL);
    longest = mose_json_int(whole, "total-us", 0) * 3 / 2;
    for (int i = 0; i < KILLS; i++) {
        kill_after(longest * i / KILLS);
        assert_one_and_running();
    }
}

/* --- the processes it works with, from within its phases --- */

typedef struct {
    const char *phase;  /* kill at its beginning; NULL: while the stream passes */
    gboolean source;    /* kill the source, not the destination */
    const char *wanted; /* in the error's text */
} Death;

static void
kill_process(gboolean source)
{
    g_autoptr(MoseGuest) opened = mose_guest_open(guest->name, MOSE_GUEST_LOOK, NULL);
    g_autoptr(MoseProcess) process =
        mose_find_generation(opened, opened->generation + (source ? 0 : 1));

    if (process)
        mose_process_kill(process);
}

static void
at_phase(const MoseSwitchProgress *progress, gpointer data)
{
    const Death *death = data;

    if (death->phase && strcmp(progress->phase, death->phase) == 0)
        kill_process(death->source);
}

static gboolean
in_stream(MoseDoc *doc, gpointer data, GError **error)
{
    const Death *death = data;

    if (!death->phase)
        kill_process(death->source);
    return TRUE;
}

static void
test_destination(gconstpointer data)
{
    const Death *death = data;
    MoseSwitchOptions options = { .progress = at_phase,
                                  .tamper = in_stream,
                                  .data = (gpointer)death };
    MoseSwitchReport report = { 0 };
    g_autoptr(GError) error = NULL;
    MoseSide before;

    if (cannot_run())
        return;
    {
        g_autoptr(MoseGuest) opened =
            mose_guest_open(guest->name, MOSE_GUEST_LOCK, &error);

        g_assert_no_error(error);
        before = opened->side;
        options.side = before == MOSE_SIDE_VIRTUALIZER ? MOSE_SIDE_EMULATOR
                                                       : MOSE_SIDE_VIRTUALIZER;
        g_assert_false(mose_switch(opened, &options, &report, &error));
        g_test_message("%s", error->message);
        g_assert_nonnull(strstr(error->message, death->wanted));
        g_assert_cmpint(opened->side, ==, before);
    }
    assert_one_and_running();
}

static const Death at_check = { "check", FALSE, "monitor" };
static const Death at_move = { "move", FALSE, "monitor" };
static const Death while_loading = { NULL, FALSE, "the destination" };
static const Death at_commit = { "commit", FALSE, "monitor" };

int
main(int argc, char **argv)
{
    int ret;

    g_test_init(&argc, &argv, NULL);
    vm_setup();
    g_test_add_func("/death/command", test_command);
    g_test_add_data_func("/death/destination/check", &at_check, test_destination);
    g_test_add_data_func("/death/destination/move", &at_move, test_destination);
    g_test_add_data_func("/death/destination/loading", &while_loading,
                         test_destination);
    g_test_add_data_func("/death/destination/commit", &at_commit, test_destination);
    ret = vm_run_tests();
    vm_guest_free(guest);
    return ret;
}
