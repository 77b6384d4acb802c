/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mose check: each discrepancy between the two machines of a guest, and its rule. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/interrupt.h"
#include "switch/recover.h"
#include "switch/switch.h"
#include "util/json.h"

static void
print_json(const MoseGuest *guest, MoseSide side, GPtrArray *found, GPtrArray *reasons,
           gboolean good)
{
    JsonArray *list = json_array_new();
    g_autoptr(JsonObject) object = NULL;
    g_autofree char *text = NULL;

    for (guint i = 0; i < found->len; i++) {
        const MoseRule *rule = found->pdata[i];
        JsonObject *entry =
            mose_json_object("rule", "s", rule->name, "class", "s",
                             mose_rule_class_name(rule->rule_class), "discrepancy", "s",
                             rule->title, "fix", "s", rule->fix, NULL);

        if (reasons->pdata[i])
            json_object_set_string_member(entry, "refused", reasons->pdata[i]);
        json_array_add_object_element(list, entry);
    }
    object =
        mose_json_object("guest", "s", guest->name, "to", "s", mose_side_name(side),
                         "can-switch", "b", good, "discrepancies", "a", list, NULL);
    text = mose_json_text(object, TRUE);
    puts(text);
}

static void
print_text(const MoseGuest *guest, MoseSide side, GPtrArray *found, GPtrArray *reasons,
           gboolean good)
{
    printf("guest %s, %s -> %s (%s -> %s):\n", guest->name, mose_side_name(!side),
           mose_side_name(side), guest->spec->accel[!side], guest->spec->accel[side]);
    for (guint i = 0; i < found->len; i++) {
        const MoseRule *rule = found->pdata[i];

        printf("  %-14s  %-15s %s\n", mose_rule_class_name(rule->rule_class),
               rule->name, rule->title);
        if (reasons->pdata[i])
            printf("%34s refused: %s\n", "", (char *)reasons->pdata[i]);
        else
            printf("%34s %s\n", "", rule->fix);
    }
    printf(good ? "it can be switched\n" : "it cannot be switched\n");
}

int
mose_cmd_check(int argc, char **argv)
{
    g_autoptr(MoseGuest) guest = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) found = NULL, reasons = NULL;
    MoseSwitchOptions options = { 0 };
    MoseRecovered recovered;
    MoseSide side;
    gboolean good;
    int ret;

    if (!mose_cli_parse(&argc, &argv, NULL, 1, 1, &ret))
        return ret;
    guest = mose_guest_open(argv[1], MOSE_GUEST_LOCK, &error);
    if (!guest || !mose_recover(guest, &recovered, &error))
        return mose_cli_fail_guest(error, argv[1], NULL);
    side = guest->side == MOSE_SIDE_VIRTUALIZER ? MOSE_SIDE_EMULATOR
                                                : MOSE_SIDE_VIRTUALIZER;
    options.side = side;
    options.interrupt_fd = mose_cli_catch_interrupts();
    if (!mose_switch_check(guest, &options, &found, &reasons, &good, &error))
        return mose_cli_fail_guest(error, argv[1], "The guest was not touched.");
    (mose_cli_json() ? print_json : print_text)(guest, side, found, reasons, good);
    return good ? MOSE_EXIT_DONE : MOSE_EXIT_FAILED;
}
