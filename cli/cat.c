/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mose cat: a file of a guest's, as far as it is in its memory. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/look.h"
#include "cli/table.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/json.h"
#include "vmi/linux/lookup.h"
#include "vmi/linux/page-cache.h"
#include "vmi/linux/tasks.h"

#define PAGE 4096
/* A sparse file may have any size; each page is looked for. */
#define MAX_SIZE ((guint64)64 << 30)

static char *pid, *output;
static gboolean map;

static const GOptionEntry entries[] = {
    { "pid", 0, 0, G_OPTION_ARG_STRING, &pid, "the path as this process has it",
      "PID|COMM" },
    { "output", 'o', 0, G_OPTION_ARG_FILENAME, &output,
      "write it to FILE; what is missing is a hole there", "FILE" },
    { "map", 'm', 0, G_OPTION_ARG_NONE, &map,
      "not the contents: which parts are in memory", NULL },
    { NULL },
};

static const MoseColumn columns[] = {
    { "offset", "OFFSET" },
    { "length", "LENGTH" },
    { "state", "STATE" },
    { NULL },
};

typedef struct {
    MoseLook look;
    MosePageCache file;
    MoseFd fd;        /* -1: the contents are not wanted */
    MoseTable *table; /* of runs of pages in one state */
    guint64 begin;    /* of the run that is not in it yet */
    MoseCacheState state;
    guint64 missing; /* bytes */
} Cat;

/* --- the file --- */

static gboolean
find_root(Cat *cat, MosePath *ret, GError **error)
{
    g_autoptr(MoseTask) task = NULL;

    if (!pid)
        return mose_path_first_root(cat->look.kernel, ret, error);
    task = mose_task_find(cat->look.kernel, pid, error);
    return task && mose_path_of_task(cat->look.kernel, task->address, ret, NULL, error);
}

/* What has no contents that anybody keeps. */
static gboolean
is_made(const MosePageCache *file)
{
    static const char *const systems[] = { "proc",       "sysfs",    "debugfs",
                                           "tracefs",    "cgroup",   "cgroup2",
                                           "securityfs", "configfs", NULL };

    return g_strv_contains(systems, file->filesystem);
}

static gboolean
find_file(Cat *cat, const char *path, GError **error)
{
    MosePath root, at;
    guint64 inode;

    if (!find_root(cat, &root, error) ||
        !mose_path_look_up(cat->look.kernel, &root, path, TRUE, &at, error) ||
        !mose_path_inode(cat->look.kernel, &at, &inode, error) ||
        !mose_page_cache_of_inode(cat->look.kernel, inode, &cat->file, error))
        return FALSE;
    if (!S_ISREG(cat->file.mode))
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "%s is no regular file of the guest's", path);
    else if (cat->file.size == 0 && is_made(&cat->file))
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                    "%s is on %s: it is made when it is read", path,
                    cat->file.filesystem);
    else if (cat->file.size > MAX_SIZE)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                    "%s has %" G_GUINT64_FORMAT " GB: at most %" G_GUINT64_FORMAT
                    " are looked for",
                    path, cat->file.size >> 30, MAX_SIZE >> 30);
    else
        return TRUE;
    return FALSE;
}

/* --- runs of pages --- */

static void
end_run(Cat *cat, guint64 end)
{
    JsonObject *row;

    if (end == cat->begin)
        return;
    row = mose_json_object("length", "i", (gint64)(end - cat->begin), "state", "s",
                           mose_cache_state_name(cat->state), NULL);
    mose_table_set_hex(row, "offset", cat->begin);
    mose_table_add(cat->table, row);
    if (cat->state != MOSE_CACHED && cat->state != MOSE_CACHE_HOLE)
        cat->missing += end - cat->begin;
}

static void
note(Cat *cat, guint64 offset, MoseCacheState state)
{
    if (state == cat->state)
        return;
    end_run(cat, offset);
    cat->begin = offset;
    cat->state = state;
}

