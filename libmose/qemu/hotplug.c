/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Devices and back ends of a QEMU that runs; see hotplug.h. */
#include "qemu/hotplug.h"

#include <string.h>

#include "qemu/optstr.h"
#include "util/error.h"
#include "util/json.h"

/* QEMU monitor/hmp.c:monitor_parse_arguments cuts a longer word off silently. */
#define MAX_WORD 1000
#define TAP_FD_NAME "mose-tap"

char *
mose_hotplug_path(const char *id)
{
    return g_strdup_printf("/machine/peripheral/%s", id);
}

/* --- what is there --------------------------------------------------------- */

/* Whether an object of the list that @command answers has @id as its @key. */
static gboolean
list_has(MoseQmp *qmp, const char *command, JsonObject *arguments, const char *key,
         const char *id, gboolean *ret, GError **error)
{
    g_autoptr(JsonNode) answer = mose_qmp_execute(qmp, command, arguments, error);
    JsonArray *list = answer ? mose_json_node_array(answer) : NULL;

    *ret = FALSE;
    for (guint i = 0; list && i < json_array_get_length(list); i++)
        if (strcmp(mose_json_string(mose_json_element(list, i), key, ""), id) == 0)
            *ret = TRUE;
    return answer != NULL;
}

/* No QMP command lists netdevs. Lines are "NIC: ..." and " \ NETDEV: ..." (QEMU
 * net/net.c:hmp_info_network). */
static gboolean
has_netdev(MoseQmp *qmp, const char *id, gboolean *ret, GError **error)
{
    g_autofree char *text = mose_qmp_hmp(qmp, "info network", error);
    g_auto(GStrv) lines = text ? g_strsplit(text, "\n", -1) : NULL;

    *ret = FALSE;
    for (char **line = lines; line && *line; line++) {
        const char *name = *line + strspn(*line, " \\");

        if (g_str_has_prefix(name, id) && g_str_has_prefix(name + strlen(id), ": "))
            *ret = TRUE;
    }
    return text != NULL;
}

gboolean
mose_hotplug_present(MoseQmp *qmp, const MoseOption *option, gboolean *ret,
                     GError **error)
{
    g_autofree char *id = mose_option_id(option);

    if (mose_option_is(option, "-device"))
        return list_has(qmp, "qom-list",
                        mose_json_object("path", "s", "/machine/peripheral", NULL),
                        "name", id, ret, error);
    if (mose_option_is(option, "-object"))
        return list_has(qmp, "qom-list",
                        mose_json_object("path", "s", "/objects", NULL), "name", id,
                        ret, error);
    if (mose_option_is(option, "-drive"))
        return list_has(qmp, "query-block", NULL, "device", id, ret, error);
    if (mose_option_is(option, "-blockdev"))
        return list_has(qmp, "query-named-block-nodes",
                        mose_json_object("flat", "b", TRUE, NULL), "node-name", id, ret,
                        error);
    if (mose_option_is(option, "-chardev"))
        return list_has(qmp, "query-chardev", NULL, "label", id, ret, error);
    return has_netdev(qmp, id, ret, error);
}

/* --- adding ---------------------------------------------------------------- */

/* A line of the human monitor, which prints nothing, or @good, when it is done. */
static gboolean
human(MoseQmp *qmp, const char *good, const char *line, GError **error)
{
    g_autofree char *said = mose_qmp_hmp(qmp, line, error);

    if (!said)
        return FALSE;
    g_strstrip(said);
    if (*said == '\0' || g_strcmp0(said, good) == 0)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_QMP, "%.*s: %s", (int)strcspn(line, " "),
                line, g_str_has_prefix(said, "Error: ") ? said + 7 : said);
    return FALSE;
}

/* @value as one word of the human monitor's (QEMU monitor/hmp.c:get_str). */
static char *
quote(const char *value)
{
    GString *text = g_string_new("\"");

    for (; *value; value++) {
        if (*value == '"' || *value == '\\')
            g_string_append_c(text, '\\');
        g_string_append_c(text, *value);
    }
    g_string_append_c(text, '"');
    return g_string_free(text, FALSE);
}

