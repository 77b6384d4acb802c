/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Open files of a process, read. See open-files.h. */
#include "vmi/linux/open-files.h"

#include "util/error.h"

#define O_CLOEXEC_BIT 02000000
#define GROUP 64 /* descriptors, as many as a word of the bitmap has bits */

void
mose_open_file_free(MoseOpenFile *file)
{
    if (!file)
        return;
    g_free(file->path);
    g_free(file->socket);
    g_free(file);
}

typedef struct {
    const MoseTask *task;
    GPtrArray *files;
    MosePath root; /* of the first process */
} Read;

static gboolean
has_changed(const Read *read, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN,
                "the open files of task %d (%s) changed while they were read",
                read->task->pid, read->task->comm);
    return FALSE;
}

/* --- what is told of each --- */

/* struct mount, around the struct vfsmount */
static gboolean
read_mount_id(MoseLinux *kernel, guint64 mnt, gint64 *ret, GError **error)
{
    guint64 offset, id;

    if (!mose_object_offset(kernel, "mount", "mnt", &offset, NULL, error) ||
        !mose_object_peek(kernel, "mount", mnt - offset, "mnt_id", &id, error))
        return FALSE;
    *ret = (gint64)id;
    return TRUE;
}

static const char *
word_for(const char *const *words, guint n, guint64 value)
{
    return value < n && words[value] ? words[value] : "?";
}

/* include/linux/socket.h, include/linux/net.h */
static char *
socket_text(guint64 family, guint64 type)
{
    static const char *const families[] = {
        [0] = "unspec",     [1] = "unix",     [2] = "inet",    [10] = "inet6",
        [15] = "key",       [16] = "netlink", [17] = "packet", [29] = "can",
        [31] = "bluetooth", [38] = "alg",     [40] = "vsock",  [43] = "smc",
        [44] = "xdp",       [45] = "mctp",
    };
    static const char *const types[] = {
        [1] = "stream",    [2] = "dgram", [3] = "raw",     [4] = "rdm",
        [5] = "seqpacket", [6] = "dccp",  [10] = "packet",
    };

    return g_strdup_printf("%s %s", word_for(families, G_N_ELEMENTS(families), family),
                           word_for(types, G_N_ELEMENTS(types), type));
}

/* net/socket.c:sock_alloc_file */
static gboolean
read_socket(MoseLinux *kernel, MoseOpenFile *open, GError **error)
{
    const MoseSymbol *ops =
        mose_symbols_by_name(kernel->symbols, NULL, "socket_file_ops");
    guint64 proto, family, type;

    if (!ops || open->file.f_op != ops->address)
        return TRUE;
    if (!mose_object_peek(kernel, "socket", open->file.private_data, "type", &type,
                          error) ||
        !mose_object_peek(kernel, "socket", open->file.private_data, "ops", &proto,
                          error))
        return FALSE;
    /* A socket that is being closed has no operations any more. */
    if (proto == 0)
        return TRUE;
    if (!mose_object_peek(kernel, "proto_ops", proto, "family", &family, error))
        return FALSE;
    open->socket = socket_text(family, type);
    return TRUE;
}

static gboolean
take_path(MoseLinux *kernel, const Read *read, MoseOpenFile *open, GError **error)
{
    g_autofree char *path =
        mose_path_text(kernel, &open->file.path, &read->root, NULL, error);

    if (!path || !read_mount_id(kernel, open->file.path.mnt, &open->mount_id, error))
        return FALSE;
    open->path = mose_vmi_printable(path);
    return TRUE;
}

static MoseOpenFile *
add(Read *read, MoseOpenKind kind)
{
    MoseOpenFile *open = g_new0(MoseOpenFile, 1);

    open->kind = kind;
    g_ptr_array_add(read->files, open);
    return open;
}

/* --- descriptors --- */

typedef struct {
    guint64 n, files, cloexec, used; /* how many; addresses of the three arrays */
} Table;

static gboolean
read_table(MoseLinux *kernel, guint64 at, Table *ret, GError **error)
{
    g_auto(MoseObject) table = { 0 };

    if (!mose_object_read(kernel, "fdtable", at, &table, error) ||
        !mose_object_get(&table, "max_fds", &ret->n, error) ||
        !mose_object_get(&table, "fd", &ret->files, error) ||
        !mose_object_get(&table, "close_on_exec", &ret->cloexec, error) ||
        !mose_object_get(&table, "open_fds", &ret->used, error))
        return FALSE;
    if (ret->n <= MOSE_OPEN_FILES_MAX)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                "the fdtable at 0x%" G_GINT64_MODIFIER "x has %" G_GUINT64_FORMAT
                " descriptors",
                at, ret->n);
    return FALSE;
}

