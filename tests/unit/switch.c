/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The switch between two processes that only look like QEMU, where it happens, and
 * guests that end. What is undone: switch-undone.c, switch-recover.c.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/make-stream.h"
#include "lib/stage.h"
#include "qemu/command.h"
#include "guest/journal.h"
#include "guest/generation.h"
#include "switch/recover.h"
#include "switch/start.h"
#include "util/json.h"

static void
test_there_and_back(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GByteArray) sent = mk_small_stream();
    g_autofree char *got = NULL;
    gsize len = 0;
    pid_t first;
    Stage stage;

    stage_begin(&stage, NULL);
    first = stage.guest->pid;
    stage_switch(&stage, MOSE_SIDE_EMULATOR, &error);
    g_assert_no_error(error);
    /* No rule has anything to do with these devices. */
    got = stage_read(&stage, 2, "loaded", &len);
    g_assert_cmpmem(got, len, sent->data, sent->len);
    g_assert_cmpuint(mose_process_start_time(first), ==, 0);
    g_assert_cmpuint(stage.guest->generation, ==, 2);
    g_assert_true(stage_guest_runs(&stage));
    g_assert_cmpint(stage_count(&stage, 2, "cont"), ==, 1);
    g_assert_cmpint(stage_count(&stage, 1, "cont"), ==, 1);
    g_assert_cmpint(stage_count(&stage, 2,
                                "human-monitor-command hostfwd_add net0 "
                                "tcp::8080-:80"),
                    ==, 1);
    g_assert_cmpstr(stage_last_event(&stage, "emulate", "side"), ==, "emulator");
    stage_assert_no_journal(&stage);
    stage_assert_nothing_left(&stage, 1);
    mose_guest_reload(stage.guest, &error);
    g_assert_no_error(error);
    g_assert_cmpint(stage.guest->side, ==, MOSE_SIDE_EMULATOR);

    stage_switch(&stage, MOSE_SIDE_VIRTUALIZER, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(stage.guest->generation, ==, 3);
    g_assert_cmpint(stage.guest->side, ==, MOSE_SIDE_VIRTUALIZER);
    stage_assert_nothing_left(&stage, 2);
    stage_end(&stage);
}

/* A guest that stood still arrives so, and goes back so. */
static void
test_paused(void)
{
    static const char *const options[] = { "-m", "4M", "-S", NULL };
    g_autoptr(GError) error = NULL;
    Stage stage;

    stage_begin_with(&stage, NULL, options);
    g_assert_false(stage_guest_runs(&stage));
    stage_write(&stage, "pid.2.script", "load exit no", -1);
    g_assert_false(stage_switch(&stage, MOSE_SIDE_EMULATOR, &error));
    assert_says(error, MOSE_ERROR_FAILED, "it said: fakeqemu: no");
    g_clear_error(&error);
    g_assert_false(stage_guest_runs(&stage));
    stage_write(&stage, "pid.2.script", "", -1);
    stage_switch(&stage, MOSE_SIDE_EMULATOR, &error);
    g_assert_no_error(error);
    g_assert_false(stage_guest_runs(&stage));
    g_assert_cmpint(stage_count(&stage, 1, "cont"), ==, 0);
    g_assert_cmpint(stage_count(&stage, 2, "cont"), ==, 0);
    stage_end(&stage);
}

static void
test_there_already(void)
{
    g_autoptr(GError) error = NULL;
    Stage stage;

    stage_begin(&stage, NULL);
    g_assert_false(stage_switch(&stage, MOSE_SIDE_VIRTUALIZER, &error));
    assert_says(error, MOSE_ERROR_INVALID, "guest g is in the virtualizer already");
    stage_end(&stage);
}

/* Once it has run, a destination that dies has had the guest. */
static void
test_lost_after_commit(void)
{
    g_autoptr(GError) error = NULL;
    pid_t first;
    Stage stage;

    stage_begin(&stage, NULL);
    first = stage.guest->pid;
    stage_write(&stage, "pid.2.script", "cont do-exit Aborted", -1);
    g_assert_false(stage_switch(&stage, MOSE_SIDE_EMULATOR, &error));
    assert_says(error, MOSE_ERROR_CLOSED,
                "the guest was given to the emulator, which has ended: cont: ");
    g_assert_cmpuint(mose_process_start_time(first), ==, 0);
    g_assert_cmpint(stage.guest->side, ==, MOSE_SIDE_EMULATOR);
    stage_end(&stage);
}

/* One that lives and does not say whether it runs leaves both processes, and the
 * journal, to whoever recovers; and `mose stop` ends both. */
