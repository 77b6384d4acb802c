/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Starting one QEMU process of a guest, paused and with its monitors open. It
 * touches nothing that another process of the guest uses.
 */
#pragma once

#include "qemu/command.h"
#include "guest/guest.h"

typedef struct {
    MoseSide side;
    guint generation;
    MoseProcess *process;
    MoseQmp *qmp;          /* monitor MOSE_MONITOR_SWITCH */
    MoseCommandLine *line; /* what is to be renamed and forwarded afterwards */
    gboolean plugin;       /* it has been given one */
    char *log;
} MoseLaunch;

typedef struct {
    MoseSide side;
    guint generation;
    int ram_fd;                /* its memfd; stays the caller's; -1: private memory */
    gboolean frozen;           /* it maps that privately (qemu/frozen.h) */
    const MoseProcess *source; /* to take descriptors from; NULL: there is none here */
    const MoseProcess *like;   /* where there is no source: in the surroundings of this
                                  process; NULL: in ours */
    int interrupt_fd;          /* of MoseSwitchOptions; 0: none */
    gboolean ioapic_as_is;     /* of MoseCommandFor */
    gboolean incoming; /* wait for a migration; so it does where there is a source */
    /* Where there is no source: where taps come from, @data being the guest; a
     * descriptor of its own; NULL: mose_tap_open(). */
    int (*open_tap)(const MoseTap *tap, gconstpointer data, GError **error);
} MoseLaunchFor;

/*
 * Start QEMU for @guest; it waits for a migration if there is a source. Errors
 * carry what QEMU printed. UNSUPPORTED for a QEMU older than 10.0; INTERRUPTED.
 */
MoseLaunch *mose_launch(const MoseGuest *guest, const MoseLaunchFor *what,
                        GError **error);

/* The same in two steps: start it, and wait until its monitor answers. Several can be
 * started before one is waited for. Where the second fails, mose_launch_abort(). */
MoseLaunch *mose_launch_begin(const MoseGuest *guest, const MoseLaunchFor *what,
                              GError **error);
gboolean mose_launch_wait(const MoseGuest *guest, MoseLaunch *launch, int interrupt_fd,
                          GError **error);

/* Forget it; the process goes on. */
void mose_launch_free(MoseLaunch *launch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseLaunch, mose_launch_free)

/* SIGKILL it: it does nothing more of its own. */
void mose_launch_doom(const MoseLaunch *launch);

/* The same, wait for its end, and take its monitors' sockets away. */
void mose_launch_abort(const MoseGuest *guest, MoseLaunch *launch);

/* Bring the user's socket paths and forwarded ports to this process: the guest
 * is in it now. Goes on after a failure; the first one is the @error. */
gboolean mose_launch_settle(MoseQmp *qmp, const MoseCommandLine *line, GError **error);

/* An @error (CLOSED) of a process that has ended becomes what it said before. */
void mose_launch_explain(const MoseLaunch *launch, GError **error);

/* Sockets of a copy to the process of @generation: where the source's channels go, and
 * where that process listens at first (move-connect.c). Free with g_free(). */
#define MOSE_CHANNEL_STREAM "stream"
#define MOSE_CHANNEL_INCOMING "incoming"
char *mose_launch_channel(const MoseGuest *guest, const char *what, guint generation);

/* Take them away: QEMU leaves what was renamed. */
void mose_launch_forget_channels(const MoseGuest *guest, guint generation);

/* Take away what the process of @generation leaves: its files in the guest's
 * directory, and the user's sockets under the names it has bound. */
void mose_launch_forget_files(const MoseGuest *guest, guint generation);
