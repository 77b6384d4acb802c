/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's description without the world around it; see spec-fork.h. */
#include "qemu/spec-fork.h"

#include <string.h>

#include "qemu/optstr.h"
#include "util/error.h"
#include "util/unix-socket.h"

/* What a process adds to a socket's name until the guest is in it (command.c). */
#define SUFFIX_MAX 16

/* Drivers of -device, and types of -object, by how their names begin, that a fork can't
 * have (QEMU 10.0 hw/, net/, backends/). */
static const struct {
    const char *prefix, *why;
} refused[] = {
    { "vfio-", "a device of the host's that was passed through has one owner" },
    { "vhost-", "its other half is the host's kernel, which has one of it" },
    { "virtio-9p", "it would write the host's files" },
    { "usb-host", "a device of the host's that was passed through has one owner" },
    { "usb-redir", "its other half is another process" },
    { "usb-mtp", "it would write the host's files" },
    { "u2f-", "it uses the host's keys" },
    { "ipmi-bmc-extern", "its other half is another process" },
    { "ivshmem", "its memory is shared with another process" },
    { "scsi-block", "it sends commands of the fork's to a device of the host's" },
    { "scsi-generic", "it sends commands of the fork's to a device of the host's" },
    { "tpm-", "its state is in another process" },
    { "ccid-card-emulated", "it uses the host's smart cards" },
    { "u2f-passthru", "a device of the host's that was passed through has one owner" },
    { "input-linux", "it takes the host's keyboard" },
    { "input-barrier", "it is connected to another host" },
    { "can-host", "it is connected to the host's bus" },
    { "filter-", "it writes files, or is connected to another process" },
    { "colo-", "it is connected to another host" },
    { "x-remote", "its other half is another process" },
    { "x-vfio", "its other half is another process" },
};

/* Add what @option becomes. */
typedef gboolean ForkFunc(MoseSpec *fork, const MoseOption *option, const char *dir,
                          GError **error);

static gboolean
refuse(const char *name, const char *value, const char *why, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                "a fork can't have %s %s: %s; without that device the guest can be "
                "forked",
                name, value, why);
    return FALSE;
}

static gboolean
check_kind(const MoseOption *option, GError **error)
{
    g_autofree char *head = mose_option_head(option);
    g_autofree char *key = mose_option_get(
        option, mose_option_is(option, "-object") ? "qom-type" : "driver");
    const char *kind = *head ? head : key ? key : "";

    for (gsize i = 0; i < G_N_ELEMENTS(refused); i++)
        if (g_str_has_prefix(kind, refused[i].prefix))
            return refuse(option->name, kind, refused[i].why, error);
    return TRUE;
}

static void
add_parts(MoseSpec *fork, const char *name, const GPtrArray *parts)
{
    g_autofree char *value = mose_optstr_join(parts);

    mose_spec_add_option(fork, name, value);
}

/* --- what is replaced --- */

/* Where people talk to the guest, others may to its fork. NULL: there is no room for
 * such a name. */
static GPtrArray *
own_socket(const char *dir, const char *id)
{
    g_autofree char *path = g_strdup_printf("%s/chardev.%s", dir, id);
    GPtrArray *parts;

    if (strlen(path) + SUFFIX_MAX > MOSE_UNIX_PATH_MAX)
        return NULL;
    parts = mose_optstr_split("socket");
    mose_optstr_set(parts, "path", path);
    mose_optstr_set(parts, "server", "on");
    mose_optstr_set(parts, "wait", "off");
    return parts;
}

static gboolean
fork_chardev(MoseSpec *fork, const MoseOption *option, const char *dir, GError **error)
{
    g_autofree char *kind = mose_option_head(option);
    g_autofree char *id = mose_option_id(option);
    g_autofree char *mux = mose_option_get(option, "mux");
    g_autoptr(GPtrArray) parts =
        id && strcmp(kind, "socket") == 0 ? own_socket(dir, id) : NULL;

    if (!parts) {
        parts = mose_optstr_split("ringbuf");
        mose_optstr_set(parts, "size", "65536");
    }
    mose_optstr_set(parts, "id", id ? id : "");
    if (mux)
        mose_optstr_set(parts, "mux", mux);
    add_parts(fork, option->name, parts);
    return TRUE;
}

/* Its ports, and what it would serve or start, are not the fork's. */
static void
restrict_user(GPtrArray *parts)
{
    static const char *const drop[] = { "hostfwd", "guestfwd", "smb", "smbserver",
                                        "tftp" };

    for (gsize i = 0; i < G_N_ELEMENTS(drop); i++)
        mose_optstr_drop(parts, drop[i]);
    /* QEMU takes the last of several. */
    mose_optstr_drop(parts, "restrict");
    mose_optstr_set(parts, "restrict", "on");
}

