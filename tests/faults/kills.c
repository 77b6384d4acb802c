/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whoever is killed in the middle of a switch, and whenever, the guest runs on, on
 * one side, within two seconds and with nobody typing; only the death of the QEMU
 * that has the guest ends it. The long form (-m slow) kills 20 times in each phase
 * and 200 times at random.
 */
#include <string.h>

#include "faults/trial.h"

static World *world;

/* What the command says of a destination that has died. */
static const char *
words_for(const Trial *trial)
{
    if (!trial->exact || trial->victim != VICTIM_DESTINATION ||
        strcmp(trial->phase, "settle") == 0)
        return NULL;
    if (strcmp(trial->phase, "prepare") == 0)
        return "did not start";
    return strcmp(trial->phase, "stream") == 0 || strcmp(trial->phase, "ram") == 0
               ? "the move failed"
               : "monitor";
}

/* All victims, 20 in all (-m slow), or some of them, from the @first. */
static void
kill_in(const char *phase, guint first, guint channels)
{
    static const Victim often[] = { VICTIM_DESTINATION, VICTIM_COMMAND, VICTIM_GUARDIAN,
                                    VICTIM_COMMAND_GUARDIAN, VICTIM_GUARDIAN_COMMAND };
    guint n = G_N_ELEMENTS(often), rounds = g_test_slow() ? 4 : 1;
    /* A copy takes long. */
    guint step = g_test_slow() ? 1 : channels ? 3 : 2;

    for (guint i = g_test_slow() ? 0 : first % step; i < rounds * n; i += step) {
        Trial trial = { .phase = phase, .victim = often[i % n], .channels = channels };

        trial.exact = (g_test_slow() ? i / n : i / step) % 2 == 0;
        trial.says = words_for(&trial);
        if (!trial_until_hit(world, &trial))
            return;
    }
}

static void
kill_source(const char *phase, guint channels)
{
    guint n = g_test_slow() ? 4 : 1;

    for (guint i = 0; i < n; i++) {
        Trial trial = { .phase = phase,
                        .victim = VICTIM_SOURCE,
                        .exact = i % 2 == 0,
                        .channels = channels };

        trial_until_hit(world, &trial);
    }
}

static void
kill_at_random(guint n, guint channels)
{
    for (guint i = 0; i < n; i++) {
        Trial trial = { .phase = TRIAL_ANY,
                        .victim = VICTIM_DESTINATION +
                                  world_roll(world, N_KILLED - VICTIM_DESTINATION),
                        .channels = channels };

        if (!trial_until_hit(world, &trial))
            return;
    }
}

typedef struct {
    const char *path;
    const char *phase;
    guint channels;
} Case;

static const Case cases[] = {
    { "/faults/kill/prepare", "prepare", 0 },
    { "/faults/kill/check", "check", 0 },
    { "/faults/kill/move", "move", 0 },
    { "/faults/kill/stream", "stream", 0 },
    { "/faults/kill/commit", "commit", 0 },
    { "/faults/kill/settle", "settle", 0 },
    { "/faults/kill/copy/prepare", "prepare", 1 },
    { "/faults/kill/copy/check", "check", 2 },
    { "/faults/kill/copy/move", "move", 2 },
    { "/faults/kill/copy/ram", "ram", 1 },
    { "/faults/kill/copy/stream", "stream", 2 },
    { "/faults/kill/copy/commit", "commit", 1 },
    { "/faults/kill/copy/settle", "settle", 2 },
};

static void
test_phase(gconstpointer data)
{
    const Case *c = data;

    kill_in(c->phase, c - cases, c->channels);
}

static void
test_random(void)
{
    kill_at_random(g_test_slow() ? 200 : 6, 0);
}

static void
test_random_copy(void)
{
    kill_at_random(g_test_slow() ? 100 : 1, 1);
    kill_at_random(g_test_slow() ? 100 : 1, 2);
}

/* The source's death is the guest's, until the destination has all of it: each time
 * one has to be started anew. */
static void
test_source(void)
{
    static const char *const phases[] = { "move", "prepare", "check", "stream" };

    for (gsize i = 0; i < (g_test_slow() ? G_N_ELEMENTS(phases) : 1); i++)
        kill_source(phases[i], 0);
    if (g_test_slow())
        kill_source("ram", 1);
}

static void
test_source_late(void)
{
    kill_source("commit", 0);
    kill_source("commit", 2);
}

int
main(int argc, char **argv)
{
    int ret;

    g_test_init(&argc, &argv, NULL);
    vm_setup();
    world = world_new("kills");
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++)
        g_test_add_data_func(cases[i].path, &cases[i], test_phase);
    g_test_add_func("/faults/kill/random", test_random);
    g_test_add_func("/faults/kill/copy/random", test_random_copy);
    g_test_add_func("/faults/kill/source", test_source);
    g_test_add_func("/faults/kill/source-late", test_source_late);
    ret = vm_run_tests();
    trial_print_table();
    world_free(world);
    return ret;
}