/* What is read of a file that was closed meanwhile is of no use, nor is an error. */
static gboolean
add_fd(MoseLinux *kernel, Read *read, guint64 slot, guint fd, gboolean cloexec,
       GError **error)
{
    MoseOpenFile *open;
    g_autoptr(GError) cause = NULL;
    guint64 file, now;
    gboolean good;

    if (!mose_space_read_number(kernel->space, slot, 8, &file, error))
        return FALSE;
    if (file == 0) /* taken, and not there yet: fs/file.c:alloc_fd */
        return TRUE;
    open = add(read, MOSE_OPEN_FD);
    open->fd = fd;
    open->is_file = TRUE;
    good = mose_file_read(kernel, file, FALSE, &open->file, &cause) &&
           take_path(kernel, read, open, &cause) && read_socket(kernel, open, &cause);
    open->flags = open->file.flags | (cloexec ? O_CLOEXEC_BIT : 0);
    if (!mose_space_read_number(kernel->space, slot, 8, &now, error))
        return FALSE;
    if (now != file)
        return has_changed(read, error);
    if (!good)
        g_propagate_error(error, g_steal_pointer(&cause));
    return good;
}

static gboolean
add_group(MoseLinux *kernel, Read *read, const Table *table, guint first,
          GError **error)
{
    guint64 used, cloexec;

    if (!mose_space_read_number(kernel->space, table->used + first / 8, 8, &used,
                                error) ||
        !mose_space_read_number(kernel->space, table->cloexec + first / 8, 8, &cloexec,
                                error))
        return FALSE;
    for (guint i = 0; i < GROUP && first + i < table->n; i++)
        if ((used >> i & 1) &&
            !add_fd(kernel, read, table->files + 8 * (guint64)(first + i), first + i,
                    cloexec >> i & 1, error))
            return FALSE;
    return TRUE;
}

static gboolean
add_fds(MoseLinux *kernel, Read *read, guint64 files, GError **error)
{
    g_autoptr(GError) cause = NULL;
    gboolean good = TRUE;
    guint64 at, now;
    Table table;

    if (!mose_object_peek(kernel, "files_struct", files, "fdt", &at, error))
        return FALSE;
    good = read_table(kernel, at, &table, &cause);
    for (guint first = 0; good && first < table.n; first += GROUP)
        good = add_group(kernel, read, &table, first, &cause);
    /* One that grows moves; the old one is freed. */
    if (!mose_object_peek(kernel, "files_struct", files, "fdt", &now, error))
        return FALSE;
    if (now != at)
        return has_changed(read, error);
    if (!good)
        g_propagate_error(error, g_steal_pointer(&cause));
    return good;
}

/* --- what else is open --- */

static gboolean
add_directory(MoseLinux *kernel, Read *read, MoseOpenKind kind, const MosePath *path,
              GError **error)
{
    MoseOpenFile *open = add(read, kind);
    guint64 inode;

    open->file.path = *path;
    return mose_object_peek(kernel, "dentry", path->dentry, "d_inode", &inode, error) &&
           mose_inode_read(kernel, inode, &open->file.inode, error) &&
           take_path(kernel, read, open, error);
}

static gboolean
add_directories(MoseLinux *kernel, Read *read, GError **error)
{
    g_autoptr(GError) cause = NULL;
    MosePath root, cwd;

    if (mose_path_of_task(kernel, read->task->address, &root, &cwd, &cause))
        return add_directory(kernel, read, MOSE_OPEN_CWD, &cwd, error) &&
               add_directory(kernel, read, MOSE_OPEN_ROOT, &root, error);
    if (g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_NOT_FOUND) &&
        mose_open_files_are_gone(kernel, read->task))
        return TRUE;
    g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

static gboolean
add_program(MoseLinux *kernel, Read *read, GError **error)
{
    MoseOpenFile *open;
    guint64 file;

    if (read->task->mm == 0)
        return TRUE;
    if (!mose_object_peek(kernel, "mm_struct", read->task->mm, "exe_file", &file,
                          error))
        return FALSE;
    if (file == 0)
        return TRUE;
    open = add(read, MOSE_OPEN_EXE);
    open->is_file = TRUE;
    if (!mose_file_read(kernel, file, FALSE, &open->file, error))
        return FALSE;
    open->flags = open->file.flags;
    return take_path(kernel, read, open, error);
}

static gboolean
read_all(MoseLinux *kernel, gpointer data, GError **error)
{
    Read *read = data;
    guint64 files;

    g_ptr_array_set_size(read->files, 0);
    if (!mose_object_peek(kernel, "task_struct", read->task->address, "files", &files,
                          error))
        return FALSE;
    return add_directories(kernel, read, error) && add_program(kernel, read, error) &&
           (files == 0 || add_fds(kernel, read, files, error));
}

GPtrArray *
mose_open_files_read(MoseLinux *kernel, const MoseTask *task, guint *ret_retries,
                     GError **error)
{
    g_autoptr(GPtrArray) files =
        g_ptr_array_new_with_free_func((GDestroyNotify)mose_open_file_free);
    Read read = { .task = task, .files = files };

    return mose_path_first_root(kernel, &read.root, error) &&
                   mose_linux_retry(kernel, read_all, &read, ret_retries, error)
               ? g_steal_pointer(&files)
               : NULL;
}

gboolean
mose_open_files_are_gone(MoseLinux *kernel, const MoseTask *task)
{
    guint64 pid, files, mm;

    return !mose_object_peek(kernel, "task_struct", task->address, "pid", &pid, NULL) ||
           !mose_object_peek(kernel, "task_struct", task->address, "mm", &mm, NULL) ||
           !mose_object_peek(kernel, "task_struct", task->address, "files", &files,
                             NULL) ||
           (gint)pid != task->pid || mm != task->mm || files == 0;
}
