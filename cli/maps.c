/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mose maps: the mappings of a process in a guest, as /proc/PID/maps has them. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/look.h"
#include "cli/table.h"
#include "util/json.h"
#include "vmi/linux/vmas.h"

static gboolean pages;

static const GOptionEntry entries[] = {
    { "pages", 'p', 0, G_OPTION_ARG_NONE, &pages,
      "how much of each is in memory and on swap, by the page tables", NULL },
    { NULL },
};

/* Where names begin in /proc: fs/proc/task_mmu.c:show_vma_header_prefix */
#define NAME_COLUMN 73

static void
protection(const MoseVma *vma, char ret[5])
{
    ret[0] = vma->flags & MOSE_VMA_READ ? 'r' : '-';
    ret[1] = vma->flags & MOSE_VMA_WRITE ? 'w' : '-';
    ret[2] = vma->flags & MOSE_VMA_EXEC ? 'x' : '-';
    ret[3] = vma->flags & MOSE_VMA_MAYSHARE ? 's' : 'p';
    ret[4] = '\0';
}

static void
print_line(const MoseVma *vma, const MoseVmaPages *counts)
{
    char rights[5];
    int column;

    protection(vma, rights);
    column = printf("%08" G_GINT64_MODIFIER "x-%08" G_GINT64_MODIFIER
                    "x %s %08" G_GINT64_MODIFIER "x %02x:%02x %" G_GUINT64_FORMAT " ",
                    vma->start, vma->end, rights, vma->file ? vma->pgoff : 0,
                    vma->major, vma->minor, vma->inode);
    if (*vma->name != '\0')
        printf("%*s%s", MAX(NAME_COLUMN - column, 0), "", vma->name);
    if (counts)
        printf("\n    %" G_GUINT64_FORMAT " kB in memory, %" G_GUINT64_FORMAT
               " kB of zeros, %" G_GUINT64_FORMAT " kB swapped, %" G_GUINT64_FORMAT
               " kB otherwise",
               counts->present >> 10, counts->zero >> 10, counts->swapped >> 10,
               counts->other >> 10);
    putchar('\n');
}

static void
add_pages(JsonObject *row, const MoseVmaPages *counts)
{
    json_object_set_int_member(row, "present", (gint64)counts->present);
    json_object_set_int_member(row, "zero", (gint64)counts->zero);
    json_object_set_int_member(row, "swapped", (gint64)counts->swapped);
    json_object_set_int_member(row, "other", (gint64)counts->other);
}

static JsonObject *
to_row(const MoseLinux *kernel, const MoseVma *vma, const MoseVmaPages *counts)
{
    g_autofree char *device = g_strdup_printf("%02x:%02x", vma->major, vma->minor);
    g_autofree char *letters = mose_vma_flags_text(kernel, vma->flags);
    char rights[5];
    JsonObject *row = json_object_new();

    protection(vma, rights);
    mose_table_set_hex(row, "start", vma->start);
    mose_table_set_hex(row, "end", vma->end);
    json_object_set_string_member(row, "protection", rights);
    mose_table_set_hex(row, "offset", vma->pgoff);
    json_object_set_string_member(row, "device", device);
    json_object_set_int_member(row, "inode", (gint64)vma->inode);
    json_object_set_string_member(row, "name", vma->name);
    mose_table_set_hex(row, "flags", vma->flags);
    json_object_set_string_member(row, "vm_flags", letters);
    mose_table_set_hex(row, "vma", vma->address);
    mose_table_set_hex(row, "file", vma->file);
    if (counts)
        add_pages(row, counts);
    return row;
}

static gboolean
show(const MoseLook *look, const MoseTask *task, GError **error)
{
    static const MoseColumn columns[] = { { "start", "START" }, { NULL } };
    g_autoptr(MoseTable) table = mose_table_new(columns);
    g_autoptr(MoseSpace) space = NULL;
    g_autoptr(GPtrArray) vmas = NULL;
    g_autoptr(JsonObject) more = NULL;
    guint retries;

    vmas = mose_vmas_read(look->kernel, task, &retries, error);
    if (!vmas || (pages && !(space = mose_task_space(look->kernel, task, error))))
        return FALSE;
    more = mose_table_retries(retries);
    for (guint i = 0; i < vmas->len; i++) {
        const MoseVma *vma = vmas->pdata[i];
        MoseVmaPages counts;

        if (pages && !mose_vma_pages(look->kernel, space, vma, &counts, error))
            return FALSE;
        if (mose_cli_json())
            mose_table_add(table, to_row(look->kernel, vma, pages ? &counts : NULL));
        else
            print_line(vma, pages ? &counts : NULL);
    }
    if (mose_cli_json()) {
        json_object_set_int_member(more, "pid", task->pid);
        json_object_set_string_member(more, "comm", task->comm);
        mose_table_print(table, "maps", g_steal_pointer(&more));
    }
    return TRUE;
}

int
mose_cmd_maps(int argc, char **argv)
{
    g_auto(MoseLook) look = { 0 };
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseTask) task = NULL;
    int ret;

    if (!mose_cli_parse(&argc, &argv, entries, 2, 2, &ret))
        return ret;
    if (!mose_look_open_linux(&look, argv[1], &error) ||
        !(task = mose_task_find(look.kernel, argv[2], &error)) ||
        !show(&look, task, &error))
        return mose_look_fail(&look, error);
    return MOSE_EXIT_DONE;
}
