/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices, image formats and features whose state QEMU does not migrate: it says so
 * itself (query-migrate: blocked-reasons; QEMU migration/migration.c:
 * fill_source_migration_info), among them nvme, virtio-crypto and usb-uas, and images
 * in vmdk, vdi, vpc, vhdx, parallels and qcow format.
 */
#include "stream/rules/list.h"

static gboolean
detect(const MoseFacts *facts)
{
    return facts->blocked && *facts->blocked;
}

static char *
refuse(const MoseFacts *facts)
{
    g_autofree char *list = g_strjoinv("; ", (char **)facts->blocked);

    return g_strdup_printf("QEMU does not migrate this guest: %s", list);
}

const MoseRule mose_rule_blocked = {
    .name = "blocked",
    .rule_class = MOSE_HW_STATE,
    .directions = MOSE_ANY_WAY,
    .title = "devices and disk images whose state QEMU cannot move",
    .effect = "the source does not send the guest",
    .fix = "refused before anything moves, with QEMU's reasons",
    .source = "QEMU migration/migration.c:fill_source_migration_info",
    .evidence = 'b',
    .test = "vm/refusals: blocked",
    .detect = detect,
    .refuse = refuse,
};
