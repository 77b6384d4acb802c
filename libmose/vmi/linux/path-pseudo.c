/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names of what has none in any directory: pipes, sockets, namespaces, memfds. The
 * kernel makes each by a function of its file system's (dentry_operations.d_dname);
 * which one that is, its symbol tells.
 */
#include <string.h>

#include "util/error.h"
#include "vmi/linux/path.h"

#define MAX_NAME 256

static char *
with_inode(const MoseObject *dentry, const char *name, GError **error)
{
    guint64 inode, number;

    if (!mose_object_get(dentry, "d_inode", &inode, error) ||
        !mose_object_peek(dentry->kernel, "inode", inode, "i_ino", &number, error))
        return NULL;
    return g_strdup_printf("%s:[%" G_GUINT64_FORMAT "]", name, number);
}

/* fs/pipe.c:pipefs_dname */
static char *
pipe_name(const MoseObject *dentry, GError **error)
{
    return with_inode(dentry, "pipe", error);
}

/* net/socket.c:sockfs_dname */
static char *
socket_name(const MoseObject *dentry, GError **error)
{
    return with_inode(dentry, "socket", error);
}

/* fs/anon_inodes.c:anon_inodefs_dname */
static char *
nameless_name(const MoseObject *dentry, GError **error)
{
    g_autofree char *name = mose_path_dentry_name(dentry, error);

    return name ? g_strconcat("anon_inode:", name, NULL) : NULL;
}

/* fs/pidfs.c:pidfs_dname */
static char *
pidfd_name(const MoseObject *dentry, GError **error)
{
    return g_strdup("anon_inode:[pidfd]");
}

/* fs/d_path.c:simple_dname */
static char *
simple_name(const MoseObject *dentry, GError **error)
{
    g_autofree char *name = mose_path_dentry_name(dentry, error);

    return name ? g_strconcat("/", name, " (deleted)", NULL) : NULL;
}

/* fs/nsfs.c:ns_dname; i_private is the namespace in all kernels. */
static char *
namespace_name(const MoseObject *dentry, GError **error)
{
    MoseLinux *kernel = dentry->kernel;
    guint64 inode, namespace, ops, at;
    g_autofree char *name = NULL;

    if (!mose_object_get(dentry, "d_inode", &inode, error) ||
        !mose_object_peek(kernel, "inode", inode, "i_private", &namespace, error) ||
        !mose_object_peek(kernel, "ns_common", namespace, "ops", &ops, error) ||
        !mose_object_peek(kernel, "proc_ns_operations", ops, "name", &at, error))
        return NULL;
    name = mose_space_read_text(kernel->space, at, MAX_NAME, error);
    return name ? with_inode(dentry, name, error) : NULL;
}

/* drivers/dma-buf/dma-buf.c:dmabuffs_dname */
static char *
dma_buf_name(const MoseObject *dentry, GError **error)
{
    MoseLinux *kernel = dentry->kernel;
    guint64 buf, at;
    g_autofree char *own = NULL, *name = mose_path_dentry_name(dentry, error);

    if (!name || !mose_object_get(dentry, "d_fsdata", &buf, error) ||
        !mose_object_peek(kernel, "dma_buf", buf, "name", &at, error))
        return NULL;
    own = at ? mose_space_read_text(kernel->space, at, MAX_NAME, error) : g_strdup("");
    return own ? g_strdup_printf("/%s:%s", name, own) : NULL;
}

static const struct {
    const char *function;
    char *(*name)(const MoseObject *dentry, GError **error);
} pseudo[] = {
    { "pipefs_dname", pipe_name },      { "sockfs_dname", socket_name },
    { "simple_dname", simple_name },    { "anon_inodefs_dname", nameless_name },
    { "ns_dname", namespace_name },     { "pidfs_dname", pidfd_name },
    { "dmabuffs_dname", dma_buf_name },
};

char *
mose_path_pseudo(const MoseObject *dentry, GError **error)
{
    const MoseSymbol *symbol;
    guint64 ops, function = 0;

    if (!mose_object_get(dentry, "d_op", &ops, error) ||
        (ops != 0 && !mose_object_peek(dentry->kernel, "dentry_operations", ops,
                                       "d_dname", &function, error)))
        return NULL;
    if (function == 0)
        return g_strdup("");
    symbol = mose_symbols_by_address(dentry->kernel->symbols, function);
    if (!symbol || symbol->address != function) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "the d_dname of the dentry at 0x%" G_GINT64_MODIFIER
                    "x is no function: 0x%" G_GINT64_MODIFIER "x",
                    dentry->address, function);
        return NULL;
    }
    for (guint i = 0; i < G_N_ELEMENTS(pseudo); i++)
        if (strcmp(symbol->name, pseudo[i].function) == 0)
            return pseudo[i].name(dentry, error);
    /* One that is not known: said, not guessed. */
    return with_inode(dentry, symbol->name, error);
}
