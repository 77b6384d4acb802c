/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Paths, from a root downwards. See lookup.h. */
#include "vmi/linux/lookup.h"

#include <string.h>
#include <sys/stat.h>

#include "util/error.h"
#include "vmi/linux/page-cache.h"

#define MAX_LINKS 40 /* Linux include/linux/namei.h: MAXSYMLINKS */
#define MAX_PATH 4096
#define MAX_CHILDREN (4u << 20)
#define MAX_MOUNTS 100000
#define MAX_STACKED 1000

typedef struct {
    MosePath root, at;
    guint links;
} Walk;

static gboolean
fail(int code, const char *what, const char *why, GError **error)
{
    g_autofree char *printable = mose_vmi_printable(what);

    g_set_error(error, MOSE_ERROR, code, "%s: %s", printable, why);
    return FALSE;
}

/* --- a name in a directory --- */

typedef struct {
    const char *name;
    gsize len;
    guint64 found;
} Child;

/* The name's length, which is in the dentry, is compared before the name. */
static gboolean
look_at_child(MoseLinux *kernel, guint64 dentry, gpointer data, GError **error)
{
    Child *child = data;
    guint64 len, name;
    g_autofree char *text = g_malloc(child->len + 1);

    if (!mose_object_peek(kernel, "dentry", dentry, "d_name.len", &len, error) ||
        !mose_object_peek(kernel, "dentry", dentry, "d_name.name", &name, error))
        return FALSE;
    if (len != child->len)
        return TRUE;
    if (!mose_space_read(kernel->space, name, text, len, NULL, error))
        return FALSE;
    if (memcmp(text, child->name, len) != 0)
        return TRUE;
    /* One that was removed and is still open is in no hash any more. */
    if (!mose_object_peek(kernel, "dentry", dentry, "d_hash.pprev", &len, error))
        return FALSE;
    if (len == 0)
        return TRUE;
    child->found = dentry;
    return FALSE;
}

/* 6.8 made the list of children an hlist. */
static gboolean
find_child(MoseLinux *kernel, guint64 directory, Child *child, GError **error)
{
    guint64 head, offset;

    child->found = 0;
    if (mose_object_offset(kernel, "dentry", "d_children", &head, NULL, NULL))
        return mose_object_offset(kernel, "dentry", "d_sib", &offset, NULL, error) &&
               mose_hlist_walk(kernel, directory + head, offset, MAX_CHILDREN,
                               look_at_child, child, error);
    return mose_object_offset(kernel, "dentry", "d_subdirs", &head, NULL, error) &&
           mose_object_offset(kernel, "dentry", "d_child", &offset, NULL, error) &&
           mose_list_walk(kernel, directory + head, offset, MAX_CHILDREN, look_at_child,
                          child, error);
}

/* --- mounts --- */

typedef struct {
    guint64 dentry, found;
} Mounted;

static gboolean
look_at_mount(MoseLinux *kernel, guint64 mount, gpointer data, GError **error)
{
    Mounted *mounted = data;
    guint64 place;

    if (!mose_object_peek(kernel, "mount", mount, "mnt_mountpoint", &place, error))
        return FALSE;
    /* Of several at one place the last one hides the others: it is that one's child.
     * Only an overmount beneath (6.5) makes two of one parent. */
    if (place == mounted->dentry)
        mounted->found = mount;
    return TRUE;
}

/* What is mounted at @at, and on that, and so on (fs/namespace.c:__lookup_mnt). */
static gboolean
cross_mounts(MoseLinux *kernel, MosePath *at, GError **error)
{
    guint64 inner, head, offset;

    if (!mose_object_offset(kernel, "mount", "mnt", &inner, NULL, error) ||
        !mose_object_offset(kernel, "mount", "mnt_mounts", &head, NULL, error) ||
        !mose_object_offset(kernel, "mount", "mnt_child", &offset, NULL, error))
        return FALSE;
    for (guint i = 0; i < MAX_STACKED; i++) {
        Mounted mounted = { at->dentry, 0 };

        if (!mose_list_walk(kernel, at->mnt - inner + head, offset, MAX_MOUNTS,
                            look_at_mount, &mounted, error))
            return FALSE;
        if (mounted.found == 0)
            return TRUE;
        at->mnt = mounted.found + inner;
        if (!mose_object_peek(kernel, "vfsmount", at->mnt, "mnt_root", &at->dentry,
                              error))
            return FALSE;
    }
    return fail(MOSE_ERROR_INVALID, "a mount", "hides another without an end", error);
}

/* "..": out of mounts, and not out of the root (fs/namei.c:choose_mountpoint). */
static gboolean
go_up(MoseLinux *kernel, Walk *walk, GError **error)
{
    MosePath *at = &walk->at;
    guint64 inner, top, parent;

    if (!mose_object_offset(kernel, "mount", "mnt", &inner, NULL, error))
        return FALSE;
    for (guint i = 0; i < MAX_STACKED; i++) {
        if (at->mnt == walk->root.mnt && at->dentry == walk->root.dentry)
            return TRUE;
        if (!mose_object_peek(kernel, "vfsmount", at->mnt, "mnt_root", &top, error))
            return FALSE;
        if (at->dentry != top)
            return mose_object_peek(kernel, "dentry", at->dentry, "d_parent",
                                    &at->dentry, error) &&
                   cross_mounts(kernel, at, error);
        if (!mose_object_peek(kernel, "mount", at->mnt - inner, "mnt_parent", &parent,
                              error) ||
            !mose_object_peek(kernel, "mount", at->mnt - inner, "mnt_mountpoint",
                              &at->dentry, error))
            return FALSE;
        if (parent + inner == at->mnt)
            return TRUE;
        at->mnt = parent + inner;
    }
    return TRUE;
}

