/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control groups of a task, as /proc/PID/cgroup has them (Linux
 * kernel/cgroup/cgroup.c:proc_cgroup_show). Tasks share a css_set, which has one
 * cgroup in each hierarchy.
 */
#include <string.h>

#include "util/error.h"
#include "vmi/linux/task-info-priv.h"

enum { MAX_ROOTS = 64, MAX_SUBSYSTEMS = 32, MAX_LINKS = 256, MAX_DEPTH = 1024 };
#define MAX_PATH 4096
#define CSS_ONLINE 2u /* Linux include/linux/cgroup-defs.h */

typedef struct {
    guint64 address;
    char *label; /* "1:cpu,cpuacct" */
    gboolean is_default;
} Root;

static void
root_clear(gpointer data)
{
    g_free(((Root *)data)->label);
}

void
mose_task_forget_cgroups(MoseTaskReader *reader)
{
    g_clear_pointer(&reader->roots, g_array_unref);
    g_clear_pointer(&reader->csets, g_hash_table_unref);
}

/* --- hierarchies --- */

/* Without a name of its own for v1, a controller's is the same. */
static gboolean
add_controller(MoseLinux *kernel, guint number, GString *label, GError **error)
{
    guint64 table, at, name;
    g_autofree char *text = NULL;

    if (!mose_linux_symbol(kernel, "cgroup_subsys", &table, error) ||
        !mose_space_read_number(kernel->space, table + number * 8, 8, &at, error) ||
        !mose_object_peek(kernel, "cgroup_subsys", at, "legacy_name", &name, error) ||
        !(text = mose_space_read_text(kernel->space, name, 64, error)))
        return FALSE;
    g_string_append_printf(label, "%s%s", g_str_has_suffix(label->str, ":") ? "" : ",",
                           text);
    return TRUE;
}

static char *
label_of(MoseLinux *kernel, const MoseObject *root, gboolean is_default, GError **error)
{
    g_autoptr(GString) label = g_string_new(NULL);
    g_autofree char *name = mose_object_text(root, "name", error);
    guint64 id, mask;

    if (!name || !mose_object_get(root, "hierarchy_id", &id, error) ||
        !mose_object_get(root, "subsys_mask", &mask, error))
        return NULL;
    g_string_printf(label, "%d:", (gint)id);
    for (guint i = 0; !is_default && i < MAX_SUBSYSTEMS; i++)
        if ((mask >> i & 1) && !add_controller(kernel, i, label, error))
            return NULL;
    if (*name)
        g_string_append_printf(label, "%sname=%s",
                               g_str_has_suffix(label->str, ":") ? "" : ",", name);
    return mose_vmi_printable(label->str);
}

/* That of v2 is shown once it was mounted. */
static gboolean
is_shown(MoseLinux *kernel, gboolean is_default)
{
    guint64 at, visible;

    return !is_default || !mose_linux_symbol(kernel, "cgrp_dfl_visible", &at, NULL) ||
           !mose_space_read_number(kernel->space, at, 1, &visible, NULL) ||
           visible != 0;
}

static gboolean
add_root(MoseLinux *kernel, guint64 address, gpointer data, GError **error)
{
    g_auto(MoseObject) object = { 0 };
    GArray *roots = data;
    Root root = { .address = address };
    guint64 dfl;

    if (!mose_linux_symbol(kernel, "cgrp_dfl_root", &dfl, error))
        return FALSE;
    root.is_default = address == dfl;
    if (!is_shown(kernel, root.is_default))
        return TRUE;
    if (!mose_object_read(kernel, "cgroup_root", address, &object, error))
        return FALSE;
    root.label = label_of(kernel, &object, root.is_default, error);
    if (root.label)
        g_array_append_val(roots, root);
    return root.label != NULL;
}

static gboolean
read_roots(MoseLinux *kernel, gpointer data, GError **error)
{
    guint64 head, offset;

    g_array_set_size(data, 0);
    return mose_linux_symbol(kernel, "cgroup_roots", &head, error) &&
           mose_object_offset(kernel, "cgroup_root", "root_list", &offset, NULL,
                              error) &&
           mose_list_walk(kernel, head, offset, MAX_ROOTS, add_root, data, error);
}

/* --- one group --- */

/* A node's name, put before what is in @path; *@node becomes its parent. */
static gboolean
add_node(MoseLinux *kernel, guint64 *node, GString *path, GError **error)
{
    g_autofree char *name = NULL;
    guint64 at, parent;

    /* 6.15 renamed it, for readers under RCU */
    if (!mose_object_peek(
            kernel, "kernfs_node", *node,
            mose_object_offset(kernel, "kernfs_node", "parent", &at, NULL, NULL)
                ? "parent"
                : "__parent",
            &parent, error))
        return FALSE;
    if (parent) {
        if (!mose_object_peek(kernel, "kernfs_node", *node, "name", &at, error) ||
            !(name = mose_space_read_text(kernel->space, at, 256, error)))
            return FALSE;
        g_string_prepend(path, name);
        g_string_prepend_c(path, '/');
    }
    *node = parent;
    return TRUE;
}

