/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The columns of `mose ps`, named as ps(1) names them. */
#include "cli/ps-columns.h"

#include <string.h>

#include "util/error.h"

typedef char *(*Text)(const MosePsRow *row);
typedef gint64 (*Number)(const MosePsRow *row);

typedef struct {
    const char *name, *title;
    guint parts;
    Number number; /* one of the two */
    Text text;
} Column;

struct MosePsColumns {
    GArray *table;   /* MoseColumn, with an empty one at its end */
    GPtrArray *list; /* const Column */
    guint parts;
};

void
mose_ps_row_free(MosePsRow *row)
{
    if (!row)
        return;
    mose_task_free(row->task);
    mose_task_info_free(row->info);
    g_free(row);
}

/* --- numbers --- */

#define NUMBER(name, expression)                                                       \
    static gint64 name(const MosePsRow *row)                                           \
    {                                                                                  \
        return expression;                                                             \
    }

NUMBER(get_pid, row->task->pid)
NUMBER(get_tgid, row->task->tgid)
NUMBER(get_ppid, row->task->ppid)
NUMBER(get_cpu, row->task->cpu)
NUMBER(get_ruid, row->info->uid[MOSE_ID_REAL])
NUMBER(get_euid, row->info->uid[MOSE_ID_EFFECTIVE])
NUMBER(get_rgid, row->info->gid[MOSE_ID_REAL])
NUMBER(get_egid, row->info->gid[MOSE_ID_EFFECTIVE])
NUMBER(get_group, row->info->group)
NUMBER(get_session, row->info->session)
NUMBER(get_threads, row->info->threads)
NUMBER(get_priority, row->info->priority)
NUMBER(get_nice, row->info->nice)
NUMBER(get_rtprio, row->info->rt_priority)
NUMBER(get_vsz, row->info->size >> 10)
NUMBER(get_rss, row->info->resident >> 10)
NUMBER(get_cgroupns, row->info->ns[MOSE_NS_CGROUP])
NUMBER(get_ipcns, row->info->ns[MOSE_NS_IPC])
NUMBER(get_mntns, row->info->ns[MOSE_NS_MNT])
NUMBER(get_netns, row->info->ns[MOSE_NS_NET])
NUMBER(get_pidns, row->info->ns[MOSE_NS_PID])
NUMBER(get_timens, row->info->ns[MOSE_NS_TIME])
NUMBER(get_userns, row->info->ns[MOSE_NS_USER])
NUMBER(get_utsns, row->info->ns[MOSE_NS_UTS])

/* --- texts; NULL: it has none --- */

static char *
get_state(const MosePsRow *row)
{
    return g_strdup_printf("%c", row->task->state);
}

/* ps(1), PROCESS STATE CODES */
static char *
get_stat(const MosePsRow *row)
{
    const MoseTaskInfo *info = row->info;

    return g_strdup_printf("%c%s%s%s%s%s", row->task->state,
                           info->nice < 0   ? "<"
                           : info->nice > 0 ? "N"
                                            : "",
                           info->locked ? "L" : "",
                           info->session == row->task->tgid ? "s" : "",
                           info->threads > 1 ? "l" : "",
                           info->tty_name && info->tty_group == info->group ? "+" : "");
}

/* Linux include/uapi/linux/sched.h, as ps(1) calls them. */
static char *
get_class(const MosePsRow *row)
{
    static const char *const names[] = { "TS", "FF",  "RR",  "B",
                                         NULL, "IDL", "DLN", "EXT" };
    guint policy = row->info->policy;

    return policy < G_N_ELEMENTS(names) ? g_strdup(names[policy])
                                        : g_strdup_printf("%u", policy);
}

static char *
get_tty(const MosePsRow *row)
{
    return g_strdup(row->info->tty_name);
}

/* [DD-]HH:MM:SS */
static char *
get_time(const MosePsRow *row)
{
    guint64 seconds = (row->info->utime + row->info->stime) / 1000000000;
    guint64 days = seconds / 86400;
    g_autofree char *day =
        days ? g_strdup_printf("%" G_GUINT64_FORMAT "-", days) : g_strdup("");

    return g_strdup_printf("%s%02d:%02d:%02d", day, (int)(seconds / 3600 % 24),
                           (int)(seconds / 60 % 60), (int)(seconds % 60));
}

