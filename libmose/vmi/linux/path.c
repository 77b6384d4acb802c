/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Paths, from a dentry upwards. See path.h. */
#include "vmi/linux/path.h"

#include <string.h>

#include "util/error.h"

#define MAX_NAME 4096
#define MAX_TEXT (64 << 10)
#define MAX_STEPS 8192
/* As often a path is read anew before the caller is told. */
#define MAX_TRIES 8

/* --- where paths begin --- */

gboolean
mose_path_read(MoseLinux *kernel, guint64 address, MosePath *ret, GError **error)
{
    return mose_object_peek(kernel, "path", address, "mnt", &ret->mnt, error) &&
           mose_object_peek(kernel, "path", address, "dentry", &ret->dentry, error);
}

static gboolean
read_fs(MoseLinux *kernel, guint64 fs, MosePath *ret_root, MosePath *ret_cwd,
        GError **error)
{
    guint64 root, cwd;

    return mose_object_offset(kernel, "fs_struct", "root", &root, NULL, error) &&
           mose_object_offset(kernel, "fs_struct", "pwd", &cwd, NULL, error) &&
           mose_path_read(kernel, fs + root, ret_root, error) &&
           (!ret_cwd || mose_path_read(kernel, fs + cwd, ret_cwd, error));
}

gboolean
mose_path_of_task(MoseLinux *kernel, guint64 task, MosePath *ret_root,
                  MosePath *ret_cwd, GError **error)
{
    guint64 fs;

    /* Since 7.1 a task may use another's for a while: fs/proc/base.c:get_task_root */
    if (!mose_object_peek(kernel, "task_struct", task, "real_fs", &fs, NULL) &&
        !mose_object_peek(kernel, "task_struct", task, "fs", &fs, error))
        return FALSE;
    if (fs != 0)
        return read_fs(kernel, fs, ret_root, ret_cwd, error);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                "the task at 0x%" G_GINT64_MODIFIER "x has ended: it has no root",
                task);
    return FALSE;
}

gboolean
mose_path_first_root(MoseLinux *kernel, MosePath *ret, GError **error)
{
    guint64 namespace, task;

    return mose_linux_symbol(kernel, "init_pid_ns", &namespace, error) &&
           mose_object_peek(kernel, "pid_namespace", namespace, "child_reaper", &task,
                            error) &&
           mose_path_of_task(kernel, task, ret, NULL, error);
}

/* --- renames and mounts meanwhile: the kernel's own sequence locks --- */

typedef struct {
    guint64 rename, mount;
} Sequences;

static guint64
read_sequence(MoseLinux *kernel, const char *lock)
{
    guint64 at, offset, ret = 0;

    /* 5.10 put one more struct around it (include/linux/seqlock.h). */
    if (mose_linux_symbol(kernel, lock, &at, NULL) &&
        (mose_object_offset(kernel, "seqlock_t", "seqcount.seqcount.sequence", &offset,
                            NULL, NULL) ||
         mose_object_offset(kernel, "seqlock_t", "seqcount.sequence", &offset, NULL,
                            NULL)))
        mose_space_read_number(kernel->space, at + offset, 4, &ret, NULL);
    return ret;
}

static Sequences
read_sequences(MoseLinux *kernel)
{
    return (Sequences){ read_sequence(kernel, "rename_lock"),
                        read_sequence(kernel, "mount_lock") };
}

/* An odd number: somebody writes. In a core file he will not get on. */
static gboolean
has_settled(MoseLinux *kernel, const Sequences *before)
{
    Sequences now = read_sequences(kernel);

    return now.rename == before->rename && now.mount == before->mount &&
           (((now.rename | now.mount) & 1) == 0 ||
            !mose_memory_is_alive(kernel->memory));
}

/* --- the way up --- */

typedef struct {
    MoseLinux *kernel;
    MoseObject dentry;
    GPtrArray *names; /* from the last one up */
    gsize size;
    guint steps;
} Way;

static gboolean
is_root(const Way *way, guint64 parent)
{
    return parent == way->dentry.address;
}

