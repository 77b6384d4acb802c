/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a description must say of the devices there are; see plug-describe.h. */
#include "guest/plug-describe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu/hotplug.h"
#include "util/error.h"
#include "util/json.h"

#define ANONYMOUS "/machine/peripheral-anon"

gboolean
mose_plug_has(const GPtrArray *options, const MoseOption *option)
{
    g_autofree char *id = mose_option_id(option);

    for (guint i = 0; id && i < options->len; i++) {
        const MoseOption *other = options->pdata[i];
        g_autofree char *name = NULL;

        if (!mose_option_is(other, option->name))
            continue;
        name = mose_option_id(other);
        if (g_strcmp0(name, id) == 0)
            return TRUE;
    }
    return FALSE;
}

/* --- places ---------------------------------------------------------------- */

/*
 * QEMU names devices without an id by their order: the -device options, but for JSON,
 * then those that -drive if=virtio makes, then JSON (QEMU system/vl.c:
 * qemu_create_cli_devices). Their types must agree, or we don't know which is which.
 */
static char *
anonymous_path(MoseQmp *qmp, const MoseOption *device, guint index)
{
    g_autofree char *driver = mose_option_head(device);
    g_autofree char *name = g_strdup_printf("device[%u]", index);
    g_autofree char *wanted = g_strdup_printf("child<%s", driver);
    g_autoptr(JsonNode) list = mose_qmp_execute(
        qmp, "qom-list", mose_json_object("path", "s", ANONYMOUS, NULL), NULL);
    JsonArray *children = list ? mose_json_node_array(list) : NULL;

    for (guint i = 0; children && i < json_array_get_length(children); i++) {
        JsonObject *child = mose_json_element(children, i);

        if (strcmp(mose_json_string(child, "name", ""), name) == 0 && *driver &&
            g_str_has_prefix(mose_json_string(child, "type", ""), wanted))
            return g_strdup_printf(ANONYMOUS "/%s", name);
    }
    return NULL;
}

/* Where in QEMU @device is; NULL where that is not known, or it has gone. */
static char *
path_of(MoseQmp *qmp, const MoseOption *device, guint *anonymous)
{
    g_autofree char *id = mose_option_id(device);
    gboolean present = FALSE;

    if (!id)
        return mose_option_is_json(device)
                   ? NULL
                   : anonymous_path(qmp, device, (*anonymous)++);
    return mose_hotplug_present(qmp, device, &present, NULL) && present
               ? mose_hotplug_path(id)
               : NULL;
}

/* Write down the places of all devices that can be told; *@ret_anonymous counts those
 * without a name that could. */
static gboolean
fix_places(MoseGuest *guest, MoseQmp *qmp, guint *ret_anonymous, GError **error)
{
    GPtrArray *options = guest->spec->options;

    *ret_anonymous = 0;
    for (guint i = 0; i < options->len; i++) {
        MoseOption *option = options->pdata[i];
        g_autofree char *path = NULL;

        if (!mose_option_is(option, "-device"))
            continue;
        path = path_of(qmp, option, ret_anonymous);
        if (path && !mose_hotplug_place(qmp, path, option, error))
            return FALSE;
    }
    return TRUE;
}

/* The devfn of the PCI device at QOM @path, and its bus; -1 for no PCI device. */
static int
pci_place(MoseQmp *qmp, const char *path, char **ret_bus)
{
    g_autoptr(MoseOption) device = mose_option_new("-device", "x");
    g_autofree char *addr = NULL;
    guint slot, function;

    *ret_bus = NULL;
    if (!mose_hotplug_place(qmp, path, device, NULL) ||
        !(addr = mose_option_get(device, "addr")) ||
        sscanf(addr, "%x.%u", &slot, &function) != 2)
        return -1;
    *ret_bus = mose_option_get(device, "bus");
    return (int)(slot << 3 | function);
}

gboolean
mose_plug_fix_places(MoseGuest *guest, MoseQmp *qmp, const char *going, GError **error)
{
    g_autofree char *path = mose_hotplug_path(going);
    g_autofree char *bus = NULL;
    int place = pci_place(qmp, path, &bus);
    guint known = 0;
    g_autoptr(JsonNode) list = NULL;
    JsonArray *children;

    if (!fix_places(guest, qmp, &known, error))
        return FALSE;
    list = mose_qmp_execute(qmp, "qom-list",
                            mose_json_object("path", "s", ANONYMOUS, NULL), error);
    children = list ? mose_json_node_array(list) : NULL;
    for (guint i = 0; children && i < json_array_get_length(children); i++) {
        const char *name = mose_json_string(mose_json_element(children, i), "name", "");
        g_autofree char *other = g_strdup_printf(ANONYMOUS "/%s", name);
        g_autofree char *other_bus = NULL;

        if (!g_str_has_prefix(name, "device[") || (guint)atoi(name + 7) < known)
            continue;
        if (place < 0 || pci_place(qmp, other, &other_bus) < place ||
            g_strcmp0(bus, other_bus) != 0)
            continue;
        g_set_error(
            error, MOSE_ERROR, MOSE_ERROR_REFUSED,
            "%s can't go: a device without a name (of -drive if=virtio, or a "
            "-device in JSON) would take its place in the guest's next process; "
            "start the guest with -device ...,id=... for it",
            going);
        return FALSE;
    }
    return list != NULL;
}

/* --- what is there --------------------------------------------------------- */

/* A device takes those on its buses along, and its legacy drive (QEMU
 * blockdev.c:blockdev_auto_del). */
static gboolean
may_have_gone(const MoseOption *option, const GPtrArray *changed)
{
    g_autofree char *id = NULL;

    if (mose_plug_has(changed, option))
        return TRUE;
    if (!mose_option_is(option, "-device") && !mose_option_is(option, "-drive"))
        return FALSE;
    id = mose_option_id(option);
    return id != NULL;
}

static gboolean
keep_present(MoseGuest *guest, MoseQmp *qmp, const GPtrArray *changed, GError **error)
{
    GPtrArray *options = guest->spec->options;

    for (guint i = options->len; i-- > 0;) {
        gboolean present = TRUE;

        if (may_have_gone(options->pdata[i], changed) &&
            !mose_hotplug_present(qmp, options->pdata[i], &present, error))
            return FALSE;
        if (!present)
            g_ptr_array_remove_index(options, i);
    }
    return TRUE;
}

gboolean
mose_plug_describe(MoseGuest *guest, MoseQmp *qmp, const GPtrArray *changed,
                   GError **error)
{
    guint anonymous;

    if (!keep_present(guest, qmp, changed, error))
        return FALSE;
    for (guint i = 0; i < changed->len; i++) {
        const MoseOption *option = changed->pdata[i];
        g_autofree char *head = mose_option_head(option);
        gboolean present = FALSE;

        if (mose_plug_has(guest->spec->options, option) ||
            strcmp(head, MOSE_PLUG_UNKNOWN) == 0)
            continue;
        if (!mose_hotplug_present(qmp, option, &present, error))
            return FALSE;
        if (present)
            mose_spec_add_option(guest->spec, option->name, option->value);
    }
    return fix_places(guest, qmp, &anonymous, error);
}
