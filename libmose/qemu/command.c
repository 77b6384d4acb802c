/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's description turned into the command line of one side. */
#include "qemu/command.h"

#include <string.h>

#include "qemu/optstr.h"
#include "qemu/ram.h"
#include "util/error.h"
#include "util/unix-socket.h"

static void
tap_free(gpointer data)
{
    MoseTap *tap = data;

    g_free(tap->ifname);
    g_free(tap);
}

static void
rename_free(gpointer data)
{
    MoseRename *rename = data;

    g_free(rename->bound);
    g_free(rename->wanted);
    g_free(rename);
}

static void
forward_free(gpointer data)
{
    MoseForward *forward = data;

    g_free(forward->netdev);
    g_free(forward->rule);
    g_free(forward);
}

static MoseCommandLine *
command_new(void)
{
    MoseCommandLine *line = g_new0(MoseCommandLine, 1);

    line->argv = g_ptr_array_new_with_free_func(g_free);
    line->taps = g_ptr_array_new_with_free_func(tap_free);
    line->renames = g_ptr_array_new_with_free_func(rename_free);
    line->forwards = g_ptr_array_new_with_free_func(forward_free);
    return line;
}

void
mose_command_free(MoseCommandLine *line)
{
    if (!line)
        return;
    g_clear_pointer(&line->argv, g_ptr_array_unref);
    g_clear_pointer(&line->taps, g_ptr_array_unref);
    g_clear_pointer(&line->renames, g_ptr_array_unref);
    g_clear_pointer(&line->forwards, g_ptr_array_unref);
    g_free(line);
}

static void
add(MoseCommandLine *line, const char *name, const char *value)
{
    g_ptr_array_add(line->argv, g_strdup(name));
    if (value)
        g_ptr_array_add(line->argv, g_strdup(value));
}

static void
add_parts(MoseCommandLine *line, const char *name, const GPtrArray *parts)
{
    g_ptr_array_add(line->argv, g_strdup(name));
    g_ptr_array_add(line->argv, mose_optstr_join(parts));
}

static void add_printf(MoseCommandLine *line, const char *name, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

static void
add_printf(MoseCommandLine *line, const char *name, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_ptr_array_add(line->argv, g_strdup(name));
    g_ptr_array_add(line->argv, g_strdup_vprintf(format, args));
    va_end(args);
}

static void
add_machine(MoseCommandLine *line, const MoseSpec *spec, const MoseCommandFor *what)
{
    g_autoptr(GPtrArray) parts = mose_optstr_split(spec->machine);

    /* An alias ("pc") may mean another type after an upgrade of QEMU. */
    if (what->machine_type) {
        mose_optstr_drop(parts, "type");
        if (parts->len > 0 && !strchr(parts->pdata[0], '='))
            g_ptr_array_remove_index(parts, 0);
        g_ptr_array_insert(parts, 0, g_strdup(what->machine_type));
    }
    mose_optstr_set(parts, "memory-backend", MOSE_RAM_ID);
    add_parts(line, "-machine", parts);
}

static void
add_ram(MoseCommandLine *line, const MoseSpec *spec, const MoseCommandFor *what)
{
    if (!what->ram_shared)
        add_printf(line, "-object",
                   "memory-backend-ram,id=" MOSE_RAM_ID ",size=%" G_GUINT64_FORMAT,
                   spec->ram_size);
    else
        add_printf(line, "-object",
                   "memory-backend-file,id=" MOSE_RAM_ID ",size=%" G_GUINT64_FORMAT
                   ",mem-path=/proc/self/fd/%d,share=on",
                   spec->ram_size, MOSE_RAM_FD);
    add_printf(line, "-m", "%" G_GUINT64_FORMAT "B", spec->ram_size);
}

static void
add_monitors(MoseCommandLine *line)
{
    for (int i = 0; i < MOSE_N_MONITORS; i++) {
        add_printf(line, "-chardev", "socket,id=mose-qmp%d,fd=%d,server=on,wait=off", i,
                   MOSE_MONITOR_FD + i);
        add_printf(line, "-mon", "chardev=mose-qmp%d,mode=control", i);
    }
}

/* A unix socket is bound under a name of this process's own: the one the user
 * gave is still the other process's. */
static gboolean
add_chardev(MoseCommandLine *line, const MoseSpec *spec, const MoseCommandFor *what,
            const char *value, GError **error)
{
    g_autoptr(GPtrArray) parts = mose_optstr_split(value);
    const char *path = mose_optstr_get(parts, "path");

    if (strcmp(parts->pdata[0], "file") == 0 && what->incoming) {
        mose_optstr_set(parts, "append", "on");
    } else if (strcmp(parts->pdata[0], "socket") == 0 && path) {
        g_autofree char *bound = g_strdup_printf("%s.mose-%u", path, what->generation);
        MoseRename *rename = g_new0(MoseRename, 1);

        /* Later commands may run in other directories. */
        rename->wanted = g_canonicalize_filename(path, spec->cwd);
        rename->bound = g_canonicalize_filename(bound, spec->cwd);
        g_ptr_array_add(line->renames, rename);
        if (strlen(bound) > MOSE_UNIX_PATH_MAX) {
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                        "socket path too long: %s (with MOSE's suffix %zu bytes, at "
                        "most %d); use a shorter directory",
                        path, strlen(bound), MOSE_UNIX_PATH_MAX);
            return FALSE;
        }
        mose_optstr_set(parts, "path", bound);
        mose_optstr_set(parts, "wait", "off");
    }
    add_parts(line, "-chardev", parts);
    return TRUE;
}

