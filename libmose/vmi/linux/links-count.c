/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What network interfaces have counted, where the kernel's common code does it
 * (net/core/dev.c: dev_get_stats()): in struct net_device, and on each CPU. Drivers
 * that count for themselves have what they count in structs of their own.
 */
#include "vmi/linux/links-priv.h"

/* Linux include/linux/netdevice.h: enum netdev_stat_type */
enum { STAT_NONE, STAT_LOOPBACK, STAT_TUNNEL, STAT_DEVICE };

static gboolean
is_symbol(const MoseLinux *kernel, const char *name, guint64 address)
{
    guint64 at;

    return mose_linux_symbol(kernel, name, &at, NULL) && at == address;
}

/* Which of them it uses; FALSE: the driver does it. */
static gboolean
find_kind(const MoseObject *device, guint64 get_stats64, guint64 get_stats,
          guint *ret_kind)
{
    guint64 kind;

    *ret_kind = STAT_NONE;
    if (get_stats64 != 0) {
        if (is_symbol(device->kernel, "loopback_get_stats64", get_stats64))
            *ret_kind = STAT_LOOPBACK;
        else if (is_symbol(device->kernel, "dev_get_tstats64", get_stats64))
            *ret_kind = STAT_TUNNEL;
        return *ret_kind != STAT_NONE;
    }
    if (get_stats != 0)
        return FALSE;
    /* 6.8 lets the common code see what there is for each CPU. */
    if (mose_object_get(device, "pcpu_stat_type", &kind, NULL) &&
        (kind == STAT_TUNNEL || kind == STAT_DEVICE))
        *ret_kind = kind;
    return TRUE;
}

static gboolean
add_own(const MoseObject *device, MoseNetLink *link, GError **error)
{
    return mose_object_get(device, "stats.rx_packets", &link->rx_packets, error) &&
           mose_object_get(device, "stats.rx_bytes", &link->rx_bytes, error) &&
           mose_object_get(device, "stats.tx_packets", &link->tx_packets, error) &&
           mose_object_get(device, "stats.tx_bytes", &link->tx_bytes, error);
}

/* What went through the loopback was sent and received. */
static gboolean
add_loopback(MoseLinux *kernel, guint64 at, MoseNetLink *link, GError **error)
{
    guint64 packets, bytes;

    if (!mose_object_peek(kernel, "pcpu_lstats", at, "packets", &packets, error) ||
        !mose_object_peek(kernel, "pcpu_lstats", at, "bytes", &bytes, error))
        return FALSE;
    link->rx_packets += packets;
    link->tx_packets += packets;
    link->rx_bytes += bytes;
    link->tx_bytes += bytes;
    return TRUE;
}

static gboolean
add_device(const MoseObject *counts, MoseNetLink *link, GError **error)
{
    guint64 rx_packets, rx_bytes, tx_packets, tx_bytes;

    if (!mose_object_get(counts, "rx_packets", &rx_packets, error) ||
        !mose_object_get(counts, "rx_bytes", &rx_bytes, error) ||
        !mose_object_get(counts, "tx_packets", &tx_packets, error) ||
        !mose_object_get(counts, "tx_bytes", &tx_bytes, error))
        return FALSE;
    link->rx_packets += rx_packets;
    link->rx_bytes += rx_bytes;
    link->tx_packets += tx_packets;
    link->tx_bytes += tx_bytes;
    return TRUE;
}

/* A pointer to a per-CPU variable is that to which each CPU's offset is added. */
static gboolean
add_cpu(MoseLinux *kernel, guint kind, guint64 base, guint cpu, MoseNetLink *link,
        GError **error)
{
    g_auto(MoseObject) counts = { 0 };
    guint64 offsets, offset;

    if (!mose_linux_symbol(kernel, "__per_cpu_offset", &offsets, error) ||
        !mose_space_read_number(kernel->space, offsets + (guint64)cpu * 8, 8, &offset,
                                error))
        return FALSE;
    if (kind == STAT_LOOPBACK)
        return add_loopback(kernel, base + offset, link, error);
    return mose_object_read(kernel,
                            kind == STAT_TUNNEL ? "pcpu_sw_netstats" : "pcpu_dstats",
                            base + offset, &counts, error) &&
           add_device(&counts, link, error);
}

gboolean
mose_net_link_count(const MoseObject *device, MoseNetLink *link, GError **error)
{
    MoseLinux *kernel = device->kernel;
    guint64 ops, get_stats64, get_stats, base;
    guint kind;

    if (!mose_object_get(device, "netdev_ops", &ops, error) ||
        !mose_object_peek(kernel, "net_device_ops", ops, "ndo_get_stats64",
                          &get_stats64, error) ||
        !mose_object_peek(kernel, "net_device_ops", ops, "ndo_get_stats", &get_stats,
                          error))
        return FALSE;
    if (!find_kind(device, get_stats64, get_stats, &kind))
        return TRUE;
    if (!add_own(device, link, error) ||
        !mose_object_get(device, "lstats", &base, error))
        return FALSE;
    for (guint cpu = 0; kind != STAT_NONE && base != 0 && cpu < kernel->n_cpus; cpu++)
        if (!add_cpu(kernel, kind, base, cpu, link, error))
            return FALSE;
    link->counted = TRUE;
    return TRUE;
}
