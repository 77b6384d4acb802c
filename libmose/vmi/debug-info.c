/* SPDX-License-Identifier: GPL-2.0-or-later */
/* DWARF through libdw. See debug-info.h. */
#include "vmi/debug-info.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <string.h>

#include "util/error.h"
#include "util/fd.h"

struct MoseDebugInfo {
    int fd;
    Dwarf *dwarf;
};

void
mose_debug_info_free(MoseDebugInfo *info)
{
    if (!info)
        return;
    if (info->dwarf)
        dwarf_end(info->dwarf);
    if (info->fd >= 0)
        close(info->fd);
    g_free(info);
}

/* --- the file --- */

static char *
build_id_of(Elf *elf)
{
    const void *bytes;
    ssize_t len = dwelf_elf_gnu_build_id(elf, &bytes);
    g_autoptr(GString) text = g_string_new(NULL);

    for (ssize_t i = 0; i < len; i++)
        g_string_append_printf(text, "%02x", ((const guint8 *)bytes)[i]);
    return len > 0 ? g_strdup(text->str) : NULL;
}

static gboolean
check_build_id(MoseDebugInfo *info, const char *path, const char *wanted,
               GError **error)
{
    g_autofree char *found = build_id_of(dwarf_getelf(info->dwarf));

    if (!wanted || g_strcmp0(found, wanted) == 0)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                "%s is of another build: it has the build id %s, and the guest's "
                "kernel %s",
                path, found ? found : "(none)", wanted);
    return FALSE;
}

MoseDebugInfo *
mose_debug_info_open(const char *path, const char *build_id, GError **error)
{
    g_autoptr(MoseDebugInfo) info = g_new0(MoseDebugInfo, 1);

    info->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (info->fd < 0) {
        mose_error_set_errno(error, errno, "%s cannot be read", path);
        return NULL;
    }
    info->dwarf = dwarf_begin(info->fd, DWARF_C_READ);
    if (!info->dwarf) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID, "%s has no DWARF: %s", path,
                    dwarf_errmsg(-1));
        return NULL;
    }
    return check_build_id(info, path, build_id, error) ? g_steal_pointer(&info) : NULL;
}

MoseDebugInfo *
mose_debug_info_of_kernel(const char *release, const char *build_id)
{
    MoseDebugInfo *info = NULL;
    g_auto(GStrv) paths = NULL;

    /* Both are the guest's; without the latter anything would fit. */
    if (!build_id || strlen(build_id) < 4 || strchr(release, '/'))
        return NULL;
    paths = g_new0(char *, 4);
    paths[0] = g_strdup_printf("/usr/lib/debug/boot/vmlinux-%s", release);
    paths[1] = g_strdup_printf("/usr/lib/debug/lib/modules/%s/vmlinux", release);
    paths[2] = g_strdup_printf("/usr/lib/debug/.build-id/%.2s/%s.debug", build_id,
                               build_id + 2);
    for (char **path = paths; !info && *path; path++)
        info = mose_debug_info_open(*path, build_id, NULL);
    return info;
}

/* --- symbols --- */

static gboolean
find_in(Elf *elf, Elf_Scn *section, const char *symbol, guint64 *ret)
{
    GElf_Shdr header;
    Elf_Data *data = elf_getdata(section, NULL);

    if (!data || !gelf_getshdr(section, &header) || header.sh_type != SHT_SYMTAB ||
        header.sh_entsize == 0)
        return FALSE;
    for (guint64 i = 0; i < header.sh_size / header.sh_entsize; i++) {
        GElf_Sym entry;
        const char *name;

        if (!gelf_getsym(data, (int)i, &entry))
            return FALSE;
        name = elf_strptr(elf, header.sh_link, entry.st_name);
        if (name && strcmp(name, symbol) == 0) {
            *ret = entry.st_value;
            return TRUE;
        }
    }
    return FALSE;
}

gboolean
mose_debug_info_symbol(const MoseDebugInfo *info, const char *symbol, guint64 *ret)
{
    Elf *elf = dwarf_getelf(info->dwarf);
    Elf_Scn *section = NULL;

    while ((section = elf_nextscn(elf, section)))
        if (find_in(elf, section, symbol, ret))
            return TRUE;
    return FALSE;
}

/* --- places --- */

static void
place_free(gpointer data)
{
    MoseDebugPlace *place = data;

    g_free(place->function);
    g_free(place->file);
    g_free(place);
}

/* Where the inlined function @die was called. */
static void
find_call(Dwarf_Die *unit, Dwarf_Die *die, const char **file, int *line)
{
    Dwarf_Attribute attribute;
    Dwarf_Word number;
    Dwarf_Files *files;
    size_t n;

    *file = NULL;
    *line = 0;
    if (dwarf_formudata(dwarf_attr(die, DW_AT_call_file, &attribute), &number) == 0 &&
        dwarf_getsrcfiles(unit, &files, &n) == 0 && number < n)
        *file = dwarf_filesrc(files, number, NULL, NULL);
    if (dwarf_formudata(dwarf_attr(die, DW_AT_call_line, &attribute), &number) == 0)
        *line = (int)number;
}

static void
add_place(GPtrArray *places, const char *function, const char *file, int line)
{
    MoseDebugPlace *place = g_new0(MoseDebugPlace, 1);

    place->function = g_strdup(function);
    place->file = g_strdup(file);
    place->line = line;
    g_ptr_array_add(places, place);
}

GPtrArray *
mose_debug_info_at(const MoseDebugInfo *info, guint64 address)
{
    GPtrArray *places = g_ptr_array_new_with_free_func(place_free);
    Dwarf_Die unit, *inner = NULL, *scopes = NULL;
    Dwarf_Line *row;
    const char *file = NULL;
    int line = 0, n;

    if (!dwarf_addrdie(info->dwarf, address, &unit))
        return places;
    row = dwarf_getsrc_die(&unit, address);
    if (row) {
        file = dwarf_linesrc(row, NULL, NULL);
        dwarf_lineno(row, &line);
    }
    /* Those around an inlined function are, by this, where it was written; by the next,
     * where it was put. */
    n = dwarf_getscopes(&unit, address, &inner);
    n = n > 0 ? dwarf_getscopes_die(&inner[0], &scopes) : 0;
    for (int i = 0; i < n; i++) {
        int tag = dwarf_tag(&scopes[i]);

        if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_subprogram)
            continue;
        add_place(places, dwarf_diename(&scopes[i]), file, line);
        if (tag == DW_TAG_subprogram)
            break;
        find_call(&unit, &scopes[i], &file, &line);
    }
    if (places->len == 0 && file)
        add_place(places, NULL, file, line);
    free(inner);
    free(scopes);
    return places;
}
