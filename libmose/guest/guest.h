/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest on this host: its directory, its lock, and what is known of it.
 *
 * A guest is the directory $XDG_RUNTIME_DIR/mose/NAME (root: /run/mose/NAME;
 * $MOSE_RUNTIME_DIR/NAME where that is set):
 *
 *   guest.json    the description, where the guest is, its timeline
 *   journal       the switch that is under way, if any (journal.h)
 *   debug         what a debug session may have left (debug-record.h)
 *   exports       its disks, offered to another host (exports.h)
 *   tether        the process that leads there (switch/tether.h)
 *   lock          held by the one command that may change the guest
 *   qmpM.G        monitor M of the QEMU process of generation G
 *   plugin.G      the plugin in it, where it is an emulator
 *   log.G, pid.G  what that process printed, and its pid
 *
 * There is no daemon. Files are 0600 in 0700 directories, opened without
 * following links, and believed only where we own them.
 */
#pragma once

#include <json-glib/json-glib.h>

#include "qemu/qmp.h"
#include "qemu/spec.h"
#include "guest/clock.h"
#include "guest/far.h"
#include "util/process.h"

typedef struct {
    char *name;
    char *dir;
    int lock_fd; /* -1 unless locked */

    MoseSpec *spec;
    char *machine_type; /* versioned, as QEMU names it */
    MoseSide side;      /* where the guest is */
    guint generation;   /* of its process */
    guint generations;  /* that there have been: none is used twice */
    pid_t pid;
    guint64 start_time;
    char *boot_id;
    MoseClockLine clock;
    MoseFar *far;  /* the other host, once it has moved from one to the other */
    char *files;   /* a directory of its own, which goes with it; or NULL */
    char *fork_of; /* the guest that it is a throw-away copy of (forks.h), or NULL */
    pid_t owner;   /* of a fork: the process with which it ends; 0: none */
    guint64 owner_start_time;
    JsonArray *timeline; /* objects {"time-us", "event", ...}, oldest first */
} MoseGuest;

/* The directory of all guests; made where it is missing. INVALID without
 * $XDG_RUNTIME_DIR, and where it is not ours alone. */
char *mose_runtime_dir(GError **error);

/* The same without making it; where it is missing there are no guests. */
char *mose_runtime_dir_look(GError **error);

/* A guest that is switched all day keeps its last events only. */
#define MOSE_GUEST_MAX_TIMELINE 500

/* Names: letters, digits, '.', '_', '-', not first; at most 64 bytes. */
gboolean mose_guest_name_valid(const char *name, GError **error);

/* Names of the guests there are, sorted. Free with g_strfreev(). */
char **mose_guest_names(GError **error);

typedef enum {
    MOSE_GUEST_LOOK, /* to read: no lock */
    MOSE_GUEST_LOCK, /* to change: BUSY (naming the holder) if it is locked */
} MoseGuestAccess;

/* Make a new guest's directory, locked. INVALID if the name is taken by a guest
 * that lives; the remains of one that doesn't are cleared away. */
MoseGuest *mose_guest_create(const char *name, GError **error);

/* Open a guest. NOT_FOUND where there is none. */
MoseGuest *mose_guest_open(const char *name, MoseGuestAccess access, GError **error);

/* Read its description anew (after another process may have changed it). */
gboolean mose_guest_reload(MoseGuest *guest, GError **error);

void mose_guest_free(MoseGuest *guest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseGuest, mose_guest_free)

/* Write the description: whole or not at all. */
gboolean mose_guest_save(MoseGuest *guest, GError **error);

/* Remove the directory and all in it. The guest must be locked. */
gboolean mose_guest_remove(MoseGuest *guest, GError **error);

/* Let go of the lock. */
void mose_guest_unlock(MoseGuest *guest);

/* Files of the process of @generation; free with g_free(). */
char *mose_guest_monitor(const MoseGuest *guest, int monitor, guint generation);
char *mose_guest_log(const MoseGuest *guest, guint generation);
char *mose_guest_pidfile(const MoseGuest *guest, guint generation);
/* The socket of the plugin in it; only an emulator has one. */
char *mose_guest_plugin(const MoseGuest *guest, guint generation);

/* Whether the guest is on another host. */
gboolean mose_guest_is_away(const MoseGuest *guest);

/* Whether the guest is here, and its disks or its network on the host that it came
 * from.
 */
gboolean mose_guest_hangs_on_home(const MoseGuest *guest);

/* The process that the guest is in; ENDED, with its last words, when it is gone; AWAY
 * when it is on another host. */
MoseProcess *mose_guest_process(const MoseGuest *guest, GError **error);

/* Connect to monitor @monitor of the process the guest is in. */
MoseQmp *mose_guest_connect(const MoseGuest *guest, int monitor, GError **error);

/* Add an event to the timeline, stamped with the time; takes @details (may be
 * NULL) over. */
void mose_guest_note(MoseGuest *guest, const char *event, JsonObject *details);
