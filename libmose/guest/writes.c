/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Planned writes to the guest's memory and their record; see writes.h. */
#include "guest/writes.h"

#include <string.h>
#include <unistd.h>

#include "guest/guest-dir.h"
#include "util/error.h"
#include "util/json.h"

typedef struct {
    guint64 address;
    GByteArray *before, *after; /* of one length */
} Write;

struct MoseWrites {
    GArray *list; /* Write */
    gsize bytes;
};

static void
clear_write(gpointer data)
{
    Write *write = data;

    g_clear_pointer(&write->before, g_byte_array_unref);
    g_clear_pointer(&write->after, g_byte_array_unref);
}

MoseWrites *
mose_writes_new(void)
{
    MoseWrites *writes = g_new0(MoseWrites, 1);

    writes->list = g_array_new(FALSE, FALSE, sizeof(Write));
    g_array_set_clear_func(writes->list, clear_write);
    return writes;
}

void
mose_writes_free(MoseWrites *writes)
{
    if (!writes)
        return;
    g_array_unref(writes->list);
    g_free(writes);
}

guint
mose_writes_count(const MoseWrites *writes)
{
    return writes->list->len;
}

static const Write *
write_at(const MoseWrites *writes, guint i)
{
    return &g_array_index(writes->list, Write, i);
}

static GByteArray *
copy_of(const void *bytes, gsize len)
{
    return g_byte_array_append(g_byte_array_sized_new(len), bytes, len);
}

gboolean
mose_writes_add(MoseWrites *writes, guint64 address, const void *before,
                const void *after, gsize len)
{
    Write write;

    if (len == 0)
        return TRUE;
    if (writes->list->len == MOSE_WRITES_MAX ||
        len > MOSE_WRITES_MAX_BYTES - writes->bytes || address > G_MAXUINT64 - len)
        return FALSE;
    write = (Write){ address, copy_of(before, len), copy_of(after, len) };
    g_array_append_val(writes->list, write);
    writes->bytes += len;
    return TRUE;
}

void
mose_writes_show(const MoseWrites *writes, guint64 address, void *bytes, gsize len)
{
    for (guint i = 0; i < writes->list->len; i++) {
        const Write *write = write_at(writes, i);
        guint64 from = MAX(address, write->address);
        guint64 to = MIN(address + len, write->address + write->after->len);

        if (from < to)
            memcpy((guint8 *)bytes + (from - address),
                   write->after->data + (from - write->address), to - from);
    }
}

gboolean
mose_writes_peek(const MoseWrites *writes, const MoseRam *ram, guint64 address,
                 void *to, gsize len)
{
    if (!mose_ram_read(ram, address, to, len))
        return FALSE;
    mose_writes_show(writes, address, to, len);
    return TRUE;
}

gboolean
mose_writes_plan(MoseWrites *writes, const MoseRam *ram, guint64 address,
                 const void *from, gsize len)
{
    g_autofree guint8 *before = g_malloc(len);

    return mose_writes_peek(writes, ram, address, before, len) &&
           (memcmp(before, from, len) == 0 ||
            mose_writes_add(writes, address, before, from, len));
}

gboolean
mose_writes_do(const MoseWrites *writes, MoseRam *ram, GError **error)
{
    for (guint i = 0; i < writes->list->len; i++) {
        const Write *write = write_at(writes, i);

        if (!mose_ram_write(ram, write->address, write->after->data, write->after->len,
                            error))
            return FALSE;
    }
    return TRUE;
}

gboolean
mose_writes_undo(const MoseWrites *writes, MoseRam *ram, GError **error)
{
    for (guint i = writes->list->len; i-- > 0;) {
        const Write *write = write_at(writes, i);

        if (!mose_ram_write(ram, write->address, write->before->data,
                            write->before->len, error))
            return FALSE;
    }
    return TRUE;
}

/* --- the record --- */

static char *
record_path(const MoseGuest *guest, guint generation)
{
    return g_strdup_printf("%s/writes.%u", guest->dir, generation);
}

JsonObject *
mose_writes_to_json(const MoseWrites *writes)
{
    JsonArray *list = json_array_new();

    for (guint i = 0; i < writes->list->len; i++) {
        const Write *write = write_at(writes, i);
        g_autofree char *before =
            g_base64_encode(write->before->data, write->before->len);
        g_autofree char *after = g_base64_encode(write->after->data, write->after->len);

        json_array_add_object_element(
            list, mose_json_object("address", "i", (gint64)write->address, "before",
                                   "s", before, "after", "s", after, NULL));
    }
    return mose_json_object("writes", "a", list, NULL);
}

gboolean
mose_writes_save(const MoseWrites *writes, const MoseGuest *guest, guint generation,
                 GError **error)
{
    g_autofree char *path = record_path(guest, generation);
    g_autoptr(JsonObject) object = mose_writes_to_json(writes);
    g_autofree char *text = mose_json_text(object, FALSE);

    return mose_guest_dir_write(path, text, error);
}

static gboolean
add_from_json(MoseWrites *writes, JsonObject *object)
{
    gsize before_len = 0, after_len = 0;
    g_autofree guchar *before =
        g_base64_decode(mose_json_string(object, "before", ""), &before_len);
    g_autofree guchar *after =
        g_base64_decode(mose_json_string(object, "after", ""), &after_len);

    return before_len > 0 && before_len == after_len &&
           mose_writes_add(writes, (guint64)mose_json_int(object, "address", 0), before,
                           after, after_len);
}

MoseWrites *
mose_writes_from_json(JsonObject *object, const char *where, GError **error)
{
    g_autoptr(MoseWrites) writes = mose_writes_new();
    JsonArray *list = mose_json_array(object, "writes");

    for (guint i = 0; list && i < json_array_get_length(list); i++) {
        if (add_from_json(writes, mose_json_element(list, i)))
            continue;
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "%s: write %u makes no sense", where, i);
        return NULL;
    }
    return g_steal_pointer(&writes);
}

MoseWrites *
mose_writes_load(const MoseGuest *guest, guint generation, GError **error)
{
    g_autofree char *path = record_path(guest, generation);
    g_autofree char *text = mose_guest_dir_read(path, error);
    g_autoptr(JsonObject) object = text ? mose_json_parse(text, -1, path, error) : NULL;

    return object ? mose_writes_from_json(object, path, error) : NULL;
}

void
mose_writes_forget(const MoseGuest *guest, guint generation)
{
    g_autofree char *path = record_path(guest, generation);

    unlink(path);
}