/* --- contents --- */

static gboolean
put(const Cat *cat, const guint8 *bytes, gsize len, guint64 offset, GError **error)
{
    for (gsize done = 0; done < len;) {
        ssize_t n =
            output ? pwrite(cat->fd, bytes + done, len - done, (off_t)(offset + done))
                   : write(cat->fd, bytes + done, len - done);

        if (n < 0) {
            mose_error_set_errno(error, errno, "cannot write %s",
                                 output ? output : "to standard output");
            return FALSE;
        }
        done += n;
    }
    return TRUE;
}

/* Where there is no file to have a hole in, it ends at the first page that is missing.
 */
static gboolean
copy_page(Cat *cat, guint64 offset, MoseCacheState state, GError **error)
{
    guint8 bytes[PAGE];
    gsize len = MIN(PAGE, cat->file.size - offset);

    if (cat->fd < 0 || (output && state != MOSE_CACHED))
        return TRUE;
    return mose_page_cache_read(cat->look.kernel, &cat->file, offset, bytes, len, NULL,
                                error) &&
           put(cat, bytes, len, offset, error);
}

static gboolean
walk(Cat *cat, GError **error)
{
    for (guint64 offset = 0; offset < cat->file.size; offset += PAGE) {
        guint64 physical;
        MoseCacheState state;

        if (!mose_page_cache_find(cat->look.kernel, &cat->file, offset / PAGE, &state,
                                  &physical, error))
            return FALSE;
        note(cat, offset, state);
        if (!copy_page(cat, offset, state, error))
            return FALSE;
    }
    end_run(cat, cat->file.size);
    return TRUE;
}

static gboolean
open_output(Cat *cat, GError **error)
{
    if (map || (mose_cli_json() && !output))
        return TRUE;
    if (!output) {
        cat->fd = dup(STDOUT_FILENO);
        return TRUE;
    }
    cat->fd = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (cat->fd >= 0 && ftruncate(cat->fd, (off_t)cat->file.size) == 0)
        return TRUE;
    mose_error_set_errno(error, errno, "cannot write %s", output);
    return FALSE;
}

/* --- the command --- */

static void
print_map(Cat *cat)
{
    JsonObject *more;

    if (!map && !mose_cli_json())
        return;
    more =
        mose_json_object("size", "i", (gint64)cat->file.size, "missing", "i",
                         (gint64)cat->missing, "filesystem", "s", cat->file.filesystem,
                         "inode", "i", (gint64)cat->file.number, NULL);
    mose_table_print(cat->table, "runs", more);
}

static gboolean
run(Cat *cat, const char *name, const char *path, GError **error)
{
    if (!mose_look_open_linux(&cat->look, name, error) ||
        !find_file(cat, path, error) || !open_output(cat, error) || !walk(cat, error))
        return FALSE;
    print_map(cat);
    if (map || mose_cli_json() || cat->missing == 0)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                "%" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT
                " bytes of %s are not in the guest's memory: they are holes in %s "
                "(--map shows which)",
                cat->missing, cat->file.size, path, output);
    return FALSE;
}

int
mose_cmd_cat(int argc, char **argv)
{
    Cat cat = { .fd = MOSE_FD_NONE, .state = MOSE_CACHED };
    g_autoptr(GError) error = NULL;
    int ret;

    if (!mose_cli_parse(&argc, &argv, entries, 2, 2, &ret))
        return ret;
    if (map && output) {
        fprintf(stderr, "mose cat: --map or --output\n");
        return MOSE_EXIT_USAGE;
    }
    cat.table = mose_table_new(columns);
    ret = run(&cat, argv[1], argv[2], &error) ? MOSE_EXIT_DONE
                                              : mose_look_fail(&cat.look, error);
    mose_fd_close(cat.fd);
    mose_table_free(cat.table);
    mose_look_clear(&cat.look);
    return ret;
}