/* The tap is opened once for the guest and handed from process to process. */
static void
take_tap(MoseCommandLine *line, GPtrArray *parts)
{
    MoseTap *tap = g_new0(MoseTap, 1);
    g_autofree char *number = NULL;

    tap->ifname = g_strdup(mose_optstr_get(parts, "ifname"));
    tap->vnet_hdr = mose_optstr_is_on(parts, "vnet_hdr", TRUE);
    tap->number = MOSE_TAP_FD + line->taps->len;
    g_ptr_array_add(line->taps, tap);
    number = g_strdup_printf("%d", tap->number);
    mose_optstr_drop(parts, "ifname");
    mose_optstr_drop(parts, "script");
    mose_optstr_drop(parts, "downscript");
    mose_optstr_drop(parts, "vnet_hdr");
    mose_optstr_set(parts, "fd", number);
}

/* Forwarded ports are still the other process's: they are added afterwards. */
static void
take_forwards(MoseCommandLine *line, GPtrArray *parts)
{
    const char *id = mose_optstr_get(parts, "id");

    for (guint i = 0; i < parts->len; i++) {
        const char *part = parts->pdata[i];
        MoseForward *forward;

        if (!g_str_has_prefix(part, "hostfwd="))
            continue;
        forward = g_new0(MoseForward, 1);
        forward->netdev = g_strdup(id);
        forward->rule = g_strdup(part + strlen("hostfwd="));
        g_ptr_array_add(line->forwards, forward);
    }
    mose_optstr_drop(parts, "hostfwd");
}

static void
add_netdev(MoseCommandLine *line, const MoseCommandFor *what, const char *value)
{
    g_autoptr(GPtrArray) parts = mose_optstr_split(value);

    if (strcmp(parts->pdata[0], "tap") == 0)
        take_tap(line, parts);
    else if (strcmp(parts->pdata[0], "user") == 0 && what->incoming)
        take_forwards(line, parts);
    add_parts(line, "-netdev", parts);
}

static gboolean
add_option(MoseCommandLine *line, const MoseSpec *spec, const MoseCommandFor *what,
           const MoseOption *option, GError **error)
{
    if (strcmp(option->name, "-chardev") == 0)
        return add_chardev(line, spec, what, option->value, error);
    if (strcmp(option->name, "-netdev") == 0)
        add_netdev(line, what, option->value);
    else
        add(line, option->name, option->value);
    return TRUE;
}

/* As KVM's is (rule ioapic-version). It stands before the user's options, which may say
 * otherwise. */
static void
add_ioapic(MoseCommandLine *line)
{
    add(line, "-global", "ioapic.version=0x11");
}

/* -plugin PATH,NAME=VALUE: a comma of the path's is doubled (qemu-option.c). */
static void
add_plugin(MoseCommandLine *line, const char *path)
{
    g_auto(GStrv) parts = g_strsplit(path, ",", -1);
    g_autofree char *escaped = g_strjoinv(",,", parts);

    add_printf(line, "-plugin", "%s,socket=%d", escaped, MOSE_PLUGIN_FD);
}

MoseCommandLine *
mose_command_build(const MoseSpec *spec, const MoseCommandFor *what, GError **error)
{
    g_autoptr(MoseCommandLine) line = command_new();

    add(line, spec->qemu, NULL);
    add(line, "-name", spec->name);
    add(line, "-pidfile", what->pidfile);
    add(line, "-sandbox", "on");
    add(line, "-S", NULL);
    add(line, "-accel", spec->accel[what->side]);
    add(line, "-cpu", spec->cpu[what->side]);
    add_ram(line, spec, what);
    add_machine(line, spec, what);
    if (!what->ioapic_as_is)
        add_ioapic(line);
    add_monitors(line);
    if (what->plugin)
        add_plugin(line, what->plugin);
    add(line, "-monitor", "none");
    add(line, "-display", "none");
    for (guint i = 0; i < spec->options->len; i++)
        if (!add_option(line, spec, what, spec->options->pdata[i], error))
            return NULL;
    if (what->incoming)
        add(line, "-incoming", "defer");
    g_ptr_array_add(line->argv, NULL);
    return g_steal_pointer(&line);
}

MoseCommandLine *
mose_command_build_option(const MoseSpec *spec, const MoseCommandFor *what,
                          const MoseOption *option, GError **error)
{
    g_autoptr(MoseCommandLine) line = command_new();

    if (!add_option(line, spec, what, option, error))
        return NULL;
    g_ptr_array_add(line->argv, NULL);
    return g_steal_pointer(&line);
}
