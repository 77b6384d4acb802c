/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Somebody else tells a QEMU of the guest to `cont`, by a monitor that is open to
 * them, at the worst moments of a switch: the guest never runs on in a side that the
 * other has taken over from. The long form (-m slow) lets somebody say so all the time
 * in 100 switches.
 */
#include <string.h>

#include "faults/trial.h"
#include "qemu/command.h"
#include "util/error.h"

static World *world;

static MoseQmp *
open_monitor(guint generation, GError **error)
{
    g_autofree char *path =
        g_strdup_printf("%s/qmp%d.%u", world->dir, MOSE_MONITOR_QUERY, generation);

    return mose_qmp_connect(path, 5000, error);
}

/* The generation that does not have the guest. */
static guint
find_destination(guint source)
{
    g_autoptr(GArray) found = world_processes(world, WORLD_QEMU);

    for (guint i = 0; i < found->len; i++)
        if (g_array_index(found, WorldProcess, i).generation != source)
            return g_array_index(found, WorldProcess, i).generation;
    return 0;
}

typedef struct {
    const char *path;
    const char *phase;
    gboolean source;     /* is told, not the destination */
    const char *refused; /* by QEMU, in these words; NULL: it does as it is told */
    gboolean moves;      /* the guest is the destination's in the end */
    const char *said;    /* by the command; NULL: it succeeds */
} Case;

static const Case cases[] = {
    { "/faults/outsider/source/stream", "stream", TRUE,
      "Migration is not finalized yet", TRUE, NULL },
    { "/faults/outsider/source/commit", "commit", TRUE, NULL, FALSE,
      "the source runs where it should stand still" },
    { "/faults/outsider/destination/move", "move", FALSE, NULL, TRUE, NULL },
    { "/faults/outsider/destination/stream", "stream", FALSE, NULL, TRUE, NULL },
    { "/faults/outsider/destination/commit", "commit", FALSE, NULL, TRUE, NULL },
};

static void
test_once(gconstpointer data)
{
    const Case *c = data;
    guint before, after, told;
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseQmp) qmp = NULL;
    g_autofree char *said = NULL;
    TrialRun *run;
    int status;

    if (!world_begin(world))
        return;
    before = world_known_generation(world);
    run = trial_begin(world, c->phase);
    told = c->source ? before : find_destination(before);
    qmp = open_monitor(told, &error);
    g_assert_no_error(error);
    mose_qmp_run(qmp, "cont", NULL, &error);
    if (c->refused) {
        g_assert_error(error, MOSE_ERROR, MOSE_ERROR_QMP);
        g_assert_nonnull(strstr(error->message, c->refused));
    } else {
        g_assert_no_error(error);
    }
    g_clear_pointer(&qmp, mose_qmp_free);
    after = trial_end(run, &status, &said);
    g_test_message("%s", said);
    g_assert_cmpint(status, ==, c->said ? 1 : 0);
    if (c->said)
        g_assert_nonnull(strstr(said, c->said));
    g_assert_true((after != before) == c->moves);
}

/* --- all the time --- */

typedef struct {
    guint generation;
    gboolean source, stop; /* atomic */
    guint told;
} Hammer;

static gpointer
hammer(gpointer data)
{
    Hammer *h = data;

    while (!g_atomic_int_get(&h->stop)) {
        guint generation = h->source ? h->generation : find_destination(h->generation);
        g_autoptr(MoseQmp) qmp = generation ? open_monitor(generation, NULL) : NULL;

        if (qmp)
            mose_qmp_set_timeout(qmp, 1000);
        while (qmp && !g_atomic_int_get(&h->stop) &&
               mose_qmp_run(qmp, "query-name", NULL, NULL)) {
            mose_qmp_run(qmp, "cont", NULL, NULL);
            h->told++;
        }
    }
    return NULL;
}

static void
test_hammer(gconstpointer data)
{
    gboolean source = GPOINTER_TO_INT(data);
    guint n = g_test_slow() ? 50 : 2, moved = 0, told = 0;

    for (guint i = 0; i < n && world_begin(world); i++) {
        Hammer h = { .generation = world_known_generation(world), .source = source };
        TrialRun *run = trial_begin(world, source ? "commit" : "move");
        GThread *thread = g_thread_new("hammer", hammer, &h);
        g_autofree char *said = NULL;
        guint after;
        int status;

        /* It may start at the best of times, too. */
        g_usleep(world_roll(world, 5000));
        trial_let_go(run);
        g_usleep(world_roll(world, 300000));
        g_atomic_int_set(&h.stop, TRUE);
        g_thread_join(thread);
        after = trial_end(run, &status, &said);
        g_assert_true(status == 0 || status == 1);
        moved += after != h.generation;
        told += h.told;
    }
    g_test_message("%u switches, %u of them done; `cont` was said %u times", n, moved,
                   told);
}

int
main(int argc, char **argv)
{
    int ret;

    g_test_init(&argc, &argv, NULL);
    vm_setup();
    world = world_new("outsider");
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++)
        g_test_add_data_func(cases[i].path, &cases[i], test_once);
    g_test_add_data_func("/faults/outsider/source/always", GINT_TO_POINTER(TRUE),
                         test_hammer);
    g_test_add_data_func("/faults/outsider/destination/always", GINT_TO_POINTER(FALSE),
                         test_hammer);
    ret = vm_run_tests();
    world_free(world);
    return ret;
}
