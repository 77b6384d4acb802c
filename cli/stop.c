/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mose stop: end a guest, wherever it is, and forget it. */
#include <stdio.h>

#include "cli/cli.h"
#include "switch/recover.h"
#include "switch/start.h"
#include "util/json.h"

int
mose_cmd_stop(int argc, char **argv)
{
    g_autoptr(MoseGuest) guest = NULL;
    g_autoptr(GError) error = NULL;
    MoseRecovered recovered;
    int ret;

    if (!mose_cli_parse(&argc, &argv, NULL, 1, 1, &ret))
        return ret;
    guest = mose_guest_open(argv[1], MOSE_GUEST_LOCK, &error);
    if (!guest)
        return mose_cli_fail_guest(error, argv[1], NULL);
    /* A switch that cannot be recovered must not keep the guest from its end. */
    mose_recover(guest, &recovered, NULL);
    if (!mose_stop(guest, &error))
        return mose_cli_fail(error, NULL);
    if (mose_cli_json()) {
        g_autoptr(JsonObject) object =
            mose_json_object("guest", "s", guest->name, "state", "s", "ended", NULL);
        g_autofree char *text = mose_json_text(object, TRUE);

        puts(text);
    } else {
        printf("guest %s has ended\n", guest->name);
    }
    return MOSE_EXIT_DONE;
}
