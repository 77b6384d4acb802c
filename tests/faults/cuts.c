/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A socket is cut in the middle of a switch, or a process stopped so that it
 * answers no more: the guest runs on, on one side, and nothing is left. The long
 * form (-m slow) does each of it 20 times, at moments of its own.
 */
#include <string.h>

#include "faults/trial.h"

/* How long a guest may stand still because a side has stopped answering. */
#define HANG_MS 8000
/* ... or because the command was stopped by a signal: its guardians end it. */
#define STOPPED_MS 20000

static World *world;

typedef struct {
    const char *path;
    Victim victim;
    const char *phases[6];
    guint limit_ms;
    guint channels; /* by copy */
} Case;

static const Case cases[] = {
    { "/faults/cut/stream/source", VICTIM_STREAM_SOURCE, { "move", "stream" }, 0 },
    { "/faults/cut/stream/destination",
      VICTIM_STREAM_DESTINATION,
      { "move", "stream" },
      0 },
    { "/faults/cut/monitor/source",
      VICTIM_MONITOR_SOURCE,
      { "check", "move", "stream", "commit" },
      0 },
    { "/faults/cut/monitor/destination",
      VICTIM_MONITOR_DESTINATION,
      { "check", "move", "stream", "commit", "settle" },
      0 },
    { "/faults/cut/copy/source", VICTIM_STREAM_SOURCE, { "ram" }, 0, 1 },
    { "/faults/cut/copy/destination", VICTIM_STREAM_DESTINATION, { "ram" }, 0, 1 },
    { "/faults/cut/copy/channels/source", VICTIM_STREAM_SOURCE, { "move" }, 0, 2 },
    { "/faults/cut/copy/channels/destination",
      VICTIM_STREAM_DESTINATION,
      { "move" },
      0,
      2 },
    { "/faults/stop/destination",
      VICTIM_STOPPED_DESTINATION,
      { "check", "stream", "commit" },
      HANG_MS },
    { "/faults/stop/command",
      VICTIM_STOPPED_COMMAND,
      { "check", "stream", "commit" },
      STOPPED_MS },
};

/* Waiting for a limit takes long, and before the move little can go wrong. */
static gboolean
only_long_form(const Case *c, const char *phase)
{
    return strcmp(phase, "check") == 0 || (c->limit_ms && strcmp(phase, "stream") != 0);
}

static void
test_case(gconstpointer data)
{
    const Case *c = data;
    guint n = g_test_slow() ? 20 : 1;

    for (guint i = 0; i < n; i++)
        for (gsize phase = 0; c->phases[phase]; phase++) {
            Trial trial = { .phase = c->phases[phase],
                            .victim = c->victim,
                            .exact = i % 2 == 0,
                            .limit_ms = c->limit_ms,
                            .channels = c->channels };

            if (!g_test_slow() && only_long_form(c, c->phases[phase]))
                continue;
            if (!trial_until_hit(world, &trial))
                return;
        }
}

int
main(int argc, char **argv)
{
    int ret;

    g_test_init(&argc, &argv, NULL);
    vm_setup();
    world = world_new("cuts");
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++)
        g_test_add_data_func(cases[i].path, &cases[i], test_case);
    ret = vm_run_tests();
    trial_print_table();
    world_free(world);
    return ret;
}
