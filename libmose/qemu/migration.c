/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See migration.h. */
#include "qemu/migration.h"

#include <string.h>

#include "util/json.h"

gboolean
mose_migration_set(MoseQmp *qmp, const MoseCapability *capabilities, gsize n,
                   GError **error)
{
    JsonArray *list = json_array_new();

    for (gsize i = 0; i < n; i++)
        json_array_add_object_element(
            list, mose_json_object("capability", "s", capabilities[i].name, "state",
                                   "b", capabilities[i].on, NULL));
    return mose_qmp_run(qmp, "migrate-set-capabilities",
                        mose_json_object("capabilities", "a", list, NULL), error);
}

static const char *
status_of(const MoseQmpEvent *event)
{
    return mose_json_string(event->data, "status", "");
}

gboolean
mose_migration_has_ended(const MoseQmpEvent *event, gpointer data)
{
    static const char *const ends[] = { "completed", "failed", "cancelled", NULL };

    return strcmp(event->name, "MIGRATION") == 0 &&
           g_strv_contains(ends, status_of(event));
}

gboolean
mose_migration_is_completed(const MoseQmpEvent *event)
{
    return strcmp(status_of(event), "completed") == 0;
}
