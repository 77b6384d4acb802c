/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The user's QEMU options read into a MoseSpec.
 *
 * Most options mean the same in every process and are kept as they are. The
 * table below has the others: those that MOSE gives itself, those that two
 * processes cannot share, and those without an argument (QEMU 10.0
 * qemu-options.hx).
 */
#include <string.h>

#include "qemu/optstr.h"
#include "qemu/spec.h"
#include "util/error.h"

typedef gboolean (*Reader)(MoseSpec *spec, const char *name, const char *value,
                           GError **error);

typedef struct {
    const char *name;
    gboolean bare;       /* takes no argument */
    Reader read;         /* instead of keeping it */
    const char *refusal; /* why it cannot be, and what to do */
} Row;

#define SNAPSHOT "its changes would stay in one process; use an overlay"

static gboolean
refuse(GError **error, const char *name, const char *value, const char *why)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED, "%s%s%s: %s", name,
                value ? " " : "", value ? value : "", why);
    return FALSE;
}

static gboolean
read_machine(MoseSpec *spec, const char *name, const char *value, GError **error)
{
    g_autoptr(GPtrArray) parts = mose_optstr_split(value);

    if (mose_optstr_get(parts, "accel") || mose_optstr_get(parts, "kernel_irqchip"))
        return refuse(error, name, value, "use `mose run --accel` instead of accel=");
    if (mose_optstr_get(parts, "memory-backend"))
        return refuse(error, name, value, "MOSE makes the guest's RAM itself; use -m");
    g_free(spec->machine);
    spec->machine = g_strdup(value);
    return TRUE;
}

static gboolean
read_memory(MoseSpec *spec, const char *name, const char *value, GError **error)
{
    g_autoptr(GPtrArray) parts = mose_optstr_split(value);
    const char *size = mose_optstr_get(parts, "size");

    if (!size)
        size = parts->pdata[0];
    if (!mose_optstr_size(size, 1024 * 1024, &spec->ram_size))
        return refuse(error, name, value, "not a size; try -m 1G");
    /* What a DIMM adds would be a second RAM block. */
    if (mose_optstr_get(parts, "maxmem") || mose_optstr_get(parts, "slots"))
        return refuse(error, name, value,
                      "memory that is plugged in later cannot be moved in place; give "
                      "the guest its whole size");
    return TRUE;
}

static gboolean
read_cpu(MoseSpec *spec, const char *name, const char *value, GError **error)
{
    g_free(spec->user_cpu);
    spec->user_cpu = g_strdup(value);
    return TRUE;
}

static gboolean
read_paused(MoseSpec *spec, const char *name, const char *value, GError **error)
{
    spec->start_paused = TRUE;
    return TRUE;
}

/* A character device that the guest's next process can take over. */
static gboolean
check_chardev(const char *name, const char *value, GError **error)
{
    static const char *const shared[] = { "null",     "file",    "ringbuf", "vc",
                                          "spicevmc", "msmouse", "testdev", NULL };
    g_autoptr(GPtrArray) parts = mose_optstr_split(value);
    const char *backend = parts->pdata[0];

    if (strcmp(backend, "socket") == 0) {
        const char *path = mose_optstr_get(parts, "path");

        if (!path)
            return refuse(error, name, value,
                          "a port can be held by one process only; use a unix socket "
                          "(path=...,server=on)");
        if (!mose_optstr_is_on(parts, "server", FALSE))
            return refuse(error, name, value,
                          "its peer would see two processes; use server=on,wait=off");
        return TRUE;
    }
    if (!g_strv_contains(shared, backend))
        return refuse(error, name, value,
                      "the guest changes its process and can't take this along; use a "
                      "file or a unix socket (server=on,wait=off)");
    return TRUE;
}

static gboolean
read_chardev(MoseSpec *spec, const char *name, const char *value, GError **error)
{
    if (!check_chardev(name, value, error))
        return FALSE;
    mose_spec_add_option(spec, name, value);
    return TRUE;
}

/* -serial file:P and unix:P, as chardevs of our own naming. */
static gboolean
read_serial(MoseSpec *spec, const char *name, const char *value, GError **error)
{
    static const char *const plain[] = { "none", "null", "vc", NULL };
    g_autofree char *id = g_strdup_printf("mose-serial%u", spec->options->len);
    g_autofree char *chardev = NULL;
    g_autofree char *reference = g_strdup_printf("chardev:%s", id);

    if (g_strv_contains(plain, value) || g_str_has_prefix(value, "chardev:")) {
        mose_spec_add_option(spec, name, value);
        return TRUE;
    }
    if (g_str_has_prefix(value, "file:"))
        chardev = g_strdup_printf("file,id=%s,path=%s", id, value + 5);
    else if (g_str_has_prefix(value, "unix:"))
        chardev = g_strdup_printf("socket,id=%s,path=%s", id, value + 5);
    else
        return refuse(error, name, value,
                      "a guest of MOSE has no terminal; use file:PATH or "
                      "unix:PATH,server=on,wait=off");
    if (!read_chardev(spec, "-chardev", chardev, error))
        return FALSE;
    mose_spec_add_option(spec, name, reference);
    return TRUE;
}