/* --- symbolic links --- */

gboolean
mose_path_inode(MoseLinux *kernel, const MosePath *path, guint64 *ret, GError **error)
{
    if (!mose_object_peek(kernel, "dentry", path->dentry, "d_inode", ret, error))
        return FALSE;
    if (*ret != 0)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND, "it does not exist");
    return FALSE;
}

/* Short ones are with the inode, others are the file's contents. */
static char *
read_link(MoseLinux *kernel, guint64 inode, GError **error)
{
    guint64 at;
    MosePageCache file;
    g_autofree char *text = NULL;

    if (!mose_object_peek(kernel, "inode", inode, "i_link", &at, error))
        return NULL;
    if (at != 0)
        return mose_space_read_text(kernel->space, at, MAX_PATH, error);
    if (!mose_page_cache_of_inode(kernel, inode, &file, error))
        return NULL;
    if (file.size == 0 || file.size > MAX_PATH) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                    "a symbolic link on %s that only that knows", file.filesystem);
        return NULL;
    }
    text = g_malloc0(file.size + 1);
    return mose_page_cache_read(kernel, &file, 0, text, file.size, NULL, error)
               ? g_steal_pointer(&text)
               : NULL;
}

/* --- the walk --- */

static gboolean walk_path(MoseLinux *kernel, Walk *walk, const char *path,
                          gboolean follow, GError **error);

/* The link that @walk has come to, whose directory is @from. */
static gboolean
follow_link(MoseLinux *kernel, Walk *walk, const MosePath *from, guint64 inode,
            const char *name, GError **error)
{
    g_autofree char *target = NULL;

    if (++walk->links > MAX_LINKS)
        return fail(MOSE_ERROR_INVALID, name, "more than 40 symbolic links", error);
    target = read_link(kernel, inode, error);
    if (!target)
        return FALSE;
    walk->at = *target == '/' ? walk->root : *from;
    /* As deep as there are links. */
    return walk_path(kernel, walk, target, TRUE, error);
}

static gboolean
step_into(MoseLinux *kernel, Walk *walk, const char *name, gboolean follow,
          GError **error)
{
    MosePath from = walk->at;
    Child child = { name, strlen(name), 0 };
    guint64 inode, mode;

    if (!find_child(kernel, walk->at.dentry, &child, error))
        return FALSE;
    if (child.found == 0)
        return fail(MOSE_ERROR_NOT_FOUND, name,
                    "not in the guest's cache of names: it may exist all the same",
                    error);
    walk->at.dentry = child.found;
    if (!mose_object_peek(kernel, "dentry", child.found, "d_inode", &inode, error))
        return FALSE;
    if (inode == 0)
        return fail(MOSE_ERROR_NOT_FOUND, name,
                    "the guest knows that it does not exist", error);
    if (!mose_object_peek(kernel, "inode", inode, "i_mode", &mode, error))
        return FALSE;
    if (S_ISLNK(mode) && follow)
        return follow_link(kernel, walk, &from, inode, name, error);
    return cross_mounts(kernel, &walk->at, error);
}

static gboolean
is_directory(MoseLinux *kernel, const MosePath *at, const char *name, GError **error)
{
    guint64 inode, mode;

    if (!mose_path_inode(kernel, at, &inode, error) ||
        !mose_object_peek(kernel, "inode", inode, "i_mode", &mode, error))
        return FALSE;
    return S_ISDIR(mode) ||
           fail(MOSE_ERROR_INVALID, name, "what is before it is no directory", error);
}

static gboolean
walk_path(MoseLinux *kernel, Walk *walk, const char *path, gboolean follow,
          GError **error)
{
    g_auto(GStrv) names = g_strsplit(path, "/", -1);

    for (char **name = names; *name; name++) {
        gboolean last = TRUE;

        if (**name == '\0' || strcmp(*name, ".") == 0)
            continue;
        for (char **other = name + 1; *other; other++)
            last = last && **other == '\0';
        if (!is_directory(kernel, &walk->at, *name, error) ||
            !(strcmp(*name, "..") == 0
                  ? go_up(kernel, walk, error)
                  : step_into(kernel, walk, *name, follow || !last, error)))
            return FALSE;
    }
    return TRUE;
}

typedef struct {
    const MosePath *root;
    const char *path;
    gboolean follow;
    MosePath *ret;
} Try;

static gboolean
try_find(MoseLinux *kernel, gpointer data, GError **error)
{
    const Try *what = data;
    Walk walk = { .root = *what->root, .at = *what->root };

    if (!cross_mounts(kernel, &walk.at, error))
        return FALSE;
    walk.root = walk.at;
    if (!walk_path(kernel, &walk, what->path, what->follow, error))
        return FALSE;
    *what->ret = walk.at;
    return TRUE;
}

gboolean
mose_path_look_up(MoseLinux *kernel, const MosePath *root, const char *path,
                  gboolean follow, MosePath *ret, GError **error)
{
    Try what = { root, path, follow, ret };

    if (*path != '/' || strlen(path) >= MAX_PATH)
        return fail(MOSE_ERROR_INVALID, path, "no absolute path", error);
    if (mose_linux_retry(kernel, try_find, &what, NULL, error))
        return TRUE;
    g_prefix_error(error, "%s: ", path);
    return FALSE;
}
