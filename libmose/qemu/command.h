/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line of one QEMU process of a guest: what the description says,
 * made for one side, and what has to happen around the process since two of
 * them exist during a switch.
 */
#pragma once

#include "qemu/spec.h"

/* The id of the guest's RAM block, the same in every process. */
#define MOSE_RAM_ID "mose-ram"

/* Monitors of each process: one for the switch, one for questions, one for the
 * guardian, so that they don't shut each other out. */
enum {
    MOSE_MONITOR_SWITCH,
    MOSE_MONITOR_QUERY,
    MOSE_MONITOR_GUARDIAN,
    MOSE_N_MONITORS,
};

/* The number under which QEMU inherits the listening socket of monitor 0. */
#define MOSE_MONITOR_FD 4
/* ... that of the plugin's socket. */
#define MOSE_PLUGIN_FD (MOSE_MONITOR_FD + MOSE_N_MONITORS)
/* ... and the guest's first tap. */
#define MOSE_TAP_FD 16

/* A tap that the process expects as descriptor @number. */
typedef struct {
    char *ifname;
    int number;
    gboolean vnet_hdr;
} MoseTap;

/* A socket bound under a name of this process, to be renamed to the name the
 * user gave once the guest runs in it. */
typedef struct {
    char *bound;
    char *wanted;
} MoseRename;

/* A port to be forwarded (HMP hostfwd_add) once the other process is gone. */
typedef struct {
    char *netdev;
    char *rule; /* "tcp::8080-:80" */
} MoseForward;

typedef struct {
    GPtrArray *argv;     /* NULL-terminated */
    GPtrArray *taps;     /* MoseTap * */
    GPtrArray *renames;  /* MoseRename * */
    GPtrArray *forwards; /* MoseForward * */
} MoseCommandLine;

typedef struct {
    MoseSide side;
    guint generation;         /* of the process, from 1 */
    gboolean incoming;        /* wait for a migration, touch nothing that is in use */
    const char *pidfile;      /* names the process as this guest's */
    const char *machine_type; /* versioned type to use instead of an alias, or NULL */
    gboolean ioapic_as_is;    /* of QEMU's own version (without rule ioapic-version) */
    gboolean ram_shared;      /* its memory is descriptor MOSE_RAM_FD, not QEMU's own */
    const char *plugin;       /* to be loaded, or NULL */
} MoseCommandFor;

/* Build it. Errors: INVALID (a socket path that is too long, named). */
MoseCommandLine *mose_command_build(const MoseSpec *spec, const MoseCommandFor *what,
                                    GError **error);

/* The same for @option alone, as it is given to a process that runs. */
MoseCommandLine *mose_command_build_option(const MoseSpec *spec,
                                           const MoseCommandFor *what,
                                           const MoseOption *option, GError **error);
void mose_command_free(MoseCommandLine *line);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseCommandLine, mose_command_free)