/* The guest's zone is known to its processes alone: UTC. */
static char *
get_start(const MosePsRow *row)
{
    g_autoptr(GDateTime) time =
        row->info->started_at
            ? g_date_time_new_from_unix_utc(row->info->started_at / 1000000000)
            : NULL;

    return time ? g_date_time_format(time, "%Y-%m-%d %H:%M:%S") : NULL;
}

static char *
get_cgroup(const MosePsRow *row)
{
    return row->info->cgroups && row->info->cgroups[0]
               ? g_strjoinv(",", row->info->cgroups)
               : NULL;
}

static char *
get_pids(const MosePsRow *row)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; i < row->info->n_pids; i++)
        g_string_append_printf(text, "%s%d", i ? "," : "", row->info->pids[i]);
    return g_strdup(text->str);
}

/* As `ps --forest` does. */
static char *
indented(const MosePsRow *row, const char *text)
{
    return row->depth == 0
               ? g_strdup(text)
               : g_strdup_printf("%*s\\_ %s", (int)(row->depth - 1) * 4 + 1, "", text);
}

static char *
get_name(const MosePsRow *row)
{
    return indented(row, row->info->name ? row->info->name : row->task->comm);
}

static char *
get_command(const MosePsRow *row)
{
    const MoseTaskInfo *info = row->info;
    const char *name = info->name ? info->name : row->task->comm;
    g_autofree char *text =
        info->command ? mose_task_command_text(info->command, info->command_size)
                      : NULL;

    if (!text || !*text) {
        g_free(text);
        text =
            g_strdup_printf(row->task->state == 'Z' ? "[%s] <defunct>" : "[%s]", name);
    }
    return indented(row, text);
}

static char *
get_task(const MosePsRow *row)
{
    return g_strdup_printf("0x%" G_GINT64_MODIFIER "x", row->task->address);
}

static const Column known[] = {
    { "pid", "PID", 0, get_pid, NULL },
    { "tgid", "TGID", 0, get_tgid, NULL },
    { "ppid", "PPID", 0, get_ppid, NULL },
    { "pgrp", "PGRP", MOSE_TASK_IDS, get_group, NULL },
    { "sess", "SESS", MOSE_TASK_IDS, get_session, NULL },
    { "ruid", "RUID", MOSE_TASK_IDS, get_ruid, NULL },
    { "euid", "EUID", MOSE_TASK_IDS, get_euid, NULL },
    { "uid", "UID", MOSE_TASK_IDS, get_euid, NULL },
    { "rgid", "RGID", MOSE_TASK_IDS, get_rgid, NULL },
    { "egid", "EGID", MOSE_TASK_IDS, get_egid, NULL },
    { "gid", "GID", MOSE_TASK_IDS, get_egid, NULL },
    { "state", "S", 0, NULL, get_state },
    { "stat", "STAT", MOSE_TASK_IDS | MOSE_TASK_MEMORY, NULL, get_stat },
    { "cpu", "CPU", 0, get_cpu, NULL },
    { "class", "CLS", MOSE_TASK_IDS, NULL, get_class },
    { "pri", "PRI", MOSE_TASK_IDS, get_priority, NULL },
    { "nice", "NI", MOSE_TASK_IDS, get_nice, NULL },
    { "rtprio", "RTPRIO", MOSE_TASK_IDS, get_rtprio, NULL },
    { "nlwp", "NLWP", MOSE_TASK_IDS, get_threads, NULL },
    { "tty", "TTY", MOSE_TASK_IDS, NULL, get_tty },
    { "vsz", "VSZ", MOSE_TASK_MEMORY, get_vsz, NULL },
    { "rss", "RSS", MOSE_TASK_MEMORY, get_rss, NULL },
    { "start", "START", MOSE_TASK_TIMES, NULL, get_start },
    { "time", "TIME", MOSE_TASK_TIMES, NULL, get_time },
    { "cgroupns", "CGROUPNS", MOSE_TASK_NAMESPACES, get_cgroupns, NULL },
    { "ipcns", "IPCNS", MOSE_TASK_NAMESPACES, get_ipcns, NULL },
    { "mntns", "MNTNS", MOSE_TASK_NAMESPACES, get_mntns, NULL },
    { "netns", "NETNS", MOSE_TASK_NAMESPACES, get_netns, NULL },
    { "pidns", "PIDNS", MOSE_TASK_NAMESPACES, get_pidns, NULL },
    { "timens", "TIMENS", MOSE_TASK_NAMESPACES, get_timens, NULL },
    { "userns", "USERNS", MOSE_TASK_NAMESPACES, get_userns, NULL },
    { "utsns", "UTSNS", MOSE_TASK_NAMESPACES, get_utsns, NULL },
    { "pids", "PIDS", MOSE_TASK_NAMESPACES, NULL, get_pids },
    { "cgroup", "CGROUP", MOSE_TASK_CGROUPS, NULL, get_cgroup },
    { "task", "TASK", 0, NULL, get_task },
    { "comm", "COMMAND", MOSE_TASK_NAME, NULL, get_name },
    { "args", "COMMAND", MOSE_TASK_NAME | MOSE_TASK_COMMAND, NULL, get_command },
};

