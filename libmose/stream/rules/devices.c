/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices that one of the two machines has and the other has not: the load would
 * end with "Unknown savevm section" (QEMU migration/savevm.c). Those that only
 * carry an accelerator's own state (kvmclock) have rules of their own.
 */
#include "stream/rules/list.h"

static gboolean
detect(const MoseFacts *facts)
{
    return facts->source_only && *facts->source_only;
}

static char *
refuse(const MoseFacts *facts)
{
    g_autofree char *list = g_strjoinv(", ", (char **)facts->source_only);

    return g_strdup_printf(
        "the guest has devices that the destination lacks: %s; unplug "
        "them, or start the guest without",
        list);
}

const MoseRule mose_rule_devices = {
    .name = "devices",
    .rule_class = MOSE_HW_EQUIVALENCE,
    .directions = MOSE_ANY_WAY,
    .title = "devices on one side alone",
    .effect = "the destination does not load the guest",
    .fix = "refused before anything moves",
    .source = "QEMU migration/savevm.c:qemu_loadvm_section_start_full",
    .evidence = 'b',
    .test = "vm/refusals: devices",
    .detect = detect,
    .refuse = refuse,
};
