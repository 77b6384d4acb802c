/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mose modules: the modules of a guest's kernel, as /proc/modules has them, and more.
 */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/look.h"
#include "cli/table.h"
#include "util/json.h"
#include "vmi/linux/modules.h"

static const MoseColumn columns[] = {
    { "name", "NAME" },     { "size", "SIZE" },
    { "refcount", "USED" }, { "users", "BY" },
    { "state", "STATE" },   { "address", "ADDRESS" },
    { "taints", "TAINTS" }, { NULL },
};

static void
set_text(JsonObject *row, const char *member, const char *text)
{
    if (text && *text)
        json_object_set_string_member(row, member, text);
}

static JsonArray *
parts_of(const MoseModule *module)
{
    JsonArray *parts = json_array_new();

    for (guint i = 0; i < module->n_parts; i++) {
        const MoseModulePart *part = &module->parts[i];
        JsonObject *row = mose_json_object("name", "s", part->name, "size", "i",
                                           (gint64)part->size, NULL);

        mose_table_set_hex(row, "address", part->base);
        json_array_add_object_element(parts, row);
    }
    return parts;
}

static JsonArray *
sections_of(MoseLinux *kernel, const MoseModule *module)
{
    JsonArray *list = json_array_new();
    g_autoptr(GPtrArray) sections = mose_module_sections(kernel, module, NULL);

    for (guint i = 0; sections && i < sections->len; i++) {
        const MoseModuleSection *section = sections->pdata[i];
        JsonObject *row = mose_json_object("name", "s", section->name, NULL);

        mose_table_set_hex(row, "address", section->address);
        json_array_add_object_element(list, row);
    }
    return list;
}

/* "[permanent]" stands among those that use it, as in /proc/modules. */
static JsonArray *
users_of(const MoseModule *module)
{
    JsonArray *users = json_array_new();

    for (guint i = 0; i < module->users->len; i++)
        json_array_add_string_element(users, module->users->pdata[i]);
    if (module->permanent)
        json_array_add_string_element(users, "[permanent]");
    return users;
}

/* What only programs are told. */
static void
add_more(MoseLinux *kernel, const MoseModule *module, JsonObject *row)
{
    g_autofree char *id = mose_module_build_id(kernel, module);

    mose_table_set_hex(row, "module", module->address);
    set_text(row, "build-id", id);
    set_text(row, "version", module->version);
    set_text(row, "srcversion", module->srcversion);
    set_text(row, "arguments", module->arguments);
    json_object_set_array_member(row, "parts", parts_of(module));
    json_object_set_array_member(row, "sections", sections_of(kernel, module));
}

static JsonObject *
to_row(MoseLinux *kernel, const MoseModule *module)
{
    JsonObject *row = mose_json_object(
        "name", "s", module->name, "size", "i", (gint64)module->size, "users", "a",
        users_of(module), "state", "s", module->state, NULL);

    if (module->refcount >= 0)
        json_object_set_int_member(row, "refcount", module->refcount);
    mose_table_set_hex(row, "address", module->base);
    set_text(row, "taints", module->taints);
    if (mose_cli_json())
        add_more(kernel, module, row);
    return row;
}

int
mose_cmd_modules(int argc, char **argv)
{
    g_auto(MoseLook) look = { 0 };
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) modules = NULL;
    g_autoptr(MoseTable) table = mose_table_new(columns);
    guint retries;
    int ret;

    if (!mose_cli_parse(&argc, &argv, NULL, 1, 1, &ret))
        return ret;
    if (!mose_look_open_linux(&look, argv[1], &error) ||
        !(modules = mose_modules_read(look.kernel, &retries, &error)))
        return mose_look_fail(&look, error);
    for (guint i = 0; i < modules->len; i++)
        mose_table_add(table, to_row(look.kernel, modules->pdata[i]));
    mose_table_print(table, "modules", mose_table_retries(retries));
    return MOSE_EXIT_DONE;
}
