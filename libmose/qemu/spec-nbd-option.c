/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One disk's option with an NBD export for its image. */
#include <string.h>

#include "qemu/optstr.h"
#include "qemu/spec-nbd-private.h"
#include "util/json.h"

/* --- what stays of a disk's option --- */

/* Whether @key, or what is below it ("cache.direct" of "cache"), is one of @keys. */
static gboolean
is_key(const char *key, gsize len, const char *const *keys)
{
    const char *dot = memchr(key, '.', len);
    gsize head = dot ? (gsize)(dot - key) : len;

    for (; *keys; keys++)
        if (strlen(*keys) == head && strncmp(*keys, key, head) == 0)
            return TRUE;
    return FALSE;
}

/* Of a -drive: what is not its image's (QEMU blockdev.c:qemu_legacy_drive_opts,
 * qemu_common_drive_opts). */
static gboolean
drive_keeps(const char *key, gsize len)
{
    static const char *const keys[] = { "id",
                                        "if",
                                        "index",
                                        "bus",
                                        "unit",
                                        "media",
                                        "node-name",
                                        "read-only",
                                        "readonly",
                                        "auto-read-only",
                                        "cache",
                                        "discard",
                                        "detect-zeroes",
                                        "copy-on-read",
                                        "werror",
                                        "rerror",
                                        "group",
                                        "throttling",
                                        "stats-intervals",
                                        NULL };

    return is_key(key, len, keys) || g_str_has_prefix(key, "stats-") ||
           g_str_has_prefix(key, "bps") || g_str_has_prefix(key, "iops");
}

/* Of a -blockdev (QEMU qapi/block-core.json:BlockdevOptions). */
static gboolean
blockdev_keeps(const char *key, gsize len)
{
    static const char *const keys[] = { "node-name", "read-only",
                                        "cache",     "auto-read-only",
                                        "discard",   "detect-zeroes",
                                        NULL };

    return is_key(key, len, keys);
}

static void
drop_parts(GPtrArray *parts, gboolean (*keeps)(const char *key, gsize len))
{
    for (guint i = parts->len; i-- > 0;) {
        const char *part = parts->pdata[i];

        if (!keeps(part, strcspn(part, "=")))
            g_ptr_array_remove_index(parts, i);
    }
}

/* --- what comes in its place --- */

static void
set_printf(GPtrArray *parts, const char *key, guint value)
{
    g_autofree char *text = g_strdup_printf("%u", value);

    mose_optstr_set(parts, key, text);
}

static void
set_nbd(GPtrArray *parts, const char *format_key, const MoseExport *export,
        const MoseSpecNbd *how)
{
    mose_optstr_set(parts, format_key, "raw");
    mose_optstr_set(parts, "file.driver", "nbd");
    mose_optstr_set(parts, "file.server.type", "unix");
    mose_optstr_set(parts, "file.server.path", how->socket);
    mose_optstr_set(parts, "file.export", export->name);
    set_printf(parts, "file.reconnect-delay", how->reconnect_s);
}

static JsonObject *
nbd_json(const MoseExport *export, const MoseSpecNbd *how)
{
    return mose_json_object(
        "driver", "s", "nbd", "server", "o",
        mose_json_object("type", "s", "unix", "path", "s", how->socket, NULL), "export",
        "s", export->name, "reconnect-delay", "i", (gint64)how->reconnect_s, NULL);
}

/* Whether QEMU has werror= for such a -drive (blockdev.c:drive_new). */
static gboolean
can_stop(const GPtrArray *parts)
{
    static const char *const buses[] = { "none", "virtio", "ide", "scsi", NULL };
    const char *bus = mose_optstr_get(parts, "if");

    return !bus || g_strv_contains(buses, bus);
}

static void
stop_on_error(GPtrArray *parts)
{
    if (!mose_optstr_get(parts, "werror"))
        mose_optstr_set(parts, "werror", "stop");
    if (!mose_optstr_get(parts, "rerror"))
        mose_optstr_set(parts, "rerror", "stop");
}

static void
replace_value(MoseOption *option, char *value)
{
    g_free(option->value);
    option->value = value;
}

void
mose_nbd_drive(MoseOption *option, const MoseExport *export, const MoseSpecNbd *how)
{
    g_autoptr(GPtrArray) parts = mose_optstr_split(option->value);

    drop_parts(parts, drive_keeps);
    set_nbd(parts, "format", export, how);
    if (how->stop_on_error && can_stop(parts))
        stop_on_error(parts);
    replace_value(option, mose_optstr_join(parts));
}

static void
rewrite_json(MoseOption *option, const MoseExport *export, const MoseSpecNbd *how)
{
    g_autoptr(JsonObject) object = mose_json_parse(option->value, -1, "", NULL);
    g_autoptr(GList) keys = object ? json_object_get_members(object) : NULL;

    if (!object)
        return;
    for (GList *key = keys; key; key = key->next)
        if (!blockdev_keeps(key->data, strlen(key->data)))
            json_object_remove_member(object, key->data);
    json_object_set_string_member(object, "driver", "raw");
    json_object_set_object_member(object, "file", nbd_json(export, how));
    replace_value(option, mose_json_text(object, FALSE));
}

void
mose_nbd_blockdev(MoseOption *option, const MoseExport *export, const MoseSpecNbd *how)
{
    g_autoptr(GPtrArray) parts = NULL;

    if (mose_option_is_json(option)) {
        rewrite_json(option, export, how);
        return;
    }
    parts = mose_optstr_split(option->value);
    drop_parts(parts, blockdev_keeps);
    set_nbd(parts, "driver", export, how);
    replace_value(option, mose_optstr_join(parts));
}