static gboolean
read_netdev(MoseSpec *spec, const char *name, const char *value, GError **error)
{
    g_autoptr(GPtrArray) parts = mose_optstr_split(value);
    const char *script = mose_optstr_get(parts, "script");

    /* What JSON, or a back end that is named later, asks for is not seen here. */
    if (strpbrk(parts->pdata[0], "={"))
        return refuse(error, name, value,
                      "begin with the back end's name: -netdev tap,id=...");
    if (mose_optstr_get(parts, "fd") || mose_optstr_get(parts, "fds") ||
        mose_optstr_get(parts, "vhostfd") || mose_optstr_get(parts, "vhostfds"))
        return refuse(error, name, value,
                      "descriptors end with one process; name the tap with ifname=");
    if (strcmp(parts->pdata[0], "tap") == 0) {
        if (!mose_optstr_get(parts, "ifname"))
            return refuse(error, name, value,
                          "name an existing tap: ifname=TAP,script=no,downscript=no");
        if (!script || strcmp(script, "no") != 0)
            return refuse(error, name, value,
                          "MOSE runs no scripts: set the tap up first and say "
                          "script=no,downscript=no");
        if (mose_optstr_get(parts, "queues"))
            return refuse(error, name, value, "taps of several queues are not moved");
    }
    mose_spec_add_option(spec, name, value);
    return TRUE;
}

static gboolean
read_object(MoseSpec *spec, const char *name, const char *value, GError **error)
{
    gsize type = strcspn(value, ",");

    if (memchr(value, '=', type) || *value == '{')
        return refuse(error, name, value,
                      "begin with the object's type: -object rng-random,id=...");
    if (g_str_has_prefix(value, "memory-backend"))
        return refuse(error, name, value, "MOSE makes the guest's RAM itself; use -m");
    mose_spec_add_option(spec, name, value);
    return TRUE;
}

/* -snapshot for one disk: QEMU migrates such a guest without a word, and the next
 * process's overlay is empty (10.0 blockdev.c:blockdev_init). */
static gboolean
read_drive(MoseSpec *spec, const char *name, const char *value, GError **error)
{
    g_autoptr(GPtrArray) parts = mose_optstr_split(value);

    if (mose_optstr_is_on(parts, "snapshot", FALSE))
        return refuse(error, name, value, SNAPSHOT);
    mose_spec_add_option(spec, name, value);
    return TRUE;
}

/* Options of which only the value "none" can be kept. */
static gboolean
read_none_only(MoseSpec *spec, const char *name, const char *value, GError **error)
{
    if (strcmp(value, "none") != 0)
        return refuse(
            error, name, value,
            strcmp(name, "-monitor") == 0
                ? "a second monitor could start the guest twice; only `none`"
            : strcmp(name, "-nic") == 0
                ? "say it as -netdev and -device, which name what they connect"
                : "a screen belongs to one process; only `none`");
    if (strcmp(name, "-nic") == 0)
        mose_spec_add_option(spec, name, value);
    return TRUE;
}

#define OURS "MOSE gives this option itself"
#define ACCEL "use `mose run --accel`"
#define MONITOR "a second monitor could start the guest twice; MOSE keeps them all"
#define TERMINAL                                                                       \
    "a guest of MOSE has no terminal; use -serial file:PATH or unix:PATH,..."
#define SCREEN "a screen belongs to one process; use a serial console or the network"