static gboolean
add_by_words(MoseQmp *qmp, const MoseOption *option, const char *value, GError **error)
{
    static const struct {
        const char *name, *command, *good;
        gboolean bare; /* takes the rest of the line as it is */
    } commands[] = {
        { "-device", "device_add", NULL, FALSE },
        { "-drive", "drive_add 0", "OK", FALSE },
        { "-blockdev", "drive_add -n 0", NULL, FALSE },
        { "-netdev", "netdev_add", NULL, FALSE },
        { "-chardev", "chardev-add", NULL, FALSE },
        { "-object", "object_add", NULL, TRUE },
    };
    g_autofree char *word = quote(value);

    if (strlen(word) > MAX_WORD || strpbrk(value, "\n\r")) {
        g_set_error(
            error, MOSE_ERROR, MOSE_ERROR_INVALID,
            "%s: more than %d characters, or a line break; QEMU's monitor takes "
            "no such word (JSON has no such limit)",
            option->name, MAX_WORD);
        return FALSE;
    }
    for (gsize i = 0; i < G_N_ELEMENTS(commands); i++) {
        g_autofree char *line = NULL;

        if (!mose_option_is(option, commands[i].name))
            continue;
        line = g_strdup_printf("%s %s", commands[i].command,
                               commands[i].bare ? value : word);
        return human(qmp, commands[i].good, line, error);
    }
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED, "%s can't be plugged in",
                option->name);
    return FALSE;
}

static gboolean
add_json(MoseQmp *qmp, const MoseOption *option, const char *value, GError **error)
{
    g_autoptr(JsonObject) object = mose_json_parse(value, -1, option->name, error);

    return object && mose_qmp_run(qmp,
                                  mose_option_is(option, "-blockdev") ? "blockdev-add"
                                                                      : "device_add",
                                  json_object_ref(object), error);
}

/* A descriptor that QMP has passed is known to QMP's command alone, which wants the
 * types of QEMU's schema (qapi/net.json:NetdevTapOptions). */
static gboolean
add_tap(MoseQmp *qmp, const char *value, int fd, GError **error)
{
    static const char *const flags[] = { "vhost", "vhostforce", NULL };
    static const char *const numbers[] = { "poll-us", "sndbuf", NULL };
    g_autoptr(GPtrArray) parts = mose_optstr_split(value);
    JsonObject *object =
        mose_json_object("type", "s", "tap", "fd", "s", TAP_FD_NAME, NULL);

    for (guint i = 1; i < parts->len; i++) {
        g_auto(GStrv) pair = g_strsplit(parts->pdata[i], "=", 2);
        const char *text = pair[0] && pair[1] ? pair[1] : "";
        guint64 number = 0;

        if (!pair[0] || strcmp(pair[0], "fd") == 0)
            continue;
        if (g_strv_contains(flags, pair[0]))
            json_object_set_boolean_member(object, pair[0],
                                           mose_optstr_is_on(parts, pair[0], FALSE));
        else if (g_strv_contains(numbers, pair[0]) &&
                 mose_optstr_size(text, 1, &number))
            json_object_set_int_member(object, pair[0], (gint64)number);
        else
            json_object_set_string_member(object, pair[0], text);
    }
    if (!mose_qmp_send_fd(qmp, TAP_FD_NAME, fd, error)) {
        json_object_unref(object);
        return FALSE;
    }
    if (mose_qmp_run(qmp, "netdev_add", object, error))
        return TRUE;
    mose_qmp_run(qmp, "closefd", mose_json_object("fdname", "s", TAP_FD_NAME, NULL),
                 NULL);
    return FALSE;
}

gboolean
mose_hotplug_add(MoseQmp *qmp, const MoseOption *option, const char *value, int tap_fd,
                 GError **error)
{
    if (tap_fd >= 0)
        return add_tap(qmp, value, tap_fd, error);
    if (mose_option_is_json(option))
        return add_json(qmp, option, value, error);
    return add_by_words(qmp, option, value, error);
}

/* --- removing -------------------------------------------------------------- */

static gboolean
is_answer(const MoseQmpEvent *event, gpointer id)
{
    return (strcmp(event->name, "DEVICE_DELETED") == 0 ||
            strcmp(event->name, "DEVICE_UNPLUG_GUEST_ERROR") == 0) &&
           strcmp(mose_json_string(event->data, "device", ""), id) == 0;
}

static gboolean
wait_for_guest(MoseQmp *qmp, char *id, int timeout_ms, int also, GError **error)
{
    g_autoptr(GError) cause = NULL;
    MoseQmpEvent event;

    if (mose_qmp_wait(qmp, is_answer, id, timeout_ms, also, &event, &cause)) {
        if (strcmp(event.name, "DEVICE_DELETED") == 0)
            return TRUE;
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_REFUSED,
                    "the guest does not let go of %s: it says no", id);
    } else if (g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_TIMEOUT)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_TIMEOUT,
                    "the guest has not let go of %s within %d s, and may yet", id,
                    timeout_ms / 1000);
    } else {
        g_propagate_error(error, g_steal_pointer(&cause));
    }
    return FALSE;
}

static gboolean
remove_device(MoseQmp *qmp, char *id, int timeout_ms, int also, GError **error)
{
    g_autoptr(GError) cause = NULL;

    /* One that was asked before, and has not answered, may answer now. */
    if (!mose_qmp_run(qmp, "device_del", mose_json_object("id", "s", id, NULL),
                      &cause) &&
        !strstr(cause->message, "already in the process of unplug")) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
    return wait_for_guest(qmp, id, timeout_ms, also, error);
}

