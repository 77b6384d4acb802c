/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mose plug, mose unplug: a guest that runs gets a device, or gives one up. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/interrupt.h"
#include "guest/plug.h"
#include "switch/recover.h"
#include "util/error.h"
#include "util/json.h"

static int timeout_seconds = MOSE_UNPLUG_TIMEOUT_MS / 1000;

static const GOptionEntry unplug_entries[] = {
    { "timeout", 0, 0, G_OPTION_ARG_INT, &timeout_seconds,
      "how long the guest may take to let go (default 30)", "SECONDS" },
    { NULL },
};

/* Open the guest, locked and whole. */
static MoseGuest *
open_guest(const char *name, GError **error)
{
    g_autoptr(MoseGuest) guest = mose_guest_open(name, MOSE_GUEST_LOCK, error);
    MoseRecovered recovered;

    if (!guest || !mose_recover(guest, &recovered, error))
        return NULL;
    return g_steal_pointer(&guest);
}

static char *
names_of(const MoseSpec *spec)
{
    g_autoptr(GString) names = g_string_new(NULL);

    for (guint i = 0; i < spec->options->len; i++) {
        g_autofree char *id = mose_option_id(spec->options->pdata[i]);

        g_string_append_printf(names, "%s%s", i ? " " : "", id);
    }
    return g_string_free(g_steal_pointer(&names), FALSE);
}

static int
report(const MoseGuest *guest, const char *what, const char *names)
{
    if (mose_cli_json()) {
        g_autoptr(JsonObject) object =
            mose_json_object("guest", "s", guest->name, "side", "s",
                             mose_side_name(guest->side), what, "s", names, NULL);
        g_autofree char *text = mose_json_text(object, TRUE);

        puts(text);
    } else {
        printf("guest %s: %s %s\n", guest->name, what, names);
    }
    return MOSE_EXIT_DONE;
}

int
mose_cmd_plug(int argc, char **argv)
{
    const char *const *words = mose_cli_split_dashes(&argc, argv);
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseSpec) addition = NULL;
    g_autoptr(MoseGuest) guest = NULL;
    g_autofree char *names = NULL;
    int ret;

    if (!mose_cli_parse(&argc, &argv, NULL, 1, 1, &ret))
        return ret;
    if (!words || !*words) {
        fprintf(stderr, "mose plug: what is to be plugged in? mose plug NAME -- "
                        "-drive file=disk.qcow2,if=none,id=d1 "
                        "-device virtio-blk-pci,drive=d1,id=disk1\n");
        return MOSE_EXIT_USAGE;
    }
    addition = mose_spec_parse_plug(words, &error);
    if (!addition)
        return mose_cli_fail(error, NULL);
    guest = open_guest(argv[1], &error);
    if (!guest || !mose_plug(guest, addition, &error))
        return mose_cli_fail_guest(error, argv[1], NULL);
    names = names_of(addition);
    return report(guest, "plugged", names);
}

int
mose_cmd_unplug(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseGuest) guest = NULL;
    g_autofree char *names = NULL;
    int ret;

    if (!mose_cli_parse(&argc, &argv, unplug_entries, 2, -1, &ret))
        return ret;
    if (timeout_seconds < 1 || timeout_seconds > 3600) {
        fprintf(stderr, "mose unplug: --timeout takes 1 to 3600 seconds\n");
        return MOSE_EXIT_USAGE;
    }
    guest = open_guest(argv[1], &error);
    if (!guest)
        return mose_cli_fail_guest(error, argv[1], NULL);
    if (!mose_unplug(guest, (const char *const *)argv + 2, timeout_seconds * 1000,
                     mose_cli_catch_interrupts(), &error))
        return mose_cli_fail(error,
                             g_error_matches(error, MOSE_ERROR, MOSE_ERROR_TIMEOUT)
                                 ? "Its software must take part; `mose unplug` again "
                                   "when it has let go."
                                 : NULL);
    names = g_strjoinv(" ", argv + 2);
    return report(guest, "unplugged", names);
}
