/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel keeps of a module for /sys/module/NAME: sections, notes; and its BTF.
 * See modules.h. */
#include <string.h>

#include "util/error.h"
#include "vmi/linux/modules.h"
#include "vmi/linux/notes.h"

#define MAX_SECTIONS 4096
#define MAX_NAME 1024
#define MAX_NOTES (64 << 10)
#define MAX_BTFS MOSE_MODULES_MAX

/* The list of pointers to bin_attribute of the attribute_group in @object; FALSE: it
 * has none. (6.13 to 6.17 have it under two names.) */
static gboolean
group_list(const MoseObject *object, guint64 *ret)
{
    return (mose_object_has(object, "grp.bin_attrs") &&
            mose_object_get(object, "grp.bin_attrs", ret, NULL) && *ret != 0) ||
           (mose_object_has(object, "grp.bin_attrs_new") &&
            mose_object_get(object, "grp.bin_attrs_new", ret, NULL) && *ret != 0);
}

/* The @n-th of the list at @list; FALSE: there are no more. */
static gboolean
nth_attribute(MoseLinux *kernel, guint64 list, guint n, guint64 *ret)
{
    return mose_space_read_number(kernel->space, list + (guint64)n * 8, 8, ret, NULL) &&
           *ret != 0;
}

/* The struct @type that member @member of @module points to. */
static gboolean
read_pointed(MoseLinux *kernel, const MoseModule *module, const char *member,
             const char *type, MoseObject *ret, GError **error)
{
    guint64 at;

    if (!mose_object_peek(kernel, "module", module->address, member, &at, error))
        return FALSE;
    if (at != 0)
        return mose_object_read(kernel, type, at, ret, error);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                "the guest's module %s has no %s", module->name, member);
    return FALSE;
}

/* --- sections --- */

static void
section_free(gpointer data)
{
    MoseModuleSection *section = data;

    g_free(section->name);
    g_free(section);
}

/* Its address is behind the attribute (struct module_sect_attr), or since 6.14 in it.
 */
static gboolean
read_section(MoseLinux *kernel, guint64 attribute, GPtrArray *sections, GError **error)
{
    MoseModuleSection *section;
    guint64 name, address;
    g_autofree char *text = NULL;

    if (!mose_object_peek(kernel, "bin_attribute", attribute, "attr.name", &name,
                          error))
        return FALSE;
    if (mose_types_find(kernel->types, "module_sect_attr") != 0
            ? !mose_object_peek(kernel, "module_sect_attr", attribute, "address",
                                &address, error)
            : !mose_object_peek(kernel, "bin_attribute", attribute, "private", &address,
                                error))
        return FALSE;
    text = mose_space_read_text(kernel->space, name, MAX_NAME, error);
    if (!text)
        return FALSE;
    section = g_new0(MoseModuleSection, 1);
    section->name = mose_vmi_printable(text);
    section->address = address;
    g_ptr_array_add(sections, section);
    return TRUE;
}

GPtrArray *
mose_module_sections(MoseLinux *kernel, const MoseModule *module, GError **error)
{
    g_autoptr(GPtrArray) sections = g_ptr_array_new_with_free_func(section_free);
    g_auto(MoseObject) object = { 0 };
    guint64 list, at, attribute;

    if (mose_types_find(kernel->types, "module_sect_attrs") == 0)
        return g_steal_pointer(&sections);
    if (!mose_object_peek(kernel, "module", module->address, "sect_attrs", &at, error))
        return NULL;
    if (at == 0)
        return g_steal_pointer(&sections);
    if (!mose_object_read(kernel, "module_sect_attrs", at, &object, error))
        return NULL;
    for (guint i = 0; group_list(&object, &list) && i < MAX_SECTIONS &&
                      nth_attribute(kernel, list, i, &attribute);
         i++)
        if (!read_section(kernel, attribute, sections, error))
            return NULL;
    return g_steal_pointer(&sections);
}

/* --- the build id --- */

