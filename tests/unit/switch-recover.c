/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What commands that died have left, brought to an end by whoever comes next, between
 * processes that only look like QEMU.
 */
#include <string.h>
#include <unistd.h>

#include "lib/stage.h"
#include "guest/generation.h"
#include "guest/journal.h"
#include "switch/recover.h"

#define GONE_MS 5000

static void
kill_guest(const Stage *stage)
{
    g_autoptr(MoseProcess) process = mose_guest_process(stage->guest, NULL);

    g_assert_nonnull(process);
    g_assert_true(mose_process_kill(process));
}

static const char *const socket_options[] = {
    "-m", "4M", "-serial", "unix:console,server=on,wait=off", NULL,
};

/* A guest whose switch to generation 2 was left in @phase, the user's socket bound. */
static char *
leave_switch(Stage *stage, MosePhase phase)
{
    MoseJournalEntry entry = { phase, 2, 1, MOSE_SIDE_EMULATOR, TRUE };
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseJournal) journal = NULL;
    char *bound;

    stage_begin_with(stage, NULL, socket_options);
    g_free(stage->guest->spec->cwd);
    stage->guest->spec->cwd = g_strdup(stage->fake);
    bound = g_build_filename(stage->fake, "console.mose-2", NULL);
    stage_write(stage, "console.mose-2", "", 0);
    journal = mose_journal_begin(stage->guest->dir, &entry, &error);
    g_assert_no_error(error);
    return bound;
}

static void
test_undone(void)
{
    g_autoptr(GError) error = NULL;
    MoseRecovered recovered;
    Stage stage;
    g_autofree char *bound = leave_switch(&stage, MOSE_PHASE_PREPARE);
    g_autofree char *part =
        g_build_filename(stage.guest->dir, "guest.json.9.new", NULL);

    g_file_set_contents(part, "{", -1, &error);
    g_assert_no_error(error);
    mose_recover(stage.guest, &recovered, &error);
    g_assert_no_error(error);
    g_assert_cmpint(recovered, ==, MOSE_RECOVERED_UNDONE);
    g_assert_false(g_file_test(bound, G_FILE_TEST_EXISTS));
    g_assert_false(g_file_test(part, G_FILE_TEST_EXISTS));
    g_assert_true(stage_guest_runs(&stage));
    stage_assert_no_journal(&stage);
    stage_assert_nothing_left(&stage, 2);
    stage_last_event(&stage, "undone-after-death", "event");
    stage_end(&stage);
}

/* The guest has died as well: that is no reason to keep the switch's remains. */
static void
test_undone_ended(void)
{
    g_autoptr(GError) error = NULL;
    MoseRecovered recovered;
    Stage stage;
    g_autofree char *bound = leave_switch(&stage, MOSE_PHASE_MOVE);

    kill_guest(&stage);
    mose_recover(stage.guest, &recovered, &error);
    g_assert_no_error(error);
    g_assert_cmpint(recovered, ==, MOSE_RECOVERED_UNDONE);
    g_assert_false(g_file_test(bound, G_FILE_TEST_EXISTS));
    stage_assert_no_journal(&stage);
    stage_last_event(&stage, "ended", "event");
    stage_end(&stage);
}

/* After the commit the source must not run again, though nobody else is left. */
static void
test_committed_ended(void)
{
    g_autoptr(GError) error = NULL;
    MoseRecovered recovered;
    Stage stage;
    pid_t first;
    g_autofree char *bound = leave_switch(&stage, MOSE_PHASE_COMMIT);

    first = stage.guest->pid;
    mose_recover(stage.guest, &recovered, &error);
    g_assert_no_error(error);
    g_assert_cmpint(recovered, ==, MOSE_RECOVERED_FINISHED);
    g_assert_cmpuint(mose_process_start_time(first), ==, 0);
    g_assert_cmpint(stage.guest->side, ==, MOSE_SIDE_EMULATOR);
    stage_assert_no_journal(&stage);
    stage_last_event(&stage, "ended", "event");
    stage_end(&stage);
    unlink(bound);
}

/* A guest that has stopped of itself meanwhile stays so: QEMU would not let it run. */
static void
test_undone_stopped(void)
{
    g_autoptr(GError) error = NULL;
    MoseRecovered recovered;
    Stage stage;
    g_autofree char *bound = leave_switch(&stage, MOSE_PHASE_MOVE);

    stage_write(&stage, "pid.1.script",
                "query-status say {\"return\": {\"status\": \"shutdown\", "
                "\"running\": false}}\n"
                "cont fail Resetting the Virtual Machine is required",
                -1);
    mose_recover(stage.guest, &recovered, &error);
    g_assert_no_error(error);
    g_assert_cmpint(recovered, ==, MOSE_RECOVERED_UNDONE);
    stage_assert_no_journal(&stage);
    g_assert_false(g_file_test(bound, G_FILE_TEST_EXISTS));
    stage_end(&stage);
}

