/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices that one of the two machines has and the other has not. One that the
 * destination lacks ends the load ("Unknown savevm section", QEMU
 * migration/savevm.c); one that it alone has loads nothing, and would appear to the
 * guest out of nowhere. Those that only carry an accelerator's own state (kvmclock)
 * have rules of their own.
 */
#include "stream/rules/list.h"

static gboolean
detect(const MoseFacts *facts)
{
    return (facts->source_only && *facts->source_only) ||
           (facts->destination_only && *facts->destination_only);
}

static char *
refuse(const MoseFacts *facts)
{
    gboolean more = facts->source_only && *facts->source_only;
    g_autofree char *list = g_strjoinv(
        ", ", (char **)(more ? facts->source_only : facts->destination_only));

    return more ? g_strdup_printf(
                      "the guest has devices that the destination lacks: %s; they were "
                      "plugged in without MOSE: `mose unplug` them, or plug them in "
                      "with `mose plug`",
                      list)
                : g_strdup_printf(
                      "the guest lacks devices that the destination has: %s; they were "
                      "unplugged without MOSE: `mose unplug` them, too",
                      list);
}

const MoseRule mose_rule_devices = {
    .name = "devices",
    .rule_class = MOSE_HW_EQUIVALENCE,
    .directions = MOSE_ANY_WAY,
    .title = "devices on one side alone",
    .effect = "the destination does not load the guest, or shows it a device that it "
              "never had",
    .fix = "refused before anything moves",
    .source = "QEMU migration/savevm.c:qemu_loadvm_section_start_full",
    .evidence = 'b',
    .test = "vm/refusals: devices",
    .detect = detect,
    .refuse = refuse,
};
