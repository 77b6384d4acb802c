/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mose net --links: the network interfaces of a guest. */
#include "cli/cli.h"
#include "cli/net.h"
#include "cli/table.h"
#include "util/json.h"
#include "vmi/linux/links.h"

static const MoseColumn columns[] = {
    { "index", "INDEX" },         { "name", "NAME" },
    { "state", "STATE" },         { "mtu", "MTU" },
    { "hardware", "HARDWARE" },   { "rx_packets", "RX" },
    { "rx_bytes", "RX-BYTES" },   { "tx_packets", "TX" },
    { "tx_bytes", "TX-BYTES" },   { "netns", "NETNS" },
    { "addresses", "ADDRESSES" }, { NULL },
};

/* As ip(8) has them (RFC 2863, Linux include/uapi/linux/if.h). */
static const char *
state_of(const MoseNetLink *link)
{
    static const char *const names[] = {
        "unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up"
    };

    if (!(link->flags & 1))
        return "down";
    return names[link->state < G_N_ELEMENTS(names) ? link->state : 0];
}

static void
set_counts(JsonObject *row, const MoseNetLink *link)
{
    json_object_set_int_member(row, "rx_packets", (gint64)link->rx_packets);
    json_object_set_int_member(row, "rx_bytes", (gint64)link->rx_bytes);
    json_object_set_int_member(row, "tx_packets", (gint64)link->tx_packets);
    json_object_set_int_member(row, "tx_bytes", (gint64)link->tx_bytes);
}

static JsonObject *
to_row(const MoseNetLink *link, const MoseNetns *net)
{
    JsonArray *addresses = json_array_new();
    JsonObject *row = mose_json_object(
        "index", "i", (gint64)link->index, "name", "s", link->name, "state", "s",
        state_of(link), "mtu", "i", (gint64)link->mtu, "hardware", "s",
        *link->hardware ? link->hardware : "-", "type", "i", (gint64)link->type,
        "netns", "i", (gint64)(net ? net->inum : 0), "addresses", "a", addresses, NULL);

    for (guint i = 0; i < link->addresses->len; i++)
        json_array_add_string_element(addresses, link->addresses->pdata[i]);
    if (link->counted)
        set_counts(row, link);
    mose_table_set_hex(row, "flags", link->flags);
    mose_table_set_hex(row, "device", link->address);
    return row;
}

gboolean
mose_net_show_links(MoseLook *look, const char *task_word, GError **error)
{
    g_autoptr(GPtrArray) nets = mose_net_namespaces(look->kernel, task_word, error);
    g_autoptr(GPtrArray) links = NULL;
    g_autoptr(MoseTable) table = mose_table_new(columns);
    guint retries;

    if (!nets || !(links = mose_net_links_read(look->kernel, nets, &retries, error)))
        return FALSE;
    for (guint i = 0; i < links->len; i++) {
        const MoseNetLink *link = links->pdata[i];

        mose_table_add(table, to_row(link, mose_net_namespace_at(nets, link->net)));
    }
    mose_table_print(table, "links", mose_table_retries(retries));
    return TRUE;
}
