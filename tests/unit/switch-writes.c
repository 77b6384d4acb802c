/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a switch writes to the guest's memory: planned, recorded, done once, taken back,
 * whoever comes to it. Between processes that only look like QEMU.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "guest/generation.h"
#include "guest/journal.h"
#include "guest/writes.h"
#include "lib/stage.h"
#include "switch/recover.h"
#include "util/error.h"
#include "util/fd.h"

#define ADDRESS 0x1ffe /* across two pages */
#define LEN 4

static const char before[LEN + 1] = "old.";
static const char after[LEN + 1] = "new!";

/* --- the plan alone --- */

static void
test_plan(void)
{
    g_autoptr(MoseWrites) writes = mose_writes_new();
    g_autofree guint8 *big = g_malloc0(MOSE_WRITES_MAX_BYTES);
    char seen[8] = "........";

    g_assert_true(mose_writes_add(writes, 100, "ab", "xy", 2));
    g_assert_true(mose_writes_add(writes, 101, "yc", "ZC", 2));
    g_assert_cmpuint(mose_writes_count(writes), ==, 2);
    mose_writes_show(writes, 98, seen, 7);
    g_assert_cmpmem(seen, 8, "..xZC...", 8);
    memset(seen, '.', sizeof(seen));
    mose_writes_show(writes, 102, seen, 2); /* only a part of it */
    g_assert_cmpmem(seen, 8, "C.......", 8);
    mose_writes_show(writes, 200, seen, 4);
    g_assert_cmpmem(seen, 8, "C.......", 8);
    g_assert_false(mose_writes_add(writes, 0, big, big, MOSE_WRITES_MAX_BYTES));
    g_assert_false(mose_writes_add(writes, G_MAXUINT64, "a", "b", 1));
    g_assert_cmpuint(mose_writes_count(writes), ==, 2);
}

/* --- in a guest --- */

/* The guest's memory, which both processes have; read, and written for the test. */
static void
memory(const Stage *stage, char *bytes, gboolean write)
{
    g_autoptr(MoseProcess) process = mose_guest_process(stage->guest, NULL);
    g_autoptr(GError) error = NULL;
    g_auto(MoseFd) fd = mose_ram_open(process, &error);

    g_assert_no_error(error);
    g_assert_cmpint(write ? pwrite(fd, bytes, LEN, ADDRESS)
                          : pread(fd, bytes, LEN, ADDRESS),
                    ==, LEN);
}

static void
assert_memory(const Stage *stage, const char *wanted)
{
    char bytes[LEN];

    memory(stage, bytes, FALSE);
    g_assert_cmpmem(bytes, LEN, wanted, LEN);
}

/* A switch that died behind the commit record with its writes in @state, of which the
 * first half was done. The destination answers `cont` by @script. */
static void
leave(Stage *stage, MoseWritesState state, const char *script)
{
    MoseJournalEntry entry = {
        MOSE_PHASE_COMMIT, 2, 1, MOSE_SIDE_EMULATOR, TRUE, state
    };
    g_autoptr(MoseWrites) writes = mose_writes_new();
    g_autoptr(GError) error = NULL;
    char half[] = "ned.";

    stage_begin(stage, NULL);
    stage_write(stage, "pid.2.script", "cont close", -1);
    g_assert_false(stage_switch(stage, MOSE_SIDE_EMULATOR, &error));
    assert_says(error, MOSE_ERROR_CLOSED, "has not said that it runs");
    g_clear_error(&error);
    memory(stage, half, TRUE);
    mose_writes_add(writes, ADDRESS, before, after, LEN);
    mose_writes_save(writes, stage->guest, 2, &error);
    g_assert_no_error(error);
    mose_journal_rewrite(stage->guest->dir, &entry, &error);
    g_assert_no_error(error);
    stage_write(stage, "pid.2.script", script, -1);
}

static void
recover(Stage *stage, MoseRecovered wanted)
{
    g_autofree char *record = g_build_filename(stage->guest->dir, "writes.2", NULL);
    g_autoptr(GError) error = NULL;
    MoseRecovered recovered;

    mose_recover(stage->guest, &recovered, &error);
    g_assert_no_error(error);
    g_assert_cmpint(recovered, ==, wanted);
    stage_assert_no_journal(stage);
    g_assert_false(g_file_test(record, G_FILE_TEST_EXISTS));
}

/* Half done: all is done, and then the destination runs. */
static void
test_finished(void)
{
    Stage stage;

    leave(&stage, MOSE_WRITES_PLANNED, "");
    recover(&stage, MOSE_RECOVERED_FINISHED);
    g_assert_cmpuint(stage.guest->generation, ==, 2);
    assert_memory(&stage, after);
    stage_end(&stage);
}

/* Done: the guest may have run since, and written there itself. */
static void
test_not_again(void)
{
    Stage stage;

    leave(&stage, MOSE_WRITES_DONE, "");
    recover(&stage, MOSE_RECOVERED_FINISHED);
    assert_memory(&stage, "ned.");
    stage_end(&stage);
}

/* The destination would not run: its source finds the memory as it left it. */
static void
test_taken_back(void)
{
    Stage stage;

    leave(&stage, MOSE_WRITES_DONE, "cont fail Failed to get \"write\" lock");
    recover(&stage, MOSE_RECOVERED_UNDONE);
    g_assert_true(stage_guest_runs(&stage));
    g_assert_cmpuint(stage.guest->generation, ==, 1);
    assert_memory(&stage, before);
    stage_end(&stage);
}

/* A record that is damaged keeps the guest still, in words, and loses nothing. */
static void
test_damaged(void)
{
    static const char *const texts[] = {
        "",
        "{\"writes\": [{\"address\": 4096, \"before\": \"YQ==\", \"after\": \"\"}]}",
        "{\"writes\": [5]}"
    };
    g_autofree char *record = NULL;
    g_autoptr(GError) error = NULL;
    MoseJournalEntry entry;
    MoseRecovered recovered;
    Stage stage;

    leave(&stage, MOSE_WRITES_PLANNED, "");
    record = g_build_filename(stage.guest->dir, "writes.2", NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_assert_true(g_file_set_contents(record, texts[i], -1, NULL));
        g_assert_false(mose_recover(stage.guest, &recovered, &error));
        g_assert_error(error, MOSE_ERROR, MOSE_ERROR_INVALID);
        g_assert_nonnull(strstr(error->message, "writes.2"));
        g_clear_error(&error);
    }
    g_assert_true(mose_journal_read(stage.guest->dir, &entry, &error));
    g_assert_cmpint(entry.writes, ==, MOSE_WRITES_PLANNED);
    g_assert_nonnull(mose_find_generation(stage.guest, 2));
    stage_end(&stage);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/writes/plan", test_plan);
    g_test_add_func("/writes/finished", test_finished);
    g_test_add_func("/writes/not-again", test_not_again);
    g_test_add_func("/writes/taken-back", test_taken_back);
    g_test_add_func("/writes/damaged", test_damaged);
    return g_test_run();
}
