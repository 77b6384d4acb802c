/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest's disks offered to a QEMU at a host that has not got them: a
 * qemu-storage-daemon of the guest's serves them over NBD, on a unix socket in the
 * guest's directory. Nothing of it can be reached from elsewhere but through what
 * connects to that socket.
 *
 * The daemon opens the images as inactive (QEMU 10.0), so it can be there while a QEMU
 * here has them: it takes no lock, answers reads with what the image held when it was
 * opened, and writes with EPERM (nbd/server.c:nbd_handle_request). Who has the disks is
 * a matter of one step in either direction, and QEMU's image locks refuse it to whom
 * they do not belong (block/file-posix.c:raw_handle_perm_lock):
 *
 *   away   the QEMU here gives its images up at the end of its migration; activate;
 *          `cont` at the QEMU elsewhere
 *   undo   that QEMU has ended, or never ran; deactivate; `cont` at the QEMU here
 *   home   the QEMU elsewhere has given its disks up at the end of its migration, which
 *          has flushed them; deactivate; `cont` at the QEMU here
 *   undo   deactivate failed, or the QEMU here will not have the guest and has ended;
 *          activate; `cont` at the QEMU elsewhere
 *
 * Deactivating is also how to shut a QEMU out that cannot be reached: what it has not
 * been answered is not written, and nothing of it is written any more.
 *
 * The file exports in the guest's directory says which process it is, and its disks.
 */
#pragma once

#include "qemu/export.h"
#include "guest/guest.h"

typedef struct {
    MoseProcess *process;
    MoseQmp *qmp;
    GPtrArray *disks; /* MoseExport * */
    char *socket;     /* of its NBD server */
} MoseExports;

/* The daemon of @guest, or NULL. */
MoseProcess *mose_exports_process(const MoseGuest *guest);

/* End it (SIGKILL), also one that hangs: no QEMU elsewhere has written to the disks,
 * nor ever will. TRUE where there is none. */
gboolean mose_exports_abandon(const MoseGuest *guest, GError **error);

/*
 * Offer the disks of @guest, which the process behind @qmp has; the daemon lives in the
 * surroundings of @source, that process. One that is left of before is ended. Errors:
 * see mose_exports_plan(), UNSUPPORTED for an image whose size the daemon sees as
 * another, CLOSED with what the daemon said.
 */
MoseExports *mose_exports_start(const MoseGuest *guest, MoseQmp *qmp,
                                const MoseProcess *source, GError **error);

/* End the one that there may be, as mose_exports_end() does. */
gboolean mose_exports_clear(const MoseGuest *guest, GError **error);

/* The daemon that there is. NOT_FOUND where there is none; ENDED where it has died:
 * what its guest had written and not flushed may be lost, as with a QEMU that died. */
MoseExports *mose_exports_open(const MoseGuest *guest, GError **error);

/* Forget it; the daemon goes on. */
void mose_exports_free(MoseExports *exports);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseExports, mose_exports_free)

/*
 * Take the images: their metadata is read anew, and writes are done from here on. All
 * or none. QMP error where another process has one ('Failed to get "write" lock'),
 * TIMEOUT, CLOSED. Active ones stay so.
 */
gboolean mose_exports_activate(MoseExports *exports, GError **error);

/*
 * Give the images up: what was written is flushed, and the locks are gone. Goes on
 * after a failure; the first one is the @error, and then an image may be the daemon's
 * still.
 */
gboolean mose_exports_deactivate(MoseExports *exports, GError **error);

/* How many of the disks that can be written are active. */
gboolean mose_exports_count_active(MoseExports *exports, guint *ret, GError **error);

/*
 * End the daemon, which gives up what it has, and remove its files. REFUSED where it
 * will not: its images could not be flushed.
 */
gboolean mose_exports_end(const MoseGuest *guest, MoseExports *exports, GError **error);
