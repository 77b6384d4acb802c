/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host's wall clock is set by an hour in the middle of a switch, forward and back,
 * as QEMU and `mose` see it: the guest's clock goes on as before, and what is told of
 * the switch is no hour long. Environment: CLOCK_SHIM (clock-shim.c).
 */
#include <string.h>

#include "faults/trial.h"
#include "util/json.h"

#define HOUR 3600
/* A guest that is held for the step, on a busy host, may lose so much; not an hour. */
#define MAX_MOVED_NS (2 * G_GINT64_CONSTANT(1000000000))
#define MAX_BLACKOUT_US (5 * G_USEC_PER_SEC)

static World *world;

static void
set_clock(int seconds)
{
    g_autofree char *text = g_strdup_printf("%d", seconds);
    g_autoptr(GError) error = NULL;

    g_file_set_contents(g_getenv("CLOCK_STEP_FILE"), text, -1, &error);
    g_assert_no_error(error);
}

static gint64
last_blackout_us(void)
{
    g_autoptr(MoseGuest) guest =
        mose_guest_open(world->vm->name, MOSE_GUEST_LOOK, NULL);
    guint n = json_array_get_length(guest->timeline);

    return mose_json_int(mose_json_element(guest->timeline, n - 1), "blackout-us", -1);
}

/* The shim does what it is there for: the last event's time is off by as much. */
static void
assert_set(gint64 seconds)
{
    g_autoptr(JsonObject) status = vm_mose_json("status", world->vm->name, NULL);
    JsonArray *timeline = mose_json_array(status, "timeline");
    guint n = json_array_get_length(timeline);
    gint64 off = mose_json_int(mose_json_element(timeline, n - 1), "time-us", 0) -
                 g_get_real_time();

    g_assert_cmpint(ABS(off - seconds * G_USEC_PER_SEC), <, 600 * G_USEC_PER_SEC);
}

static void
step(const char *phase, int from, int to)
{
    g_autofree char *said = NULL;
    gint64 before, moved, blackout_us;
    TrialRun *run;
    guint source;
    int status;

    set_clock(from);
    before = vm_clock_difference(world->vm);
    source = world_known_generation(world);
    run = trial_begin(world, phase);
    set_clock(to);
    g_assert_cmpuint(trial_end(run, &status, &said), !=, source);
    g_assert_cmpint(status, ==, 0);
    moved = vm_clock_difference(world->vm) - before;
    blackout_us = last_blackout_us();
    g_test_message(
        "'%s', %+d s: the guest's clock moved by %.3f ms, it stood still for "
        "%.1f ms",
        phase, to - from, moved / 1e6, blackout_us / 1e3);
    g_assert_cmpint(ABS(moved), <, MAX_MOVED_NS);
    g_assert_cmpint(blackout_us, >, 0);
    g_assert_cmpint(blackout_us, <, MAX_BLACKOUT_US);
    assert_set(to);
}

static void
test_step(void)
{
    static const char *const phases[] = { "move", "stream", "commit" };

    if (!world_begin(world))
        return;
    for (gsize i = 0; i < G_N_ELEMENTS(phases); i++) {
        step(phases[i], 0, i % 2 ? HOUR : -HOUR);
        if (!g_test_slow())
            continue;
        step(phases[i], HOUR, 0);
        step(phases[i], 0, i % 2 ? -HOUR : HOUR);
    }
}

int
main(int argc, char **argv)
{
    g_autofree char *file = NULL;
    int ret;

    g_test_init(&argc, &argv, NULL);
    vm_setup();
    file = vm_path("clock");
    g_setenv("CLOCK_STEP_FILE", file, TRUE);
    set_clock(0);
    g_setenv("LD_PRELOAD", g_getenv("CLOCK_SHIM"), TRUE);
    world = world_new("clock-step");
    g_test_add_func("/faults/clock-step", test_step);
    ret = vm_run_tests();
    world_free(world);
    return ret;
}