static void
way_clear(Way *way)
{
    mose_object_clear(&way->dentry);
    g_clear_pointer(&way->names, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Way, way_clear)

static gboolean
is_invalid(guint64 dentry, const char *what, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                "the path of the dentry at 0x%" G_GINT64_MODIFIER "x %s", dentry, what);
    return FALSE;
}

char *
mose_path_dentry_name(const MoseObject *dentry, GError **error)
{
    guint64 at, len;
    g_autofree char *name = NULL;

    if (!mose_object_get(dentry, "d_name.name", &at, error) ||
        !mose_object_get(dentry, "d_name.len", &len, error))
        return NULL;
    if (len > MAX_NAME) {
        is_invalid(dentry->address, "has a name of more than 4,096 bytes", error);
        return NULL;
    }
    name = g_malloc0(len + 1);
    if (!mose_space_read(dentry->kernel->space, at, name, len, NULL, error)) {
        g_prefix_error(
            error, "dentry at 0x%" G_GINT64_MODIFIER "x: d_name: ", dentry->address);
        return NULL;
    }
    return g_steal_pointer(&name);
}

static gboolean
read_dentry(Way *way, guint64 address, guint64 *ret_parent, GError **error)
{
    if (++way->steps > MAX_STEPS)
        return is_invalid(address, "has no end", error);
    return mose_object_read(way->kernel, "dentry", address, &way->dentry, error) &&
           mose_object_get(&way->dentry, "d_parent", ret_parent, error);
}

static gboolean
add_name(Way *way, GError **error)
{
    char *name = mose_path_dentry_name(&way->dentry, error);

    if (!name)
        return FALSE;
    g_ptr_array_add(way->names, name);
    way->size += strlen(name) + 1;
    return way->size <= MAX_TEXT ||
           is_invalid(way->dentry.address, "is longer than 64 KB", error);
}

/* d_unlinked(), include/linux/dcache.h */
static gboolean
is_unlinked(const Way *way, guint64 parent, gboolean *ret, GError **error)
{
    guint64 pprev;

    if (!mose_object_get(&way->dentry, "d_hash.pprev", &pprev, error))
        return FALSE;
    *ret = pprev == 0 && !is_root(way, parent);
    return TRUE;
}

static char *
join(const Way *way, const char *behind)
{
    GString *text = g_string_new(NULL);

    for (guint i = way->names->len; i > 0; i--)
        g_string_append_printf(text, "/%s", (char *)way->names->pdata[i - 1]);
    if (text->len == 0)
        g_string_append_c(text, '/');
    g_string_append(text, behind);
    return g_string_free(text, FALSE);
}

/* --- fs/d_path.c:__prepend_path --- */

/* The mount that @path's is mounted on; FALSE in *@ret_more at the topmost one. */
static gboolean
leave_mount(Way *way, MosePath *path, gboolean *ret_more, GError **error)
{
    guint64 offset, mount, parent, point;

    if (!mose_object_offset(way->kernel, "mount", "mnt", &offset, NULL, error))
        return FALSE;
    mount = path->mnt - offset;
    if (!mose_object_peek(way->kernel, "mount", mount, "mnt_parent", &parent, error) ||
        !mose_object_peek(way->kernel, "mount", mount, "mnt_mountpoint", &point, error))
        return FALSE;
    *ret_more = parent != mount;
    if (*ret_more)
        *path = (MosePath){ parent + offset, point };
    return TRUE;
}

static gboolean
climb(Way *way, MosePath path, const MosePath *root, gboolean *ret_reachable,
      GError **error)
{
    *ret_reachable = FALSE;
    while (path.mnt != root->mnt || path.dentry != root->dentry) {
        guint64 parent, mnt_root;
        gboolean more;

        if (!read_dentry(way, path.dentry, &parent, error) ||
            !mose_object_peek(way->kernel, "vfsmount", path.mnt, "mnt_root", &mnt_root,
                              error))
            return FALSE;
        if (path.dentry == mnt_root) {
            if (!leave_mount(way, &path, &more, error))
                return FALSE;
            if (!more)
                return TRUE;
            continue;
        }
        if (is_root(way, parent)) {
            /* Moved out of the mount: "escaped" there, which leaves nothing. */
            g_ptr_array_set_size(way->names, 0);
            return TRUE;
        }
        if (!add_name(way, error))
            return FALSE;
        path.dentry = parent;
    }
    *ret_reachable = TRUE;
    return TRUE;
}