static char *
path_of(MoseLinux *kernel, guint64 cgroup, GError **error)
{
    g_autoptr(GString) path = g_string_new(NULL);
    guint64 node;

    if (!mose_object_peek(kernel, "cgroup", cgroup, "kn", &node, error))
        return NULL;
    for (guint i = 0; node; i++) {
        if (i == MAX_DEPTH || path->len > MAX_PATH) {
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                        "the path of the cgroup at 0x%" G_GINT64_MODIFIER
                        "x has no end",
                        cgroup);
            return NULL;
        }
        if (!add_node(kernel, &node, path, error))
            return NULL;
    }
    if (path->len == 0)
        g_string_append_c(path, '/');
    return g_string_free(g_steal_pointer(&path), FALSE);
}

/* --- of a css_set --- */

typedef struct {
    guint64 root; /* that is looked for */
    guint64 found;
} Search;

static gboolean
look_at_link(MoseLinux *kernel, guint64 link, gpointer data, GError **error)
{
    Search *search = data;
    guint64 cgroup, root;

    if (!mose_object_peek(kernel, "cgrp_cset_link", link, "cgrp", &cgroup, error) ||
        !mose_object_peek(kernel, "cgroup", cgroup, "root", &root, error))
        return FALSE;
    if (root != search->root)
        return TRUE;
    search->found = cgroup;
    return FALSE;
}

/* Linux kernel/cgroup/cgroup.c:__cset_cgroup_from_root; 0: it has none there. */
static gboolean
find_cgroup(MoseLinux *kernel, guint64 cset, const Root *root, guint64 *ret,
            GError **error)
{
    Search search = { .root = root->address };
    guint64 first, offset, head;

    if (mose_linux_symbol(kernel, "init_css_set", &first, NULL) && cset == first) {
        if (!mose_object_offset(kernel, "cgroup_root", "cgrp", &offset, NULL, error))
            return FALSE;
        *ret = root->address + offset;
        return TRUE;
    }
    if (root->is_default)
        return mose_object_peek(kernel, "css_set", cset, "dfl_cgrp", ret, error);
    if (!mose_object_offset(kernel, "css_set", "cgrp_links", &head, NULL, error) ||
        !mose_object_offset(kernel, "cgrp_cset_link", "cgrp_link", &offset, NULL,
                            error) ||
        !mose_list_walk(kernel, cset + head, offset, MAX_LINKS, look_at_link, &search,
                        error))
        return FALSE;
    *ret = search.found;
    return TRUE;
}

static char *
line_of(MoseLinux *kernel, guint64 cgroup, const Root *root, gboolean exiting,
        GError **error)
{
    g_autofree char *path =
        exiting && !root->is_default ? g_strdup("/") : path_of(kernel, cgroup, error);
    g_autofree char *shown = NULL;
    guint64 flags;

    if (!path ||
        !mose_object_peek(kernel, "cgroup", cgroup, "self.flags", &flags, error))
        return NULL;
    shown = mose_vmi_printable(path);
    return g_strconcat(root->label, ":", shown,
                       root->is_default && !(flags & CSS_ONLINE) ? " (deleted)" : "",
                       NULL);
}

static char **
lines_of(MoseTaskReader *reader, guint64 cset, gboolean exiting, GError **error)
{
    g_autoptr(GStrvBuilder) lines = g_strv_builder_new();

    for (guint i = 0; i < reader->roots->len; i++) {
        const Root *root = &g_array_index(reader->roots, Root, i);
        g_autofree char *line = NULL;
        guint64 cgroup;

        if (!find_cgroup(reader->kernel, cset, root, &cgroup, error))
            return NULL;
        if (cgroup == 0)
            continue;
        line = line_of(reader->kernel, cgroup, root, exiting, error);
        if (!line)
            return NULL;
        g_strv_builder_add(lines, line);
    }
    return g_strv_builder_end(lines);
}

static gboolean
prepare(MoseTaskReader *reader, GError **error)
{
    g_autoptr(GArray) roots = NULL;

    if (reader->roots)
        return TRUE;
    roots = g_array_new(FALSE, FALSE, sizeof(Root));
    g_array_set_clear_func(roots, root_clear);
    if (!mose_linux_retry(reader->kernel, read_roots, roots, NULL, error))
        return FALSE;
    reader->roots = g_steal_pointer(&roots);
    reader->csets = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free,
                                          (GDestroyNotify)g_strfreev);
    return TRUE;
}

/* Of a task that ends, those of v1 are not told any more but as the first one. */
gboolean
mose_task_read_cgroups(MoseTaskReader *reader, MoseTaskInfo *ret, GError **error)
{
    guint64 cset, flags, key;

    if (!mose_object_get(&reader->task, "cgroups", &cset, error) ||
        !mose_object_get(&reader->task, "flags", &flags, error) ||
        !prepare(reader, error))
        return FALSE;
    key = cset | !!(flags & MOSE_PF_EXITING); /* it is aligned */
    ret->cgroups = g_hash_table_lookup(reader->csets, &key);
    if (!ret->cgroups) {
        ret->cgroups = lines_of(reader, cset, key & 1, error);
        if (!ret->cgroups)
            return FALSE;
        g_hash_table_insert(reader->csets, g_memdup2(&key, sizeof(key)), ret->cgroups);
    }
    return TRUE;
}
