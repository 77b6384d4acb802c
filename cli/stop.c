/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mose stop: end a guest, wherever it is, and forget it. */
#include <stdio.h>

#include "cli/cli.h"
#include "guest/disks.h"
#include "switch/far-end.h"
#include "switch/recover.h"
#include "switch/start.h"
#include "util/json.h"

/* An ordinary end takes QEMU two seconds at most. */
#define STOP_MS 20000

static gboolean discard, keep;

static const GOptionEntry entries[] = {
    { "discard", 0, 0, G_OPTION_ARG_NONE, &discard,
      "throw away what it wrote into overlays of its disks", NULL },
    { "keep", 0, 0, G_OPTION_ARG_NONE, &keep,
      "leave overlays of its disks where they are", NULL },
    { NULL },
};

/* End it where it is, if that is another host. */
static gboolean
stop_away(MoseGuest *guest, GError **error)
{
    g_autoptr(MoseFarEnd) end = NULL;

    if (!mose_guest_is_away(guest))
        return TRUE;
    end = mose_far_end_open(guest->far, NULL, 0, error);
    return end &&
           mose_far_end_tell(
               end, mose_json_object("do", "s", "stop", "name", "s", guest->name, NULL),
               STOP_MS, -1, error);
}

/* The overlays to be deleted with the guest; NULL: it must not end yet. */
static GPtrArray *
judge_overlays(const MoseGuest *guest, GError **error)
{
    g_autoptr(GPtrArray) overlays = mose_disks_read(guest, guest->generation, error);

    if (keep)
        return mose_overlays_new();
    if (!overlays || !(discard ? mose_disks_may_discard(overlays, error)
                               : mose_disks_may_end(guest, error)))
        return NULL;
    return g_steal_pointer(&overlays);
}

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

int
mose_cmd_stop(int argc, char **argv)
{
    g_autoptr(MoseGuest) guest = NULL;
    g_autoptr(GPtrArray) overlays = NULL;
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
    mose_recover(guest, &recovered, NULL);
    overlays = judge_overlays(guest, &error);
    if (!overlays || !stop_away(guest, &error) || !mose_stop(guest, &error) ||
        !mose_disks_discard(overlays, &error))
        return mose_cli_fail(error, NULL);
    print_ended(guest);
    return MOSE_EXIT_DONE;
}
