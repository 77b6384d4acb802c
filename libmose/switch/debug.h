/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guarded debug session: QEMU's gdb stub on a guest of MOSE's, such that a MOSE which
 * dies at any point of it leaves no breakpoint behind and a running guest.
 *
 * What QEMU does by itself would not be enough (10.0):
 *  - A client that vanishes changes nothing: breakpoints stay (gdbstub/system.c:
 *    gdb_chr_event knows "opened" alone), and `gdbserver none` leaves them as well
 *    (gdbserver_start). Only a client can remove them.
 *  - A hit with nobody connected stops the guest all the same, in run state "debug"
 *    (system/cpus.c:cpu_handle_guest_debug); after `cont` it hits again.
 *  - Half a packet of a dead client's would be the beginning of the next one's first;
 *    starting the stub anew forgets it (gdbserver_start sets RS_IDLE).
 *  - A vCPU that was to be stepped stays so until a stop is told to a client
 *    (gdb_vm_state_change): so the guest is stopped before its stub is taken away.
 *
 * The session's socket is one of a pair, handed to QEMU (getfd, chardev-add,
 * `gdbserver chardev:ID`): no path, no length limit, nobody else can connect, and who
 * holds the other end is the one client. The stub is there only during a session.
 *
 * It needs the guest's lock for as long as it lasts, so that no switch is under way and
 * none can begin. What is about to be armed is in the guest's directory beforehand
 * (debug-record.h); guardians see to it when this process dies, and so does the next
 * command.
 */
#pragma once

#include "qemu/gdb.h"
#include "guest/guest.h"

typedef struct MoseDebug MoseDebug;

/* Told what was done just now, in this order, "point" to "hit" many times: "recorded",
 * "chardev", "stub" (the guest is stopped from here on), "connected"; "point" (it is in
 * the record), "armed"; "over" (a breakpoint is out while a vCPU is stepped over it),
 * "running", "hit"; "ending", "removed", "detached", "closed". For tests. */
typedef void (*MoseDebugTell)(const char *step, gpointer data);

/*
 * Begin on @guest, which is locked and recovered, and stop it. It must outlive the
 * session. Call it while this process has one thread (guardian.h). BUSY where a session
 * is open; UNSUPPORTED, ENDED, and what QEMU says. On failure all is as before.
 */
MoseDebug *mose_debug_begin(MoseGuest *guest, MoseDebugTell tell, gpointer data,
                            GError **error);

/* The client: registers, memory and vCPUs, while the guest is stopped. Points, running
 * and detaching are the session's. */
MoseGdb *mose_debug_gdb(MoseDebug *debug);

/*
 * Arm a breakpoint or watchpoint, in the stopped guest. INVALID where it is armed
 * already; FAILED where no debug register is left; UNSUPPORTED for a software
 * breakpoint under KVM: it is written into the guest's memory, which may not be mapped
 * when it has to be taken out.
 */
gboolean mose_debug_arm(MoseDebug *debug, const MoseGdbPoint *point, GError **error);
gboolean mose_debug_disarm(MoseDebug *debug, const MoseGdbPoint *point, GError **error);

/*
 * Let it run, a vCPU that was stopped by a breakpoint over that first: it alone is
 * stepped, so that no other passes meanwhile. INVALID for a guest that was paused when
 * the session began: it stays so. What the guest's clock loses while it is stopped is
 * not made good.
 */
gboolean mose_debug_continue(MoseDebug *debug, GError **error);

/* As mose_gdb_wait_stop(). Of two vCPUs that hit at once the second is told after the
 * next mose_debug_continue(). */
gboolean mose_debug_wait(MoseDebug *debug, int timeout_ms, int cancel_fd,
                         MoseGdbStop *ret, GError **error);

/* Stop it; what *@ret tells may be a hit that came first. */
gboolean mose_debug_stop(MoseDebug *debug, MoseGdbStop *ret, GError **error);

/*
 * End the session, and free it: nothing is armed any more, no stub is there, and the
 * guest runs, or is paused, as before. On failure the guardians, and the next command,
 * try again.
 */
gboolean mose_debug_end(MoseDebug *debug, GError **error);

/* mose_debug_end() where nobody listens. Accepts NULL. */
void mose_debug_free(MoseDebug *debug);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseDebug, mose_debug_free)

/* Whether a session is open on @guest, or was left behind. */
gboolean mose_debug_is_open(const MoseGuest *guest);

/*
 * Undo what a session that died has left in @guest (locked), and note it on the
 * timeline. Nothing to do is no error. Part of mose_recover().
 */
gboolean mose_debug_recover(MoseGuest *guest, GError **error);
