/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The plugin, asked; see client.h. */
#include "analysis/client.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/error.h"
#include "util/fd.h"
#include "util/json.h"
#include "util/line.h"
#include "util/unix-socket.h"

/* An answer that waits for no vCPU. */
#define ANSWER_MS 2000
#define MAX_LINE 65536

struct MosePlugin {
    char *name; /* of the guest */
    MoseFd fd;
    GString *input;
    guint n_vcpus;
};

/* --- lines --- */

static gboolean
gone(const MosePlugin *plugin, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_CLOSED,
                "guest %s: its emulator has ended, or has closed the connection",
                plugin->name);
    return FALSE;
}

/* @rings_fd goes along unless it is negative. Takes @request over. */
static gboolean
ask(MosePlugin *plugin, JsonObject *request, int rings_fd, GError **error)
{
    g_autofree char *text = mose_json_text(request, FALSE);
    g_autofree char *line = g_strconcat(text, "\n", NULL);
    gsize len = strlen(line);
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = { 0 };
    struct iovec vector = { line, len };
    struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };

    json_object_unref(request);
    if (rings_fd >= 0) {
        struct cmsghdr *header;

        message.msg_control = control.space;
        message.msg_controllen = sizeof(control.space);
        header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &rings_fd, sizeof(int));
    }
    /* A stream socket takes all of it, or waits. */
    return sendmsg(plugin->fd, &message, MSG_NOSIGNAL) == (ssize_t)len ||
           gone(plugin, error);
}

static gboolean
fill(MosePlugin *plugin, gint64 deadline, GError **error)
{
    struct pollfd fd = { plugin->fd, POLLIN, 0 };
    gint64 left_ms = MAX(0, (deadline - g_get_monotonic_time()) / 1000);
    int n = poll(&fd, 1, (int)left_ms);
    char buffer[4096];
    ssize_t len;

    if (n < 0 && errno == EINTR)
        return TRUE;
    if (n <= 0) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_TIMEOUT,
                    "guest %s: its emulator did not answer in time", plugin->name);
        return FALSE;
    }
    len = recv(plugin->fd, buffer, sizeof(buffer), 0);
    if (len <= 0 || plugin->input->len + len > MAX_LINE)
        return gone(plugin, error);
    g_string_append_len(plugin->input, buffer, len);
    return TRUE;
}

/* The next answer. FAILED: what the plugin has against the request. */
static JsonObject *
receive(MosePlugin *plugin, int timeout_ms, GError **error)
{
    gint64 deadline = g_get_monotonic_time() + (gint64)timeout_ms * 1000;
    g_autofree char *line = NULL;
    g_autoptr(JsonObject) answer = NULL;

    while (!(line = mose_line_take(plugin->input)))
        if (!fill(plugin, deadline, error))
            return NULL;
    answer = mose_json_parse(line, -1, "the emulator's answer", error);
    if (!answer || !json_object_has_member(answer, "error"))
        return g_steal_pointer(&answer);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED, "guest %s: its emulator: %s",
                plugin->name, mose_json_string(answer, "error", ""));
    return NULL;
}

/* --- requests --- */

static JsonObject *
query_status(MosePlugin *plugin, GError **error)
{
    JsonObject *answer;

    if (!ask(plugin, mose_json_object("execute", "s", "status", NULL), -1, error))
        return NULL;
    answer = receive(plugin, ANSWER_MS, error);
    if (answer && !mose_json_child(answer, "return")) {
        json_object_unref(answer);
        gone(plugin, error);
        return NULL;
    }
    return answer;
}

static gboolean
greet(MosePlugin *plugin, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(JsonObject) answer = query_status(plugin, &cause);

    if (answer) {
        plugin->n_vcpus =
            (guint)mose_json_int(mose_json_child(answer, "return"), "vcpus", 0);
        if (plugin->n_vcpus >= 1 && plugin->n_vcpus <= MOSE_RING_MAX_VCPUS)
            return TRUE;
        return gone(plugin, error);
    }
    if (g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_TIMEOUT))
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_BUSY,
                    "guest %s is being analysed by another command", plugin->name);
    else
        g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

