/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files that tell where a kernel's tables are. See cache.h. */
#include "vmi/linux/cache.h"

#include <string.h>

#include "util/json.h"

#define MAX_FILES 256
#define MAX_ID 64
/* A cache of another layout is no cache. */
#define VERSION 1

static char *
cache_dir(void)
{
    const char *given = g_getenv("MOSE_CACHE_DIR");

    if (given && *given)
        return g_build_filename(given, "kernels", NULL);
    return g_build_filename(g_get_user_cache_dir(), "mose", "kernels", NULL);
}

static const struct {
    const char *name;
    gsize offset;
} numbers[] = {
    { "build-id", G_STRUCT_OFFSET(MoseLinuxLayout, build_id) },
    { "names", G_STRUCT_OFFSET(MoseLinuxLayout, kallsyms.names) },
    { "names-size", G_STRUCT_OFFSET(MoseLinuxLayout, kallsyms.names_size) },
    { "tokens", G_STRUCT_OFFSET(MoseLinuxLayout, kallsyms.tokens) },
    { "tokens-size", G_STRUCT_OFFSET(MoseLinuxLayout, kallsyms.tokens_size) },
    { "token-index", G_STRUCT_OFFSET(MoseLinuxLayout, kallsyms.token_index) },
    { "offsets", G_STRUCT_OFFSET(MoseLinuxLayout, kallsyms.offsets) },
    { "base", G_STRUCT_OFFSET(MoseLinuxLayout, kallsyms.base) },
};

static gboolean
parse(JsonObject *object, MoseLinuxLayout *ret)
{
    gint64 form = mose_json_int(object, "form", -1);
    gint64 n = mose_json_int(object, "symbols", -1);

    if (mose_json_int(object, "version", 0) != VERSION || form < 0 ||
        form >= MOSE_KALLSYMS_N_FORMS || n < 0 || n > MOSE_KALLSYMS_MAX_SYMBOLS)
        return FALSE;
    ret->kallsyms.form = form;
    ret->kallsyms.n_symbols = n;
    for (gsize i = 0; i < G_N_ELEMENTS(numbers); i++) {
        gint64 value = mose_json_int(object, numbers[i].name, -1);

        if (value < 0)
            return FALSE;
        *(guint64 *)((guint8 *)ret + numbers[i].offset) = value;
    }
    return TRUE;
}

static gboolean
load(const char *path, MoseLinuxLayout *ret)
{
    g_autofree char *text = NULL;
    g_autoptr(JsonObject) object = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return FALSE;
    object = mose_json_parse(text, -1, path, NULL);
    return object && parse(object, ret);
}

/* Whether the guest has the build id @hex at @address. */
static gboolean
has_build_id(MoseSpace *space, guint64 address, const char *hex)
{
    gsize len = strlen(hex) / 2;
    guint8 bytes[MAX_ID];

    if (len == 0 || len > sizeof(bytes) ||
        !mose_space_read(space, address, bytes, len, NULL, NULL))
        return FALSE;
    for (gsize i = 0; i < len; i++)
        if (g_ascii_xdigit_value(hex[i * 2]) << 4 != (bytes[i] & 0xf0) ||
            g_ascii_xdigit_value(hex[i * 2 + 1]) != (bytes[i] & 0xf))
            return FALSE;
    return TRUE;
}

gboolean
mose_linux_cache_find(MoseSpace *space, guint64 text, MoseLinuxLayout *ret)
{
    g_autofree char *path = cache_dir();
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;

    for (int i = 0; dir && i < MAX_FILES && (name = g_dir_read_name(dir)); i++) {
        g_autofree char *file = g_build_filename(path, name, NULL);

        if (load(file, ret) && has_build_id(space, text + ret->build_id, name))
            return TRUE;
    }
    return FALSE;
}

void
mose_linux_cache_keep(const char *build_id, const MoseLinuxLayout *layout)
{
    g_autofree char *path = cache_dir();
    g_autofree char *file = g_build_filename(path, build_id, NULL);
    g_autofree char *text = NULL;
    g_autoptr(JsonObject) object = mose_json_object(
        "version", "i", (gint64)VERSION, "form", "i", (gint64)layout->kallsyms.form,
        "symbols", "i", (gint64)layout->kallsyms.n_symbols, NULL);

    for (gsize i = 0; i < G_N_ELEMENTS(numbers); i++)
        json_object_set_int_member(
            object, numbers[i].name,
            *(const gint64 *)((const guint8 *)layout + numbers[i].offset));
    text = mose_json_text(object, FALSE);
    if (g_mkdir_with_parents(path, 0700) == 0)
        g_file_set_contents(file, text, -1, NULL);
}
