/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A `mose run` that is killed, or interrupted, leaves a guest that runs or no trace of
 * one, whenever that is, and the next `mose run` of the same name works. The guest is a
 * machine without a system.
 */
#include <glib/gstdio.h>
#include <signal.h>

#include "faults/world.h"

#define KILLS 12
#define KILLS_LONG 200

static World *world;

static GSubprocess *
begin_run(void)
{
    g_autoptr(GError) error = NULL;
    GSubprocess *mose = g_subprocess_new(
        G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_SILENCE, &error,
        g_getenv("MOSE"), "run", world->vm->name, "--accel", "tcg", "--", "-nodefaults",
        "-m", "64", NULL);

    g_assert_no_error(error);
    return mose;
}

/* What a whole one takes, in microseconds. */
static gint64
whole_us(void)
{
    gint64 begun = g_get_monotonic_time();
    g_autoptr(GSubprocess) mose = begin_run();

    g_assert_true(g_subprocess_wait_check(mose, NULL, NULL));
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", world->vm->name, NULL), ==, 0);
    return g_get_monotonic_time() - begun;
}

/* A process of the kind, or 0. */
static pid_t
any_of(WorldKind kind)
{
    g_autoptr(GArray) found = world_processes(world, kind);

    return found->len ? g_array_index(found, WorldProcess, 0).pid : 0;
}

static gboolean
is_whole(void)
{
    g_autoptr(GArray) found = world_processes(world, WORLD_QEMU);
    g_autofree char *litter = world_litter(world, 1);

    return found->len == 1 && world_running_generation(world) == 1 && !litter;
}

/* The directory may be there, with nothing in it that anybody believes. */
static gboolean
is_nothing(void)
{
    g_autoptr(GArray) found = world_processes(world, WORLD_QEMU);
    g_autofree char *description = g_build_filename(world->dir, "guest.json", NULL);

    return found->len == 0 && g_access(description, F_OK) < 0;
}

static void
assert_all_or_nothing(gint64 after_us)
{
    gint64 deadline = g_get_monotonic_time() + WORLD_CLEAN_MS * G_GINT64_CONSTANT(1000);

    while ((any_of(WORLD_GUARDIAN) || !(is_whole() || is_nothing())) &&
           g_get_monotonic_time() < deadline)
        g_usleep(5000);
    g_test_message("after %" G_GINT64_FORMAT " us: %s", after_us,
                   is_whole()     ? "it runs"
                   : is_nothing() ? "there is none"
                                  : "neither");
    g_assert_cmpint(any_of(WORLD_GUARDIAN), ==, 0);
    g_assert_true(is_whole() || is_nothing());
    if (is_whole())
        g_assert_cmpint(vm_mose(NULL, NULL, "stop", world->vm->name, NULL), ==, 0);
    g_assert_true(is_nothing());
}

typedef enum { KILL_IT, KILL_WITH_A_GUARDIAN, INTERRUPT_IT } Manner;

static void
hit(GSubprocess *mose, Manner manner)
{
    pid_t guardian = manner == KILL_WITH_A_GUARDIAN ? any_of(WORLD_GUARDIAN) : 0;

    if (guardian > 0)
        kill(guardian, SIGKILL);
    if (manner == INTERRUPT_IT)
        g_subprocess_send_signal(mose, SIGINT);
    else
        g_subprocess_force_exit(mose);
    g_subprocess_wait(mose, NULL, NULL);
}

static void
test_start(gconstpointer data)
{
    Manner manner = GPOINTER_TO_INT(data);
    guint n = g_test_slow() ? KILLS_LONG : KILLS;
    gint64 longest;

    if (vm_cannot_run())
        return;
    longest = whole_us();
    for (guint i = 0; i < n; i++) {
        gint64 after_us = longest * i / n;
        g_autoptr(GSubprocess) mose = begin_run();

        g_usleep(after_us);
        hit(mose, manner);
        assert_all_or_nothing(after_us);
    }
    whole_us();
}

int
main(int argc, char **argv)
{
    int ret;

    g_test_init(&argc, &argv, NULL);
    vm_setup();
    world = world_new("starts");
    g_test_add_data_func("/faults/start/killed", GINT_TO_POINTER(KILL_IT), test_start);
    g_test_add_data_func("/faults/start/killed-with-a-guardian",
                         GINT_TO_POINTER(KILL_WITH_A_GUARDIAN), test_start);
    g_test_add_data_func("/faults/start/interrupted", GINT_TO_POINTER(INTERRUPT_IT),
                         test_start);
    ret = vm_run_tests();
    world_free(world);
    return ret;
}