static char *
id_of_note(MoseLinux *kernel, guint64 attribute)
{
    g_autofree guint8 *notes = NULL;
    guint64 at, size;
    gsize offset;

    if (!mose_object_peek(kernel, "bin_attribute", attribute, "private", &at, NULL) ||
        !mose_object_peek(kernel, "bin_attribute", attribute, "size", &size, NULL) ||
        size > MAX_NOTES)
        return NULL;
    notes = g_malloc(size);
    return mose_space_read(kernel->space, at, notes, size, NULL, NULL)
               ? mose_notes_build_id(notes, size, &offset)
               : NULL;
}

/* An array of them (up to 6.13), or a list as that of sections. */
char *
mose_module_build_id(MoseLinux *kernel, const MoseModule *module)
{
    g_auto(MoseObject) object = { 0 };
    guint64 list = 0, n = MAX_SECTIONS, first, attribute;
    gint64 size;
    char *id = NULL;

    if (!read_pointed(kernel, module, "notes_attrs", "module_notes_attrs", &object,
                      NULL))
        return NULL;
    size =
        mose_types_size(kernel->types, mose_types_find(kernel->types, "bin_attribute"));
    if (!group_list(&object, &list) &&
        (!mose_object_get(&object, "notes", &n, NULL) ||
         !mose_object_address(&object, "attrs", &first, NULL) || size <= 0))
        return NULL;
    for (guint64 i = 0; !id && i < MIN(n, MAX_SECTIONS); i++) {
        if (list == 0)
            attribute = first + i * size;
        else if (!nth_attribute(kernel, list, i, &attribute))
            break;
        id = id_of_note(kernel, attribute);
    }
    return id;
}

/* --- types --- */

typedef struct {
    const char *name;
    guint8 *bytes;
    gsize size;
} Btf;

/* kernel/bpf/btf.c: struct btf_module, struct btf */
static gboolean
take_btf(MoseLinux *kernel, guint64 entry, gpointer data, GError **error)
{
    Btf *wanted = data;
    g_auto(MoseObject) btf = { 0 };
    guint64 at, bytes, size;
    g_autofree char *name = NULL;
    g_autofree char *plain = NULL;

    if (!mose_object_peek(kernel, "btf_module", entry, "btf", &at, error) ||
        !mose_object_read(kernel, "struct btf", at, &btf, error) ||
        !(plain = mose_object_text(&btf, "name", error)))
        return FALSE;
    name = mose_vmi_printable(plain);
    if (strcmp(name, wanted->name) != 0)
        return TRUE;
    if (!mose_object_get(&btf, "data", &bytes, error) ||
        !mose_object_get(&btf, "data_size", &size, error))
        return FALSE;
    if (size > MOSE_TYPES_MAX_SIZE) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "the BTF of the guest's module %s has %" G_GUINT64_FORMAT " bytes",
                    name, size);
        return FALSE;
    }
    wanted->size = size;
    wanted->bytes = g_realloc(wanted->bytes, size + 1);
    /* FALSE without an error ends the walk. */
    mose_space_read(kernel->space, bytes, wanted->bytes, size, NULL, error);
    return FALSE;
}

static gboolean
find_btf(MoseLinux *kernel, gpointer data, GError **error)
{
    Btf *wanted = data;
    guint64 head, offset;

    g_clear_pointer(&wanted->bytes, g_free);
    if (!mose_linux_need_types(kernel, error) ||
        !mose_linux_symbol(kernel, "btf_modules", &head, error) ||
        !mose_object_offset(kernel, "btf_module", "list", &offset, NULL, error) ||
        !mose_list_walk(kernel, head, offset, MAX_BTFS, take_btf, wanted, error))
        return FALSE;
    if (wanted->bytes)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                "the guest has no module %s that has BTF", wanted->name);
    return FALSE;
}

guint8 *
mose_linux_module_btf(MoseLinux *kernel, const char *name, gsize *ret_size,
                      GError **error)
{
    Btf wanted = { .name = name };

    if (!mose_linux_retry(kernel, find_btf, &wanted, NULL, error)) {
        g_free(wanted.bytes);
        return NULL;
    }
    *ret_size = wanted.size;
    return wanted.bytes;
}

MoseTypes *
mose_linux_module_types(MoseLinux *kernel, const char *name, GError **error)
{
    gsize size;
    g_autofree guint8 *bytes = mose_linux_module_btf(kernel, name, &size, error);

    return bytes ? mose_types_new(bytes, size, kernel->types, error) : NULL;
}
