/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mose net: the sockets of a guest, from outside; its interfaces: net-links.c. */
#include "cli/net.h"

#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/table.h"
#include "util/json.h"
#include "vmi/linux/socket-owners.h"
#include "vmi/linux/sockets.h"

static gboolean links, listening;
static char *pid_word, *kind_words;

static const GOptionEntry entries[] = {
    { "pid", 0, 0, G_OPTION_ARG_STRING, &pid_word,
      "of the network namespace of this task alone", "PID|TASK" },
    { "kinds", 0, 0, G_OPTION_ARG_STRING, &kind_words,
      "these alone: tcp,udp,udplite,raw,unix,packet,netlink", "LIST" },
    { "listening", 0, 0, G_OPTION_ARG_NONE, &listening,
      "those alone that wait for somebody", NULL },
    { "links", 0, 0, G_OPTION_ARG_NONE, &links,
      "the network interfaces with their addresses instead", NULL },
    { NULL },
};

static const MoseColumn columns[] = {
    { "kind", "KIND" },
    { "state", "STATE" },
    { "rx_queue", "RECV-Q" },
    { "tx_queue", "SEND-Q" },
    { "local", "LOCAL" },
    { "remote", "REMOTE" },
    { "uid", "UID" },
    { "inode", "INODE" },
    { "netns", "NETNS" },
    { "owners", "OWNERS" },
    { NULL },
};

static gboolean
parse_kinds(guint *ret)
{
    g_auto(GStrv) words = g_strsplit(kind_words ? kind_words : "", ",", -1);

    *ret = kind_words ? 0 : G_MAXUINT;
    for (char **word = words; *word; word++) {
        guint kind = 0;

        while (kind < MOSE_SOCKET_N_KINDS &&
               strcmp(*word, mose_socket_kinds[kind]) != 0)
            kind++;
        if (kind == MOSE_SOCKET_N_KINDS) {
            fprintf(stderr, "%s: there is no kind of socket '%s'\n", g_get_prgname(),
                    *word);
            return FALSE;
        }
        *ret |= 1u << kind;
    }
    return TRUE;
}

GPtrArray *
mose_net_namespaces(MoseLinux *kernel, const char *task_word, GError **error)
{
    g_autoptr(MoseTask) task = NULL;

    if (!task_word)
        return mose_netns_read(kernel, NULL, error);
    task = mose_task_find(kernel, task_word, error);
    return task ? mose_netns_of_task(kernel, task, error) : NULL;
}

const MoseNetns *
mose_net_namespace_at(const GPtrArray *nets, guint64 address)
{
    for (guint i = 0; i < nets->len; i++)
        if (((MoseNetns *)nets->pdata[i])->address == address)
            return nets->pdata[i];
    return NULL;
}

/* --- rows --- */

/* As they are in the rows: "apache2/142/3". */
static void
set_owners(JsonObject *row, GHashTable *owners, const MoseSocket *socket)
{
    const GPtrArray *list = g_hash_table_lookup(owners, &socket->socket);
    JsonArray *array = json_array_new();

    for (guint i = 0; list && i < list->len; i++) {
        const MoseSocketOwner *owner = list->pdata[i];
        g_autofree char *text =
            g_strdup_printf("%s/%d/%u", owner->comm, owner->pid, owner->fd);

        json_array_add_string_element(array, text);
    }
    json_object_set_array_member(row, "owners", array);
}

static const char *
kind_of(const MoseSocket *socket)
{
    static const char *const v6[] = { "tcp6", "udp6", "udplite6", "raw6" };
    static const char *const unix_types[] = { "unix", "u_str", "u_dgr",
                                              "unix", "unix",  "u_seq" };

    if (socket->kind == MOSE_SOCKET_UNIX)
        return unix_types[socket->type < G_N_ELEMENTS(unix_types) ? socket->type : 0];
    return socket->family == 10 && socket->kind < G_N_ELEMENTS(v6)
               ? v6[socket->kind]
               : mose_socket_kinds[socket->kind];
}