static gboolean
fork_netdev(MoseSpec *fork, const MoseOption *option, const char *dir, GError **error)
{
    g_autoptr(GPtrArray) parts = mose_optstr_split(option->value);
    const char *kind = parts->pdata[0];
    g_autofree char *id = g_strdup(mose_optstr_get(parts, "id"));
    g_autofree char *hub = g_strdup_printf("hubport,hubid=%u", fork->options->len);

    if (g_str_has_prefix(kind, "vhost-"))
        return refuse(option->name, kind, "its other half is another process", error);
    if (strcmp(kind, "user") == 0) {
        restrict_user(parts);
    } else if (strcmp(kind, "tap") == 0) {
        if (mose_optstr_is_on(parts, "vhost", FALSE))
            return refuse(option->name, "tap,vhost=on",
                          "its other half is the host's kernel", error);
    } else {
        g_ptr_array_unref(parts);
        parts = mose_optstr_split(hub);
        mose_optstr_set(parts, "id", id ? id : "");
    }
    add_parts(fork, option->name, parts);
    return TRUE;
}

static gboolean
fork_audiodev(MoseSpec *fork, const MoseOption *option, const char *dir, GError **error)
{
    g_autofree char *id = mose_option_id(option);
    g_autoptr(GPtrArray) parts = mose_optstr_split("none");

    mose_optstr_set(parts, "id", id ? id : "");
    add_parts(fork, option->name, parts);
    return TRUE;
}

static gboolean
fork_checked(MoseSpec *fork, const MoseOption *option, const char *dir, GError **error)
{
    if (!check_kind(option, error))
        return FALSE;
    mose_spec_add_option(fork, option->name, option->value);
    return TRUE;
}

static gboolean
fork_shared_dir(MoseSpec *fork, const MoseOption *option, const char *dir,
                GError **error)
{
    return refuse(option->name, option->value, "it would write the host's files",
                  error);
}

static gboolean
fork_audio(MoseSpec *fork, const MoseOption *option, const char *dir, GError **error)
{
    return refuse(option->name, option->value,
                  "it would use the host's sound; -audiodev and -device can be forked",
                  error);
}

/* Locking makes the kernel copy all of the memory at once, at a moment that is none
 * (Linux mm/gup.c:populate_vma_page_range). */
static gboolean
fork_overcommit(MoseSpec *fork, const MoseOption *option, const char *dir,
                GError **error)
{
    g_autofree char *lock = mose_option_get(option, "mem-lock");

    if (lock && strcmp(lock, "off") != 0)
        return refuse(option->name, option->value,
                      "memory that is locked cannot be shared", error);
    mose_spec_add_option(fork, option->name, option->value);
    return TRUE;
}

static gboolean
fork_tpm(MoseSpec *fork, const MoseOption *option, const char *dir, GError **error)
{
    return refuse(option->name, option->value, "its state is in another process",
                  error);
}

MoseSpec *
mose_spec_fork(const MoseSpec *guest, const char *name, const char *dir, GError **error)
{
    static const struct {
        const char *name;
        ForkFunc *fork;
    } kinds[] = {
        { "-chardev", fork_chardev },   { "-netdev", fork_netdev },
        { "-audiodev", fork_audiodev }, { "-device", fork_checked },
        { "-object", fork_checked },    { "-fsdev", fork_shared_dir },
        { "-virtfs", fork_shared_dir }, { "-tpmdev", fork_tpm },
        { "-audio", fork_audio },       { "-overcommit", fork_overcommit },
    };
    g_autoptr(JsonObject) object = mose_spec_to_json(guest);
    g_autoptr(MoseSpec) fork = mose_spec_from_json(object, error);

    if (!fork)
        return NULL;
    g_free(fork->name);
    fork->name = g_strdup(name);
    /* A fork's memory is its guest's, under writes of its own. */
    fork->ram_private = FALSE;
    g_ptr_array_set_size(fork->options, 0);
    for (guint i = 0; i < guest->options->len; i++) {
        const MoseOption *option = guest->options->pdata[i];
        ForkFunc *one = NULL;

        for (gsize k = 0; k < G_N_ELEMENTS(kinds) && !one; k++)
            if (mose_option_is(option, kinds[k].name))
                one = kinds[k].fork;
        if (!one)
            mose_spec_add_option(fork, option->name, option->value);
        else if (!one(fork, option, dir, error))
            return NULL;
    }
    return g_steal_pointer(&fork);
}