/* --- a destination that has the guest, by the journal, and has not said more --- */

static void
leave_uncertain(Stage *stage)
{
    g_autoptr(GError) error = NULL;

    stage_begin(stage, NULL);
    stage_write(stage, "pid.2.script", "cont close", -1);
    g_assert_false(stage_switch(stage, MOSE_SIDE_EMULATOR, &error));
    assert_says(error, MOSE_ERROR_CLOSED, "has not said that it runs");
}

/* It was killed, and the kernel may take its time with that. */
static void
assert_goes(const MoseGuest *guest, guint generation)
{
    g_autoptr(MoseProcess) process = mose_find_generation(guest, generation);

    g_assert_true(!process || mose_process_wait(process, GONE_MS));
}

/* It does not run, and who takes the guest back dies on the way: the guest is the
 * source's all the same. */
static void
test_taken_back(void)
{
    g_autoptr(GError) error = NULL;
    MoseRecovered recovered;
    MoseJournalEntry entry;
    Stage stage;

    leave_uncertain(&stage);
    stage_write(&stage, "pid.2.script", "cont fail Failed to get \"write\" lock", -1);
    stage_write(&stage, "pid.1.script", "migrate_cancel fail not now", -1);
    g_assert_false(mose_recover(stage.guest, &recovered, &error));
    assert_says(error, MOSE_ERROR_QMP, "not now");
    g_clear_error(&error);
    assert_goes(stage.guest, 2);
    g_assert_true(mose_journal_read(stage.guest->dir, &entry, &error));
    g_assert_cmpint(entry.phase, ==, MOSE_PHASE_MOVE);

    stage_write(&stage, "pid.1.script", "", -1);
    mose_recover(stage.guest, &recovered, &error);
    g_assert_no_error(error);
    g_assert_cmpint(recovered, ==, MOSE_RECOVERED_UNDONE);
    g_assert_true(stage_guest_runs(&stage));
    g_assert_cmpuint(stage.guest->generation, ==, 1);
    stage_end(&stage);
}

/* It has run, and shut itself down since: its source is as old as that. */
static void
test_has_run(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseProcess) first = NULL;
    MoseRecovered recovered;
    Stage stage;

    leave_uncertain(&stage);
    first = mose_guest_process(stage.guest, &error);
    g_assert_no_error(error);
    stage_write(&stage, "pid.2.script",
                "query-status say {\"return\": {\"status\": \"shutdown\", "
                "\"running\": false}}\n"
                "cont fail Resetting the Virtual Machine is required",
                -1);
    mose_recover(stage.guest, &recovered, &error);
    g_assert_no_error(error);
    g_assert_cmpint(recovered, ==, MOSE_RECOVERED_FINISHED);
    g_assert_cmpuint(stage.guest->generation, ==, 2);
    g_assert_false(mose_process_alive(first));
    stage_assert_no_journal(&stage);
    stage_end(&stage);
}

/* A number that a process has had is not given again, even by a MOSE that knows of it
 * from its file alone. */
static void
test_generations(void)
{
    MoseSwitchOptions options = { .side = MOSE_SIDE_EMULATOR };
    g_autoptr(GPtrArray) found = NULL, reasons = NULL;
    g_autoptr(GError) error = NULL;
    gboolean good;
    Stage stage;

    stage_begin(&stage, NULL);
    g_assert_true(
        mose_switch_check(stage.guest, &options, &found, &reasons, &good, &error));
    g_assert_true(mose_guest_reload(stage.guest, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(stage.guest->generation, ==, 1);
    g_assert_cmpuint(stage.guest->generations, ==, 2);
    stage_end(&stage);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/fake-switch/undone/socket", test_undone);
    g_test_add_func("/fake-switch/undone/ended", test_undone_ended);
    g_test_add_func("/fake-switch/committed/ended", test_committed_ended);
    g_test_add_func("/fake-switch/undone/stopped", test_undone_stopped);
    g_test_add_func("/fake-switch/taken-back", test_taken_back);
    g_test_add_func("/fake-switch/has-run", test_has_run);
    g_test_add_func("/fake-switch/generations", test_generations);
    return g_test_run();
}