static const Column *
find_column(const char *name, GError **error)
{
    g_autoptr(GString) names = g_string_new(NULL);

    for (gsize i = 0; i < G_N_ELEMENTS(known); i++) {
        if (g_ascii_strcasecmp(known[i].name, name) == 0)
            return &known[i];
        g_string_append_printf(names, " %s", known[i].name);
    }
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID, "no column '%s'; there are%s",
                name, names->str);
    return NULL;
}

MosePsColumns *
mose_ps_columns_new(const char *names, GError **error)
{
    g_autoptr(MosePsColumns) columns = g_new0(MosePsColumns, 1);
    g_auto(GStrv) words = g_strsplit(names, ",", -1);

    columns->table = g_array_new(TRUE, TRUE, sizeof(MoseColumn));
    columns->list = g_ptr_array_new();
    for (char **word = words; *word; word++) {
        const Column *column = find_column(g_strstrip(*word), error);

        if (!column)
            return NULL;
        g_array_append_val(columns->table,
                           ((MoseColumn){ column->name, column->title }));
        g_ptr_array_add(columns->list, (gpointer)column);
        columns->parts |= column->parts;
    }
    if (columns->list->len > 0 && columns->list->len < MOSE_TABLE_MAX_COLUMNS)
        return g_steal_pointer(&columns);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID, "from 1 to %d columns",
                MOSE_TABLE_MAX_COLUMNS - 1);
    return NULL;
}

void
mose_ps_columns_free(MosePsColumns *columns)
{
    if (!columns)
        return;
    g_array_unref(columns->table);
    g_ptr_array_unref(columns->list);
    g_free(columns);
}

const MoseColumn *
mose_ps_columns_table(const MosePsColumns *columns)
{
    return (const MoseColumn *)(void *)columns->table->data;
}

guint
mose_ps_columns_parts(const MosePsColumns *columns)
{
    return columns->parts;
}

/* What could not be read is left out, and shown as "-". */
JsonObject *
mose_ps_columns_row(const MosePsColumns *columns, const MosePsRow *row)
{
    JsonObject *object = json_object_new();

    for (guint i = 0; i < columns->list->len; i++) {
        const Column *column = columns->list->pdata[i];
        g_autofree char *text = NULL;

        if ((column->parts & ~row->info->have) != 0 &&
            column->parts != MOSE_TASK_NAME && !(column->parts & MOSE_TASK_COMMAND))
            continue;
        if (column->number) {
            json_object_set_int_member(object, column->name, column->number(row));
            continue;
        }
        text = column->text(row);
        if (text)
            json_object_set_string_member(object, column->name, text);
    }
    return object;
}