MosePlugin *
mose_plugin_connect(const MoseGuest *guest, GError **error)
{
    g_autoptr(MosePlugin) plugin = g_new0(MosePlugin, 1);
    g_autofree char *path = mose_guest_plugin(guest, guest->generation);
    g_autoptr(GError) cause = NULL;

    plugin->name = g_strdup(guest->name);
    plugin->input = g_string_new(NULL);
    plugin->fd = MOSE_FD_NONE;
    if (guest->side != MOSE_SIDE_EMULATOR) {
        g_set_error(
            error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
            "guest %s is not in the emulator; `mose emulate %s` brings it there",
            guest->name, guest->name);
        return NULL;
    }
    plugin->fd = mose_unix_connect(path, &cause);
    if (plugin->fd < 0) {
        g_set_error(
            error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
            "guest %s: its emulator has no plugin of MOSE's (%s): either MOSE was "
            "not installed whole, or %s was built without plugins, or is newer than "
            "MOSE's plugin knows; after that is "
            "mended, `mose virtualize` and `mose emulate` it again",
            guest->name, cause->message, guest->spec->qemu);
        return NULL;
    }
    return greet(plugin, error) ? g_steal_pointer(&plugin) : NULL;
}

void
mose_plugin_free(MosePlugin *plugin)
{
    if (!plugin)
        return;
    mose_fd_close(plugin->fd);
    g_string_free(plugin->input, TRUE);
    g_free(plugin->name);
    g_free(plugin);
}

guint
mose_plugin_vcpus(const MosePlugin *plugin)
{
    return plugin->n_vcpus;
}

gboolean
mose_plugin_overrun(MosePlugin *plugin, gboolean *ret, GError **error)
{
    g_autoptr(JsonObject) answer = query_status(plugin, error);

    if (!answer)
        return FALSE;
    *ret = mose_json_bool(mose_json_child(answer, "return"), "overrun", FALSE);
    return TRUE;
}

/* Sent, and taken for good: it waits for a vCPU. */
static gboolean
change(MosePlugin *plugin, JsonObject *request, int rings_fd, GError **error)
{
    g_autoptr(JsonObject) answer = NULL;

    if (!ask(plugin, request, rings_fd, error))
        return FALSE;
    answer = receive(plugin, ANSWER_MS, error);
    if (!answer)
        return FALSE;
    return strcmp(mose_json_string(answer, "event", ""), "PENDING") == 0 ||
           gone(plugin, error);
}

static void
add_address(JsonArray *pair, guint64 address)
{
    g_autofree char *text = g_strdup_printf("0x%" G_GINT64_MODIFIER "x", address);

    json_array_add_string_element(pair, text);
}

static JsonArray *
ranges_json(const MosePlan *plan)
{
    JsonArray *ranges = json_array_new();

    for (guint i = 0; i < plan->ranges->len; i++) {
        const MoseRange *range = &g_array_index(plan->ranges, MoseRange, i);
        JsonArray *pair = json_array_new();

        add_address(pair, range->first);
        add_address(pair, range->last);
        json_array_add_array_element(ranges, pair);
    }
    return ranges;
}

gboolean
mose_plugin_arm(MosePlugin *plugin, const MosePlan *plan, const MoseRings *rings,
                GError **error)
{
    JsonObject *request =
        mose_json_object("execute", "s", "arm", "ranges", "a", ranges_json(plan),
                         "accesses", "b", plan->accesses, "values", "b", plan->values,
                         "patience-us", "i", (gint64)plan->patience_ms * 1000, NULL);

    if (plan->switch_address) {
        g_autofree char *at =
            g_strdup_printf("0x%" G_GINT64_MODIFIER "x", plan->switch_address);

        json_object_set_string_member(request, "switch", at);
    }
    return change(plugin, request, mose_rings_fd(rings), error);
}

gboolean
mose_plugin_disarm(MosePlugin *plugin, GError **error)
{
    return change(plugin, mose_json_object("execute", "s", "disarm", NULL), -1, error);
}

gboolean
mose_plugin_wait(MosePlugin *plugin, int timeout_ms, GError **error)
{
    g_autoptr(JsonObject) answer = receive(plugin, timeout_ms, error);

    return answer != NULL;
}
