/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What crash says of sockets and network devices. See vmi-crash.c. */
#include <gio/gio.h>
#include <string.h>

#include "util/json.h"
#include "vmi-crash.h"

#define ADDRESS "([0-9a-f]{16})"

/* --- devices --- */

static gint64
namespace_of_init(const CrashWorld *world)
{
    g_autoptr(JsonObject) object = crash_mose(world, "ps", NULL);
    JsonArray *tasks = crash_array(object, "tasks");

    for (guint i = 0; i < json_array_get_length(tasks); i++) {
        JsonObject *task = mose_json_element(tasks, i);

        if (mose_json_int(task, "pid", -1) == 1)
            return mose_json_int(mose_json_child(task, "namespaces"), "net", -1);
    }
    g_error("there is no process 1");
}

static void
append_link(GPtrArray *lines, JsonObject *link)
{
    JsonArray *addresses = mose_json_array(link, "addresses");
    g_autofree char *name = crash_row(link, "device name");
    g_autoptr(GString) line = g_string_new(name);

    for (guint i = 0; addresses && i < json_array_get_length(addresses); i++) {
        const char *address = json_array_get_string_element(addresses, i);

        g_string_append(line, i > 0 ? ", " : " ");
        g_string_append_len(line, address, (gssize)strcspn(address, "/"));
    }
    g_ptr_array_add(lines, g_strdup(line->str));
}

/* Those of the first namespace, which is what crash looks at. */
void
test_crash_links(const CrashWorld *world)
{
    const char *text = crash_task_answer(world, "net");
    g_autoptr(JsonObject) object = NULL;
    g_autoptr(GPtrArray) ours = g_ptr_array_new_with_free_func(g_free), theirs = NULL;
    JsonArray *links;
    gint64 first;

    if (!text)
        return;
    first = namespace_of_init(world);
    object = crash_mose(world, "net", "--links");
    links = crash_array(object, "links");
    for (guint i = 0; i < json_array_get_length(links); i++)
        if (mose_json_int(mose_json_element(links, i), "netns", -1) == first)
            append_link(ours, mose_json_element(links, i));
    theirs = crash_lines(text, "^" ADDRESS " +(\\S+)(?: +(\\S.*?))? *$", "\\1 \\2 \\3");
    crash_compare("links", ours, theirs);
}

/* --- sockets --- */

static const char *
kind_of(JsonObject *socket)
{
    static const struct {
        const char *ours, *theirs;
    } kinds[] = {
        { "tcp", "INET:STREAM" },      { "tcp6", "INET6:STREAM" },
        { "udp", "INET:DGRAM" },       { "udp6", "INET6:DGRAM" },
        { "u_str", "UNIX:STREAM" },    { "u_dgr", "UNIX:DGRAM" },
        { "u_seq", "UNIX:SEQPACKET" },
    };
    const char *kind = mose_json_string(socket, "kind", "");

    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++)
        if (strcmp(kinds[i].ours, kind) == 0)
            return kinds[i].theirs;
    return NULL;
}

/* "[::1]:80" as crash has it: 0:0:0:0:0:0:0:1-80. */
static char *
end_of(const char *text)
{
    g_autoptr(GSocketConnectable) whole = g_network_address_parse(text, 0, NULL);
    GNetworkAddress *parsed = G_NETWORK_ADDRESS(whole);
    g_autoptr(GInetAddress) address =
        g_inet_address_new_from_string(g_network_address_get_hostname(parsed));
    const guint8 *bytes = g_inet_address_to_bytes(address);
    GString *ret = g_string_new(NULL);

    if (g_inet_address_get_family(address) == G_SOCKET_FAMILY_IPV4)
        g_string_append(ret, g_network_address_get_hostname(parsed));
    else
        for (guint i = 0; i < 8; i++)
            g_string_append_printf(ret, "%s%x", i > 0 ? ":" : "",
                                   (guint)bytes[2 * i] << 8 | bytes[2 * i + 1]);
    g_string_append_printf(ret, "-%u", g_network_address_get_port(parsed));
    return g_string_free(ret, FALSE);
}

static char *
ends_of(JsonObject *socket, const char *kind)
{
    g_autofree char *local = NULL, *remote = NULL;

    if (g_str_has_prefix(kind, "UNIX"))
        return g_strdup(" ");
    local = end_of(mose_json_string(socket, "local", NULL));
    remote = end_of(mose_json_string(socket, "remote", NULL));
    return g_strdup_printf("%s %s", local, remote);
}

/* A line for each file descriptor. */
static void
append_socket(GPtrArray *lines, JsonObject *socket)
{
    const char *kind = kind_of(socket);
    JsonArray *owners = mose_json_array(socket, "owners");
    g_autofree char *ends = NULL, *sock = crash_row(socket, "sock");

    if (!kind || !owners)
        return;
    ends = ends_of(socket, kind);
    for (guint i = 0; i < json_array_get_length(owners); i++) {
        g_autoptr(GPtrArray) ids = crash_lines(json_array_get_string_element(owners, i),
                                               "/(\\d+)/(\\d+)$", "\\1 \\2");

        g_assert_cmpuint(ids->len, ==, 1);
        g_ptr_array_add(lines, g_strdup_printf("%s %s %s %s",
                                               (char *)g_ptr_array_index(ids, 0), sock,
                                               kind, ends));
    }
}

/* Those that are in no table of the kernel's, being bound to nothing, are in none of
 * /proc/net either: not there for `mose net`. */
void
test_crash_sockets(const CrashWorld *world)
{
    const char *text = crash_task_answer(world, "foreach net -s");
    g_autoptr(JsonObject) object = NULL, all = NULL;
    g_autoptr(GPtrArray) ours = g_ptr_array_new_with_free_func(g_free), theirs = NULL;
    JsonArray *sockets;

    if (!text)
        return;
    all = crash_mose(world, "ps", NULL);
    object = crash_mose(world, "net", NULL);
    sockets = crash_array(object, "sockets");
    for (guint i = 0; i < json_array_get_length(sockets); i++)
        append_socket(ours, mose_json_element(sockets, i));
    theirs =
        crash_lines_of_each(text, crash_array(all, "tasks"),
                            "^ *(\\d+) " ADDRESS " " ADDRESS
                            " (INET6?:\\S+|UNIX:\\S+) +(?!\\S+-0 )(\\S*) *(\\S*) *$",
                            "\\1 \\3 \\4 \\5 \\6");
    crash_compare("sockets", ours, theirs);
}