static void
test_uncertain(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseProcess) first = NULL, second = NULL;
    MoseRecovered recovered;
    MoseJournalEntry entry;
    Stage stage;

    stage_begin(&stage, NULL);
    first = mose_guest_process(stage.guest, &error);
    g_assert_no_error(error);
    stage_write(&stage, "pid.2.script", "cont close", -1);
    g_assert_false(stage_switch(&stage, MOSE_SIDE_EMULATOR, &error));
    assert_says(error, MOSE_ERROR_CLOSED,
                "the emulator was given the guest and has not said that it runs");
    g_clear_error(&error);
    second = mose_find_generation(stage.guest, 2);
    g_assert_nonnull(second);
    /* Nobody can let the source run while that is open. */
    g_assert_true(mose_process_frozen(first));
    mose_journal_read(stage.guest->dir, &entry, &error);
    g_assert_no_error(error);
    g_assert_cmpint(entry.phase, ==, MOSE_PHASE_COMMIT);

    g_assert_false(mose_recover(stage.guest, &recovered, &error));
    assert_says(error, MOSE_ERROR_CLOSED, "cannot finish the switch");
    g_assert_cmpint(stage_count(&stage, 2, "cont"), ==, 2);
    stage_end(&stage);
    g_assert_false(mose_process_alive(first));
    g_assert_false(mose_process_alive(second));
}

/* Somebody else has let the destination run: its memory has gone on, so the guest is
 * given to it, for good. */
static void
test_early(void)
{
    g_autoptr(GError) error = NULL;
    Stage stage;

    stage_begin(&stage, NULL);
    stage_write(&stage, "next.script",
                "query-status say {\"return\": {\"status\": \"running\", "
                "\"running\": true}}",
                -1);
    stage_switch(&stage, MOSE_SIDE_EMULATOR, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(stage.guest->generation, ==, 2);
    g_assert_cmpint(stage_count(&stage, 2, "cont"), ==, 0);
    stage_assert_no_journal(&stage);
    stage_assert_nothing_left(&stage, 1);
    stage_end(&stage);
}

/* Who names the pidfile without being its QEMU is not taken for it. */
static void
test_only_named(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseProcess) process = NULL;
    g_autofree char *pidfile = NULL, *log = NULL;
    Stage stage;

    stage_begin(&stage, NULL);
    pidfile = mose_guest_pidfile(stage.guest, 2);
    log = mose_guest_log(stage.guest, 2);
    {
        const char *const argv[] = { "sh", "-c", "kill -STOP $$", pidfile, NULL };

        process = mose_process_spawn(argv, "/", log, NULL, 0, &error);
        g_assert_no_error(error);
    }
    g_assert_null(mose_find_generation(stage.guest, 2));
    g_assert_true(mose_process_kill(process));
    stage_end(&stage);
}

static char *
cgroup_of(pid_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/cgroup", (int)pid);
    char *text = NULL;

    g_file_get_contents(path, &text, NULL, NULL);
    return text;
}

/* The destination belongs where the guest does, not where the command was typed. */
static void
test_cgroup(void)
{
    const char *root = g_file_test("/sys/fs/cgroup/unified", G_FILE_TEST_IS_DIR)
                           ? "/sys/fs/cgroup/unified"
                           : "/sys/fs/cgroup";
    g_autofree char *group = g_strdup_printf("%s/mose-test-%d", root, (int)getpid());
    g_autofree char *procs = g_build_filename(group, "cgroup.procs", NULL);
    g_autofree char *before = NULL, *after = NULL;
    g_autoptr(GError) error = NULL;
    FILE *file = mkdir(group, 0755) == 0 ? fopen(procs, "w") : NULL;
    Stage stage;

    if (!file) {
        rmdir(group);
        g_test_skip("cannot make a control group (version 2)");
        return;
    }
    stage_begin(&stage, NULL);
    fprintf(file, "%d\n", (int)stage.guest->pid);
    g_assert_cmpint(fclose(file), ==, 0);
    before = cgroup_of(stage.guest->pid);
    g_assert_nonnull(strstr(before, "/mose-test-"));
    stage_switch(&stage, MOSE_SIDE_EMULATOR, &error);
    g_assert_no_error(error);
    after = cgroup_of(stage.guest->pid);
    g_assert_cmpstr(after, ==, before);
    stage_end(&stage);
    rmdir(group);
}

/* A guest that sleeps is told to go on, or it could not be woken. */
static void
test_suspended(void)
{
    g_autoptr(GError) error = NULL;
    Stage stage;

    stage_begin(&stage, "query-status say {\"return\": {\"status\": \"suspended\", "
                        "\"running\": false}}");
    stage_switch(&stage, MOSE_SIDE_EMULATOR, &error);
    g_assert_no_error(error);
    g_assert_cmpint(stage_count(&stage, 2, "cont"), ==, 1);
    stage_end(&stage);
}

