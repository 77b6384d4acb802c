/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Words of QMP about migrations that several parts of MOSE use. */
#pragma once

#include "qemu/qmp.h"

typedef struct {
    const char *name; /* QMP's, of MigrationCapability */
    gboolean on;
} MoseCapability;

/* Set these, and leave the others as they are. */
gboolean mose_migration_set(MoseQmp *qmp, const MoseCapability *capabilities, gsize n,
                            GError **error);

/* For mose_qmp_wait(): the end of a migration, good (mose_migration_is_completed) or
 * not. Needs capability "events". */
gboolean mose_migration_has_ended(const MoseQmpEvent *event, gpointer data);
gboolean mose_migration_is_completed(const MoseQmpEvent *event);