static const Row rows[] = {
    { "-machine", FALSE, read_machine },
    { "-M", FALSE, read_machine },
    { "-m", FALSE, read_memory },
    { "-cpu", FALSE, read_cpu },
    { "-S", TRUE, read_paused },
    { "-chardev", FALSE, read_chardev },
    { "-serial", FALSE, read_serial },
    { "-netdev", FALSE, read_netdev },
    { "-object", FALSE, read_object },
    { "-drive", FALSE, read_drive },
    { "-display", FALSE, read_none_only },
    { "-monitor", FALSE, read_none_only },
    { "-nic", FALSE, read_none_only },

    { "-accel", FALSE, NULL, ACCEL },
    { "-enable-kvm", TRUE, NULL, ACCEL },
    { "-xen-attach", TRUE, NULL, ACCEL },
    { "-xen-domid-restrict", TRUE, NULL, ACCEL },
    { "-incoming", FALSE, NULL, OURS },
    { "-name", FALSE, NULL, OURS },
    { "-sandbox", FALSE, NULL, OURS },
    { "-pidfile", FALSE, NULL, OURS },
    { "-daemonize", TRUE, NULL, "`mose run` comes back by itself" },
    { "-plugin", FALSE, NULL, "plugins are the emulator's alone" },
    { "-qmp", FALSE, NULL, MONITOR },
    { "-qmp-pretty", FALSE, NULL, MONITOR },
    { "-mon", FALSE, NULL, MONITOR },
    { "-gdb", FALSE, NULL, MONITOR },
    { "-s", TRUE, NULL, MONITOR },
    { "-mem-path", FALSE, NULL, "MOSE makes the guest's RAM itself" },
    { "-mem-prealloc", TRUE, NULL, "MOSE makes the guest's RAM itself" },
    { "-numa", FALSE, NULL, "RAM of several backends cannot be moved in place yet" },
    { "-nographic", TRUE, NULL, TERMINAL },
    { "-curses", TRUE, NULL, TERMINAL },
    { "-vnc", FALSE, NULL, SCREEN },
    { "-spice", FALSE, NULL, SCREEN },
    { "-net", FALSE, NULL, "say it as -netdev and -device" },
    { "-debugcon", FALSE, NULL, "say it as -chardev and -device isa-debugcon" },
    { "-parallel", FALSE, NULL, "say it as -chardev and -device isa-parallel" },
    { "-add-fd", FALSE, NULL, "descriptors end with one process; name the file" },
    { "-icount", FALSE, NULL, "KVM cannot count instructions" },
    { "-snapshot", TRUE, NULL, SNAPSHOT },
    { "-set", FALSE, NULL, "say it in the option that it changes" },
    { "-loadvm", FALSE, NULL, "the guest has one life; start it afresh" },
    { "-readconfig", FALSE, NULL, "MOSE has to see the options; give them here" },
    { "-preconfig", TRUE, NULL, OURS },
    { "-D", FALSE, NULL, "the log is MOSE's; see `mose status`" },

    { "-nodefaults", TRUE },
    { "-no-user-config", TRUE },
    { "-no-reboot", TRUE },
    { "-no-shutdown", TRUE },
    { "-no-fd-bootchk", TRUE },
    { "-only-migratable", TRUE },
    { "-enable-sync-profile", TRUE },
    { "-full-screen", TRUE },
    { "-jitdump", TRUE },
    { "-perfmap", TRUE },
    { "-usb", TRUE },
    { "-win2k-hack", TRUE },
    { "-no-acpi", TRUE },
    { "-no-hpet", TRUE },
    { "-h", TRUE, NULL, "that is QEMU's own; try `qemu-system-x86_64 -h`" },
    { "-help", TRUE, NULL, "that is QEMU's own; try `qemu-system-x86_64 -help`" },
    { "-version", TRUE, NULL, "try `mose host`" },
};

static const Row *
find_row(const char *name)
{
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

/* Take one option, and its argument, off *@argv. */
static gboolean
parse_one(MoseSpec *spec, const char *const **argv, GError **error)
{
    const char *word = *(*argv)++;
    const char *name = g_str_has_prefix(word, "--") ? word + 1 : word;
    const Row *row = find_row(name);
    const char *value = NULL;

    if (*name != '-') {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "'%s' is no option; name a disk with -drive file=...", word);
        return FALSE;
    }
    if (!row || !row->bare) {
        value = *(*argv);
        if (!value) {
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID, "%s needs an argument",
                        name);
            return FALSE;
        }
        (*argv)++;
    }
    if (row && row->refusal)
        return refuse(error, name, value, row->refusal);
    if (row && row->read)
        return row->read(spec, name, value, error);
    mose_spec_add_option(spec, name, value);
    return TRUE;
}

MoseSpec *
mose_spec_parse(const char *const *argv, GError **error)
{
    g_autoptr(MoseSpec) spec = mose_spec_new();

    spec->machine = g_strdup("pc");
    spec->ram_size = 128 * 1024 * 1024; /* QEMU's own default */
    while (*argv)
        if (!parse_one(spec, &argv, error))
            return NULL;
    return g_steal_pointer(&spec);
}

/* Whether @option, which has a row of its own or none, may come later. */
static gboolean
check_plug(const MoseOption *option, GError **error)
{
    g_autofree char *id = mose_option_id(option);
    g_autofree char *bus = mose_option_get(option, "if");

    if (mose_option_is(option, "-drive") && g_strcmp0(bus, "none") != 0)
        return refuse(error, option->name, option->value,
                      "say if=none,id=ID, and name it in a -device");
    if (!id || !*id)
        return refuse(error, option->name, option->value,
                      mose_option_is(option, "-blockdev")
                          ? "it needs a node-name= by which it can be taken away"
                          : "it needs an id= by which it can be taken away");
    return TRUE;
}

MoseSpec *
mose_spec_parse_plug(const char *const *argv, GError **error)
{
    static const char *const pluggable[] = { "-device", "-drive",   "-blockdev",
                                             "-netdev", "-chardev", "-object",
                                             NULL };
    g_autoptr(MoseSpec) spec = mose_spec_new();

    while (*argv) {
        const char *name = g_str_has_prefix(*argv, "--") ? *argv + 1 : *argv;
        guint before = spec->options->len;

        if (*name == '-' && !g_strv_contains(pluggable, name)) {
            refuse(error, name, NULL,
                   "it can't be plugged in; what can: -device, -drive, -blockdev, "
                   "-netdev, -chardev, -object");
            return NULL;
        }
        if (!parse_one(spec, &argv, error))
            return NULL;
        for (guint i = before; i < spec->options->len; i++)
            if (!check_plug(spec->options->pdata[i], error))
                return NULL;
    }
    return g_steal_pointer(&spec);
}
