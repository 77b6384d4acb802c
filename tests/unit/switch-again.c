/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest that cannot move at this moment is let run on, and asked again. Between
 * processes that only look like QEMU. */
#include <sys/eventfd.h>

#include "lib/stage.h"
#include "util/error.h"
#include "util/fd.h"

typedef struct {
    int refusals;
    int asked;
    int interrupt_fd; /* told at the first refusal; 0: none */
} Moment;

static gboolean
not_yet(MoseDoc *doc, gpointer data, GError **error)
{
    Moment *moment = data;

    if (moment->asked++ >= moment->refusals)
        return TRUE;
    if (moment->interrupt_fd)
        eventfd_write(moment->interrupt_fd, 1);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN, "not at this moment");
    return FALSE;
}

static gboolean
go(Stage *stage, Moment *moment, GError **error)
{
    MoseSwitchOptions options = { .side = MOSE_SIDE_EMULATOR,
                                  .interrupt_fd = moment->interrupt_fd,
                                  .tamper = not_yet,
                                  .data = moment };
    MoseSwitchReport report = { 0 };
    gboolean done = mose_switch(stage->guest, &options, &report, error);

    mose_switch_report_clear(&report);
    return done;
}

static void
test_soon(void)
{
    g_autoptr(GError) error = NULL;
    Moment moment = { .refusals = 2 };
    Stage stage;

    stage_begin(&stage, NULL);
    g_assert_true(go(&stage, &moment, &error));
    g_assert_no_error(error);
    g_assert_cmpint(moment.asked, ==, 3);
    g_assert_cmpuint(stage.guest->generation, ==, 4);
    g_assert_cmpint(stage_count(&stage, 1, "migrate"), ==, 3);
    stage_assert_nothing_left(&stage, 2);
    stage_assert_nothing_left(&stage, 3);
    stage_assert_no_journal(&stage);
    stage_last_event(&stage, "emulate", "side");
    stage_end(&stage);
}

static void
assert_at_home(Stage *stage)
{
    g_assert_true(stage_guest_runs(stage));
    g_assert_cmpuint(stage->guest->generation, ==, 1);
    stage_assert_no_journal(stage);
    stage_last_event(stage, "failed", "reason");
}

static void
test_never(void)
{
    g_autoptr(GError) error = NULL;
    Moment moment = { .refusals = G_MAXINT };
    Stage stage;

    stage_begin(&stage, NULL);
    g_assert_false(go(&stage, &moment, &error));
    assert_says(error, MOSE_ERROR_AGAIN, "not at this moment");
    g_assert_cmpint(moment.asked, ==, 6);
    assert_at_home(&stage);
    stage_end(&stage);
}

/* Whoever has pressed Ctrl-C is not kept waiting for better moments. */
static void
test_interrupted(void)
{
    g_auto(MoseFd) fd = eventfd(0, EFD_CLOEXEC);
    g_autoptr(GError) error = NULL;
    Moment moment = { .refusals = G_MAXINT, .interrupt_fd = fd };
    Stage stage;

    stage_begin(&stage, NULL);
    g_assert_false(go(&stage, &moment, &error));
    assert_says(error, MOSE_ERROR_INTERRUPTED, "interrupted");
    g_assert_cmpint(moment.asked, ==, 1);
    assert_at_home(&stage);
    stage_end(&stage);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/fake-switch/again/soon", test_soon);
    g_test_add_func("/fake-switch/again/never", test_never);
    g_test_add_func("/fake-switch/again/interrupted", test_interrupted);
    return g_test_run();
}
