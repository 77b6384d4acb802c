/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Network interfaces and their addresses; what they have counted: links-count.c. */
#include "vmi/linux/links.h"

#include <arpa/inet.h>

#include "util/error.h"
#include "vmi/linux/links-priv.h"

#define MAX_LINKS (1u << 20)
#define MAX_ADDRESSES (1u << 20) /* of all of them */
#define MAX_HARDWARE 32          /* include/linux/netdevice.h: MAX_ADDR_LEN */

void
mose_net_link_free(MoseNetLink *link)
{
    if (!link)
        return;
    g_free(link->name);
    g_free(link->hardware);
    g_ptr_array_unref(link->addresses);
    g_free(link);
}

typedef struct {
    const GPtrArray *nets;
    GPtrArray *links;
    MoseNetLink *link; /* the one that is being read; in links already */
    guint addresses;   /* that there are so far */
} Reading;

/* --- addresses --- */

static gboolean
add_address(Reading *reading, int family, const guint8 *bytes, gsize size,
            guint64 prefix, GError **error)
{
    char text[INET6_ADDRSTRLEN];

    if (size != (family == AF_INET ? 4 : 16) || reading->addresses == MAX_ADDRESSES) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "the guest's interface %s has an address of %" G_GSIZE_FORMAT
                    " bytes, after %u others",
                    reading->link->name, size, reading->addresses);
        return FALSE;
    }
    reading->addresses++;
    inet_ntop(family, bytes, text, sizeof(text));
    g_ptr_array_add(reading->link->addresses,
                    g_strdup_printf("%s/%" G_GUINT64_FORMAT, text, prefix));
    return TRUE;
}

/* A list whose links lead forth only: struct in_device.ifa_list. */
static gboolean
read_v4(MoseLinux *kernel, Reading *reading, guint64 in_device, GError **error)
{
    g_auto(MoseObject) object = { 0 };
    guint64 at, prefix;

    if (!mose_object_peek(kernel, "in_device", in_device, "ifa_list", &at, error))
        return FALSE;
    while (at != 0) {
        const guint8 *bytes;
        gsize size;

        if (!mose_object_read(kernel, "in_ifaddr", at, &object, error) ||
            !(bytes = mose_object_bytes(&object, "ifa_local", &size, error)) ||
            !mose_object_get(&object, "ifa_prefixlen", &prefix, error) ||
            !mose_object_get(&object, "ifa_next", &at, error) ||
            !add_address(reading, AF_INET, bytes, size, prefix, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean
add_v6(MoseLinux *kernel, guint64 address, gpointer data, GError **error)
{
    g_auto(MoseObject) object = { 0 };
    const guint8 *bytes;
    guint64 prefix;
    gsize size;

    if (!mose_object_read(kernel, "inet6_ifaddr", address, &object, error) ||
        !(bytes = mose_object_bytes(&object, "addr", &size, error)) ||
        !mose_object_get(&object, "prefix_len", &prefix, error))
        return FALSE;
    return add_address(data, AF_INET6, bytes, size, prefix, error);
}

static gboolean
read_v6(MoseLinux *kernel, Reading *reading, guint64 inet6_dev, GError **error)
{
    guint64 head, offset;

    return mose_object_offset(kernel, "inet6_dev", "addr_list", &head, NULL, error) &&
           mose_object_offset(kernel, "inet6_ifaddr", "if_list", &offset, NULL,
                              error) &&
           mose_list_walk(kernel, inet6_dev + head, offset, MAX_ADDRESSES, add_v6,
                          reading, error);
}

static gboolean
read_addresses(const MoseObject *device, Reading *reading, GError **error)
{
    guint64 v4, v6 = 0;

    /* struct inet6_dev is not known where IPv6 is a module. */
    return mose_object_get(device, "ip_ptr", &v4, error) &&
           (v4 == 0 || read_v4(device->kernel, reading, v4, error)) &&
           (!mose_object_get(device, "ip6_ptr", &v6, NULL) || v6 == 0 ||
            !mose_types_find(device->kernel->types, "inet6_ifaddr") ||
            read_v6(device->kernel, reading, v6, error));
}

/* --- interfaces --- */

/* dev_addr is a pointer, to an array of its own or in the struct. */
static gboolean
read_hardware(const MoseObject *device, MoseNetLink *link, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);
    guint8 bytes[MAX_HARDWARE];
    guint64 len, at;

    if (!mose_object_get(device, "addr_len", &len, error) ||
        !mose_object_get(device, "dev_addr", &at, error))
        return FALSE;
    len = MIN(len, sizeof(bytes));
    if (!mose_space_read(device->kernel->space, at, bytes, len, NULL, error))
        return FALSE;
    for (guint i = 0; i < len; i++)
        g_string_append_printf(text, "%s%02x", i ? ":" : "", bytes[i]);
    link->hardware = g_string_free(g_steal_pointer(&text), FALSE);
    return TRUE;
}

static gboolean
read_numbers(const MoseObject *device, MoseNetLink *link, GError **error)
{
    guint64 index, type, mtu, flags, state;

    if (!mose_object_get(device, "ifindex", &index, error) ||
        !mose_object_get(device, "type", &type, error) ||
        !mose_object_get(device, "mtu", &mtu, error) ||
        !mose_object_get(device, "flags", &flags, error) ||
        !mose_object_get(device, "operstate", &state, error) ||
        !mose_object_get(device, "nd_net", &link->net, error))
        return FALSE;
    link->index = index;
    link->type = type;
    link->mtu = mtu;
    link->flags = flags;
    link->state = state;
    return TRUE;
}

static gboolean
add_link(MoseLinux *kernel, guint64 address, gpointer data, GError **error)
{
    g_auto(MoseObject) device = { 0 };
    g_autofree char *name = NULL;
    Reading *reading = data;
    MoseNetLink *link = g_new0(MoseNetLink, 1);

    link->address = address;
    link->addresses = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(reading->links, link);
    reading->link = link;
    if (!mose_object_read(kernel, "net_device", address, &device, error) ||
        !(name = mose_object_text(&device, "name", error)))
        return FALSE;
    link->name = mose_vmi_printable(name);
    return read_numbers(&device, link, error) && read_hardware(&device, link, error) &&
           read_addresses(&device, reading, error) &&
           mose_net_link_count(&device, link, error);
}

static gboolean
read_all(MoseLinux *kernel, gpointer data, GError **error)
{
    Reading *reading = data;
    guint64 head, offset;

    g_ptr_array_set_size(reading->links, 0);
    reading->addresses = 0;
    if (!mose_object_offset(kernel, "net", "dev_base_head", &head, NULL, error) ||
        !mose_object_offset(kernel, "net_device", "dev_list", &offset, NULL, error))
        return FALSE;
    for (guint i = 0; i < reading->nets->len; i++) {
        const MoseNetns *net = reading->nets->pdata[i];

        if (!mose_list_walk(kernel, net->address + head, offset, MAX_LINKS, add_link,
                            reading, error))
            return FALSE;
    }
    return TRUE;
}

GPtrArray *
mose_net_links_read(MoseLinux *kernel, const GPtrArray *nets, guint *ret_retries,
                    GError **error)
{
    g_autoptr(GPtrArray) links =
        g_ptr_array_new_with_free_func((GDestroyNotify)mose_net_link_free);
    Reading reading = { .nets = nets, .links = links };

    return mose_linux_retry(kernel, read_all, &reading, ret_retries, error)
               ? g_steal_pointer(&links)
               : NULL;
}