/* --- the two kinds of text --- */

typedef struct {
    const MosePath *root; /* NULL: within the file system */
    MosePath path;
    gboolean plain; /* the place alone */
    gboolean reachable;
} Wanted;

/* d_path(): one of a pseudo file system may be mounted, and then is a root. */
static gboolean
may_be_pseudo(Way *way, const Wanted *wanted, guint64 parent)
{
    guint64 mnt_root;

    return !wanted->root || !is_root(way, parent) ||
           (mose_object_peek(way->kernel, "vfsmount", wanted->path.mnt, "mnt_root",
                             &mnt_root, NULL) &&
            mnt_root != wanted->path.dentry);
}

static gboolean
climb_within(Way *way, guint64 dentry, GError **error)
{
    for (guint64 parent;; dentry = parent) {
        if (!read_dentry(way, dentry, &parent, error))
            return FALSE;
        if (is_root(way, parent))
            return TRUE;
        if (!add_name(way, error))
            return FALSE;
    }
}

static char *
make_text(MoseLinux *kernel, Wanted *wanted, GError **error)
{
    g_auto(Way)
        way = { .kernel = kernel, .names = g_ptr_array_new_with_free_func(g_free) };
    gboolean unlinked;
    guint64 parent;
    char *text;

    wanted->reachable = TRUE;
    if (!read_dentry(&way, wanted->path.dentry, &parent, error))
        return NULL;
    if (!wanted->plain && may_be_pseudo(&way, wanted, parent)) {
        text = mose_path_pseudo(&way.dentry, error);
        if (!text || *text != '\0')
            return text;
        g_free(text);
    }
    if (!is_unlinked(&way, parent, &unlinked, error))
        return NULL;
    if (!wanted->root)
        return climb_within(&way, wanted->path.dentry, error)
                   ? join(&way, unlinked ? "//deleted" : "")
                   : NULL;
    return climb(&way, wanted->path, wanted->root, &wanted->reachable, error)
               ? join(&way, unlinked && !wanted->plain ? " (deleted)" : "")
               : NULL;
}

static char *
make_settled(MoseLinux *kernel, Wanted *wanted, GError **error)
{
    for (guint i = 0; i < MAX_TRIES; i++) {
        Sequences before = read_sequences(kernel);
        g_autoptr(GError) cause = NULL;
        g_autofree char *text = make_text(kernel, wanted, &cause);

        if (!has_settled(kernel, &before))
            continue;
        if (!text)
            g_propagate_error(error, g_steal_pointer(&cause));
        return g_steal_pointer(&text);
    }
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN,
                "the guest renames or mounts while a path is read");
    return NULL;
}

char *
mose_path_text(MoseLinux *kernel, const MosePath *path, const MosePath *root,
               gboolean *ret_reachable, GError **error)
{
    Wanted wanted = { .root = root, .path = *path };
    char *text = make_settled(kernel, &wanted, error);

    if (ret_reachable)
        *ret_reachable = wanted.reachable;
    return text;
}

char *
mose_path_place(MoseLinux *kernel, const MosePath *path, const MosePath *root,
                gboolean *ret_reachable, GError **error)
{
    Wanted wanted = { .root = root, .path = *path, .plain = TRUE };
    char *text = make_settled(kernel, &wanted, error);

    *ret_reachable = wanted.reachable;
    return text;
}

char *
mose_path_in_filesystem(MoseLinux *kernel, guint64 dentry, GError **error)
{
    Wanted wanted = { .path.dentry = dentry };

    return make_settled(kernel, &wanted, error);
}
