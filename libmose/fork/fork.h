/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Forks made and ended: throw-away emulators that go on from one moment of a guest.
 *
 *   begin    a directory and a QEMU for each, which maps the guest's memory privately
 *   freeze   the guest goes on in a process that does the same (switch.h); the state of
 *            its devices is kept, and from here on nobody writes that memory or those
 *            images: what each writes is its own
 *   load     each fork loads that state, through the rules, and runs
 *   discard  a fork is ended; with the last one the guest gets its memory and images
 *            back, with what it has written meanwhile (thaw)
 *
 * A fork has no network, no host's character device, and overlays for disks
 * (qemu/spec-fork.h). It is a guest of its own, to be looked at like any other, but for
 * switches.
 */
#pragma once

#include "switch/switch.h"

typedef struct {
    /* Of the moment for which the guest's other forks were made. Else it must have
     * none. */
    gboolean same_moment;
    gboolean paused;          /* they do not run yet */
    gboolean overcommit;      /* even if the host has no room for what they may write */
    guint64 room;             /* bytes that each may write; 0: MOSE_FORK_ROOM */
    const char *overlay_dir;  /* absolute; NULL: each beside its image */
    pid_t owner;              /* they end with this process; 0: not by themselves */
    const char *without_rule; /* as in MoseSwitchOptions */
    void (*progress)(const MoseSwitchProgress *progress, gpointer data); /* or NULL */
    gpointer data;
    int interrupt_fd; /* readable when the user wants no more of it; 0: none */
} MoseForkOptions;

/* What the host must have left for each fork unless told otherwise: for what it writes,
 * and for its QEMU itself (measured: 45 MB of its own, QEMU 10.0 with a pc). */
#define MOSE_FORK_ROOM ((guint64)256 << 20)
#define MOSE_FORK_COST ((guint64)64 << 20)

typedef struct {
    MoseSwitchReport share;  /* of a guest with private memory, which was copied first;
                                .rules NULL where it was not */
    MoseSwitchReport freeze; /* of the guest; .rules NULL where it was frozen already */
    gint64 ran_us;           /* from the beginning until the first fork ran */
    gint64 total_us;         /* ... until all did */
} MoseForkReport;

void mose_fork_report_clear(MoseForkReport *report);

/*
 * Make forks called @names (at least one) of @guest, which is locked and recovered.
 * INVALID (a name), RESOURCES (no room), BUSY (it has forks of another moment),
 * UNSUPPORTED (a device that no fork can have), REFUSED (a rule's reason), INTERRUPTED.
 * On failure there is none of them, and the guest is as it was, or, where it says so,
 * still to be thawed by the next command.
 */
gboolean mose_fork(MoseGuest *guest, const char *const *names,
                   const MoseForkOptions *options, MoseForkReport *ret, GError **error);

/* End @fork (locked), whatever state it is in, with all that it has written. */
gboolean mose_fork_end(MoseGuest *fork, GError **error);

/* Whether it is a fork that was to end with a process which has ended. */
gboolean mose_fork_has_lost_owner(const MoseGuest *guest);

/* Whether @guest is frozen, or has shared memory that was private, and has no forks any
 * more. */
gboolean mose_fork_is_left(const MoseGuest *guest);

/* Whether it has a kept state, and no forks: of a command that died before the guest
 * was frozen. */
gboolean mose_fork_has_stale_state(const MoseGuest *guest);

/*
 * Give @guest (locked, recovered) its memory and images back: TRUE at once where
 * nothing of that is to be done (mose_fork_is_left). *@ret (may be NULL) has .rules
 * where it was done.
 */
gboolean mose_fork_thaw(MoseGuest *guest, int interrupt_fd,
                        void (*progress)(const MoseSwitchProgress *, gpointer),
                        MoseSwitchReport *ret, GError **error);

/* For a guest of that kind that is to end: what its overlays hold goes into the images.
 */
gboolean mose_fork_settle_disks(MoseGuest *guest, GError **error);

/* End the forks of @name whose owner has ended, and thaw it if it has none then. What
 * another command holds is left to that, or to the next call. */
void mose_fork_tidy(const char *name);
