/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One mount: what fs/proc_namespace.c:show_mountinfo tells of it. */
#include <string.h>

#include "util/error.h"
#include "vmi/linux/mounts.h"

#define MAX_TEXT 4096
#define MAX_MASTERS 4096
#define MAX_PEERS (1u << 20)
#define MINOR_BITS 20

typedef struct {
    guint64 bit;
    const char *word;
} Flag;

/* --- words --- */

/* Blanks part the columns. */
static char *
to_word(const char *text)
{
    g_autofree char *printable = mose_vmi_printable(text);
    g_auto(GStrv) parts = g_strsplit(printable, " ", -1);

    return g_strjoinv("\\x20", parts);
}

static char *
word_at(MoseLinux *kernel, guint64 address, GError **error)
{
    g_autofree char *text =
        address ? mose_space_read_text(kernel->space, address, MAX_TEXT, error)
                : g_strdup("none");

    return text ? to_word(text) : NULL;
}

static char *
flags_text(guint64 flags, guint64 read_only, const Flag *words, guint n,
           const char *more)
{
    GString *text = g_string_new(flags & read_only ? "ro" : "rw");

    for (guint i = 0; i < n; i++)
        if (flags & words[i].bit)
            g_string_append_printf(text, ",%s", words[i].word);
    g_string_append(text, more);
    return g_string_free(text, FALSE);
}

/* --- the mount's own --- */

/* include/linux/mount.h: the same in all kernels */
static const Flag mount_flags[] = {
    { 0x01, "nosuid" },      { 0x02, "nodev" },      { 0x04, "noexec" },
    { 0x08, "noatime" },     { 0x10, "nodiratime" }, { 0x20, "relatime" },
    { 0x80, "nosymfollow" },
};
#define MNT_READONLY 0x40

/* include/linux/fs.h:is_idmapped_mnt. A constant since 6.2; before, the user namespace
 * is another than the file system's. */
static gboolean
is_idmapped(const MoseObject *object, guint64 super, gboolean *ret, GError **error)
{
    guint64 map, plain;

    if (mose_object_has(object, "mnt.mnt_idmap"))
        return mose_object_get(object, "mnt.mnt_idmap", &map, error) &&
               mose_linux_symbol(object->kernel, "nop_mnt_idmap", &plain, error) &&
               (*ret = map != plain, TRUE);
    *ret = FALSE;
    return !mose_object_has(object, "mnt.mnt_userns") ||
           (mose_object_get(object, "mnt.mnt_userns", &map, error) &&
            mose_object_peek(object->kernel, "super_block", super, "s_user_ns", &plain,
                             error) &&
            (*ret = map != plain, TRUE));
}

static gboolean
read_options(const MoseObject *object, guint64 super, MoseMount *ret, GError **error)
{
    gboolean mapped;
    guint64 flags;

    if (!mose_object_get(object, "mnt.mnt_flags", &flags, error) ||
        !is_idmapped(object, super, &mapped, error))
        return FALSE;
    ret->options = flags_text(flags, MNT_READONLY, mount_flags,
                              G_N_ELEMENTS(mount_flags), mapped ? ",idmapped" : "");
    return TRUE;
}

/* --- the file system's --- */

/* include/linux/fs.h: SB_* */
static const Flag super_flags[] = {
    { 1 << 4, "sync" },
    { 1 << 7, "dirsync" },
    { 1 << 6, "mand" },
    { 1 << 25, "lazytime" },
};
#define SB_RDONLY 1

static gboolean
read_type(MoseLinux *kernel, guint64 super, MoseMount *ret, GError **error)
{
    guint64 type, name, subtype;
    g_autofree char *first = NULL, *second = NULL;

    if (!mose_object_peek(kernel, "super_block", super, "s_type", &type, error) ||
        !mose_object_peek(kernel, "super_block", super, "s_subtype", &subtype, error) ||
        !mose_object_peek(kernel, "file_system_type", type, "name", &name, error) ||
        !(first = word_at(kernel, name, error)) ||
        (subtype != 0 && !(second = word_at(kernel, subtype, error))))
        return FALSE;
    ret->type =
        second ? g_strconcat(first, ".", second, NULL) : g_steal_pointer(&first);
    return TRUE;
}

static gboolean
read_super(MoseLinux *kernel, guint64 super, MoseMount *ret, GError **error)
{
    guint64 device, flags;

    if (!mose_object_peek(kernel, "super_block", super, "s_dev", &device, error) ||
        !mose_object_peek(kernel, "super_block", super, "s_flags", &flags, error))
        return FALSE;
    ret->major = (guint32)device >> MINOR_BITS;
    ret->minor = device & ((1u << MINOR_BITS) - 1);
    ret->super_options =
        flags_text(flags, SB_RDONLY, super_flags, G_N_ELEMENTS(super_flags), "");
    return read_type(kernel, super, ret, error);
}

/* --- peers and masters --- */

/* fs/mount.h: T_SHARED and T_UNBINDABLE of mnt_t_flags; until 6.16 they are among the
 * others, as MNT_SHARED and MNT_UNBINDABLE. */
static gboolean
read_propagation(const MoseObject *object, gboolean *ret_shared,
                 gboolean *ret_unbindable, GError **error)
{
    gboolean apart = mose_object_has(object, "mnt_t_flags");
    guint64 flags;

    if (!mose_object_get(object, apart ? "mnt_t_flags" : "mnt.mnt_flags", &flags,
                         error))
        return FALSE;
    *ret_shared = (flags & (apart ? 1 : 0x1000)) != 0;
    *ret_unbindable = (flags & (apart ? 2 : 0x2000)) != 0;
    return TRUE;
}