gboolean
mose_hotplug_remove(MoseQmp *qmp, const MoseOption *option, int timeout_ms, int also,
                    GError **error)
{
    static const struct {
        const char *name, *command, *key;
    } commands[] = {
        { "-blockdev", "blockdev-del", "node-name" },
        { "-netdev", "netdev_del", "id" },
        { "-chardev", "chardev-remove", "id" },
        { "-object", "object-del", "id" },
    };
    g_autofree char *id = mose_option_id(option);
    g_autofree char *line = NULL, *word = NULL;

    if (mose_option_is(option, "-device"))
        return remove_device(qmp, id, timeout_ms, also, error);
    for (gsize i = 0; i < G_N_ELEMENTS(commands); i++)
        if (mose_option_is(option, commands[i].name))
            return mose_qmp_run(qmp, commands[i].command,
                                mose_json_object(commands[i].key, "s", id, NULL),
                                error);
    word = quote(id);
    line = g_strdup_printf("drive_del %s", word);
    return human(qmp, NULL, line, error);
}

/* --- where it is ----------------------------------------------------------- */

static JsonNode *
property(MoseQmp *qmp, const char *path, const char *name, GError **error)
{
    g_autoptr(JsonNode) node = mose_qmp_execute(
        qmp, "qom-get",
        mose_json_object("path", "s", path, "property", "s", name, NULL), error);

    if (node && JSON_NODE_HOLDS_VALUE(node))
        return g_steal_pointer(&node);
    if (node)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_QMP, "%s.%s: no value", path, name);
    return NULL;
}

/* The text for a command line; PCI's devfn is a number here (QEMU
 * hw/core/qdev-properties-system.c:qdev_prop_pci_devfn). */
static char *
place_text(const char *key, JsonNode *node)
{
    gint64 number;

    if (json_node_get_value_type(node) == G_TYPE_STRING)
        return g_strdup(json_node_get_string(node));
    number = json_node_get_int(node);
    if (number < 0 || number > G_MAXINT32)
        return NULL;
    if (strcmp(key, "addr") == 0)
        return g_strdup_printf("%02x.%x", (guint)number >> 3, (guint)number & 7);
    return g_strdup_printf("%" G_GINT64_FORMAT, number);
}

static void
place_bus(MoseQmp *qmp, const char *path, MoseOption *device)
{
    g_autofree char *given = mose_option_get(device, "bus");
    g_autoptr(JsonNode) node = given ? NULL : property(qmp, path, "parent_bus", NULL);
    const char *bus = node ? json_node_get_string(node) : NULL;
    const char *slash = bus ? strrchr(bus, '/') : NULL;

    /* A bus is a child of its device by its own name (QEMU hw/core/bus.c:
     * qbus_init_internal). */
    if (slash)
        mose_option_set(device, "bus", slash + 1, FALSE);
}

/* Whether @name is the property that says where on its bus a device is: PCI's and USB's
 * are strings, others of these names (the loader's, a root port's) mean something else.
 */
static gboolean
is_address(const char *name, const char *type)
{
    static const char *const strings[] = { "addr", "port", NULL };
    static const char *const numbers[] = { "channel", "scsi-id", "lun", "nr", NULL };

    return strcmp(type, "str") == 0 ? g_strv_contains(strings, name)
                                    : g_strv_contains(numbers, name);
}

static gboolean
place_key(MoseQmp *qmp, const char *path, const char *key, MoseOption *device,
          GError **error)
{
    g_autofree char *given = mose_option_get(device, key);
    g_autoptr(JsonNode) node = given ? NULL : property(qmp, path, key, error);
    g_autofree char *text = NULL;
    gboolean number;

    if (given || !node)
        return given != NULL;
    text = place_text(key, node);
    number =
        json_node_get_value_type(node) != G_TYPE_STRING && strcmp(key, "addr") != 0;
    if (text && *text)
        mose_option_set(device, key, text, number);
    return TRUE;
}

gboolean
mose_hotplug_place(MoseQmp *qmp, const char *path, MoseOption *device, GError **error)
{
    g_autoptr(JsonNode) list = mose_qmp_execute(
        qmp, "qom-list", mose_json_object("path", "s", path, NULL), error);
    JsonArray *names = list ? mose_json_node_array(list) : NULL;
    gboolean placed = FALSE;

    for (guint i = 0; names && i < json_array_get_length(names); i++) {
        JsonObject *one = mose_json_element(names, i);
        const char *name = mose_json_string(one, "name", "");

        if (!is_address(name, mose_json_string(one, "type", "")))
            continue;
        if (!place_key(qmp, path, name, device, error))
            return FALSE;
        placed = TRUE;
    }
    if (placed)
        place_bus(qmp, path, device);
    return list != NULL;
}
