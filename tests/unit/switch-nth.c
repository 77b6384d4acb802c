/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The switch between two processes that only look like QEMU: the 1st, 2nd, ... Nth
 * command of one side fails, or is not answered, until a run meets no fault any
 * more. After each run the guest runs in one process, and nothing is left of the
 * other.
 */
#include <string.h>

#include "lib/stage.h"
#include "guest/journal.h"
#include "guest/generation.h"
#include "switch/recover.h"

/* For the answers that never come; more, where the machine is slow. */
#define REPLY_MS 100

typedef struct {
    const char *path;
    gboolean source;
    const char *act;
    guint first; /* what comes before has a limit of its own, which is long */
} Case;

static const Case cases[] = {
    { "/fake-switch/nth/source/fails", TRUE, "fail no", 1 },
    { "/fake-switch/nth/source/closes", TRUE, "close", 1 },
    { "/fake-switch/nth/source/does-and-closes", TRUE, "do-close", 1 },
    { "/fake-switch/nth/source/hangs", TRUE, "ignore", 2 },
    { "/fake-switch/nth/source/does-and-hangs", TRUE, "swallow", 2 },
    { "/fake-switch/nth/destination/fails", FALSE, "fail no", 1 },
    { "/fake-switch/nth/destination/closes", FALSE, "close", 1 },
    { "/fake-switch/nth/destination/does-and-closes", FALSE, "do-close", 1 },
    { "/fake-switch/nth/destination/hangs", FALSE, "ignore", 2 },
    { "/fake-switch/nth/destination/does-and-hangs", FALSE, "swallow", 2 },
};

/* The script, in the place where the side that it is for finds it. */
static char *
script_name(const Stage *stage, const Case *c)
{
    return c->source ? g_strdup_printf("pid.%u.script", stage->guest->generation)
                     : g_strdup("next.script");
}

/* Whether a process has come to its command number @n. */
static gboolean
was_met(const Stage *stage, guint n)
{
    g_autoptr(GDir) dir = g_dir_open(stage->fake, 0, NULL);
    g_autofree char *mark = g_strdup_printf("#%u\n", n);
    const char *name;

    while ((name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(stage->fake, name, NULL);
        g_autofree char *text = NULL;

        if (g_str_has_suffix(name, ".seen") &&
            g_file_get_contents(path, &text, NULL, NULL) && strstr(text, mark))
            return TRUE;
    }
    return FALSE;
}

/* What the guardian does, or the next command, where a journal was left. */
static void
recover(const Stage *stage)
{
    g_autoptr(GError) error = NULL;
    MoseJournalEntry entry;
    MoseRecovered recovered;

    if (!mose_journal_read(stage->guest->dir, &entry, NULL))
        return;
    mose_recover(stage->guest, &recovered, &error);
    g_assert_no_error(error);
    g_assert_cmpint(recovered, !=, MOSE_RECOVERED_NOTHING);
}

/* One process, in which the guest runs, and no file but its own. */
static void
assert_whole(const Stage *stage)
{
    g_autoptr(GDir) dir = g_dir_open(stage->guest->dir, 0, NULL);
    g_autofree char *suffix = g_strdup_printf(".%u", stage->guest->generation);
    const char *name;

    g_assert_true(stage_guest_runs(stage));
    stage_assert_no_journal(stage);
    while ((name = g_dir_read_name(dir)))
        if (strcmp(name, "guest.json") != 0 && strcmp(name, "lock") != 0 &&
            !g_str_has_suffix(name, suffix))
            g_error("%s is left", name);
    for (guint i = MAX(stage->guest->generation, 3) - 2;
         i <= stage->guest->generation + 2; i++) {
        g_autoptr(MoseProcess) process = mose_find_generation(stage->guest, i);

        g_assert_true((process != NULL) == (i == stage->guest->generation));
    }
}

typedef enum { MET, SLOW, DONE } End;

/* Switch with the fault at command @n. SLOW: it was not met, but a limit was. */
static End
switch_with(Stage *stage, const Case *c, guint n, int reply_ms)
{
    MoseSwitchOptions options = { .side = !stage->guest->side, .reply_ms = reply_ms };
    g_autofree char *name = script_name(stage, c);
    g_autofree char *script = g_strdup_printf("#%u %s", n, c->act);
    MoseSwitchReport report = { 0 };
    g_autoptr(GError) error = NULL;
    gboolean met;

    stage_write(stage, name, script, -1);
    mose_switch(stage->guest, &options, &report, &error);
    g_test_message("%u: %s", n, error ? error->message : "done");
    met = was_met(stage, n);
    recover(stage);
    stage_write(stage, name, "", -1);
    assert_whole(stage);
    mose_switch_report_clear(&report);
    if (!met && g_error_matches(error, MOSE_ERROR, MOSE_ERROR_TIMEOUT))
        return SLOW;
    if (!met)
        g_assert_no_error(error);
    return met ? MET : DONE;
}

static void
test_nth(gconstpointer data)
{
    const Case *c = data;
    int reply_ms = REPLY_MS;
    guint n = c->first;
    Stage stage;
    End end;

    stage_begin(&stage, NULL);
    while ((end = switch_with(&stage, c, n, reply_ms)) != DONE) {
        if (end == MET)
            n++;
        else
            reply_ms *= 2;
    }
    /* The capabilities, the limits, `migrate` and what comes before, at least. */
    g_assert_cmpuint(n, >, 8);
    stage_end(&stage);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++)
        g_test_add_data_func(cases[i].path, &cases[i], test_nth);
    return g_test_run();
}
