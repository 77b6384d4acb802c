/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mose stop: end a guest, wherever it is, and forget it. */
#include <stdio.h>

#include "cli/cli.h"
#include "fork/fork.h"
#include "switch/recover.h"
#include "switch/stop.h"
#include "util/json.h"

static gboolean discard, keep, forget;

static const GOptionEntry entries[] = {
    { "discard", 0, 0, G_OPTION_ARG_NONE, &discard,
      "throw away what it wrote into overlays of its disks", NULL },
    { "keep", 0, 0, G_OPTION_ARG_NONE, &keep,
      "leave overlays of its disks where they are", NULL },
    { "forget", 0, 0, G_OPTION_ARG_NONE, &forget,
      "a guest that is away, whose host cannot be reached: leave it there", NULL },
    { NULL },
};

static void
print_ended(const MoseGuest *guest)
{
    if (mose_cli_json()) {
        g_autoptr(JsonObject) object =
            mose_json_object("guest", "s", guest->name, "state", "s", "ended", NULL);
        g_autofree char *text = mose_json_text(object, TRUE);

        puts(text);
    } else {
        printf("guest %s has ended\n", guest->name);
    }
}

/* The guest that it was of may have waited for that. */
static gboolean
stop_fork(MoseGuest *fork, GError **error)
{
    g_autofree char *of = g_strdup(fork->fork_of);

    if (!mose_fork_end(fork, error))
        return FALSE;
    mose_fork_tidy(of);
    return TRUE;
}

int
mose_cmd_stop(int argc, char **argv)
{
    g_autoptr(MoseGuest) guest = NULL;
    g_autoptr(GError) error = NULL;
    MoseRecovered recovered;
    int ret;

    if (!mose_cli_parse(&argc, &argv, entries, 1, 1, &ret))
        return ret;
    if (discard && keep) {
        fprintf(stderr, "mose stop: --discard and --keep: give one of them\n");
        return MOSE_EXIT_USAGE;
    }
    guest = mose_guest_open(argv[1], MOSE_GUEST_LOCK, &error);
    if (!guest)
        return mose_cli_fail_guest(error, argv[1], NULL);
    /* A switch that cannot be recovered must not keep the guest from its end. */
    if (mose_recover(guest, &recovered, NULL) && !discard && !keep &&
        mose_fork_is_left(guest))
        mose_fork_settle_disks(guest, NULL);
    if (guest->fork_of ? !stop_fork(guest, &error)
                       : !mose_stop_wherever(guest,
                                             discard ? MOSE_OVERLAYS_DISCARD
                                             : keep  ? MOSE_OVERLAYS_KEEP
                                                     : MOSE_OVERLAYS_REFUSE,
                                             forget, &error))
        return mose_cli_fail(error,
                             mose_guest_is_away(guest)
                                 ? "If its host is gone for good, `mose stop --forget` "
                                   "clears away what this one knows of it."
                                 : NULL);
    print_ended(guest);
    return MOSE_EXIT_DONE;
}