/* A source that dies takes the guest along; the error says both. */
static void
test_source_dies(void)
{
    g_autoptr(GError) error = NULL;
    Stage stage;

    stage_begin(&stage, "send exit Aborted");
    g_assert_false(stage_switch(&stage, MOSE_SIDE_EMULATOR, &error));
    assert_says(error, MOSE_ERROR_CLOSED,
                "the source ended while it sent the guest; it said: fakeqemu: Aborted; "
                "guest g has ended");
    stage_assert_nothing_left(&stage, 2);
    stage_end(&stage);
}

static void
test_start_fails(void)
{
    MoseStartOptions how = { "tcg", "qemu64", NULL, TRUE };
    Stage stage = stage_make();
    g_autoptr(GError) error = NULL;
    g_autofree char *reason = NULL;
    g_auto(GStrv) names = NULL;

    stage_write(&stage, "pid.1.script", "start exit drive: Could not open 'x'", -1);
    g_assert_null(
        mose_start("g", stage_spec(stage_plain_options), &how, &reason, &error));
    assert_says(error, MOSE_ERROR_CLOSED,
                "QEMU (virtualizer) did not start: fakeqemu: drive: Could "
                "not open 'x'");
    g_clear_error(&error);
    names = mose_guest_names(&error);
    g_assert_no_error(error);
    g_assert_cmpuint(g_strv_length(names), ==, 0);
    g_assert_cmpint(rmdir(stage.runtime), ==, 0);
    stage_remove(stage.fake);
    g_free(stage.runtime);
    g_free(stage.fake);
}

/* --- a guest that has ended --- */

/* Its end is on the timeline, once, with its last words; a switch is refused. */
static void
test_ended(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseProcess) process = NULL;
    g_autoptr(MoseQmp) qmp = NULL;
    MoseRecovered recovered;
    guint events;
    Stage stage;

    stage_begin(&stage, "query-version exit disk on fire");
    g_assert_true(mose_recover(stage.guest, &recovered, &error));
    g_assert_null(stage_last_event(&stage, "run", "reason"));
    process = mose_guest_process(stage.guest, &error);
    qmp = mose_guest_connect(stage.guest, MOSE_MONITOR_QUERY, &error);
    g_assert_no_error(error);
    g_assert_false(mose_qmp_run(qmp, "query-version", NULL, NULL));
    g_assert_true(mose_process_wait(process, 10000));
    for (int i = 0; i < 2; i++) {
        g_assert_true(mose_recover(stage.guest, &recovered, &error));
        g_assert_no_error(error);
        g_assert_cmpint(recovered, ==, MOSE_RECOVERED_NOTHING);
        g_assert_cmpstr(stage_last_event(&stage, "ended", "reason"), ==,
                        "fakeqemu: disk on fire");
    }
    events = json_array_get_length(stage.guest->timeline);
    g_assert_cmpuint(events, ==, 2);
    for (MoseSide side = 0; side < MOSE_N_SIDES; side++) {
        g_assert_false(stage_switch(&stage, side, &error));
        assert_says(error, MOSE_ERROR_ENDED,
                    "guest g has ended; its QEMU said last: fakeqemu: disk on fire");
        g_clear_error(&error);
    }
    g_assert_cmpuint(json_array_get_length(stage.guest->timeline), ==, events);
    stage_end(&stage);
}

/* A feature that the guest can do without is no reason to refuse. */
static void
test_bearable_loss(void)
{
    g_autoptr(GError) error = NULL;
    Stage stage;

    stage_begin(&stage, "features sse2 vme");
    stage_switch(&stage, MOSE_SIDE_EMULATOR, &error);
    g_assert_no_error(error);
    stage_end(&stage);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/fake-switch/there-and-back", test_there_and_back);
    g_test_add_func("/fake-switch/paused", test_paused);
    g_test_add_func("/fake-switch/there-already", test_there_already);
    g_test_add_func("/fake-switch/bearable-loss", test_bearable_loss);
    g_test_add_func("/fake-switch/lost-after-commit", test_lost_after_commit);
    g_test_add_func("/fake-switch/uncertain", test_uncertain);
    g_test_add_func("/fake-switch/early", test_early);
    g_test_add_func("/fake-switch/only-named", test_only_named);
    g_test_add_func("/fake-switch/suspended", test_suspended);
    g_test_add_func("/fake-switch/cgroup", test_cgroup);
    g_test_add_func("/fake-switch/source-dies", test_source_dies);
    g_test_add_func("/fake-switch/start-fails", test_start_fails);
    g_test_add_func("/fake-switch/ended", test_ended);
    return g_test_run();
}