typedef struct {
    guint64 namespace; /* of the mount that is told of */
    const MosePath *root;
    guint64 found; /* group id of the first peer that can be seen; 0: none */
} Peers;

/* fs/pnode.c:get_peer_under_root */
static gboolean
look_at_peer(MoseLinux *kernel, guint64 mount, gpointer data, GError **error)
{
    Peers *peers = data;
    g_autofree char *text = NULL;
    guint64 namespace, offset, group;
    gboolean seen;
    MosePath path;

    if (!mose_object_peek(kernel, "mount", mount, "mnt_ns", &namespace, error) ||
        !mose_object_peek(kernel, "mount", mount, "mnt_group_id", &group, error) ||
        !mose_object_peek(kernel, "mount", mount, "mnt.mnt_root", &path.dentry,
                          error) ||
        !mose_object_offset(kernel, "mount", "mnt", &offset, NULL, error))
        return FALSE;
    if (namespace != peers->namespace)
        return TRUE;
    path.mnt = mount + offset;
    text = mose_path_place(kernel, &path, peers->root, &seen, error);
    if (!text)
        return FALSE;
    if (seen)
        peers->found = group;
    return !seen;
}

/* Of a walk that ended because it found one: FALSE without an error. */
static gboolean
look_at_peers(MoseLinux *kernel, guint64 mount, Peers *peers, GError **error)
{
    g_autoptr(GError) cause = NULL;
    guint64 share;

    if (!mose_object_offset(kernel, "mount", "mnt_share", &share, NULL, error))
        return FALSE;
    if (!look_at_peer(kernel, mount, peers, &cause)) {
        if (!cause)
            return TRUE;
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
    return mose_list_walk(kernel, mount + share, share, MAX_PEERS, look_at_peer, peers,
                          error);
}

/* fs/pnode.c:get_dominating_id */
static gboolean
find_dominating(const MoseObject *object, const MosePath *root, guint64 master,
                guint64 *ret, GError **error)
{
    MoseLinux *kernel = object->kernel;
    Peers peers = { .root = root };

    if (!mose_object_get(object, "mnt_ns", &peers.namespace, error))
        return FALSE;
    for (guint i = 0; master != 0 && peers.found == 0; i++) {
        if (i == MAX_MASTERS) {
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                        "the masters of the mount at 0x%" G_GINT64_MODIFIER
                        "x have no end",
                        object->address);
            return FALSE;
        }
        if (!look_at_peers(kernel, master, &peers, error) ||
            !mose_object_peek(kernel, "mount", master, "mnt_master", &master, error))
            return FALSE;
    }
    *ret = peers.found;
    return TRUE;
}

static gboolean
read_groups(const MoseObject *object, const MosePath *root, MoseMount *ret,
            GError **error)
{
    guint64 group, master, master_group, dominating;
    gboolean shared;

    if (!read_propagation(object, &shared, &ret->unbindable, error) ||
        !mose_object_get(object, "mnt_group_id", &group, error) ||
        !mose_object_get(object, "mnt_master", &master, error))
        return FALSE;
    ret->shared = shared ? (gint64)group : 0;
    if (master == 0)
        return TRUE;
    if (!mose_object_peek(object->kernel, "mount", master, "mnt_group_id",
                          &master_group, error) ||
        !find_dominating(object, root, master, &dominating, error))
        return FALSE;
    ret->master = (gint64)master_group;
    ret->propagate_from = dominating == master_group ? 0 : (gint64)dominating;
    return TRUE;
}

/* --- where --- */

/* FALSE without an error: it is not below @root. */
static gboolean
read_places(const MoseObject *object, const MosePath *root, MoseMount *ret,
            GError **error)
{
    MoseLinux *kernel = object->kernel;
    g_autofree char *point = NULL, *within = NULL;
    gboolean seen;
    MosePath path;

    if (!mose_object_address(object, "mnt", &path.mnt, error) ||
        !mose_object_get(object, "mnt.mnt_root", &path.dentry, error) ||
        !(point = mose_path_place(kernel, &path, root, &seen, error)) || !seen ||
        !(within = mose_path_in_filesystem(kernel, path.dentry, error)))
        return FALSE;
    ret->point = to_word(point);
    ret->root = to_word(within);
    return TRUE;
}

static gboolean
read_ids(const MoseObject *object, MoseMount *ret, GError **error)
{
    guint64 id, parent, parent_id;

    if (!mose_object_get(object, "mnt_id", &id, error) ||
        !mose_object_get(object, "mnt_parent", &parent, error) ||
        !mose_object_peek(object->kernel, "mount", parent, "mnt_id", &parent_id, error))
        return FALSE;
    ret->id = (gint64)id;
    ret->parent = (gint64)parent_id;
    return TRUE;
}

gboolean
mose_mount_read(const MoseObject *object, const MosePath *root, MoseMount *ret,
                GError **error)
{
    MoseLinux *kernel = object->kernel;
    guint64 super, source;

    ret->address = object->address;
    if (!read_places(object, root, ret, error) || !read_ids(object, ret, error) ||
        !mose_object_get(object, "mnt.mnt_sb", &super, error) ||
        !mose_object_get(object, "mnt_devname", &source, error) ||
        !read_options(object, super, ret, error) ||
        !read_super(kernel, super, ret, error) ||
        !read_groups(object, root, ret, error))
        return FALSE;
    ret->source = word_at(kernel, source, error);
    return ret->source != NULL;
}
