/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Network namespaces. See netns.h. */
#include "vmi/linux/netns.h"

#include "util/error.h"

#define MAX_NETNS (1u << 20)

static MoseNetns *
netns_at(MoseLinux *kernel, guint64 address, GError **error)
{
    guint64 inum, first;
    MoseNetns *net;

    if (!mose_object_peek(kernel, "net", address, "ns.inum", &inum, error) ||
        !mose_linux_symbol(kernel, "init_net", &first, error))
        return NULL;
    net = g_new0(MoseNetns, 1);
    net->address = address;
    net->inum = inum;
    net->first = address == first;
    return net;
}

static gboolean
add_netns(MoseLinux *kernel, guint64 address, gpointer data, GError **error)
{
    MoseNetns *net = netns_at(kernel, address, error);

    if (net)
        g_ptr_array_add(data, net);
    return net != NULL;
}

static gboolean
read_all(MoseLinux *kernel, gpointer data, GError **error)
{
    guint64 head, offset;

    g_ptr_array_set_size(data, 0);
    return mose_linux_symbol(kernel, "net_namespace_list", &head, error) &&
           mose_object_offset(kernel, "net", "list", &offset, NULL, error) &&
           mose_list_walk(kernel, head, offset, MAX_NETNS, add_netns, data, error);
}

GPtrArray *
mose_netns_read(MoseLinux *kernel, guint *ret_retries, GError **error)
{
    g_autoptr(GPtrArray) nets = g_ptr_array_new_with_free_func(g_free);

    return mose_linux_retry(kernel, read_all, nets, ret_retries, error)
               ? g_steal_pointer(&nets)
               : NULL;
}

GPtrArray *
mose_netns_of_task(MoseLinux *kernel, const MoseTask *task, GError **error)
{
    g_autoptr(GPtrArray) nets = g_ptr_array_new_with_free_func(g_free);
    guint64 proxy, address;

    if (!mose_object_peek(kernel, "task_struct", task->address, "nsproxy", &proxy,
                          error))
        return NULL;
    if (proxy == 0) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                    "task %d (%s) is in no network namespace: it has ended", task->pid,
                    task->comm);
        return NULL;
    }
    if (!mose_object_peek(kernel, "nsproxy", proxy, "net_ns", &address, error) ||
        !add_netns(kernel, address, nets, error))
        return NULL;
    return g_steal_pointer(&nets);
}
