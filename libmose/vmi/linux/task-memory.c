/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How much memory a task has, and its command line, which is in there. See
 * task-info.h. */
#include <string.h>

#include "util/error.h"
#include "vmi/linux/cpus.h"
#include "vmi/linux/task-info-priv.h"

enum { PAGE_SHIFT = 12, PAGE = 1 << PAGE_SHIFT };
/* Linux include/uapi/linux/binfmts.h: MAX_ARG_STRLEN; all arguments together may be
 * more, and what is beyond is left out. */
#define MAX_COMMAND ((gsize)128 << 10)

/* --- sizes --- */

static void
find_per_cpu(MoseTaskReader *reader)
{
    g_autofree guint8 *possible =
        mose_cpus_mask(reader->kernel, "__cpu_possible_mask", NULL);
    guint64 at;

    if (reader->per_cpu)
        return;
    reader->per_cpu = g_new0(guint64, reader->kernel->n_cpus);
    for (guint i = 0; possible && i < reader->kernel->n_cpus; i++)
        if (possible[i] && mose_linux_per_cpu_offset(reader->kernel, i, &at, NULL))
            reader->per_cpu[reader->n_per_cpu++] = at;
}

/* Since 6.2 each is a sum of one number and one of each CPU (Linux
 * lib/percpu_counter.c:__percpu_counter_sum). */
static gboolean
add_counter(MoseTaskReader *reader, const char *count, const char *counters,
            gint64 *pages, GError **error)
{
    guint64 value, at;

    if (!mose_object_get(&reader->mm, count, &value, error) ||
        !mose_object_get(&reader->mm, counters, &at, error))
        return FALSE;
    *pages += (gint64)value;
    for (guint i = 0; at && i < reader->n_per_cpu; i++) {
        if (!mose_space_read_number(reader->kernel->space, at + reader->per_cpu[i], 4,
                                    &value, error))
            return FALSE;
        *pages += (gint32)value;
    }
    return TRUE;
}

/* Linux include/linux/mm_types_task.h: those of files, anonymous ones, and shared
 * memory; number 2 counts what is swapped out. */
static gboolean
read_resident(MoseTaskReader *reader, guint64 *ret, GError **error)
{
    static const char *const counts[][2] = {
        { "rss_stat[0].count", "rss_stat[0].counters" },
        { "rss_stat[1].count", "rss_stat[1].counters" },
        { "rss_stat[3].count", "rss_stat[3].counters" },
    };
    static const char *const of_old[] = { "rss_stat.count[0].counter",
                                          "rss_stat.count[1].counter",
                                          "rss_stat.count[3].counter" };
    gboolean per_cpu = mose_object_has(&reader->mm, counts[0][1]);
    gint64 pages = 0;

    if (per_cpu)
        find_per_cpu(reader);
    for (gsize i = 0; i < G_N_ELEMENTS(of_old); i++) {
        guint64 value;

        if (per_cpu) {
            if (!add_counter(reader, counts[i][0], counts[i][1], &pages, error))
                return FALSE;
        } else if (!mose_object_get(&reader->mm, of_old[i], &value, error)) {
            return FALSE;
        } else {
            pages += (gint64)value;
        }
    }
    *ret = (guint64)MAX(pages, 0) << PAGE_SHIFT;
    return TRUE;
}

/* *@ret: it has one, which a kernel thread has not, nor one that has ended. */
static gboolean
read_mm(MoseTaskReader *reader, gboolean *ret, GError **error)
{
    guint64 mm;

    if (!mose_object_get(&reader->task, "mm", &mm, error))
        return FALSE;
    *ret = mm != 0;
    return mm == 0 ||
           mose_object_read(reader->kernel, "mm_struct", mm, &reader->mm, error);
}

gboolean
mose_task_read_memory(MoseTaskReader *reader, MoseTaskInfo *ret, GError **error)
{
    guint64 total, locked;
    gboolean has_mm;

    if (!read_mm(reader, &has_mm, error))
        return FALSE;
    if (!has_mm)
        return TRUE;
    if (!mose_object_get(&reader->mm, "total_vm", &total, error) ||
        !mose_object_get(&reader->mm, "locked_vm", &locked, error) ||
        !read_resident(reader, &ret->resident, error))
        return FALSE;
    ret->size = total << PAGE_SHIFT;
    ret->locked = locked << PAGE_SHIFT;
    return TRUE;
}

/* --- the command line --- */

/* Linux fs/proc/base.c:get_mm_proctitle: one page at most, with the NUL. */
static void
take_title(MoseSpace *space, guint64 begin, MoseTaskInfo *ret)
{
    gsize got, len;

    ret->command = g_malloc(PAGE);
    mose_space_read(space, begin, ret->command, PAGE, &got, NULL);
    len = strnlen((const char *)ret->command, got);
    ret->command_size = len < got ? len + 1 : len;
}

/* Linux fs/proc/base.c:get_mm_cmdline: who writes over the end of his arguments, has
 * given himself a title (setproctitle(3)). */
static gboolean
take_command(MoseSpace *space, guint64 begin, guint64 end, MoseTaskInfo *ret,
             GError **error)
{
    gsize size = MIN(end - begin, MAX_COMMAND), got;
    guint8 last = 0;

    if (mose_space_read(space, end - 1, &last, 1, NULL, NULL) && last != '\0') {
        take_title(space, begin, ret);
        return TRUE;
    }
    ret->command = g_malloc(size);
    if (mose_space_read(space, begin, ret->command, size, &got, error) || got > 0) {
        ret->command_size = got;
        g_clear_error(error);
        return TRUE;
    }
    g_clear_pointer(&ret->command, g_free);
    g_prefix_error(error, "its arguments: ");
    return FALSE;
}

gboolean
mose_task_read_command(MoseTaskReader *reader, MoseTaskInfo *ret, GError **error)
{
    g_autoptr(MoseSpace) space = NULL;
    guint64 begin, end, pgd;
    gboolean has_mm;

    g_clear_pointer(&ret->command, g_free);
    if (!read_mm(reader, &has_mm, error))
        return FALSE;
    if (!has_mm)
        return TRUE;
    if (!mose_object_get(&reader->mm, "arg_start", &begin, error) ||
        !mose_object_get(&reader->mm, "arg_end", &end, error) ||
        !mose_object_get(&reader->mm, "pgd", &pgd, error))
        return FALSE;
    if (begin >= end)
        return TRUE;
    space = mose_linux_user_space(reader->kernel, pgd, error);
    return space && take_command(space, begin, end, ret, error);
}
