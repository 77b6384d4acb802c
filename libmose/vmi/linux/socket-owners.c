/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sockets among the open files of tasks. See socket-owners.h. */
#include "vmi/linux/socket-owners.h"

#include <string.h>

/* More than fs.nr_open usually allows (fs/file.c: sysctl_nr_open); and of all tasks. */
#define MAX_FDS (1u << 22)
#define MAX_ALL_FDS (1u << 27)

typedef struct {
    MoseLinux *kernel;
    guint64 socket_ops; /* what a file that is a socket has as f_op */
    guint64 ops_offset, data_offset;
    GHashTable *owners;
    GHashTable *seen; /* of files_struct: whose it was */
    guint64 fds_left;
} Search;

static void
owner_free(gpointer data)
{
    MoseSocketOwner *owner = data;

    g_free(owner->comm);
    g_free(owner);
}

static void
add_owner(Search *search, guint64 socket, const MoseTask *task, guint fd)
{
    GPtrArray *list = g_hash_table_lookup(search->owners, &socket);
    MoseSocketOwner *owner = g_new0(MoseSocketOwner, 1);

    owner->pid = task->tgid;
    owner->fd = fd;
    owner->comm = g_strdup(task->comm);
    if (!list) {
        list = g_ptr_array_new_with_free_func(owner_free);
        g_hash_table_insert(search->owners, g_memdup2(&socket, sizeof(socket)), list);
    }
    g_ptr_array_add(list, owner);
}

/* A file that cannot be read has been closed meanwhile. */
static void
look_at_file(Search *search, guint64 file, const MoseTask *task, guint fd)
{
    MoseSpace *space = search->kernel->space;
    guint64 ops, socket;

    if (mose_space_read_number(space, file + search->ops_offset, 8, &ops, NULL) &&
        ops == search->socket_ops &&
        mose_space_read_number(space, file + search->data_offset, 8, &socket, NULL) &&
        socket != 0)
        add_owner(search, socket, task, fd);
}

static void
look_at_table(Search *search, guint64 fds, guint64 n, const MoseTask *task)
{
    g_autofree guint8 *bytes = NULL;

    n = MIN(n, MIN(MAX_FDS, mose_memory_size(search->kernel->memory) / 8));
    n = MIN(n, search->fds_left);
    search->fds_left -= n;
    bytes = g_malloc(n * 8);
    if (!mose_space_read(search->kernel->space, fds, bytes, n * 8, NULL, NULL))
        return;
    for (guint i = 0; i < n; i++) {
        guint64 file;

        memcpy(&file, bytes + (gsize)i * 8, sizeof(file));
        if (file != 0)
            look_at_file(search, GUINT64_FROM_LE(file), task, i);
    }
}

/* Threads share their files, but for those that have unshared them. */
static gboolean
is_seen(const Search *search, guint64 files, const MoseTask *task)
{
    gint64 key = (gint64)files ^ task->tgid;

    if (g_hash_table_contains(search->seen, &key))
        return TRUE;
    g_hash_table_add(search->seen, g_memdup2(&key, sizeof(key)));
    return FALSE;
}

static void
look_at_task(Search *search, const MoseTask *task)
{
    MoseLinux *kernel = search->kernel;
    guint64 files, table, n, fds;

    if (mose_object_peek(kernel, "task_struct", task->address, "files", &files, NULL) &&
        files != 0 && !is_seen(search, files, task) &&
        mose_object_peek(kernel, "files_struct", files, "fdt", &table, NULL) &&
        mose_object_peek(kernel, "fdtable", table, "max_fds", &n, NULL) &&
        mose_object_peek(kernel, "fdtable", table, "fd", &fds, NULL))
        look_at_table(search, fds, n, task);
}

GHashTable *
mose_socket_owners(MoseLinux *kernel, GError **error)
{
    Search search = { .kernel = kernel, .fds_left = MAX_ALL_FDS };
    g_autoptr(GPtrArray) tasks = mose_tasks_read(kernel, TRUE, NULL, error);

    /* net/socket.c: socket_file_ops */
    if (!tasks ||
        !mose_linux_symbol(kernel, "socket_file_ops", &search.socket_ops, error) ||
        !mose_object_offset(kernel, "file", "f_op", &search.ops_offset, NULL, error) ||
        !mose_object_offset(kernel, "file", "private_data", &search.data_offset, NULL,
                            error))
        return NULL;
    search.owners = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free,
                                          (GDestroyNotify)g_ptr_array_unref);
    search.seen = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    for (guint i = 0; i < tasks->len; i++)
        look_at_task(&search, tasks->pdata[i]);
    g_hash_table_unref(search.seen);
    return search.owners;
}
