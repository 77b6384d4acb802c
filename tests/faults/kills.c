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
    return strcmp(trial->phase, "stream") == 0 ? "the move failed" : "monitor";
}

static void
test_phase(gconstpointer data)
{
    static const Victim often[] = { VICTIM_DESTINATION, VICTIM_COMMAND,
                                    VICTIM_GUARDIAN };
    guint each = g_test_slow() ? 20 : 1;

    for (guint i = 0; i < each * G_N_ELEMENTS(often); i++) {
        Trial trial = { .phase = data, .victim = often[i % G_N_ELEMENTS(often)] };

        trial.exact = i / G_N_ELEMENTS(often) % 2 == 0;
        trial.says = words_for(&trial);
        trial_until_hit(world, &trial);
    }
}

/* The source's death is the guest's, until the commit: each time one has to be
 * started anew. */
static void
test_source(void)
{
    static const char *const phases[] = { "prepare", "check", "move", "stream",
                                          "commit" };
    guint each = g_test_slow() ? 4 : 1;

    for (guint i = 0; i < each * G_N_ELEMENTS(phases); i++) {
        Trial trial = { .phase = phases[i % G_N_ELEMENTS(phases)],
                        .victim = VICTIM_SOURCE,
                        .exact = i / G_N_ELEMENTS(phases) % 2 == 0 };

        if (!g_test_slow() && i % 2 == 1)
            continue;
        trial_until_hit(world, &trial);
    }
}

static void
test_random(void)
{
    guint n = g_test_slow() ? 200 : 12;

    for (guint i = 0; i < n && world_begin(world); i++) {
        Trial trial = { .phase = TRIAL_ANY,
                        .victim = VICTIM_DESTINATION +
                                  world_roll(world, VICTIM_COMMAND_GUARDIAN -
                                                        VICTIM_DESTINATION) };

        trial_run(world, &trial);
    }
}

int
main(int argc, char **argv)
{
    static const char *const phases[] = { TRIAL_PHASES };
    int ret;

    g_test_init(&argc, &argv, NULL);
    vm_setup();
    world = world_new("kills");
    for (gsize i = 0; i < G_N_ELEMENTS(phases); i++) {
        g_autofree char *path = g_strdup_printf("/faults/kill/%s", phases[i]);

        g_test_add_data_func(path, phases[i], test_phase);
    }
    g_test_add_func("/faults/kill/random", test_random);
    g_test_add_func("/faults/kill/source", test_source);
    ret = vm_run_tests();
    trial_print_table();
    world_free(world);
    return ret;
}
