/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Plugging into a process that only looks like QEMU: what it refuses, or dies of,
 * leaves the description as it was, and what is described is what it says it has.
 */
#include "lib/stage.h"
#include "guest/plug.h"

#define LATE "virtio-rng-pci,id=late"
#define HAS_LATE                                                                       \
    "qom-list say {\"return\": [{\"name\": \"late\", \"type\": "                       \
    "\"child<virtio-rng-pci>\"}]}"

static char *
plug_file(const Stage *stage)
{
    return g_build_filename(stage->guest->dir, "plug", NULL);
}

static gboolean
is_described(const Stage *stage)
{
    const GPtrArray *options = stage->guest->spec->options;

    for (guint i = 0; i < options->len; i++)
        if (g_strcmp0(((const MoseOption *)options->pdata[i])->value, LATE) == 0)
            return TRUE;
    return FALSE;
}

static gboolean
plug(Stage *stage, GError **error)
{
    const char *words[] = { "-device", LATE, NULL };
    g_autoptr(MoseSpec) addition = mose_spec_parse_plug(words, error);

    return mose_plug(stage->guest, addition, error);
}

static void
assert_kept(const Stage *stage)
{
    g_autofree char *state = stage_state(stage);

    g_assert_false(is_described(stage));
    g_assert_false(mose_plug_is_open(stage->guest));
    g_assert_cmpstr(state, ==, stage->state);
    g_assert_true(stage_guest_runs(stage));
}

static void
test_refused(void)
{
    Stage stage;
    g_autoptr(GError) error = NULL;

    stage_begin(&stage,
                "human-monitor-command say {\"return\": \"Error: no room\\r\\n\"}");
    g_assert_false(plug(&stage, &error));
    assert_says(error, MOSE_ERROR_QMP, "device_add: no room");
    g_assert_cmpstr(stage_last_event(&stage, "failed", "operation"), ==, "plug");
    assert_kept(&stage);
    stage_end(&stage);
}

static void
test_taken(void)
{
    Stage stage;
    g_autoptr(GError) error = NULL;

    stage_begin(&stage, HAS_LATE);
    g_assert_false(plug(&stage, &error));
    assert_says(error, MOSE_ERROR_INVALID, "-device: there is a late already");
    assert_kept(&stage);
    stage_end(&stage);
}

/* The monitor closes in the middle: what was to be changed stays written down. */
static void
test_closed(void)
{
    Stage stage;
    g_autoptr(GError) error = NULL;

    stage_begin(&stage, "human-monitor-command close x");
    g_assert_false(plug(&stage, &error));
    assert_says(error, MOSE_ERROR_CLOSED, "qmp0");
    g_assert_true(mose_plug_is_open(stage.guest));
    g_clear_error(&error);
    g_assert_true(mose_plug_recover(stage.guest, &error));
    g_assert_no_error(error);
    assert_kept(&stage);
    stage_end(&stage);
}

static void
leave_file(const Stage *stage)
{
    g_autofree char *path = plug_file(stage);

    g_assert_true(g_file_set_contents(
        path, "{\"options\":[[\"-device\",\"" LATE "\"]]}", -1, NULL));
}

/* Whoever comes after a command that died describes what is there; twice is no more. */
static void
test_recover(gconstpointer there)
{
    Stage stage;
    g_autoptr(GError) error = NULL;

    stage_begin(&stage, there ? HAS_LATE : NULL);
    for (int i = 0; i < 2; i++) {
        leave_file(&stage);
        g_assert_true(mose_plug_recover(stage.guest, &error));
        g_assert_no_error(error);
        g_assert_false(mose_plug_is_open(stage.guest));
        g_assert_true(is_described(&stage) == (there != NULL));
    }
    stage_end(&stage);
}

/* What can't be read is not guessed at. */
static void
test_damaged(void)
{
    Stage stage;
    g_autoptr(GError) error = NULL;
    g_autofree char *path = NULL;

    stage_begin(&stage, NULL);
    path = plug_file(&stage);
    g_assert_true(g_file_set_contents(path, "{\"options\":[[1]]}", -1, NULL));
    g_assert_false(mose_plug_recover(stage.guest, &error));
    assert_says(error, MOSE_ERROR_INVALID, "no options");
    stage_end(&stage);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/plug-fake/refused", test_refused);
    g_test_add_func("/plug-fake/taken", test_taken);
    g_test_add_func("/plug-fake/closed", test_closed);
    g_test_add_data_func("/plug-fake/recover/there", "there", test_recover);
    g_test_add_data_func("/plug-fake/recover/not-there", NULL, test_recover);
    g_test_add_func("/plug-fake/damaged", test_damaged);
    return g_test_run();
}