/* What a netlink or packet socket is about; numbers, as /proc/net has them. */
static void
set_own(JsonObject *row, const MoseSocket *socket)
{
    g_autofree char *local = NULL;

    if (socket->ifindex)
        json_object_set_int_member(row, "ifindex", socket->ifindex);
    if (socket->kind == MOSE_SOCKET_PACKET) {
        local = g_strdup_printf("0x%04x%%%u", socket->protocol, socket->ifindex);
        json_object_set_int_member(row, "protocol", socket->protocol);
    } else if (socket->kind == MOSE_SOCKET_NETLINK) {
        local = g_strdup_printf("%u:%u", socket->protocol, socket->portid);
        json_object_set_int_member(row, "protocol", socket->protocol);
        json_object_set_int_member(row, "portid", socket->portid);
        json_object_set_int_member(row, "groups", socket->groups);
    }
    if (local)
        json_object_set_string_member(row, "local", local);
}

static JsonObject *
to_row(const MoseSocket *socket, const MoseNetns *net, GHashTable *owners)
{
    JsonObject *row = mose_json_object(
        "kind", "s", kind_of(socket), "state", "s", socket->state, "rx_queue", "i",
        (gint64)socket->rx_queue, "tx_queue", "i", (gint64)socket->tx_queue, "local",
        "s", *socket->local ? socket->local : "-", "remote", "s",
        *socket->remote ? socket->remote : "-", "uid", "i", (gint64)socket->uid,
        "inode", "i", (gint64)socket->inode, "netns", "i",
        (gint64)(net ? net->inum : 0), NULL);

    if (socket->type)
        json_object_set_int_member(row, "type", socket->type);
    set_own(row, socket);
    set_owners(row, owners, socket);
    mose_table_set_hex(row, "sock", socket->address);
    if (socket->peer)
        mose_table_set_hex(row, "peer", socket->peer);
    return row;
}

/* Who has something to accept, or takes what comes. */
static gboolean
is_listening(const MoseSocket *socket)
{
    if (strcmp(socket->state, "LISTEN") == 0)
        return TRUE;
    return strcmp(socket->state, "UNCONN") == 0 && socket->kind != MOSE_SOCKET_TCP &&
           (socket->kind != MOSE_SOCKET_UNIX || *socket->local);
}

static void
tell_missing(const GPtrArray *missing, JsonObject *more)
{
    JsonArray *array = json_array_new();

    for (guint i = 0; i < missing->len; i++) {
        json_array_add_string_element(array, missing->pdata[i]);
        /* Who does not ask for UDP-Lite does not miss it: Linux has it no more. */
        if (!mose_cli_json() &&
            (kind_words || !g_str_has_prefix(missing->pdata[i], "udplite:")))
            fprintf(stderr, "%s: %s\n", g_get_prgname(), (char *)missing->pdata[i]);
    }
    json_object_set_array_member(more, "missing", array);
}

static gboolean
show_sockets(MoseLook *look, guint kinds, GError **error)
{
    g_autoptr(GPtrArray) nets = mose_net_namespaces(look->kernel, pid_word, error);
    g_autoptr(GPtrArray) sockets = NULL, missing = NULL;
    g_autoptr(GHashTable) owners = NULL;
    g_autoptr(MoseTable) table = mose_table_new(columns);
    JsonObject *more;
    guint retries;

    if (!nets || !(owners = mose_socket_owners(look->kernel, error)) ||
        !(sockets =
              mose_sockets_read(look->kernel, nets, kinds, &retries, &missing, error)))
        return FALSE;
    for (guint i = 0; i < sockets->len; i++) {
        const MoseSocket *socket = sockets->pdata[i];

        if (!listening || is_listening(socket))
            mose_table_add(
                table,
                to_row(socket, mose_net_namespace_at(nets, socket->net), owners));
    }
    more = mose_table_retries(retries);
    tell_missing(missing, more);
    mose_table_print(table, "sockets", more);
    return TRUE;
}

int
mose_cmd_net(int argc, char **argv)
{
    g_auto(MoseLook) look = { 0 };
    g_autoptr(GError) error = NULL;
    guint kinds;
    int ret;

    if (!mose_cli_parse(&argc, &argv, entries, 1, 1, &ret))
        return ret;
    if (!parse_kinds(&kinds))
        return MOSE_EXIT_USAGE;
    if (!mose_look_open_linux(&look, argv[1], &error) ||
        !(links ? mose_net_show_links(&look, pid_word, &error)
                : show_sockets(&look, kinds, &error)))
        return mose_look_fail(&look, error);
    return MOSE_EXIT_DONE;
}
